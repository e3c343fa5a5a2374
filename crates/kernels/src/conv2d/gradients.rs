//! Backwards.

use super::columns;
use super::depthwise;
use super::forward::{Geometry, for_each_tile, multiply, stretches};
use super::planes::{Axis, SLACK, Tile, fill, tiles};
use super::pointwise;
use super::product::{Planes, inner, pack, product};
use super::shape::Shape;
use super::winograd;
use crate::Level;
use crate::pieces::{SERIAL_FLOPS, ranges};
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::sums::sum;
use crate::team::{each_of, each_part};
use std::ops::Range;

/// The gradient of the input, `dx` from `dy`.
///
/// A pixel of the input meets those taps whose distance to it is a multiple of the stride: each phase of the stride is a convolution of `dy`
/// with the taps of that phase, reversed, and stride 1.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    if depthwise::fits(shape) {
        return depthwise::input_gradient(shape, weight, dy, dx);
    }
    shape.check([dx.len(), weight.len(), dy.len()]);
    if winograd::fits(shape) {
        return winograd::input_gradient(shape, weight, dy, dx);
    }
    if columns::fits(shape) {
        return columns::input_gradient(multiply(), shape, weight, dy, dx);
    }
    if pointwise::fits(shape) {
        return pointwise::input_gradient(shape, weight, dy, dx);
    }
    let level = Level::current();
    let dx = Shared::new(dx);
    for down in phases(shape, 0) {
        for across in phases(shape, 1) {
            input_phase(level, shape, [&down, &across], weight, dy, dx);
        }
    }
}

/// Pixels of one axis that meet the same taps.
pub(crate) struct Phase {
    /// The first pixel, and how many.
    pub first: usize,
    pub count: usize,
    /// Taps, and for each how far behind the pixel's own place in `dy` it reads.
    pub taps: Vec<(usize, usize)>,
    /// The place in `dy` of the first pixel and no distance.
    pub place: usize,
}

/// The phases of an axis. Pixel `first + i * stride` at tap `t` reads `dy` at `place + i - distance(t)`.
pub(crate) fn phases(shape: &Shape, axis: usize) -> Vec<Phase> {
    let (stride, padding, dilation) = (shape.stride[axis], shape.padding[axis], shape.dilation[axis]);
    let side = [shape.height, shape.width][axis];
    let phase = |first: usize| {
        let residue = (first + padding) % stride;
        let (count, place) = ((side - first).div_ceil(stride), (first + padding - residue) / stride);
        let reached = (0..shape.kernel[axis]).filter(|tap| tap * dilation % stride == residue);
        let distances = reached.map(|tap| (tap, (tap * dilation - residue) / stride));
        // Taps that read zeros alone are left out.
        let taps = distances.filter(|(_, distance)| place + count > *distance && place < shape.output()[axis] + distance).collect();
        Phase { first, count, taps, place }
    };
    (0..stride.min(side)).map(phase).collect()
}

