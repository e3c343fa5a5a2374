//! Convolution with 1x1 kernels: products of matrices, an image's maps being the rows of one of them.
//!
//! Where an image has few pixels, or every other one is left out, the pixels of some images are gathered first, so that whole registers of
//! them go through the product.

use super::shape::Shape;
use crate::Level;
use crate::matmul::{Matrix, Start, serial};
use crate::pieces::SERIAL_FLOPS;
use crate::scratch::scratch;
use crate::shared::Shared;
use rayon::prelude::*;
use std::ops::Range;

/// Images of fewer pixels are gathered.
const FEW: usize = 256;
/// Maps that a thread computes at once, of one group of images.
const SHARE: usize = 192;

/// Whether it is the way for a shape.
pub(super) fn fits(shape: &Shape) -> bool {
    shape.kernel == [1; 2] && shape.padding == [0; 2] && shape.groups == 1 && shape.channels.min(shape.filters) >= 8
}

/// How pixels are taken together.
#[derive(Clone, Copy)]
struct Pixels {
    batch: usize,
    /// Pixels of an image of the output.
    pixels: usize,
    /// Images that are taken together.
    images: usize,
    is_gathered: bool,
}

impl Pixels {
    fn of(shape: &Shape) -> Pixels {
        let pixels = shape.output().iter().product::<usize>();
        let is_gathered = shape.stride != [1; 2] || pixels < FEW;
        let images = if is_gathered { (FEW / pixels.max(1)).clamp(1, shape.batch.max(1)) } else { 1 };
        Pixels { batch: shape.batch, pixels, images, is_gathered }
    }

    fn groups(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (batch, images) = (self.batch, self.images);
        (0..batch).step_by(images).map(move |first| first..(first + images).min(batch))
    }
}

/// Does something for each group of images and each share of so many maps.
fn for_each(shape: &Shape, pixels: Pixels, maps: usize, work: impl Fn(Range<usize>, Range<usize>) + Sync + Send) {
    let shares = |images: Range<usize>| (0..maps).step_by(SHARE).map(move |first| (images.clone(), first..(first + SHARE).min(maps)));
    let parts: Vec<(Range<usize>, Range<usize>)> = pixels.groups().flat_map(shares).collect();
    match shape.flops() < SERIAL_FLOPS {
        true => parts.into_iter().for_each(|(images, maps)| work(images, maps)),
        false => parts.into_par_iter().for_each(|(images, maps)| work(images, maps)),
    }
}

/// `y = x * weight + bias`.
pub(super) fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    let level = Level::current();
    let pixels = Pixels::of(shape);
    let (y, count) = (Shared::new(y), pixels.pixels);
    let weight = Matrix::new(weight, shape.filters, shape.channels);
    for_each(shape, pixels, shape.filters, |images, maps| {
        let a = weight.rows(maps.clone());
        inputs(shape, pixels, x, images.clone(), |b| {
            outputs(y, shape.filters, count, pixels.is_gathered, images.clone(), maps.clone(), |c| {
                let stride = images.len() * count;
                serial(level, a, b, Start::Zero, c, stride);
                if let Some(bias) = bias {
                    for (line, bias) in c.chunks_exact_mut(stride).zip(&bias[maps.clone()]) {
                        line.iter_mut().for_each(|value| *value += bias);
                    }
                }
            });
        });
    });
}

/// `dx` from `dy`.
pub(super) fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    let level = Level::current();
    let pixels = Pixels::of(shape);
    let count = pixels.pixels;
    if shape.stride != [1; 2] {
        dx.fill(0.0);
    }
    let dx = Shared::new(dx);
    let weight = Matrix::new(weight, shape.filters, shape.channels).transposed();
    for_each(shape, pixels, shape.channels, |images, maps| {
        let a = weight.rows(maps.clone());
        let stride = images.len() * count;
        maps_of(dy, shape.filters, count, pixels.is_gathered, images.clone(), |b| match shape.stride {
            [1, 1] => outputs(dx, shape.channels, count, pixels.is_gathered, images.clone(), maps.clone(), |c| {
                serial(level, a, b, Start::Zero, c, stride);
            }),
            _ => scratch(maps.len() * stride, |c| {
                serial(level, a, b, Start::Zero, c, stride);
                for (map, line) in maps.clone().zip(c.chunks_exact(stride)) {
                    for (image, line) in images.clone().zip(line.chunks_exact(count)) {
                        let start = (image * shape.channels + map) * shape.height * shape.width;
                        // SAFETY: every map of every image is in one part.
                        spread(shape, line, unsafe { dx.part(start..start + shape.height * shape.width) });
                    }
                }
            }),
        });
    });
}

/// Pieces that a batch is cut into, each with sums of its own.
const PIECES: usize = 4;
/// With more weights than this, tiles of them are enough to share.
const WEIGHTS_MAX: usize = 1 << 16;

