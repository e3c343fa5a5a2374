//! Quality without labels.
//!
//! Of classes: confidence-based performance estimation (CBPE, NannyML). When probabilities hold, each row's probability of its predicted class is
//! its chance of being right, so the expected confusion matrix is a sum over rows, and every measure of it can be expected too. Scores are
//! calibrated on held-out rows first (`calibration.rs`). It is wrong when what inputs mean changes (concept drift): only labels tell that.
//! Of numbers: direct loss estimation (DLE, NannyML). A model of the model's losses says what to expect of each row ([`Expected`] takes it).
//!
//! Intervals are the sampling error that a window of so many rows has on the held rows: their standard error times the root of the ratio of rows.
//!
//! Differs: ROC-AUC is read from 1/16-logit wide bins of scores, ties counting half, so that a window's size does not depend on its rows.

use crate::measure;
use crate::measure::{LEVEL, Quality};
use crate::tails::reach;
use crate::target::TargetReference;
use cupola_task::Task;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bins of a unit of the logit, and the largest logit that is told from larger ones.
const BINS_PER_LOGIT: f64 = 16.0;
const LOGIT_MAX: f64 = 30.0;
/// As scikit-learn clips probabilities for the log loss of `f64`.
const PROBABILITY_MIN: f64 = f64::EPSILON;

/// Sums from which quality is expected.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Expected {
    /// How many rows.
    pub rows: u64,
    /// For each class the expected rows where it is said and true.
    hit: Vec<f64>,
    /// For each class the expected rows where it is true.
    truth: Vec<f64>,
    /// For each class the rows where it is said.
    said: Vec<f64>,
    /// The expected sum of log losses.
    log_loss: f64,
    /// For each class and bin of its score the expected rows of the class, and of all others.
    ranks: Vec<BTreeMap<i16, [f64; 2]>>,
    /// The expected sums of absolute and of squared errors.
    losses: [f64; 2],
}

impl Expected {
    pub(crate) fn new(classes: usize) -> Expected {
        let zeros = vec![0.0; classes];
        Expected { hit: zeros.clone(), truth: zeros.clone(), said: zeros, ranks: vec![BTreeMap::new(); classes], ..Expected::default() }
    }

    /// Adds a row's scores.
    pub(crate) fn push(&mut self, target: &TargetReference, scores: &[f64]) {
        let probabilities = target.calibrated(scores);
        let said = target.choose(scores);
        self.rows += 1;
        self.said[said] += 1.0;
        self.hit[said] += probabilities[said];
        for (class, (&score, &probability)) in scores.iter().zip(&probabilities).enumerate() {
            self.truth[class] += probability;
            self.log_loss -= probability * score.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN).ln();
            let [own, others] = self.ranks[class].entry(bin(score)).or_default();
            *own += probability;
            *others += 1.0 - probability;
        }
    }

    pub(crate) fn push_losses(&mut self, losses: &[[f64; 2]]) {
        self.rows += losses.len() as u64;
        losses.iter().for_each(|row| self.losses.iter_mut().zip(row).for_each(|(sum, loss)| *sum += loss));
    }

    fn value(&self, metric: &str) -> f64 {
        let rows = self.rows as f64;
        match metric {
            "accuracy" => self.hit.iter().sum::<f64>() / rows,
            "precision" => self.average(|hit, _, said| (hit, said)),
            "recall" => self.average(|hit, truth, _| (hit, truth)),
            "f1" => self.average(|hit, truth, said| (2.0 * hit, truth + said)),
            "roc_auc" => self.over_classes(|class| area(&self.ranks[class])),
            "log_loss" => self.log_loss / rows,
            "mae" => self.losses[0] / rows,
            "mse" => self.losses[1] / rows,
            "rmse" => (self.losses[1] / rows).sqrt(),
            _ => f64::NAN,
        }
    }

    fn average(&self, ratio: fn(f64, f64, f64) -> (f64, f64)) -> f64 {
        self.over_classes(|class| {
            let (above, below) = ratio(self.hit[class], self.truth[class], self.said[class]);
            if below > 0.0 { above / below } else { 0.0 }
        })
    }

    /// Of two classes that of the last, the positive one; of more their mean, as the measures themselves do.
    fn over_classes(&self, value: impl Fn(usize) -> f64) -> f64 {
        match self.hit.len() {
            2 => value(1),
            classes => (0..classes).map(value).sum::<f64>() / classes as f64,
        }
    }
}

fn bin(score: f64) -> i16 {
    let logit = (score / (1.0 - score)).ln();
    let logit = if logit.is_nan() { 0.0 } else { logit.clamp(-LOGIT_MAX, LOGIT_MAX) };
    (logit * BINS_PER_LOGIT).round() as i16
}

fn area(ranks: &BTreeMap<i16, [f64; 2]>) -> f64 {
    let (mut own, mut others, mut area) = (0.0, 0.0, 0.0);
    for [more, other] in ranks.values() {
        area += more * (others + other / 2.0);
        own += more;
        others += other;
    }
    area / (own * others)
}

/// What quality to expect of a window's answers, in the order of the reference's measures; those that cannot be expected are left out.
pub fn estimate(target: &TargetReference, expected: &Expected) -> Vec<Quality> {
    let is_known = expected.rows > 0 && (target.task == Task::Classify || expected.losses[1] > 0.0);
    let one = |reference: &Quality| {
        let value = expected.value(&reference.metric);
        let half = reach(LEVEL) * reference.deviation() / (expected.rows as f64).sqrt();
        let bounds = measure::bounds(&reference.metric);
        let [low, high] = [value - half, value + half].map(|end| end.clamp(bounds[0], bounds[1]));
        value.is_finite().then(|| Quality { value, low, high, rows: expected.rows, ..reference.clone() })
    };
    if is_known { target.quality.iter().filter_map(one).collect() } else { vec![] }
}
