//! Sums of outer products, `c = a' b`: the gradient of weights, from gradients of outputs and inputs that both lie row by row.
//!
//! As a product of matrices its first operand is read across its rows, which `matmul` turns first. Here a block's rows are numbers side by
//! side in a row of `a`, so they are read where they lie, and only `b` is copied into panels.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::scratch;
use crate::shared::Shared;
use rayon::prelude::*;

/// Rows that lie `stride` numbers apart, of which the first `width` numbers count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    pub values: &'a [f32],
    pub width: usize,
    pub stride: usize,
}

/// Rows whose products are added up before `c` is touched; their numbers stay in the second-level cache meanwhile.
const DEPTH: usize = 256;
/// Rows of `a` that are fetched ahead of their use. They lie apart, so the processor does not foresee them.
const AHEAD: usize = 16;
/// Rows of a block at most, a multiple of which is computed together.
const BLOCK: usize = 12;

/// Most rows of `c` that are computed together: they, what they are made of and a panel fit into the second-level cache.
const SHARE: usize = 22 * BLOCK;

/// `c = a' b` over so many rows of both: `c[i, j]` is the sum over rows `k` of `a[k, i] b[k, j]`. The sum goes along in order, however
/// threads
/// share `c`.
///
/// # Panics
/// When slices are too short.
pub(crate) fn outer_products(level: Level, depth: usize, a: Rows<'_>, b: Rows<'_>, c: &mut [f32]) {
    assert_eq!(c.len(), a.width * b.width, "c has a row for each number of a row of a");
    c.fill(0.0);
    if depth * c.len() == 0 {
        return;
    }
    for rows in [a, b] {
        assert!(rows.values.len() >= (depth - 1) * rows.stride + rows.width, "every row is there");
    }
    let threads = if 2 * (depth * c.len()) as u64 >= SERIAL_FLOPS { rayon::current_num_threads() } else { 1 };
    let share = a.width.div_ceil(threads).next_multiple_of(BLOCK).min(SHARE);
    let c = Shared::new(c);
    let work = |first: usize| {
        let many = share.min(a.width - first);
        // SAFETY: every share has rows of its own.
        let part = unsafe { c.part(first * b.width..(first + many) * b.width) };
        scratch(DEPTH.min(depth) * b.width.next_multiple_of(level.lanes()), |packed| {
            for from in (0..depth).step_by(DEPTH) {
                let depth = DEPTH.min(depth - from);
                stretch(
                    level,
                    depth,
                    &a.values[from * a.stride + first..],
                    a.stride,
                    many,
                    &b.values[from * b.stride..],
                    b.stride,
                    b.width,
                    packed,
                    part,
                );
            }
        });
    };
    match threads {
        1 => (0..a.width).step_by(share).for_each(work),
        _ => (0..a.width.div_ceil(share)).into_par_iter().for_each(|number| work(number * share)),
    }
}

kernel! {
    /// Adds the products of some rows to `c`, which is `rows` by `columns`.
    fn stretch<V>(
        depth: usize, a: &[f32], a_stride: usize, rows: usize, b: &[f32], b_stride: usize, columns: usize, packed: &mut [f32], c: &mut [f32],
    ) {
        assert!(a.len() >= (depth - 1) * a_stride + rows && c.len() >= rows * columns);
        let mut first = 0;
        while first < columns {
            let panel = if columns - first <= V::N { V::N } else { 2 * V::N };
            let wide = panel.min(columns - first);
            let packed = &mut packed[first * depth..][..panel * depth];
            for k in 0..depth {
                let (line, from) = (&mut packed[k * panel..][..panel], &b[k * b_stride + first..][..wide]);
                if wide == 2 * V::N {
                    V::load(from).store(line);
                    V::load(&from[V::N..]).store(&mut line[V::N..]);
                } else {
                    line[..wide].copy_from_slice(from);
                    line[wide..].fill(0.0);
                }
            }
            let mut row = 0;
            while row < rows {
                let many = V::ROWS.min(rows - row);
                let (a, c) = (&a[row..], &mut c[row * columns + first..]);
                match panel == V::N {
                    true => some_rows::<V, 1>(many, depth, a, a_stride, packed, c, columns, wide),
                    false => some_rows::<V, 2>(many, depth, a, a_stride, packed, c, columns, wide),
                }
                row += many;
            }
            first += panel;
        }
    }
}

