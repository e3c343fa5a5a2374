use crate::conv2d::tests::{check, square};
use crate::conv2d::{self, Shape};
use crate::testing::noise;
use crate::{Level, with};
use proptest::prelude::*;

#[test]
fn layers_of_known_networks_are_right() {
    let depthwise = |batch, channels, side, kernel, stride| Shape {
        groups: channels,
        ..square(batch, channels, side, channels, kernel, stride, kernel / 2)
    };
    check(depthwise(2, 3, 112, 3, 1)); // MobileNetV2
    check(depthwise(2, 3, 112, 3, 2));
    check(depthwise(3, 5, 56, 3, 1));
    check(depthwise(2, 4, 28, 3, 2));
    check(depthwise(3, 40, 14, 3, 1));
    check(depthwise(3, 17, 14, 3, 2));
    check(depthwise(5, 33, 7, 3, 1));
    check(depthwise(2, 5, 28, 5, 1)); // EfficientNet
    check(depthwise(2, 5, 28, 5, 2));
    check(depthwise(2, 7, 14, 7, 1)); // ConvNeXt
    check(depthwise(2, 7, 7, 7, 1));
    // Outputs wider than inputs, in a register that could hold two of the inputs' rows.
    check(Shape { height: 1, width: 3, padding: [1, 6], ..depthwise(1, 1, 3, 3, 2) });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_shape_is_right(
        (batch, channels, maps) in (0..4usize, 1..6usize, 1..4usize),
        (height, width) in (1..40usize, prop_oneof![1..18usize, 1..71usize]),
        (half, stride, py, px) in (1..4usize, 1..3usize, 0..10usize, 0..10usize),
    ) {
        let kernel = 2 * half + 1;
        let shape = Shape {
            height, width, padding: [py, px], groups: channels, ..square(batch, channels, 1, channels * maps, kernel, stride, 0)
        };
        if height + 2 * py >= kernel && width + 2 * px >= kernel {
            prop_assert!(super::fits(&shape));
            check(shape);
        }
    }
}

#[test]
fn threads_change_no_bit_and_large_numbers_meet_no_infinity() {
    for (side, stride) in [(30, 1), (30, 2), (7, 1), (14, 2)] {
        let shape = Shape { groups: 40, ..square(5, 40, side, 80, 3, stride, 1) };
        let [x, w, y] = shape.lens();
        // Their squares are beyond `f32`, their products with weights are not.
        let (x, dy) = (noise(x, 1).iter().map(|x| x * 1e30).collect::<Vec<f32>>(), noise(y, 3));
        let w = noise(w, 2);
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut found = [vec![f32::NAN; y], vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]];
            pool.install(|| {
                conv2d::forward(&shape, &x, &w, None, &mut found[0]);
                conv2d::input_gradient(&shape, &w, &dy, &mut found[1]);
                conv2d::weight_gradient(&shape, &x, &dy, &mut found[2]);
            });
            found
        };
        let one = all(1);
        assert!(one.iter().flatten().all(|value| value.is_finite()));
        assert_eq!(one, all(2));
    }
}

#[test]
fn what_lies_beside_a_map_is_not_read() {
    // Neighbours of the middle map are no numbers: nothing of them may reach it, at any level.
    for (side, kernel, stride) in [(7, 3, 1), (9, 5, 1), (14, 3, 2), (17, 3, 2), (33, 7, 2)] {
        let shape = Shape { groups: 3, ..square(1, 3, side, 3, kernel, stride, kernel / 2) };
        let [x, w, y] = shape.lens();
        let hide = |mut values: Vec<f32>| {
            let map = values.len() / 3;
            values[..map].fill(f32::NAN);
            values[2 * map..].fill(f32::NAN);
            values
        };
        let (x, w, dy) = (hide(noise(x, 1)), noise(w, 2), hide(noise(y, 3)));
        for level in Level::available() {
            with(level, || {
                let mut found = [vec![f32::NAN; y], vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]];
                conv2d::forward(&shape, &x, &w, None, &mut found[0]);
                conv2d::input_gradient(&shape, &w, &dy, &mut found[1]);
                conv2d::weight_gradient(&shape, &x, &dy, &mut found[2]);
                for found in found {
                    let map = found.len() / 3;
                    assert!(found[map..2 * map].iter().all(|value| value.is_finite()), "{shape:?} at {level:?}");
                }
            });
        }
    }
}
