//! Gradients as whole numbers, a pair in one `u64`: the gradient in the upper half (signed), the hessian in the lower.
//!
//! One addition adds both; whole numbers make sums exact, so that histograms do not depend on threads or the order of rows. The
//! scales are chosen so that the sum over all rows fits each half, which bounds the sum over any leaf. Rounding is random by
//! row, so that it does not lean to one side (Shi et al. 2022, section 4.2). With 200,000 rows a mean gradient has about 10,000 steps.

use super::exp::ROUNDER;
use cupola_task::Draw;
use rayon::prelude::*;

/// Rows a task takes; sums of floating point numbers are taken over such blocks in order, whatever the threads.
const BLOCK: usize = 16_384;
/// Rows that a fit can have: each row's rounding may add one to a sum that must stay below 2^31.
pub(crate) const ROWS_MAX: usize = 1 << 30;

/// What one step of each half is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Units {
    /// Of the gradient.
    pub(super) gradient: f64,
    /// Of the hessian.
    pub(super) hessian: f64,
}

/// The signed gradient of a pair or of a sum of pairs.
#[inline]
pub(super) fn gradient(pair: u64) -> i32 {
    (pair >> 32) as i32
}

/// The hessian of a pair or of a sum of pairs.
#[inline]
pub(super) fn hessian(pair: u64) -> u32 {
    pair as u32
}

#[derive(Clone, Copy)]
struct Extent {
    gradient_sum: f64,
    hessian_sum: f64,
    hessian_min: f64,
    hessian_max: f64,
}

fn extent(gradients: &[[f64; 2]], output: usize, stride: usize) -> Extent {
    let mut all = Extent { gradient_sum: 0.0, hessian_sum: 0.0, hessian_min: f64::INFINITY, hessian_max: 0.0 };
    for row in 0..gradients.len() / stride {
        let [gradient, hessian] = gradients[row * stride + output];
        all.gradient_sum += gradient.abs();
        all.hessian_sum += hessian;
        all.hessian_min = if hessian < all.hessian_min { hessian } else { all.hessian_min };
        all.hessian_max = if hessian > all.hessian_max { hessian } else { all.hessian_max };
    }
    all
}

fn join(a: Extent, b: Extent) -> Extent {
    Extent {
        gradient_sum: a.gradient_sum + b.gradient_sum,
        hessian_sum: a.hessian_sum + b.hessian_sum,
        hessian_min: a.hessian_min.min(b.hessian_min),
        hessian_max: a.hessian_max.max(b.hessian_max),
    }
}

/// Fills `pairs` from rows of `stride` gradients and hessians of which the one at `output` counts. `draw` is the tree's.
pub(super) fn quantise(gradients: &[[f64; 2]], output: usize, stride: usize, draw: Draw, pairs: &mut [u64]) -> Units {
    let extents: Vec<Extent> = gradients.par_chunks(BLOCK * stride).map(|block| extent(block, output, stride)).collect();
    let all = extents.into_iter().reduce(join).expect("a fit has rows");
    let room = (i32::MAX as usize - pairs.len()) as f64;
    let scale = |sum: f64| if sum > 1e-280 { room / sum } else { 0.0 };
    let is_constant = all.hessian_min == all.hessian_max && all.hessian_min > 0.0;
    let (by, key) = ([scale(all.gradient_sum), scale(all.hessian_sum)], draw.key());
    pairs.par_chunks_mut(BLOCK).zip(gradients.par_chunks(BLOCK * stride)).enumerate().for_each(|(block, (pairs, gradients))| {
        for place in 0..pairs.len() {
            let [gradient, hessian] = gradients[place * stride + output];
            let bits = Draw::value(key, (block * BLOCK + place) as u64);
            let gradient = round(gradient * by[0], (bits >> 32) as u32);
            let hessian = if is_constant { 1 } else { round(hessian * by[1], bits as u32) };
            pairs[place] = (u64::from(gradient) << 32).wrapping_add(u64::from(hessian & 0x7fff_ffff));
        }
    });
    let unit = |by: f64| if by > 0.0 { 1.0 / by } else { 0.0 };
    Units { gradient: unit(by[0]), hessian: if is_constant { all.hessian_min } else { unit(by[1]) } }
}

/// The whole number below or above, at random, in the proportion of the distances; as the low bits of two's complement.
#[inline]
fn round(value: f64, random: u32) -> u32 {
    let offset = f64::from(random) * (1.0 / 4_294_967_296.0) - 0.5;
    ((value + offset) + ROUNDER).to_bits() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_near_and_fit() {
        let draw = Draw::new(5);
        let gradients: Vec<[f64; 2]> =
            (0..50_000).map(|row| [draw.normal(row), draw.uniform(row) + if row == 7 { 1e4 } else { 0.0 }]).collect();
        let mut pairs = vec![0; gradients.len()];
        let units = quantise(&gradients, 0, 1, draw, &mut pairs);
        let sum = pairs.iter().fold(0u64, |sum, &pair| sum.wrapping_add(pair));
        for (found, place) in [(f64::from(gradient(sum)) * units.gradient, 0), (f64::from(hessian(sum)) * units.hessian, 1)] {
            let wanted: f64 = gradients.iter().map(|pair| pair[place]).sum();
            let step = [units.gradient, units.hessian][place];
            assert!((found - wanted).abs() < step * 1000.0, "found {found}, wanted {wanted}");
        }
        let apart: i64 = pairs.iter().map(|&pair| i64::from(gradient(pair)).abs()).sum();
        assert!(apart <= i64::from(i32::MAX) && pairs.iter().all(|&pair| hessian(pair) <= i32::MAX as u32));
    }

    #[test]
    fn equal_hessians_count_rows() {
        let gradients = vec![[0.0, 0.3]; 10];
        let mut pairs = vec![0; 10];
        let units = quantise(&gradients, 0, 1, Draw::new(1), &mut pairs);
        assert_eq!((pairs, units), (vec![1; 10], Units { gradient: 0.0, hessian: 0.3 }));
    }
}
