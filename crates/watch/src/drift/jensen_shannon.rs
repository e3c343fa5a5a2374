//! Jensen-Shannon distance: the root of the mean divergence, in bits, of both samples' shares from their mean, 0 to 1 (Lin, "Divergence measures
//! based on the Shannon entropy", 1991; Endres and Schindelin, 2003, for the root).
//!
//! The p-value is that of a chi-squared number: for small distances the divergence in nats is an eighth of the squared distance of shares over
//! shares, so 8 times it, times `n m / (n + m)`, is one.
//!
//! Differs: over deciles of the reference or names; NannyML takes equally wide cells by Doane's rule, Evidently by Sturges'.

use crate::axis::{Axis, Tally};
use crate::drift::pooled::{cells, shares, weight};
use crate::drift::{DriftDef, Moved, Test};
use crate::tails::chi2_tail;

pub(crate) const DEF: DriftDef = DriftDef {
    name: "jensen_shannon",
    doc: "Jensen-Shannon distance in base 2 over deciles or names, 0 to 1; all kinds.",
    effect: "Jensen-Shannon distance",
    threshold: 0.1,
    test: Test::Both(moved),
};

fn moved(axis: &Axis, reference: &Tally, window: &Tally) -> Moved {
    let cells = cells(axis, reference, window);
    if cells.len() < 2 {
        return Moved::NONE;
    }
    let part = |share: f64, mean: f64| if share > 0.0 { share * (share / mean).ln() / 2.0 } else { 0.0 };
    let nats = shares(&cells).iter().map(|[a, b]| part(*a, (a + b) / 2.0) + part(*b, (a + b) / 2.0)).sum::<f64>().max(0.0);
    Moved::by((nats / std::f64::consts::LN_2).sqrt(), chi2_tail(8.0 * nats * weight(&cells), cells.len() as f64 - 1.0))
}
