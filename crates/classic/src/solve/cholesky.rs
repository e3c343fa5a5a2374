//! Solving symmetric systems that may be singular: Cholesky with complete pivoting on a matrix scaled to unit diagonal
//! (Higham, "Accuracy and stability of numerical algorithms", 2nd ed., section 10.3), with the solution of smallest norm.

use super::design::{add_scaled, dot};

/// Pivots below this, relative to a diagonal of ones, count as zero: what is left of a column after the others explain it.
const PIVOT_MIN: f64 = 1e-12;

/// The factor of a symmetric, positive semidefinite matrix.
pub struct Pivoted {
    size: usize,
    rank: usize,
    /// Which row of the matrix stands at each place.
    order: Vec<usize>,
    /// `[size, size]`, of which the first `rank` columns of the lower triangle are used.
    lower: Vec<f64>,
    /// One over the root of the diagonal; 0 where the diagonal is not positive.
    scale: Vec<f64>,
    /// An orthonormal base of what the matrix sends to zero, one vector of `size` after another.
    null: Vec<f64>,
}

impl Pivoted {
    /// Factors a matrix `[size, size]`.
    pub fn new(matrix: &[f64], size: usize) -> Pivoted {
        let root = |value: f64| if value > 0.0 && value.is_finite() { 1.0 / value.sqrt() } else { 0.0 };
        let scale: Vec<f64> = (0..size).map(|i| root(matrix[i * size + i])).collect();
        let mut factor = Pivoted { size, rank: 0, order: (0..size).collect(), lower: vec![0.0; size * size], scale, null: Vec::new() };
        let mut left: Vec<f64> = factor.scale.iter().map(|&scale| f64::from(u8::from(scale > 0.0))).collect();
        let limit = PIVOT_MIN.max(10.0 * size as f64 * f64::EPSILON);
        while factor.rank < size {
            let first = factor.rank;
            let best = (first..size).fold(first, |best, place| if left[place] > left[best] { place } else { best });
            if left[best] <= limit {
                break;
            }
            factor.swap(first, best);
            left.swap(first, best);
            factor.eliminate(matrix, &mut left);
        }
        factor.find_null();
        factor
    }

    fn swap(&mut self, first: usize, second: usize) {
        if first == second {
            return;
        }
        self.order.swap(first, second);
        let (head, tail) = self.lower.split_at_mut(second * self.size);
        head[first * self.size..first * self.size + self.rank].swap_with_slice(&mut tail[..self.rank]);
    }

    /// Computes the next column of the factor and takes its squares off what is left of the diagonal.
    fn eliminate(&mut self, matrix: &[f64], left: &mut [f64]) {
        let (size, step) = (self.size, self.rank);
        let pivot = left[step].sqrt();
        let row = self.order[step];
        let (head, tail) = self.lower.split_at_mut((step + 1) * size);
        let pivots = &mut head[step * size..];
        pivots[step] = pivot;
        for (place, lower) in (step + 1..size).zip(tail.chunks_exact_mut(size)) {
            let other = self.order[place];
            let entry = matrix[other * size + row] * self.scale[other] * self.scale[row];
            let value = (entry - dot(&lower[..step], &pivots[..step])) / pivot;
            lower[step] = value;
            left[place] -= value * value;
        }
        self.rank += 1;
    }

    /// Each dependent column gives one vector: minus its expression by the independent ones, and itself.
    fn find_null(&mut self) {
        for place in self.rank..self.size {
            let column = self.order[place];
            if self.scale[column] == 0.0 {
                continue;
            }
            let mut inner = self.lower[place * self.size..place * self.size + self.rank].to_vec();
            self.solve_upper(&mut inner);
            let mut vector = vec![0.0; self.size];
            for (&other, value) in self.order.iter().zip(inner) {
                vector[other] = -value * self.scale[other];
            }
            vector[column] = self.scale[column];
            self.keep_orthogonal(vector);
        }
    }

    fn keep_orthogonal(&mut self, mut vector: Vec<f64>) {
        self.project(&mut vector);
        self.project(&mut vector);
        let norm = dot(&vector, &vector).sqrt();
        if norm > 0.0 {
            self.null.extend(vector.iter().map(|value| value / norm));
        }
    }

    /// Takes off what the matrix sends to zero.
    fn project(&self, vector: &mut [f64]) {
        for base in self.null.chunks_exact(self.size.max(1)) {
            let share = dot(base, vector);
            add_scaled(vector, -share, base);
        }
    }

    /// The vector of smallest norm that the matrix sends to `right`, or nearest to it.
    pub fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut inner: Vec<f64> = self.order[..self.rank].iter().map(|&column| right[column] * self.scale[column]).collect();
        for place in 0..self.rank {
            let row = &self.lower[place * self.size..];
            inner[place] = (inner[place] - dot(&row[..place], &inner[..place])) / row[place];
        }
        self.solve_upper(&mut inner);
        let mut solution = vec![0.0; self.size];
        for (&column, value) in self.order.iter().zip(inner) {
            solution[column] = value * self.scale[column];
        }
        self.project(&mut solution);
        solution
    }

    fn solve_upper(&self, inner: &mut [f64]) {
        for place in (0..self.rank).rev() {
            let row = &self.lower[place * self.size..];
            inner[place] /= row[place];
            let value = inner[place];
            add_scaled(&mut inner[..place], -value, &row[..place]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `B' B` for `B` of `[rows, size]`.
    fn product(rows: &[Vec<f64>], size: usize) -> Vec<f64> {
        (0..size * size).map(|at| rows.iter().map(|row| row[at / size] * row[at % size]).sum()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn solution_solves_and_is_the_shortest(rows in prop::collection::vec(prop::collection::vec(-3i32..=3, 5), 1..8)) {
            let rows: Vec<Vec<f64>> = rows.into_iter().map(|row| row.into_iter().map(f64::from).collect()).collect();
            let matrix = product(&rows, 5);
            let right: Vec<f64> = (0..5).map(|i| rows.iter().map(|row| row[i]).sum()).collect();
            let factor = Pivoted::new(&matrix, 5);
            let solution = factor.solve(&right);
            for i in 0..5 {
                let found = dot(&matrix[i * 5..i * 5 + 5], &solution);
                prop_assert!((found - right[i]).abs() < 1e-8, "{found} {}", right[i]);
            }
            prop_assert_eq!(factor.null.len(), 5 * (5 - factor.rank) - 5 * factor.scale.iter().filter(|scale| **scale == 0.0).count());
            for base in factor.null.chunks_exact(5) {
                prop_assert!(dot(base, &solution).abs() < 1e-9);
                prop_assert!((0..5).all(|i| dot(&matrix[i * 5..i * 5 + 5], base).abs() < 1e-8));
            }
        }
    }
}
