//! Kolmogorov-Smirnov: the largest difference of the two distribution functions (Smirnov, "Table for estimating the goodness of fit of empirical
//! distributions", 1948).
//!
//! The functions are read at the reference's edges, so the statistic is at most 1/240 too small, and exact where the reference has at most 241
//! distinct values. The p-value is Kolmogorov's limit with Stephens' correction for small samples ("Use of the Kolmogorov-Smirnov, Cramér-von Mises
//! and related statistics without extensive tables", 1970); with ties it is too large, never too small.

use crate::axis::{Axis, Tally};
use crate::drift::{DriftDef, Moved, Test};
use crate::tails::kolmogorov_tail;

pub(crate) const DEF: DriftDef = DriftDef {
    name: "ks",
    doc: "Kolmogorov-Smirnov: the largest difference of the two distribution functions, 0 to 1; numbers, dates, embeddings.",
    effect: "largest difference of shares",
    threshold: 0.1,
    test: Test::Numbers(moved),
};

fn moved(_: &Axis, reference: &Tally, window: &Tally) -> Moved {
    let [own, other] = [reference.values() as f64, window.values() as f64];
    let (mut below, mut distance) = ([0u64; 2], 0f64);
    for (a, b) in reference.counts.iter().zip(&window.counts) {
        below = [below[0] + a, below[1] + b];
        distance = distance.max((below[0] as f64 / own - below[1] as f64 / other).abs());
    }
    let root = (own * other / (own + other)).sqrt();
    Moved::by(distance, kolmogorov_tail((root + 0.12 + 0.11 / root) * distance))
}
