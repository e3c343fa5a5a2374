//! Chi-squared: whether two samples of names come from the same shares (Pearson, 1900), on a table of two rows, with Yates' correction where there
//! are two cells, as `scipy.stats.chi2_contingency` and NannyML have it.
//!
//! The effect is Cohen's w of the window's shares against those of both samples' mean ("Statistical power analysis for the behavioral sciences",
//! 1988: 0.1 is small, 0.3 medium), since the statistic itself grows with the rows.
//!
//! Differs: names with fewer than 10 expected rows are put together; NannyML and Evidently count each by itself, and alarm more often.

use crate::axis::{Axis, Tally};
use crate::drift::pooled::{cells, shares, totals};
use crate::drift::{DriftDef, Moved, Test};
use crate::tails::chi2_tail;

pub(crate) const DEF: DriftDef = DriftDef {
    name: "chi2",
    doc: "chi-squared of a table of names by reference and window; its effect is Cohen's w, 0.1 being small; categories.",
    effect: "Cohen's w",
    threshold: 0.1,
    test: Test::Names(moved),
};

fn moved(axis: &Axis, reference: &Tally, window: &Tally) -> Moved {
    let cells = cells(axis, reference, window);
    if cells.len() < 2 {
        return Moved::NONE;
    }
    let [own, other] = totals(&cells);
    let all = own + other;
    let correction = if cells.len() == 2 { 0.5 } else { 0.0 };
    let part = |cell: &[f64; 2]| {
        let expected = [own, other].map(|rows| (cell[0] + cell[1]) * rows / all);
        let gap = |side: usize| {
            let gap = (cell[side] - expected[side]).abs();
            (gap - f64::min(gap, correction)).powi(2) / expected[side]
        };
        gap(0) + gap(1)
    };
    let statistic: f64 = cells.iter().map(part).sum();
    let square = |[a, b]: &[f64; 2]| (a - b).powi(2) / ((a + b) / 2.0);
    let effect = shares(&cells).iter().map(square).sum::<f64>().sqrt();
    Moved { statistic, effect, p: Some(chi2_tail(statistic, cells.len() as f64 - 1.0)) }
}
