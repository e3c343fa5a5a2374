//! Maps of so few columns that a register holds several rows: 7x7, where networks end.
//!
//! With a stride of 1 and equally wide maps, rows that lie one behind the other fill a register, and a place of the kernel is a distance in
//! memory for all of them; only which numbers lie beside the map differs from place to place. With a stride of 2 a register has two
//! rows, one in each half, for parting and weaving leave halves where they are.

use super::motion::{Motion, Out, Slide, inside};
use crate::lanes::Lanes;

/// Places of the largest kernel.
const TAPS: usize = 49;
/// Registers of a map, at most.
const STEPS: usize = 16;

/// Which numbers of each register and place of the kernel lie in the map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Rows in a register.
    together: usize,
    bits: [[u32; TAPS]; STEPS],
}

impl Rows {
    /// For maps that registers of `lanes` hold two rows of, and whose rows lie alike.
    pub fn new(slide: &Slide, kernel: usize, lanes: usize) -> Option<Rows> {
        let ([height, width], [rows, columns], [above, left]) = (slide.from, slide.to, slide.padding);
        let together = lanes / columns.max(1);
        if width != columns || together < 2 || rows > together * STEPS {
            return None;
        }
        let mut bits = [[0; TAPS]; STEPS];
        for (step, bits) in bits.iter_mut().enumerate().take(rows.div_ceil(together)) {
            for tap in 0..kernel * kernel {
                let across = inside((tap % kernel) as isize - left, columns, width) as u32;
                for row in 0..together {
                    let y = (step * together + row + tap / kernel) as isize - above;
                    if y >= 0 && y < height as isize {
                        bits[tap] |= across << (row * columns);
                    }
                }
            }
        }
        Some(Rows { together, bits })
    }
}

/// Whether each half of a register of `lanes` takes a row, with a stride of 2: an output's, and every second number of an input's.
pub(super) fn in_halves(input: usize, output: usize, left: isize, lanes: usize) -> bool {
    output <= lanes / 2 && input + left.unsigned_abs() % 2 <= lanes
}

/// As [`Same`](super::motion::Same), with rows one behind the other in a register.
pub(super) struct Together;
/// As [`Halved`](super::motion::Halved), with a row in each half of a register.
pub(super) struct HalvedHalves;
/// As [`Doubled`](super::motion::Doubled), with a row in each half of a register.
pub(super) struct DoubledHalves;

impl Motion for Together {
    #[inline(always)]
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32) {
        let ([rows, columns], [above, left]) = (slide.to, slide.padding);
        let Some(table) = &slide.rows else { return };
        for (step, first) in (0..rows).step_by(table.together).enumerate() {
            let bits = &table.bits[step];
            let mut sum = out.start;
            for ky in 0..K {
                let row = from.wrapping_offset(((first + ky) as isize - above) * columns as isize - left);
                for kx in 0..K {
                    // SAFETY: the caller's promise; the bits say what lies in the map.
                    let values: V = unsafe { V::load_bits(row.wrapping_add(kx), bits[ky * K + kx]) };
                    sum = values.mul_add(weights[ky][kx], sum);
                }
            }
            let written = (1 << ((rows - first).min(table.together) * columns)) - 1;
            let to = to.wrapping_add(first * columns);
            // SAFETY: as above.
            unsafe {
                if out.adds {
                    sum = V::load_bits(to, written).add(sum);
                }
                out.cut(sum).store_bits(to, written);
            }
        }
    }
}

/// Adds the inner products of one image's maps to a kernel's sums, with rows one behind the other in a register.
///
/// # Safety
/// As [`add_products`](super::weights::add_products).
#[inline(always)]
pub(super) unsafe fn add_products_together<V: Lanes, const K: usize>(
    slide: &Slide,
    table: &Rows,
    x: *const f32,
    dy: *const f32,
    sums: &mut [[V; K]; K],
) {
    let ([rows, columns], [above, left]) = (slide.to, slide.padding);
    for (step, first) in (0..rows).step_by(table.together).enumerate() {
        let bits = &table.bits[step];
        let read = (1 << ((rows - first).min(table.together) * columns)) - 1;
        // SAFETY: the caller's promise; the bits say what lies in the map.
        let gradient: V = unsafe { V::load_bits(dy.wrapping_add(first * columns), read) };
        for ky in 0..K {
            let row = x.wrapping_offset(((first + ky) as isize - above) * columns as isize - left);
            for kx in 0..K {
                // SAFETY: as above.
                let values: V = unsafe { V::load_bits(row.wrapping_add(kx), bits[ky * K + kx]) };
                sums[ky][kx] = values.mul_add(gradient, sums[ky][kx]);
            }
        }
    }
}

/// The bits, or none if a row lies above or below its map.
#[inline(always)]
fn bits_of_row(bits: u32, y: isize, height: usize) -> u32 {
    if y >= 0 && y < height as isize { bits } else { 0 }
}

/// Two rows of a small map, one in each half of a register, from a column on; `bits` are of one row.
///
/// # Safety
/// The map must be `height` rows of `width` columns, and its columns whose bits are set must lie in it.
#[inline(always)]
unsafe fn load_halves<V: Lanes>(map: *const f32, y: isize, [height, width]: [usize; 2], column: isize, bits: u32) -> V {
    let row = map.wrapping_offset(y * width as isize + column);
    let (low, high) = (bits_of_row(bits, y, height), bits_of_row(bits, y + 1, height));
    // SAFETY: the caller's promise. The one is zero where the other is not.
    unsafe { V::load_bits(row, low).add(V::load_bits(row.wrapping_add(width).wrapping_sub(V::N / 2), high << (V::N / 2))) }
}