fn input_phase(level: Level, shape: &Shape, [down, across]: [&Phase; 2], weight: &[f32], dy: &[f32], dx: Shared<'_>) {
    let [channels, maps] = shape.group();
    let sides = shape.output();
    let most = |phase: &Phase| phase.taps.iter().map(|(_, distance)| *distance).max().unwrap_or(0);
    let least = |phase: &Phase| phase.taps.iter().map(|(_, distance)| *distance).min().unwrap_or(0);
    let reach = [most(down), most(across)];
    let (extra, beside) = (reach[0] - least(down), reach[1] - least(across));
    let width = across.count + beside;
    let pairs: Vec<[(usize, usize); 2]> = down.taps.iter().flat_map(|y| across.taps.iter().map(|x| [*y, *x])).collect();
    let at = |group: usize, channel: usize, map: usize, pair: usize| {
        let [(y, _), (x, _)] = pairs[pair];
        weight[(((group * maps + map) * channels + channel) * shape.kernel[0] + y) * shape.kernel[1] + x]
    };
    let taps: Vec<usize> = pairs.iter().map(|[y, x]| (reach[0] - y.1) * width + reach[1] - x.1).collect();
    let size = channels * maps * pairs.len();
    let flops = 2 * (shape.batch * shape.groups * size * down.count * across.count) as u64;
    scratch(shape.groups * size, |panels| {
        if size > 0 {
            for (group, panels) in panels.chunks_exact_mut(size).enumerate() {
                pack(level, channels, maps, pairs.len(), |channel, map, pair| at(group, channel, map, pair), panels);
            }
        }
        let panels = &*panels;
        for_each_tile(&tiles(shape.batch, down.count, extra, width), flops, |tile| {
            let image = (tile.rows.len() + extra) * width;
            let plane = tile.images.len() * image;
            let rows = Axis { start: (down.place + tile.rows.start) as isize - reach[0] as isize, step: 1, len: tile.rows.len() + extra };
            let columns = Axis { start: across.place as isize - reach[1] as isize, step: 1, len: width };
            let stretches = stretches(tile.images.len(), image, tile.rows.len() * width, level.lanes());
            let stride = plane + SLACK;
            scratch(shape.filters * plane + SLACK, |values| {
                gather(shape.filters, sides, tile, [rows, columns], dy, values);
                scratch(channels * stride, |out| {
                    for group in 0..shape.groups {
                        let planes = Planes { values: &values[group * maps * plane..], channel: plane, taps: &taps, stretches: &stretches };
                        product(level, &panels[group * size..][..size], channels, planes, maps, out, stride);
                        for channel in 0..channels {
                            let from = |place: usize| &out[channel * stride + place * image..];
                            for (place, number) in tile.images.clone().enumerate() {
                                let map = number * shape.channels + group * channels + channel;
                                scatter(shape, map, tile, [down, across], from(place), width, dx);
                            }
                        }
                    }
                });
            });
        });
    });
}

/// Planes of maps of a tile's images.
fn gather(maps: usize, sides: [usize; 2], tile: &Tile, axes: [Axis; 2], from: &[f32], values: &mut [f32]) {
    let image = axes[0].len * axes[1].len;
    let mut planes = values.chunks_exact_mut(image.max(1));
    for map in 0..maps {
        for number in tile.images.clone() {
            let from = &from[(number * maps + map) * sides[0] * sides[1]..][..sides[0] * sides[1]];
            fill(planes.next().expect("there is a plane for each"), axes, from, sides);
        }
    }
    values[maps * tile.images.len() * image..].fill(0.0);
}

