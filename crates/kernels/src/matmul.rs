//! Products of matrices, `c = a b`, in the manner of GotoBLAS (Goto, van de Geijn: "Anatomy of high-performance matrix multiplication", ACM
//! TOMS 34, 2008): a tile of `b` is copied into panels two registers wide, and six rows of `a` at a time go over them.
//!
//! `a` is read where it lies when its rows lie in order; few rows of it against a transposed `b` are inner products, and nothing is copied.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::scratch;
use crate::shared::Shared;
use rayon::prelude::*;
use std::ops::Range;

/// A matrix somewhere in a slice: element (i, j) is `values[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
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

    /// The same numbers with rows and columns exchanged.
    pub fn transposed(self) -> Matrix<'a> {
        let Matrix { values, rows, columns, row_stride, column_stride } = self;
        Matrix { values, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }
}

/// Rows that a block computes at once.
const ROWS: usize = 6;
/// Registers across that a block computes at once; see `conv2d`.
const ACROSS: usize = 2;
/// The depth of a tile: a panel of `b` is 16 KB then, half a first-level cache.
const DEPTH: usize = 256;
/// Columns of a tile: it is 256 KB deep down, half a second-level cache.
const TILE: usize = 256;
/// Rows that share a copied tile.
const SHARE: usize = 192;
/// With so few rows, a transposed `b` is not worth a copy.
const FEW: usize = 4;

/// `c = a b + bias`, `c` row by row; `bias` has one number for each column of `c`. Sums go along the depth in order, so the result is the same
/// for any number of threads.
///
/// # Panics
/// When sizes do not fit.
pub fn matmul(a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, c: &mut [f32]) {
    assert_eq!(a.columns, b.rows, "the columns of a are the rows of b");
    assert_eq!(c.len(), a.rows * b.columns, "c has the rows of a and the columns of b");
    assert!(bias.is_none_or(|bias| bias.len() == b.columns), "one bias a column");
    let level = Level::current();
    let (rows, columns, depth) = (a.rows, b.columns, a.columns);
    let c = Shared::new(c);
    let in_order = |matrix: &Matrix<'_>| matrix.column_stride == 1 || matrix.columns == 1;
    let by_inner = rows <= FEW && in_order(&a) && b.row_stride == 1 && columns > 1;
    let tall = if by_inner { FEW } else { SHARE };
    let wide = columns.div_ceil(4).next_multiple_of(32).clamp(32, TILE);
    let tiles: Vec<(Range<usize>, Range<usize>)> = (0..rows)
        .step_by(tall)
        .flat_map(|row| (0..columns).step_by(wide).map(move |column| (row..(row + tall).min(rows), column..(column + wide).min(columns))))
        .collect();
    let work = |(rows, columns): &(Range<usize>, Range<usize>)| match by_inner {
        true => inner(level, a, b, bias, rows.clone(), columns.clone(), c),
        false => tile(level, a, b, bias, rows.clone(), columns.clone(), c),
    };
    match 2 * (rows * columns * depth) as u64 >= SERIAL_FLOPS {
        true => tiles.par_iter().for_each(work),
        false => tiles.iter().for_each(work),
    }
}

/// A tile of `c`: panels of `b`, then rows of `a` over them, for each stretch of the depth.
fn tile(level: Level, a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, rows: Range<usize>, columns: Range<usize>, c: Shared<'_>) {
    let width = b.columns;
    for row in rows.clone() {
        // SAFETY: tiles do not overlap, and each is one thread's.
        let line = unsafe { c.part(row * width + columns.start..row * width + columns.end) };
        match bias {
            Some(bias) => line.copy_from_slice(&bias[columns.clone()]),
            None => line.fill(0.0),
        }
    }
    let panel = ACROSS * level.lanes();
    let panels = columns.len().div_ceil(panel);
    let deep = DEPTH.min(a.columns);
    scratch(panels * panel * deep, |packed| {
        scratch(ROWS * deep, |turned| {
            for first in (0..a.columns).step_by(DEPTH) {
                let depth = first..(first + DEPTH).min(a.columns);
                pack(b, depth.clone(), columns.clone(), panel, packed);
                for row in rows.clone().step_by(ROWS) {
                    let some = row..(row + ROWS).min(rows.end);
                    over_panels(level, a, some, depth.clone(), turned, packed, columns.clone(), width, c);
                }
            }
        });
    });
}