/// Every second number, and those between, of two rows of a large map that lie two rows apart: one in each half of a register.
///
/// # Safety
/// As [`load_halves`].
#[inline(always)]
unsafe fn load_parted<V: Lanes>(map: *const f32, y: isize, [height, width]: [usize; 2], column: isize, bits: u32) -> [V; 2] {
    let row = map.wrapping_offset(y * width as isize + column);
    // SAFETY: the caller's promise.
    unsafe {
        let low: V = V::load_bits(row, bits_of_row(bits, y, height));
        low.parted(V::load_bits(row.wrapping_add(2 * width), bits_of_row(bits, y + 2, height)))
    }
}

impl Motion for HalvedHalves {
    #[inline(always)]
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32) {
        let ([rows, columns], [above, left]) = (slide.to, slide.padding);
        let readable = inside(-left, V::N + K - 1, slide.from[1]);
        let written = (1 << columns) - 1;
        for first in (0..rows).step_by(2) {
            let mut sum = out.start;
            for ky in 0..K {
                for pair in 0..K / 2 + 1 {
                    let (y, bits) = ((2 * first + ky) as isize - above, (readable >> (2 * pair)) as u32);
                    // SAFETY: the caller's promise; the bits say what lies in the map.
                    let [even, odd] = unsafe { load_parted::<V>(from, y, slide.from, 2 * pair as isize - left, bits) };
                    sum = even.mul_add(weights[ky][2 * pair], sum);
                    if 2 * pair + 1 < K {
                        sum = odd.mul_add(weights[ky][2 * pair + 1], sum);
                    }
                }
            }
            let second = bits_of_row(written, first as isize + 1, rows) << (V::N / 2);
            let to = to.wrapping_add(first * columns);
            let below = to.wrapping_add(columns).wrapping_sub(V::N / 2);
            // SAFETY: as above.
            unsafe {
                if out.adds {
                    sum = sum.add(load_halves(to, 0, [rows - first, columns], 0, written));
                }
                out.cut(sum).store_bits(to, written);
                out.cut(sum).store_bits(below, second);
            }
        }
    }
}

/// Adds the inner products of one image's maps to a kernel's sums, with a stride of 2 and a row in each half of a register.
///
/// # Safety
/// As [`add_products`](super::weights::add_products).
#[inline(always)]
pub(super) unsafe fn add_products_in_halves<V: Lanes, const K: usize>(
    slide: &Slide,
    x: *const f32,
    dy: *const f32,
    sums: &mut [[V; K]; K],
) {
    let ([rows, columns], [above, left]) = (slide.to, slide.padding);
    let readable = inside(-left, V::N + K - 1, slide.from[1]);
    for first in (0..rows).step_by(2) {
        // SAFETY: the caller's promise; the bits say what lies in the map.
        let gradient: V = unsafe { load_halves(dy, first as isize, slide.to, 0, (1 << columns) - 1) };
        for ky in 0..K {
            for pair in 0..K / 2 + 1 {
                let (y, bits) = ((2 * first + ky) as isize - above, (readable >> (2 * pair)) as u32);
                // SAFETY: as above.
                let [even, odd] = unsafe { load_parted::<V>(x, y, slide.from, 2 * pair as isize - left, bits) };
                sums[ky][2 * pair] = even.mul_add(gradient, sums[ky][2 * pair]);
                if 2 * pair + 1 < K {
                    sums[ky][2 * pair + 1] = odd.mul_add(gradient, sums[ky][2 * pair + 1]);
                }
            }
        }
    }
}

impl Motion for DoubledHalves {
    #[inline(always)]
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32) {
        let ([rows, columns], [above, left]) = (slide.to, slide.padding);
        let (pairs, column) = (K / 2 + 1, -(left % 2));
        let last = (column + left) / 2;
        let readable = inside(last - (K / 2) as isize, V::N / 2 + K / 2, slide.from[1]);
        let written = inside(column, V::N, columns) as u32;
        for first in (-(above % 2)..rows as isize).step_by(4) {
            // Sums of even and odd columns; in one half of the first pair of rows, in the other of the second.
            let mut sums = [[out.start; 2]; 2];
            for down in 0..pairs {
                for across in 0..pairs {
                    let (y, x) = ((first + above) / 2 - down as isize, last - across as isize);
                    let bits = (readable >> (K / 2 - across)) as u32 & ((1 << (V::N / 2)) - 1);
                    // SAFETY: the caller's promise; the bits say what lies in the map.
                    let values: V = unsafe { load_halves(from, y, slide.from, x, bits) };
                    for (side, end) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        let (ky, kx) = (2 * down + side, 2 * across + end);
                        if ky < K && kx < K {
                            sums[side][end] = values.mul_add(weights[ky][kx], sums[side][end]);
                        }
                    }
                }
            }
            for side in 0..2 {
                for (pair, values) in sums[side][0].woven(sums[side][1]).into_iter().enumerate() {
                    let y = first + (side + 2 * pair) as isize;
                    let bits = bits_of_row(written, y, rows);
                    let to = to.wrapping_offset(y * columns as isize + column);
                    // SAFETY: as above.
                    unsafe {
                        let sum = if out.adds { V::load_bits(to, bits).add(values) } else { values };
                        out.cut(sum).store_bits(to, bits);
                    }
                }
            }
        }
    }
}
