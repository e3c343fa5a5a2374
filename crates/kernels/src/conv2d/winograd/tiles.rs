//! Tiles of images, there and back.

use super::transforms::{Input, OutputGradient, Transform, output};
use super::{PLACES, SIDE, strip};
use crate::end::{End, end_row};
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::ranges;
use crate::scratch::scratch;
use crate::shared::Shared;
use std::ops::Range;

/// Images cut into tiles. A strip is a row of tiles of one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub images: usize,
    /// Height and width of the inputs.
    pub sides: [usize; 2],
    pub padding: [usize; 2],
    /// Height and width of the outputs.
    pub outputs: [usize; 2],
}

/// Numbers of the tiles that a thread works on at once, 2 MB: what is transformed, and the products.
const BLOCK: usize = 1 << 19;
/// Tiles that go over the kernels together at least: fewer would read the kernels too often.
const TILES_MIN: usize = 36;

impl Grid {
    /// Tiles across an image.
    pub fn across(&self) -> usize {
        self.outputs[1].div_ceil(SIDE)
    }

    /// Strips of an image.
    pub fn down(&self) -> usize {
        self.outputs[0].div_ceil(SIDE)
    }

    /// Strips in blocks, where a tile has so many channels there and back. Borders depend on the shape alone.
    pub fn blocks(&self, channels: usize) -> Vec<Range<usize>> {
        let tiles = (BLOCK / (PLACES * channels)).max(TILES_MIN);
        let strips = self.images * self.down();
        let each = tiles.div_ceil(self.across()).max(1);
        // Equal shares, so that no last block is a sliver.
        ranges(strips, strips.div_ceil(strips.div_ceil(each).max(1)).max(1))
    }

    /// Pixels of a staged row.
    fn row(&self) -> usize {
        self.across() * SIDE + 2
    }

    /// Lends memory for six rows of a register of channels, and a block beyond.
    pub fn stage(&self, lanes: usize, work: impl FnOnce(&mut [f32])) {
        scratch((6 * self.row() + lanes) * lanes, work);
    }
}

/// The part of a tensor that a register holds: some channels from `first` on.
#[derive(Clone, Copy)]
struct Lane {
    first: usize,
    channels: usize,
}

/// Copies a row of an image, each pixel a register of channels, to `to`, which has zeros where `columns` reach beyond the row; the first column
/// is `-left`.
#[inline(always)]
fn stage_row<V: Lanes>(x: &[f32], lane: Lane, image: usize, sides: [usize; 2], row: isize, left: usize, columns: usize, to: &mut [f32]) {
    let [height, width] = sides;
    if row < 0 || row >= height as isize {
        to[..columns * V::N].fill(0.0);
        return;
    }
    let wide = width.min(columns - left);
    to[..left * V::N].fill(0.0);
    let some = V::N.min(lane.channels - lane.first);
    let plane = height * width;
    let start = (image * lane.channels + lane.first) * plane + row as usize * width;
    let mut pixel = 0;
    while pixel < wide {
        let from = &x[start + pixel..];
        let part = &mut to[(left + pixel) * V::N..];
        if some == V::N && from.len() >= (V::N - 1) * plane + V::N && part.len() >= V::N * V::N {
            // SAFETY: the block is readable and writable, as just seen.
            unsafe { V::transpose(from.as_ptr(), plane, part.as_mut_ptr(), V::N) };
        } else {
            for place in 0..V::N.min(wide - pixel) {
                for channel in 0..some {
                    part[place * V::N + channel] = from[channel * plane + place];
                }
                part[place * V::N + some..][..V::N - some].fill(0.0);
            }
        }
        pixel += V::N;
    }
    to[(left + wide) * V::N..columns * V::N].fill(0.0);
}

/// What tiles are cut from, and where their places go: place `p` of tile `t` to `first + p * steps[0] + t * steps[1]`.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Images of so many maps, of which a register holds those from `map` on.
    pub values: &'a [f32],
    pub maps: usize,
    pub map: usize,
    pub to: Shared<'a>,
    pub first: usize,
    pub steps: [usize; 2],
}

kernel! {
    /// Transforms inputs of a register of channels for the tiles of some strips.
    pub(super) fn input_tiles<V>(grid: &Grid, way: Way<'_>, strips: Range<usize>, stage: &mut [f32]) {
        tiles::<V, Input, 6>(grid, way, strips, grid.sides, grid.padding, stage);
    }
}

kernel! {
    /// Transforms gradients of outputs of a register of filters likewise.
    pub(super) fn gradient_tiles<V>(grid: &Grid, way: Way<'_>, strips: Range<usize>, stage: &mut [f32]) {
        tiles::<V, OutputGradient, SIDE>(grid, way, strips, grid.outputs, [0; 2], stage);
    }
}

