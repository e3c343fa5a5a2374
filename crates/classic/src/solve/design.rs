//! The rows of a linear model as a matrix that stores nearly full columns densely and nearly empty ones (one-hot codes,
//! word counts) by their entries only, with the three products that fitting needs.
//!
//! Dense columns are shifted by their weighted mean when there is an intercept to take the shift up, which keeps the Gram
//! matrix exact for columns far from zero.

use crate::rows::{Feature, Values};
use cupola_task::{Error, Result};
use rayon::prelude::*;

/// Columns with at most this share of entries other than zero are stored sparsely. At a quarter the indices cost about
/// what the skipped zeros save.
const SPARSE_SHARE: f64 = 0.25;
/// Rows in a block of row-wise work.
const BLOCK: usize = 2048;
/// Most partial sums of a reduction over rows; their bytes together stay below the second number unless one alone exceeds it.
const PARTS: usize = 16;
const PART_BYTES: usize = 64 << 20;

/// Larger numbers overflow when their squares are summed.
const SIZE_MAX: f64 = 1e150;

/// A matrix of rows and columns; columns are in an order of its own, dense ones first, the constant 1 last when there is one.
pub struct Design {
    rows: usize,
    dense: usize,
    width: usize,
    has_constant: bool,
    values: Vec<f64>,
    starts: Vec<usize>,
    places: Vec<u32>,
    entries: Vec<f64>,
    order: Vec<usize>,
    shift: Vec<f64>,
}

/// What is known of a column before it is stored.
struct Sketch {
    is_sparse: bool,
    shift: f64,
}

impl Design {
    /// The features as a matrix of the rows that `keep` names; `weights` has one weight for each of those. With `intercept`
    /// a column of ones is added and dense columns are centred.
    ///
    /// # Errors
    /// When a feature is not numeric, or a kept value is not finite or too large to square, with column and row.
    pub fn new(features: &[Feature], keep: &[usize], weights: &[f64], intercept: bool) -> Result<Design> {
        let columns: Vec<&[f64]> = features.iter().map(numbers).collect::<Result<_>>()?;
        for (feature, column) in features.iter().zip(&columns) {
            // Written so that NaN is refused too.
            if let Some(&row) = keep.iter().find(|&&row| !matches!(column[row].abs(), 0.0..=SIZE_MAX)) {
                let wanted = if column[row].is_finite() { "a number of at most 1e150" } else { "a finite number" };
                return Err(Error::input(format!("column {} in row {row}", feature.name), column[row], wanted));
            }
        }
        let sketches: Vec<Sketch> = columns.par_iter().map(|column| sketch(column, keep, weights, intercept)).collect();
        let (sparse, dense): (Vec<usize>, Vec<usize>) = (0..columns.len()).partition(|&column| sketches[column].is_sparse);
        let mut design = Design {
            rows: keep.len(),
            dense: dense.len(),
            width: columns.len() + usize::from(intercept),
            has_constant: intercept,
            values: vec![0.0; keep.len() * dense.len()],
            starts: vec![0; keep.len() + 1],
            places: Vec::new(),
            entries: Vec::new(),
            shift: dense.iter().chain(&sparse).map(|&column| sketches[column].shift).collect(),
            order: dense.iter().chain(&sparse).copied().collect(),
        };
        design.fill_dense(&columns, &dense, keep);
        design.fill_sparse(&columns, &sparse, &sketches, keep);
        Ok(design)
    }

    fn fill_dense(&mut self, columns: &[&[f64]], dense: &[usize], keep: &[usize]) {
        let (width, shift) = (dense.len().max(1), &self.shift);
        self.values.par_chunks_mut(width).zip(keep.par_iter()).with_min_len(BLOCK).for_each(|(values, &row)| {
            for ((value, &column), shift) in values.iter_mut().zip(dense).zip(shift) {
                *value = columns[column][row] - shift;
            }
        });
    }

