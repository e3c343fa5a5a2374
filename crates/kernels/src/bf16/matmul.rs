//! Products of matrices whose numbers are rounded to `bf16` and whose sums are `f32`.

use super::panels::{self, PANEL, PANEL_STEP};
use super::tiles::{STEP, write};
use super::unit::Unit;
use crate::matmul::{Matrix, Start};
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::{keep, scratch};
use crate::shared::Shared;
use crate::team::{each_of, each_part};
use std::ops::Range;

/// Depth that is gone through at once: panels of it stay in the second-level cache.
const DEPTH: usize = 512;
/// Columns of `b` that are rounded at once: 4 MB of them.
const WIDE: usize = 4096;
/// Rows of `a` that are rounded at once: 96 KB.
const TALL: usize = 96;
/// Tiles of a product, if it is large enough.
const TILES: usize = 8;

/// As [`matmul`](crate::matmul::matmul), of numbers rounded to `bf16`.
///
/// # Panics
/// When sizes do not fit.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, c: &mut [f32]) {
    threaded(Unit::current(), a, b, bias.map_or(Start::Zero, Start::Bias), c);
}

/// The same, and what it starts with.
pub(crate) fn threaded(unit: Unit, a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, c: &mut [f32]) {
    let [rows, columns, depth] = [a.rows, b.columns, a.columns];
    assert_eq!(depth, b.rows, "the columns of a are the rows of b");
    assert_eq!(c.len(), rows * columns, "c has the rows of a and the columns of b");
    if c.is_empty() {
        return;
    }
    let mut adds = match start {
        Start::Keep => true,
        Start::Bias(bias) => {
            c.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
            true
        }
        Start::Zero => false,
    };
    if depth == 0 && !adds {
        c.fill(0.0);
    }
    let is_small = ((2 * rows * columns * depth) as u64) < SERIAL_FLOPS;
    let c = Shared::new(c);
    for deep in (0..depth).step_by(DEPTH) {
        let deep = deep..(deep + DEPTH).min(depth);
        for first in (0..columns).step_by(WIDE) {
            let across = first..(first + WIDE).min(columns);
            stretch(unit, a, b, deep.clone(), across, adds, is_small, c);
        }
        adds = true;
    }
}

/// Some columns of `c` for a stretch of the depth.
fn stretch(unit: Unit, a: Matrix<'_>, b: Matrix<'_>, deep: Range<usize>, across: Range<usize>, adds: bool, is_small: bool, c: Shared<'_>) {
    let steps = deep.len().div_ceil(STEP);
    let places = panels::places(steps);
    let mut rounded = keep(across.len().div_ceil(PANEL) * steps * PANEL_STEP / 2);
    let panel = |place: usize, to: &mut [f32]| {
        let first = across.start + place * PANEL;
        // SAFETY: a panel has room for its steps.
        unsafe { panels::columns(unit, b, first..(first + PANEL).min(across.end), deep.clone(), to.as_mut_ptr().cast()) }
    };
    each_part(&mut rounded, steps * PANEL_STEP / 2, !is_small, panel);
    let tall = a.rows.div_ceil(a.rows.div_ceil(TALL)).next_multiple_of(PANEL);
    let shares = (TILES / a.rows.div_ceil(tall)).max(1);
    let wide = across.len().div_ceil(shares).next_multiple_of(PANEL);
    let pieces: Vec<[usize; 2]> =
        (0..a.rows).step_by(tall).flat_map(|row| (0..across.len()).step_by(wide).map(move |column| [row, column])).collect();
    let work = |[row, column]: &[usize; 2]| {
        let rows = *row..(row + tall).min(a.rows);
        scratch(tall * steps * STEP / 2, |own| {
            let own: *mut u16 = own.as_mut_ptr().cast();
            for panel in (0..rows.len()).step_by(PANEL) {
                let rows = rows.start + panel..(rows.start + panel + PANEL).min(rows.end);
                // SAFETY: there is room for all rows of the piece.
                unsafe { panels::rows(unit, a, rows, deep.clone(), own.add(panel * steps * STEP)) };
            }
            unit.enter(|| {
                for first in (*column..(column + wide).min(across.len())).step_by(PANEL) {
                    let panel_of_b: *const u16 = rounded[first * steps * STEP / 2..].as_ptr().cast();
                    let many = (across.len() - first).min(PANEL);
                    for panel in (0..rows.len()).step_by(PANEL) {
                        // SAFETY: panels lie where they were written, and pieces of `c` are each one thread's.
                        unsafe {
                            let tiles = panels::tiles(own.add(panel * steps * STEP), panel_of_b, &places);
                            let [row, column] = [rows.start + panel, across.start + first];
                            let sides = [(rows.end - row).min(PANEL), many];
                            let to = c.rows_at(row * b.columns + column, sides[0], b.columns, sides[1]);
                            write(unit, sides, tiles, adds, to, b.columns);
                        }
                    }
                }
            });
        });
    };
    each_of(&pieces, !is_small, work);
}

