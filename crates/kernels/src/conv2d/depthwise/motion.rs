//! A kernel that slides over one map and writes another.

use super::narrow::Rows;
use crate::lanes::Lanes;

/// The map that is read, the one that is written, and how the kernel lies over them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slide {
    /// Height and width of the map that is read.
    pub from: [usize; 2],
    /// Height and width of the map that is written.
    pub to: [usize; 2],
    /// Rows and columns that the kernel's first place lies before the map that is read, or of [`Doubled`] before the one that is written.
    pub padding: [isize; 2],
    /// Several rows in a register, if they fit.
    pub rows: Option<Rows>,
}

/// How far the kernel goes from one output to the next.
pub(super) trait Motion {
    /// Slides a kernel: each output is what it begins with and the sum of numbers times weights, or that added to what is there, ended.
    ///
    /// # Safety
    /// The maps must be as large as `slide` says.
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32);
}

/// One step at a time: `to[i] = sum over k of w[k] from[i + k - padding]`.
pub(super) struct Same;
/// Two steps at a time: `to[i] = sum over k of w[k] from[2 i + k - padding]`.
pub(super) struct Halved;
/// The way back from that: `to[i] = sum over k with i + padding - k even of w[k] from[(i + padding - k) / 2]`.
pub(super) struct Doubled;

/// A bit for each of so many columns from one on that lie in a map of some width, the lowest for the first.
#[inline(always)]
pub(super) fn inside(column: isize, many: usize, width: usize) -> u64 {
    let before = (-column).clamp(0, many as isize) as u32;
    let end = (width as isize - column).clamp(0, many as isize) as u32;
    ((1 << end) - 1) & (u64::MAX << before)
}

/// Which registers of a stretch of columns meet columns beside the map: none of them.
pub(super) const WHOLE: u8 = 0;
/// Those of the kernel's columns before the middle one, on the left.
pub(super) const LEFT: u8 = 1;
/// Those of the kernel's columns behind the middle one, on the right.
pub(super) const RIGHT: u8 = 2;
/// Any of them, and the one that is written.
pub(super) const ANY: u8 = 3;

/// One of the four for the register of outputs from a column on, `step` inputs apart.
#[inline(always)]
pub(super) fn edge<V: Lanes, const K: usize>(slide: &Slide, column: isize, step: usize) -> u8 {
    if column as usize + V::N > slide.to[1] {
        return ANY;
    }
    let first = step as isize * column - slide.padding[1];
    let (before, behind) = (-first, first + (step * V::N + K - 1) as isize - slide.from[1] as isize);
    let middle = (K / 2) as isize;
    match (before <= 0, behind <= 0) {
        (true, true) => WHOLE,
        (false, true) if before <= middle => LEFT,
        (true, false) if behind <= middle => RIGHT,
        _ => ANY,
    }
}

/// A register of a row, whose columns beside the map count as zeros if it is `masked`.
///
/// # Safety
/// The columns whose bits are set must be readable, or all of them if it is not `masked`.
#[inline(always)]
pub(super) unsafe fn load<V: Lanes>(row: *const f32, column: isize, masked: bool, bits: u32) -> V {
    let from = row.wrapping_offset(column);
    // SAFETY: the caller's promise.
    unsafe {
        match masked {
            true => V::load_bits(from, bits),
            false => V::load_at(from),
        }
    }
}

/// How outputs begin and end.
#[derive(Clone, Copy)]
pub(super) struct Out<V> {
    /// What sums begin with.
    pub start: V,
    /// Whether they are added to what is there.
    pub adds: bool,
    /// What lies below the first and above the second is cut off.
    pub range: [V; 2],
}

impl<V: Lanes> Out<V> {
    /// What is no number stays none.
    #[inline(always)]
    pub fn cut(&self, sum: V) -> V {
        self.range[1].min(self.range[0].max(sum))
    }
}

/// Ends a register and writes it, or adds it to what is there.
///
/// # Safety
/// The columns whose bits are set must be writable, or all of them if it is not `masked`.
#[inline(always)]
unsafe fn store<V: Lanes>(values: V, out: Out<V>, row: *mut f32, column: isize, masked: bool, bits: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        let values = out.cut(match out.adds {
            true => load::<V>(row, column, masked, bits).add(values),
            false => values,
        });
        let to = row.wrapping_offset(column);
        match masked {
            true => values.store_bits(to, bits),
            false => values.store_at(to),
        }
    }
}

/// Where a stretch of columns begins: the last one lies over the one before where that makes it whole and does no harm.
#[inline(always)]
pub(super) fn begin<V: Lanes>(number: usize, columns: usize, lies_over: bool) -> isize {
    let column = number * V::N;
    match lies_over && columns >= V::N {
        true => column.min(columns - V::N) as isize,
        false => column as isize,
    }
}

