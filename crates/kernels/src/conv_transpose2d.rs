//! Transposed convolution in two dimensions (Zeiler et al.: "Deconvolutional networks", CVPR 2010; PyTorch's `ConvTranspose2d`), forwards and
//! backwards: each number of the input, times the kernel, is added to the output.
//!
//! It is the transpose of a convolution from its output to its input, so each pass is another pass of that convolution: forwards is the
//! convolution's gradient of the input, the gradient of the input is the convolution, and the gradient of the weights is the convolution's
//! with input and gradient exchanged. So it is as fast as [`conv2d`] is, in `f32` and of rounded numbers, and has no loops of its own.

use crate::conv2d::{self, Passes};
use crate::team::each_part;

/// Sides and settings. Tensors are row-major: the input `[batch, channels, height, width]`, the weights
/// `[channels, filters / groups, kernel, kernel]`, the output `[batch, filters, output, output]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Maps of the input.
    pub channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Maps of the output.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps in the output between neighbours of the input.
    pub stride: [usize; 2],
    /// Rows and columns left out on each side of the output.
    pub padding: [usize; 2],
    /// Rows below and columns to the right of the output, fewer than the stride: a convolution with a stride gives the same for several
    /// sides of its input, and this says which of them is wanted back.
    pub output_padding: [usize; 2],
    /// Steps between the kernel's own numbers.
    pub dilation: [usize; 2],
    /// Groups of maps that do not see each other.
    pub groups: usize,
}

/// Outputs below this many are not worth a second thread.
const SERIAL: usize = 1 << 15;

impl Shape {
    /// Height and width of the output.
    ///
    /// # Panics
    /// When the input has no pixel, the padding leaves none of the output, or the output's padding is not below the stride.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let (side, stride, added) = ([self.height, self.width][axis], self.stride[axis], self.output_padding[axis]);
            assert!(side > 0 && added < stride, "there are pixels, and {added} is below a stride of {stride}");
            let all = (side - 1) * stride + self.dilation[axis] * (self.kernel[axis] - 1) + 1 + added;
            assert!(all > 2 * self.padding[axis], "padding of {} leaves nothing of {all} pixels", self.padding[axis]);
            all - 2 * self.padding[axis]
        })
    }

    /// The convolution whose transpose it is.
    fn convolution(&self) -> conv2d::Shape {
        let Shape { batch, channels, filters, kernel, stride, padding, dilation, groups, .. } = *self;
        let [height, width] = self.output();
        conv2d::Shape { batch, channels: filters, height, width, filters: channels, kernel, stride, padding, dilation, groups }
    }

    /// Numbers of the input, the weights and the output.
    pub fn lens(&self) -> [usize; 3] {
        let [y, weight, x] = self.convolution().lens();
        [x, weight, y]
    }
}

/// `y` from `x`, see [`Shape`] for the sides; `bias` has one number a filter.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn forward(passes: &Passes, shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    assert!(bias.is_none_or(|bias| bias.len() == shape.filters), "one bias a filter");
    (passes.input_gradient)(&shape.convolution(), weight, x, y);
    let Some(bias) = bias else { return };
    let (pixels, pays) = (shape.output().iter().product(), y.len() >= SERIAL);
    each_part(y, pixels, pays, |number, map| {
        let added = bias[number % shape.filters];
        map.iter_mut().for_each(|value| *value += added);
    });
}

/// The gradient of the input, `dx` from `dy`.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn input_gradient(passes: &Passes, shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    (passes.forward)(&shape.convolution(), dy, weight, None, dx);
}

/// The gradient of the weights, `dw` from `x` and `dy`.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn weight_gradient(passes: &Passes, shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    (passes.weight_gradient)(&shape.convolution(), dy, x, dw);
}