/// Copies a tile of `b` into panels `[panels, depth, panel]`, zeros behind the last column.
fn pack(b: Matrix<'_>, depth: Range<usize>, columns: Range<usize>, panel: usize, packed: &mut [f32]) {
    for (number, first) in columns.clone().step_by(panel).enumerate() {
        let to = &mut packed[number * panel * depth.len()..][..panel * depth.len()];
        let wide = panel.min(columns.end - first);
        if b.column_stride == 1 {
            for (line, row) in to.chunks_exact_mut(panel).zip(depth.clone()) {
                line[..wide].copy_from_slice(&b.values[row * b.row_stride + first..][..wide]);
                line[wide..].fill(0.0);
            }
            continue;
        }
        for (line, row) in to.chunks_exact_mut(panel).zip(depth.clone()) {
            let from = b.values[row * b.row_stride + first * b.column_stride..].iter().step_by(b.column_stride);
            line[..wide].iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            line[wide..].fill(0.0);
        }
    }
}

kernel! {
    /// Adds some rows of `a` times all panels to `c`.
    fn over_panels<V>(
        a: Matrix<'_>, rows: Range<usize>, depth: Range<usize>, turned: &mut [f32], packed: &[f32], columns: Range<usize>, width: usize, c: Shared<'_>
    ) {
        let lines = Lines::of(a, rows.clone(), depth.clone(), turned);
        let panel = ACROSS * V::N;
        assert!(packed.len() >= columns.len().div_ceil(panel) * panel * depth.len(), "every column has its panel");
        for (number, first) in columns.clone().step_by(panel).enumerate() {
            let packed = &packed[number * panel * depth.len()..][..panel * depth.len()];
            let wide = panel.min(columns.end - first);
            // SAFETY: the tile is this thread's alone.
            let part = unsafe { c.part(rows.start * width + first..(rows.end - 1) * width + first + wide) };
            match rows.len() {
                1 => block::<V, 1>(lines, packed, part, width, wide),
                2 => block::<V, 2>(lines, packed, part, width, wide),
                3 => block::<V, 3>(lines, packed, part, width, wide),
                4 => block::<V, 4>(lines, packed, part, width, wide),
                5 => block::<V, 5>(lines, packed, part, width, wide),
                _ => block::<V, 6>(lines, packed, part, width, wide),
            }
        }
    }
}

/// Rows of `a`: number `r` at depth `k` is `values[r * row + k * step]`.
#[derive(Clone, Copy)]
struct Lines<'a> {
    values: &'a [f32],
    row: usize,
    step: usize,
    depth: usize,
}

impl<'a> Lines<'a> {
    /// Where they lie, or a copy in order when a step along the depth is a long one.
    #[inline(always)]
    fn of(a: Matrix<'a>, rows: Range<usize>, depth: Range<usize>, turned: &'a mut [f32]) -> Lines<'a> {
        if a.column_stride == 1 {
            let values = &a.values[rows.start * a.row_stride + depth.start..];
            return Lines { values, row: a.row_stride, step: 1, depth: depth.len() };
        }
        for (k, line) in depth.clone().zip(turned.chunks_exact_mut(ROWS)) {
            let from = &a.values[rows.start * a.row_stride + k * a.column_stride..];
            match a.row_stride {
                1 => line[..rows.len()].copy_from_slice(&from[..rows.len()]),
                stride => line[..rows.len()].iter_mut().zip(from.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
            }
        }
        Lines { values: turned, row: 1, step: ROWS, depth: depth.len() }
    }
}

