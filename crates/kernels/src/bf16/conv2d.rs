//! Convolutions of numbers rounded to `bf16`, forwards and to the input: products of tiles with planes, whose taps are places and not copies.
//!
//! A plane is a map with zeros around it. Pairs of maps lie woven, pixel by pixel, so that sixteen pixels in a row of sixteen pairs of maps are a
//! tile of `b`, wherever they begin: the places of a block's depth are the taps. Rows of a plane are gone through as one, so sums that
//! reach over a row's end are computed as well, and not kept. A stride splits planes into its phases.

use super::panels::{self, PANEL, PANEL_STEP};
use super::round::{self, Lines};
use super::tiles::{Place, SIDE, STEP, Tiles, block};
use super::unit::Unit;
use super::{matmul, weight_gradient};
use crate::conv2d::{self, Passes, Shape, Weights, columns, met, phases};
use crate::end::End;
use crate::matmul::{Matrix, Start};
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::{keep, scratch};
use crate::shared::Shared;
use crate::team::{each_of, each_part};
use std::ops::Range;

/// Fewer maps on either side leave most of a tile empty.
const MAPS: usize = 16;
/// Pixels of a plane that are worked on at once: their sums for a panel of filters are 256 KB.
const PIXELS: usize = 2048;
/// Halves of planes that are worked on at once: 512 KB.
const HALVES: usize = 1 << 18;
/// Pieces of the work, if there is enough of it.
const PIECES: usize = 8;

/// Maps of fewer outputs leave most of a tile empty, too: they are computed by columns.
const OUTPUTS: usize = 16;

/// How a shape is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// By tiles of planes, here.
    Planes,
    /// By columns, as one product of rounded numbers.
    Columns,
    /// In `f32`.
    Exact,
}

impl Way {
    fn of(shape: &Shape) -> Way {
        let sees = || [0, 1].iter().all(|axis| !met(shape, *axis).is_empty());
        let is_large = shape.groups == 1 && shape.channels >= MAPS && shape.filters >= MAPS && shape.lens().iter().all(|len| *len > 0);
        match is_large && sees() {
            false => Way::Exact,
            true if shape.output().iter().product::<usize>() < OUTPUTS => Way::Columns,
            true => Way::Planes,
        }
    }
}

fn multiply() -> impl columns::Product {
    let unit = Unit::current();
    move |a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, c: &mut [f32]| matmul::threaded(unit, a, b, start, c)
}

/// The passes of rounded numbers.
pub const ROUNDED: Passes = Passes { forward, input_gradient, weight_gradient };

/// As [`conv2d::forward`], of numbers rounded to `bf16` where there are sixteen maps or more on both sides.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    match Way::of(shape) {
        Way::Planes => forward_by(Unit::current(), shape, x, weight, bias, y),
        Way::Columns => columns::forward(multiply(), shape, x, Weights::plain(weight), End::bias(bias), y),
        Way::Exact => conv2d::forward(shape, x, weight, bias, y),
    }
}

/// As [`conv2d::input_gradient`], likewise.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    match Way::of(shape) {
        Way::Planes => input_gradient_by(Unit::current(), shape, weight, dy, dx),
        Way::Columns => columns::input_gradient(multiply(), shape, weight, dy, dx),
        Way::Exact => conv2d::input_gradient(shape, weight, dy, dx),
    }
}

/// With fewer maps on either side, rounding gradients for products with few others takes longer than products of `f32` (16 maps of 32x32 to 16:
/// 3.1 ms, and 0.6 ms; 64 of 8x8 to 64: equal).
const GRADIENT_MAPS: usize = 64;

/// As [`conv2d::weight_gradient`], of numbers rounded to `bf16` where there are 64 maps or more on both sides.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    match Way::of(shape) {
        _ if shape.channels.min(shape.filters) < GRADIENT_MAPS => conv2d::weight_gradient(shape, x, dy, dw),
        Way::Planes => weight_gradient::run(Unit::current(), shape, x, dy, dw),
        Way::Columns => columns::weight_gradient(multiply(), shape, x, dy, dw),
        Way::Exact => conv2d::weight_gradient(shape, x, dy, dw),
    }
}

