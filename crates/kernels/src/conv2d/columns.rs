//! Convolution of small maps as one product of matrices: what each output sees becomes a column of a matrix `[channels x taps, outputs]`
//! (Chellapilla, Puri, Simard: "High performance convolutional neural networks for document processing", 2006), the outputs of many images
//! beside each other. Copying what a kernel sees costs little when many filters use it; taps that meet no pixel are left out.

use super::forward::met;
use super::shape::Shape;
use crate::matmul::{Matrix, Start};
use crate::scratch::scratch;
use crate::shared::Shared;
use rayon::prelude::*;
use std::ops::Range;

/// Maps of at most so many outputs: larger ones fill registers by themselves.
const FEW: usize = 64;
/// Columns that are worked on at once.
const WIDE: usize = 1024;

/// Whether it is the way for a shape: one of small maps, or one of 1x1 kernels that leaves pixels out, of which columns are the rest.
pub(super) fn fits(shape: &Shape) -> bool {
    let pixels = shape.output().iter().product::<usize>();
    let sees = [0, 1].iter().all(|axis| !met(shape, *axis).is_empty());
    let is_small = (1..=FEW).contains(&pixels) || shape.kernel == [1; 2] && shape.stride != [1; 2];
    is_small && sees && shape.groups == 1 && shape.channels * shape.taps() >= 32 && shape.filters >= 16
}

/// What does not change from image to image.
struct Columns {
    shape: Shape,
    /// Numbers in the kernel of the taps that meet the image.
    numbers: Vec<usize>,
    /// For each of them and each output the pixel that it meets, if any.
    pixels: Vec<Option<usize>>,
    /// Outputs of an image.
    outputs: usize,
}

impl Columns {
    fn new(shape: &Shape) -> Columns {
        let [rows, columns] = shape.output();
        let (down, across) = (met(shape, 0), met(shape, 1));
        let numbers = down.iter().flat_map(|y| across.iter().map(move |x| y * shape.kernel[1] + x)).collect::<Vec<_>>();
        let pixel = |number: usize, output: usize| {
            let [tap, place] = [[number / shape.kernel[1], number % shape.kernel[1]], [output / columns, output % columns]];
            let [y, x] =
                [0, 1].map(|axis| (place[axis] * shape.stride[axis] + tap[axis] * shape.dilation[axis]).wrapping_sub(shape.padding[axis]));
            (y < shape.height && x < shape.width).then(|| y * shape.width + x)
        };
        let outputs = rows * columns;
        let pixels =
            numbers.iter().flat_map(|number| (0..outputs).map(move |output| (*number, output))).map(|(n, o)| pixel(n, o)).collect();
        Columns { shape: *shape, numbers, pixels, outputs }
    }

    /// Rows of the matrix of columns.
    fn depth(&self) -> usize {
        self.shape.channels * self.numbers.len()
    }

    fn groups(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (batch, images) = (self.shape.batch, (WIDE / self.outputs).max(1));
        (0..batch).step_by(images).map(move |first| first..(first + images).min(batch))
    }

    fn plane(&self) -> usize {
        self.shape.height * self.shape.width
    }

    /// Lends the weights of the taps that meet the image, `[filters, depth]`.
    fn weights<T>(&self, weight: &[f32], work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let (taps, met) = (self.shape.taps(), self.numbers.len());
        if met == taps {
            return work(Matrix::new(weight, self.shape.filters, self.depth()));
        }
        scratch(self.shape.filters * self.depth(), |some| {
            let pick = |(to, from): (&mut [f32], &[f32])| {
                if let [number] = self.numbers[..] {
                    return to.iter_mut().zip(from[number..].iter().step_by(taps)).for_each(|(to, from)| *to = *from);
                }
                for (to, from) in to.chunks_exact_mut(met).zip(from.chunks_exact(taps)) {
                    to.iter_mut().zip(&self.numbers).for_each(|(to, number)| *to = from[*number]);
                }
            };
            some.par_chunks_exact_mut(self.depth()).zip(weight.par_chunks_exact(self.shape.channels * taps)).for_each(pick);
            work(Matrix::new(some, self.shape.filters, self.depth()))
        })
    }

    /// Lends what the outputs of some images see, `[depth, images x outputs]`.
    fn lend<T>(&self, x: &[f32], images: Range<usize>, work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let (wide, met) = (images.len() * self.outputs, self.numbers.len());
        scratch(self.depth() * wide, |columns| {
            columns.par_chunks_exact_mut(met * wide).enumerate().for_each(|(channel, rows)| {
                for (row, pixels) in rows.chunks_exact_mut(wide).zip(self.pixels.chunks_exact(self.outputs)) {
                    for (image, to) in images.clone().zip(row.chunks_exact_mut(self.outputs)) {
                        let map = &x[(image * self.shape.channels + channel) * self.plane()..][..self.plane()];
                        to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel.map_or(0.0, |pixel| map[pixel]));
                    }
                }
            });
            work(Matrix::new(columns, self.depth(), wide))
        })
    }

    /// Lends gradients of some images' outputs, `[filters, images x outputs]`.
    fn gradients<T>(&self, dy: &[f32], images: Range<usize>, work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let (wide, filters) = (images.len() * self.outputs, self.shape.filters);
        scratch(filters * wide, |all| {
            for (filter, row) in all.chunks_exact_mut(wide).enumerate() {
                for (image, to) in images.clone().zip(row.chunks_exact_mut(self.outputs)) {
                    to.copy_from_slice(&dy[(image * filters + filter) * self.outputs..][..self.outputs]);
                }
            }
            work(Matrix::new(all, filters, wide))
        })
    }
}

