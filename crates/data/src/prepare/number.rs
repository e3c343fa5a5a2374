//! Numbers: missing cells filled, an indicator of where, and a scale. Values equal scikit-learn's `SimpleImputer` followed
//! by `StandardScaler`, `MinMaxScaler` or `RobustScaler`: the scale is that of the filled column.

use super::settings::{Choice, Missing, Scaling};
use cupola_task::{Error, Result, Value};
use serde::{Deserialize, Serialize};

/// What is done to one column of numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberStep {
    missing: Missing,
    /// Stands in for missing cells.
    fill: Option<f64>,
    scaling: Scaling,
    center: f64,
    scale: f64,
    /// Whether a second column tells where cells were missing.
    pub indicator: bool,
}

const ALLOWED: &[Missing] = &[Missing::None, Missing::Mean, Missing::Median, Missing::Mode, Missing::Constant];

impl NumberStep {
    /// Learns from training values, NaN where missing.
    pub fn fit(values: &[f64], choice: &Choice) -> Result<NumberStep> {
        let missing = choice.missing(ALLOWED)?.unwrap_or(if choice.is_scaled() { Missing::Median } else { Missing::None });
        if choice.is_scaled() && missing == Missing::None {
            let wanted = "mean|median|mode|constant, for the model takes no missing values";
            return Err(Error::setting(choice.key("missing"), "none", wanted));
        }
        let mut present: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        let absent = values.len() - present.len();
        present.sort_unstable_by(f64::total_cmp);
        let fill = fill(&present, missing, choice)?;
        let scaling = choice.scale.unwrap_or(if choice.is_scaled() { Scaling::Standard } else { Scaling::None });
        if let Some(fill) = fill {
            let place = present.partition_point(|value| *value < fill);
            present.splice(place..place, std::iter::repeat_n(fill, absent));
        }
        let (center, scale) = scale(&present, scaling);
        let indicator = choice.indicator.unwrap_or(choice.is_scaled() && absent > 0 && !values.is_empty() && absent < values.len());
        Ok(NumberStep { missing, fill, scaling, center, scale, indicator })
    }

    /// The identity, for values that are never missing and are scaled only where asked.
    pub fn scaled(values: &[f64], choice: &Choice) -> NumberStep {
        let scaling = choice.scale.unwrap_or(if choice.is_scaled() { Scaling::Standard } else { Scaling::None });
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (center, scale) = scale(&sorted, scaling);
        NumberStep { missing: Missing::None, fill: None, scaling, center, scale, indicator: false }
    }

    /// The prepared value of a raw one, NaN where missing; finite whenever the step fills.
    pub fn value(&self, raw: f64) -> f64 {
        let filled = match self.fill {
            Some(fill) if raw.is_nan() => fill,
            _ => raw,
        };
        ((filled - self.center) / self.scale).clamp(f64::MIN, f64::MAX)
    }

    /// Whether all that was read from outside is in range.
    pub fn is_sound(&self) -> bool {
        self.fill.is_none_or(f64::is_finite) && self.center.is_finite() && self.scale.is_finite() && self.scale > 0.0
    }

    /// Whether every value it gives is finite, missing or not.
    pub fn fills(&self) -> bool {
        self.fill.is_some()
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        let filled = match (self.missing, self.fill) {
            (Missing::Constant, Some(fill)) => format!("missing become {fill}"),
            (missing, Some(fill)) => format!("missing become the {} {fill}", missing.word()),
            _ => "missing stay missing".into(),
        };
        let indicator = if self.indicator { ", marked in a column of their own" } else { "" };
        let scaled = match self.scaling {
            Scaling::None => String::new(),
            _ => format!("; {} scale ({} and {})", self.scaling.word(), self.center, self.scale),
        };
        format!("{filled}{indicator}{scaled}")
    }

    /// The settings that lead here without `auto`: names and values.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let mut settings = vec![("missing", Value::Text(self.missing.word().into()))];
        if let (Missing::Constant, Some(fill)) = (self.missing, self.fill) {
            settings.push(("fill", Value::Real(fill)));
        }
        settings.push(("indicator", Value::Flag(self.indicator)));
        settings.push(("scale", Value::Text(self.scaling.word().into())));
        settings
    }

    /// The word of its scale.
    pub fn scaling(&self) -> &'static str {
        self.scaling.word()
    }
}