#[inline(always)]
fn some_rows<V: Lanes, const A: usize>(
    rows: usize,
    depth: usize,
    a: &[f32],
    a_stride: usize,
    panel: &[f32],
    c: &mut [f32],
    stride: usize,
    wide: usize,
) {
    match rows {
        1 => block::<V, 1, A>(depth, a, a_stride, panel, c, stride, wide),
        2 => block::<V, 2, A>(depth, a, a_stride, panel, c, stride, wide),
        3 => block::<V, 3, A>(depth, a, a_stride, panel, c, stride, wide),
        4 => block::<V, 4, A>(depth, a, a_stride, panel, c, stride, wide),
        5 => block::<V, 5, A>(depth, a, a_stride, panel, c, stride, wide),
        6 => block::<V, 6, A>(depth, a, a_stride, panel, c, stride, wide),
        7 => block::<V, 7, A>(depth, a, a_stride, panel, c, stride, wide),
        8 => block::<V, 8, A>(depth, a, a_stride, panel, c, stride, wide),
        9 => block::<V, 9, A>(depth, a, a_stride, panel, c, stride, wide),
        10 => block::<V, 10, A>(depth, a, a_stride, panel, c, stride, wide),
        11 => block::<V, 11, A>(depth, a, a_stride, panel, c, stride, wide),
        _ => block::<V, 12, A>(depth, a, a_stride, panel, c, stride, wide),
    }
}

/// Adds a block, R rows and a panel wide, to `c`, whose rows are `stride` apart and `wide` numbers of the panel long.
#[inline(always)]
fn block<V: Lanes, const R: usize, const A: usize>(
    depth: usize,
    a: &[f32],
    a_stride: usize,
    panel: &[f32],
    c: &mut [f32],
    stride: usize,
    wide: usize,
) {
    if R > V::ROWS {
        unreachable!("blocks have at most the rows of their level");
    }
    assert!(a.len() >= (depth - 1) * a_stride + R && panel.len() >= depth * A * V::N, "operands are as deep");
    let mut sums = [[V::splat(0.0); A]; R];
    for k in 0..depth {
        // SAFETY: asserted above.
        unsafe {
            let mut b = [V::splat(0.0); A];
            for across in 0..A {
                b[across] = V::load_at(panel.as_ptr().add((k * A + across) * V::N));
            }
            let ahead = a.as_ptr().wrapping_add((k + AHEAD) * a_stride);
            V::prefetch(ahead);
            V::prefetch(ahead.wrapping_add(R - 1));
            for r in 0..R {
                let value = V::splat(*a.as_ptr().add(k * a_stride + r));
                for across in 0..A {
                    sums[r][across] = value.mul_add(b[across], sums[r][across]);
                }
            }
        }
    }
    for r in 0..R {
        for across in 0..A {
            let wide = wide.saturating_sub(across * V::N).min(V::N);
            let to = &mut c[r * stride + across * V::N..][..wide];
            match wide == V::N {
                true => sums[r][across].add(V::load(to)).store(to),
                false => sums[r][across].add(V::load_part(to, 0.0)).store_part(to),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mixed = |place: u32| (place.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(0x2c1b_3c6d) ^ seed.rotate_left(7);
        (0..len as u32).map(|place| (mixed(place) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
    }

    fn check(depth: usize, rows: usize, columns: usize) {
        let (a, b) = (noise(depth * (rows + 3), 1), noise(depth * (columns + 1), 2));
        for level in Level::available() {
            let all = |threads: usize| {
                let mut c = vec![f32::NAN; rows * columns];
                let [a, b] = [Rows { values: &a, width: rows, stride: rows + 3 }, Rows { values: &b, width: columns, stride: columns + 1 }];
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| outer_products(level, depth, a, b, &mut c));
                c
            };
            let c = all(1);
            assert!(c == all(2) && c == all(3), "threads change no bit");
            for (place, found) in c.iter().enumerate() {
                let product = |k: usize| f64::from(a[k * (rows + 3) + place / columns]) * f64::from(b[k * (columns + 1) + place % columns]);
                let wanted: f64 = (0..depth).map(product).sum();
                let apart = (f64::from(*found) - wanted).abs();
                assert!(apart <= 2e-6 * (1.0 + depth as f64).sqrt(), "{depth} {rows} {columns} at {level:?}: {found} is not {wanted}");
            }
        }
    }

    #[test]
    fn sums_of_many_sizes_are_right() {
        for [depth, rows, columns] in [[0, 3, 2], [3, 0, 2], [3, 2, 0], [1, 1, 1], [300, 40, 33], [700, 25, 70]] {
            check(depth, rows, columns);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_sum_is_right(depth in 1..40usize, rows in 1..40usize, columns in 1..70usize) {
            check(depth, rows, columns);
        }
    }
}
