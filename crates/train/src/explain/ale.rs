//! Accumulated local effects (Apley and Zhu, "Visualizing the effects of predictor variables in black box supervised learning models", 2020):
//! as a partial dependence, but each row is moved only within the interval that it lies in, so that no row is asked about that cannot be.
//!
//! Intervals hold about equally many rows; the effect at their ends is the sum of the mean differences up to there, less its mean over all
//! rows, as the packages ALEPlot (R) and PyALE compute it. Numbers and dates have an order to move in; categories have none here.

use super::cells::{numbers, numbers_like, with};
use super::subject::Subject;
use crate::Result;
use cupola_task::Columns;

/// The effect at the ends of intervals.
pub(super) struct Effect {
    pub edges: Vec<f64>,
    pub effect: Vec<f64>,
    /// Rows of each interval.
    pub rows: Vec<u64>,
}

/// The effect of a column of numbers or dates; none for others and for a column of one value. Rows without a value are left out.
pub(super) fn effect(subject: &Subject<'_>, inputs: &Columns, column: &str, intervals: usize) -> Result<Option<Effect>> {
    let array = inputs.array(column)?;
    let Some(values) = numbers(array) else { return Ok(None) };
    let known: Vec<u64> = (0..values.len()).filter(|&row| values[row].is_finite()).map(|row| row as u64).collect();
    let values: Vec<f64> = known.iter().map(|&row| values[row as usize]).collect();
    let Some(edges) = edges(&values, intervals) else { return Ok(None) };
    let place = |value: f64| edges.partition_point(|edge| *edge < value).clamp(1, edges.len() - 1) - 1;
    let places: Vec<usize> = values.iter().map(|&value| place(value)).collect();
    let moved = |by: usize| {
        let to: Vec<f64> = places.iter().map(|&place| edges[place + by]).collect();
        subject.scores(&with(&inputs.take(&known), column, numbers_like(array, &to)))
    };
    let (low, high) = (moved(0)?, moved(1)?);
    let mut rows = vec![0u64; edges.len() - 1];
    let mut sums = vec![0.0; edges.len() - 1];
    for (row, &place) in places.iter().enumerate() {
        rows[place] += 1;
        sums[place] += high[row] - low[row];
    }
    let mut effect = vec![0.0];
    for (sum, rows) in sums.iter().zip(&rows) {
        effect.push(effect.last().copied().unwrap_or(0.0) + if *rows > 0 { sum / *rows as f64 } else { 0.0 });
    }
    // The mean over rows, where a row's effect is that in the middle of its interval.
    let mean =
        (0..rows.len()).map(|place| (effect[place] + effect[place + 1]) / 2.0 * rows[place] as f64).sum::<f64>() / known.len() as f64;
    effect.iter_mut().for_each(|effect| *effect -= mean);
    Ok(Some(Effect { edges, effect, rows }))
}

/// The ends of intervals: quantiles of the kind that R calls type 1 over n - 1 steps, as PyALE takes them; equal ones once.
fn edges(values: &[f64], intervals: usize) -> Option<Vec<f64>> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let at = |step: usize| {
        // Written as numpy's linspace is, whose rounding decides on which side of a value a place falls.
        let place = last as f64 * (step as f64 * (1.0 / intervals as f64));
        let (whole, rest) = (place.floor() as usize, place.fract());
        // Between two values the upper one of the pair before, as there: a whole place stands for the value before it.
        if rest == 0.0 { sorted[whole.saturating_sub(1)] } else { sorted[whole] }
    };
    let mut edges: Vec<f64> = std::iter::once(sorted[0]).chain((1..intervals).map(at)).chain([sorted[last]]).collect();
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    (edges.len() > 1).then_some(edges)
}
