//! Products by inner products: few rows against a transposed matrix, both read once, where they lie.

use super::{Corner, Matrix, Start};
use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;

/// With so few rows, a transposed `b` is not worth a copy.
pub(crate) const FEW: usize = 4;

/// A tile of `c` by inner products of rows of `a` and columns of `b`, both in order.
pub(super) fn inner(level: Level, a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, corner: Corner<'_>) {
    dots(level, a, b, corner);
    if let Start::Bias(bias) = start {
        for row in 0..a.rows {
            let first = corner.first + row * corner.stride;
            // SAFETY: tiles do not overlap, and each is one thread's.
            let line = unsafe { corner.c.part(first..first + b.columns) };
            line.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
    }
}

/// Columns whose inner products are computed together.
const TOGETHER: usize = 4;

kernel! {
    /// Inner products of at most [`FEW`] rows with all columns of `b`.
    fn dots<V>(a: Matrix<'_>, b: Matrix<'_>, corner: Corner<'_>) {
        match a.rows {
            0 => {}
            1 => some_dots::<V, 1>(a, b, corner),
            2 => some_dots::<V, 2>(a, b, corner),
            3 => some_dots::<V, 3>(a, b, corner),
            _ => some_dots::<V, 4>(a, b, corner),
        }
    }
}

/// The same for R rows: with AVX2, sums of four fill its 16 registers but for operands, of which some wait in memory then.
#[inline(always)]
fn some_dots<V: Lanes, const R: usize>(a: Matrix<'_>, b: Matrix<'_>, corner: Corner<'_>) {
    let depth = a.columns;
    let whole = depth / V::N * V::N;
    let mut rows = [&a.values[..0]; R];
    for r in 0..R {
        rows[r] = &a.values[r * a.row_stride..][..depth];
    }
    // SAFETY: tiles do not overlap, and each is one thread's.
    let to = unsafe { corner.c.rows_at(corner.first, R, corner.stride, b.columns) };
    for group in (0..b.columns).step_by(TOGETHER) {
        let mut columns = [&b.values[..0]; TOGETHER];
        for i in 0..TOGETHER {
            columns[i] = &b.values[(group + i).min(b.columns - 1) * b.column_stride..][..depth];
        }
        let mut sums = [[V::splat(0.0); TOGETHER]; R];
        for k in (0..depth).step_by(V::N) {
            let is_whole = k < whole;
            let mut values = [V::splat(0.0); TOGETHER];
            for i in 0..TOGETHER {
                values[i] = if is_whole { V::load(&columns[i][k..]) } else { V::load_part(&columns[i][whole..], 0.0) };
            }
            for r in 0..R {
                let row = if is_whole { V::load(&rows[r][k..]) } else { V::load_part(&rows[r][whole..], 0.0) };
                for i in 0..TOGETHER {
                    sums[r][i] = row.mul_add(values[i], sums[r][i]);
                }
            }
        }
        for r in 0..R {
            for i in 0..TOGETHER.min(b.columns - group) {
                // SAFETY: `rows_at` asserted the room.
                unsafe { *to.add(r * corner.stride + group + i) = sums[r][i].sum() };
            }
        }
    }
}
