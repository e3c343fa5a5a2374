//! Forwards.

use super::columns;
use super::depthwise;
use super::planes::{Axis, SLACK, Tile, fill, tiles};
use super::pointwise;
use super::prepared::Weights;
use super::product::{Planes, pack, product};
use super::shape::Shape;
use super::winograd;
use crate::Level;
use crate::end::{End, finish};
use crate::matmul::{Matrix, Start, threaded};
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::each_of;
use std::ops::Range;

/// Products of `f32` at the level of the calling thread.
pub(super) fn multiply() -> impl columns::Product {
    let level = Level::current();
    move |a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, c: &mut [f32]| threaded(level, a, b, start, c)
}

/// Does something for every tile, on several threads when there is enough of it.
pub(super) fn for_each_tile(tiles: &[Tile], flops: u64, work: impl Fn(&Tile) + Sync) {
    each_of(tiles, flops >= SERIAL_FLOPS, work);
}

/// `y = x * weight + bias`, see [`Shape`] for the sides; `bias` has one number a filter.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    run(shape, x, Weights::plain(weight), End::bias(bias), y);
}

/// The same, with weights that may be prepared and any end.
pub(super) fn run(shape: &Shape, x: &[f32], weight: Weights<'_>, end: End<'_>, y: &mut [f32]) {
    shape.check([x.len(), weight.values.len(), y.len()]);
    end.check(shape.filters, y.len());
    if depthwise::fits(shape) {
        return depthwise::forward(shape, x, weight.values, end, y);
    }
    if winograd::fits(shape) {
        return winograd::forward(shape, x, weight, end, y);
    }
    if weight.is_prepared() && columns::fits_turned(shape) {
        return columns::forward_turned(shape, x, weight, end, y);
    }
    if pointwise::fits_apart(shape) {
        return pointwise::forward_apart(shape, x, weight.values, end, y);
    }
    if columns::fits(shape) {
        return columns::forward(multiply(), shape, x, weight, end, y);
    }
    if pointwise::fits(shape) {
        return pointwise::forward(shape, x, weight.values, end, y);
    }
    over_planes(shape, x, weight, end, y);
}

/// A single tile of so much work has two halves, for two threads, though each reads all weights.
const ALONE_FLOPS: u64 = 4 * SERIAL_FLOPS;

fn over_planes(shape: &Shape, x: &[f32], weight: Weights<'_>, end: End<'_>, y: &mut [f32]) {
    let level = Level::current();
    let [rows, columns] = shape.output();
    let geometry = Geometry::new(shape, level);
    let [channels, maps] = shape.group();
    let (all, taps) = (shape.taps(), geometry.numbers.len());
    let size = maps * channels * taps;
    let y = Shared::new(y);
    let pack_all = |panels: &mut [f32]| {
        for (group, weight) in weight.values.chunks_exact(maps * channels * all).enumerate() {
            let at = |map: usize, channel: usize, tap: usize| weight[(map * channels + channel) * all + geometry.numbers[tap]];
            pack(level, maps, channels, taps, at, &mut panels[group * size..][..size]);
        }
    };
    weight.packed(level, shape.groups * size, pack_all, |panels| {
        let mut tiles = tiles(shape.batch, rows, geometry.extra, geometry.columns);
        if tiles.len() == 1 && shape.flops() >= ALONE_FLOPS {
            tiles = tiles.remove(0).halves();
        }
        for_each_tile(&tiles, shape.flops(), |tile| {
            let within = geometry.within(tile);
            let stride = within.plane + SLACK;
            scratch(within.len(shape.channels), |values| {
                within.fill(shape, tile, x, 0..shape.channels, values);
                scratch(maps * stride, |out| {
                    for group in 0..shape.groups {
                        let panels = &panels[group * size..][..size];
                        let planes = within.planes(values, group * channels);
                        product(level, panels, maps, planes, channels, out, stride);
                        for map in 0..maps {
                            let filter = group * maps + map;
                            for (place, image) in tile.images.clone().enumerate() {
                                let start = (image * shape.filters + filter) * rows * columns;
                                let outputs = start + tile.rows.start * columns..start + tile.rows.end * columns;
                                // SAFETY: tiles share no row of no image, and maps lie apart.
                                let to = unsafe { y.part(outputs.clone()) };
                                let from = &out[map * stride + place * within.image..];
                                finish(level, end.line(filter), from, geometry.columns, end.added(outputs), columns, to);
                            }
                        }
                    }
                });
            });
        });
    });
}

/// How the input lies in planes, and where taps are in them.
pub(super) struct Geometry {
    /// Width of a plane.
    pub columns: usize,
    /// Rows of a plane beside those of a tile's outputs.
    pub extra: usize,
    /// For each tap that meets the image somewhere its number in the kernel.
    pub numbers: Vec<usize>,
    /// Phases of the stride that have taps, each with a plane: first rows and columns of the image, without the padding.
    phases: Vec<[usize; 2]>,
    /// For each tap the number of its plane, and row and column in it.
    taps: Vec<[usize; 3]>,
    /// The first row and column of planes, in strides.
    first: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    lanes: usize,
}

