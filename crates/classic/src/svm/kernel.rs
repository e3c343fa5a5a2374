//! Kernels, and rows of their matrix over training rows.

use crate::points::{LANES, Lane, Points};
use crate::trees::exp::exp;
use cupola_kernels::matmul::{Matrix, matmul};
use rayon::prelude::*;

/// A kernel with its numbers, by scikit-learn's names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kernel {
    /// x y
    Linear,
    /// exp(-gamma |x - y|^2)
    Rbf { gamma: f64 },
    /// (gamma x y + coef0)^degree
    Poly { gamma: f64, coef0: f64, degree: u32 },
    /// tanh(gamma x y + coef0)
    Sigmoid { gamma: f64, coef0: f64 },
}

impl Kernel {
    /// Its value from the rows' products with each other and with themselves.
    pub(super) fn value(self, product: f64, squares: f64) -> f64 {
        match self {
            Kernel::Linear => product,
            Kernel::Rbf { gamma } => exp(-gamma * above_zero(squares - 2.0 * product)),
            Kernel::Poly { gamma, coef0, degree } => power(gamma * product + coef0, degree),
            Kernel::Sigmoid { gamma, coef0 } => 1.0 - 2.0 / (exp(2.0 * (gamma * product + coef0)) + 1.0),
        }
    }

    /// Turns products into values: `squares` are those of the rows, `own` those of the packed ones.
    pub(super) fn values(self, products: &mut [Lane], squares: &[f64], own: &Lane) {
        match self {
            Kernel::Linear => {}
            Kernel::Rbf { gamma } => {
                for (values, square) in products.iter_mut().zip(squares) {
                    for lane in 0..LANES {
                        values[lane] = exp(-gamma * above_zero(square + own[lane] - 2.0 * values[lane]));
                    }
                }
            }
            other => products.iter_mut().flatten().for_each(|value| *value = other.value(*value, 0.0)),
        }
    }

    /// A row's value with itself, rounded as all values that are kept.
    pub(super) fn diagonal(self, square: f64) -> f64 {
        match self {
            Kernel::Rbf { .. } => 1.0,
            other => f64::from(other.value(square, 2.0 * square) as f32),
        }
    }
}

fn above_zero(x: f64) -> f64 {
    if x > 0.0 { x } else { 0.0 }
}

fn power(base: f64, degree: u32) -> f64 {
    let (mut result, mut square, mut left) = (1.0, base, degree);
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    result
}

/// Up to this exponent of two far rows, `f32` distances of centred rows err by less than about 1e-5 in the kernel's value.
const RBF_REACH_MAX: f64 = 100.0;

/// All training rows, of which problems are parts.
pub(super) struct Ground<'a> {
    pub(super) kernel: Kernel,
    pub(super) points: &'a Points,
    pub(super) squares: Vec<f64>,
    /// What is subtracted from each place, where products are of `f32`: distances do not change by it. None where `f32` would err too much, and for
    /// other kernels than rbf: their matrices are singular where there are few columns, and a rounding that differs between (i, j) and (j, i) then
    /// keeps the last digits of an optimum from settling.
    single: Option<Vec<f64>>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(kernel: Kernel, points: &'a Points) -> Ground<'a> {
        let ground = Ground { kernel, points, squares: points.squares(), single: None };
        let single = ground.shift();
        Ground { single, ..ground }
    }

    fn shift(&self) -> Option<Vec<f64>> {
        let (rows, width) = (self.points.rows(), self.points.width());
        let mut sums = vec![0.0; width];
        let Kernel::Rbf { gamma } = self.kernel else { return None };
        (0..rows).for_each(|row| self.points.add_row(row, 1.0, &mut sums));
        sums.iter_mut().for_each(|sum| *sum /= rows as f64);
        let mut values = vec![0.0; width];
        let far = (0..rows).fold(0.0, |far: f64, row| {
            self.points.write_row(row, &mut values);
            let square = values.iter().zip(&sums).fold(0.0, |sum, (value, mean)| sum + (value - mean) * (value - mean));
            far.max(square)
        });
        (gamma * far <= RBF_REACH_MAX).then_some(sums)
    }

    /// Some rows as `f32`, shifted.
    fn single(&self, rows: &[usize], shift: &[f64]) -> Vec<f32> {
        let width = self.points.width();
        let mut singles = vec![0f32; rows.len() * width];
        singles.par_chunks_mut(width.max(1)).zip(rows).with_min_len(256).for_each_init(
            || vec![0.0; width],
            |values, (singles, &row)| {
                self.points.write_row(row, values);
                for ((single, value), shift) in singles.iter_mut().zip(&*values).zip(shift) {
                    *single = (value - shift) as f32;
                }
            },
        );
        singles
    }
}

/// Some rows of the ground, whose values with others are asked for.
pub(super) enum Gram {
    /// By products of matrices of `f32`.
    Single { values: Vec<f32>, squares: Vec<f32> },
    /// By sums of `f64`.
    Exact { points: Points, squares: Vec<f64> },
}

impl Gram {
    pub(super) fn new(ground: &Ground<'_>, rows: &[usize]) -> Gram {
        match &ground.single {
            Some(shift) => {
                let values = ground.single(rows, shift);
                let width = ground.points.width();
                let square = |row: usize| values[row * width..(row + 1) * width].iter().fold(0f32, |sum, value| sum + value * value);
                let squares = (0..rows.len()).map(square).collect();
                Gram::Single { values, squares }
            }
            None => Gram::Exact { points: ground.points.take(rows), squares: rows.iter().map(|&row| ground.squares[row]).collect() },
        }
    }

