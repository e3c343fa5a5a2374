//! All maps of a batch, shared among threads.

use super::motion::{Doubled, Halved, Motion, Same, Slide};
use super::weights::add_products;
use crate::Level;
use crate::conv2d::Shape;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::{PIECE, SERIAL_FLOPS};
use rayon::prelude::*;

/// Whether convolutions of a shape are done here.
pub(in crate::conv2d) fn applies(shape: &Shape) -> bool {
    shape.groups == shape.channels
        && shape.filters.is_multiple_of(shape.groups.max(1))
        && matches!(shape.kernel, [3, 3] | [5, 5] | [7, 7])
        && matches!(shape.stride, [1, 1] | [2, 2])
        && shape.dilation == [1, 1]
}

/// How maps that are written and maps that are read belong together. With one source for each map that is written, map `i` reads map
/// `i / sharing`; with more it reads as many as there are, `i * sources` the first of them. Each pair has a kernel of its own.
#[derive(Clone, Copy, Debug)]
struct Maps {
    slide: Slide,
    kernel: usize,
    way: Way,
    filters: usize,
    sharing: usize,
    sources: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Same,
    /// One step at a time with the kernel turned by half a circle, which is the way back from `Same`.
    Turned,
    Halved,
    Doubled,
}

/// As [`conv2d::forward`](crate::conv2d::forward).
pub(in crate::conv2d) fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
    shape.check([x.len(), weight.len(), y.len()]);
    assert!(bias.is_none_or(|bias| bias.len() == shape.filters), "one bias a filter");
    let maps = Maps {
        slide: slide(shape),
        kernel: shape.kernel[0],
        way: if shape.stride[0] == 1 { Way::Same } else { Way::Halved },
        filters: shape.filters,
        sharing: shape.filters / shape.channels.max(1),
        sources: 1,
    };
    run(shape, &maps, x, weight, bias, y);
}

/// As [`conv2d::input_gradient`](crate::conv2d::input_gradient).
pub(in crate::conv2d) fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    shape.check([dx.len(), weight.len(), dy.len()]);
    let Slide { from, to, padding } = slide(shape);
    let kernel = shape.kernel[0];
    let (way, padding) = match shape.stride[0] {
        1 => (Way::Turned, padding.map(|padding| kernel as isize - 1 - padding)),
        _ => (Way::Doubled, padding),
    };
    let slide = Slide { from: to, to: from, padding };
    let maps = Maps { slide, kernel, way, filters: shape.filters, sharing: 1, sources: shape.filters / shape.channels.max(1) };
    run(shape, &maps, dy, weight, None, dx);
}

/// As [`conv2d::weight_gradient`](crate::conv2d::weight_gradient). A thread has some filters and adds images in their order.
pub(in crate::conv2d) fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check([x.len(), dw.len(), dy.len()]);
    if dw.is_empty() {
        return;
    }
    let level = level(shape.output()[1]);
    let taps = shape.taps();
    let together = pieces(shape.batch * (dy.len() + x.len()) / (shape.batch * shape.filters).max(1));
    let work = |(number, dw): (usize, &mut [f32])| kernels(level, shape, number * together, x, dy, dw);
    match shape.flops() < SERIAL_FLOPS {
        true => work((0, dw)),
        false => dw.par_chunks_mut(together * taps).enumerate().for_each(work),
    }
}

fn slide(shape: &Shape) -> Slide {
    Slide { from: [shape.height, shape.width], to: shape.output(), padding: shape.padding.map(|padding| padding as isize) }
}

/// The level at which rows are worked on: those that fit into half a register of the widest leave half of its work undone.
fn level(columns: usize) -> Level {
    match Level::current() {
        Level::Avx512 if columns <= Level::Avx2.lanes() => Level::Avx2,
        level => level,
    }
}

/// Maps of so many numbers that a thread takes at once.
fn pieces(numbers: usize) -> usize {
    PIECE.div_ceil(numbers.max(1))
}

fn run(shape: &Shape, maps: &Maps, from: &[f32], weight: &[f32], bias: Option<&[f32]>, to: &mut [f32]) {
    if to.is_empty() {
        return;
    }
    let Slide { to: [rows, columns], from: [height, width], .. } = maps.slide;
    // A register goes over two columns of the larger map with a stride of 2.
    let level = level(columns.min(width));
    let together = pieces(rows * columns + maps.sources * height * width / maps.sharing);
    let work = |(number, to): (usize, &mut [f32])| slide_all(level, maps, number * together, from, weight, bias, to);
    match shape.flops() < SERIAL_FLOPS {
        true => work((0, to)),
        false => to.par_chunks_mut(together * rows * columns).enumerate().for_each(work),
    }
}

