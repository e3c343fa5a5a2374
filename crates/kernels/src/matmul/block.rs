//! Rows over panels, block by block.

use super::{ACROSS, Corner, Matrix, Start, panel_width};
use crate::end::{End, end_row};
use crate::kernel::kernel;
use crate::lanes::Lanes;
use std::ops::Range;

kernel! {
    /// Rows of `a` times all panels. Of what lies far away, what comes next is fetched meanwhile: rows of `a`, or the panels behind these where
    /// those of the next product `follow` there.
    pub(super) fn over_panels<V>(
        a: Matrix<'_>, turned: &mut [f32], packed: &[f32], columns: usize, start: Start<'_>, corner: Corner<'_>, follows: bool
    ) {
        let depth = a.columns;
        assert!(packed.len() >= columns.next_multiple_of(V::N) * depth, "every column has its panel");
        if let Start::Bias(bias) = start {
            assert_eq!(bias.len(), columns, "one bias a column");
        }
        // Equal shares, so that no last block is a sliver.
        let share = a.rows.div_ceil(a.rows.div_ceil(V::ROWS).max(1)).max(1);
        let long = a.row_stride.max(a.column_stride);
        let is_turned = a.row_stride.min(a.column_stride) != 1 || (long.is_multiple_of(MEETING) && columns > NARROW);
        let (blocks, panels) = (a.rows.div_ceil(share), columns.div_ceil(ACROSS * V::N));
        for number in 0..blocks * panels {
            // Rows stay in the first-level cache while they go over all panels, or a panel that leaves room there while all rows go over it.
            let by_rows = is_turned || depth > SHALLOW;
            let (block, panel) = if by_rows { (number / panels, number % panels) } else { (number % blocks, number / blocks) };
            let (row, first) = (block * share, panel * ACROSS * V::N);
            let rows = share.min(a.rows - row);
            if is_turned && panel == 0 {
                turn::<V>(a, row..row + rows, turned);
            }
            let lines = match is_turned {
                true => Lines { values: turned, row: 1, step: PITCH, depth },
                false => Lines { values: a.rows(row..row + rows).values, row: a.row_stride, step: a.column_stride, depth },
            };
            let panel = panel_width::<V>(columns - first);
            let wide = panel.min(columns - first);
            let b = &packed[first * depth..][..panel * depth];
            let start = start.at(true, first..first + wide);
            let (place, stride) = (corner.first + row * corner.stride + first, corner.stride);
            // SAFETY: the tile is this thread's alone.
            let to = unsafe { corner.c.rows_at(place, rows, stride, wide) };
            let end = if corner.end.is_nothing() { None } else { Some(RowsEnd { end: corner.end, map: corner.map + row, place }) };
            let edges = Edges { start, end };
            let shared = if by_rows { panels } else { 1 };
            let ahead = match follows {
                true if packed.len() > NEAR / PLACES && number * depth * LINE < packed.len() => Ahead::panels(packed.as_ptr().wrapping_add(packed.len() + number * depth * LINE)),
                false if !is_turned && a.rows * depth > NEAR && first < shared * ACROSS * V::N && row + rows < a.rows => {
                    let from = a.values.as_ptr().wrapping_add((row + rows + number % panels % shared) * a.row_stride);
                    Ahead { from, step: 1, apart: shared * a.row_stride, many: rows.div_ceil(shared) }
                }
                _ => Ahead::NOTHING,
            };
            let block = Block { lines, panel: b, ahead, edges, to, stride, wide };
            match panel == V::N {
                true => some_rows::<V, 1>(rows, block),
                false => some_rows::<V, 2>(rows, block),
            }
        }
    }
}

/// Numbers in a line of the cache.
const LINE: usize = 16;
/// Rows of no more numbers in all, half a megabyte, stay in the second-level cache, and nothing of them is fetched ahead.
const NEAR: usize = 1 << 17;
/// Nor of panels that are less than such a share of that, of which there are many for a few places.
const PLACES: usize = 16;

/// Lines that are fetched while a block goes down its depth: at each [`LINE`] of it so `many`, which lie `apart` from each other, the first at
/// `from` and `step` numbers further for each place of the depth.
#[derive(Clone, Copy)]
struct Ahead {
    from: *const f32,
    step: usize,
    apart: usize,
    many: usize,
}

impl Ahead {
    const NOTHING: Ahead = Ahead { from: std::ptr::null(), step: 0, apart: 0, many: 0 };

    /// A line at each place, one after another.
    #[inline(always)]
    fn panels(from: *const f32) -> Ahead {
        Ahead { from, step: LINE, apart: LINE, many: LINE }
    }
}

