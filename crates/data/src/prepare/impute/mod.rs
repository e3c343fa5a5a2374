//! Missing numbers from the other numbers of their row: by the nearest training rows, or by a regression of each column
//! on all others.
//!
//! Both look at columns scaled to mean 0 and deviation 1, so that no column counts more because of its unit: values equal
//! scikit-learn's `StandardScaler` followed by `KNNImputer` or `IterativeImputer`, brought back to the column's own scale.

mod iterative;
mod neighbours;
mod ridge;

use super::choice::Missing;
use super::number::standard;
use cupola_task::{Draw, Error, Result};
use iterative::Iterative;
use neighbours::Neighbours;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows from which on they are filled in parallel.
const MANY_ROWS: usize = 256;

/// Fills columns of numbers by each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Imputer {
    /// The places of its columns among the table's inputs, ascending.
    pub inputs: Vec<usize>,
    /// Mean and deviation of each column's training cells.
    scales: Vec<(f64, f64)>,
    method: Method,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Knn(Neighbours),
    Iterative(Iterative),
}

/// How an imputer is to learn.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    /// `knn` or `iterative`.
    pub missing: Missing,
    /// For `knn`.
    pub n_neighbors: usize,
    /// Chooses the training rows that are looked at where there are too many.
    pub draw: Draw,
}

impl Imputer {
    /// Learns from training columns, NaN where missing.
    pub fn fit(ask: Ask, inputs: Vec<usize>, columns: &[&[f64]]) -> Result<Imputer> {
        let scales: Vec<(f64, f64)> = columns.iter().map(|column| scale(column)).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let of = |rows: Vec<usize>| -> Vec<f64> { rows.iter().flat_map(|&row| columns.iter().map(move |column| column[row])).collect() };
        let method = match ask.missing {
            Missing::Iterative if columns.len() > iterative::COLUMNS_MAX => return Err(too_wide(columns.len())),
            Missing::Iterative => {
                let mut chosen = of(chosen(rows, iterative::ROWS_MAX, ask.draw));
                scaled(&mut chosen, &scales);
                Method::Iterative(Iterative::fit(chosen, columns.len()))
            }
            _ => Method::Knn(Neighbours::fit(of(chosen(rows, neighbours::rows_max(columns.len()), ask.draw)), &scales, ask.n_neighbors)),
        };
        Ok(Imputer { inputs, scales, method })
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        let width = self.inputs.len();
        self.scales.len() == width
            && self.inputs.windows(2).all(|pair| pair[0] < pair[1])
            && self.scales.iter().all(|(center, scale)| center.is_finite() && scale.is_finite() && *scale > 0.0)
            && match &mut self.method {
                Method::Knn(neighbours) => neighbours.open(&self.scales),
                Method::Iterative(iterative) => iterative.is_sound(width),
            }
    }

    /// The word of its method.
    pub fn missing(&self) -> Missing {
        match self.method {
            Method::Knn(_) => Missing::Neighbours,
            Method::Iterative(_) => Missing::Iterative,
        }
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        match &self.method {
            Method::Knn(neighbours) => neighbours.describe(),
            Method::Iterative(iterative) => iterative.describe(self.inputs.len()),
        }
    }

    /// The columns with every missing cell filled, in order. A row's cells depend on that row alone.
    pub fn fill(&self, columns: &[&[f64]]) -> Vec<Vec<f64>> {
        let rows = columns.first().map_or(0, |column| column.len());
        let gaps: Vec<usize> = (0..rows).filter(|&row| columns.iter().any(|column| column[row].is_nan())).collect();
        let fill = |&row: &usize| -> Vec<f64> {
            let mut cells: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            scaled(&mut cells, &self.scales);
            match &self.method {
                Method::Knn(neighbours) => neighbours.fill(&mut cells),
                Method::Iterative(iterative) => iterative.fill(&mut cells),
            }
            cells
        };
        let filled: Vec<Vec<f64>> =
            if gaps.len() < MANY_ROWS { gaps.iter().map(fill).collect() } else { gaps.par_iter().map(fill).collect() };
        let mut whole: Vec<Vec<f64>> = columns.iter().map(|column| column.to_vec()).collect();
        for (&row, cells) in gaps.iter().zip(&filled) {
            for ((column, cell), &(center, scale)) in whole.iter_mut().zip(cells).zip(&self.scales) {
                if column[row].is_nan() {
                    column[row] = (cell * scale + center).clamp(f64::MIN, f64::MAX);
                }
            }
        }
        whole
    }
}

fn too_wide(columns: usize) -> Error {
    let wanted = format!("knn, or single columns of such: iterative looks at {} columns of numbers at most", iterative::COLUMNS_MAX);
    Error::setting("data.clean.missing", format!("iterative for {columns} columns of numbers"), wanted)
}

/// Mean and deviation of the cells that are there.
fn scale(column: &[f64]) -> (f64, f64) {
    let mut present: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
    present.sort_unstable_by(f64::total_cmp);
    if present.is_empty() { (0.0, 1.0) } else { standard(&present) }
}

/// Rows of a matrix, cell by cell.
fn scaled(cells: &mut [f64], scales: &[(f64, f64)]) {
    for row in cells.chunks_exact_mut(scales.len().max(1)) {
        row.iter_mut().zip(scales).for_each(|(cell, (center, scale))| *cell = (*cell - center) / scale);
    }
}

/// All rows, or so many of them at random, in order.
fn chosen(rows: usize, most: usize, draw: Draw) -> Vec<usize> {
    if rows <= most {
        return (0..rows).collect();
    }
    let mut chosen: Vec<usize> = draw.stream("impute").permutation(rows as u64).into_iter().take(most).map(|row| row as usize).collect();
    chosen.sort_unstable();
    chosen
}
