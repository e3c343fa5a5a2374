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

/// A tile of a product: its sums fill half of the sixteen vector registers that every x86-64 has.
const HEIGHT: usize = 4;
const WIDTH: usize = 8;

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
        let squares = product(&x, &transposed(&x, rows, columns), [rows, columns, rows]);
        let mut factor = product(&squares, &squares, [rows, rows, rows]);
        factor.iter_mut().zip(&squares).for_each(|(fourth, &second)| *fourth = b * second + c * *fourth);
        let mut next = product(&factor, &x, [rows, rows, columns]);
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

/// `left right` of `[rows, depth]` and `[depth, columns]`. Each number is one sum in the order of `depth`, whoever computes it. Sums stay
/// in registers, and both sides are copied first so that they lie as they are read.
fn product(left: &[f32], right: &[f32], [rows, depth, columns]: [usize; 3]) -> Vec<f32> {
    let panels = panels(right, depth, columns);
    let mut result = vec![0.0; rows * columns];
    let together = (PIECE / (HEIGHT * depth * columns).max(1)).max(1);
    result.par_chunks_mut(HEIGHT * columns).enumerate().with_min_len(together).for_each(|(group, out)| {
        let rows = rows_of(&left[group * HEIGHT * depth..], out.len() / columns, depth);
        for (strip, panel) in panels.chunks_exact(depth).enumerate() {
            let sums = tile(&rows, panel);
            for (out, sums) in out.chunks_exact_mut(columns).zip(&sums) {
                let out = &mut out[strip * WIDTH..];
                let width = out.len().min(WIDTH);
                out[..width].copy_from_slice(&sums[..width]);
            }
        }
    });
    result
}

/// The columns of a matrix, so many at a time, one panel of `depth` rows after another; zeros fill the last.
fn panels(matrix: &[f32], depth: usize, columns: usize) -> Vec<[f32; WIDTH]> {
    let mut panels = vec![[0.0; WIDTH]; columns.div_ceil(WIDTH) * depth];
    for (row, values) in matrix.chunks_exact(columns).enumerate() {
        for (strip, values) in values.chunks(WIDTH).enumerate() {
            panels[strip * depth + row][..values.len()].copy_from_slice(values);
        }
    }
    panels
}

/// The first rows of a matrix side by side; zeros stand for those that are not there.
fn rows_of(matrix: &[f32], rows: usize, depth: usize) -> Vec<[f32; HEIGHT]> {
    let mut packed = vec![[0.0; HEIGHT]; depth];
    for (row, values) in matrix.chunks_exact(depth).take(rows).enumerate() {
        packed.iter_mut().zip(values).for_each(|(packed, &value)| packed[row] = value);
    }
    packed
}

fn tile(left: &[[f32; HEIGHT]], right: &[[f32; WIDTH]]) -> [[f32; WIDTH]; HEIGHT] {
    let mut sums = [[0.0; WIDTH]; HEIGHT];
    for (left, right) in left.iter().zip(right) {
        for (sums, left) in sums.iter_mut().zip(left) {
            sums.iter_mut().zip(right).for_each(|(sum, right)| *sum += left * right);
        }
    }
    sums
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
            let squares = product(&turned, &transposed(&turned, small, large), [small, large, small]);
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
        for [rows, depth, columns] in [[5, 7, 35], [4, 3, 8], [1, 1, 1], [9, 20, 3]] {
            let left: Vec<f32> = (0..rows * depth).map(value).collect();
            let right: Vec<f32> = (0..depth * columns).map(value).collect();
            let found = product(&left, &right, [rows, depth, columns]);
            for row in 0..rows {
                for column in 0..columns {
                    let wanted: f32 = (0..depth).map(|k| left[row * depth + k] * right[k * columns + column]).sum();
                    assert!((found[row * columns + column] - wanted).abs() < 1e-4);
                }
            }
        }
    }
}
