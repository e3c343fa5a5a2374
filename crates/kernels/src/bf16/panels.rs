//! Operands of products, rounded into panels of tiles.

use super::round::{self, Lines};
use super::tiles::{Place, SIDE, STEP, Tiles};
use super::unit::Unit;
use crate::matmul::Matrix;
use std::ops::Range;

/// Rows, or columns, of a panel: two tiles.
pub(crate) const PANEL: usize = 2 * SIDE;
/// Halves of a panel for each step of the depth.
pub(crate) const PANEL_STEP: usize = PANEL * STEP;

/// Which tiles lines become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    No,
    Yes,
}

/// Rounds up to [`PANEL`] rows of `a` into a panel `[steps, rows, 32]`.
///
/// # Safety
/// There must be room for every step, and the unit must be there.
pub(crate) unsafe fn rows(unit: Unit, a: Matrix<'_>, rows: Range<usize>, depth: Range<usize>, to: *mut u16) {
    for (step, first) in depth.clone().step_by(STEP).enumerate() {
        for tile in (0..rows.len()).step_by(SIDE) {
            let row = rows.start + tile;
            let (many, deep) = ((rows.end - row).min(SIDE), (depth.end - first).min(STEP));
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(step * PANEL_STEP + tile * STEP);
                match lines(a, [row, first], [many, deep]) {
                    (lines, Turn::No) => round::rows(unit, lines, to, STEP),
                    (lines, Turn::Yes) => round::turned(unit, lines, to, STEP),
                }
            }
        }
    }
}

/// Rounds up to [`PANEL`] columns of `b` into a panel `[steps, pairs, columns, 2]`.
///
/// # Safety
/// As [`rows`].
pub(crate) unsafe fn columns(unit: Unit, b: Matrix<'_>, columns: Range<usize>, depth: Range<usize>, to: *mut u16) {
    for (step, first) in depth.clone().step_by(STEP).enumerate() {
        for tile in (0..columns.len()).step_by(SIDE) {
            let column = columns.start + tile;
            let (many, deep) = ((columns.end - column).min(SIDE), (depth.end - first).min(STEP));
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(step * PANEL_STEP + 2 * tile);
                match lines(b.transposed(), [column, first], [many, deep]) {
                    (lines, Turn::No) => round::columns(unit, lines, to, 2 * PANEL),
                    (lines, Turn::Yes) => round::pairs(unit, lines, to, 2 * PANEL),
                }
            }
        }
    }
}

/// A part of a matrix as lines, along its columns or, turned, along its rows.
fn lines(a: Matrix<'_>, [row, column]: [usize; 2], [rows, columns]: [usize; 2]) -> (Lines, Turn) {
    let part = a.part(row..row + rows, column..column + columns);
    let from = part.values.as_ptr();
    match part.row_stride == 1 && part.column_stride != 1 {
        true => (Lines { from, stride: part.column_stride, step: 1, rows: columns, columns: rows }, Turn::Yes),
        false => (Lines { from, stride: part.row_stride, step: part.column_stride, rows, columns }, Turn::No),
    }
}

/// Places of the steps of two panels.
pub(crate) fn places(steps: usize) -> Vec<Place> {
    (0..steps).map(|step| Place { a: 2 * step * PANEL_STEP, b: 2 * step * PANEL_STEP }).collect()
}

/// Two panels as operands of a block.
pub(crate) fn tiles<'a>(a: *const u16, b: *const u16, places: &'a [Place]) -> Tiles<'a> {
    Tiles { a, a_stride: 2 * STEP, b, b_stride: 4 * PANEL, places }
}
