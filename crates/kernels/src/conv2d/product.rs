//! The products behind all three passes, over planes.

use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::PIECE;
use rayon::prelude::*;
use std::ops::Range;

/// Maps that a block computes at once.
pub(super) const ROWS: usize = 6;
/// Registers across that a block computes at once. 6 x 2 sums, 2 inputs and a weight are 15 of AVX2's 16 registers.
const ACROSS: usize = 2;
/// Weights of a panel that stay in the first-level cache while planes go by: 6 maps x 1024 numbers are 24 KB.
const DEPTH: usize = 1024;

/// Planes and taps of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planes<'a> {
    /// All planes of all channels.
    pub values: &'a [f32],
    /// From one channel to the next.
    pub channel: usize,
    /// Where each place of the kernel lies from an output's pixel on.
    pub taps: &'a [usize],
    /// Stretches of pixels that hold outputs.
    pub stretches: &'a [Range<usize>],
}

/// Puts weights `[maps, channels, taps]` into panels of [`ROWS`] maps, `[panels, channels, taps, maps of the panel]`; `at` gives a weight.
pub(super) fn pack(maps: usize, channels: usize, taps: usize, at: impl Fn(usize, usize, usize) -> f32 + Sync, panels: &mut [f32]) {
    if channels * taps == 0 {
        return;
    }
    let work = |(number, panel): (usize, &mut [f32])| {
        let rows = panel.len() / (channels * taps);
        let places = (0..channels).flat_map(|channel| (0..taps).map(move |tap| (channel, tap)));
        for (line, (channel, tap)) in panel.chunks_exact_mut(rows).zip(places) {
            line.iter_mut().enumerate().for_each(|(row, to)| *to = at(number * ROWS + row, channel, tap));
        }
    };
    let panels = &mut panels[..maps * channels * taps];
    match panels.len() < PIECE {
        true => panels.chunks_mut(ROWS * channels * taps).enumerate().for_each(work),
        false => panels.par_chunks_mut(ROWS * channels * taps).enumerate().for_each(work),
    }
}

kernel! {
    /// `out[map][pixel] = sum over channels and taps of weight[map][channel][tap] * values[channel][pixel + tap]`, for all pixels of the
    /// stretches and some behind each: `out` `[maps, stride]` has room for a block more. Planes must be readable a block beyond the last tap.
    pub(super) fn product<V>(panels: &[f32], maps: usize, planes: Planes<'_>, channels: usize, out: &mut [f32], stride: usize) {
        let taps = planes.taps.len();
        let last = planes.stretches.iter().map(|stretch| stretch.end).max().unwrap_or(0) + ACROSS * V::N;
        assert!(last <= stride && out.len() >= maps * stride, "the output has room for whole blocks");
        let reach = planes.taps.iter().max().copied().unwrap_or(0) + last;
        let deep = channels.saturating_sub(1) * planes.channel + reach;
        assert!(channels * taps == 0 || planes.values.len() >= deep, "planes are readable beyond the last tap");
        assert!(panels.len() >= maps * channels * taps, "every map has its weights");
        let together = (DEPTH / taps.max(1)).max(1);
        for first in (0..channels.max(1)).step_by(together) {
            let depth = first..(first + together).min(channels);
            for map in (0..maps).step_by(ROWS) {
                let rows = ROWS.min(maps - map);
                let weights = &panels[map * channels * taps + depth.start * taps * rows..][..depth.len() * taps * rows];
                let to = &mut out[map * stride..][..rows * stride];
                let block = Block { weights, planes, depth: depth.clone(), is_first: first == 0 };
                match rows {
                    1 => panel::<V, 1>(block, to, stride),
                    2 => panel::<V, 2>(block, to, stride),
                    3 => panel::<V, 3>(block, to, stride),
                    4 => panel::<V, 4>(block, to, stride),
                    5 => panel::<V, 5>(block, to, stride),
                    _ => panel::<V, 6>(block, to, stride),
                }
            }
        }
    }
}

struct Block<'a> {
    weights: &'a [f32],
    planes: Planes<'a>,
    depth: Range<usize>,
    is_first: bool,
}

/// A panel of maps over all stretches.
#[inline(always)]
fn panel<V: Lanes, const R: usize>(block: Block<'_>, out: &mut [f32], stride: usize) {
    for stretch in block.planes.stretches {
        let mut pixel = stretch.start;
        while pixel + V::N < stretch.end {
            // SAFETY: `product` asserted the room of planes and output for whole blocks.
            unsafe { sums::<V, R, ACROSS>(&block, pixel, out.as_mut_ptr(), stride) };
            pixel += ACROSS * V::N;
        }
        if pixel < stretch.end {
            // SAFETY: as above.
            unsafe { sums::<V, R, 1>(&block, pixel, out.as_mut_ptr(), stride) };
        }
    }
}

