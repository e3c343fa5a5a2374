//! Drift: how far a window lies from the reference, one statistic a file.
//!
//! Each gives an *effect*, whose threshold says what matters, and where there is one the probability of a window at least as far when nothing
//! changed (a p-value), which says what chance does. Both samples are finite, the reference too, so all tests are of two samples.

mod chi2;
mod domain_classifier;
mod jensen_shannon;
mod ks;
mod pooled;
mod psi;
mod registry;
mod wasserstein;

#[cfg(test)]
mod conformance;

pub use registry::{DRIFTS, DriftDef, Moved, Test, column, find};