/// The gradient of the bias: for each filter the sum of `dy` over images and pixels.
///
/// # Panics
/// When a slice is not as long as its tensor.
pub fn bias_gradient(shape: &Shape, dy: &[f32], db: &mut [f32]) {
    assert_eq!([dy.len(), db.len()], [shape.lens()[2], shape.filters], "gradients are as long as {shape:?} says");
    conv2d::map_sums(shape.output().iter().product(), dy, db);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv2d::EXACT;
    use crate::testing::noise;
    use crate::{Level, with};
    use proptest::prelude::*;

    /// Calls `of(x index, weight index, y index)` for every product.
    fn products(shape: &Shape, mut of: impl FnMut(usize, usize, usize)) {
        let [rows, columns] = shape.output();
        let [channels, maps] = [shape.channels / shape.groups, shape.filters / shape.groups];
        let places = |[height, width]: [usize; 2]| (0..height).flat_map(move |v| (0..width).map(move |u| [v, u]));
        for image in 0..shape.batch {
            for channel in 0..shape.channels {
                for (pixel, at) in places([shape.height, shape.width]).enumerate() {
                    for (tap, of_kernel) in (0..maps).flat_map(|map| places(shape.kernel).map(move |at| (map, at))).enumerate() {
                        let (map, tap_at) = of_kernel;
                        let to = |axis: usize| {
                            (at[axis] * shape.stride[axis] + tap_at[axis] * shape.dilation[axis]).wrapping_sub(shape.padding[axis])
                        };
                        if to(0) < rows && to(1) < columns {
                            of(
                                (image * shape.channels + channel) * shape.height * shape.width + pixel,
                                channel * maps * shape.kernel[0] * shape.kernel[1] + tap,
                                ((image * shape.filters + channel / channels * maps + map) * rows + to(0)) * columns + to(1),
                            );
                        }
                    }
                }
            }
        }
    }

    /// Holds all passes at every level against sums of `f64`.
    fn check(shape: Shape) {
        let [x, w, y] = shape.lens();
        let (x, w, dy, bias) = (noise(x, 1), noise(w, 2), noise(y, 3), noise(shape.filters, 4));
        let mut wanted = [vec![0.0; y], vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; shape.filters]];
        let pixels: usize = shape.output().iter().product();
        for place in 0..y {
            wanted[0][place] = f64::from(bias[place / pixels % shape.filters]);
            wanted[3][place / pixels % shape.filters] += f64::from(dy[place]);
        }
        products(&shape, |i, j, o| {
            wanted[0][o] += f64::from(x[i]) * f64::from(w[j]);
            wanted[1][i] += f64::from(w[j]) * f64::from(dy[o]);
            wanted[2][j] += f64::from(x[i]) * f64::from(dy[o]);
        });
        for level in Level::available() {
            let found = with(level, || all(&shape, &x, &w, &dy, &bias));
            // A bias has a sum of many numbers, which may be near 0.
            let least = [1.0, 1.0, 1.0, (y as f64 / shape.filters as f64).sqrt().max(1.0)];
            for (((pass, found), wanted), least) in ["output", "input", "weight", "bias"].iter().zip(&found).zip(&wanted).zip(least) {
                let largest = wanted.iter().fold(least, |largest: f64, value| largest.max(value.abs()));
                let near = |(found, wanted): (&f32, &f64)| (f64::from(*found) - wanted).abs() / largest < 2e-5;
                // Sums of n products in f32 lose about sqrt(n) of the last place.
                assert!(found.iter().zip(wanted).all(near), "{shape:?} at {level:?}: {pass}");
            }
        }
    }

    /// The output and the gradients of the input, the weights and the bias.
    fn all(shape: &Shape, x: &[f32], w: &[f32], dy: &[f32], bias: &[f32]) -> [Vec<f32>; 4] {
        let mut found = [dy.len(), x.len(), w.len(), bias.len()].map(|len| vec![f32::NAN; len]);
        forward(&EXACT, shape, x, w, Some(bias), &mut found[0]);
        input_gradient(&EXACT, shape, w, dy, &mut found[1]);
        weight_gradient(&EXACT, shape, x, dy, &mut found[2]);
        bias_gradient(shape, dy, &mut found[3]);
        found
    }

    /// Square maps.
    fn square(batch: usize, [channels, filters]: [usize; 2], side: usize, kernel: usize, stride: usize, padding: usize) -> Shape {
        Shape {
            batch,
            channels,
            height: side,
            width: side,
            filters,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
            output_padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
        }
    }

    #[test]
    fn layers_of_known_networks_are_right() {
        check(square(3, [24, 17], 1, 4, 1, 0)); // DCGAN: from one pixel,
        check(square(2, [32, 16], 8, 4, 2, 1)); // twice the side,
        check(square(2, [16, 3], 16, 4, 2, 1)); // to colours.
        check(square(2, [20, 10], 9, 2, 2, 0)); // U-Net
        check(Shape { output_padding: [1; 2], ..square(2, [16, 8], 7, 3, 2, 1) }); // Johnson et al.'s styles
        check(square(2, [16, 16], 12, 3, 1, 1)); // Winograd's way
        check(Shape { groups: 24, ..square(2, [24, 24], 8, 4, 2, 1) }); // a map to a map
        check(square(1, [5, 7], 6, 2, 5, 0)); // Most outputs see no input.
        check(square(0, [3, 4], 5, 3, 2, 1));
        check(square(2, [3, 4], 5, 1, 1, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn any_shape_is_right(
            (batch, group, groups, maps) in (0..4usize, 1..6usize, 1..4usize, 1..9usize),
            (height, width) in (1..12usize, 1..14usize),
            (ky, kx, sy, sx, py, px, dy, dx) in (1..6usize, 1..6usize, 1..5usize, 1..5usize, 0..4usize, 0..4usize, 1..3usize, 1..3usize),
            (ay, ax) in (0..4usize, 0..4usize),
        ) {
            let shape = Shape {
                batch, channels: group * groups, height, width, filters: maps * groups, kernel: [ky, kx], stride: [sy, sx],
                padding: [py, px], output_padding: [ay % sy, ax % sx], dilation: [dy, dx], groups,
            };
            let leaves = |side, kernel, stride, padding, dilation| (side - 1) * stride + dilation * (kernel - 1) + 1 > 2 * padding;
            if leaves(height, ky, sy, py, dy) && leaves(width, kx, sx, px, dx) {
                check(shape);
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        for shape in [square(5, [8, 3], 20, 4, 2, 1), square(4, [24, 32], 16, 3, 1, 1), square(3, [16, 9], 31, 2, 2, 0)] {
            let [x, w, y] = shape.lens();
            let (x, w, dy, bias) = (noise(x, 1), noise(w, 2), noise(y, 3), noise(shape.filters, 4));
            let of = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| all(&shape, &x, &w, &dy, &bias))
            };
            assert_eq!(of(1), of(2), "{shape:?}");
        }
    }
}
