//! Muon: momentum whose matrix is replaced by the nearest orthogonal one.
//!
//! Source: Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024, and its reference code: five steps of
//! a quintic Newton-Schulz iteration, the update scaled by sqrt(max(1, rows / columns)).
//! Differs: the iteration runs in `f32` where the reference uses bfloat16, which its authors chose for speed on graphics cards; the scale
//! of a convolution comes from its kernel as the matrix that is orthogonalised, not from the kernel's last two sides.

use super::rules::{Move, Slices};
use cupola_kernels::matmul::{Matrix, matmul};

/// The iteration's coefficients, chosen by its authors for the steepest rise at zero.
const QUINTIC: [f32; 3] = [3.4445, -4.775, 2.0315];

const STEPS: usize = 5;

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
fn orthogonal(mut x: Vec<f32>, rows: usize, columns: usize) -> Vec<f32> {
    let norm = x.iter().map(|&value| f64::from(value) * f64::from(value)).sum::<f64>().sqrt() as f32 + 1e-7;
    x.iter_mut().for_each(|value| *value /= norm);
    let [a, b, c] = QUINTIC;
    let side = rows.min(columns);
    let (mut squares, mut factor, mut next) = (vec![0.0; side * side], vec![0.0; side * side], vec![0.0; x.len()]);
    for _ in 0..STEPS {
        // X <- a X + (b A + c A A) X, with A = X X^T. Of a tall matrix the same for its transpose: X <- a X + X (b A + c A A), A = X^T X.
        let matrix = Matrix::new(&x, rows, columns);
        let (flat, tall) = if rows > columns { (matrix.transposed(), matrix) } else { (matrix, matrix.transposed()) };
        matmul(flat, tall, None, &mut squares);
        let second = Matrix::new(&squares, side, side);
        matmul(second, second, None, &mut factor);
        factor.iter_mut().zip(&squares).for_each(|(fourth, &second)| *fourth = b * second + c * *fourth);
        let polynomial = Matrix::new(&factor, side, side);
        let (left, right) = if rows > columns { (matrix, polynomial) } else { (polynomial, matrix) };
        matmul(left, right, None, &mut next);
        x.iter_mut().zip(&next).for_each(|(x, &next)| *x = a * *x + next);
    }
    x
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
            let found = Matrix::new(&found, rows, columns);
            let (flat, tall) = if rows > columns { (found.transposed(), found) } else { (found, found.transposed()) };
            let small = rows.min(columns);
            let mut squares = vec![0.0; small * small];
            matmul(flat, tall, None, &mut squares);
            for row in 0..small {
                // A square matrix of noise has singular values near zero, which five steps do not lift all the way.
                let lowest = if rows == columns { 0.2 } else { 0.4 };
                assert!((lowest..1.5).contains(&squares[row * small + row]), "{rows} x {columns}: {}", squares[row * small + row]);
            }
        }
    }
}
