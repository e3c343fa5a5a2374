//! What a model file keeps of what is done to a target's answers, and how it is done.

use super::calibrate::Calibrator;
use cupola_task::{Answer, Classes, Decision, Rule};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is done to a model's answers for one target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postprocess {
    /// Makes probabilities hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) calibration: Option<Calibrator>,
    /// Chooses a class, and a set of classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Arc<Decision>>,
    /// What an answer costs: `costs[truth * classes + answer]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) costs: Option<Vec<f64>>,
    /// How far the interval of a number reaches to either side, or beyond its bounds where it has such; then it may be below 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reach: Option<f64>,
    /// Whether the interval reaches beyond the quantiles that two models of the pipeline answer, not beyond the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_cqr: bool,
    /// How often intervals or sets are to hold the truth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<f64>,
}

impl Postprocess {
    /// Whether nothing is done.
    pub fn is_none(&self) -> bool {
        *self == Postprocess::default()
    }

    /// Whether probabilities are changed.
    pub(crate) fn calibrates(&self) -> bool {
        self.calibration.is_some()
    }

    /// The answer as it is given.
    #[must_use]
    pub fn apply(&self, answer: Answer) -> Answer {
        match answer {
            Answer::Scores { classes, mut values } => {
                if let Some(calibration) = &self.calibration {
                    calibration.apply(classes.len(), &mut values);
                }
                Answer::Scores { classes: self.decided(classes), values }
            }
            Answer::Numbers { values, range } => {
                let around = |reach: f64| values.iter().map(|value| [value - reach, value + reach]).collect();
                let range = match (self.reach, range) {
                    (Some(reach), Some(range)) if self.is_cqr => Some(range.into_iter().map(|bounds| beyond(bounds, reach)).collect()),
                    (reach, range) => reach.map(around).or(range),
                };
                Answer::Numbers { values, range }
            }
            other => other,
        }
    }

    /// The same answer with this decision about its classes, its probabilities as they are.
    #[must_use]
    pub fn decide(&self, answer: Answer) -> Answer {
        match answer {
            Answer::Scores { classes, values } => Answer::Scores { classes: self.decided(classes), values },
            other => other,
        }
    }

    /// Classes with the decision about them.
    pub fn decided(&self, classes: Classes) -> Classes {
        classes.decided_by(self.decision.clone())
    }

    /// What answers cost, when anybody said so: `costs[truth * classes + answer]`.
    pub fn costs(&self) -> Option<&[f64]> {
        self.costs.as_deref()
    }

    /// Where the positive class begins, when a threshold is in use.
    pub(crate) fn threshold(&self) -> Option<f64> {
        match self.decision.as_ref()?.rule {
            Rule::Threshold(threshold) => Some(threshold),
            _ => None,
        }
    }

    /// Whether it suits so many classes (0 for a number), which what was read from outside may not.
    pub(crate) fn is_sound(&self, classes: usize) -> bool {
        let is_number = classes == 0;
        let of_classes = self.calibration.is_some() || self.decision.is_some() || self.costs.is_some();
        !(is_number && of_classes)
            && self.calibration.iter().all(|calibration| calibration.is_sound(classes))
            && self.decision.iter().all(|decision| decision.rule.is_sound(classes))
            && self.costs.iter().all(|costs| Rule::Costs(costs.clone()).is_sound(classes))
            && self.reach.is_none_or(|reach| is_number && reach.is_finite() && (reach >= 0.0 || self.is_cqr))
            && (!self.is_cqr || self.reach.is_some())
            && self.level.is_none_or(|level| (0.0..1.0).contains(&level))
    }
}

/// Bounds moved outwards. Those that crossed, or cross because they are moved inwards, are put in order, which holds no fewer truths.
fn beyond([low, high]: [f64; 2], reach: f64) -> [f64; 2] {
    let (low, high) = (low - reach, high + reach);
    [low.min(high), low.max(high)]
}
