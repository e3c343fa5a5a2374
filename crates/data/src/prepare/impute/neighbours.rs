//! Imputation by nearest neighbours, as scikit-learn's `KNNImputer(weights="uniform")`: a missing cell becomes the mean of
//! its column over the nearest training rows that have it, by the Euclidean distance over the columns that both rows have,
//! scaled up by the share of those (`nan_euclidean`). Troyanskaya and others, "Missing value estimation methods for DNA
//! microarrays" (Bioinformatics 17(6), 2001).
//!
//! Differs: of many training rows a bounded number is kept, drawn at random, so that a single answer stays cheap and the
//! model file small. Of rows equally far the one that came first counts.

use super::super::gaps;
use serde::{Deserialize, Serialize};

/// No more training rows are kept.
const ROWS_MAX: usize = 4096;
/// Nor more cells, but for so many rows.
const CELLS_MAX: usize = 1 << 18;
const ROWS_MIN: usize = 256;

/// How many rows are kept of a table of so many columns of numbers.
pub(super) fn rows_max(columns: usize) -> usize {
    (CELLS_MAX / columns.max(1)).clamp(ROWS_MIN, ROWS_MAX)
}

/// Training rows to look among.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Neighbours {
    n_neighbors: usize,
    /// Row by row, not scaled: what stands in a table is short.
    #[serde(with = "gaps")]
    rows: Vec<f64>,
    /// The same, scaled.
    #[serde(skip)]
    scaled: Vec<f64>,
    #[serde(skip)]
    width: usize,
}

impl Neighbours {
    /// Keeps rows of training cells.
    pub fn fit(rows: Vec<f64>, scales: &[(f64, f64)], n_neighbors: usize) -> Neighbours {
        let mut neighbours = Neighbours { n_neighbors, rows, scaled: vec![], width: 0 };
        neighbours.open(scales);
        neighbours
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self, scales: &[(f64, f64)]) -> bool {
        self.width = scales.len();
        let is_sound = self.width > 0
            && self.rows.len().is_multiple_of(self.width)
            && (1..=ROWS_MAX).contains(&self.n_neighbors)
            && self.rows.iter().all(|cell| !cell.is_infinite());
        if is_sound {
            self.scaled = self.rows.clone();
            super::scaled(&mut self.scaled, scales);
        }
        is_sound
    }

    pub fn describe(&self) -> String {
        let rows = self.rows.len() / self.width.max(1);
        format!("knn: {} nearest of {rows} training rows", self.n_neighbors)
    }

    /// Fills a row of scaled cells.
    pub fn fill(&self, cells: &mut [f64]) {
        let distances: Vec<f64> = self.scaled.chunks_exact(self.width).map(|row| distance(cells, row)).collect();
        let gaps: Vec<usize> = (0..cells.len()).filter(|&place| cells[place].is_nan()).collect();
        for place in gaps {
            cells[place] = self.mean(place, &distances);
        }
    }

    /// The mean of a column over the nearest rows that have it; the mean of all, 0, where there are none.
    fn mean(&self, place: usize, distances: &[f64]) -> f64 {
        let mut nearest: Vec<(f64, f64)> = Vec::with_capacity(self.n_neighbors + 1);
        let column = self.scaled.iter().skip(place).step_by(self.width);
        for (&distance, &cell) in distances.iter().zip(column) {
            if distance.is_nan() || cell.is_nan() || (nearest.len() == self.n_neighbors && distance >= nearest[nearest.len() - 1].0) {
                continue;
            }
            let at = nearest.partition_point(|(other, _)| *other <= distance);
            nearest.insert(at, (distance, cell));
            nearest.truncate(self.n_neighbors);
        }
        let sum: f64 = nearest.iter().map(|(_, cell)| cell).sum();
        if nearest.is_empty() { 0.0 } else { sum / nearest.len() as f64 }
    }
}

/// The square of the distance; NaN where no column is in both rows.
fn distance(cells: &[f64], row: &[f64]) -> f64 {
    let (mut sum, mut common) = (0.0, 0.0);
    for (a, b) in cells.iter().zip(row) {
        let difference = a - b;
        if !difference.is_nan() {
            sum += difference * difference;
            common += 1.0;
        }
    }
    if common == 0.0 { f64::NAN } else { sum * cells.len() as f64 / common }
}
