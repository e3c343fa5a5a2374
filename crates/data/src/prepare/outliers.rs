//! Outliers: numbers so far from the others that they are taken back to a bound, marked, or cause to leave a training row
//! out. The bounds are learned from the training cells that are there, before anything is filled or scaled.

use super::choice::{Choice, OutlierRule, Outliers};
use super::number::{quantile, sorted, standard};
use cupola_task::{Error, Result, Value};
use serde::{Deserialize, Serialize};

/// Where outliers of a column begin, and what is done about them.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bounds {
    pub action: Outliers,
    rule: OutlierRule,
    factor: f64,
    low: f64,
    high: f64,
}

impl Bounds {
    /// Whether the recipe asks for some.
    pub fn are_asked(choice: &Choice) -> bool {
        choice.outliers.is_some_and(|action| action != Outliers::None)
    }

    /// Learns from training values; none where the recipe asks for nothing.
    ///
    /// # Errors
    /// When the factor does not suit the rule.
    pub fn fit(values: &[f64], choice: &Choice) -> Result<Option<Bounds>> {
        let action = choice.outliers.unwrap_or(Outliers::None);
        if action == Outliers::None {
            return Ok(None);
        }
        let rule = choice.outlier_rule.unwrap_or(OutlierRule::Quartiles);
        let factor = choice.outlier_factor.unwrap_or(match rule {
            OutlierRule::Quartiles => 1.5,
            OutlierRule::Deviations => 3.0,
            OutlierRule::Quantile => 0.01,
        });
        if rule == OutlierRule::Quantile && factor >= 0.5 {
            return Err(Error::setting(
                choice.key("outlier_factor"),
                factor,
                "a share below 0.5 on each side, for outlier_method=quantile",
            ));
        }
        let present = sorted(values);
        let (low, high) = if present.is_empty() { (f64::MIN, f64::MAX) } else { bounds(&present, rule, factor) };
        Ok(Some(Bounds { action, rule, factor, low, high }))
    }

    /// Whether all that was read from outside is in range.
    pub fn is_sound(&self) -> bool {
        self.low.is_finite() && self.high.is_finite() && self.low <= self.high && self.factor.is_finite()
    }

    /// Whether the value, if there is one, is beyond them.
    pub fn is_beyond(&self, value: f64) -> bool {
        value < self.low || value > self.high
    }

    /// The value, on a bound where it is clipped.
    pub fn clip(&self, value: f64) -> f64 {
        // What is missing stays so: comparisons with NaN are false.
        match self.action {
            Outliers::Clip if value < self.low => self.low,
            Outliers::Clip if value > self.high => self.high,
            _ => value,
        }
    }

    /// What it does, as a sentence's part.
    pub fn describe(&self) -> String {
        if self.low == f64::MIN {
            return format!("no outliers, for half of the rows or more share one value ({})", self.rule.word());
        }
        let what = match self.action {
            Outliers::Clip => "clipped",
            Outliers::Flag => "marked in a column of their own",
            Outliers::Drop => "left out of training with their rows",
            Outliers::None => "kept",
        };
        format!("values beyond {}..{} ({} {}) {what}", self.low, self.high, self.rule.word(), self.factor)
    }

    /// How many training cells it met; none where there are none.
    pub fn count(&self, values: &[f64]) -> Option<usize> {
        Some(values.iter().filter(|value| self.is_beyond(**value)).count()).filter(|count| *count > 0)
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let word = |word: &str| Value::Text(word.into());
        vec![
            ("outliers", word(self.action.word())),
            ("outlier_method", word(self.rule.word())),
            ("outlier_factor", Value::Real(self.factor)),
        ]
    }
}

/// A spread of nothing says nothing about what is unusual: such a column has no outliers.
fn bounds(sorted: &[f64], rule: OutlierRule, factor: f64) -> (f64, f64) {
    let around = |low: f64, high: f64, spread: f64| match spread > 0.0 {
        true => ((low - factor * spread).max(f64::MIN), (high + factor * spread).min(f64::MAX)),
        false => (f64::MIN, f64::MAX),
    };
    match rule {
        OutlierRule::Quartiles => {
            let (low, high) = (quantile(sorted, 0.25), quantile(sorted, 0.75));
            around(low, high, high - low)
        }
        OutlierRule::Deviations => {
            let (mean, deviation) = standard(sorted);
            let is_constant = sorted[0] == sorted[sorted.len() - 1];
            around(mean, mean, if is_constant { 0.0 } else { deviation })
        }
        OutlierRule::Quantile => (quantile(sorted, factor), quantile(sorted, 1.0 - factor)),
    }
}
