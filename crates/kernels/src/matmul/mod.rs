//! Products of matrices, `c = a b`, in the manner of GotoBLAS (Goto, van de Geijn: "Anatomy of high-performance matrix multiplication", ACM
//! TOMS 34, 2008): a tile of `b` is copied into panels two registers wide, and some rows of `a` at a time go over them.
//!
//! `a` is read where it lies when its rows lie in order; few rows of it against a transposed `b` are inner products, and nothing is copied.

mod block;
mod inner;
mod packed;

use crate::Level;
use crate::end::End;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::{PIECE, SERIAL_FLOPS, ranges};
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::{each_of, each_part};
use block::{PITCH, over_panels};
pub(crate) use inner::FEW;
use inner::inner;
pub(crate) use packed::{Packed, serial_packed};
use std::ops::Range;

/// A matrix somewhere in a slice: element (i, j) is `values[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix that lies row by row.
    ///
    /// # Panics
    /// When the slice is not as long.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Matrix<'a> {
        assert_eq!(values.len(), rows * columns, "a matrix has rows times columns numbers");
        Matrix { values, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// A matrix whose rows and columns lie so many numbers apart.
    ///
    /// # Panics
    /// When it reaches beyond the slice.
    pub fn strided(values: &'a [f32], [rows, columns]: [usize; 2], [row_stride, column_stride]: [usize; 2]) -> Matrix<'a> {
        let reach = rows.saturating_sub(1) * row_stride + columns.saturating_sub(1) * column_stride;
        assert!(rows * columns == 0 || reach < values.len(), "a matrix reaches to {reach} of {}", values.len());
        Matrix { values, rows, columns, row_stride, column_stride }
    }

    /// The same numbers with rows and columns exchanged.
    pub fn transposed(self) -> Matrix<'a> {
        let Matrix { values, rows, columns, row_stride, column_stride } = self;
        Matrix { values, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    /// Some of the rows.
    pub(crate) fn rows(self, rows: Range<usize>) -> Matrix<'a> {
        self.part(rows, 0..self.columns)
    }

    /// Some of the rows and columns.
    pub(crate) fn part(self, rows: Range<usize>, columns: Range<usize>) -> Matrix<'a> {
        assert!(rows.end <= self.rows && columns.end <= self.columns, "parts lie inside");
        let first = rows.start * self.row_stride + columns.start * self.column_stride;
        Matrix { values: &self.values[first.min(self.values.len())..], rows: rows.len(), columns: columns.len(), ..self }
    }
}

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// Nothing.
    Zero,
    /// What is there.
    Keep,
    /// A number for each column.
    Bias(&'a [f32]),
}

impl<'a> Start<'a> {
    /// The same for a stretch of the depth and some columns.
    fn at(self, is_first: bool, columns: Range<usize>) -> Start<'a> {
        match self {
            _ if !is_first => Start::Keep,
            Start::Bias(bias) => Start::Bias(&bias[columns]),
            start => start,
        }
    }
}

/// Registers across that a block computes at once.
const ACROSS: usize = 2;
/// The depth of a tile: a panel of `b` is 16 KB then with AVX2, 32 KB with AVX-512, and stays in the first-level cache.
pub(crate) const DEPTH: usize = 256;
/// Columns of a tile: it is 256 KB deep down, half a second-level cache.
const TILE: usize = 256;
/// Rows in which blocks of 6 and of 12 end.
const BLOCKS: usize = 12;
/// Columns at most of a `b`, of no more than two [`PIECE`]s, that is copied once for all threads.
const SLIM: usize = 64;
/// Tiles of a product, if it is large enough: enough for some threads, and no more, for each copies its operands anew.
const TILES: usize = 8;

/// `c = a b + bias`, `c` row by row; `bias` has one number for each column of `c`. Sums go along the depth in order, so the result is the same
/// for any number of threads.
///
/// # Panics
/// When sizes do not fit.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, c: &mut [f32]) {
    threaded(Level::current(), a, b, bias.map_or(Start::Zero, Start::Bias), c);
}