/// Whether the register of one of the kernel's columns meets columns beside the map.
#[inline(always)]
pub(super) fn tap_is_masked<const K: usize>(edge: u8, kx: usize) -> bool {
    match edge {
        WHOLE => false,
        LEFT => kx < K / 2,
        RIGHT => kx > K / 2,
        _ => true,
    }
}

impl Motion for Same {
    #[inline(always)]
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32) {
        for number in 0..slide.to[1].div_ceil(V::N) {
            let column = begin::<V>(number, slide.to[1], !out.adds);
            // SAFETY: the caller's promise; registers that are not masked lie inside.
            unsafe {
                match edge::<V, K>(slide, column, 1) {
                    WHOLE => same::<V, K, WHOLE>(slide, column, from, weights, out, to),
                    LEFT => same::<V, K, LEFT>(slide, column, from, weights, out, to),
                    RIGHT => same::<V, K, RIGHT>(slide, column, from, weights, out, to),
                    _ => same::<V, K, ANY>(slide, column, from, weights, out, to),
                }
            }
        }
    }
}

/// The columns of one register.
///
/// # Safety
/// As [`Motion::slide`]; what is loaded and stored must lie in the map as far as `EDGE` says.
#[inline(always)]
unsafe fn same<V: Lanes, const K: usize, const EDGE: u8>(
    slide: &Slide,
    column: isize,
    from: *const f32,
    weights: &[[V; K]; K],
    out: Out<V>,
    to: *mut f32,
) {
    let ([height, width], [rows, columns], [above, left]) = (slide.from, slide.to, slide.padding);
    let readable = inside(column - left, V::N + K - 1, width);
    let written = inside(column, V::N, columns) as u32;
    // Row `last` of the output is the last one that the input row meets, at the kernel's first row; the first one is `K - 1` rows above.
    let mut sums = [out.start; K];
    for last in 0..(rows + K - 1) as isize {
        let y = last - above;
        if y >= 0 && y < height as isize {
            let row = from.wrapping_add(y as usize * width);
            for kx in 0..K {
                // SAFETY: the row lies in the map.
                let values: V =
                    unsafe { load::<V>(row, column - left + kx as isize, tap_is_masked::<K>(EDGE, kx), (readable >> kx) as u32) };
                for ky in 0..K {
                    sums[K - 1 - ky] = values.mul_add(weights[ky][kx], sums[K - 1 - ky]);
                }
            }
        }
        let done = last - (K - 1) as isize;
        if done >= 0 {
            // SAFETY: the row lies in the map.
            unsafe { store(sums[0], out, to.wrapping_add(done as usize * columns), column, EDGE == ANY, written) };
        }
        for row in 1..K {
            sums.swap(row - 1, row);
        }
        sums[K - 1] = out.start;
    }
}

impl Motion for Halved {
    #[inline(always)]
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32) {
        for number in 0..slide.to[1].div_ceil(V::N) {
            let column = begin::<V>(number, slide.to[1], !out.adds);
            // SAFETY: the caller's promise; registers that are not masked lie inside.
            unsafe {
                match edge::<V, K>(slide, column, 2) {
                    WHOLE => halved::<V, K, WHOLE>(slide, column, from, weights, out, to),
                    LEFT => halved::<V, K, LEFT>(slide, column, from, weights, out, to),
                    RIGHT => halved::<V, K, RIGHT>(slide, column, from, weights, out, to),
                    _ => halved::<V, K, ANY>(slide, column, from, weights, out, to),
                }
            }
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
    from: *const f32,
    weights: &[[V; K]; K],
    out: Out<V>,
    to: *mut f32,
) {
    let ([height, width], [rows, columns], [above, left]) = (slide.from, slide.to, slide.padding);
    let first = 2 * column - left;
    let pairs = K / 2 + 1;
    let readable = inside(first, 2 * V::N + K - 1, width);
    let written = inside(column, V::N, columns) as u32;
    // The first `pairs` of the sums are used.
    let mut sums = [out.start; K];
    for last in 0..(rows + pairs - 1) as isize {
        for odd in 0..2 {
            let y = 2 * last - above + odd as isize;
            if y < 0 || y >= height as isize {
                continue;
            }
            let row = from.wrapping_add(y as usize * width);
            for pair in 0..pairs {
                // SAFETY: the row lies in the map.
                let parts: [V; 2] = unsafe { load_pair(row, first, pair, pair_is_masked::<K>(EDGE, pair), readable) };
                for (side, values) in parts.into_iter().enumerate() {
                    let kx = 2 * pair + side;
                    for ky in (odd..K).step_by(2) {
                        if kx < K {
                            let sum = &mut sums[pairs - 1 - ky / 2];
                            *sum = values.mul_add(weights[ky][kx], *sum);
                        }
                    }
                }
            }
        }
        let done = last - (pairs - 1) as isize;
        if done >= 0 {
            // SAFETY: the row lies in the map.
            unsafe { store(sums[0], out, to.wrapping_add(done as usize * columns), column, EDGE == ANY, written) };
        }
        for row in 1..pairs {
            sums.swap(row - 1, row);
        }
        sums[pairs - 1] = out.start;
    }
}

/// Every second number of two registers of a row, and those between: what a pair of the kernel's columns reads.
///
/// # Safety
/// As [`load`], for both.
#[inline(always)]
pub(super) unsafe fn load_pair<V: Lanes>(row: *const f32, first: isize, pair: usize, masked: [bool; 2], readable: u64) -> [V; 2] {
    let (column, bits) = (first + 2 * pair as isize, readable >> (2 * pair));
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high): (V, V) =
            (load(row, column, masked[0], bits as u32), load(row, column + V::N as isize, masked[1], (bits >> V::N) as u32));
        low.parted(high)
    }
}

