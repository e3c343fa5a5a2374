//! Numbers: outliers taken back to bounds or marked, missing cells filled, an indicator of where, and a scale. Values equal
//! scikit-learn's `SimpleImputer` followed by `StandardScaler`, `MinMaxScaler` or `RobustScaler`: the scale is that of the
//! filled column.

use super::choice::{Choice, Missing, Outliers, Scaling};
use super::outliers::Bounds;
use super::shape::Shape;
use cupola_task::{Error, Result, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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
    /// Whether a column of its own tells where cells were missing.
    pub indicator: bool,
    /// Where outliers begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounds: Option<Bounds>,
    /// What changes its shape before it is scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shape: Option<Shape>,
    /// How many training cells were outliers, to tell.
    #[serde(skip)]
    met: Option<usize>,
}

/// What a column of numbers can do about missing cells.
const ALLOWED: &[Missing] = &[
    Missing::None,
    Missing::Mean,
    Missing::Median,
    Missing::Mode,
    Missing::Constant,
    Missing::Forward,
    Missing::Neighbours,
    Missing::Iterative,
];
/// What parts of dates and ranks of classes can: they are no columns of their own, so nothing fills them together with others.
const ALLOWED_PARTS: &[Missing] = &[Missing::None, Missing::Mean, Missing::Median, Missing::Mode, Missing::Constant];

/// The way with missing cells of a column of numbers.
///
/// # Errors
/// When the column's own setting is not for numbers.
pub(crate) fn missing(choice: &Choice) -> Result<Missing> {
    resolve(ALLOWED, choice)
}

fn resolve(allowed: &[Missing], choice: &Choice) -> Result<Missing> {
    let missing = choice.missing(allowed)?.unwrap_or(if choice.is_scaled() { Missing::Median } else { Missing::None });
    if choice.is_scaled() && missing == Missing::None {
        let words: Vec<&str> = allowed.iter().skip(1).map(|missing| missing.word()).collect();
        let wanted = format!("{}, for the model takes no missing values", words.join("|"));
        return Err(Error::setting(choice.key("missing"), "none", wanted));
    }
    Ok(missing)
}

impl NumberStep {
    /// Learns from the training values of a part of a date or of the ranks of classes, NaN where missing.
    pub fn fit_part(values: &[f64], choice: &Choice) -> Result<NumberStep> {
        NumberStep::learn(values, values, resolve(ALLOWED_PARTS, choice)?, choice, false)
    }

    /// Learns from the training values of a column, NaN where missing, from the bounds of its outliers, and from the same values after
    /// those have clipped and other cells have filled them, where they have.
    pub fn fit(values: &[f64], bounds: Option<&Bounds>, filled: Option<&[f64]>, choice: &Choice) -> Result<NumberStep> {
        let clipped = bounds.map(|bounds| values.iter().map(|value| bounds.clip(*value)).collect::<Vec<f64>>());
        let clipped = clipped.as_deref().unwrap_or(values);
        let step = NumberStep::learn(clipped, filled.unwrap_or(clipped), missing(choice)?, choice, true)?;
        let met = bounds.and_then(|bounds| bounds.count(values));
        Ok(NumberStep { bounds: bounds.cloned(), met, ..step })
    }

    fn learn(values: &[f64], filled: &[f64], missing: Missing, choice: &Choice, takes_bins: bool) -> Result<NumberStep> {
        let absent = values.iter().filter(|value| value.is_nan()).count();
        let fill = fill(&sorted(values), missing, choice)?;
        let scaling = choice.scale.unwrap_or(if choice.is_scaled() { Scaling::Standard } else { Scaling::None });
        let mut present = sorted(filled);
        if let Some(fill) = fill {
            let place = present.partition_point(|value| *value < fill);
            present.splice(place..place, std::iter::repeat_n(fill, filled.len() - present.len()));
        }
        let shape = Shape::fit(&present, scaling, choice, takes_bins)?;
        if let Some(shape) = &shape {
            // Every shape keeps the order.
            present.iter_mut().for_each(|value| *value = shape.value(*value));
        }
        let scaling = if shape.as_ref().is_some_and(|shape| shape.one_hot().is_some()) { Scaling::None } else { scaling };
        let (center, scale) = scale(&present, scaling);
        let indicator = choice.indicator.unwrap_or(choice.is_scaled() && absent > 0 && absent < values.len());
        Ok(NumberStep { missing, fill, scaling, center, scale, indicator, bounds: None, shape, met: None })
    }

    /// The identity, for values that are never missing and are scaled only where asked.
    pub fn scaled(values: &[f64], choice: &Choice) -> NumberStep {
        let scaling = choice.scale.unwrap_or(if choice.is_scaled() { Scaling::Standard } else { Scaling::None });
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        // Means of targets take no change of shape: they are scaled as numbers that have one already.
        let scaling = match scaling {
            Scaling::Power | Scaling::Quantile | Scaling::QuantileNormal => Scaling::Standard,
            scaling => scaling,
        };
        let (center, scale) = scale(&sorted, scaling);
        NumberStep { missing: Missing::None, fill: None, scaling, center, scale, indicator: false, bounds: None, shape: None, met: None }
    }

    /// A raw value, on a bound where it is clipped.
    pub fn clip(&self, raw: f64) -> f64 {
        self.bounds.as_ref().map_or(raw, |bounds| bounds.clip(raw))
    }

