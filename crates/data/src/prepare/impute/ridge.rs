//! Bayesian ridge regression, as scikit-learn's `BayesianRidge` at its defaults: the precisions of noise and of weights
//! are found by maximising the evidence (MacKay, "Bayesian interpolation", Neural Computation 4(3), 1992; Tipping, "Sparse
//! Bayesian learning and the relevance vector machine", JMLR 1, 2001, appendix A).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The priors' shapes and rates.
const PRIOR: f64 = 1e-6;
const ITERATIONS_MAX: usize = 300;
const TOLERANCE: f64 = 1e-3;
const SWEEPS_MAX: usize = 60;

/// A fitted regression of one column on all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ridge {
    intercept: f64,
    /// One a column; that of the column itself is 0.
    weights: Vec<f64>,
}

impl Ridge {
    pub fn is_sound(&self, width: usize) -> bool {
        self.weights.len() == width && self.intercept.is_finite() && self.weights.iter().all(|weight| weight.is_finite())
    }

    /// What it says about a row of columns.
    pub fn answer(&self, columns: &[Vec<f64>], target: usize, row: usize) -> f64 {
        let others = (0..columns.len()).filter(|&place| place != target);
        self.intercept + others.map(|place| self.weights[place] * columns[place][row]).sum::<f64>()
    }

    /// The same about a row of cells.
    pub fn answer_row(&self, cells: &[f64], target: usize) -> f64 {
        let others = (0..cells.len()).filter(|&place| place != target);
        self.intercept + others.map(|place| self.weights[place] * cells[place]).sum::<f64>()
    }
}

/// Regresses a column on the others over the rows that have it.
pub(super) fn fit(columns: &[Vec<f64>], target: usize, missing: &[usize]) -> Ridge {
    let others: Vec<usize> = (0..columns.len()).filter(|&place| place != target).collect();
    let (means, centered): (Vec<f64>, Vec<Vec<f64>>) = others.iter().map(|&place| center(&without(&columns[place], missing))).unzip();
    let (mean, y) = center(&without(&columns[target], missing));
    let weights = evidence(&centered, &y);
    let intercept = mean - dot(&means, &weights);
    let mut all = vec![0.0; columns.len()];
    others.iter().zip(weights).for_each(|(&place, weight)| all[place] = weight);
    Ridge { intercept, weights: all }
}

fn without(column: &[f64], missing: &[usize]) -> Vec<f64> {
    let mut kept = Vec::with_capacity(column.len() - missing.len());
    let mut from = 0;
    for &row in missing {
        kept.extend_from_slice(&column[from..row]);
        from = row + 1;
    }
    kept.extend_from_slice(&column[from..]);
    kept
}

fn center(column: &[f64]) -> (f64, Vec<f64>) {
    let mean = column.iter().sum::<f64>() / column.len().max(1) as f64;
    (mean, column.iter().map(|cell| cell - mean).collect())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The weights at the precisions that the evidence favours. The products of the centred columns are diagonalised once;
/// after that every step is cheap.
fn evidence(columns: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    let (width, rows) = (columns.len(), y.len() as f64);
    let products: Vec<Vec<f64>> = (0..width).into_par_iter().map(|i| (0..=i).map(|j| dot(&columns[i], &columns[j])).collect()).collect();
    let (values, vectors) = diagonal(&products);
    let towards: Vec<f64> = columns.iter().map(|column| dot(column, y)).collect();
    // Column v of `vectors` is the v-th direction.
    let turned: Vec<f64> = (0..width).map(|v| (0..width).map(|i| vectors[i * width + v] * towards[i]).sum()).collect();
    let weights = |noise: f64, prior: f64| -> Vec<f64> {
        let along: Vec<f64> = turned.iter().zip(&values).map(|(turned, value)| turned / (value + prior / noise)).collect();
        (0..width).map(|i| dot(&vectors[i * width..(i + 1) * width], &along)).collect()
    };
    let mut noise = 1.0 / (dot(y, y) / rows + f64::EPSILON);
    let mut prior = 1.0;
    let mut before: Vec<f64> = Vec::new();
    for step in 0..ITERATIONS_MAX {
        let now = weights(noise, prior);
        let residual: f64 = (0..y.len()).map(|row| (y[row] - columns.iter().zip(&now).map(|(c, w)| c[row] * w).sum::<f64>()).powi(2)).sum();
        let known: f64 = values.iter().map(|value| noise * value / (prior + noise * value)).sum();
        prior = (known + 2.0 * PRIOR) / (dot(&now, &now) + 2.0 * PRIOR);
        noise = (rows - known + 2.0 * PRIOR) / (residual + 2.0 * PRIOR);
        let way: f64 = before.iter().zip(&now).map(|(before, now)| (before - now).abs()).sum();
        if step > 0 && way < TOLERANCE {
            break;
        }
        before = now;
    }
    weights(noise, prior)
}

/// Eigenvalues, none below 0, and eigenvectors (as columns, row-major) of a symmetric matrix of which the lower half is
/// given, by Jacobi's rotations (Golub, Van Loan, "Matrix Computations", 4th edition, section 8.5).
fn diagonal(lower: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let n = lower.len();
    let mut a: Vec<f64> = (0..n * n).map(|at| lower[(at / n).max(at % n)][(at / n).min(at % n)]).collect();
    let mut v: Vec<f64> = (0..n * n).map(|at| f64::from(u8::from(at / n == at % n))).collect();
    let size: f64 = a.iter().map(|cell| cell * cell).sum();
    for _ in 0..SWEEPS_MAX {
        let off: f64 = (0..n).map(|i| (0..i).map(|j| a[i * n + j].powi(2)).sum::<f64>()).sum();
        if off <= size * 1e-32 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut v, n, p, q);
            }
        }
    }
    ((0..n).map(|i| a[i * n + i].max(0.0)).collect(), v)
}

/// Turns the plane of p and q so that the cell where they meet vanishes.
fn rotate(a: &mut [f64], v: &mut [f64], n: usize, p: usize, q: usize) {
    let meeting = a[p * n + q];
    if meeting == 0.0 {
        return;
    }
    let ratio = (a[q * n + q] - a[p * n + p]) / (2.0 * meeting);
    let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for k in 0..n {
        (a[k * n + p], a[k * n + q]) = (cosine * a[k * n + p] - sine * a[k * n + q], sine * a[k * n + p] + cosine * a[k * n + q]);
        (v[k * n + p], v[k * n + q]) = (cosine * v[k * n + p] - sine * v[k * n + q], sine * v[k * n + p] + cosine * v[k * n + q]);
    }
    for k in 0..n {
        (a[p * n + k], a[q * n + k]) = (cosine * a[p * n + k] - sine * a[q * n + k], sine * a[p * n + k] + cosine * a[q * n + k]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_is_its_eigenvectors_stretched() {
        let lower = [vec![4.0], vec![1.0, 3.0], vec![-2.0, 0.5, 6.0], vec![0.0, 1.5, 0.25, 2.0]];
        let (values, vectors) = diagonal(&lower);
        for i in 0..4 {
            for j in 0..=i {
                let cell: f64 = (0..4).map(|k| vectors[i * 4 + k] * values[k] * vectors[j * 4 + k]).sum();
                assert!((cell - lower[i][j]).abs() < 1e-12, "{i} {j}: {cell}");
            }
        }
    }
}
