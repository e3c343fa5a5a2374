use super::*;
use crate::testing::noise;
use crate::{Level, with};
use proptest::prelude::*;

/// Calls `of(x index, weight index, y index)` for every product of a convolution.
pub(crate) fn products(shape: &Shape, mut of: impl FnMut(usize, usize, usize)) {
    let [rows, columns] = shape.output();
    let [channels, maps] = [shape.channels / shape.groups, shape.filters / shape.groups];
    for image in 0..shape.batch {
        for filter in 0..shape.filters {
            for channel in 0..channels {
                let from = filter / maps * channels + channel;
                for (ky, kx) in (0..shape.kernel[0]).flat_map(|ky| (0..shape.kernel[1]).map(move |kx| (ky, kx))) {
                    for (oy, ox) in (0..rows).flat_map(|oy| (0..columns).map(move |ox| (oy, ox))) {
                        let y = (oy * shape.stride[0] + ky * shape.dilation[0]).wrapping_sub(shape.padding[0]);
                        let x = (ox * shape.stride[1] + kx * shape.dilation[1]).wrapping_sub(shape.padding[1]);
                        if y < shape.height && x < shape.width {
                            of(
                                ((image * shape.channels + from) * shape.height + y) * shape.width + x,
                                ((filter * channels + channel) * shape.kernel[0] + ky) * shape.kernel[1] + kx,
                                ((image * shape.filters + filter) * rows + oy) * columns + ox,
                            );
                        }
                    }
                }
            }
        }
    }
}

/// Largest distance, as a share of the largest number: sums of n products in `f32` lose about sqrt(n) of the last place.
pub(crate) fn apart(found: &[f32], wanted: &[f64]) -> f64 {
    let largest = wanted.iter().fold(1.0, |largest: f64, value| largest.max(value.abs()));
    found.iter().zip(wanted).map(|(found, wanted)| (f64::from(*found) - wanted).abs() / largest).fold(0.0, f64::max)
}

/// Holds all passes at every level against the sums of `f64`.
pub(super) fn check(shape: Shape) {
    let [x, w, y] = shape.lens();
    let (x, w, dy, bias) = (noise(x, 1), noise(w, 2), noise(y, 3), noise(shape.filters, 4));
    let mut wanted = [vec![0.0; y], vec![0.0; x.len()], vec![0.0; w.len()]];
    products(&shape, |i, j, o| {
        wanted[0][o] += f64::from(x[i]) * f64::from(w[j]);
        wanted[1][i] += f64::from(w[j]) * f64::from(dy[o]);
        wanted[2][j] += f64::from(x[i]) * f64::from(dy[o]);
    });
    let pixels = shape.output().iter().product::<usize>();
    if pixels > 0 {
        wanted[0].chunks_exact_mut(pixels).enumerate().for_each(|(map, line)| {
            line.iter_mut().for_each(|value| *value += f64::from(bias[map % shape.filters]));
        });
    }
    for level in Level::available() {
        with(level, || {
            let mut found = [vec![f32::NAN; y], vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]];
            forward(&shape, &x, &w, Some(&bias), &mut found[0]);
            input_gradient(&shape, &w, &dy, &mut found[1]);
            weight_gradient(&shape, &x, &dy, &mut found[2]);
            for ((pass, found), wanted) in ["output", "input gradient", "weight gradient"].iter().zip(&found).zip(&wanted) {
                let apart = apart(found, wanted);
                assert!(apart < 2e-5, "{shape:?} at {level:?}: {pass} is {apart:e} apart");
            }
        });
    }
}

/// A convolution of square images.
pub(crate) fn square(batch: usize, channels: usize, side: usize, filters: usize, kernel: usize, stride: usize, padding: usize) -> Shape {
    Shape {
        batch,
        channels,
        height: side,
        width: side,
        filters,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1; 2],
        groups: 1,
    }
}

#[test]
fn layers_of_known_networks_are_right() {
    check(square(3, 1, 28, 6, 5, 1, 2)); // LeNet-5
    check(square(2, 6, 14, 16, 5, 1, 0));
    check(square(2, 3, 32, 16, 3, 1, 1)); // ResNet-8
    check(square(2, 16, 32, 32, 3, 2, 1));
    check(square(1, 3, 40, 64, 7, 2, 3)); // ResNet-50
    check(square(1, 64, 17, 48, 3, 2, 1)); // A single tile, in halves.
    check(square(2, 64, 9, 32, 1, 2, 0));
    check(Shape { width: 24, ..square(2, 40, 19, 30, 1, 2, 0) });
    check(Shape { groups: 24, ..square(2, 24, 15, 24, 3, 2, 1) }); // MobileNetV2
    check(square(2, 40, 2, 70, 3, 1, 1));
    check(square(3, 20, 1, 20, 3, 1, 1));
    check(square(2, 3, 1, 2, 1, 2, 1)); // No tap meets the image.
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_shape_is_right(
        (batch, group, groups, maps) in (0..4usize, 1..6usize, 1..4usize, 1..9usize),
        (height, width) in (1..20usize, 1..23usize),
        (ky, kx, sy, sx, py, px, dy, dx) in (1..6usize, 1..6usize, 1..4usize, 1..4usize, 0..4usize, 0..4usize, 1..3usize, 1..3usize),
    ) {
        let shape = Shape {
            batch, channels: group * groups, height, width, filters: maps * groups, kernel: [ky, kx], stride: [sy, sx], padding: [py, px],
            dilation: [dy, dx], groups,
        };
        if height + 2 * py > dy * (ky - 1) && width + 2 * px > dx * (kx - 1) {
            check(shape);
        }
    }
}

#[test]
fn threads_change_no_bit() {
    equal_for_threads(square(5, 3, 20, 8, 3, 1, 1));
    equal_for_threads(square(4, 32, 16, 24, 3, 2, 1));
    equal_for_threads(square(1, 64, 17, 48, 3, 2, 1));
}

/// Holds all passes of one to three threads against each other.
pub(super) fn equal_for_threads(shape: Shape) {
    let [x, w, y] = shape.lens();
    let (x, w, dy) = (noise(x, 1), noise(w, 2), noise(y, 3));
    let all = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut found = [vec![0.0; y], vec![0.0; x.len()], vec![0.0; w.len()]];
        pool.install(|| {
            forward(&shape, &x, &w, None, &mut found[0]);
            input_gradient(&shape, &w, &dy, &mut found[1]);
            weight_gradient(&shape, &x, &dy, &mut found[2]);
        });
        found
    };
    assert_eq!(all(1), all(2));
    assert_eq!(all(2), all(3));
}

#[test]
fn bias_gradients_are_sums() {
    let shape = square(3, 2, 5, 4, 2, 1, 0);
    let dy = noise(shape.lens()[2], 3);
    let mut db = [f32::NAN; 4];
    bias_gradient(&shape, &dy, &mut db);
    for (filter, found) in db.iter().enumerate() {
        let wanted: f64 = (0..3).flat_map(|image| &dy[(image * 4 + filter) * 16..][..16]).map(|value| f64::from(*value)).sum();
        assert!((f64::from(*found) - wanted).abs() < 1e-5);
    }
}
