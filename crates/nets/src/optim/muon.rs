//! Muon: momentum whose matrix is replaced by the nearest orthogonal one.
//!
//! Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, and its reference code: five steps of
//! a quintic Newton-Schulz iteration, the update scaled by sqrt(max(1, rows / columns)).
//! Differs: the iteration runs in `f32` where the reference uses bfloat16, which its authors chose for speed on graphics cards; the scale
//! of a convolution comes from its kernel as the matrix that is orthogonalised, not from the kernel's last two sides.

use super::rules::{Move, Slices};
use rayon::prelude::*;

/// The iteration's coefficients, chosen by its authors for the steepest rise at zero.
const QUINTIC: [f32; 3] = [3.4445, -4.775, 2.0315];

const STEPS: usize = 5;

/// Rows of a product below this many multiplications are computed on one thread.
const PIECE: usize = 1 << 18;

/// Moves a matrix of that many rows and columns.
pub(super) fn step(momentum: f64, nesterov: bool, [rows, columns]: [usize; 2], by: Move, slices: Slices<'_>) {
    let (kept, new) = (momentum as f32, (1.0 - momentum) as f32);
    slices.first.iter_mut().zip(slices.gradients).for_each(|(mean, &gradient)| *mean = kept * *mean + new * gradient);
    let mut update: Vec<f32> = slices.first.to_vec();
    if nesterov {
        update.iter_mut().zip(slices.gradients).for_each(|(mean, &gradient)| *mean = kept * *mean + new * gradient);
    }
    let update = orthogonal(update, rows, columns);
    let length = (by.rate * (rows as f64 / columns as f64).max(1.0).sqrt()) as f32;
    let shrink = (1.0 - by.rate * by.decay) as f32;
    slices.weights.iter_mut().zip(update).for_each(|(weight, update)| *weight = shrink * *weight - length * update);
}

/// A matrix with the same singular vectors and singular values near 1 (0.7 to 1.2).
fn orthogonal(matrix: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
    // The iteration's products are of the smaller side.
    if rows > columns {
        return transposed(&wide(transposed(&matrix, rows, columns), columns, rows), columns, rows);
    }
    wide(matrix, rows, columns)
}

fn wide(mut x: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
    let norm = x.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt() as f32 + 1e-7;
    x.iter_mut().for_each(|value| *value /= norm);
    let [a, b, c] = QUINTIC;
    for _ in 0..STEPS {
        // X <- a X + (b A + c A A) X, with A = X X^T
        let squares = gram(&x, rows, columns);
        let mut factor = product(&squares, &squares, rows, rows);
        factor.iter_mut().zip(&squares).for_each(|(fourth, &second)| *fourth = b * second + c * *fourth);
        let mut next = product(&factor, &x, rows, columns);
        next.iter_mut().zip(&x).for_each(|(next, &x)| *next += a * x);
        x = next;
    }
    x
}

fn transposed(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut turned = vec![0.0; matrix.len()];
    for row in 0..rows {
        for column in 0..columns {
            turned[column * rows + row] = matrix[row * columns + column];
        }
    }
    turned
}

/// `X X^T`, `[rows, rows]`. Each number is one sum in a fixed order, whoever computes it.
fn gram(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut result = vec![0.0; rows * rows];
    let fill = |(row, out): (usize, &mut [f32])| {
        let left = &x[row * columns..(row + 1) * columns];
        out.iter_mut().zip(x.chunks_exact(columns)).take(row + 1).for_each(|(out, right)| *out = dot(left, right));
    };
    each_row(&mut result, rows, rows * columns / 2, fill);
    for row in 0..rows {
        for column in row + 1..rows {
            result[row * rows + column] = result[column * rows + row];
        }
    }
    result
}

/// `left right`, with `left` square of side `rows` and `right` `[rows, columns]`. Fixed order of sums, as in [`gram`].
fn product(left: &[f32], right: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut result = vec![0.0; rows * columns];
    let fill = |(row, out): (usize, &mut [f32])| {
        for (&factor, right) in left[row * rows..(row + 1) * rows].iter().zip(right.chunks_exact(columns)) {
            out.iter_mut().zip(right).for_each(|(out, &right)| *out += factor * right);
        }
    };
    each_row(&mut result, columns, rows * columns, fill);
    result
}

fn each_row(matrix: &mut [f32], columns: usize, work_per_row: usize, fill: impl Fn((usize, &mut [f32])) + Sync + Send) {
    let rows_together = (PIECE / work_per_row.max(1)).max(1);
    matrix.par_chunks_mut(columns).enumerate().with_min_len(rows_together).for_each(fill);
}

/// Sixteen sums side by side, which the compiler makes vector registers of.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (left, right) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(&l, &r)| l * r).sum();
    for (left, right) in left.zip(right) {
        for lane in 0..LANES {
            sums[lane] += left[lane] * right[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn singular_values_come_near_one() {
        for [rows, columns] in [[6, 40], [40, 6], [1, 5], [5, 1], [12, 12]] {
            let draw = Draw::new(3).stream("matrix");
            let matrix: Vec<f32> = (0..rows * columns).map(|place| draw.normal(place as u64) as f32).collect();
            let found = orthogonal(matrix, rows, columns);
            let (small, turned) = if rows > columns { (columns, transposed(&found, rows, columns)) } else { (rows, found) };
            let large = rows.max(columns);
            let squares = gram(&turned, small, large);
            for row in 0..small {
                // A square matrix of noise has singular values near zero, which five steps do not lift all the way.
                let lowest = if rows == columns { 0.2 } else { 0.4 };
                assert!((lowest..1.5).contains(&squares[row * small + row]), "{rows} x {columns}: {}", squares[row * small + row]);
            }
        }
    }

    #[test]
    fn products_agree_with_the_plain_sum() {
        let value = |place: usize| ((place * 37 % 11) as f32 - 5.0) / 4.0;
        let (rows, columns) = (5, 35);
        let left: Vec<f32> = (0..rows * rows).map(value).collect();
        let right: Vec<f32> = (0..rows * columns).map(value).collect();
        let (found, squares) = (product(&left, &right, rows, columns), gram(&right, rows, columns));
        for row in 0..rows {
            for column in 0..columns {
                let wanted: f32 = (0..rows).map(|k| left[row * rows + k] * right[k * columns + column]).sum();
                assert!((found[row * columns + column] - wanted).abs() < 1e-4);
            }
            for column in 0..rows {
                let wanted: f32 = (0..columns).map(|k| right[row * columns + k] * right[column * columns + k]).sum();
                assert!((squares[row * rows + column] - wanted).abs() < 1e-4);
            }
        }
    }
}
