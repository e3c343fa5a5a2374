//! How training went, epoch by epoch.

use super::undefined;
use serde::{Deserialize, Serialize};

/// How training went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The measure that is watched on validation rows.
    pub watched: String,
    /// One an epoch, in order.
    pub points: Vec<HistoryPoint>,
    /// The epoch whose weights were kept, when they are not the last ones.
    #[serde(default)]
    pub best_epoch: Option<f64>,
}

/// The end of an epoch, or of a part of one. What was not measured is NaN.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryPoint {
    /// Epochs done.
    pub epoch: f64,
    /// Steps done.
    pub step: u64,
    /// Seconds since training began.
    pub seconds: f64,
    /// The learning rate.
    #[serde(with = "undefined")]
    pub rate: f64,
    /// Mean loss of the epoch's training rows, as they were learned from.
    #[serde(with = "undefined")]
    pub train_loss: f64,
    /// Mean loss on validation rows.
    #[serde(with = "undefined")]
    pub valid_loss: f64,
    /// The measure watched, on validation rows.
    #[serde(with = "undefined")]
    pub valid_score: f64,
}