/// What multiplies: `c` = what it starts with + `a b`.
pub(crate) trait Product: Fn(Matrix<'_>, Matrix<'_>, Start<'_>, &mut [f32]) + Sync {}

impl<F: Fn(Matrix<'_>, Matrix<'_>, Start<'_>, &mut [f32]) + Sync> Product for F {}

/// `y = x * weight + bias`.
pub(crate) fn forward(multiply: impl Product, shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let columns = Columns::new(shape);
    let outputs = columns.outputs;
    columns.weights(weight, |weights| {
        for images in columns.groups() {
            let wide = images.len() * outputs;
            scratch(shape.filters * wide, |products| {
                columns.lend(x, images.clone(), |seen| multiply(weights, seen, Start::Zero, products));
                for (filter, row) in products.chunks_exact(wide).enumerate() {
                    let added = bias.map_or(0.0, |bias| bias[filter]);
                    for (image, from) in images.clone().zip(row.chunks_exact(outputs)) {
                        let to = &mut y[(image * shape.filters + filter) * outputs..][..outputs];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = from + added);
                    }
                }
            });
        }
    });
}

/// `dx` from `dy`.
pub(crate) fn input_gradient(multiply: impl Product, shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let columns = Columns::new(shape);
    let (outputs, plane, met) = (columns.outputs, columns.plane(), columns.numbers.len());
    let dx = Shared::new(dx);
    columns.weights(weight, |weights| {
        for images in columns.groups() {
            let wide = images.len() * outputs;
            scratch(columns.depth() * wide, |blame| {
                columns.gradients(dy, images.clone(), |dy| multiply(weights.transposed(), dy, Start::Zero, blame));
                (0..shape.channels).into_par_iter().for_each(|channel| {
                    let rows = &blame[channel * met * wide..][..met * wide];
                    for (place, image) in images.clone().enumerate() {
                        let start = (image * shape.channels + channel) * plane;
                        // SAFETY: each channel of each image is written by one thread.
                        let map = unsafe { dx.part(start..start + plane) };
                        map.fill(0.0);
                        for (row, pixels) in rows.chunks_exact(wide).zip(columns.pixels.chunks_exact(outputs)) {
                            for (from, pixel) in row[place * outputs..][..outputs].iter().zip(pixels) {
                                if let Some(pixel) = pixel {
                                    map[*pixel] += from;
                                }
                            }
                        }
                    }
                });
            });
        }
    });
}

/// `dw` from `x` and `dy`. Sums over images are added in their order.
pub(crate) fn weight_gradient(multiply: impl Product, shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let columns = Columns::new(shape);
    let (taps, met, depth) = (shape.taps(), columns.numbers.len(), columns.depth());
    if shape.batch == 0 {
        return dw.fill(0.0);
    }
    let add = |to: &mut [f32]| {
        for images in columns.groups() {
            let start = if images.start == 0 { Start::Zero } else { Start::Keep };
            columns.lend(x, images.clone(), |seen| columns.gradients(dy, images, |dy| multiply(dy, seen.transposed(), start, to)));
        }
    };
    if met == taps {
        return add(dw);
    }
    scratch(shape.filters * depth, |some| {
        add(some);
        let spread = |(to, from): (&mut [f32], &[f32])| {
            to.fill(0.0);
            for (to, from) in to.chunks_exact_mut(taps).zip(from.chunks_exact(met)) {
                columns.numbers.iter().zip(from).for_each(|(number, from)| to[*number] = *from);
            }
        };
        dw.par_chunks_exact_mut(shape.channels * taps).zip(some.par_chunks_exact(depth)).for_each(spread);
    });
}

#[cfg(test)]
mod tests {
    use super::fits;
    use crate::conv2d::Shape;
    use crate::conv2d::tests::{check, equal_for_threads, square};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_shape_is_right(
            (batch, channels, filters) in (0..5usize, 32..40usize, 16..40usize),
            (height, width) in (1..9usize, 1..9usize),
            (ky, kx, sy, sx, py, px, dy, dx) in (1..5usize, 1..5usize, 1..4usize, 1..4usize, 0..3usize, 0..3usize, 1..3usize, 1..3usize),
        ) {
            let shape = Shape {
                height, width, kernel: [ky, kx], stride: [sy, sx], padding: [py, px], dilation: [dy, dx],
                ..square(batch, channels, height, filters, 1, 1, 0)
            };
            if height + 2 * py > dy * (ky - 1) && width + 2 * px > dx * (kx - 1) && fits(&shape) {
                check(shape);
            }
        }
    }

    #[test]
    fn pixels_that_are_left_out_are() {
        for (side, stride, padding) in [(19, 2, 0), (20, 2, 1), (17, 3, 0)] {
            let shape = square(3, 40, side, 30, 1, stride, padding);
            assert!(fits(&shape), "{shape:?}");
            check(shape);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        equal_for_threads(square(300, 40, 2, 70, 3, 1, 1));
        equal_for_threads(square(5, 64, 8, 96, 3, 2, 1));
        equal_for_threads(square(5, 64, 20, 300, 1, 2, 0));
    }
}
