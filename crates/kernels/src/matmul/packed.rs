//! Matrices that lie in panels for several products.

use super::{ACROSS, Corner, DEPTH, Matrix, PITCH, Start, over_panels, pack, stretches};
use crate::Level;
use crate::end::End;
use crate::scratch::scratch;
use crate::shared::Shared;

/// A matrix copied into panels once, for several products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a> {
    panels: &'a [f32],
    rows: usize,
    columns: usize,
    level: Level,
    /// Whether panels of the next product lie behind these.
    follows: bool,
}

impl<'a> Packed<'a> {
    /// What lies in panels already, each number where [`Packed::place`] says; behind them lie those of the next product.
    ///
    /// # Panics
    /// When the slice is shorter.
    pub(crate) fn of(level: Level, panels: &'a [f32], rows: usize, columns: usize) -> Packed<'a> {
        assert!(panels.len() >= rows * columns.next_multiple_of(level.lanes()), "every column has its panel");
        Packed { panels, rows, columns, level, follows: true }
    }

    /// Where a register of row `row` lies that begins at a column, for so many rows and columns in all.
    #[inline(always)]
    pub(crate) fn place(lanes: usize, [rows, columns]: [usize; 2], row: usize, column: usize) -> usize {
        let stretch = row / DEPTH * DEPTH;
        let panel = column / (ACROSS * lanes) * (ACROSS * lanes);
        let step = Packed::step(lanes, columns, column);
        stretch * columns.next_multiple_of(lanes) + panel * DEPTH.min(rows - stretch) + (row - stretch) * step + column - panel
    }

    /// How far it lies from that of the next row, within [`DEPTH`] rows.
    #[inline(always)]
    pub(crate) fn step(lanes: usize, columns: usize, column: usize) -> usize {
        let panel = column / (ACROSS * lanes) * (ACROSS * lanes);
        if columns - panel <= lanes { lanes } else { ACROSS * lanes }
    }

    /// Numbers of the panels of a matrix.
    pub(crate) fn len(level: Level, b: &Matrix<'_>) -> usize {
        b.rows * b.columns.next_multiple_of(level.lanes())
    }

    /// Copies `b` into panels.
    pub(crate) fn fill(level: Level, b: Matrix<'_>, panels: &mut [f32]) {
        let width = b.columns.next_multiple_of(level.lanes());
        for depth in stretches(b.rows) {
            pack(level, b.rows(depth.clone()), &mut panels[depth.start * width..depth.end * width]);
        }
    }

    /// Copies `b` and lends the copy.
    pub(crate) fn lend<T>(level: Level, b: Matrix<'_>, work: impl FnOnce(Packed<'_>) -> T) -> T {
        scratch(Packed::len(level, &b), |panels| {
            Packed::fill(level, b, panels);
            work(Packed { follows: false, ..Packed::of(level, panels, b.rows, b.columns) })
        })
    }
}

/// As [`serial`], with a `b` that was copied before, and an end: each row of `c` is a map.
pub(crate) fn serial_packed(a: Matrix<'_>, b: Packed<'_>, start: Start<'_>, c: &mut [f32], stride: usize, end: End<'_>) {
    assert_eq!(a.columns, b.rows, "the columns of a are the rows of b");
    if a.rows * b.columns == 0 {
        return;
    }
    assert!(c.len() >= (a.rows - 1) * stride + b.columns && b.columns <= stride, "c has room");
    end.check(a.rows, c.len());
    let corner = Corner { c: Shared::new(c), first: 0, stride, map: 0, end };
    let width = b.columns.next_multiple_of(b.level.lanes());
    scratch(PITCH * DEPTH.min(b.rows), |turned| {
        for depth in stretches(b.rows) {
            let panels = &b.panels[depth.start * width..depth.end * width];
            let start = start.at(depth.start == 0, 0..b.columns);
            let corner = corner.at(depth.end == b.rows);
            over_panels(b.level, a.part(0..a.rows, depth), turned, panels, b.columns, start, corner, b.follows);
        }
    });
}
