//! All maps of a batch, shared among threads.

use super::motion::{Doubled, Halved, Motion, Out, Same, Slide};
use super::narrow::{DoubledHalves, HalvedHalves, Rows, Together, add_products_in_halves, add_products_together, in_halves};
use super::weights::add_products;
use crate::Level;
use crate::conv2d::Shape;
use crate::end::{End, end_row};
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::{PIECE, SERIAL_FLOPS};
use crate::team::each_part;

/// Whether convolutions of a shape are done here.
pub(in crate::conv2d) fn fits(shape: &Shape) -> bool {
    shape.groups == shape.channels
        && shape.filters > 0
        && shape.filters.is_multiple_of(shape.groups.max(1))
        && matches!(shape.kernel, [3, 3] | [5, 5] | [7, 7])
        && matches!(shape.stride, [1, 1] | [2, 2])
        && shape.dilation == [1, 1]
}

/// The largest kernel that slides over several rows in a register: it loads each number once for each of its rows, and a larger one does
/// better with half a register (7x7 on 7x7 maps: 1.04 ms against 0.72 ms).
const TOGETHER_MAX: usize = 3;

/// How maps that are written and maps that are read belong together. With one source for each map that is written, map `i` reads map
/// `i / sharing`; with more it reads as many as there are, `i * sources` the first of them. Each pair has a kernel of its own.
#[derive(Clone, Copy, Debug)]
struct Maps {
    slide: Slide,
    kernel: usize,
    way: Way,
    /// Whether kernels are turned by half a circle, which is the way back with a stride of 1.
    turned: bool,
    filters: usize,
    sharing: usize,
    sources: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Same,
    Together,
    Halved,
    HalvedHalves,
    Doubled,
    DoubledHalves,
}

/// As [`conv2d::forward`](crate::conv2d::forward).
pub(in crate::conv2d) fn forward(shape: &Shape, x: &[f32], weight: &[f32], end: End<'_>, y: &mut [f32]) {
    let (mut slide, kernel) = (slide(shape), shape.kernel[0]);
    let (level, narrow) = choose(shape, &mut slide, kernel <= TOGETHER_MAX);
    let way = match (shape.stride[0], narrow) {
        (1, false) => Way::Same,
        (1, true) => Way::Together,
        (_, false) => Way::Halved,
        (_, true) => Way::HalvedHalves,
    };
    let maps =
        Maps { slide, kernel, way, turned: false, filters: shape.filters, sharing: shape.filters / shape.channels.max(1), sources: 1 };
    run(level, shape, &maps, x, weight, end, y);
}

/// As [`conv2d::input_gradient`](crate::conv2d::input_gradient).
pub(in crate::conv2d) fn input_gradient(shape: &Shape, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
    shape.check([dx.len(), weight.len(), dy.len()]);
    let (Slide { from, to, padding, .. }, kernel) = (slide(shape), shape.kernel[0]);
    let turned = shape.stride[0] == 1;
    let padding = if turned { padding.map(|padding| kernel as isize - 1 - padding) } else { padding };
    let mut slide = Slide { from: to, to: from, padding, rows: None };
    let (level, narrow) = choose(shape, &mut slide, kernel <= TOGETHER_MAX);
    let way = match (turned, narrow) {
        (true, false) => Way::Same,
        (true, true) => Way::Together,
        (false, false) => Way::Doubled,
        (false, true) => Way::DoubledHalves,
    };
    let maps = Maps { slide, kernel, way, turned, filters: shape.filters, sharing: 1, sources: shape.filters / shape.channels.max(1) };
    run(level, shape, &maps, dy, weight, End::NOTHING, dx);
}

/// As [`conv2d::weight_gradient`](crate::conv2d::weight_gradient). A thread has some filters and adds images in their order.
pub(in crate::conv2d) fn weight_gradient(shape: &Shape, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    shape.check([x.len(), dw.len(), dy.len()]);
    if dw.is_empty() {
        return;
    }
    let mut slide = slide(shape);
    let (level, narrow) = choose(shape, &mut slide, true);
    let together = pieces(shape.batch * (shape.height * shape.width + slide.to[0] * slide.to[1]));
    let work = |number: usize, dw: &mut [f32]| kernels(level, shape, &slide, narrow, number * together, x, dy, dw);
    each_part(dw, together * shape.taps(), shape.flops() >= SERIAL_FLOPS, work);
}