/// A matrix rounded into panels once, for several products.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packed<'a> {
    unit: Unit,
    panels: &'a [f32],
    rows: usize,
    columns: usize,
}

impl Packed<'_> {
    /// Rounds `b` and lends the copy.
    pub(crate) fn lend<T>(unit: Unit, b: Matrix<'_>, work: impl FnOnce(Packed<'_>) -> T) -> T {
        let panel = b.rows.div_ceil(STEP) * PANEL_STEP / 2;
        scratch(b.columns.div_ceil(PANEL) * panel, |panels| {
            for (place, first) in (0..b.columns).step_by(PANEL).enumerate() {
                let to = panels[place * panel..][..panel].as_mut_ptr().cast();
                // SAFETY: a panel has room for its steps.
                unsafe { panels::columns(unit, b, first..(first + PANEL).min(b.columns), 0..b.rows, to) };
            }
            work(Packed { unit, panels, rows: b.rows, columns: b.columns })
        })
    }
}

/// `c` = what it starts with + `a b` on the calling thread, rows of `c` `stride` numbers apart.
pub(crate) fn serial_packed(a: Matrix<'_>, b: Packed<'_>, start: Start<'_>, c: &mut [f32], stride: usize) {
    assert_eq!(a.columns, b.rows, "the columns of a are the rows of b");
    if a.rows * b.columns == 0 {
        return;
    }
    assert!(c.len() >= (a.rows - 1) * stride + b.columns && b.columns <= stride, "c has room");
    if let Start::Bias(bias) = start {
        c.chunks_mut(stride).take(a.rows).for_each(|row| row[..b.columns].copy_from_slice(bias));
    }
    let adds = !matches!(start, Start::Zero);
    let steps = b.rows.div_ceil(STEP);
    let places = panels::places(steps);
    scratch(steps * PANEL_STEP / 2, |rounded| {
        for row in (0..a.rows).step_by(PANEL) {
            let rows = row..(row + PANEL).min(a.rows);
            // SAFETY: there is room for a panel of all steps.
            unsafe { panels::rows(b.unit, a, rows.clone(), 0..a.columns, rounded.as_mut_ptr().cast()) };
            b.unit.enter(|| {
                for column in (0..b.columns).step_by(PANEL) {
                    let panel = b.panels[column * steps * STEP / 2..].as_ptr().cast();
                    let tiles = panels::tiles(rounded.as_ptr().cast(), panel, &places);
                    let sides = [rows.len(), (b.columns - column).min(PANEL)];
                    let to = c[row * stride + column..].as_mut_ptr();
                    // SAFETY: panels lie where they were written, and there is room in `c`, as asserted.
                    unsafe { write(b.unit, sides, tiles, adds, to, stride) };
                }
            });
        }
    });
}