/// Rows times a panel, and where the result lies: at `to`, rows `stride` apart and `wide` numbers of the panel long, all of which must be writable.
#[derive(Clone, Copy)]
struct Block<'a> {
    lines: Lines<'a>,
    panel: &'a [f32],
    ahead: Ahead,
    edges: Edges<'a>,
    to: *mut f32,
    stride: usize,
    wide: usize,
}

/// What a block begins with and how it ends.
#[derive(Clone, Copy)]
struct Edges<'a> {
    start: Start<'a>,
    end: Option<RowsEnd<'a>>,
}

/// An end, the map of a block's first row, and where the block lies among all outputs.
#[derive(Clone, Copy)]
struct RowsEnd<'a> {
    end: End<'a>,
    map: usize,
    place: usize,
}

impl Start<'_> {
    /// What a sum begins with added, for some numbers from `column` on: `part` is what was there.
    #[inline(always)]
    fn add<V: Lanes>(&self, sum: V, column: usize, part: &[f32]) -> V {
        match self {
            Start::Zero => sum,
            Start::Keep => sum.add(V::load_part(part, 0.0)),
            Start::Bias(bias) => sum.add(V::load_part(&bias[column.min(bias.len())..][..part.len()], 0.0)),
        }
    }

    /// Writes whole rows of sums, with what they begin with.
    ///
    /// # Safety
    /// All rows must be writable, by nobody else at the same time.
    #[inline(always)]
    unsafe fn store<V: Lanes, const R: usize, const A: usize>(&self, mut sums: [[V; A]; R], to: *mut f32, stride: usize) {
        if let Start::Bias(bias) = self {
            for across in 0..A {
                let bias = V::load(&bias[across * V::N..]);
                for r in 0..R {
                    sums[r][across] = sums[r][across].add(bias);
                }
            }
        }
        for r in 0..R {
            for across in 0..A {
                // SAFETY: the caller's promise.
                unsafe {
                    let to = to.add(r * stride + across * V::N);
                    match self {
                        Start::Keep => sums[r][across].add(V::load_at(to)).store_at(to),
                        _ => sums[r][across].store_at(to),
                    }
                }
            }
        }
    }
}

impl RowsEnd<'_> {
    /// Ends `part`, the numbers of row `r`, which still lie in the first-level cache.
    #[inline(always)]
    fn finish<V: Lanes>(&self, r: usize, stride: usize, part: &mut [f32]) {
        let first = self.place + r * stride;
        let added = self.end.added(first..first + part.len()).map(<[f32]>::as_ptr);
        let start = part.as_mut_ptr();
        // SAFETY: both are so long.
        unsafe { end_row::<V>(self.end.line(self.map + r), start, added, start, part.len()) };
    }
}

#[inline(always)]
fn some_rows<V: Lanes, const A: usize>(rows: usize, block: Block<'_>) {
    match rows {
        1 => multiply::<V, 1, A>(block),
        2 => multiply::<V, 2, A>(block),
        3 => multiply::<V, 3, A>(block),
        4 => multiply::<V, 4, A>(block),
        5 => multiply::<V, 5, A>(block),
        6 => multiply::<V, 6, A>(block),
        7 => multiply::<V, 7, A>(block),
        8 => multiply::<V, 8, A>(block),
        9 => multiply::<V, 9, A>(block),
        10 => multiply::<V, 10, A>(block),
        11 => multiply::<V, 11, A>(block),
        _ => multiply::<V, 12, A>(block),
    }
}

/// Rows of `a`: number `r` at depth `k` is `values[r * row + k * step]`, where one of the two is 1.
#[derive(Clone, Copy)]
struct Lines<'a> {
    values: &'a [f32],
    row: usize,
    step: usize,
    depth: usize,
}

/// From one place along the depth to the next in a copy of rows: at least a block's rows, and a whole line of the cache with AVX-512.
pub(super) const PITCH: usize = 16;
/// Rows that lie a multiple of so many numbers apart, a page, meet in one set of the first-level cache (1024 x 1024 x 1024: 17.6 ms, and 16.1 ms
/// when they are copied first).
const MEETING: usize = 1024;
/// A panel of such a depth is a third of the first-level cache with AVX-512.
const SHALLOW: usize = 128;
/// With so few columns, rows in order are not worth a copy.
const NARROW: usize = 64;

