//! Residuals of a regression: what is left of the truth when the answer is taken away.

use crate::rows::{self, Weights};
use cupola_task::{Answer, Field, Result, View};

const POINTS_MAX: usize = 1000;
const BARS: usize = 40;

/// Truth minus answer, summed up for a reader and for plots.
#[derive(Clone, Debug, PartialEq)]
pub struct Residuals {
    /// The mean, by weight: how much the answers are too low.
    pub mean: f64,
    /// The standard deviation, by weight.
    pub deviation: f64,
    /// The smallest, the 5th, 25th, 50th, 75th and 95th percentile, by weight, and the largest.
    pub quantiles: [f64; 7],
    /// Answers and residuals of at most 1000 rows, evenly taken in the order of the answers.
    pub points: Vec<[f64; 2]>,
    /// Lower edges of 40 bars of equal width from the smallest to the largest residual, with their rows' weight.
    pub bars: Vec<[f64; 2]>,
}

impl Residuals {
    /// The shares of [`Residuals::quantiles`].
    pub const SHARES: [f64; 7] = [0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0];
}

/// Sums up a regression's residuals.
///
/// # Errors
/// When there are no rows, target, truth or answer are not numbers, or their lengths differ.
pub fn residuals(field: &Field, answer: &Answer, view: View<'_>) -> Result<Residuals> {
    rows::number(field)?;
    let values = rows::values(answer)?;
    let truth = rows::numbers(&view, values.len())?;
    let weights = rows::weighted(&view, values.len())?;
    if values.is_empty() {
        return Err(rows::no_rows());
    }
    let residuals: Vec<f64> = truth.iter().zip(values).map(|(truth, value)| truth - value).collect();
    let mean = mean_of(&weights, |row| residuals[row]);
    let deviation = mean_of(&weights, |row| (residuals[row] - mean).powi(2)).sqrt();
    let quantiles = quantiles(&weights, &residuals);
    let bars = bars(&weights, &residuals, quantiles[0], quantiles[6]);
    Ok(Residuals { mean, deviation, quantiles, points: points(values, &residuals), bars })
}

fn mean_of(weights: &Weights, value: impl Fn(usize) -> f64) -> f64 {
    let mut sum = 0.0;
    weights.each(None, |row, mass| sum += mass * value(row));
    sum / weights.total()
}

fn sorted(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    order
}

fn quantiles(weights: &Weights, residuals: &[f64]) -> [f64; 7] {
    let order = sorted(residuals);
    let total = weights.total();
    let mut sum = 0.0;
    let sums: Vec<f64> = order
        .iter()
        .map(|&row| {
            sum += weights.at(row);
            sum
        })
        .collect();
    Residuals::SHARES.map(|share| {
        let place = if share == 1.0 { order.len() - 1 } else { sums.partition_point(|sum| *sum < share * total) };
        residuals[order[place.min(order.len() - 1)]]
    })
}

fn points(values: &[f64], residuals: &[f64]) -> Vec<[f64; 2]> {
    let order = sorted(values);
    let count = order.len().min(POINTS_MAX);
    (0..count).map(|point| order[point * order.len() / count]).map(|row| [values[row], residuals[row]]).collect()
}

fn bars(weights: &Weights, residuals: &[f64], low: f64, high: f64) -> Vec<[f64; 2]> {
    let width = (high - low) / BARS as f64;
    let mut bars: Vec<[f64; 2]> = (0..BARS).map(|bar| [low + bar as f64 * width, 0.0]).collect();
    weights.each(None, |row, mass| bars[(((residuals[row] - low) / width) as usize).min(BARS - 1)][1] += mass);
    bars
}
