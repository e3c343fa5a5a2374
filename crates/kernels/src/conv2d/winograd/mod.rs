//! Convolution of 3x3 kernels with stride 1 in a quarter of the multiplications: F(4x4, 3x3) of Winograd, as Lavin and Gray use it ("Fast
//! algorithms for convolutional neural networks", CVPR 2016, section 4.1).
//!
//! Tiles of 4x4 outputs see 6x6 inputs. Inputs and kernels are transformed to 36 numbers each; at each of the 36 places what is left is a
//! product of matrices, tiles x channels times channels x filters. A register holds the same pixel of some channels, so a map of any width
//! wastes none of it. Both gradients are the same in other roles: that of the input is a convolution with kernels turned around, that of the
//! kernels swaps the transforms of outputs and kernels.
//!
//! Differs: the points are 0, ±1/√2, ±√2, ∞ in place of Lavin's 0, ±1, ±2, ∞. Their largest factor is 2.8 in place of 8, and so is the error:
//! on 512 channels it stays near that of plain sums in `f32` (a test holds the bound).

mod gradient;
mod tiles;
mod transforms;

use super::shape::Shape;
use crate::Level;
use crate::matmul::{DEPTH, Matrix, Packed, Start, serial_packed};
use crate::scratch::scratch;
use crate::shared::Shared;
pub(super) use gradient::weight_gradient;
use rayon::prelude::*;
use std::ops::Range;
use tiles::{Grid, Way, input_tiles, output_tiles};
use transforms::{TOGETHER, kernel_panels};

/// Numbers of a transformed tile.
const PLACES: usize = 36;
/// Outputs along a side of a tile.
const SIDE: usize = 4;

/// Whether it is the way for a shape: below eight channels registers stay empty, and below three pixels most of a tile is. A strip must lie in
/// one stretch of a product's depth.
pub(super) fn fits(shape: &Shape) -> bool {
    let sides = shape.output();
    shape.kernel == [3; 2]
        && shape.stride == [1; 2]
        && shape.dilation == [1; 2]
        && shape.groups == 1
        && shape.padding.iter().all(|padding| *padding <= 2)
        && shape.channels.min(shape.filters) >= 8
        && sides.into_iter().chain([shape.height, shape.width]).all(|side| side >= 3)
        && sides[1] <= SIDE * DEPTH
}

/// `y = x * weight + bias`.
pub(super) fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let grid = Grid { images: shape.batch, sides: [shape.height, shape.width], padding: shape.padding, outputs: shape.output() };
    let kernels = Kernels { weight, depth: shape.channels, filters: shape.filters, steps: [9, 9 * shape.channels], is_turned: false };
    convolve(Level::current(), &grid, x, kernels, bias, y);
}

/// `dx` from `dy`.
pub(super) fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let grid = Grid {
        images: shape.batch,
        sides: shape.output(),
        padding: shape.padding.map(|padding| 2 - padding),
        outputs: [shape.height, shape.width],
    };
    let kernels = Kernels { weight, depth: shape.filters, filters: shape.channels, steps: [9 * shape.channels, 9], is_turned: true };
    convolve(Level::current(), &grid, dy, kernels, None, dx);
}

/// Kernels of a convolution, of so many filters over so many channels: the depth of the products.
#[derive(Clone, Copy)]
struct Kernels<'a> {
    weight: &'a [f32],
    depth: usize,
    filters: usize,
    /// From a channel to the next, and from a filter to the next.
    steps: [usize; 2],
    /// Whether each is turned by half a turn.
    is_turned: bool,
}

fn convolve(level: Level, grid: &Grid, x: &[f32], kernels: Kernels<'_>, bias: Option<&[f32]>, y: &mut [f32]) {
    let lanes = level.lanes();
    let (depth, filters) = (kernels.depth, kernels.filters);
    let [wide, wide_out] = [depth, filters].map(|count| count.next_multiple_of(lanes));
    let blocks = grid.blocks(depth + filters);
    let size = apart(depth * wide_out);
    scratch(PLACES * size, |panels| {
        let to = Shared::new(panels);
        (0..filters).into_par_iter().step_by(2 * lanes).for_each(|first| {
            scratch(PLACES * TOGETHER * 2 * lanes, |local| kernel_panels(level, kernels, first, to, size, local));
        });
        let (panels, y) = (&*panels, Shared::new(y));
        blocks.into_par_iter().for_each(|strips| {
            let tiles = strips.len() * grid.across();
            let [step, step_out] = [apart(tiles * wide), apart(tiles * wide_out)];
            scratch(PLACES * step, |inputs| {
                scratch(PLACES * step_out, |products| {
                    let to = Shared::new(inputs);
                    for first in (0..depth).step_by(lanes) {
                        let way = Way { values: x, maps: depth, map: first, to, first, steps: [step, wide] };
                        grid.stage(lanes, |stage| input_tiles(level, grid, way, strips.clone(), stage));
                    }
                    for place in 0..PLACES {
                        let a = Matrix::strided(&inputs[place * step..][..tiles * wide], [tiles, depth], [wide, 1]);
                        let b = Packed::of(level, &panels[place * size..][..size], depth, filters);
                        serial_packed(a, b, Start::Zero, &mut products[place * step_out..][..tiles * wide_out], wide_out);
                    }
                    for first in (0..filters).step_by(lanes) {
                        let bias = bias.map(|bias| &bias[first..filters.min(first + lanes)]);
                        grid.stage(lanes, |stage| {
                            output_tiles(level, grid, products, [step_out, wide_out], first, filters, bias, strips.clone(), stage, y);
                        });
                    }
                });
            });
        });
    });
}

/// How far matrices of so many numbers lie apart: never a power of two, at which all of them would meet in one set of the cache.
fn apart(len: usize) -> usize {
    len.next_multiple_of(16) + 16
}

/// Where an image and a row of tiles of strip `number` lie.
fn strip(grid: &Grid, number: usize) -> [usize; 2] {
    [number / grid.down(), number % grid.down()]
}

/// Strips from one end to the next, of so many each.
fn cut(count: usize, each: usize) -> Vec<Range<usize>> {
    (0..count).step_by(each).map(|first| first..(first + each).min(count)).collect()
}

#[cfg(test)]
mod tests;