fn slide(shape: &Shape) -> Slide {
    Slide { from: [shape.height, shape.width], to: shape.output(), padding: shape.padding.map(|padding| padding as isize), rows: None }
}

/// The level at which maps are worked on, and whether a register has several rows of them. Rows that fit into half a register of the
/// widest, alone, leave half of its work undone.
fn choose(shape: &Shape, slide: &mut Slide, together: bool) -> (Level, bool) {
    let level = Level::current();
    let columns = shape.output()[1];
    let narrow = match shape.stride[0] {
        1 => {
            slide.rows = together.then(|| Rows::new(slide, shape.kernel[0], level.lanes())).flatten();
            slide.rows.is_some()
        }
        _ => in_halves(shape.width, columns, slide.padding[1], level.lanes()),
    };
    match level {
        Level::Avx512 if !narrow && columns <= Level::Avx2.lanes() => (Level::Avx2, narrow),
        _ => (level, narrow),
    }
}

/// Maps of so many numbers that a thread takes at once.
fn pieces(numbers: usize) -> usize {
    PIECE.div_ceil(numbers.max(1))
}

fn run(level: Level, shape: &Shape, maps: &Maps, from: &[f32], weight: &[f32], end: End<'_>, to: &mut [f32]) {
    if to.is_empty() {
        return;
    }
    let Slide { to: [rows, columns], from: [height, width], .. } = maps.slide;
    let together = pieces(rows * columns + maps.sources * height * width / maps.sharing);
    let work = |number: usize, to: &mut [f32]| slide_all(level, maps, number * together, from, weight, end, to);
    each_part(to, together * rows * columns, shape.flops() >= SERIAL_FLOPS, work);
}

kernel! {
    /// Writes maps from a number on.
    fn slide_all<V>(maps: &Maps, first: usize, from: &[f32], weight: &[f32], end: End<'_>, to: &mut [f32]) {
        match (maps.kernel, maps.way) {
            (3, Way::Same) => each_map::<V, Same, 3>(maps, first, from, weight, end, to),
            (3, Way::Together) => each_map::<V, Together, 3>(maps, first, from, weight, end, to),
            (3, Way::Halved) => each_map::<V, Halved, 3>(maps, first, from, weight, end, to),
            (3, Way::HalvedHalves) => each_map::<V, HalvedHalves, 3>(maps, first, from, weight, end, to),
            (3, Way::Doubled) => each_map::<V, Doubled, 3>(maps, first, from, weight, end, to),
            (3, Way::DoubledHalves) => each_map::<V, DoubledHalves, 3>(maps, first, from, weight, end, to),
            (5, Way::Same) => each_map::<V, Same, 5>(maps, first, from, weight, end, to),
            (5, Way::Together) => each_map::<V, Together, 5>(maps, first, from, weight, end, to),
            (5, Way::Halved) => each_map::<V, Halved, 5>(maps, first, from, weight, end, to),
            (5, Way::HalvedHalves) => each_map::<V, HalvedHalves, 5>(maps, first, from, weight, end, to),
            (5, Way::Doubled) => each_map::<V, Doubled, 5>(maps, first, from, weight, end, to),
            (5, Way::DoubledHalves) => each_map::<V, DoubledHalves, 5>(maps, first, from, weight, end, to),
            (7, Way::Same) => each_map::<V, Same, 7>(maps, first, from, weight, end, to),
            (7, Way::Together) => each_map::<V, Together, 7>(maps, first, from, weight, end, to),
            (7, Way::Halved) => each_map::<V, Halved, 7>(maps, first, from, weight, end, to),
            (7, Way::HalvedHalves) => each_map::<V, HalvedHalves, 7>(maps, first, from, weight, end, to),
            (7, Way::Doubled) => each_map::<V, Doubled, 7>(maps, first, from, weight, end, to),
            (7, Way::DoubledHalves) => each_map::<V, DoubledHalves, 7>(maps, first, from, weight, end, to),
            (kernel, _) => unreachable!("kernels of {kernel} are not done here"),
        }
    }
}