/// One axis: output `i` goes to place `first + i * step` and meets, at each tap, number `i + offset` of a phase of the plane. Number `j` of a
/// phase is pixel `j * split + phase - before`, or a zero where there is none.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub outputs: usize,
    first: usize,
    step: usize,
    pub split: usize,
    pub before: usize,
    pub phases: Vec<usize>,
    pub taps: Vec<Tap>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Of the kernel's numbers along the axis.
    pub number: usize,
    /// Which of the axis' phases.
    pub phase: usize,
    pub offset: usize,
}

impl Axis {
    pub(super) fn forward(shape: &Shape, axis: usize) -> Axis {
        let (split, dilation) = (shape.stride[axis], shape.dilation[axis]);
        let mut phases: Vec<usize> = met(shape, axis).iter().map(|tap| tap * dilation % split).collect();
        phases.sort_unstable();
        phases.dedup();
        let tap = |number: usize| Tap {
            number,
            phase: phases.iter().position(|phase| *phase == number * dilation % split).unwrap_or_default(),
            offset: number * dilation / split,
        };
        let taps = met(shape, axis).into_iter().map(tap).collect();
        Axis { outputs: shape.output()[axis], first: 0, step: 1, split, before: shape.padding[axis], phases, taps }
    }

    fn input(shape: &Shape, axis: usize) -> Vec<Axis> {
        let axis_of = |phase: conv2d::Phase| {
            let before = phase.taps.iter().map(|(_, distance)| distance.saturating_sub(phase.place)).max().unwrap_or_default();
            let tap = |(number, distance): &(usize, usize)| Tap { number: *number, phase: 0, offset: phase.place + before - distance };
            let taps = phase.taps.iter().map(tap).collect();
            Axis { outputs: phase.count, first: phase.first, step: shape.stride[axis], split: 1, before, phases: vec![0], taps }
        };
        phases(shape, axis).into_iter().map(axis_of).collect()
    }

    /// How far taps reach beyond an output's own place.
    pub(super) fn reach(&self) -> usize {
        self.taps.iter().map(|tap| tap.offset).max().unwrap_or_default()
    }

    /// The pixel at a place of a phase, if there is one.
    pub(super) fn pixel(&self, phase: usize, place: usize, side: usize) -> Option<usize> {
        (place * self.split + self.phases[phase]).checked_sub(self.before).filter(|pixel| *pixel < side)
    }

    /// The places of a phase that are pixels, and the first pixel.
    pub(super) fn pixels(&self, phase: usize, places: usize, side: usize) -> (Range<usize>, usize) {
        let phase = self.phases[phase];
        let start = self.before.saturating_sub(phase).div_ceil(self.split).min(places);
        let end = (side + self.before).saturating_sub(phase).div_ceil(self.split).clamp(start, places);
        (start..end, (start * self.split + phase).saturating_sub(self.before))
    }
}

/// A convolution of planes.
struct Work<'a> {
    unit: Unit,
    batch: usize,
    /// Maps that are seen, and their height and width.
    maps: usize,
    sides: [usize; 2],
    x: &'a [f32],
    axes: [&'a Axis; 2],
    /// Maps that are computed, and their height and width.
    filters: usize,
    to_sides: [usize; 2],
    bias: Option<&'a [f32]>,
    y: Shared<'a>,
}

pub(super) fn forward_by(unit: Unit, shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    shape.check([x.len(), weight.len(), y.len()]);
    assert!(bias.is_none_or(|bias| bias.len() == shape.filters), "one bias a filter");
    let (taps, channels, filters) = (shape.taps(), shape.channels, shape.filters);
    let axes = [0, 1].map(|axis| Axis::forward(shape, axis));
    let work = Work {
        unit,
        batch: shape.batch,
        maps: channels,
        sides: [shape.height, shape.width],
        x,
        axes: axes.each_ref(),
        filters,
        to_sides: shape.output(),
        bias,
        y: Shared::new(y),
    };
    work.run(shape.flops(), |tap| Matrix::strided(&weight[tap..], [filters, channels], [channels * taps, taps]), shape.kernel[1]);
}

