//! The gradient of a convolution's weights, of numbers rounded to `bf16`: for each tap a product of `dy` `[filters, pixels]` with a plane
//! `[pixels, maps]`, whose pairs of pixels lie woven, map by map. Taps that begin at an odd pixel have planes of their own, half a pair apart.

use super::conv2d::Axis;
use super::panels::{PANEL, PANEL_STEP};
use super::round::{self, Lines};
use super::tiles::{Place, SIDE, STEP, Tiles, block};
use super::unit::Unit;
use crate::conv2d::Shape;
use crate::scratch::{keep, scratch};
use crate::shared::Shared;
use crate::team::{each, each_part};
use std::ops::Range;

/// Halves that are worked on at once: 2 MB.
const HALVES: usize = 1 << 20;
/// Steps that all taps go through before the next ones: gradients of a panel of filters stay in the first-level cache, 24 KB.
const CHUNK: usize = 12;

/// Rows of an image.
struct Band {
    image: usize,
    rows: Range<usize>,
}

/// What does not change from group to group.
struct Work<'a> {
    unit: Unit,
    shape: &'a Shape,
    axes: [Axis; 2],
    /// Numbers of a plane's row, rows of a band at most, pixels of a band in whole steps.
    width: usize,
    tall: usize,
    pixels: usize,
    /// Pairs of pixels in a plane.
    pairs: usize,
    /// Maps in whole tiles.
    maps: usize,
}

pub(super) fn run(unit: Unit, shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check([x.len(), dw.len(), dy.len()]);
    let axes = [0, 1].map(|axis| Axis::forward(shape, axis));
    let width = axes[1].outputs + axes[1].reach();
    let phases = axes[0].phases.len() * axes[1].phases.len();
    let each = width * (2 * shape.channels * phases + shape.filters);
    let tall = (HALVES / each).clamp(1, axes[0].outputs);
    let tall = axes[0].outputs.div_ceil(axes[0].outputs.div_ceil(tall));
    let pixels = (tall * width).next_multiple_of(STEP);
    let pairs = (pixels + axes[0].reach() * width + axes[1].reach()) / 2 + SIDE;
    let outputs = axes[0].outputs;
    let maps = shape.channels.next_multiple_of(PANEL);
    let together = (HALVES / (each * tall)).max(1);
    let work = Work { unit, shape, axes, width, tall, pixels, pairs, maps };
    let bands: Vec<Band> = (0..shape.batch)
        .flat_map(|image| (0..outputs).step_by(tall).map(move |row| Band { image, rows: row..(row + tall).min(outputs) }))
        .collect();
    let filters = shape.filters.next_multiple_of(PANEL);
    let taps = work.axes[0].taps.len() * work.axes[1].taps.len();
    scratch(taps * filters * maps, |sums| {
        for (number, bands) in bands.chunks(together).enumerate() {
            work.group(bands, x, dy, number > 0, sums);
        }
        work.scatter(sums, dw);
    });
}

