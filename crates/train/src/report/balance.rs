//! What balancing did to the training rows, and to the scores.

use super::report::Measure;
use serde::{Deserialize, Serialize};

/// How training rows of rare classes were balanced, and what it changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// `data.clean.balance`.
    pub method: String,
    /// Training rows before and after.
    pub rows: [u64; 2],
    /// The rarest class.
    pub class: String,
    /// The same model fitted without it; none where that would have cost much.
    pub measured: Option<Unbalanced>,
}

/// Measures on test rows with and without balancing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unbalanced {
    /// The measure that headlines.
    pub main: String,
    /// It, with and without.
    pub scores: [Measure; 2],
    /// Recall of the rarest class, with and without.
    pub recall: [Measure; 2],
    /// Its precision, with and without.
    pub precision: [Measure; 2],
}
