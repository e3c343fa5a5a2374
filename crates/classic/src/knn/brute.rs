//! All points against all rows to answer. For Euclidean and cosine distances products of matrices of `f32` first tell which points can be
//! among the nearest, by a bound on their rounding, and only those are measured in `f64`: the answer is that of measuring all.

use super::metric::Metric;
use super::nearest::Nearest;
use cupola_kernels::matmul::{Matrix, matmul};
use rayon::prelude::*;

/// Rows and points that are compared at once.
const ROWS: usize = 256;
const POINTS: usize = 4096;
/// Points whose keys are had side by side where there is no product.
const BLOCK: usize = 64;
/// Numbers of a row up to which `f32` neither overflows nor loses small squares altogether.
const SIZE_SINGLE_MAX: f64 = 1e15;

/// Points, row by row.
pub(super) struct Brute {
    width: usize,
    metric: Metric,
    values: Vec<f64>,
    sieve: Option<Sieve>,
    /// Column by column in blocks of [`BLOCK`]; empty where there is a sieve.
    blocks: Vec<f64>,
}

/// Points as `f32` around their mean.
struct Sieve {
    mean: Vec<f64>,
    singles: Vec<f32>,
    /// What of a key depends on the point alone.
    own: Vec<f32>,
    /// The longest point's length.
    longest: f64,
}

impl Brute {
    pub(super) fn new(values: Vec<f64>, width: usize, metric: Metric) -> Brute {
        let sieve = match metric {
            Metric::Euclidean => {
                let rows = (values.len() / width) as f64;
                let mut mean = vec![0.0; width];
                values.chunks_exact(width).for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / rows));
                Sieve::new(&values, mean, true)
            }
            Metric::Cosine => Sieve::new(&values, vec![0.0; width], false),
            _ => None,
        };
        let mut blocks = vec![];
        if sieve.is_none() {
            blocks.reserve(values.len());
            for block in values.chunks(BLOCK * width) {
                (0..width).for_each(|column| blocks.extend(block.iter().skip(column).step_by(width)));
            }
        }
        Brute { width, metric, values, sieve, blocks }
    }

    /// The nearest points of each row; `rows` lie row by row.
    pub(super) fn search(&self, rows: &[f64], nearest: &mut [Nearest]) {
        match &self.sieve {
            None => rows.par_chunks(self.width).zip(nearest).for_each(|(at, nearest)| self.measure_all(at, nearest)),
            Some(sieve) => {
                let mut products = vec![0f32; ROWS.min(nearest.len()) * POINTS.min(sieve.own.len())];
                for (rows, nearest) in rows.chunks(ROWS * self.width).zip(nearest.chunks_mut(ROWS)) {
                    self.sift(sieve, rows, nearest, &mut products);
                }
            }
        }
    }

    fn measure_all(&self, at: &[f64], nearest: &mut Nearest) {
        let mut keys = [0.0; BLOCK];
        for (number, block) in self.blocks.chunks(BLOCK * self.width).enumerate() {
            let keys = &mut keys[..block.len() / self.width];
            self.metric.keys(block, at, keys);
            keys.iter().zip(0..).for_each(|(&key, place)| nearest.offer(key, (number * BLOCK) as u32 + place));
        }
    }

    /// Some rows: their products with points, chunk by chunk, and exact keys of the points that the products leave.
    fn sift(&self, sieve: &Sieve, rows: &[f64], nearest: &mut [Nearest], products: &mut [f32]) {
        let width = self.width;
        let singles: Vec<f32> = rows.iter().zip(sieve.mean.iter().cycle()).map(|(value, mean)| (value - mean) as f32).collect();
        for (chunk, points) in sieve.singles.chunks(POINTS * width).enumerate() {
            let count = points.len() / width;
            let products = &mut products[..nearest.len() * count];
            matmul(Matrix::new(&singles, nearest.len(), width), Matrix::new(points, count, width).transposed(), None, products);
            let first = chunk * POINTS;
            let own = &sieve.own[first..first + count];
            let at = rows.par_chunks(width).zip(singles.par_chunks(width)).zip(products.par_chunks(count)).zip(&mut *nearest);
            at.with_min_len(8)
                .for_each(|(((at, single), products), nearest)| self.pick(sieve, (at, single), (own, products), first, nearest));
        }
    }

    /// Measures the points of a chunk that can be nearer than the farthest of the nearest.
    fn pick(&self, sieve: &Sieve, row: (&[f64], &[f32]), points: (&[f32], &[f32]), first: usize, nearest: &mut Nearest) {
        const GROUP: usize = 16;
        let ((at, single), (own, products)) = (row, points);
        let square: f64 = single.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let is_near = square <= SIZE_SINGLE_MAX * SIZE_SINGLE_MAX;
        // For a squared distance |x|^2 - 2 x y + |y|^2; for cosine 1 - x y.
        let (factor, rest) = if self.metric == Metric::Euclidean { (-2f32, square) } else { (-1f32, 1.0) };
        // A product of n numbers errs by at most (n + 2) units of 2^-24 of the lengths' product, whatever the order of its sum; squares and the
        // rounding of the numbers themselves as well; all of them together by less than this.
        let span = square.sqrt() + sieve.longest;
        let slack = (self.width as f64 + 16.0) * 2.0 * f64::from(f32::EPSILON) * span * span + f64::from(f32::MIN_POSITIVE);
        let limit = |nearest: &Nearest| {
            let limit = ((nearest.reach() - rest) + slack) as f32;
            // Its own rounding must not make it less.
            if is_near { limit + limit.abs() * 1e-6 } else { f32::INFINITY }
        };
        let mut most = limit(nearest);
        for (group, (own, products)) in own.chunks(GROUP).zip(products.chunks(GROUP)).enumerate() {
            let mut least = f32::INFINITY;
            for (own, product) in own.iter().zip(products) {
                let key = own + factor * product;
                least = if key < least { key } else { least };
            }
            // Written so that what is no number is measured.
            if least > most {
                continue;
            }
            for (place, (own, product)) in own.iter().zip(products).enumerate() {
                let is_out = own + factor * product > most;
                if !is_out {
                    let point = first + group * GROUP + place;
                    let key = self.metric.key(&self.values[point * self.width..(point + 1) * self.width], at);
                    nearest.offer(key, point as u32);
                    most = limit(nearest);
                }
            }
        }
    }
}

impl Sieve {
    /// None where numbers are too large for it.
    fn new(values: &[f64], mean: Vec<f64>, has_squares: bool) -> Option<Sieve> {
        let width = mean.len();
        let singles: Vec<f32> = values.iter().zip(mean.iter().cycle()).map(|(value, mean)| (value - mean) as f32).collect();
        let squares: Vec<f64> =
            singles.chunks_exact(width).map(|row| row.iter().map(|&value| f64::from(value) * f64::from(value)).sum()).collect();
        let longest = squares.iter().copied().fold(0.0, f64::max).sqrt();
        let is_small = longest <= SIZE_SINGLE_MAX;
        let own = squares.iter().map(|&square| if has_squares { square as f32 } else { 0.0 }).collect();
        is_small.then_some(Sieve { mean, singles, own, longest })
    }
}