kernel! {
    /// Writes maps from a number on.
    fn slide_all<V>(maps: &Maps, first: usize, from: &[f32], weight: &[f32], bias: Option<&[f32]>, to: &mut [f32]) {
        match (maps.kernel, maps.way) {
            (3, Way::Same | Way::Turned) => each_map::<V, Same, 3>(maps, first, from, weight, bias, to),
            (3, Way::Halved) => each_map::<V, Halved, 3>(maps, first, from, weight, bias, to),
            (3, Way::Doubled) => each_map::<V, Doubled, 3>(maps, first, from, weight, bias, to),
            (5, Way::Same | Way::Turned) => each_map::<V, Same, 5>(maps, first, from, weight, bias, to),
            (5, Way::Halved) => each_map::<V, Halved, 5>(maps, first, from, weight, bias, to),
            (5, Way::Doubled) => each_map::<V, Doubled, 5>(maps, first, from, weight, bias, to),
            (7, Way::Same | Way::Turned) => each_map::<V, Same, 7>(maps, first, from, weight, bias, to),
            (7, Way::Halved) => each_map::<V, Halved, 7>(maps, first, from, weight, bias, to),
            (7, Way::Doubled) => each_map::<V, Doubled, 7>(maps, first, from, weight, bias, to),
            (kernel, _) => unreachable!("kernels of {kernel} are not done here"),
        }
    }
}

#[inline(always)]
fn each_map<V: Lanes, M: Motion, const K: usize>(
    maps: &Maps,
    first: usize,
    from: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    to: &mut [f32],
) {
    let Slide { from: [height, width], to: [rows, columns], .. } = maps.slide;
    for (place, to) in to.chunks_exact_mut(rows * columns).enumerate() {
        let number = first + place;
        for source in 0..maps.sources {
            let read = number / maps.sharing * maps.sources + source;
            let filter = (number * maps.sources + source) % maps.filters;
            let from = &from[read * height * width..][..height * width];
            let kernel = &weight[filter * K * K..][..K * K];
            let mut weights = [[V::splat(0.0); K]; K];
            for ky in 0..K {
                for kx in 0..K {
                    let tap = ky * K + kx;
                    weights[ky][kx] = V::splat(kernel[if maps.way == Way::Turned { K * K - 1 - tap } else { tap }]);
                }
            }
            let start = V::splat(bias.map_or(0.0, |bias| bias[filter]));
            // SAFETY: both slices are as long as their maps.
            unsafe { M::slide::<V, K>(&maps.slide, from.as_ptr(), &weights, start, source > 0, to.as_mut_ptr()) };
        }
    }
}

kernel! {
    /// Gradients of kernels from a number on.
    fn kernels<V>(shape: &Shape, first: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        match (shape.kernel[0], shape.stride[0]) {
            (3, 1) => each_kernel::<V, 3, 1>(shape, first, x, dy, dw),
            (3, _) => each_kernel::<V, 3, 2>(shape, first, x, dy, dw),
            (5, 1) => each_kernel::<V, 5, 1>(shape, first, x, dy, dw),
            (5, _) => each_kernel::<V, 5, 2>(shape, first, x, dy, dw),
            (7, 1) => each_kernel::<V, 7, 1>(shape, first, x, dy, dw),
            (7, _) => each_kernel::<V, 7, 2>(shape, first, x, dy, dw),
            (kernel, _) => unreachable!("kernels of {kernel} are not done here"),
        }
    }
}

#[inline(always)]
fn each_kernel<V: Lanes, const K: usize, const STEP: usize>(shape: &Shape, first: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let slide = slide(shape);
    let (pixels, gradients) = (shape.height * shape.width, slide.to[0] * slide.to[1]);
    for (place, dw) in dw.chunks_exact_mut(K * K).enumerate() {
        let filter = first + place;
        let channel = filter / (shape.filters / shape.channels);
        let mut sums = [[V::splat(0.0); K]; K];
        for image in 0..shape.batch {
            let x = &x[(image * shape.channels + channel) * pixels..][..pixels];
            let dy = &dy[(image * shape.filters + filter) * gradients..][..gradients];
            // SAFETY: both slices are as long as their maps.
            unsafe { add_products::<V, K, STEP>(&slide, x.as_ptr(), dy.as_ptr(), &mut sums) };
        }
        for (dw, sum) in dw.iter_mut().zip(sums.as_flattened()) {
            *dw = sum.sum();
        }
    }
}
