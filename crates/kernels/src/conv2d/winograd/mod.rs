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

use super::Weights;
use super::shape::Shape;
use crate::Level;
use crate::end::End;
use crate::matmul::{DEPTH, Matrix, Packed, Start, serial_packed};
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::{each, each_of};
pub(super) use gradient::weight_gradient;
use tiles::{Grid, Way, input_tiles, output_tiles};
use transforms::{TOGETHER, kernel_panels};

/// Numbers of a transformed tile.
const PLACES: usize = 36;
/// Outputs along a side of a tile.
const SIDE: usize = 4;

/// With fewer tiles, kernels of more numbers than these, which a second-level cache holds, take longer to be read than all products would: they
/// are four times as many as weights (512 maps of 7x7 to 512 in ResNet-50, one image: 3.3 ms, and 2.5 ms by columns).
const TILES_LEAST: usize = 8;
const KERNELS_MOST: usize = 1 << 18;

/// Whether it is the way for a shape: below eight channels registers stay empty, and below three pixels most of a tile is. A strip must lie in
/// one stretch of a product's depth.
pub(super) fn fits(shape: &Shape) -> bool {
    let sides = shape.output();
    let tiles = shape.batch * sides.iter().map(|side| side.div_ceil(SIDE)).product::<usize>();
    shape.kernel == [3; 2]
        && shape.stride == [1; 2]
        && shape.dilation == [1; 2]
        && shape.groups == 1
        && shape.padding.iter().all(|padding| *padding <= 2)
        && shape.channels.min(shape.filters) >= 8
        && sides.into_iter().chain([shape.height, shape.width]).all(|side| side >= 3)
        && sides[1] <= SIDE * DEPTH
        && (tiles >= TILES_LEAST || PLACES * shape.channels * shape.filters <= KERNELS_MOST)
}

/// `y = x * weight`, ended.
pub(super) fn forward(shape: &Shape, x: &[f32], weight: Weights<'_>, end: End<'_>, y: &mut [f32]) {
    let level = Level::current();
    let grid = Grid { images: shape.batch, sides: [shape.height, shape.width], padding: shape.padding, outputs: shape.output() };
    let steps = [9, 9 * shape.channels];
    let kernels = Kernels { weight: weight.values, depth: shape.channels, filters: shape.filters, steps, is_turned: false };
    let make = |panels: &mut [f32]| kernels.transform(level, panels);
    weight.transformed(level, kernels.len(level), make, |panels| convolve(level, &grid, x, panels, kernels, end, y));
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
    let level = Level::current();
    scratch(kernels.len(level), |panels| {
        kernels.transform(level, panels);
        convolve(level, &grid, dy, panels, kernels, End::NOTHING, dx);
    });
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

impl Kernels<'_> {
    /// Numbers of the panels of a place, and how far apart places lie.
    fn place(&self, level: Level) -> usize {
        apart(self.depth * self.filters.next_multiple_of(level.lanes()))
    }

    /// Numbers of all panels.
    fn len(&self, level: Level) -> usize {
        PLACES * self.place(level)
    }

    /// Transforms all kernels into panels.
    fn transform(self, level: Level, panels: &mut [f32]) {
        let (to, size, lanes) = (Shared::new(panels), self.place(level), level.lanes());
        each(self.filters.div_ceil(2 * lanes), true, |number| {
            let first = number * 2 * lanes;
            scratch(PLACES * TOGETHER * 2 * lanes, |local| kernel_panels(level, self, first, to, size, local));
        });
    }
}

/// `panels` are the kernels, transformed.
fn convolve(level: Level, grid: &Grid, x: &[f32], panels: &[f32], kernels: Kernels<'_>, end: End<'_>, y: &mut [f32]) {
    let (lanes, size) = (level.lanes(), kernels.place(level));
    let (depth, filters) = (kernels.depth, kernels.filters);
    let [wide, wide_out] = [depth, filters].map(|count| count.next_multiple_of(lanes));
    let y = Shared::new(y);
    let blocks = grid.blocks(depth + filters);
    // A single block is shared among threads within, which wait for each other three times.
    let flops = 2 * PLACES * grid.images * grid.down() * grid.across() * depth * filters;
    let is_alone = blocks.len() == 1 && flops as u64 >= 4 * SERIAL_FLOPS;
    each_of(&blocks, true, |strips| {
        let tiles = strips.len() * grid.across();
        let [step, step_out] = [apart(tiles * wide), apart(tiles * wide_out)];
        scratch(PLACES * step, |inputs| {
            scratch(PLACES * step_out, |products| {
                let to = Shared::new(inputs);
                each(depth.div_ceil(lanes), is_alone, |number| {
                    let first = number * lanes;
                    let way = Way { values: x, maps: depth, map: first, to, first, steps: [step, wide] };
                    grid.stage(lanes, |stage| input_tiles(level, grid, way, strips.clone(), stage));
                });
                let (inputs, to) = (&*inputs, Shared::new(products));
                each(PLACES, is_alone, |place| {
                    let a = Matrix::strided(&inputs[place * step..][..tiles * wide], [tiles, depth], [wide, 1]);
                    let b = Packed::of(level, &panels[place * size..][..size], depth, filters);
                    // SAFETY: places lie apart.
                    let products = unsafe { to.part(place * step_out..place * step_out + tiles * wide_out) };
                    serial_packed(a, b, Start::Zero, products, wide_out, End::NOTHING);
                });
                let products = &*products;
                each(filters.div_ceil(lanes), is_alone, |number| {
                    grid.stage(lanes, |stage| {
                        let first = number * lanes;
                        output_tiles(level, grid, products, [step_out, wide_out], first, filters, end, strips.clone(), stage, y);
                    });
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

#[cfg(test)]
mod tests;
