//! Convolution with 1x1 kernels and stride 1: products of matrices, an image's maps being the rows of one of them. Images of few pixels are left
//! to `columns`, which takes some together.

use super::shape::Shape;
use crate::Level;
use crate::end::End;
use crate::matmul::{Corner, Matrix, Start, cut, serial, tile};
use crate::pieces::{PIECE, SERIAL_FLOPS};
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::{each_of, each_part};
use std::ops::Range;

/// Parts that a batch is cut into, if there is so much to do.
const PARTS: usize = 8;

/// Whether it is the way for a shape.
pub(super) fn fits(shape: &Shape) -> bool {
    shape.is_pointwise() && shape.channels.min(shape.filters) >= 8
}

/// The maps of an image as a matrix.
fn maps_of(values: &[f32], image: usize, maps: usize, pixels: usize) -> Matrix<'_> {
    Matrix::new(&values[image * maps * pixels..][..maps * pixels], maps, pixels)
}

/// `y = x * weight`, ended.
pub(super) fn forward(shape: &Shape, x: &[f32], weight: &[f32], end: End<'_>, y: &mut [f32]) {
    multiply(shape, Matrix::new(weight, shape.filters, shape.channels), x, end, y);
}

/// Whether it is the way for 1x1 kernels that leave pixels out: those that are left are copied together first, unless they are so few that images
/// are better taken together.
pub(super) fn fits_apart(shape: &Shape) -> bool {
    let pixels = shape.output().iter().product::<usize>();
    let is_apart = shape.kernel == [1; 2] && shape.stride != [1; 2] && shape.padding == [0; 2] && shape.groups == 1;
    is_apart && pixels > super::columns::FEW && shape.channels.min(shape.filters) >= 8
}

/// As [`forward`], where pixels are left out.
pub(super) fn forward_apart(shape: &Shape, x: &[f32], weight: &[f32], end: End<'_>, y: &mut [f32]) {
    let [rows, columns] = shape.output();
    let pixels = rows * columns;
    let near = Shape { batch: 1, height: rows, width: columns, stride: [1; 2], ..*shape };
    scratch(shape.channels * pixels, |dense| {
        for image in 0..shape.batch {
            let x = maps_of(x, image, shape.channels, shape.height * shape.width);
            each_part(dense, pixels, pixels * shape.channels >= PIECE, |channel, to| {
                let map = x.rows(channel..channel + 1).values;
                for (row, to) in to.chunks_exact_mut(columns).enumerate() {
                    let from = map[row * shape.stride[0] * shape.width..].iter().step_by(shape.stride[1]);
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                }
            });
            let outputs = image * shape.filters * pixels..(image + 1) * shape.filters * pixels;
            forward(&near, dense, weight, end.part(0..shape.filters, outputs.clone()), &mut y[outputs]);
        }
    });
}

/// `dx` from `dy`.
pub(super) fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    multiply(shape, Matrix::new(weight, shape.filters, shape.channels).transposed(), dy, End::NOTHING, dx);
}

/// Maps of each image are `weight` times those of `x`.
fn multiply(shape: &Shape, weight: Matrix<'_>, x: &[f32], end: End<'_>, y: &mut [f32]) {
    let (level, pixels, y) = (Level::current(), shape.height * shape.width, Shared::new(y));
    let parts = PARTS.min((shape.flops() / (2 * SERIAL_FLOPS)) as usize).div_ceil(shape.batch.max(1));
    let [tall, wide] = cut(&weight, pixels, parts.max(1));
    let of_image = |image: usize| {
        let across = move |map: usize| (0..pixels).step_by(wide).map(move |pixel| (image, map, pixel));
        (0..weight.rows).step_by(tall).flat_map(across)
    };
    let tiles: Vec<(usize, usize, usize)> = (0..shape.batch).flat_map(of_image).collect();
    let work = |&(image, map, pixel): &(usize, usize, usize)| {
        let maps = weight.rows(map..(map + tall).min(weight.rows));
        let x = maps_of(x, image, weight.columns, pixels).part(0..weight.columns, pixel..(pixel + wide).min(pixels));
        let corner = Corner { c: y, first: (image * weight.rows + map) * pixels + pixel, stride: pixels, map, end };
        tile(level, maps, x, Start::Zero, corner);
    };
    each_of(&tiles, shape.flops() >= SERIAL_FLOPS, work);
}

/// Pieces that a batch is cut into, each with sums of its own.
const PIECES: usize = 4;
/// Maps that a thread computes at once, of one piece.
const SHARE: usize = 192;
/// With more weights than this, shares of them are enough.
const WEIGHTS_MAX: usize = 1 << 16;

/// `dw` from `x` and `dy`. Sums over images are added in their order.
pub(super) fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    if shape.batch == 0 {
        return dw.fill(0.0);
    }
    let (level, pixels, channels, len) = (Level::current(), shape.height * shape.width, shape.channels, dw.len());
    let pieces = if len > WEIGHTS_MAX { 1 } else { PIECES.min(shape.batch) };
    let each = shape.batch.div_ceil(pieces);
    let pieces = shape.batch.div_ceil(each);
    scratch(pieces * len, |sums| {
        let shared = Shared::new(sums);
        let shares = |piece: usize| (0..shape.filters).step_by(SHARE).map(move |first| (piece, first..(first + SHARE).min(shape.filters)));
        let all: Vec<(usize, Range<usize>)> = (0..pieces).flat_map(shares).collect();
        let work = |(piece, maps): &(usize, Range<usize>)| {
            // SAFETY: every share of every piece is a part of its own.
            let to = unsafe { shared.part(piece * len + maps.start * channels..piece * len + maps.end * channels) };
            for image in piece * each..((piece + 1) * each).min(shape.batch) {
                let start = if image == piece * each { Start::Zero } else { Start::Keep };
                let a = maps_of(dy, image, shape.filters, pixels).rows(maps.clone());
                serial(level, a, maps_of(x, image, channels, pixels).transposed(), start, to, channels);
            }
        };
        each_of(&all, shape.flops() >= SERIAL_FLOPS, work);
        dw.copy_from_slice(&sums[..len]);
        for sums in sums.chunks_exact(len).skip(1) {
            dw.iter_mut().zip(sums).for_each(|(to, from)| *to += from);
        }
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
            (batch, channels, filters) in (0..5usize, 8..40usize, 8..250usize),
            (height, width) in (1..20usize, 1..20usize),
        ) {
            let shape = Shape { height, width, ..square(batch, channels, height, filters, 1, 1, 0) };
            assert!(fits(&shape), "{shape:?}");
            check(shape);
        }
    }

    #[test]
    fn threads_change_no_bit() {
        equal_for_threads(square(7, 24, 9, 40, 1, 1, 0));
        equal_for_threads(square(5, 64, 20, 300, 1, 1, 0));
    }
}
