//! Long slices in pieces for several threads. A piece's borders depend on the length alone.

use crate::team::each_part;
use std::ops::Range;

/// Numbers of a piece: 64 KB, some tens of microseconds of work.
pub(crate) const PIECE: usize = 1 << 14;

/// Work below this many multiplications and additions, less than ten microseconds, is not worth a second thread.
pub(crate) const SERIAL_FLOPS: u64 = 1_000_000;

/// So many from one end to the next, the last perhaps fewer.
pub(crate) fn ranges(count: usize, each: usize) -> Vec<Range<usize>> {
    (0..count).step_by(each).map(|first| first..(first + each).min(count)).collect()
}

/// Calls `work` with pieces of `to` and with where each begins.
pub(crate) fn in_pieces(to: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    let pays = to.len() > 2 * PIECE;
    each_part(to, PIECE, pays, |number, piece| work(number * PIECE, piece));
}