/// What stands in for missing cells; 0 where the training rows have no value to learn from.
fn fill(sorted: &[f64], missing: Missing, choice: &Choice) -> Result<Option<f64>> {
    Ok(match missing {
        Missing::None | Missing::Class => None,
        Missing::Constant => Some(match &choice.fill {
            None => 0.0,
            Some(Value::Real(fill)) => *fill,
            Some(Value::Integer(fill)) => *fill as f64,
            Some(other) => return Err(Error::setting(choice.key("fill"), other, "a number")),
        }),
        _ if sorted.is_empty() => Some(0.0),
        Missing::Mean => Some(mean(sorted)),
        Missing::Median => Some(quantile(sorted, 0.5)),
        Missing::Mode => Some(mode(sorted)),
    })
}

/// What values are scaled by before they are summed, so that no sum overflows.
fn unit(sorted: &[f64]) -> f64 {
    let largest = sorted.first().map_or(0.0, |first| first.abs()).max(sorted.last().map_or(0.0, |last| last.abs()));
    if largest > 1e150 { largest } else { 1.0 }
}

fn mean(sorted: &[f64]) -> f64 {
    let unit = unit(sorted);
    sorted.iter().map(|value| value / unit).sum::<f64>() / sorted.len() as f64 * unit
}

/// The quantile by linear interpolation (numpy's default) of sorted values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + (high - low).clamp(f64::MIN, f64::MAX) * (place - place.floor())
}

/// The most frequent value, the smallest of equals.
fn mode(sorted: &[f64]) -> f64 {
    let runs = sorted.chunk_by(|a, b| a == b);
    runs.rev().max_by_key(|run| run.len()).map_or(0.0, |run| run[0])
}

/// Center and scale of sorted values; a scale of nothing is 1.
fn scale(sorted: &[f64], scaling: Scaling) -> (f64, f64) {
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return (0.0, 1.0) };
    let or_one = |scale: f64| if scale.is_finite() && scale >= 10.0 * f64::EPSILON { scale } else { 1.0 };
    match scaling {
        Scaling::None => (0.0, 1.0),
        Scaling::Standard => standard(sorted),
        Scaling::Minmax => (least, or_one(most - least)),
        Scaling::Robust => (quantile(sorted, 0.5), or_one(quantile(sorted, 0.75) - quantile(sorted, 0.25))),
    }
}

/// Mean and population deviation. A deviation within the rounding error of the sums counts as none, as in `StandardScaler`.
fn standard(sorted: &[f64]) -> (f64, f64) {
    let (rows, unit, center) = (sorted.len() as f64, unit(sorted), mean(sorted));
    let middle = center / unit;
    let variance = sorted.iter().map(|value| (value / unit - middle).powi(2)).sum::<f64>() / rows;
    let is_constant = variance <= rows * f64::EPSILON * variance + (rows * middle * f64::EPSILON).powi(2);
    (center, if is_constant { 1.0 } else { variance.sqrt() * unit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_would_overflow_stay_finite() {
        for values in [[f64::MIN, f64::MAX, f64::MAX], [1e308, 1.1e308, 1.2e308], [5e-324, 1e-323, 0.0], [7.0, 7.0, 7.0]] {
            let mut sorted = values.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            for scaling in [Scaling::None, Scaling::Standard, Scaling::Minmax, Scaling::Robust] {
                let (center, scale) = scale(&sorted, scaling);
                let step =
                    NumberStep { missing: Missing::Median, fill: Some(quantile(&sorted, 0.5)), scaling, center, scale, indicator: false };
                assert!(step.is_sound(), "{step:?}");
                assert!(values.iter().chain(&[f64::NAN, f64::MIN, f64::MAX]).all(|&value| step.value(value).is_finite()), "{step:?}");
            }
        }
        assert_eq!(mode(&[1.0, 2.0, 2.0, 3.0, 3.0]), 2.0);
    }
}
