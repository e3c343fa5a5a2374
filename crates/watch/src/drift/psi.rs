//! Population stability index: the symmetric Kullback-Leibler divergence of shares over about ten cells, `sum (a - b) ln(a / b)` (Jeffreys, 1946;
//! Siddiqi, "Credit risk scorecards", 2006: below 0.1 little, above 0.25 much has changed). An empty cell counts as a share of 1/10000, as Evidently has it.
//!
//! The p-value is that of a chi-squared number: when nothing moved, the index times `n m / (n + m)` is one (Yurdakul, "Statistical properties of
//! population stability index", 2018).
//!
//! Differs: cells of numbers are deciles of the reference; Evidently takes equally wide ones over both samples.

use crate::axis::{Axis, Tally};
use crate::drift::pooled::{cells, shares, weight};
use crate::drift::{DriftDef, Moved, Test};
use crate::tails::chi2_tail;

const SHARE_MIN: f64 = 1e-4;

pub(crate) const DEF: DriftDef = DriftDef {
    name: "psi",
    doc: "population stability index over deciles or names: below 0.1 little has changed, above 0.25 much; all kinds.",
    effect: "population stability index",
    threshold: 0.1,
    test: Test::Both(moved),
};

fn moved(axis: &Axis, reference: &Tally, window: &Tally) -> Moved {
    let cells = cells(axis, reference, window);
    let part = |pair: &[f64; 2]| {
        let [a, b] = pair.map(|share| share.max(SHARE_MIN));
        (a - b) * (a / b).ln()
    };
    let statistic = shares(&cells).iter().map(part).sum();
    if cells.len() < 2 {
        return Moved::NONE;
    }
    Moved::by(statistic, chi2_tail(statistic * weight(&cells), cells.len() as f64 - 1.0))
}