/// R maps x A registers of pixels.
///
/// # Safety
/// Planes and output reach a block beyond `pixel`, planes from every tap on.
#[inline(always)]
unsafe fn sums<V: Lanes, const R: usize, const A: usize>(block: &Block<'_>, pixel: usize, out: *mut f32, stride: usize) {
    let Planes { values, channel, taps, .. } = block.planes;
    let mut sums = [[V::splat(0.0); A]; R];
    let mut weights = block.weights.as_ptr();
    for number in block.depth.clone() {
        // SAFETY: `product` asserted that every channel's plane is readable from every tap on, and that each map has its weights.
        unsafe {
            let plane = values.as_ptr().add(number * channel + pixel);
            for &tap in taps {
                let mut pixels = [V::splat(0.0); A];
                for a in 0..A {
                    pixels[a] = V::load_at(plane.add(tap + a * V::N));
                }
                for r in 0..R {
                    let weight = V::splat(*weights.add(r));
                    for a in 0..A {
                        sums[r][a] = weight.mul_add(pixels[a], sums[r][a]);
                    }
                }
                weights = weights.add(R);
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        for (a, sum) in sums.into_iter().enumerate() {
            // SAFETY: `product` asserted the room.
            unsafe {
                let to = out.add(r * stride + pixel + a * V::N);
                let sum = if block.is_first { sum } else { sum.add(V::load_at(to)) };
                sum.store_at(to);
            }
        }
    }
}

/// Gradient rows, and pairs of channel and tap, of a block of inner products: 12 sums, 3 inputs and a gradient are AVX2's 16 registers.
const FILTERS: usize = 4;
const PAIRS: usize = 3;

kernel! {
    /// Adds `sum over pixels of gradient[map][pixel] * values[channel][pixel + tap]` to `out`, where a map's weights are `row` apart and tap
    /// `t` of a channel is number `numbers[t]` of `all`. `planes` begin at the first of the channels. Pixels of `gradient` `[maps, stride]` in
    /// and behind the stretches that are no outputs must be 0, and both readable a register beyond.
    pub(super) fn inner<V>(
        gradient: &[f32], stride: usize, maps: usize, planes: Planes<'_>, channels: Range<usize>, numbers: &[usize], row: usize, all: usize,
        out: &mut [f32]
    ) {
        let taps = planes.taps.len();
        let last = planes.stretches.iter().map(|stretch| stretch.end).max().unwrap_or(0) + V::N;
        let reach = planes.taps.iter().max().copied().unwrap_or(0) + last;
        assert!(maps == 0 || (last <= stride && gradient.len() >= maps * stride), "gradients are readable a register beyond");
        let deep = channels.len().saturating_sub(1) * planes.channel + reach;
        assert!(channels.len() * taps == 0 || planes.values.len() >= deep, "planes are readable beyond the last tap");
        assert_eq!(numbers.len(), taps, "every tap has its number");
        let pairs = channels.len() * taps;
        for map in (0..maps).step_by(FILTERS) {
            for pair in (0..pairs).step_by(PAIRS) {
                let (mut places, mut to) = ([0; PAIRS], [0; PAIRS]);
                let some = PAIRS.min(pairs - pair);
                for p in 0..some {
                    let (channel, tap) = ((pair + p) / taps, (pair + p) % taps);
                    places[p] = channel * planes.channel + planes.taps[tap];
                    to[p] = map * row + (channels.start + channel) * all + numbers[tap];
                }
                let at = At { gradient: &gradient[map * stride..], stride, planes, places, to, row };
                match (FILTERS.min(maps - map), some) {
                    (4, 3) => at.add::<V, 4, 3>(out),
                    (4, 2) => at.add::<V, 4, 2>(out),
                    (4, _) => at.add::<V, 4, 1>(out),
                    (3, 3) => at.add::<V, 3, 3>(out),
                    (3, 2) => at.add::<V, 3, 2>(out),
                    (3, _) => at.add::<V, 3, 1>(out),
                    (2, 3) => at.add::<V, 2, 3>(out),
                    (2, 2) => at.add::<V, 2, 2>(out),
                    (2, _) => at.add::<V, 2, 1>(out),
                    (_, 3) => at.add::<V, 1, 3>(out),
                    (_, 2) => at.add::<V, 1, 2>(out),
                    (_, _) => at.add::<V, 1, 1>(out),
                }
            }
        }
    }
}

/// A block of inner products.
struct At<'a> {
    gradient: &'a [f32],
    stride: usize,
    planes: Planes<'a>,
    /// Where each pair's pixels begin.
    places: [usize; PAIRS],
    /// Where each pair's sum for the first map is added.
    to: [usize; PAIRS],
    row: usize,
}

impl At<'_> {
    #[inline(always)]
    fn add<V: Lanes, const R: usize, const P: usize>(&self, out: &mut [f32]) {
        let mut sums = [[V::splat(0.0); P]; R];
        let (gradient, values) = (self.gradient.as_ptr(), self.planes.values.as_ptr());
        for stretch in self.planes.stretches {
            let mut pixel = stretch.start;
            while pixel < stretch.end {
                // SAFETY: `inner` asserted that gradients and planes are readable a register beyond each stretch.
                unsafe {
                    let mut pixels = [V::splat(0.0); P];
                    for p in 0..P {
                        pixels[p] = V::load_at(values.add(pixel + self.places[p]));
                    }
                    for r in 0..R {
                        let gradient = V::load_at(gradient.add(r * self.stride + pixel));
                        for p in 0..P {
                            sums[r][p] = gradient.mul_add(pixels[p], sums[r][p]);
                        }
                    }
                }
                pixel += V::N;
            }
        }
        for r in 0..R {
            for p in 0..P {
                out[self.to[p] + r * self.row] += sums[r][p].sum();
            }
        }
    }
}