    /// How many rows.
    pub(super) fn len(&self) -> usize {
        match self {
            Gram::Single { squares, .. } => squares.len(),
            Gram::Exact { squares, .. } => squares.len(),
        }
    }

    /// The kernel's values of some rows of the ground with the own ones: `out` is `[wanted, own]`.
    pub(super) fn values(&self, ground: &Ground<'_>, wanted: &[usize], out: &mut [f32]) {
        let own = self.len();
        match (self, &ground.single) {
            (Gram::Single { values, squares }, Some(shift)) => {
                let width = ground.points.width();
                let Kernel::Rbf { gamma } = ground.kernel else { unreachable!("other kernels are summed exactly") };
                let left = ground.single(wanted, shift);
                matmul(Matrix::new(&left, wanted.len(), width), Matrix::new(values, own, width).transposed(), None, out);
                let finish = |(row, out): (usize, &mut [f32])| {
                    let square = left[row * width..(row + 1) * width].iter().fold(0f32, |sum, value| sum + value * value);
                    finish(gamma as f32, square, squares, out);
                };
                out.par_chunks_mut(own.max(1)).enumerate().with_min_len(8).for_each(finish);
            }
            (Gram::Exact { points, squares }, _) => {
                out.par_chunks_mut((own * LANES).max(1)).zip(wanted.par_chunks(LANES)).for_each(|(out, wanted)| {
                    let mut packed = points.packed();
                    ground.points.pack_own(wanted, &mut packed);
                    let mut products = vec![[0.0; LANES]; own];
                    points.products(0..own, &packed, &mut products);
                    ground.kernel.values(&mut products, squares, &packed.squares());
                    for (lane, out) in out.chunks_mut(own.max(1)).enumerate() {
                        out.iter_mut().zip(&products).for_each(|(out, values)| *out = values[lane] as f32);
                    }
                });
            }
            (Gram::Single { .. }, None) => unreachable!("rows are as the ground says"),
        }
    }
}

/// Products of `f32` as values of the kernel.
fn finish(gamma: f32, square: f32, squares: &[f32], out: &mut [f32]) {
    for (value, other) in out.iter_mut().zip(squares) {
        let distance = (square + other) - 2.0 * *value;
        *value = exp_single(-gamma * if distance > 0.0 { distance } else { 0.0 });
    }
}

/// e to the power of an x that is at most 0, to some units in the last place; x below -87 counts as -87. The loop over it vectorises.
///
/// The power of two goes into the exponent, a polynomial of degree 6 gives the rest.
#[inline]
fn exp_single(x: f32) -> f32 {
    // What is added to a number below 2^22 to leave but its whole part.
    const ROUNDING: f32 = 12_582_912.0;
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = x * std::f32::consts::LOG2_E + ROUNDING;
    let n = shifted - ROUNDING;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let r2 = r * r;
    let low = 1.0 + r + 0.5 * r2;
    let high = (1.666_666_7e-1 + 4.166_666_8e-2 * r) + r2 * (8.333_361e-3 + 1.393_887e-3 * r);
    (low + r * r2 * high) * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Feature, Values};
    use cupola_task::Draw;

    fn points(scale: f64) -> Points {
        let draw = Draw::new(8);
        let column = |number: u64| (0..70).map(|row| scale * draw.at(number).normal(row)).collect();
        let features: Vec<Feature> = (0..5).map(|number| Feature { name: "x".into(), values: Values::Numbers(column(number)) }).collect();
        Points::new(&features, &(0..70).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn rows_are_those_of_the_formula_in_both_precisions() {
        for scale in [1.0, 1e4] {
            let points = points(scale);
            let gamma = 0.3 / (scale * scale);
            for kernel in [
                Kernel::Linear,
                Kernel::Rbf { gamma },
                Kernel::Rbf { gamma: 40.0 * gamma },
                Kernel::Poly { gamma, coef0: 0.5, degree: 3 },
                Kernel::Sigmoid { gamma, coef0: -0.2 },
            ] {
                let ground = Ground::new(kernel, &points);
                let own: Vec<usize> = (3..70).step_by(2).collect();
                let wanted = [0usize, 5, 6, 69, 11];
                let gram = Gram::new(&ground, &own);
                let mut out = vec![0f32; wanted.len() * own.len()];
                gram.values(&ground, &wanted, &mut out);
                let mut rows = vec![vec![0.0; 5]; 70];
                rows.iter_mut().enumerate().for_each(|(row, values)| points.write_row(row, values));
                for (place, found) in out.iter().enumerate() {
                    let (a, b) = (&rows[wanted[place / own.len()]], &rows[own[place % own.len()]]);
                    let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                    let distance: f64 = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum();
                    let truth = match kernel {
                        Kernel::Linear => product,
                        Kernel::Rbf { gamma } => (-gamma * distance).exp(),
                        Kernel::Poly { gamma, coef0, degree } => (gamma * product + coef0).powi(degree as i32),
                        Kernel::Sigmoid { gamma, coef0 } => (gamma * product + coef0).tanh(),
                    };
                    let error = (f64::from(*found) - truth).abs() / truth.abs().max(1.0);
                    assert!(error < 1e-5, "{kernel:?} at {place}: {found} and {truth}");
                }
            }
        }
    }

    #[test]
    fn exp_single_is_the_exponential() {
        for step in 0..8600 {
            let x = -f64::from(step) * 0.01;
            let error = f64::from(exp_single(x as f32)) / f64::from(x as f32).exp() - 1.0;
            assert!(error.abs() < 5e-7, "exp({x}): {error}");
        }
        assert!(exp_single(-1e30) < 1e-37);
    }
}