/// `dw` from `x` and `dy`. Sums over images are added in their order.
pub(super) fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let level = Level::current();
    let pixels = Pixels::of(shape);
    let (groups, channels) = (pixels.groups().collect::<Vec<_>>(), shape.channels);
    let pieces = if dw.len() > WEIGHTS_MAX { 1 } else { PIECES.min(groups.len()).max(1) };
    let each = groups.len().div_ceil(pieces).max(1);
    let len = dw.len();
    scratch(pieces * len, |sums| {
        let shared = Shared::new(sums);
        let parts: Vec<(usize, usize)> =
            (0..pieces).flat_map(|piece| (0..shape.filters).step_by(SHARE).map(move |map| (piece, map))).collect();
        let work = |(piece, first): (usize, usize)| {
            let maps = first..(first + SHARE).min(shape.filters);
            // SAFETY: every share of every piece is a part of its own.
            let to = unsafe { shared.part(piece * len + maps.start * channels..piece * len + maps.end * channels) };
            let mut start = Start::Zero;
            for images in groups.iter().skip(piece * each).take(each) {
                maps_of(dy, shape.filters, pixels.pixels, pixels.is_gathered, images.clone(), |a| {
                    inputs(shape, pixels, x, images.clone(), |b| serial(level, a.rows(maps.clone()), b.transposed(), start, to, channels));
                });
                start = Start::Keep;
            }
            if matches!(start, Start::Zero) {
                to.fill(0.0);
            }
        };
        match shape.flops() < SERIAL_FLOPS {
            true => parts.into_iter().for_each(work),
            false => parts.into_par_iter().for_each(work),
        }
        dw.copy_from_slice(&sums[..len]);
        for sums in sums.chunks_exact(len).skip(1) {
            dw.iter_mut().zip(sums).for_each(|(to, from)| *to += from);
        }
    });
}

/// Lends the inputs of some images that kernels meet, as a matrix of channels and pixels.
fn inputs(shape: &Shape, pixels: Pixels, x: &[f32], images: Range<usize>, work: impl FnOnce(Matrix<'_>)) {
    if shape.stride == [1; 2] {
        return maps_of(x, shape.channels, pixels.pixels, pixels.is_gathered, images, work);
    }
    let (count, plane) = (pixels.pixels, shape.height * shape.width);
    let wide = images.len() * count;
    scratch(shape.channels * wide, |gathered| {
        for (channel, line) in gathered.chunks_exact_mut(wide.max(1)).enumerate() {
            for (image, line) in images.clone().zip(line.chunks_exact_mut(count)) {
                pick(shape, &x[(image * shape.channels + channel) * plane..][..plane], line);
            }
        }
        work(Matrix::new(gathered, shape.channels, wide));
    });
}

/// Lends the maps of some images as a matrix of maps and pixels.
fn maps_of(values: &[f32], maps: usize, count: usize, is_gathered: bool, images: Range<usize>, work: impl FnOnce(Matrix<'_>)) {
    if !is_gathered {
        return work(Matrix::new(&values[images.start * maps * count..images.end * maps * count], maps, count));
    }
    let wide = images.len() * count;
    scratch(maps * wide, |gathered| {
        for (map, line) in gathered.chunks_exact_mut(wide.max(1)).enumerate() {
            for (image, line) in images.clone().zip(line.chunks_exact_mut(count)) {
                line.copy_from_slice(&values[(image * maps + map) * count..][..count]);
            }
        }
        work(Matrix::new(gathered, maps, wide));
    });
}

/// Lends memory for some of the maps of some images, and puts what is written there into its places.
fn outputs(
    to: Shared<'_>,
    maps: usize,
    count: usize,
    is_gathered: bool,
    images: Range<usize>,
    some: Range<usize>,
    work: impl FnOnce(&mut [f32]),
) {
    if !is_gathered {
        let first = images.start * maps;
        // SAFETY: every map of every image is in one part.
        return work(unsafe { to.part((first + some.start) * count..(first + some.end) * count) });
    }
    let wide = images.len() * count;
    scratch(some.len() * wide, |gathered| {
        work(gathered);
        for (map, line) in some.clone().zip(gathered.chunks_exact(wide.max(1))) {
            for (image, line) in images.clone().zip(line.chunks_exact(count)) {
                let start = (image * maps + map) * count;
                // SAFETY: every map of every image is in one part.
                unsafe { to.part(start..start + count) }.copy_from_slice(line);
            }
        }
    });
}

/// Takes the pixels of a map that outputs meet.
fn pick(shape: &Shape, map: &[f32], to: &mut [f32]) {
    let [_, columns] = shape.output();
    for (row, line) in to.chunks_exact_mut(columns).enumerate() {
        let from = map[row * shape.stride[0] * shape.width..].iter().step_by(shape.stride[1]);
        line.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Puts them back.
fn spread(shape: &Shape, from: &[f32], map: &mut [f32]) {
    let [_, columns] = shape.output();
    for (row, line) in from.chunks_exact(columns).enumerate() {
        let to = map[row * shape.stride[0] * shape.width..].iter_mut().step_by(shape.stride[1]);
        to.zip(line).for_each(|(to, from)| *to = *from);
    }
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
            (batch, channels, filters) in (0..5usize, 8..40usize, 8..250usize),
            (height, width, down, across) in (1..20usize, 1..20usize, 1..3usize, 1..3usize),
        ) {
            let shape = Shape { height, width, stride: [down, across], ..square(batch, channels, height, filters, 1, 1, 0) };
            assert!(fits(&shape), "{shape:?}");
            check(shape);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        equal_for_threads(square(7, 24, 9, 40, 1, 1, 0));
        equal_for_threads(square(5, 64, 20, 300, 1, 2, 0));
    }
}
