//! A target's quality on labelled rows, by the measures of `cupola_metrics`.

use crate::Result;
use crate::tails::reach;
use crate::target::TargetReference;
use cupola_metrics::{Sampling, find, score};
use cupola_task::{Answer, Column, Columns, Settings, Task, View};
use serde::{Deserialize, Serialize};

/// What is measured of classes, the one that counts first.
pub(crate) const OF_CLASSES: [&str; 6] = ["accuracy", "f1", "roc_auc", "precision", "recall", "log_loss"];
/// What is measured of numbers.
pub(crate) const OF_NUMBERS: [&str; 4] = ["mae", "rmse", "mse", "r2"];
/// The level of all intervals.
pub(crate) const LEVEL: f64 = 0.95;

/// A measure with its interval.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Quality {
    /// The measure's name.
    pub metric: String,
    /// Whether more is better.
    pub is_score: bool,
    /// Its value.
    pub value: f64,
    /// Lower end of the 95 % interval; the value itself where there is no knowing.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// On how many rows.
    pub rows: u64,
}

impl Quality {
    /// The standard error of the measure on one row; on n it is this over the root of n.
    pub fn deviation(&self) -> f64 {
        (self.high - self.low) / 2.0 / reach(LEVEL) * (self.rows as f64).sqrt()
    }

    /// By how much this is better than another, in standard errors of both.
    pub(crate) fn better_by(&self, other: &Quality) -> f64 {
        let error = |quality: &Quality| quality.deviation() / (quality.rows.max(1) as f64).sqrt();
        let difference = if self.is_score { self.value - other.value } else { other.value - self.value };
        let both = error(self).hypot(error(other));
        if both > 0.0 { difference / both } else { difference.signum() * if difference == 0.0 { 0.0 } else { f64::INFINITY } }
    }
}

/// All measures that are defined on these rows, or the named one.
///
/// # Errors
/// When truth and answer do not fit each other.
pub(crate) fn qualities(target: &TargetReference, answer: &Answer, truth: &Column, only: Option<&str>) -> Result<Vec<Quality>> {
    if truth.is_empty() {
        return Ok(vec![]);
    }
    let names: &[&str] = if target.task == Task::Classify { &OF_CLASSES } else { &OF_NUMBERS };
    let mut metrics = Vec::new();
    for def in names.iter().filter(|name| only.is_none_or(|only| only == **name)).filter_map(|name| find(name)) {
        metrics.push((def, Settings::check(def.name, def.settings, [])?));
    }
    let none = Columns::default();
    let view = View { truth: Some(truth), weight: None, inputs: &none, keys: &none };
    let sampling = Sampling { level: LEVEL, draws: 200, ..Sampling::default() };
    let scores = score(&target.field(), answer, view, &metrics, sampling)?;
    let quality = |score: &cupola_metrics::Score| Quality {
        metric: score.name.to_owned(),
        is_score: score.is_score,
        value: score.value,
        low: if score.low.is_finite() { score.low } else { score.value },
        high: if score.high.is_finite() { score.high } else { score.value },
        rows: truth.len() as u64,
    };
    Ok(scores.iter().map(quality).filter(|quality| quality.value.is_finite()).collect())
}

/// Between what a measure's values lie.
pub(crate) fn bounds(metric: &str) -> [f64; 2] {
    match metric {
        "log_loss" | "mae" | "mse" | "rmse" => [0.0, f64::INFINITY],
        "r2" => [f64::NEG_INFINITY, 1.0],
        _ => [0.0, 1.0],
    }
}
