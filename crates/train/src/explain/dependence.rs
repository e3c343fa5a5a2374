//! Partial dependence (Friedman 2001, section 8.2) and individual conditional expectation (Goldstein, Kapelner, Bleich, Pitkin 2015).
//!
//! The grid is that of scikit-learn's `partial_dependence`: the distinct values when they are few, else places at equal steps between two
//! percentiles, which are those of `scipy.stats.mstats.mquantiles`. Differs: rows without a value keep their place in the mean and give none to
//! the grid; a category's values are its commonest ones.

use super::cells::{Cell, numbers, with};
use super::subject::Subject;
use crate::Result;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use cupola_task::Columns;
use std::collections::HashMap;

/// Most classes of a category that are tried.
const CLASSES_MAX: usize = 20;

/// The mean score over rows, and the score of some rows, with a column set to each place of a grid.
pub(super) struct Curves {
    pub grid: Vec<Cell>,
    pub mean: Vec<f64>,
    /// `[row][place]`.
    pub each: Vec<Vec<f64>>,
}

/// Curves of a column; `shown` are the rows whose own curve is kept. None for a column that has no value, or one whose cells cannot be set.
pub(super) fn curves(
    subject: &Subject<'_>,
    inputs: &Columns,
    weights: Option<&[f64]>,
    (column, grid): (&str, Vec<Cell>),
    shown: &[u64],
) -> Result<Option<Curves>> {
    let array = inputs.array(column)?.clone();
    let mut curves = Curves { grid: vec![], mean: vec![], each: vec![vec![]; shown.len()] };
    for cell in grid {
        let Some(repeated) = cell.repeated(&array, inputs.rows()) else { return Ok(None) };
        let scores = subject.scores(&with(inputs, column, repeated))?;
        curves.mean.push(weighted_mean(&scores, weights));
        curves.each.iter_mut().zip(shown).for_each(|(own, &row)| own.push(scores[row as usize]));
        curves.grid.push(cell);
    }
    Ok((!curves.grid.is_empty()).then_some(curves))
}

pub(super) fn weighted_mean(values: &[f64], weights: Option<&[f64]>) -> f64 {
    match weights {
        None => values.iter().sum::<f64>() / values.len() as f64,
        Some(weights) => {
            let total: f64 = weights.iter().sum();
            values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>() / total
        }
    }
}

/// The places of a column's grid, ascending; of a category its commonest classes.
pub(super) fn grid(array: &ArrayRef, resolution: usize, percentiles: [f64; 2]) -> Vec<Cell> {
    let is_date = numbers(array).is_some() && array.as_primitive_opt::<arrow_array::types::Float64Type>().is_none();
    let Some(values) = numbers(array) else { return classes(array) };
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup();
    let places = if distinct.len() < resolution {
        distinct
    } else {
        let [low, high] = percentiles.map(|share| mquantile(&sorted, share));
        let step = (high - low) / (resolution - 1) as f64;
        (0..resolution).map(|place| if place + 1 == resolution { high } else { low + step * place as f64 }).collect()
    };
    places.into_iter().map(|value| if is_date { Cell::Date(value as i64) } else { Cell::Number(value) }).collect()
}

/// `scipy.stats.mstats.mquantiles` with its defaults, alphap = betap = 0.4.
fn mquantile(sorted: &[f64], share: f64) -> f64 {
    let n = sorted.len() as f64;
    let at = n * share + (0.4 + share * (1.0 - 0.4 - 0.4));
    let place = at.clamp(1.0, (n - 1.0).max(1.0)).floor();
    let weight = (at - place).clamp(0.0, 1.0);
    let last = sorted.len() - 1;
    let at = |place: f64| sorted[(place as usize).min(last)];
    (1.0 - weight) * at(place - 1.0) + weight * at(place)
}

fn classes(array: &ArrayRef) -> Vec<Cell> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for text in array.as_string_opt::<i32>().into_iter().flatten().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let mut sorted: Vec<(&str, u64)> = counts.into_iter().collect();
    sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    sorted.truncate(CLASSES_MAX);
    sorted.sort_unstable();
    sorted.into_iter().map(|(name, _)| Cell::Text(name.to_owned())).collect()
}
