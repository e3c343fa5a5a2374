//! Products of small matrices of one head, which lie in the cache and skip what a query does not see.

use crate::kernel::kernel;
use crate::lanes::Lanes;

/// The left operand: number (i, k) is `values[i * row + k * step]`, where one of the two is 1.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    values: &'a [f32],
    row: usize,
    step: usize,
}

impl<'a> Left<'a> {
    /// A matrix as it lies.
    pub(super) fn rows(values: &'a [f32], pitch: usize) -> Left<'a> {
        Left { values, row: pitch, step: 1 }
    }

    /// Its transposed.
    pub(super) fn columns(values: &'a [f32], pitch: usize) -> Left<'a> {
        Left { values, row: 1, step: pitch }
    }
}

/// The right operand, whose rows are cut into panels two registers wide: those of panel p are `step` apart from `panel * p` on.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    values: &'a [f32],
    panel: Option<usize>,
    step: usize,
}

impl<'a> Right<'a> {
    /// A matrix whose rows lie in order, in whole registers.
    pub(super) fn rows(values: &'a [f32], pitch: usize) -> Right<'a> {
        Right { values, panel: None, step: pitch }
    }

    /// A matrix of so many rows in panels, one behind the other.
    pub(super) fn panels(values: &'a [f32], rows: usize) -> Right<'a> {
        Right { values, panel: Some(rows), step: 0 }
    }
}

/// Which part of a product counts, when query i of a block sees the keys up to i + past.
#[derive(Clone, Copy)]
pub(super) enum Reach {
    /// Rows are queries, columns are keys: columns that no row of a block sees are left as they are.
    Columns(usize),
    /// Rows are queries, summed are keys, up to the last that is seen.
    Before(usize),
    /// Rows are keys, summed are queries, from the first that sees them on.
    From(usize),
}

/// The depth that is gone through at once: a panel of it stays in the first-level cache.
const DEPTH: usize = 128;

kernel! {
    /// `c = a b`, or `c += a b` to `keep` what is there: so many rows, columns (rounded up to registers) and so deep.
    pub(super) fn product<V>(
        a: Left<'_>, b: Right<'_>, sides: [usize; 3], reach: Reach, keep: bool, c: &mut [f32], pitch: usize
    ) {
        let [rows, columns, depth] = sides;
        if rows * columns == 0 {
            return;
        }
        let registers = columns.div_ceil(V::N);
        let panels = registers.div_ceil(2);
        let (panel, step, last) = match b.panel {
            // Panels are whole, the last one among them.
            Some(rows) => (rows * 2 * V::N, 2 * V::N, 2 * V::N),
            None => (2 * V::N, b.step, if registers.is_multiple_of(2) { 2 * V::N } else { V::N }),
        };
        let wide = (panels - 1) * 2 * V::N + last;
        assert!(depth == 0 || a.values.len() > (rows - 1) * a.row + (depth - 1) * a.step, "a is as large");
        assert!(depth == 0 || b.values.len() >= (panels - 1) * panel + (depth - 1) * step + last, "b is as large");
        assert!(wide <= pitch && c.len() >= (rows - 1) * pitch + wide, "c has room");
        for first in (0..depth.max(1)).step_by(DEPTH) {
            let end = (first + DEPTH).min(depth);
            for number in 0..panels {
                let mut row = 0;
                while row < rows {
                    let some = V::ROWS.min(rows - row);
                    let bottom = row + some - 1;
                    let (from, to, skip) = match reach {
                        Reach::Columns(past) => (first, end, number * 2 * V::N > bottom + past),
                        Reach::Before(past) => (first, end.min(bottom + past + 1), false),
                        Reach::From(past) => (first.max(row.saturating_sub(past)), end, false),
                    };
                    let keep = keep || first > 0;
                    if !skip && (from < to || !keep) {
                        let deep = to.saturating_sub(from);
                        // SAFETY: asserted above; an empty stretch reads nothing.
                        unsafe {
                            let a_at = a.values.as_ptr().wrapping_add(row * a.row + from * a.step);
                            let b_at = b.values.as_ptr().wrapping_add(number * panel + from * step);
                            let c_at = c.as_mut_ptr().add(row * pitch + number * 2 * V::N);
                            let sides = Sides { a_row: a.row, a_step: a.step, b_step: step, deep, pitch, keep };
                            match number + 1 == panels && last == V::N {
                                true => some_rows::<V, 1>(some, a_at, b_at, c_at, sides),
                                false => some_rows::<V, 2>(some, a_at, b_at, c_at, sides),
                            }
                        }
                    }
                    row += some;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Sides {
    a_row: usize,
    a_step: usize,
    b_step: usize,
    deep: usize,
    pitch: usize,
    keep: bool,
}

/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn some_rows<V: Lanes, const A: usize>(rows: usize, a: *const f32, b: *const f32, c: *mut f32, sides: Sides) {
    // SAFETY: the caller's promise.
    unsafe {
        match rows {
            1 => block::<V, 1, A>(a, b, c, sides),
            2 => block::<V, 2, A>(a, b, c, sides),
            3 => block::<V, 3, A>(a, b, c, sides),
            4 => block::<V, 4, A>(a, b, c, sides),
            5 => block::<V, 5, A>(a, b, c, sides),
            6 => block::<V, 6, A>(a, b, c, sides),
            7 => block::<V, 7, A>(a, b, c, sides),
            8 => block::<V, 8, A>(a, b, c, sides),
            9 => block::<V, 9, A>(a, b, c, sides),
            10 => block::<V, 10, A>(a, b, c, sides),
            11 => block::<V, 11, A>(a, b, c, sides),
            _ => block::<V, 12, A>(a, b, c, sides),
        }
    }
}

/// R rows times A registers.
///
/// # Safety
/// `deep` numbers of each row of `a` and rows of `b` must be readable, and all of `c` writable.
#[inline(always)]
unsafe fn block<V: Lanes, const R: usize, const A: usize>(a: *const f32, b: *const f32, c: *mut f32, sides: Sides) {
    if R > V::ROWS {
        unreachable!("blocks have at most the rows of their level");
    }
    // SAFETY: the caller's promise.
    unsafe {
        // A step that is known when the program is compiled leaves more registers for addresses.
        let sums = match sides.a_step == 1 {
            true => sums::<V, R, A>(a, sides.a_row, 1, b, sides.b_step, sides.deep),
            false => sums::<V, R, A>(a, 1, sides.a_step, b, sides.b_step, sides.deep),
        };
        for r in 0..R {
            for across in 0..A {
                let to = c.add(r * sides.pitch + across * V::N);
                let sum = sums[r][across];
                match sides.keep {
                    true => sum.add(V::load_at(to)).store_at(to),
                    false => sum.store_at(to),
                }
            }
        }
    }
}

/// # Safety
/// As for [`block`].
#[inline(always)]
unsafe fn sums<V: Lanes, const R: usize, const A: usize>(
    a: *const f32,
    row: usize,
    step: usize,
    b: *const f32,
    b_step: usize,
    deep: usize,
) -> [[V; A]; R] {
    let mut sums = [[V::splat(0.0); A]; R];
    for k in 0..deep {
        // SAFETY: the caller's promise.
        unsafe {
            let mut right = [V::splat(0.0); A];
            for across in 0..A {
                right[across] = V::load_at(b.add(k * b_step + across * V::N));
            }
            for r in 0..R {
                let left = V::splat(*a.add(r * row + k * step));
                for across in 0..A {
                    sums[r][across] = left.mul_add(right[across], sums[r][across]);
                }
            }
        }
    }
    sums
}