impl Work<'_> {
    fn phases(&self) -> usize {
        self.axes[0].phases.len() * self.axes[1].phases.len()
    }

    /// Adds some bands to the sums `[taps, filters, maps]`.
    fn group(&self, bands: &[Band], x: &[f32], dy: &[f32], adds: bool, sums: &mut [f32]) {
        let filters = self.shape.filters.next_multiple_of(PANEL);
        // Of one phase, one panel of maps and one parity.
        let plane = self.pairs * PANEL;
        let wide = self.maps / PANEL;
        let mut blames = keep(filters * bands.len() * self.pixels / 2);
        let mut planes = keep(bands.len() * self.phases() * wide * 2 * plane);
        let line = bands.len() * self.pixels;
        each_part(&mut blames, PANEL * line / 2, true, |panel, to| self.round_blame(bands, dy, panel * PANEL, to));
        each_part(&mut planes, 2 * plane, true, |place, to| {
            let (place, map) = (place / wide, place % wide * PANEL);
            self.round_planes(&bands[place / self.phases()], place % self.phases(), map, x, to);
        });
        let steps = |band: usize| {
            (0..self.pixels / STEP).map(move |step| Place {
                a: 2 * (band * self.pixels / STEP + step) * PANEL_STEP,
                b: 4 * (band * self.phases() * wide * 2 * plane + step * STEP / 2 * PANEL),
            })
        };
        let places: Vec<Place> = (0..bands.len()).flat_map(steps).collect();
        let taps: Vec<_> = self.axes[0].taps.iter().flat_map(|y| self.axes[1].taps.iter().map(move |x| (*y, *x))).collect();
        let down = filters / PANEL;
        let sums = Shared::new(sums);
        each(down * wide, true, |place| {
            let [filter, map] = [place / wide * PANEL, place % wide * PANEL];
            self.unit.enter(|| {
                let chunks = places.chunks(CHUNK).enumerate().flat_map(|chunk| taps.iter().enumerate().map(move |tap| (chunk, tap)));
                for ((chunk, places), (number, (y, x))) in chunks {
                    let phase = y.phase * self.axes[1].phases.len() + x.phase;
                    let pixel = y.offset * self.width + x.offset;
                    let first = ((phase * wide + map / PANEL) * 2 + pixel % 2) * plane + pixel / 2 * PANEL;
                    let a: *const u16 = blames[filter * line / 2..].as_ptr().cast();
                    let b: *const u16 = planes[first..].as_ptr().cast();
                    let tiles = Tiles { a, a_stride: 2 * STEP, b, b_stride: 4 * PANEL, places };
                    // SAFETY: all was written in whole tiles, and blocks of sums are apart.
                    unsafe {
                        let c = sums.rows_at((number * filters + filter) * self.maps + map, PANEL, self.maps, PANEL);
                        block(self.unit, [2, 2], tiles, adds || chunk > 0, c, self.maps);
                    }
                }
            });
        });
    }

    /// Gradients of a panel of filters, in the order of planes, zeros where planes reach beyond rows: `[steps of all bands, filters, 32]`.
    fn round_blame(&self, bands: &[Band], dy: &[f32], first: usize, to: &mut [f32]) {
        let [rows, columns] = self.shape.output();
        let filters = self.shape.filters.saturating_sub(first).min(PANEL);
        scratch(PANEL * self.pixels, |spread| {
            for (place, band) in bands.iter().enumerate() {
                spread.fill(0.0);
                for filter in 0..filters {
                    let map = &dy[(band.image * self.shape.filters + first + filter) * rows * columns..][..rows * columns];
                    for (number, row) in band.rows.clone().enumerate() {
                        spread[filter * self.pixels + number * self.width..][..columns].copy_from_slice(&map[row * columns..][..columns]);
                    }
                }
                for (step, tile) in (0..self.pixels / STEP).flat_map(|step| [(step, 0), (step, SIDE)]) {
                    let from = spread[tile * self.pixels + step * STEP..].as_ptr();
                    let lines = Lines { from, stride: self.pixels, step: 1, rows: SIDE, columns: STEP };
                    let to = to[((place * self.pixels / STEP + step) * PANEL_STEP + tile * STEP) / 2..].as_mut_ptr().cast::<u16>();
                    // SAFETY: both have sixteen rows of whole steps.
                    unsafe { round::rows(self.unit, lines, to, STEP) };
                }
            }
        });
    }

    /// A panel of maps of a phase of a band, once from even pixels on and once from odd ones: `[2, pairs, maps, 2]`.
    fn round_planes(&self, band: &Band, phase: usize, first_map: usize, x: &[f32], to: &mut [f32]) {
        let [down, across] = &self.axes;
        let [y_phase, x_phase] = [phase / across.phases.len(), phase % across.phases.len()];
        let Shape { height, width, channels, .. } = *self.shape;
        let (places, first) = across.pixels(x_phase, self.width, width);
        let long = 2 * self.pairs + STEP;
        let tall = self.tall + down.reach();
        scratch(SIDE * long, |spread| {
            for map in (first_map..first_map + PANEL).step_by(SIDE) {
                spread.fill(0.0);
                for number in map..(map + SIDE).min(channels) {
                    let from = &x[(band.image * channels + number) * height * width..][..height * width];
                    for row in 0..tall {
                        let Some(y) = down.pixel(y_phase, row + band.rows.start, height) else { continue };
                        let to = &mut spread[(number - map) * long + row * self.width..][places.clone()];
                        let from = &from[y * width..][..width];
                        match across.split {
                            1 => to.copy_from_slice(&from[first..first + places.len()]),
                            split => to.iter_mut().zip(from[first.min(width)..].iter().step_by(split)).for_each(|(to, from)| *to = *from),
                        }
                    }
                }
                for parity in 0..2 {
                    for pair in (0..self.pairs).step_by(SIDE) {
                        // The last tile begins where it ends with the plane.
                        let pair = pair.min(self.pairs - SIDE);
                        let from = spread[2 * pair + parity..].as_ptr();
                        let lines = Lines { from, stride: long, step: 1, rows: SIDE, columns: STEP };
                        let place = (parity * self.pairs + pair) * PANEL + map - first_map;
                        // SAFETY: a line has a step more than the plane, and the plane has whole tiles of maps.
                        unsafe { round::columns(self.unit, lines, to.as_mut_ptr().cast::<u16>().add(2 * place), 2 * PANEL) };
                    }
                }
            }
        });
    }

    /// Sums `[taps, filters, maps]` to gradients `[filters, maps, taps]`; taps that meet no pixel have none.
    fn scatter(&self, sums: &[f32], dw: &mut [f32]) {
        let (taps, channels) = (self.shape.taps(), self.shape.channels);
        let filters = self.shape.filters.next_multiple_of(PANEL);
        let numbers: Vec<usize> =
            self.axes[0].taps.iter().flat_map(|y| self.axes[1].taps.iter().map(|x| y.number * self.shape.kernel[1] + x.number)).collect();
        each_part(dw, channels * taps, true, |filter, to| {
            if numbers.len() < taps {
                to.fill(0.0);
            }
            for (place, number) in numbers.iter().enumerate() {
                let from = &sums[(place * filters + filter) * self.maps..][..channels];
                to[*number..].iter_mut().step_by(taps).zip(from).for_each(|(to, sum)| *to = *sum);
            }
        });
    }
}
