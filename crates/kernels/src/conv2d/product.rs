//! The products behind all three passes, over planes.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::PIECE;
use crate::team::each_part;
use std::ops::Range;

/// Registers across that a block computes at once.
const ACROSS: usize = 2;
/// Weights of a map that stay in the first-level cache while planes go by: 6 or 12 maps' are 12 or 24 KB.
const DEPTH: usize = 512;

/// Maps that a block computes at once: equal shares, so that no last block is a sliver.
fn rows(level: Level, maps: usize) -> usize {
    maps.div_ceil(maps.div_ceil(level.rows()).max(1)).max(1)
}

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

/// Puts weights `[maps, channels, taps]` into panels of some maps, `[panels, channels, taps, maps of the panel]`; `at` gives a weight.
pub(super) fn pack(
    level: Level,
    maps: usize,
    channels: usize,
    taps: usize,
    at: impl Fn(usize, usize, usize) -> f32 + Sync,
    panels: &mut [f32],
) {
    if channels * taps == 0 {
        return;
    }
    let most = rows(level, maps);
    let work = |number: usize, panel: &mut [f32]| {
        let rows = panel.len() / (channels * taps);
        let places = (0..channels).flat_map(|channel| (0..taps).map(move |tap| (channel, tap)));
        for (line, (channel, tap)) in panel.chunks_exact_mut(rows).zip(places) {
            line.iter_mut().enumerate().for_each(|(row, to)| *to = at(number * most + row, channel, tap));
        }
    };
    let panels = &mut panels[..maps * channels * taps];
    let pays = panels.len() >= PIECE;
    each_part(panels, most * channels * taps, pays, work);
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
        let most = maps.div_ceil(maps.div_ceil(V::ROWS).max(1)).max(1);
        let together = (DEPTH / taps.max(1)).max(1);
        for first in (0..channels.max(1)).step_by(together) {
            let depth = first..(first + together).min(channels);
            for map in (0..maps).step_by(most) {
                let rows = most.min(maps - map);
                let weights = &panels[map * channels * taps + depth.start * taps * rows..][..depth.len() * taps * rows];
                let to = &mut out[map * stride..][..rows * stride];
                let block = Block { weights, planes, depth: depth.clone(), is_first: first == 0 };
                match rows {
                    1 => panel::<V, 1>(block, to, stride),
                    2 => panel::<V, 2>(block, to, stride),
                    3 => panel::<V, 3>(block, to, stride),
                    4 => panel::<V, 4>(block, to, stride),
                    5 => panel::<V, 5>(block, to, stride),
                    6 => panel::<V, 6>(block, to, stride),
                    7 => panel::<V, 7>(block, to, stride),
                    8 => panel::<V, 8>(block, to, stride),
                    9 => panel::<V, 9>(block, to, stride),
                    10 => panel::<V, 10>(block, to, stride),
                    11 => panel::<V, 11>(block, to, stride),
                    _ => panel::<V, 12>(block, to, stride),
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
    if R > V::ROWS {
        unreachable!("blocks have at most the rows of their level");
    }
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
/// With AVX-512, 24 sums, 4 inputs and a gradient are 29 of 32.
const FILTERS: [usize; 2] = [4, 6];
const PAIRS: [usize; 2] = [3, 4];

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
        let is_wide = usize::from(V::N == 16);
        let (most, most_pairs) = (FILTERS[is_wide], PAIRS[is_wide]);
        for map in (0..maps).step_by(most) {
            for pair in (0..pairs).step_by(most_pairs) {
                let (mut places, mut to) = ([0; 4], [0; 4]);
                let some = most_pairs.min(pairs - pair);
                for p in 0..some {
                    let (channel, tap) = ((pair + p) / taps, (pair + p) % taps);
                    places[p] = channel * planes.channel + planes.taps[tap];
                    to[p] = map * row + (channels.start + channel) * all + numbers[tap];
                }
                let at = At { gradient: &gradient[map * stride..], stride, planes, places, to, row };
                let rows = most.min(maps - map);
                match some {
                    1 => at.rows::<V, 1>(rows, out),
                    2 => at.rows::<V, 2>(rows, out),
                    3 => at.rows::<V, 3>(rows, out),
                    _ => at.rows::<V, 4>(rows, out),
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
    places: [usize; 4],
    /// Where each pair's sum for the first map is added.
    to: [usize; 4],
    row: usize,
}

impl At<'_> {
    #[inline(always)]
    fn rows<V: Lanes, const P: usize>(&self, rows: usize, out: &mut [f32]) {
        match rows {
            1 => self.add::<V, 1, P>(out),
            2 => self.add::<V, 2, P>(out),
            3 => self.add::<V, 3, P>(out),
            4 => self.add::<V, 4, P>(out),
            5 => self.add::<V, 5, P>(out),
            _ => self.add::<V, 6, P>(out),
        }
    }

    #[inline(always)]
    fn add<V: Lanes, const R: usize, const P: usize>(&self, out: &mut [f32]) {
        if V::N < 16 && (R > FILTERS[0] || P > PAIRS[0]) {
            unreachable!("blocks have at most the rows of their level");
        }
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