/// R rows times a panel, added to `c`, whose rows are `width` apart and `wide` numbers of the panel long.
#[inline(always)]
fn block<V: Lanes, const R: usize>(lines: Lines<'_>, panel: &[f32], c: &mut [f32], width: usize, wide: usize) {
    let Lines { values, row, step, depth } = lines;
    assert!(depth == 0 || values.len() > (R - 1) * row + (depth - 1) * step, "rows are as long as the depth");
    assert!(panel.len() >= depth * ACROSS * V::N, "the panel is as deep");
    let mut sums = [[V::splat(0.0); ACROSS]; R];
    for k in 0..depth {
        // SAFETY: asserted above.
        unsafe {
            let mut b = [V::splat(0.0); ACROSS];
            for across in 0..ACROSS {
                b[across] = V::load_at(panel.as_ptr().add((k * ACROSS + across) * V::N));
            }
            for r in 0..R {
                let a = V::splat(*values.get_unchecked(r * row + k * step));
                for across in 0..ACROSS {
                    sums[r][across] = a.mul_add(b[across], sums[r][across]);
                }
            }
        }
    }
    for (r, sums) in sums.into_iter().enumerate() {
        let line = &mut c[r * width..][..wide];
        for (part, sum) in line.chunks_mut(V::N).zip(sums) {
            match part.len() == V::N {
                true => sum.add(V::load(part)).store(part),
                false => sum.add(V::load_part(part, 0.0)).store_part(part),
            }
        }
    }
}

/// A tile of `c` by inner products of rows of `a` and columns of `b`, both in order.
fn inner(level: Level, a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, rows: Range<usize>, columns: Range<usize>, c: Shared<'_>) {
    let depth = a.columns;
    for row in rows {
        let left = &a.values[row * a.row_stride..][..depth];
        // SAFETY: tiles do not overlap, and each is one thread's.
        let line = unsafe { c.part(row * b.columns + columns.start..row * b.columns + columns.end) };
        dots(level, left, b, columns.start, line);
        if let Some(bias) = bias {
            line.iter_mut().zip(&bias[columns.clone()]).for_each(|(value, bias)| *value += bias);
        }
    }
}

/// Columns whose inner products are computed together.
const TOGETHER: usize = 4;

kernel! {
    /// Inner products of a row with columns of `b` from `first` on.
    fn dots<V>(left: &[f32], b: Matrix<'_>, first: usize, to: &mut [f32]) {
        let column = |number: usize| &b.values[(first + number) * b.column_stride..][..left.len()];
        let whole = left.len() / V::N * V::N;
        for (group, to) in to.chunks_mut(TOGETHER).enumerate() {
            let columns: [&[f32]; TOGETHER] = std::array::from_fn(|i| column(group * TOGETHER + i.min(to.len() - 1)));
            let mut sums = [V::splat(0.0); TOGETHER];
            for k in (0..whole).step_by(V::N) {
                let value = V::load(&left[k..]);
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = value.mul_add(V::load(&column[k..]), *sum);
                }
            }
            let rest = V::load_part(&left[whole..], 0.0);
            for ((to, sum), column) in to.iter_mut().zip(sums).zip(columns) {
                *to = rest.mul_add(V::load_part(&column[whole..], 0.0), sum).sum();
            }
        }
    }
}

/// Sums of the columns of a matrix that lies row by row: the gradient of a bias.
///
/// # Panics
/// When the matrix is not whole rows.
pub fn column_sums(values: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    if sums.is_empty() {
        return;
    }
    assert!(values.len().is_multiple_of(sums.len()), "a matrix is whole rows");
    for row in values.chunks_exact(sums.len()) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with;
    use proptest::prelude::*;

    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mixed = |place: u32| (place.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(0x2c1b_3c6d) ^ seed.rotate_left(7);
        (0..len as u32).map(|place| (mixed(place) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

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