    /// The prepared value of a raw one, NaN where missing; finite whenever the step fills.
    pub fn value(&self, raw: f64) -> f64 {
        self.finish(self.clip(raw))
    }

    /// The prepared value of one that was clipped, and perhaps filled from other cells.
    pub fn finish(&self, value: f64) -> f64 {
        let filled = match self.fill {
            Some(fill) if value.is_nan() => fill,
            _ => value,
        };
        let shaped = self.shape.as_ref().map_or(filled, |shape| shape.value(filled));
        ((shaped - self.center) / self.scale).clamp(f64::MIN, f64::MAX)
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        self.shape.as_mut().is_none_or(Shape::open) && self.is_sound()
    }

    /// The names of the elements, where a value becomes a vector.
    pub fn elements(&self) -> Option<&[Arc<str>]> {
        self.shape.as_ref().and_then(Shape::one_hot)
    }

    /// Whether all that was read from outside is in range.
    fn is_sound(&self) -> bool {
        self.fill.is_none_or(f64::is_finite)
            && self.center.is_finite()
            && self.scale.is_finite()
            && self.scale > 0.0
            && self.bounds.as_ref().is_none_or(Bounds::is_sound)
    }

    /// Whether every value it gives is finite, missing or not.
    pub fn fills(&self) -> bool {
        self.fill.is_some()
    }

    /// What marks outliers, where a column of its own tells of them.
    pub fn marks(&self) -> Option<&Bounds> {
        self.bounds.as_ref().filter(|bounds| bounds.action == Outliers::Flag)
    }

    /// How many training cells were outliers, as a sentence.
    pub fn told(&self) -> Option<String> {
        let bounds = self.bounds.as_ref().filter(|bounds| bounds.action != Outliers::Drop)?;
        let cells = if self.met? == 1 { "1 training cell:".to_owned() } else { format!("{} training cells:", self.met?) };
        Some(format!("{cells} {}", bounds.describe()))
    }

    /// The way with missing cells.
    pub fn missing(&self) -> Missing {
        self.missing
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        let filled = match (self.missing, self.fill) {
            (Missing::Constant, Some(fill)) => format!("missing become {fill}"),
            (Missing::Forward, Some(fill)) => {
                format!("missing become the last value before them in training, and the median {fill} in rows that stand alone")
            }
            (Missing::Neighbours, _) => "missing become the mean of the nearest training rows".into(),
            (Missing::Iterative, _) => "missing become what the other numbers say".into(),
            (missing, Some(fill)) => format!("missing become the {} {fill}", missing.word()),
            _ => "missing stay missing".into(),
        };
        let indicator = if self.indicator { ", marked in a column of their own" } else { "" };
        let shaped = self.shape.as_ref().map_or(String::new(), |shape| format!("; {}", shape.describe()));
        let scaled = match self.scaling {
            Scaling::None | Scaling::Quantile | Scaling::QuantileNormal => String::new(),
            Scaling::Power => format!("; standard scale ({} and {})", self.center, self.scale),
            _ => format!("; {} scale ({} and {})", self.scaling.word(), self.center, self.scale),
        };
        let bounded = self.bounds.as_ref().map_or(String::new(), |bounds| format!("{}; ", bounds.describe()));
        format!("{bounded}{filled}{indicator}{shaped}{scaled}")
    }

    /// The settings that lead here without `auto`: names and values.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let mut settings = vec![("missing", Value::Text(self.missing.word().into()))];
        if let (Missing::Constant, Some(fill)) = (self.missing, self.fill) {
            settings.push(("fill", Value::Real(fill)));
        }
        settings.push(("indicator", Value::Flag(self.indicator)));
        settings.push(("scale", Value::Text(self.scaling.word().into())));
        settings.extend(self.bounds.iter().flat_map(Bounds::resolved));
        settings.extend(self.shape.iter().flat_map(Shape::resolved));
        settings
    }

    /// The word of its scale.
    pub fn scaling(&self) -> &'static str {
        self.scaling.word()
    }
}

/// The values that are there, ascending.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut present: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    present.sort_unstable_by(f64::total_cmp);
    present
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
        Missing::Mean | Missing::Neighbours | Missing::Iterative => Some(mean(sorted)),
        Missing::Median | Missing::Forward => Some(quantile(sorted, 0.5)),
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
        Scaling::None | Scaling::Quantile | Scaling::QuantileNormal => (0.0, 1.0),
        Scaling::Standard | Scaling::Power => standard(sorted),
        Scaling::Minmax => (least, or_one(most - least)),
        Scaling::Robust => (quantile(sorted, 0.5), or_one(quantile(sorted, 0.75) - quantile(sorted, 0.25))),
    }
}

/// Mean and population deviation. A deviation within the rounding error of the sums counts as none, as in `StandardScaler`.
pub(crate) fn standard(sorted: &[f64]) -> (f64, f64) {
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
                let fill = Some(quantile(&sorted, 0.5));
                let step = NumberStep {
                    missing: Missing::Median,
                    fill,
                    scaling,
                    center,
                    scale,
                    indicator: false,
                    bounds: None,
                    shape: None,
                    met: None,
                };
                assert!(step.is_sound(), "{step:?}");
                assert!(values.iter().chain(&[f64::NAN, f64::MIN, f64::MAX]).all(|&value| step.value(value).is_finite()), "{step:?}");
            }
        }
        assert_eq!(mode(&[1.0, 2.0, 2.0, 3.0, 3.0]), 2.0);
    }
}