/// Cuts tiles of `N` rows and columns, one tile beginning [`SIDE`] behind the last, and transforms them.
#[inline(always)]
fn tiles<V: Lanes, T: Transform<N>, const N: usize>(
    grid: &Grid,
    way: Way<'_>,
    strips: Range<usize>,
    sides: [usize; 2],
    padding: [usize; 2],
    stage: &mut [f32],
) {
    let (row, across) = (grid.row(), grid.across());
    let Way { values, maps, map, to, first, steps } = way;
    let lane = Lane { first: map, channels: maps };
    let count = strips.len() * across;
    assert!(stage.len() >= 6 * row * V::N, "six rows are staged");
    // SAFETY: every register of maps has places of its own.
    let base = unsafe { to.rows_at(first, 1, 0, (PLACES - 1) * steps[0] + count.saturating_sub(1) * steps[1] + V::N) };
    for (number, strip_number) in strips.enumerate() {
        let [image, down] = strip(grid, strip_number);
        // Rows that the strip above has staged already.
        let had = if number > 0 && down > 0 { N - SIDE } else { 0 };
        stage.copy_within(SIDE * row * V::N..(SIDE + had) * row * V::N, 0);
        for line in had..N {
            let from = (down * SIDE + line) as isize - padding[0] as isize;
            stage_row::<V>(values, lane, image, sides, from, padding[1], row, &mut stage[line * row * V::N..]);
        }
        for tile in 0..across {
            let mut places = [[V::splat(0.0); N]; 6];
            for j in 0..N {
                let mut line = [V::splat(0.0); N];
                for i in 0..N {
                    // SAFETY: the last tile ends with the staged row.
                    line[i] = unsafe { V::load_at(stage.as_ptr().add((i * row + tile * SIDE + j) * V::N)) };
                }
                let found = T::of(line);
                for i in 0..6 {
                    places[i][j] = found[i];
                }
            }
            for i in 0..6 {
                let found = T::of(places[i]);
                for j in 0..6 {
                    // SAFETY: `rows_at` asserted the room up to the last tile of the last place.
                    unsafe { found[j].store_at(base.add((i * 6 + j) * steps[0] + (number * across + tile) * steps[1])) };
                }
            }
        }
    }
}

kernel! {
    /// Outputs of a register of filters, from `first` on, for the tiles of some strips: place `p` of tile `t` is
    /// `products[p * steps[0] + t * steps[1] + first]`.
    pub(super) fn output_tiles<V>(
        grid: &Grid, products: &[f32], steps: [usize; 2], first: usize, filters: usize, end: End<'_>, strips: Range<usize>,
        stage: &mut [f32], y: Shared<'_>
    ) {
        let across = grid.across();
        let row = across * SIDE;
        let [height, width] = grid.outputs;
        let tiles = strips.len() * across;
        let some = V::N.min(filters - first);
        assert!(products.len() >= (PLACES - 1) * steps[0] + tiles.saturating_sub(1) * steps[1] + first + V::N, "every tile has its places");
        assert!(stage.len() >= (SIDE * row + V::N) * V::N, "four rows are staged");
        let across_maps = end.across::<V>(first..first + some);
        let plane = height * width;
        for (number, strip_number) in strips.clone().enumerate() {
            for tile in 0..across {
                let mut pixels = [[V::splat(0.0); 6]; 4];
                for j in 0..6 {
                    let mut line = [V::splat(0.0); 6];
                    for i in 0..6 {
                        // SAFETY: asserted above.
                        let from = unsafe { products.as_ptr().add((i * 6 + j) * steps[0] + (number * across + tile) * steps[1] + first) };
                        // SAFETY: as above.
                        line[i] = unsafe { V::load_at(from) };
                    }
                    let found = output(line);
                    for i in 0..4 {
                        pixels[i][j] = found[i];
                    }
                }
                for i in 0..4 {
                    let found = output(pixels[i]);
                    for j in 0..4 {
                        // SAFETY: the stage has room for four rows, as asserted.
                        unsafe { across_maps.of(found[j]).store_at(stage.as_mut_ptr().add((i * row + tile * SIDE + j) * V::N)) };
                    }
                }
            }
            let [image, down] = strip(grid, strip_number);
            for line in 0..SIDE.min(height - down * SIDE) {
                let start = (image * filters + first) * plane + (down * SIDE + line) * width;
                // SAFETY: strips and registers of filters share no row of no map.
                let to = unsafe { y.rows_at(start, some, plane, width) };
                for pixel in (0..width).step_by(V::N) {
                    let from = &stage[(line * row + pixel) * V::N..];
                    if some == V::N && pixel + V::N <= width {
                        // SAFETY: the stage is readable a block beyond its rows, as asserted, and so many pixels lie in the row of each filter.
                        unsafe { V::transpose(from.as_ptr(), V::N, to.add(pixel), plane) };
                        continue;
                    }
                    let mut block = [0.0; 16 * 16];
                    // SAFETY: as above; there is room for 16 x 16 numbers.
                    unsafe { V::transpose(from.as_ptr(), V::N, block.as_mut_ptr(), V::N) };
                    let wide = V::N.min(width - pixel);
                    for filter in 0..some {
                        // SAFETY: so many pixels lie in the row.
                        let to = unsafe { std::slice::from_raw_parts_mut(to.add(filter * plane + pixel), wide) };
                        V::load(&block[filter * V::N..]).store_part(to);
                    }
                }
                for filter in 0..some {
                    let start = start + filter * plane;
                    if let Some(added) = end.added(start..start + width) {
                        // SAFETY: the row was just written.
                        unsafe { end_row::<V>(end.rest(), to.add(filter * plane), Some(added.as_ptr()), to.add(filter * plane), width) };
                    }
                }
            }
        }
    }
}
