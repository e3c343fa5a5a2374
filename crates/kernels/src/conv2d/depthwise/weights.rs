//! The gradient of one kernel: inner products of gradient rows with input rows.

use super::motion::{ANY, LEFT, RIGHT, Slide, WHOLE, begin, edge, inside, load, load_pair, pair_is_masked, tap_is_masked};
use crate::lanes::Lanes;

/// Adds the inner products of one image's maps to a kernel's sums; `STEP` is the stride.
///
/// # Safety
/// The maps must be as large as `slide` says, the input the one that is read, the gradient the one that is written.
#[inline(always)]
pub(super) unsafe fn add_products<V: Lanes, const K: usize, const STEP: usize>(
    slide: &Slide,
    x: *const f32,
    dy: *const f32,
    sums: &mut [[V; K]; K],
) {
    for number in 0..slide.to[1].div_ceil(V::N) {
        let column = begin::<V>(number, slide.to[1], true);
        // Columns of the gradient that stretches before have had.
        let had = number * V::N - column as usize;
        // SAFETY: the caller's promise; registers that are not masked lie inside.
        unsafe {
            match (edge::<V, K>(slide, column, STEP), STEP) {
                (WHOLE, 1) => same::<V, K, WHOLE>(slide, column, had, x, dy, sums),
                (LEFT, 1) => same::<V, K, LEFT>(slide, column, had, x, dy, sums),
                (RIGHT, 1) => same::<V, K, RIGHT>(slide, column, had, x, dy, sums),
                (_, 1) => same::<V, K, ANY>(slide, column, had, x, dy, sums),
                (WHOLE, _) => halved::<V, K, WHOLE>(slide, column, had, x, dy, sums),
                (LEFT, _) => halved::<V, K, LEFT>(slide, column, had, x, dy, sums),
                (RIGHT, _) => halved::<V, K, RIGHT>(slide, column, had, x, dy, sums),
                _ => halved::<V, K, ANY>(slide, column, had, x, dy, sums),
            }
        }
    }
}

/// The columns of one register of the gradient but for the first `had`.
///
/// # Safety
/// As [`add_products`]; what is loaded must lie in the maps as far as `EDGE` says.
#[inline(always)]
unsafe fn same<V: Lanes, const K: usize, const EDGE: u8>(
    slide: &Slide,
    column: isize,
    had: usize,
    x: *const f32,
    dy: *const f32,
    sums: &mut [[V; K]; K],
) {
    let ([height, width], [rows, columns], [above, left]) = (slide.from, slide.to, slide.padding);
    let readable = inside(column - left, V::N + K - 1, width);
    let read = (inside(column, V::N, columns) & (u64::MAX << had)) as u32;
    let few = had > 0 || EDGE == ANY;
    // An input row meets `K` rows of the gradient, the last one at the kernel's first row.
    let mut gradients = [V::splat(0.0); K];
    for last in 0..rows + K - 1 {
        // SAFETY: the row lies in the map.
        gradients[0] = if last < rows { unsafe { load(dy.wrapping_add(last * columns), column, few, read) } } else { V::splat(0.0) };
        let y = last as isize - above;
        if y >= 0 && y < height as isize {
            let row = x.wrapping_add(y as usize * width);
            for kx in 0..K {
                // SAFETY: the row lies in the map.
                let values: V =
                    unsafe { load::<V>(row, column - left + kx as isize, tap_is_masked::<K>(EDGE, kx), (readable >> kx) as u32) };
                for ky in 0..K {
                    sums[ky][kx] = values.mul_add(gradients[ky], sums[ky][kx]);
                }
            }
        }
        for ky in (1..K).rev() {
            gradients.swap(ky, ky - 1);
        }
    }
}

/// As [`same`].
///
/// # Safety
/// As [`same`].
#[inline(always)]
unsafe fn halved<V: Lanes, const K: usize, const EDGE: u8>(
    slide: &Slide,
    column: isize,
    had: usize,
    x: *const f32,
    dy: *const f32,
    sums: &mut [[V; K]; K],
) {
    let ([height, width], [rows, columns], [above, left]) = (slide.from, slide.to, slide.padding);
    let first = 2 * column - left;
    let pairs = K / 2 + 1;
    let readable = inside(first, 2 * V::N + K - 1, width);
    let read = (inside(column, V::N, columns) & (u64::MAX << had)) as u32;
    let few = had > 0 || EDGE == ANY;
    // The first `pairs` of the gradients are used.
    let mut gradients = [V::splat(0.0); K];
    for last in 0..rows + pairs - 1 {
        // SAFETY: the row lies in the map.
        gradients[0] = if last < rows { unsafe { load(dy.wrapping_add(last * columns), column, few, read) } } else { V::splat(0.0) };
        for odd in 0..2 {
            let y = 2 * last as isize - above + odd as isize;
            if y < 0 || y >= height as isize {
                continue;
            }
            let row = x.wrapping_add(y as usize * width);
            for pair in 0..pairs {
                // SAFETY: the row lies in the map.
                let parts: [V; 2] = unsafe { load_pair(row, first, pair, pair_is_masked::<K>(EDGE, pair), readable) };
                for (side, values) in parts.into_iter().enumerate() {
                    let kx = 2 * pair + side;
                    for ky in (odd..K).step_by(2) {
                        if kx < K {
                            sums[ky][kx] = values.mul_add(gradients[ky / 2], sums[ky][kx]);
                        }
                    }
                }
            }
        }
        for row in (1..pairs).rev() {
            gradients.swap(row, row - 1);
        }
    }
}
