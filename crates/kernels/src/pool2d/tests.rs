use super::*;
use crate::testing::noise;
use crate::{Level, with};
use proptest::prelude::*;

/// Few different numbers, so that some are equal.
fn coarse(len: usize, seed: u32) -> Vec<f32> {
    noise(len, seed).into_iter().map(|value| (value * 8.0).floor() / 8.0).collect()
}

/// Outputs and gradients by PyTorch's definition, pixel by pixel.
fn exact(shape: &Shape, pooling: Pooling, x: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let [rows, columns] = shape.output();
    let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
    for place in 0..dy.len() {
        let (map, row, column) = (place / (rows * columns), place / columns % rows, place % columns);
        let mut best: Option<usize> = None;
        for (ky, kx) in (0..shape.kernel[0]).flat_map(|ky| (0..shape.kernel[1]).map(move |kx| (ky, kx))) {
            let at = [row * shape.stride[0] + ky, column * shape.stride[1] + kx];
            let [v, u] = std::array::from_fn(|axis| at[axis].wrapping_sub(shape.padding[axis]));
            if v >= shape.height || u >= shape.width {
                continue;
            }
            let pixel = (map * shape.height + v) * shape.width + u;
            let share = 1.0 / (shape.kernel[0] * shape.kernel[1]) as f32;
            match pooling {
                Pooling::Average => {
                    y[place] += x[pixel] * share;
                    dx[pixel] += dy[place] * share;
                }
                Pooling::Max if best.is_none_or(|best| x[pixel] > x[best]) => best = Some(pixel),
                Pooling::Max => {}
            }
        }
        if let (Pooling::Max, Some(best)) = (pooling, best) {
            y[place] = x[best];
            dx[best] += dy[place];
        }
    }
    (y, dx)
}

/// The output and the gradient.
fn both(shape: &Shape, pooling: Pooling, x: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
    forward(shape, pooling, x, &mut y);
    match pooling {
        Pooling::Average => backward_average(shape, dy, &mut dx),
        Pooling::Max => {
            let (mut again, mut winners) = (vec![f32::NAN; dy.len()], vec![u32::MAX; dy.len()]);
            forward_max(shape, x, &mut again, &mut winners);
            backward_max(shape, &winners, dy, &mut dx);
            assert_eq!(again, y, "{shape:?}");
        }
    }
    [y, dx]
}

fn check(shape: Shape) {
    let (x, dy) = (coarse(shape.maps * shape.height * shape.width, 1), coarse(shape.maps * shape.outputs(), 2));
    for (level, pooling) in Level::available().into_iter().flat_map(|level| [(level, Pooling::Max), (level, Pooling::Average)]) {
        let [y, dx] = with(level, || both(&shape, pooling, &x, &dy));
        let (wanted_y, wanted_dx) = exact(&shape, pooling, &x, &dy);
        let near = |found: &[f32], wanted: &[f32]| found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-5);
        assert!(near(&y, &wanted_y) && near(&dx, &wanted_dx), "{shape:?} {pooling:?} {level:?}");
    }
}

#[test]
fn windows_of_known_networks_are_right() {
    let shape = |maps, side, kernel, stride, padding| Shape {
        maps,
        height: side,
        width: side,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    };
    check(shape(70, 28, 2, 2, 0));
    check(shape(3, 13, 2, 2, 0));
    check(shape(5, 56, 3, 2, 1));
    check(shape(0, 4, 2, 2, 0));
    check(shape(9, 7, 7, 7, 0));
    check(shape(2, 40, 3, 1, 1));
    check(shape(1, 1, 1, 1, 0));
    check(shape(2, 37, 2, 5, 0)); // Most pixels are under no window.
}

proptest! {
    #[test]
    fn any_window_is_right(
        maps in 0..4usize, (height, width) in (1..14usize, 1..14usize), (ky, kx) in (1..5usize, 1..5usize),
        (sy, sx) in (1..4usize, 1..4usize), (py, px) in (0..3usize, 0..3usize),
    ) {
        if py <= ky / 2 && px <= kx / 2 && height + 2 * py >= ky && width + 2 * px >= kx {
            check(Shape { maps, height, width, kernel: [ky, kx], stride: [sy, sx], padding: [py, px] });
        }
    }
}

#[test]
fn what_is_no_number_is_the_largest_and_minus_infinity_is_larger_than_padding() {
    let shape = Shape { maps: 1, height: 2, width: 2, kernel: [2; 2], stride: [2; 2], padding: [0; 2] };
    let padded = Shape { kernel: [3; 2], padding: [1; 2], ..shape };
    for (level, shape) in Level::available().into_iter().flat_map(|level| [(level, shape), (level, padded)]) {
        for place in 0..4 {
            let mut x = [1.0, 2.0, 3.0, 4.0];
            x[place] = f32::NAN;
            let [y, dx] = with(level, || both_of_one(&shape, &x));
            assert!(y[0].is_nan() && dx[place] == 1.0, "{x:?} at {level:?}");
        }
        let [y, dx] = with(level, || both_of_one(&shape, &[f32::NEG_INFINITY; 4]));
        assert_eq!((y, dx), (vec![f32::NEG_INFINITY], vec![1.0, 0.0, 0.0, 0.0]));
    }
}

fn both_of_one(shape: &Shape, x: &[f32]) -> [Vec<f32>; 2] {
    let (mut y, mut dx, mut winners) = (vec![0.0], vec![0.0; x.len()], [0]);
    forward_max(shape, x, &mut y, &mut winners);
    backward_max(shape, &winners, &[1.0], &mut dx);
    [y, dx]
}

#[test]
fn threads_change_no_bit() {
    let shape = Shape { maps: 40, height: 31, width: 33, kernel: [3; 2], stride: [2; 2], padding: [1; 2] };
    let (x, dy) = (coarse(shape.maps * shape.height * shape.width, 1), coarse(shape.maps * shape.outputs(), 2));
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| [Pooling::Max, Pooling::Average].map(|pooling| both(&shape, pooling, &x, &dy)))
    };
    assert_eq!(all(1), all(2));
}
