//! What changes the shape of a column's distribution, after its missing cells are filled and before it is scaled: a power,
//! its quantiles, or bins.

mod bins;
mod power;
mod quantiles;

use super::choice::{Choice, Scaling};
use bins::Bins;
use cupola_task::{Error, Result, Value};
use quantiles::Quantiles;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A change of shape. Missing stays missing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// Yeo and Johnson's power of that exponent.
    Power(f64),
    Quantiles(Quantiles),
    Bins(Bins),
}

impl Shape {
    /// Learns from the filled values, ascending; none where neither bins nor such a scale is asked for. Bins are for whole columns, not
    /// for parts of dates.
    ///
    /// # Errors
    /// When two changes of shape are asked for.
    pub fn fit(sorted: &[f64], scaling: Scaling, choice: &Choice, takes_bins: bool) -> Result<Option<Shape>> {
        let bins = choice.bins.filter(|_| takes_bins);
        Ok(match (bins, scaling) {
            (Some(_), Scaling::Power | Scaling::Quantile | Scaling::QuantileNormal) => {
                let wanted = format!("none|standard|minmax|robust, or {}=none", choice.key("bins"));
                return Err(Error::setting(choice.key("scale"), format!("{} with bins", scaling.word()), wanted));
            }
            (Some(count), _) => Some(Shape::Bins(Bins::fit(sorted, count, choice))),
            (None, Scaling::Power) => Some(Shape::Power(power::exponent(sorted))),
            (None, Scaling::Quantile | Scaling::QuantileNormal) => {
                Some(Shape::Quantiles(Quantiles::fit(sorted, choice.n_quantiles, scaling == Scaling::QuantileNormal)))
            }
            _ => None,
        })
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        match self {
            Shape::Power(exponent) => exponent.is_finite(),
            Shape::Quantiles(quantiles) => quantiles.is_sound(),
            Shape::Bins(bins) => bins.open(),
        }
    }

    /// A value in the new shape; for bins its bin's number.
    pub fn value(&self, value: f64) -> f64 {
        match self {
            _ if value.is_nan() => value,
            Shape::Power(exponent) => power::value(value, *exponent),
            Shape::Quantiles(quantiles) => quantiles.value(value),
            Shape::Bins(bins) => bins.place(value) as f64,
        }
    }

    /// The bins, where each is an element of a vector.
    pub fn one_hot(&self) -> Option<&[Arc<str>]> {
        match self {
            Shape::Bins(bins) if bins.is_one_hot() => Some(bins.names()),
            _ => None,
        }
    }

    /// What it does, as a sentence's part.
    pub fn describe(&self) -> String {
        match self {
            Shape::Power(exponent) => format!("Yeo-Johnson's power {exponent}"),
            Shape::Quantiles(quantiles) => quantiles.describe(),
            Shape::Bins(bins) => bins.describe(),
        }
    }

    /// The settings that lead here without `auto`, beside `scale`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        match self {
            Shape::Power(_) | Shape::Quantiles(_) => vec![],
            Shape::Bins(bins) => bins.resolved(),
        }
    }
}