pub(super) fn input_gradient_by(unit: Unit, shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    shape.check([dx.len(), weight.len(), dy.len()]);
    let (taps, channels, filters) = (shape.taps(), shape.channels, shape.filters);
    let across = Axis::input(shape, 1);
    let y = Shared::new(dx);
    for down in &Axis::input(shape, 0) {
        for across in &across {
            let work = Work {
                unit,
                batch: shape.batch,
                maps: filters,
                sides: shape.output(),
                x: dy,
                axes: [down, across],
                filters: channels,
                to_sides: [shape.height, shape.width],
                bias: None,
                y,
            };
            work.run(shape.flops(), |tap| Matrix::strided(&weight[tap..], [channels, filters], [taps, channels * taps]), shape.kernel[1]);
        }
    }
}

/// Rows of some images.
struct Piece {
    images: Range<usize>,
    rows: Range<usize>,
}

impl Work<'_> {
    /// Runs it; `weights` gives the matrix `[filters, maps]` of a tap.
    fn run<'w>(&self, flops: u64, weights: impl Fn(usize) -> Matrix<'w> + Sync, kernel_width: usize) {
        let [down, across] = self.axes;
        let blocks = self.maps.div_ceil(STEP);
        let taps: Vec<(Tap, Tap)> = down.taps.iter().flat_map(|y| across.taps.iter().map(|x| (*y, *x))).collect();
        let steps = taps.len() * blocks;
        let pieces = self.pieces();
        let mut rounded = keep(self.filters.div_ceil(PANEL) * steps * PANEL_STEP / 2);
        let round = |panel: usize, to: &mut [f32]| {
            let rows = panel * PANEL..(panel * PANEL + PANEL).min(self.filters);
            for (place, (y, x)) in taps.iter().enumerate() {
                // SAFETY: a panel has room for the blocks of all taps.
                unsafe {
                    let to = to.as_mut_ptr().cast::<u16>().add(place * blocks * PANEL_STEP);
                    panels::rows(self.unit, weights(y.number * kernel_width + x.number), rows.clone(), 0..self.maps, to);
                }
            }
        };
        if steps > 0 {
            each_part(&mut rounded, steps * PANEL_STEP / 2, true, round);
        }
        each_of(&pieces, flops >= SERIAL_FLOPS, |piece| self.piece(piece, &taps, &rounded));
    }

    fn width(&self) -> usize {
        self.axes[1].outputs + self.axes[1].reach()
    }

    fn pieces(&self) -> Vec<Piece> {
        let [down, across] = self.axes;
        let row = self.maps.next_multiple_of(STEP) * self.width() * down.phases.len() * across.phases.len();
        let most = (PIXELS / self.width()).min(HALVES / row).clamp(1, down.outputs.max(1));
        let tall = down.outputs.div_ceil(down.outputs.div_ceil(most).max(1)).max(1);
        let images = match tall >= down.outputs {
            true => (most / tall).min(self.batch.div_ceil(PIECES)).max(1),
            false => 1,
        };
        (0..self.batch)
            .step_by(images)
            .flat_map(|first| {
                (0..down.outputs)
                    .step_by(tall)
                    .map(move |row| Piece { images: first..(first + images).min(self.batch), rows: row..(row + tall).min(down.outputs) })
            })
            .collect()
    }

    fn piece(&self, piece: &Piece, taps: &[(Tap, Tap)], rounded: &[f32]) {
        let [down, across] = self.axes;
        let (width, blocks) = (self.width(), self.maps.div_ceil(STEP));
        let phases = down.phases.len() * across.phases.len();
        let tall = piece.rows.len() + down.reach();
        // Pixels are read in whole tiles beyond the last row, and pairs of maps may not meet in one set of the cache.
        let mut plane = (tall * width + 2 * PANEL).next_multiple_of(16);
        if (plane * phases).is_multiple_of(256) {
            plane += 16;
        }
        let image = blocks * STEP / 2 * phases * plane;
        let place = |block: usize, (y, x): &(Tap, Tap)| {
            let phase = y.phase * across.phases.len() + x.phase;
            4 * ((block * STEP / 2 * phases + phase) * plane + y.offset * width + x.offset)
        };
        let places: Vec<Place> = taps
            .iter()
            .flat_map(|tap| (0..blocks).map(move |block| (tap, block)))
            .enumerate()
            .map(|(step, (tap, block))| Place { a: 2 * step * PANEL_STEP, b: place(block, tap) })
            .collect();
        let pixels = (piece.rows.len() - 1) * width + across.outputs;
        let long = pixels.next_multiple_of(PANEL);
        scratch(piece.images.len() * image, |planes| {
            for (number, planes) in piece.images.clone().zip(planes.chunks_exact_mut(image)) {
                self.fill(number, piece.rows.start, [tall, width, plane], planes);
            }
            self.unit.enter(|| {
                scratch(PANEL * long, |sums| {
                    for first in (0..self.filters).step_by(PANEL) {
                        let many = (self.filters - first).min(PANEL);
                        for (number, planes) in piece.images.clone().zip(planes.chunks_exact(image)) {
                            let a: *const u16 = rounded[first / PANEL * places.len() * PANEL_STEP / 2..].as_ptr().cast();
                            for pixel in (0..pixels).step_by(PANEL) {
                                let b: *const u16 = planes[pixel..].as_ptr().cast();
                                let tiles = Tiles { a, a_stride: 2 * STEP, b, b_stride: 4 * phases * plane, places: &places };
                                // SAFETY: panels and planes lie where they were written, with room behind the last pixel.
                                unsafe { block(self.unit, [many.div_ceil(SIDE), 2], tiles, false, sums[pixel..].as_mut_ptr(), long) };
                            }
                            self.copy(number, piece, first..first + many, sums, long);
                        }
                    }
                });
            });
        });
    }

    /// Fills the planes of an image, from an output's row on: pairs of maps woven, zeros around them and for maps that are not there.
    fn fill(&self, image: usize, from: usize, [tall, width, plane]: [usize; 3], planes: &mut [f32]) {
        let [down, across] = self.axes;
        let phases = down.phases.len() * across.phases.len();
        let side = self.sides[0] * self.sides[1];
        planes.fill(0.0);
        let to: *mut u16 = planes.as_mut_ptr().cast();
        for map in (0..self.maps).step_by(STEP) {
            let many = (self.maps - map).min(STEP);
            for phase in 0..phases {
                let [y_phase, x_phase] = [phase / across.phases.len(), phase % across.phases.len()];
                let (places, first) = across.pixels(x_phase, width, self.sides[1]);
                for row in 0..tall {
                    let Some(y) = down.pixel(y_phase, row + from, self.sides[0]) else { continue };
                    for chunk in places.clone().step_by(16) {
                        let pixel = first + (chunk - places.start) * across.split;
                        let start = (image * self.maps + map) * side + y * self.sides[1] + pixel;
                        let columns = (places.end - chunk).min(16);
                        let last = start + (many - 1) * side + (columns - 1) * across.split;
                        assert!(last < self.x.len(), "pixels lie in the image");
                        let lines = Lines { from: self.x[start..].as_ptr(), stride: side, step: across.split, rows: many, columns };
                        let place = (map / 2 * phases + phase) * plane + row * width + chunk;
                        assert!(place + (STEP / 2 - 1) * phases * plane + 16 <= planes.len(), "planes have room");
                        // SAFETY: asserted above.
                        unsafe { round::pairs(self.unit, lines, to.add(2 * place), 2 * phases * plane) };
                    }
                }
            }
        }
    }

    /// Copies the sums of some filters to where they belong.
    fn copy(&self, image: usize, piece: &Piece, filters: Range<usize>, sums: &[f32], long: usize) {
        let [down, across] = self.axes;
        let (width, [height, wide]) = (self.width(), self.to_sides);
        for (row, filter) in filters.enumerate() {
            let added = self.bias.map_or(0.0, |bias| bias[filter]);
            let map = (image * self.filters + filter) * height * wide;
            for y in piece.rows.clone() {
                let from = &sums[row * long + (y - piece.rows.start) * width..][..across.outputs];
                let start = map + (down.first + y * down.step) * wide + across.first;
                // SAFETY: rows of a piece are its thread's alone; phases come one after the other.
                let to = unsafe { self.y.part(start..start + (across.outputs - 1) * across.step + 1) };
                match across.step {
                    1 => to.iter_mut().zip(from).for_each(|(to, sum)| *to = sum + added),
                    step => to.iter_mut().step_by(step).zip(from).for_each(|(to, sum)| *to = sum + added),
                }
            }
        }
    }
}