#[inline(always)]
fn each_map<V: Lanes, M: Motion, const K: usize>(maps: &Maps, first: usize, from: &[f32], weight: &[f32], end: End<'_>, to: &mut [f32]) {
    let Slide { from: [height, width], to: [rows, columns], .. } = maps.slide;
    let [low, high] = end.range_before_added();
    let range = [V::splat(low), V::splat(high)];
    for (place, to) in to.chunks_exact_mut(rows * columns).enumerate() {
        let number = first + place;
        for source in 0..maps.sources {
            let read = number / maps.sharing * maps.sources + source;
            let filter = (number * maps.sources + source) % maps.filters;
            let from = &from[read * height * width..][..height * width];
            let (kernel, line) = (&weight[filter * K * K..][..K * K], end.line(filter));
            let mut weights = [[V::splat(0.0); K]; K];
            for ky in 0..K {
                for kx in 0..K {
                    let tap = ky * K + kx;
                    weights[ky][kx] = V::splat(kernel[if maps.turned { K * K - 1 - tap } else { tap }] * line.scale);
                }
            }
            let out = Out { start: V::splat(line.shift), adds: source > 0, range };
            // SAFETY: both slices are as long as their maps.
            unsafe { M::slide::<V, K>(&maps.slide, from.as_ptr(), &weights, out, to.as_mut_ptr()) };
        }
        if let Some(added) = end.added(number * rows * columns..(number + 1) * rows * columns) {
            let start = to.as_mut_ptr();
            // SAFETY: both are as long as a map.
            unsafe { end_row::<V>(end.rest(), start, Some(added.as_ptr()), start, rows * columns) };
        }
    }
}

kernel! {
    /// Gradients of kernels from a number on.
    fn kernels<V>(shape: &Shape, slide: &Slide, narrow: bool, first: usize, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        match (shape.kernel[0], shape.stride[0]) {
            (3, 1) => each_kernel::<V, 3, 1>(shape, slide, narrow, first, x, dy, dw),
            (3, _) => each_kernel::<V, 3, 2>(shape, slide, narrow, first, x, dy, dw),
            (5, 1) => each_kernel::<V, 5, 1>(shape, slide, narrow, first, x, dy, dw),
            (5, _) => each_kernel::<V, 5, 2>(shape, slide, narrow, first, x, dy, dw),
            (7, 1) => each_kernel::<V, 7, 1>(shape, slide, narrow, first, x, dy, dw),
            (7, _) => each_kernel::<V, 7, 2>(shape, slide, narrow, first, x, dy, dw),
            (kernel, _) => unreachable!("kernels of {kernel} are not done here"),
        }
    }
}

#[inline(always)]
fn each_kernel<V: Lanes, const K: usize, const STEP: usize>(
    shape: &Shape,
    slide: &Slide,
    narrow: bool,
    first: usize,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    let (pixels, gradients) = (shape.height * shape.width, slide.to[0] * slide.to[1]);
    for (place, dw) in dw.chunks_exact_mut(K * K).enumerate() {
        let filter = first + place;
        let channel = filter / (shape.filters / shape.channels);
        let mut sums = [[V::splat(0.0); K]; K];
        for image in 0..shape.batch {
            let x = &x[(image * shape.channels + channel) * pixels..][..pixels];
            let dy = &dy[(image * shape.filters + filter) * gradients..][..gradients];
            let (x, dy) = (x.as_ptr(), dy.as_ptr());
            // SAFETY: both slices are as long as their maps.
            unsafe {
                match (narrow, &slide.rows) {
                    (true, Some(rows)) if STEP == 1 => add_products_together(slide, rows, x, dy, &mut sums),
                    (true, _) if STEP == 2 => add_products_in_halves(slide, x, dy, &mut sums),
                    _ => add_products::<V, K, STEP>(slide, x, dy, &mut sums),
                }
            }
        }
        for (dw, sum) in dw.iter_mut().zip(sums.as_flattened()) {
            *dw = sum.sum();
        }
    }
}
