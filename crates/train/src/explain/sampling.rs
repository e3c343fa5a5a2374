//! SHAP values of any model, by sampling orders of the columns (Strumbelj and Kononenko, "Explaining prediction models and individual
//! predictions with feature contributions", 2014): columns go over from a background row to the row one after another, and each gets by how
//! much the score moved when it did. Each order is walked backwards, too, as `shap.PermutationExplainer` does (Mitchell, Cooper, Frank,
//! Holmes: "Sampling permutations for Shapley value estimation", JMLR 2022), which takes out the first-order part of the error.
//!
//! Each background row has one order of its own, so the mean over orders is also the mean over the background, and base and values add up to
//! the score exactly. The standard error is that of the orders' means.

use super::contributions::{Method, Told};
use super::subject::Subject;
use crate::Result;
use cupola_task::{Columns, Contributions, Draw, Unit};
use std::sync::Arc;

/// Rows that are answered at once.
const ROWS_AT_ONCE: usize = 8192;

/// SHAP values of the subject's score.
pub(super) fn sampled(subject: &Subject<'_>, inputs: &Columns, background: &Columns, draw: Draw) -> Result<Told> {
    let names: Vec<Arc<str>> = subject.pipeline.fitted.raw().inputs().map(|field| field.name.clone()).collect();
    let (rows, width, orders) = (inputs.rows(), names.len(), background.rows());
    let mut values = Vec::with_capacity(rows * width);
    let mut errors = Vec::with_capacity(rows * width);
    for row in 0..rows {
        let parts = row_parts(subject, inputs, row, background, draw.at(row as u64))?;
        for column in 0..width {
            let own = || parts.iter().map(|part| part[column]);
            let mean = own().sum::<f64>() / orders as f64;
            let variance = own().map(|part| (part - mean).powi(2)).sum::<f64>() / (orders.max(2) - 1) as f64;
            values.push(mean);
            errors.push((variance / orders as f64).sqrt());
        }
    }
    let scores = subject.scores(background)?;
    let base = vec![scores.iter().sum::<f64>() / orders as f64];
    let (outputs, unit) = match subject.class_name() {
        Some(class) => (vec![class.into()], Unit::Probability),
        None => (vec![subject.field.name.clone()], Unit::Number),
    };
    let contributions = Contributions { inputs: names, outputs, unit, base, values };
    Ok(Told { contributions, method: Method::Permutation, errors: Some(errors), output: 0 })
}

/// For each background row what each column got, on the way there and back.
fn row_parts(subject: &Subject<'_>, inputs: &Columns, row: usize, background: &Columns, draw: Draw) -> Result<Vec<Vec<f64>>> {
    let names: Vec<Arc<str>> = subject.pipeline.fitted.raw().inputs().map(|field| field.name.clone()).collect();
    let (width, orders) = (names.len(), background.rows());
    // Row 0 is the row itself, the others are the background.
    let table = Columns::concat(&[inputs.take(&[row as u64]), background.clone()])?;
    let order = |place: usize| draw.stream("orders").at(draw.step << 20 | place as u64).permutation(width as u64);
    let at_once = (ROWS_AT_ONCE / (2 * (width + 1))).max(1);
    let mut parts = Vec::with_capacity(orders);
    for first in (0..orders).step_by(at_once) {
        let chunk: Vec<Vec<u64>> = (first..(first + at_once).min(orders)).map(order).collect();
        let mixed = names.iter().enumerate().map(|(column, name)| {
            let sources: Vec<u64> =
                chunk.iter().enumerate().flat_map(|(place, order)| sources(column, order, (first + place + 1) as u64)).collect();
            Ok((
                name.clone(),
                table.get(name).ok_or_else(|| cupola_task::Error::input("columns", format!("no column {name}"), "it"))?.take(&sources),
            ))
        });
        let scores = subject.scores(&Columns::new(mixed.collect::<Result<_>>()?))?;
        for (order, scores) in chunk.iter().zip(scores.chunks_exact(2 * (width + 1))) {
            let mut part = vec![0.0; width];
            let (there, back) = scores.split_at(width + 1);
            for (step, &column) in order.iter().enumerate() {
                part[column as usize] += (there[step + 1] - there[step]) / 2.0;
            }
            for (step, &column) in order.iter().rev().enumerate() {
                part[column as usize] += (back[step + 1] - back[step]) / 2.0;
            }
            parts.push(part);
        }
    }
    Ok(parts)
}

/// Where a column's cells come from while an order is walked, and then while it is walked backwards.
fn sources(column: usize, order: &[u64], behind: u64) -> Vec<u64> {
    let step = order.iter().position(|&own| own == column as u64).expect("an order holds every column");
    let width = order.len();
    let of = |changes: usize| (0..=width).map(move |done| if done > changes { 0 } else { behind });
    of(step).chain(of(width - 1 - step)).collect()
}