/// The same, and what it starts with.
pub(crate) fn threaded(level: Level, a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, c: &mut [f32]) {
    assert_eq!(c.len(), a.rows * b.columns, "c has the rows of a and the columns of b");
    let start = check(&a, &b, start);
    let (rows, columns, depth) = (a.rows, b.columns, a.columns);
    let c = Shared::new(c);
    let by_inner = depth > 0
        && !matches!(start, Start::Keep)
        && rows <= FEW
        && (a.column_stride == 1 || depth == 1)
        && b.row_stride == 1
        && columns > 1;
    let pays = 2 * (rows * columns * depth) as u64 >= SERIAL_FLOPS;
    if !by_inner && pays && columns <= SLIM && columns * depth <= 2 * PIECE {
        return Packed::lend(level, b, |b| {
            each_of(&ranges(rows, rows.div_ceil(TILES).next_multiple_of(BLOCKS)), true, |rows| {
                // SAFETY: no two threads have the same rows.
                let c = unsafe { c.part(rows.start * columns..rows.end * columns) };
                serial_packed(a.rows(rows.clone()), b, start, c, columns, End::NOTHING);
            });
        });
    }
    let [tall, wide] =
        if by_inner { [FEW, columns.div_ceil(TILES).next_multiple_of(32)] } else { cut(&a, columns, if pays { TILES } else { 1 }) };
    let tiles: Vec<(Range<usize>, Range<usize>)> = (0..rows)
        .step_by(tall)
        .flat_map(|row| (0..columns).step_by(wide).map(move |column| (row..(row + tall).min(rows), column..(column + wide).min(columns))))
        .collect();
    let work = |(rows, across): &(Range<usize>, Range<usize>)| {
        let (a, b, start) = (a.rows(rows.clone()), b.part(0..depth, across.clone()), start.at(true, across.clone()));
        let corner = Corner { c, first: rows.start * columns + across.start, stride: columns, map: 0, end: End::NOTHING };
        match by_inner {
            true => inner(level, a, b, start, corner),
            false => tile(level, a, b, start, corner),
        }
    };
    // Inner products are as fast as weights come, and take a few times as long for as many operations.
    each_of(&tiles, pays || by_inner && 8 * (rows * columns * depth) as u64 >= SERIAL_FLOPS, work);
}

/// Rows and columns of tiles, of which there are about so many: where the fewest numbers are copied. Each tile copies its part of `b`, and turns its
/// part of `a` when rows do not lie in order; reading them costs a quarter of that.
pub(crate) fn cut(a: &Matrix<'_>, columns: usize, tiles: usize) -> [usize; 2] {
    let (rows, depth) = (a.rows.max(1), a.columns);
    let sides = |across: usize| {
        let tall = rows.div_ceil((tiles / across).max(1)).next_multiple_of(BLOCKS);
        [tall, columns.div_ceil(across).next_multiple_of(32).clamp(32, TILE)]
    };
    let cost = |[tall, wide]: [usize; 2]| {
        let read = if a.column_stride == 1 { 1 } else { 4 };
        4 * depth * columns * rows.div_ceil(tall) + read * rows * depth * columns.div_ceil(wide)
    };
    // A tile is 32 columns wide at least, and so many are to be had.
    let ways = (0..=tiles.ilog2()).map(|power| 1 << power).filter(|across| 32 * (across - 1) < columns.max(1));
    ways.map(sides).min_by_key(|sides| cost(*sides)).expect("there is at least one way")
}

fn check<'a>(a: &Matrix<'_>, b: &Matrix<'_>, start: Start<'a>) -> Start<'a> {
    assert_eq!(a.columns, b.rows, "the columns of a are the rows of b");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), b.columns, "one bias a column");
    }
    start
}

/// `c = a b` and what it starts with, on the calling thread. Rows of `c` lie `stride` numbers apart.
///
/// # Panics
/// When sizes do not fit.
pub(crate) fn serial(level: Level, a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, c: &mut [f32], stride: usize) {
    let start = check(&a, &b, start);
    if a.rows * b.columns == 0 {
        return;
    }
    assert!(c.len() >= (a.rows - 1) * stride + b.columns && b.columns <= stride, "c has room");
    let c = Shared::new(c);
    for column in (0..b.columns).step_by(TILE) {
        let columns = column..(column + TILE).min(b.columns);
        let corner = Corner { c, first: column, stride, map: 0, end: End::NOTHING };
        tile(level, a, b.part(0..b.rows, columns.clone()), start.at(true, columns), corner);
    }
}

