//! The gradient of the kernels.

use super::tiles::{Grid, Way, gradient_tiles, input_tiles};
use super::transforms::kernel_gradients;
use super::{PLACES, Shape, apart};
use crate::Level;
use crate::end::End;
use crate::matmul::{Matrix, Packed, Start, serial_packed};
use crate::pieces::ranges;
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::{each, each_part};

/// Tiles that are transformed before the products: their sums are read and written once for each so many.
const TILES: usize = 192;

/// `dw` from `x` and `dy`: at each place the product of transformed inputs and gradients, summed over tiles in their order. Places are shared
/// among threads, so no sum has two of them.
pub fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let level = Level::current();
    let lanes = level.lanes();
    let grid = Grid { images: shape.batch, sides: [shape.height, shape.width], padding: shape.padding, outputs: shape.output() };
    let (channels, filters) = (shape.channels, shape.filters);
    let [wide, wide_out] = [channels, filters].map(|count| count.next_multiple_of(lanes));
    let strips = grid.images * grid.down();
    let blocks = ranges(strips, (TILES / grid.across()).max(1));
    let most = blocks.first().map_or(0, |block| block.len() * grid.across());
    let size = apart(channels * wide_out);
    let [step, step_out] = [apart(most * wide), apart(most * wide_out)];
    scratch(PLACES * size, |sums| {
        scratch(PLACES * step, |inputs| {
            scratch(PLACES * step_out, |gradients| {
                for (number, strips) in blocks.iter().enumerate() {
                    let tiles = strips.len() * grid.across();
                    let (to, to_gradients) = (Shared::new(inputs), Shared::new(gradients));
                    each((wide + wide_out) / lanes, true, |number| match number * lanes < wide {
                        true => {
                            let first = number * lanes;
                            let way = Way { values: x, maps: channels, map: first, to, first, steps: [step, wide] };
                            grid.stage(lanes, |stage| input_tiles(level, &grid, way, strips.clone(), stage));
                        }
                        false => {
                            let map = number * lanes - wide;
                            let first = Packed::place(lanes, [tiles, filters], 0, map);
                            let steps = [step_out, Packed::step(lanes, filters, map)];
                            let way = Way { values: dy, maps: filters, map, to: to_gradients, first, steps };
                            grid.stage(lanes, |stage| gradient_tiles(level, &grid, way, strips.clone(), stage));
                        }
                    });
                    let start = if number == 0 { Start::Zero } else { Start::Keep };
                    let (inputs, gradients) = (&*inputs, &*gradients);
                    each_part(sums, size, true, |place, sums| {
                        let a = Matrix::strided(&inputs[place * step..][..tiles * wide], [channels, tiles], [1, wide]);
                        let b = Packed::of(level, &gradients[place * step_out..][..tiles * wide_out], tiles, filters);
                        serial_packed(a, b, start, sums, wide_out, End::NOTHING);
                    });
                }
            });
        });
        if blocks.is_empty() {
            return dw.fill(0.0);
        }
        let (sums, dw) = (&*sums, Shared::new(dw));
        each(channels, true, |channel| kernel_gradients(level, sums, size, channels, channel, filters, dw));
    });
}