/// Writes rows of a plane to the pixels of their phase.
fn scatter(shape: &Shape, map: usize, tile: &Tile, [down, across]: [&Phase; 2], from: &[f32], width: usize, dx: Shared<'_>) {
    for (row, from) in tile.rows.clone().zip(from.chunks(width)) {
        let line = (map * shape.height + down.first + row * shape.stride[0]) * shape.width;
        match shape.stride[1] {
            // SAFETY: with no stride across there is one phase, and tiles share no row of no image.
            1 => unsafe { dx.part(line..line + across.count) }.copy_from_slice(&from[..across.count]),
            step => {
                // SAFETY: phases come one after another, and tiles of one phase share no row of no image.
                let to = unsafe { dx.part(line..line + shape.width) };
                to[across.first..].iter_mut().step_by(step).zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// Pieces that a batch is cut into, each with sums of its own.
const PIECES: usize = 8;
/// With more numbers than this in all sums, channels are shared among threads instead: 4 MB.
const SUMS_MAX: usize = 1 << 20;
/// Channels that a thread takes at once then. Each share copies the gradient's planes anew, so few large shares are better.
const SHARE: usize = 32;

/// The gradient of the weights, `dw` from `x` and `dy`. Sums over images are added in their order.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if depthwise::fits(shape) {
        return depthwise::weight_gradient(shape, x, dy, dw);
    }
    shape.check([x.len(), dw.len(), dy.len()]);
    if winograd::fits(shape) {
        return winograd::weight_gradient(shape, x, dy, dw);
    }
    if columns::fits(shape) {
        return columns::weight_gradient(multiply(), shape, x, dy, dw);
    }
    if pointwise::fits(shape) {
        return pointwise::weight_gradient(shape, x, dy, dw);
    }
    let level = Level::current();
    let geometry = Geometry::new(shape, level);
    let [rows, _] = shape.output();
    let tiles = tiles(shape.batch, rows, geometry.extra, geometry.columns);
    let [channels, _] = shape.group();
    let pieces = PIECES.min(tiles.len()).max(1);
    if pieces * dw.len() > SUMS_MAX {
        return by_channels(level, shape, &geometry, &tiles, x, dy, dw);
    }
    let len = dw.len();
    scratch(pieces * len, |sums| {
        sums.fill(0.0);
        let each = tiles.len().div_ceil(pieces).max(1);
        each_part(sums, len, shape.flops() >= SERIAL_FLOPS, |piece, sums| {
            let tiles = tiles.iter().skip(piece * each).take(each);
            tiles.for_each(|tile| add_tile(level, shape, &geometry, tile, 0..channels, x, dy, Shared::new(sums)));
        });
        dw.fill(0.0);
        for sums in sums.chunks_exact(len) {
            dw.iter_mut().zip(sums).for_each(|(to, from)| *to += from);
        }
    });
}

/// Shares channels among threads: each weight's sum is one thread's work.
fn by_channels(level: Level, shape: &Shape, geometry: &Geometry, tiles: &[Tile], x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let [channels, _] = shape.group();
    dw.fill(0.0);
    let dw = Shared::new(dw);
    each_of(&ranges(channels, SHARE), true, |channels| {
        tiles.iter().for_each(|tile| add_tile(level, shape, geometry, tile, channels.clone(), x, dy, dw));
    });
}

/// Adds what a tile contributes to the weights of some channels of every group.
fn add_tile(level: Level, shape: &Shape, geometry: &Geometry, tile: &Tile, part: Range<usize>, x: &[f32], dy: &[f32], dw: Shared<'_>) {
    let [channels, maps] = shape.group();
    let [height, width] = shape.output();
    let within = geometry.within(tile);
    let stride = within.plane + SLACK;
    let rows = Axis { start: tile.rows.start as isize, step: 1, len: within.image / geometry.columns };
    // What lies below a tile belongs to another one.
    let below = [tile.rows.end, width];
    let columns = Axis { start: 0, step: 1, len: geometry.columns };
    scratch(maps * stride, |gradient| {
        scratch(within.len(part.len()), |values| {
            for group in 0..shape.groups {
                for map in 0..maps {
                    let line = &mut gradient[map * stride..][..stride];
                    for (place, image) in tile.images.clone().enumerate() {
                        let from = &dy[(image * shape.filters + group * maps + map) * height * width..][..below[0] * below[1]];
                        fill(&mut line[place * within.image..][..within.image], [rows, columns], from, below);
                    }
                    line[within.plane..].fill(0.0);
                }
                let first = group * channels;
                within.fill(shape, tile, x, first + part.start..first + part.end, values);
                let row = channels * shape.taps();
                // SAFETY: other threads have other channels, or other sums; `inner` writes to its channels alone.
                let out = unsafe { dw.part(group * maps * row..(group + 1) * maps * row) };
                inner(level, gradient, stride, maps, within.planes(values, 0), part.clone(), &geometry.numbers, row, shape.taps(), out);
            }
        });
    });
}

/// The gradient of the bias: for each filter the sum of `dy` over images and pixels.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn bias_gradient(shape: &Shape, dy: &[f32], db: &mut [f32]) {
    assert_eq!([dy.len(), db.len()], [shape.lens()[2], shape.filters], "gradients are as long as {shape:?} says");
    map_sums(shape.output().iter().product(), dy, db);
}

/// The sum of each of `db.len()` maps of so many pixels over images.
pub(crate) fn map_sums(pixels: usize, dy: &[f32], db: &mut [f32]) {
    let maps = db.len();
    let images = dy.len().checked_div(maps * pixels).unwrap_or(0);
    each_part(db, 1, dy.len() as u64 >= SERIAL_FLOPS, |map, total| {
        total[0] = (0..images).map(|image| sum(&dy[(image * maps + map) * pixels..][..pixels])).sum();
    });
}