/// Stretches of a depth that are gone through at once; a single empty one when there is none.
fn stretches(depth: usize) -> impl Iterator<Item = Range<usize>> {
    (0..depth.max(1)).step_by(DEPTH).map(move |first| first..(first + DEPTH).min(depth))
}

/// Where a tile of `c` lies, of which no other thread writes a number.
#[derive(Clone, Copy)]
pub(crate) struct Corner<'a> {
    pub c: Shared<'a>,
    pub first: usize,
    pub stride: usize,
    /// The number of its first row among the maps that `end` knows.
    pub map: usize,
    pub end: End<'a>,
}

impl Corner<'_> {
    /// The same in the middle of the depth, where nothing has ended yet.
    fn at(self, is_last: bool) -> Self {
        if is_last { self } else { Corner { end: End::NOTHING, ..self } }
    }
}

/// A tile of `c`: panels of `b`, then rows of `a` over them, for each stretch of the depth.
pub(crate) fn tile(level: Level, a: Matrix<'_>, b: Matrix<'_>, start: Start<'_>, corner: Corner<'_>) {
    let deep = DEPTH.min(a.columns);
    scratch(deep * b.columns.next_multiple_of(level.lanes()), |packed| {
        scratch(PITCH * deep, |turned| {
            for depth in stretches(a.columns) {
                pack(level, b.rows(depth.clone()), packed);
                let (start, corner) = (start.at(depth.start == 0, 0..b.columns), corner.at(depth.end == a.columns));
                over_panels(level, a.part(0..a.rows, depth), turned, packed, b.columns, start, corner, false);
            }
        });
    });
}

kernel! {
    /// Copies `b` into panels `[panels, depth, panel]`, two registers wide, the last one a single register when that is enough, zeros behind the
    /// last column.
    fn pack<V>(b: Matrix<'_>, packed: &mut [f32]) {
        let deep = b.rows;
        assert!(packed.len() >= deep * b.columns.next_multiple_of(V::N), "there is room for all panels");
        let mut first = 0;
        if b.column_stride == 1 {
            // Whole rows, one after another: what is read lies in order.
            let width = ACROSS * V::N;
            first = b.columns / width * width;
            for k in 0..deep {
                let from = b.values[k * b.row_stride..][..first].as_ptr();
                for panel in (0..first).step_by(width) {
                    for half in (0..width).step_by(V::N) {
                        // SAFETY: whole panels lie in the row, and there is room for all of them, as asserted.
                        unsafe { V::load_at(from.add(panel + half)).store_at(packed.as_mut_ptr().add(panel * deep + k * width + half)) };
                    }
                }
            }
        }
        while first < b.columns {
            let panel = panel_width::<V>(b.columns - first);
            let wide = panel.min(b.columns - first);
            let to = &mut packed[first * deep..][..panel * deep];
            let mut done = 0;
            while b.row_stride == 1 && wide == panel && done + V::N <= deep {
                for half in (0..panel).step_by(V::N) {
                    let from = &b.values[(first + half) * b.column_stride + done..];
                    let to = &mut to[done * panel + half..];
                    assert!(from.len() > (V::N - 1) * b.column_stride + V::N - 1, "whole blocks lie inside");
                    assert!(to.len() > (V::N - 1) * panel + V::N - 1, "whole blocks lie inside");
                    // SAFETY: asserted above.
                    unsafe { V::transpose(from.as_ptr(), b.column_stride, to.as_mut_ptr(), panel) };
                }
                done += V::N;
            }
            for k in done..deep {
                let line = &mut to[k * panel..][..panel];
                let from = &b.values[k * b.row_stride + first * b.column_stride..];
                if b.column_stride == 1 {
                    for half in (0..panel).step_by(V::N) {
                        V::load_part(&from[half.min(wide)..wide.min(half + V::N)], 0.0).store(&mut line[half..]);
                    }
                    continue;
                }
                for column in 0..wide {
                    line[column] = from[column * b.column_stride];
                }
                line[wide..].fill(0.0);
            }
            first += panel;
        }
    }
}