/// Which registers of a pair of the kernel's columns meet columns beside the map.
#[inline(always)]
pub(super) fn pair_is_masked<const K: usize>(edge: u8, pair: usize) -> [bool; 2] {
    [edge == ANY || edge == LEFT && 2 * pair < K / 2, edge == ANY || edge == RIGHT && 2 * pair > K / 2]
}

impl Motion for Doubled {
    #[inline(always)]
    unsafe fn slide<V: Lanes, const K: usize>(slide: &Slide, from: *const f32, weights: &[[V; K]; K], out: Out<V>, to: *mut f32) {
        let (width, columns, left) = (slide.from[1] as isize, slide.to[1] as isize, slide.padding[1]);
        // A column that meets the kernel's even columns comes first in each register.
        for column in (-(left % 2)..columns).step_by(2 * V::N) {
            let last = (column + left) / 2;
            let reads = last - (K / 2) as isize >= 0 && last + V::N as isize <= width;
            let whole = reads && column >= 0 && column + 2 * V::N as isize <= columns;
            // SAFETY: the caller's promise; whole registers lie inside.
            unsafe {
                match whole {
                    true => doubled::<V, K, false>(slide, column, from, weights, out, to),
                    false => doubled::<V, K, true>(slide, column, from, weights, out, to),
                }
            }
        }
    }
}

/// As [`same`], for two registers.
///
/// # Safety
/// As [`same`].
#[inline(always)]
unsafe fn doubled<V: Lanes, const K: usize, const MASKED: bool>(
    slide: &Slide,
    column: isize,
    from: *const f32,
    weights: &[[V; K]; K],
    out: Out<V>,
    to: *mut f32,
) {
    let ([height, width], [rows, columns], [above, left]) = (slide.from, slide.to, slide.padding);
    let pairs = K / 2 + 1;
    let last = (column + left) / 2;
    let readable = inside(last - (K / 2) as isize, V::N + K / 2, width);
    let written = inside(column, 2 * V::N, columns);
    // Rows come in pairs as well, the one that meets the kernel's even rows first.
    for first in (-(above % 2)..rows as isize).step_by(2) {
        // Sums of even and odd columns of both rows.
        let mut sums = [[out.start; 2]; 2];
        for down in 0..pairs {
            let y = (first + above) / 2 - down as isize;
            if y < 0 || y >= height as isize {
                continue;
            }
            let row = from.wrapping_add(y as usize * width);
            for across in 0..pairs {
                // SAFETY: the row lies in the map.
                let values: V = unsafe { load::<V>(row, last - across as isize, MASKED, (readable >> (K / 2 - across)) as u32) };
                for (side, end) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                    let (ky, kx) = (2 * down + side, 2 * across + end);
                    if ky < K && kx < K {
                        sums[side][end] = values.mul_add(weights[ky][kx], sums[side][end]);
                    }
                }
            }
        }
        for side in 0..2 {
            let y = first + side as isize;
            if y >= 0 && y < rows as isize {
                let row = to.wrapping_add(y as usize * columns);
                let [low, high] = sums[side][0].woven(sums[side][1]);
                // SAFETY: the row lies in the map.
                unsafe {
                    store(low, out, row, column, MASKED, written as u32);
                    store(high, out, row, column + V::N as isize, MASKED, (written >> V::N) as u32);
                }
            }
        }
    }
}