impl Geometry {
    pub fn new(shape: &Shape, level: Level) -> Geometry {
        let [down, across] = [met(shape, 0), met(shape, 1)];
        let least = |taps: &[usize], axis: usize| taps.iter().map(|tap| tap * shape.dilation[axis] / shape.stride[axis]).min().unwrap_or(0);
        let first = [least(&down, 0), least(&across, 1)];
        let (mut phases, mut taps, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for (y, x) in down.iter().flat_map(|y| across.iter().map(move |x| (y, x))) {
            let place = [y * shape.dilation[0], x * shape.dilation[1]];
            let phase = [place[0] % shape.stride[0], place[1] % shape.stride[1]];
            let number = phases.iter().position(|known| *known == phase).unwrap_or_else(|| {
                phases.push(phase);
                phases.len() - 1
            });
            taps.push([number, place[0] / shape.stride[0] - first[0], place[1] / shape.stride[1] - first[1]]);
            numbers.push(y * shape.kernel[1] + x);
        }
        let most = |axis: usize| taps.iter().map(|tap: &[usize; 3]| tap[axis]).max().unwrap_or(0);
        let (extra, beside) = (most(1), most(2));
        let columns = shape.output()[1] + beside;
        Geometry { columns, extra, numbers, phases, taps, first, stride: shape.stride, padding: shape.padding, lanes: level.lanes() }
    }

    /// The same for a tile.
    pub fn within(&self, tile: &Tile) -> Within<'_> {
        let rows = tile.rows.len();
        let image = (rows + self.extra) * self.columns;
        let images = tile.images.len();
        let plane = images * image;
        let taps = self.taps.iter().map(|[number, row, column]| number * plane + row * self.columns + column).collect();
        let stretches = stretches(images, image, rows * self.columns, self.lanes);
        Within { geometry: self, image, rows: rows + self.extra, plane, taps, stretches }
    }
}

/// Taps of an axis that meet the image for some output: on maps of one pixel, one of three.
pub(crate) fn met(shape: &Shape, axis: usize) -> Vec<usize> {
    let (side, output) = ([shape.height, shape.width][axis], shape.output()[axis]);
    let meets = |tap: usize| {
        let pixel = |place: usize| (place * shape.stride[axis] + tap * shape.dilation[axis]).wrapping_sub(shape.padding[axis]);
        (0..output).any(|place| pixel(place) < side)
    };
    (0..shape.kernel[axis]).filter(|tap| meets(*tap)).collect()
}

/// A stretch for each image where whole registers end before the next image begins, else one over all.
pub(super) fn stretches(images: usize, image: usize, used: usize, lanes: usize) -> Vec<Range<usize>> {
    match used.next_multiple_of(lanes) > image {
        true => (images > 0).then(|| 0..(images - 1) * image + used).into_iter().collect(),
        false => (0..images).map(|place| place * image..place * image + used).collect(),
    }
}

/// A tile's planes: for each channel its phases, in each the tile's images.
pub(super) struct Within<'a> {
    geometry: &'a Geometry,
    /// From one image to the next in a plane.
    pub image: usize,
    rows: usize,
    /// Pixels of a plane.
    pub plane: usize,
    taps: Vec<usize>,
    stretches: Vec<Range<usize>>,
}

impl Within<'_> {
    /// From one channel to the next.
    pub fn channel(&self) -> usize {
        self.geometry.phases.len() * self.plane
    }

    /// Numbers of so many channels.
    pub fn len(&self, channels: usize) -> usize {
        channels * self.channel() + SLACK
    }

    /// Copies some channels of a tile of the input.
    pub fn fill(&self, shape: &Shape, tile: &Tile, x: &[f32], channels: Range<usize>, values: &mut [f32]) {
        let Geometry { phases, first, stride, padding, columns, .. } = self.geometry;
        let sides = [shape.height, shape.width];
        let mut planes = values.chunks_exact_mut(self.image);
        for channel in channels.clone() {
            for phase in phases {
                for image in tile.images.clone() {
                    let down = ((tile.rows.start + first[0]) * stride[0] + phase[0]) as isize - padding[0] as isize;
                    let rows = Axis { start: down, step: stride[0], len: self.rows };
                    let across = (first[1] * stride[1] + phase[1]) as isize - padding[1] as isize;
                    let across = Axis { start: across, step: stride[1], len: *columns };
                    let map = &x[(image * shape.channels + channel) * sides[0] * sides[1]..][..sides[0] * sides[1]];
                    fill(planes.next().expect("there is a plane for each"), [rows, across], map, sides);
                }
            }
        }
        let used = channels.len() * self.channel();
        values[used..].fill(0.0);
    }

    /// Planes from a channel on.
    pub fn planes<'a>(&'a self, values: &'a [f32], channel: usize) -> Planes<'a> {
        Planes { values: &values[channel * self.channel()..], channel: self.channel(), taps: &self.taps, stretches: &self.stretches }
    }
}