/// Numbers across of the panel for the next of so many columns.
#[inline(always)]
fn panel_width<V: Lanes>(columns: usize) -> usize {
    if columns <= V::N { V::N } else { ACROSS * V::N }
}

/// Sums of the columns of a matrix that lies row by row: the gradient of a bias.
///
/// # Panics
/// When the matrix is not whole rows.
pub fn column_sums(values: &[f32], sums: &mut [f32]) {
    if sums.is_empty() {
        return;
    }
    assert!(values.len().is_multiple_of(sums.len()), "a matrix is whole rows");
    let (level, columns) = (Level::current(), sums.len());
    each_part(sums, STRIP, values.len() as u64 >= SERIAL_FLOPS, |strip, sums| {
        add_rows(level, &values[(strip * STRIP).min(values.len())..], columns, sums);
    });
}

/// Columns that are summed at once: four registers at most, and whole lines of the cache.
const STRIP: usize = 32;

kernel! {
    /// Adds the first numbers of all rows, `stride` apart, to `sums`.
    fn add_rows<V>(values: &[f32], stride: usize, sums: &mut [f32]) {
        let mut first = 0;
        while first < sums.len() {
            let to = &mut sums[first..];
            let many = to.len().min(V::N);
            let mut sum = V::splat(0.0);
            let mut place = first;
            while place + many <= values.len() {
                // SAFETY: they lie inside.
                sum = sum.add(unsafe { V::load_some(values.as_ptr().add(place), many) });
                place += stride;
            }
            sum.store_part(&mut to[..many]);
            first += V::N;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use crate::with;
    use proptest::prelude::*;

    /// Holds a product at every level, with each operand as it is and transposed, against the sums of `f64`.
    fn check([rows, columns, depth]: [usize; 3]) {
        let (a, b, bias) = (noise(rows * depth, 1), noise(depth * columns, 2), noise(columns, 3));
        for (turn_a, turn_b) in [(false, false), (false, true), (true, false), (true, true)] {
            let a = if turn_a { Matrix::new(&a, depth, rows).transposed() } else { Matrix::new(&a, rows, depth) };
            let b = if turn_b { Matrix::new(&b, columns, depth).transposed() } else { Matrix::new(&b, depth, columns) };
            for level in Level::available() {
                let mut c = vec![f32::NAN; rows * columns];
                with(level, || matmul(a, b, Some(&bias), &mut c));
                for (place, found) in c.iter().enumerate() {
                    let (row, column) = (place / columns, place % columns);
                    let at = |m: &Matrix<'_>, i: usize, j: usize| f64::from(m.values[i * m.row_stride + j * m.column_stride]);
                    let product = |k: usize| at(&a, row, k) * at(&b, k, column);
                    let wanted = f64::from(bias[column]) + (0..depth).map(product).sum::<f64>();
                    // Sums of n products lose about sqrt(n) of the last place.
                    let allowed = 1e-6 * (1.0 + depth as f64).sqrt() + 1e-6 * wanted.abs();
                    let apart = (f64::from(*found) - wanted).abs();
                    assert!(apart <= allowed, "{rows}x{columns}x{depth} at {level:?}, {row} {column}: {found} is not {wanted}");
                }
            }
        }
    }

    #[test]
    fn products_of_many_sizes_are_right() {
        for sizes in [[0, 3, 2], [3, 0, 2], [3, 2, 0], [1, 1, 1], [1, 300, 517], [4, 33, 40], [200, 10, 84], [6, 16, 256], [13, 31, 257]] {
            check(sizes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_product_is_right(rows in 1..40usize, columns in 1..70usize, depth in 1..80usize) {
            check([rows, columns, depth]);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let (a, b) = (noise(300 * 600, 1), noise(600 * 500, 2));
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut c = vec![0.0; 300 * 500];
            pool.install(|| matmul(Matrix::new(&a, 300, 600), Matrix::new(&b, 600, 500), None, &mut c));
            c
        };
        assert_eq!(all(1), all(2));
    }
}