/// Copies some rows, of at most a block, such that those of a place along the depth lie beside each other.
#[inline(always)]
fn turn<V: Lanes>(a: Matrix<'_>, rows: Range<usize>, to: &mut [f32]) {
    let below = a.rows - rows.start;
    let from = a.rows(rows.clone());
    let mut done = 0;
    while a.column_stride == 1 && below >= V::N && done + V::N <= a.columns {
        let to = &mut to[done * PITCH..][..(V::N - 1) * PITCH + V::N];
        assert!(from.values.len() > (V::N - 1) * a.row_stride + done + V::N - 1, "whole blocks lie inside");
        // SAFETY: asserted above.
        unsafe { V::transpose(from.values.as_ptr().add(done), a.row_stride, to.as_mut_ptr(), PITCH) };
        done += V::N;
    }
    for k in done..a.columns {
        let line = &mut to[k * PITCH..][..rows.len()];
        let from = &from.values[k * a.column_stride..];
        match a.row_stride {
            1 => V::load_part(&from[..rows.len()], 0.0).store_part(line),
            stride => line.iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
        }
    }
}

/// R rows times a panel.
#[inline(always)]
fn multiply<V: Lanes, const R: usize, const A: usize>(block: Block<'_>) {
    let Block { lines, panel, ahead, edges, to, stride, wide } = block;
    if R > V::ROWS {
        unreachable!("blocks have at most the rows of their level");
    }
    let Lines { values, row, step, depth } = lines;
    assert!(depth == 0 || values.len() > (R - 1) * row + (depth - 1) * step, "rows are as long as the depth");
    assert!(panel.len() >= depth * A * V::N, "the panel is as deep");
    let mut sums = [[V::splat(0.0); A]; R];
    // SAFETY: asserted above.
    unsafe {
        let (a, b) = (values.as_ptr(), panel.as_ptr());
        match (step, if V::FETCHES { ahead.many } else { 0 }) {
            (1, 0) => products::<V, R, A, false>(a, row, depth, b, &mut sums),
            (_, 0) => products::<V, R, A, true>(a, step, depth, b, &mut sums),
            (1, _) => products_ahead::<V, R, A, false>(a, row, depth, b, ahead, &mut sums),
            _ => products_ahead::<V, R, A, true>(a, step, depth, b, ahead, &mut sums),
        }
    }
    if wide == A * V::N {
        // SAFETY: the caller's promise.
        unsafe { edges.start.store::<V, R, A>(sums, to, stride) };
    } else {
        for r in 0..R {
            for across in 0..A {
                let wide = wide.saturating_sub(across * V::N).min(V::N);
                // SAFETY: the caller's promise.
                let part = unsafe { std::slice::from_raw_parts_mut(to.add(r * stride + across * V::N), wide) };
                edges.start.add(sums[r][across], across * V::N, part).store_part(part);
            }
        }
    }
    let Some(end) = edges.end else { return };
    for r in 0..R {
        // SAFETY: the caller's promise.
        end.finish::<V>(r, stride, unsafe { std::slice::from_raw_parts_mut(to.add(r * stride), wide) });
    }
}

/// Places along the depth that are fetched ahead of their use where they lie apart, which the processor does not foresee.
const AHEAD: usize = 16;

/// Adds the products of a block to sums. Row `r` at depth `k` is `a[r * stride + k]`, or `a[r + k * stride]` where rows lie `BESIDE` each other.
///
/// # Safety
/// All of `a` and of the panel must be readable.
#[inline(always)]
unsafe fn products<V: Lanes, const R: usize, const A: usize, const BESIDE: bool>(
    a: *const f32,
    stride: usize,
    depth: usize,
    panel: *const f32,
    sums: &mut [[V; A]; R],
) {
    let (row, step) = if BESIDE { (1, stride) } else { (stride, 1) };
    let mut found = *sums;
    for k in 0..depth {
        // SAFETY: the caller's promise.
        unsafe {
            if BESIDE {
                V::prefetch(a.wrapping_add((k + AHEAD) * step));
            }
            let mut b = [V::splat(0.0); A];
            for across in 0..A {
                b[across] = V::load_at(panel.add((k * A + across) * V::N));
            }
            for r in 0..R {
                let value = V::splat(*a.add(r * row + k * step));
                for across in 0..A {
                    found[r][across] = value.mul_add(b[across], found[r][across]);
                }
            }
        }
    }
    *sums = found;
}

/// The same, and lines are fetched meanwhile.
///
/// # Safety
/// As [`products`].
#[inline(always)]
unsafe fn products_ahead<V: Lanes, const R: usize, const A: usize, const BESIDE: bool>(
    a: *const f32,
    stride: usize,
    depth: usize,
    panel: *const f32,
    ahead: Ahead,
    sums: &mut [[V; A]; R],
) {
    let step = if BESIDE { stride } else { 1 };
    for first in (0..depth).step_by(LINE) {
        for line in 0..ahead.many {
            V::prefetch_far(ahead.from.wrapping_add(first * ahead.step + line * ahead.apart));
        }
        // SAFETY: the caller's promise.
        unsafe { products::<V, R, A, BESIDE>(a.add(first * step), stride, LINE.min(depth - first), panel.add(first * A * V::N), sums) };
    }
}
