//! Every unit against sums of `f64` over numbers that were rounded by hand.

use super::matmul::threaded;
use super::round::half;
use super::unit::Unit;
use super::{conv2d, weight_gradient};
use crate::conv2d::tests::{apart, products, square};
use crate::conv2d::{Shape, met};
use crate::matmul::{Matrix, Start};
use crate::testing::noise;
use proptest::prelude::*;

fn rounded(value: f32) -> f64 {
    f64::from(f32::from_bits(u32::from(half(value)) << 16))
}

fn check([rows, columns, depth]: [usize; 3]) {
    let (a, b, bias) = (noise(rows * depth, 1), noise(depth * columns, 2), noise(columns, 3));
    for (turn_a, turn_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let a = if turn_a { Matrix::new(&a, depth, rows).transposed() } else { Matrix::new(&a, rows, depth) };
        let b = if turn_b { Matrix::new(&b, columns, depth).transposed() } else { Matrix::new(&b, depth, columns) };
        for unit in Unit::available() {
            let mut c = vec![f32::NAN; rows * columns];
            threaded(*unit, a, b, Start::Bias(&bias), &mut c);
            let mut twice = c.clone();
            threaded(*unit, a, b, Start::Keep, &mut twice);
            for (place, found) in c.iter().enumerate() {
                let (row, column) = (place / columns, place % columns);
                let at = |m: &Matrix<'_>, i: usize, j: usize| rounded(m.values[i * m.row_stride + j * m.column_stride]);
                let product: f64 = (0..depth).map(|k| at(&a, row, k) * at(&b, k, column)).sum();
                let wanted = f64::from(bias[column]) + product;
                let allowed = 2e-6 * (1.0 + depth as f64).sqrt() + 2e-6 * wanted.abs();
                let apart = (f64::from(*found) - wanted).abs();
                assert!(apart <= allowed, "{rows}x{columns}x{depth} by {unit:?}, {row} {column}: {found} is not {wanted}");
                let apart = (f64::from(twice[place]) - wanted - product).abs();
                assert!(apart <= 2.0 * allowed, "{rows}x{columns}x{depth} by {unit:?}, {row} {column}: added wrongly");
            }
        }
    }
}

#[test]
fn products_of_many_sizes_are_right() {
    for sizes in [[0, 3, 2], [3, 0, 2], [3, 2, 0], [1, 1, 1], [1, 300, 517], [4, 33, 40], [200, 10, 84], [32, 32, 32], [13, 31, 1057]] {
        check(sizes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_product_is_right(rows in 1..70usize, columns in 1..70usize, depth in 1..100usize) {
        check([rows, columns, depth]);
    }
}

#[test]
fn numbers_are_rounded_to_the_nearest() {
    for (value, wanted) in
        [(1.0f32, 0x3f80), (1.0 + 1.0 / 256.0, 0x3f80), (1.0 + 3.0 / 256.0, 0x3f82), (-1.005, 0xbf81), (1e-45, 0), (f32::MAX, 0x7f80)]
    {
        assert_eq!(half(value), wanted, "{value}");
    }
    assert!(f32::from_bits(u32::from(half(f32::NAN)) << 16).is_nan());
}

/// Holds all passes by every unit against the sums of `f64`.
fn check_convolution(shape: Shape) {
    let [x, w, y] = shape.lens();
    let (x, w, dy, bias) = (noise(x, 1), noise(w, 2), noise(y, 3), noise(shape.filters, 4));
    let mut wanted = [vec![0.0; y], vec![0.0; x.len()], vec![0.0; w.len()]];
    products(&shape, |i, j, o| {
        wanted[0][o] += rounded(x[i]) * rounded(w[j]);
        wanted[1][i] += rounded(w[j]) * rounded(dy[o]);
        wanted[2][j] += rounded(x[i]) * rounded(dy[o]);
    });
    let pixels = shape.output().iter().product::<usize>();
    wanted[0].chunks_exact_mut(pixels).enumerate().for_each(|(map, line)| {
        line.iter_mut().for_each(|value| *value += f64::from(bias[map % shape.filters]));
    });
    for unit in Unit::available() {
        let mut found = [vec![f32::NAN; y], vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]];
        conv2d::forward_by(*unit, &shape, &x, &w, Some(&bias), &mut found[0]);
        conv2d::input_gradient_by(*unit, &shape, &w, &dy, &mut found[1]);
        weight_gradient::run(*unit, &shape, &x, &dy, &mut found[2]);
        for ((pass, found), wanted) in ["output", "input gradient", "weight gradient"].iter().zip(&found).zip(&wanted) {
            let apart = apart(found, wanted);
            assert!(apart < 2e-5, "{shape:?} by {unit:?}: {pass} is {apart:e} apart");
        }
    }
}

#[test]
fn convolutions_of_many_shapes_are_right() {
    for shape in [
        square(2, 16, 8, 16, 3, 1, 1),
        square(1, 64, 56, 32, 3, 1, 1),
        square(3, 33, 9, 17, 3, 2, 1),
        square(2, 40, 7, 48, 1, 1, 0),
        square(2, 32, 8, 64, 1, 2, 0),
        square(5, 16, 2, 20, 3, 1, 1),
        square(2, 64, 1, 16, 3, 1, 1),
        square(1, 18, 12, 16, 5, 3, 4),
        square(1, 16, 70, 16, 7, 2, 3),
        Shape { dilation: [2, 1], padding: [2, 0], ..square(1, 16, 11, 16, 3, 1, 0) },
    ] {
        check_convolution(shape);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_convolution_is_right(
        batch in 1..4usize, channels in 1..40usize, sides in (1..20usize, 1..20usize), filters in 1..40usize, kernel in (1..4usize, 1..4usize),
        stride in (1..4usize, 1..4usize), padding in (0..3usize, 0..3usize), dilation in (1..3usize, 1..3usize),
    ) {
        let kernel = [kernel.0, kernel.1];
        let (padding, dilation) = ([padding.0, padding.1], [dilation.0, dilation.1]);
        let reach = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        prop_assume!(sides.0 + 2 * padding[0] >= reach(0) && sides.1 + 2 * padding[1] >= reach(1));
        let stride = [stride.0, stride.1];
        let shape = Shape { batch, channels, height: sides.0, width: sides.1, filters, kernel, stride, padding, dilation, groups: 1 };
        prop_assume!([0, 1].iter().all(|axis| !met(&shape, *axis).is_empty()));
        check_convolution(shape);
    }
}

#[test]
fn threads_change_no_bit() {
    let shape = square(5, 64, 14, 72, 3, 2, 1);
    let [x, w, y] = shape.lens();
    let (x, w, dy) = (noise(x, 1), noise(w, 2), noise(y, 3));
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut found = [vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]];
        pool.install(|| {
            conv2d::forward(&shape, &x, &w, None, &mut found[0]);
            conv2d::input_gradient(&shape, &w, &dy, &mut found[1]);
            conv2d::weight_gradient(&shape, &x, &dy, &mut found[2]);
        });
        found
    };
    assert!(all(1) == all(2));
}
