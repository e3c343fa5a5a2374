//! Convolution of small maps as one product of matrices: what each output sees becomes a column of a matrix `[channels x taps, outputs]`
//! (Chellapilla, Puri, Simard: "High performance convolutional neural networks for document processing", 2006), the outputs of many images
//! beside each other. Copying what a kernel sees costs little when many filters use it; taps that meet no pixel are left out.

use super::Weights;
use super::forward::met;
use super::shape::Shape;
use crate::Level;
use crate::end::{End, finish, finish_maps};
use crate::matmul::{Matrix, Packed, Start, serial_packed};
use crate::pieces::{PIECE, SERIAL_FLOPS, ranges};
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::{each, each_of, each_part};
use crate::turned::turn;
use std::ops::Range;

/// Maps of at most so many outputs: larger ones fill registers by themselves.
pub(super) const FEW: usize = 64;
/// Columns that are worked on at once.
const WIDE: usize = 1024;
/// With so few columns in all, products are inner ones.
const FEW_COLUMNS: usize = 4;

/// Beside the image.
const NONE: u32 = u32::MAX;

fn pixel_of(map: &[f32], pixel: u32) -> f32 {
    map.get(pixel as usize).copied().unwrap_or(0.0)
}

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
    /// For each of them and each output the pixel that it meets, or [`NONE`].
    pixels: Vec<u32>,
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
            if y < shape.height && x < shape.width { (y * shape.width + x) as u32 } else { NONE }
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
    fn weights<T>(&self, weight: Weights<'_>, work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let (taps, met, filters) = (self.shape.taps(), self.numbers.len(), self.shape.filters);
        if met == taps {
            return work(Matrix::new(weight.values, filters, self.depth()));
        }
        let make = |some: &mut [f32]| {
            each_part(some, self.depth(), true, |filter, to| {
                let from = &weight.values[filter * self.shape.channels * taps..][..self.shape.channels * taps];
                if let [number] = self.numbers[..] {
                    return to.iter_mut().zip(from[number..].iter().step_by(taps)).for_each(|(to, from)| *to = *from);
                }
                for (to, from) in to.chunks_exact_mut(met).zip(from.chunks_exact(taps)) {
                    to.iter_mut().zip(&self.numbers).for_each(|(to, number)| *to = from[*number]);
                }
            });
        };
        weight.packed(Level::current(), filters * self.depth(), make, |some| work(Matrix::new(some, filters, self.depth())))
    }

    /// Lends what the outputs of some images see, `[depth, images x outputs]`.
    fn lend<T>(&self, x: &[f32], images: Range<usize>, work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let (wide, met) = (images.len() * self.outputs, self.numbers.len());
        if self.shape.is_pointwise() && images.len() == 1 {
            return work(Matrix::new(&x[images.start * self.depth() * wide..][..self.depth() * wide], self.depth(), wide));
        }
        scratch(self.depth() * wide, |columns| {
            each_part(columns, met * wide, true, |channel, rows| {
                for (row, pixels) in rows.chunks_exact_mut(wide).zip(self.pixels.chunks_exact(self.outputs)) {
                    for (image, to) in images.clone().zip(row.chunks_exact_mut(self.outputs)) {
                        let map = &x[(image * self.shape.channels + channel) * self.plane()..][..self.plane()];
                        to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel_of(map, *pixel));
                    }
                }
            });
            work(Matrix::new(columns, self.depth(), wide))
        })
    }

    /// The same with a row for each output, `[images x outputs, depth]`.
    fn lend_turned<T>(&self, x: &[f32], images: Range<usize>, work: impl FnOnce(Matrix<'_>) -> T) -> T {
        let wide = images.len() * self.outputs;
        scratch(wide * self.depth(), |rows| {
            let places = images.flat_map(|image| (0..self.outputs).map(move |output| (image, output)));
            for (row, (image, output)) in rows.chunks_exact_mut(self.depth()).zip(places) {
                let maps = x[image * self.shape.channels * self.plane()..].chunks_exact(self.plane());
                for (to, map) in row.chunks_exact_mut(self.numbers.len()).zip(maps) {
                    let pixels = self.pixels.iter().skip(output).step_by(self.outputs);
                    to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel_of(map, *pixel));
                }
            }
            work(Matrix::new(rows, wide, self.depth()))
        })
    }

    /// Ends products `[images x outputs, filters]`.
    fn end_turned(&self, products: &[f32], images: Range<usize>, end: End<'_>, y: &mut [f32]) {
        let filters = self.shape.filters;
        for (products, image) in products.chunks_exact(self.outputs * filters).zip(images) {
            let outputs = image * filters * self.outputs..(image + 1) * filters * self.outputs;
            let y = &mut y[outputs.clone()];
            turn(Level::current(), products, [self.outputs, filters], Shared::new(y), 0, self.outputs);
            finish_maps(Level::current(), end.part(0..filters, outputs), self.outputs, y);
        }
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

/// `y = x * weight`, ended.
pub(crate) fn forward(multiply: impl Product, shape: &Shape, x: &[f32], weight: Weights<'_>, end: End<'_>, y: &mut [f32]) {
    let columns = Columns::new(shape);
    let (level, outputs) = (Level::current(), columns.outputs);
    columns.weights(weight, |weights| {
        for images in columns.groups() {
            let wide = images.len() * outputs;
            scratch(shape.filters * wide, |products| {
                if wide <= FEW_COLUMNS {
                    // Inner products: rows of weights are read as they lie.
                    columns.lend_turned(x, images.clone(), |seen| multiply(seen, weights.transposed(), Start::Zero, products));
                    return columns.end_turned(products, images, end, y);
                }
                columns.lend(x, images.clone(), |seen| multiply(weights, seen, Start::Zero, products));
                let (y, products) = (Shared::new(y), &*products);
                let work = |filter: usize| {
                    let row = &products[filter * wide..][..wide];
                    for (image, from) in images.clone().zip(row.chunks_exact(outputs)) {
                        let start = (image * shape.filters + filter) * outputs;
                        let place = start..start + outputs;
                        // SAFETY: each filter of each image is written by one thread.
                        let to = unsafe { y.part(place.clone()) };
                        finish(level, end.line(filter), from, outputs, end.added(place), outputs, to);
                    }
                };
                each(shape.filters, products.len() >= PIECE, work);
            });
        }
    });
}

/// Whether outputs are to go over panels of prepared weights, and not weights over panels of what is seen: where so many columns leave a fifth of
/// their registers empty (49 outputs are nine tenths of five blocks of rows, and three quarters of four registers), and for single small
/// images with few filters to copy many channels for (1024 to 256 on 14x14: 0.83 ms, and 0.71 ms).
pub(super) fn fits_turned(shape: &Shape) -> bool {
    let outputs = shape.output().iter().product::<usize>();
    let (wide, lanes) = (shape.batch * outputs, Level::current().lanes());
    // Panels are two registers wide; the last may be one.
    let panels = if wide % (2 * lanes) <= lanes { wide.next_multiple_of(lanes) } else { wide.next_multiple_of(2 * lanes) };
    let is_narrow = shape.is_pointwise() && shape.batch == 1 && wide <= 4 * FEW && 2 * shape.filters <= shape.channels;
    wide > FEW_COLUMNS && shape.groups == 1 && (is_narrow || (fits(shape) && 5 * panels > 6 * wide))
}

/// Filters that a thread computes at once where outputs go over panels of weights.
const SHARE: usize = 64;
/// Rows of outputs that it computes at least.
const ROWS: usize = 48;

/// `y = x * weight`, ended, where weights lie in panels and outputs go over them.
pub(super) fn forward_turned(shape: &Shape, x: &[f32], weight: Weights<'_>, end: End<'_>, y: &mut [f32]) {
    let columns = Columns::new(shape);
    let (level, filters, outputs) = (Level::current(), shape.filters, columns.outputs);
    let len = |filters: usize| columns.depth() * filters.next_multiple_of(level.lanes());
    let shares = ranges(filters, SHARE);
    let make = |panels: &mut [f32]| {
        columns.weights(Weights::plain(weight.values), |weights| {
            each_part(panels, len(SHARE), true, |number, panels| {
                Packed::fill(level, weights.rows(shares[number].clone()).transposed(), panels);
            });
        });
    };
    weight.turned(level, shares.iter().map(|share| len(share.len())).sum(), make, |panels| {
        columns.lend(x, 0..shape.batch, |seen| {
            let y = Shared::new(y);
            let work = |&(number, image, ref rows): &(usize, usize, Range<usize>)| {
                let (share, many) = (shares[number].clone(), rows.len());
                let packed = Packed::of(level, &panels[number * len(SHARE)..][..len(share.len())], columns.depth(), share.len());
                let a = seen.transposed().rows(image * outputs + rows.start..image * outputs + rows.end);
                scratch(2 * many * share.len(), |memory| {
                    let (products, turned) = memory.split_at_mut(many * share.len());
                    serial_packed(a, packed, Start::Zero, products, share.len(), End::NOTHING);
                    turn(level, products, [many, share.len()], Shared::new(turned), 0, many);
                    for (filter, from) in share.zip(turned.chunks_exact(many)) {
                        let first = (image * filters + filter) * outputs;
                        let place = first + rows.start..first + rows.end;
                        // SAFETY: no two threads have the same filters and rows.
                        let to = unsafe { y.part(place.clone()) };
                        finish(level, end.line(filter), from, many, end.added(place), many, to);
                    }
                });
            };
            // A batch of small images is cut into shares of filters alone, a single image into stretches of outputs as well.
            let stretch = outputs.div_ceil((outputs / ROWS).clamp(1, 4)).next_multiple_of(12);
            let stretches = ranges(outputs, stretch);
            let count = shares.len();
            let of_image = |image| stretches.iter().flat_map(move |rows| (0..count).map(move |number| (number, image, rows.clone())));
            let all: Vec<_> = (0..shape.batch).flat_map(of_image).collect();
            each_of(&all, shape.flops() >= SERIAL_FLOPS, work);
        });
    });
}

/// `dx` from `dy`.
pub(crate) fn input_gradient(multiply: impl Product, shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let columns = Columns::new(shape);
    let (outputs, plane, met) = (columns.outputs, columns.plane(), columns.numbers.len());
    let dx = Shared::new(dx);
    columns.weights(Weights::plain(weight), |weights| {
        for images in columns.groups() {
            let wide = images.len() * outputs;
            scratch(columns.depth() * wide, |blame| {
                columns.gradients(dy, images.clone(), |dy| multiply(weights.transposed(), dy, Start::Zero, blame));
                each(shape.channels, true, |channel| {
                    let rows = &blame[channel * met * wide..][..met * wide];
                    for (place, image) in images.clone().enumerate() {
                        let start = (image * shape.channels + channel) * plane;
                        // SAFETY: each channel of each image is written by one thread.
                        let map = unsafe { dx.part(start..start + plane) };
                        map.fill(0.0);
                        for (row, pixels) in rows.chunks_exact(wide).zip(columns.pixels.chunks_exact(outputs)) {
                            for (from, pixel) in row[place * outputs..][..outputs].iter().zip(pixels) {
                                if let Some(to) = map.get_mut(*pixel as usize) {
                                    *to += from;
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
        each_part(dw, shape.channels * taps, true, |filter, to| {
            let from = &some[filter * depth..][..depth];
            to.fill(0.0);
            for (to, from) in to.chunks_exact_mut(taps).zip(from.chunks_exact(met)) {
                columns.numbers.iter().zip(from).for_each(|(number, from)| to[*number] = *from);
            }
        });
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