    fn fill_sparse(&mut self, columns: &[&[f64]], sparse: &[usize], sketches: &[Sketch], keep: &[usize]) {
        let entry = |column: usize, row: usize| columns[column][row] - sketches[column].shift;
        for (place, &row) in keep.iter().enumerate() {
            let count = sparse.iter().filter(|&&column| entry(column, row) != 0.0).count();
            self.starts[place + 1] = self.starts[place] + count;
        }
        self.places.reserve_exact(self.starts[keep.len()]);
        self.entries.reserve_exact(self.starts[keep.len()]);
        for &row in keep {
            for (place, &column) in sparse.iter().enumerate() {
                let value = entry(column, row);
                if value != 0.0 {
                    self.places.push(place as u32);
                    self.entries.push(value);
                }
            }
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns, the constant included.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many columns, the constant left out.
    pub fn inputs(&self) -> usize {
        self.order.len()
    }

    /// Whether the last column is the constant 1.
    pub fn has_constant(&self) -> bool {
        self.has_constant
    }

    fn dense_row(&self, row: usize) -> &[f64] {
        &self.values[row * self.dense..(row + 1) * self.dense]
    }

    fn sparse_row(&self, row: usize) -> (&[u32], &[f64]) {
        let range = self.starts[row]..self.starts[row + 1];
        (&self.places[range.clone()], &self.entries[range])
    }

    /// `X w` for several coefficient vectors `[outputs, width]`: `[rows, outputs]`.
    pub fn times(&self, coefficients: &[f64], outputs: usize) -> Vec<f64> {
        debug_assert_eq!(coefficients.len(), outputs * self.width);
        let mut product = vec![0.0; self.rows * outputs];
        product.par_chunks_mut(BLOCK * outputs).enumerate().for_each(|(block, product)| {
            for (row, product) in product.chunks_exact_mut(outputs).enumerate() {
                for (value, coefficients) in product.iter_mut().zip(coefficients.chunks_exact(self.width.max(1))) {
                    *value = self.row_times(block * BLOCK + row, coefficients);
                }
            }
        });
        product
    }

    fn row_times(&self, row: usize, coefficients: &[f64]) -> f64 {
        let (places, entries) = self.sparse_row(row);
        let sparse = &coefficients[self.dense..];
        let constant = if self.has_constant { coefficients[self.width - 1] } else { 0.0 };
        places.iter().zip(entries).fold(constant + dot(self.dense_row(row), &coefficients[..self.dense]), |sum, (&place, value)| {
            sum + value * sparse[place as usize]
        })
    }

    /// `X' u` for `u` of `[rows, outputs]`: `[outputs, width]`.
    pub fn transpose_times(&self, right: &[f64], outputs: usize) -> Vec<f64> {
        debug_assert_eq!(right.len(), self.rows * outputs);
        self.reduce(outputs * self.width, |row, sum| {
            for (&factor, sum) in right[row * outputs..].iter().zip(sum.chunks_exact_mut(self.width.max(1))) {
                self.add_row(row, factor, sum);
            }
        })
    }

    /// `sum += factor * x` for one row.
    fn add_row(&self, row: usize, factor: f64, sum: &mut [f64]) {
        add_scaled(&mut sum[..self.dense], factor, self.dense_row(row));
        let (places, entries) = self.sparse_row(row);
        for (&place, value) in places.iter().zip(entries) {
            sum[self.dense + place as usize] += factor * value;
        }
        if self.has_constant {
            sum[self.width - 1] += factor;
        }
    }

    /// `X' diag(weights) X`, both triangles: `[width, width]`.
    pub fn gram(&self, weights: &[f64]) -> Vec<f64> {
        let width = self.width;
        let mut gram = self.reduce_ranges(width * width, |rows, gram| {
            for first in rows.clone().step_by(4) {
                self.add_dense_products(first, rows.end, weights, gram);
            }
            for row in rows {
                self.add_sparse_products(row, weights[row], gram);
            }
        });
        for row in 1..width {
            for column in 0..row {
                gram[column * width + row] = gram[row * width + column];
            }
        }
        gram
    }

    /// The diagonal of [`Design::gram`].
    pub fn gram_diagonal(&self, weights: &[f64]) -> Vec<f64> {
        self.reduce(self.width, |row, sum| {
            for (sum, value) in sum.iter_mut().zip(self.dense_row(row)) {
                *sum += weights[row] * value * value;
            }
            let (places, entries) = self.sparse_row(row);
            for (&place, value) in places.iter().zip(entries) {
                sum[self.dense + place as usize] += weights[row] * value * value;
            }
            if self.has_constant {
                sum[self.width - 1] += weights[row];
            }
        })
    }

    /// Adds the products among dense columns of up to four rows at once: a quarter of the loads and stores of the sum.
    fn add_dense_products(&self, first: usize, end: usize, weights: &[f64], gram: &mut [f64]) {
        let rows: [usize; 4] = std::array::from_fn(|i| (first + i).min(end - 1));
        let weight: [f64; 4] = std::array::from_fn(|i| if first + i < end { weights[first + i] } else { 0.0 });
        let [a, b, c, d] = rows.map(|row| self.dense_row(row));
        for i in 0..self.dense {
            let [p, q, r, s] = [weight[0] * a[i], weight[1] * b[i], weight[2] * c[i], weight[3] * d[i]];
            let sums = &mut gram[i * self.width..=i * self.width + i];
            for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *sum += (p * a + q * b) + (r * c + s * d);
            }
        }
    }

    /// Adds the products of one row's sparse entries and constant with everything before them.
    fn add_sparse_products(&self, row: usize, weight: f64, gram: &mut [f64]) {
        let (places, entries) = self.sparse_row(row);
        for (i, (&place, value)) in places.iter().zip(entries).enumerate() {
            let start = (self.dense + place as usize) * self.width;
            add_scaled(&mut gram[start..start + self.dense], weight * value, self.dense_row(row));
            for (&other, other_value) in places[..=i].iter().zip(entries) {
                gram[start + self.dense + other as usize] += weight * value * other_value;
            }
        }
        if self.has_constant {
            let start = (self.width - 1) * self.width;
            self.add_row(row, weight, &mut gram[start..start + self.width]);
        }
    }

    /// Sums what `add` adds for every row.
    fn reduce(&self, size: usize, add: impl Fn(usize, &mut [f64]) + Sync) -> Vec<f64> {
        self.reduce_ranges(size, |rows, sum| rows.for_each(|row| add(row, sum)))
    }

    /// Sums what `add` adds for ranges of rows that cover all; the ranges depend on the sizes only.
    fn reduce_ranges(&self, size: usize, add: impl Fn(std::ops::Range<usize>, &mut [f64]) + Sync) -> Vec<f64> {
        let parts = (PART_BYTES / (8 * size.max(1))).clamp(1, PARTS);
        let length = self.rows.div_ceil(parts).max(BLOCK);
        let sums: Vec<Vec<f64>> = (0..self.rows.div_ceil(length))
            .into_par_iter()
            .map(|part| {
                let mut sum = vec![0.0; size];
                add(part * length..((part + 1) * length).min(self.rows), &mut sum);
                sum
            })
            .collect();
        let zero = vec![0.0; size];
        sums.into_iter()
            .reduce(|mut total, part| {
                add_scaled(&mut total, 1.0, &part);
                total
            })
            .unwrap_or(zero)
    }

    /// Coefficients `[outputs, width]` of this matrix as coefficients `[inputs, outputs]` and intercepts of the features as
    /// they were given.
    pub fn original(&self, coefficients: &[f64], outputs: usize) -> (Vec<f64>, Vec<f64>) {
        let mut original = vec![0.0; self.inputs() * outputs];
        let mut intercept = vec![0.0; outputs];
        for (output, coefficients) in coefficients.chunks_exact(self.width.max(1)).enumerate() {
            for ((&column, &shift), &coefficient) in self.order.iter().zip(&self.shift).zip(coefficients) {
                original[column * outputs + output] = coefficient;
                intercept[output] -= coefficient * shift;
            }
            if self.has_constant {
                intercept[output] += coefficients[self.width - 1];
            }
        }
        (original, intercept)
    }
}

fn numbers(feature: &Feature) -> Result<&[f64]> {
    match &feature.values {
        Values::Numbers(values) => Ok(values),
        Values::Codes { .. } => Err(Error::input(format!("column {}", feature.name), "category codes", "numbers")),
    }
}

/// A constant column is shifted to nothing but zeros, a dense one to mean 0; without an intercept nothing may move.
fn sketch(column: &[f64], keep: &[usize], weights: &[f64], intercept: bool) -> Sketch {
    let first = keep.first().map_or(0.0, |&row| column[row]);
    if intercept && keep.iter().all(|&row| column[row] == first) {
        return Sketch { is_sparse: true, shift: first };
    }
    let filled = keep.iter().filter(|&&row| column[row] != 0.0).count();
    if filled as f64 <= SPARSE_SHARE * keep.len() as f64 {
        return Sketch { is_sparse: true, shift: 0.0 };
    }
    let total: f64 = weights.iter().sum();
    let excess: f64 = keep.iter().zip(weights).map(|(&row, weight)| weight * (column[row] - first)).sum();
    Sketch { is_sparse: false, shift: if intercept { first + excess / total } else { 0.0 } }
}

/// The scalar product, in eight running sums that the compiler turns into vector instructions.
pub fn dot(left: &[f64], right: &[f64]) -> f64 {
    let length = left.len().min(right.len());
    let ((left, left_rest), (right, right_rest)) = (left[..length].as_chunks::<8>(), right[..length].as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (left, right) in left.iter().zip(right) {
        for i in 0..8 {
            sums[i] += left[i] * right[i];
        }
    }
    let rest: f64 = left_rest.iter().zip(right_rest).map(|(a, b)| a * b).sum();
    rest + ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
}

/// `sum += factor * values`.
pub fn add_scaled(sum: &mut [f64], factor: f64, values: &[f64]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    /// Dense, sparse, constant and empty columns.
    fn features(rows: usize) -> Vec<Feature> {
        let draw = Draw::new(5);
        let column = |number: u64, row: u64| match number % 4 {
            0 => 100.0 + draw.at(number).normal(row),
            1 => f64::from(u8::from(draw.at(number).uniform(row) < 0.1)),
            2 => 3.25,
            _ => draw.at(number).normal(row),
        };
        let values = |number| Values::Numbers((0..rows as u64).map(|row| column(number, row)).collect());
        (0..7).map(|number| Feature { name: format!("x{number}").into(), values: values(number) }).collect()
    }

    fn plain(design: &Design) -> Vec<Vec<f64>> {
        let unit = |column: usize| (0..design.width()).map(|other| f64::from(u8::from(other == column))).collect::<Vec<_>>();
        let columns: Vec<Vec<f64>> = (0..design.width()).map(|column| design.times(&unit(column), 1)).collect();
        (0..design.rows()).map(|row| columns.iter().map(|column| column[row]).collect()).collect()
    }

    #[test]
    fn products_agree_with_plain_sums() {
        let rows = 4999;
        let keep: Vec<usize> = (0..rows).filter(|row| row % 7 != 3).collect();
        let weights: Vec<f64> = keep.iter().map(|&row| 0.5 + (row % 3) as f64).collect();
        for intercept in [false, true] {
            let design = Design::new(&features(rows), &keep, &weights, intercept).unwrap();
            let plain = plain(&design);
            let width = design.width();
            let mut gram = vec![0.0; width * width];
            let mut product = vec![0.0; 2 * width];
            for (row, values) in plain.iter().enumerate() {
                for i in 0..width {
                    (0..width).for_each(|j| gram[i * width + j] += weights[row] * values[i] * values[j]);
                    product[i] += weights[row] * values[i];
                    product[width + i] -= values[i];
                }
            }
            let right: Vec<f64> = weights.iter().flat_map(|&weight| [weight, -1.0]).collect();
            let close = |found: &[f64], wanted: &[f64]| {
                found.iter().zip(wanted).for_each(|(a, b)| assert!((a - b).abs() <= 1e-10 * (1.0 + b.abs()), "{a} {b}"));
            };
            close(&design.gram(&weights), &gram);
            close(&design.transpose_times(&right, 2), &product);
            close(&design.gram_diagonal(&weights), &(0..width).map(|i| gram[i * width + i]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn original_undoes_order_and_shift() {
        let features = features(64);
        let keep: Vec<usize> = (0..64).collect();
        let design = Design::new(&features, &keep, &[1.0; 64], true).unwrap();
        let coefficients: Vec<f64> = (0..design.width()).map(|place| 0.5 + place as f64).collect();
        let (original, intercept) = design.original(&coefficients, 1);
        for (row, wanted) in design.times(&coefficients, 1).into_iter().enumerate() {
            let found = features.iter().zip(&original).fold(intercept[0], |sum, (feature, w)| sum + w * numbers(feature).unwrap()[row]);
            assert!((found - wanted).abs() < 1e-9, "row {row}: {found} {wanted}");
        }
    }
}
