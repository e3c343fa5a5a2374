//! Layer normalisation (Ba, Kiros, Hinton: "Layer normalization", 2016) and RMS normalisation (Zhang, Sennrich: "Root mean square layer
//! normalization", NeurIPS 2019) of the last axis of `[rows, width]`, with the sum of a residual connection before it on demand.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::PIECE;
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::each;
use std::ops::Range;

/// Sides of the tensor, and what is taken off.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shape {
    /// Each with statistics of its own.
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
    /// Whether the mean is taken off (layer norm) or not (RMS norm).
    pub centred: bool,
    /// What is added to the mean square before its root is taken.
    pub epsilon: f32,
}

/// What the backward pass needs, one number a row.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Statistics {
    /// What was taken off: the mean, or 0.
    pub mean: Vec<f32>,
    /// One over the root of the mean square of what was left, and epsilon.
    pub inverse: Vec<f32>,
}

impl Shape {
    fn len(&self) -> usize {
        self.rows * self.width
    }

    /// Rows of a piece when each row is done with at once.
    fn some_rows(&self) -> usize {
        (PIECE / self.width.max(1)).max(1)
    }

    /// Rows of a piece that has sums of its own: not too many pieces, for their sums have to be added, and not too few for the threads.
    fn many_rows(&self) -> usize {
        self.some_rows().max(self.rows.div_ceil(PIECES)).next_multiple_of(TOGETHER)
    }

    /// Calls `work` with each piece's rows.
    fn for_each_piece(&self, piece: usize, work: impl Fn(usize, Range<usize>) + Sync) {
        let rows = self.rows;
        let work = |number: usize| work(number, number * piece..((number + 1) * piece).min(rows));
        each(rows.div_ceil(piece), self.len() > 2 * PIECE, work);
    }
}

/// Pieces with sums of their own.
const PIECES: usize = 64;
/// Rows whose parts of the weight's gradient are added at once.
const TOGETHER: usize = 4;

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` of each row; without centre `y = x / sqrt(mean(x^2) + epsilon) * weight +
/// bias`.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn forward(shape: &Shape, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) -> Statistics {
    assert_eq!([x.len(), y.len()], [shape.len(); 2], "tensors are as long as {shape:?} says");
    normalise(shape, x, None, weight, bias, y)
}

/// The same of `sum = x + residual`, which is given back too.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn forward_sum(
    shape: &Shape,
    [x, residual]: [&[f32]; 2],
    weight: &[f32],
    bias: Option<&[f32]>,
    sum: &mut [f32],
    y: &mut [f32],
) -> Statistics {
    assert_eq!([x.len(), residual.len(), sum.len(), y.len()], [shape.len(); 4], "tensors are as long as {shape:?} says");
    normalise(shape, x, Some((residual, sum)), weight, bias, y)
}

fn normalise(
    shape: &Shape,
    x: &[f32],
    residual: Option<(&[f32], &mut [f32])>,
    weight: &[f32],
    bias: Option<&[f32]>,
    y: &mut [f32],
) -> Statistics {
    let Shape { rows, width, .. } = *shape;
    assert!(weight.len() == width && bias.is_none_or(|bias| bias.len() == width), "one weight and one bias for each number of a row");
    let level = Level::current();
    let mut found = Statistics { mean: vec![0.0; rows], inverse: vec![0.0; rows] };
    let (mean, inverse, y) = (Shared::new(&mut found.mean), Shared::new(&mut found.inverse), Shared::new(y));
    let residual = residual.map(|(residual, sum)| (residual, Shared::new(sum)));
    shape.for_each_piece(shape.some_rows(), |_, rows| {
        let place = rows.start * width..rows.end * width;
        // SAFETY: pieces share no row.
        let [mean, inverse, y] = unsafe { [mean.part(rows.clone()), inverse.part(rows), y.part(place.clone())] };
        // SAFETY: as above.
        let residual = residual.map(|(residual, sum)| unsafe { (&residual[place.clone()], sum.part(place.clone())) });
        norm_rows(level, shape, &x[place], residual, weight, bias, y, mean, inverse);
    });
    found
}

/// Gradients of `x` (of the sum, if there was one; then `carried` is what reaches it past the normalisation, and is added), of the weight
/// and of the bias. Sums over rows are those of fixed pieces, added in order.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn backward(
    shape: &Shape,
    x: &[f32],
    statistics: &Statistics,
    weight: &[f32],
    dy: &[f32],
    carried: Option<&[f32]>,
    dx: &mut [f32],
    dweight: &mut [f32],
    dbias: Option<&mut [f32]>,
) {
    let Shape { rows, width, .. } = *shape;
    assert_eq!([x.len(), dy.len(), dx.len()], [shape.len(); 3], "tensors are as long as {shape:?} says");
    assert!(carried.is_none_or(|carried| carried.len() == shape.len()), "what is carried on is as long as {shape:?} says");
    assert_eq!([statistics.mean.len(), statistics.inverse.len()], [rows; 2], "statistics of each row");
    assert_eq!([weight.len(), dweight.len()], [width; 2], "one weight for each number of a row");
    assert!(dbias.as_ref().is_none_or(|dbias| dbias.len() == width), "one bias for each number of a row");
    let level = Level::current();
    let piece = shape.many_rows();
    let pieces = rows.div_ceil(piece);
    let dx = Shared::new(dx);
    scratch(pieces * 2 * width, |sums| {
        let parts = Shared::new(sums);
        shape.for_each_piece(piece, |number, rows| {
            let place = rows.start * width..rows.end * width;
            // SAFETY: pieces share no row, and each has its own sums.
            let (dx, sums) = unsafe { (dx.part(place.clone()), parts.part(number * 2 * width..(number + 1) * 2 * width)) };
            let (mean, inverse) = (&statistics.mean[rows.clone()], &statistics.inverse[rows]);
            let carried = carried.map(|carried| &carried[place.clone()]);
            blame_rows(level, shape, &x[place.clone()], mean, inverse, weight, &dy[place], carried, dx, sums);
        });
        dweight.fill(0.0);
        let mut dbias = dbias;
        if let Some(dbias) = &mut dbias {
            dbias.fill(0.0);
        }
        for sums in sums.chunks_exact((2 * width).max(1)) {
            dweight.iter_mut().zip(&sums[..width]).for_each(|(to, sum)| *to += sum);
            if let Some(dbias) = &mut dbias {
                dbias.iter_mut().zip(&sums[width..]).for_each(|(to, sum)| *to += sum);
            }
        }
    });
}

kernel! {
    fn norm_rows<V>(
        shape: &Shape, x: &[f32], residual: Option<(&[f32], &mut [f32])>, weight: &[f32], bias: Option<&[f32]>, y: &mut [f32],
        mean: &mut [f32], inverse: &mut [f32]
    ) {
        let mut residual = residual;
        let Shape { width, centred, epsilon, .. } = *shape;
        for row in 0..mean.len() {
            let place = row * width..(row + 1) * width;
            let y = &mut y[place.clone()];
            let x = match &mut residual {
                None => &x[place],
                Some((residual, sum)) => {
                    add_row::<V>(&x[place.clone()], &residual[place.clone()], &mut sum[place.clone()]);
                    &sum[place]
                }
            };
            let (middle, variance) = if centred { moments::<V>(x) } else { (0.0, mean_square::<V>(x)) };
            let scale = 1.0 / (variance + epsilon).sqrt();
            (mean[row], inverse[row]) = (middle, scale);
            let (middle, scale) = (V::splat(middle), V::splat(scale));
            let whole = width / V::N * V::N;
            match bias {
                Some(bias) => {
                    for i in (0..whole).step_by(V::N) {
                        let value = V::load(&x[i..]).sub(middle).mul(scale);
                        value.mul_add(V::load(&weight[i..]), V::load(&bias[i..])).store(&mut y[i..]);
                    }
                    let rest = V::load_part(&x[whole..], 0.0).sub(middle).mul(scale);
                    rest.mul_add(V::load_part(&weight[whole..], 0.0), V::load_part(&bias[whole..], 0.0)).store_part(&mut y[whole..]);
                }
                None => {
                    for i in (0..whole).step_by(V::N) {
                        V::load(&x[i..]).sub(middle).mul(scale).mul(V::load(&weight[i..])).store(&mut y[i..]);
                    }
                    let rest = V::load_part(&x[whole..], 0.0).sub(middle).mul(scale);
                    rest.mul(V::load_part(&weight[whole..], 0.0)).store_part(&mut y[whole..]);
                }
            }
        }
    }
}

#[inline(always)]
fn add_row<V: Lanes>(x: &[f32], residual: &[f32], sum: &mut [f32]) {
    let whole = x.len() / V::N * V::N;
    for i in (0..whole).step_by(V::N) {
        V::load(&x[i..]).add(V::load(&residual[i..])).store(&mut sum[i..]);
    }
    V::load_part(&x[whole..], 0.0).add(V::load_part(&residual[whole..], 0.0)).store_part(&mut sum[whole..]);
}

/// Mean and biased variance of a row. Distances are taken from a first mean, whose rounding the second pass takes off again.
#[inline(always)]
fn moments<V: Lanes>(x: &[f32]) -> (f32, f32) {
    let count = x.len().max(1) as f32;
    let pairs = x.len() / (2 * V::N) * (2 * V::N);
    let mut sums = [V::splat(0.0); 2];
    for i in (0..pairs).step_by(2 * V::N) {
        sums[0] = sums[0].add(V::load(&x[i..]));
        sums[1] = sums[1].add(V::load(&x[i + V::N..]));
    }
    for i in (pairs..x.len()).step_by(V::N) {
        sums[0] = sums[0].add(V::load_part(&x[i..x.len().min(i + V::N)], 0.0));
    }
    let middle = sums[0].add(sums[1]).sum() / count;
    let (shift, mut apart, mut squares) = (V::splat(middle), [V::splat(0.0); 2], [V::splat(0.0); 2]);
    for i in (0..pairs).step_by(2 * V::N) {
        for half in 0..2 {
            let distance = V::load(&x[i + half * V::N..]).sub(shift);
            apart[half] = apart[half].add(distance);
            squares[half] = distance.mul_add(distance, squares[half]);
        }
    }
    for i in (pairs..x.len()).step_by(V::N) {
        let distance = V::load_part(&x[i..x.len().min(i + V::N)], middle).sub(shift);
        apart[0] = apart[0].add(distance);
        squares[0] = distance.mul_add(distance, squares[0]);
    }
    let apart = apart[0].add(apart[1]).sum() / count;
    let variance = squares[0].add(squares[1]).sum() / count - apart * apart;
    // Written so that what is no number stays none.
    (middle + apart, if variance < 0.0 { 0.0 } else { variance })
}

#[inline(always)]
fn mean_square<V: Lanes>(x: &[f32]) -> f32 {
    let whole = x.len() / V::N * V::N;
    let rest = V::load_part(&x[whole..], 0.0);
    let mut squares = rest.mul(rest);
    for i in (0..whole).step_by(V::N) {
        let value = V::load(&x[i..]);
        squares = value.mul_add(value, squares);
    }
    squares.sum() / x.len().max(1) as f32
}

kernel! {
    /// Gradients of some rows; `sums` are those of the weight and of the bias.
    fn blame_rows<V>(
        shape: &Shape, x: &[f32], mean: &[f32], inverse: &[f32], weight: &[f32], dy: &[f32], carried: Option<&[f32]>, dx: &mut [f32],
        sums: &mut [f32]
    ) {
        let width = shape.width;
        sums.fill(0.0);
        for first in (0..mean.len()).step_by(TOGETHER) {
            let some = TOGETHER.min(mean.len() - first);
            let mut lines = [Line { middle: V::splat(0.0), inverse: V::splat(0.0), slope: V::splat(0.0), shift: V::splat(0.0) }; TOGETHER];
            for r in 0..some {
                let row = first + r;
                let place = row * width..(row + 1) * width;
                lines[r] = line(shape, &x[place.clone()], mean[row], inverse[row], weight, &dy[place]);
            }
            let place = first * width..(first + some) * width;
            let (x, dy, dx) = (&x[place.clone()], &dy[place.clone()], &mut dx[place.clone()]);
            let carried = carried.map(|carried| &carried[place]);
            match some {
                TOGETHER => along_lines::<V, TOGETHER>(lines, x, weight, dy, carried, dx, sums),
                _ => {
                    for r in 0..some {
                        let place = r * width..(r + 1) * width;
                        let carried = carried.map(|carried| &carried[place.clone()]);
                        let mut one = lines;
                        one[0] = lines[r];
                        along_lines::<V, 1>(one, &x[place.clone()], weight, &dy[place.clone()], carried, &mut dx[place], sums);
                    }
                }
            }
        }
    }
}

/// The gradient of a row's `x` is `dy weight inverse + xhat slope + shift`, where xhat is `(x - middle) inverse`.
#[derive(Clone, Copy)]
struct Line<V> {
    middle: V,
    inverse: V,
    slope: V,
    shift: V,
}

#[inline(always)]
fn line<V: Lanes>(shape: &Shape, x: &[f32], mean: f32, inverse: f32, weight: &[f32], dy: &[f32]) -> Line<V> {
    let whole = x.len() / V::N * V::N;
    let (middle, scale) = (V::splat(mean), V::splat(inverse));
    let rest = V::load_part(&dy[whole..], 0.0).mul(V::load_part(&weight[whole..], 0.0));
    let mut sum = rest;
    let mut along = rest.mul(V::load_part(&x[whole..], mean).sub(middle));
    for i in (0..whole).step_by(V::N) {
        let dy = V::load(&dy[i..]).mul(V::load(&weight[i..]));
        sum = sum.add(dy);
        along = dy.mul_add(V::load(&x[i..]).sub(middle), along);
    }
    let share = inverse / x.len().max(1) as f32;
    let shift = if shape.centred { -sum.sum() * share } else { 0.0 };
    Line { middle, inverse: scale, slope: V::splat(-along.sum() * inverse * share), shift: V::splat(shift) }
}

#[inline(always)]
fn along_lines<V: Lanes, const R: usize>(
    lines: [Line<V>; TOGETHER],
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    carried: Option<&[f32]>,
    dx: &mut [f32],
    sums: &mut [f32],
) {
    let width = weight.len();
    let (dweight, dbias) = sums.split_at_mut(width);
    assert!(x.len() >= R * width && dy.len() >= R * width && dx.len() >= R * width && dbias.len() == width, "rows are whole");
    assert!(carried.is_none_or(|carried| carried.len() >= R * width), "rows are whole");
    let whole = width / V::N * V::N;
    for i in (0..whole).step_by(V::N) {
        let factor = V::load(&weight[i..]);
        let (mut along, mut sum) = (V::load(&dweight[i..]), V::load(&dbias[i..]));
        for r in 0..R {
            let place = r * width + i;
            // SAFETY: asserted above.
            unsafe {
                let dy = V::load_at(dy.as_ptr().add(place));
                let normal = V::load_at(x.as_ptr().add(place)).sub(lines[r].middle).mul(lines[r].inverse);
                along = dy.mul_add(normal, along);
                sum = sum.add(dy);
                let mut value = dy.mul(factor).mul_add(lines[r].inverse, normal.mul_add(lines[r].slope, lines[r].shift));
                if let Some(carried) = carried {
                    value = value.add(V::load_at(carried.as_ptr().add(place)));
                }
                value.store_at(dx.as_mut_ptr().add(place));
            }
        }
        along.store(&mut dweight[i..]);
        sum.store(&mut dbias[i..]);
    }
    if whole == width {
        return;
    }
    let factor = V::load_part(&weight[whole..], 0.0);
    let (mut along, mut sum) = (V::load_part(&dweight[whole..], 0.0), V::load_part(&dbias[whole..], 0.0));
    for r in 0..R {
        let place = r * width + whole..(r + 1) * width;
        let dy = V::load_part(&dy[place.clone()], 0.0);
        let normal = V::load_part(&x[place.clone()], 0.0).sub(lines[r].middle).mul(lines[r].inverse);
        along = dy.mul_add(normal, along);
        sum = sum.add(dy);
        let mut value = dy.mul(factor).mul_add(lines[r].inverse, normal.mul_add(lines[r].slope, lines[r].shift));
        if let Some(carried) = carried {
            value = value.add(V::load_part(&carried[place.clone()], 0.0));
        }
        value.store_part(&mut dx[place]);
    }
    along.store_part(&mut dweight[whole..]);
    sum.store_part(&mut dbias[whole..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, noise_around};
    use crate::with;
    use proptest::prelude::*;

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    /// Outputs of `f64`.
    fn exact(shape: &Shape, x: &[f64], weight: &[f64], bias: &[f64]) -> Vec<f64> {
        let mut y = Vec::new();
        for x in x.chunks_exact(shape.width) {
            let mean = if shape.centred { x.iter().sum::<f64>() / x.len() as f64 } else { 0.0 };
            let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
            let root = (variance + f64::from(shape.epsilon)).sqrt();
            y.extend(x.iter().zip(weight).zip(bias).map(|((x, weight), bias)| (x - mean) / root * weight + bias));
        }
        y
    }

    /// Gradients of `sum(y dy)` of `f64`: of x, of the weight, of the bias.
    fn exact_gradients(shape: &Shape, x: &[f64], weight: &[f64], dy: &[f64]) -> [Vec<f64>; 3] {
        let (mut dx, mut dweight, mut dbias) = (Vec::new(), vec![0.0; shape.width], vec![0.0; shape.width]);
        for (x, dy) in x.chunks_exact(shape.width).zip(dy.chunks_exact(shape.width)) {
            let count = x.len() as f64;
            let mean = if shape.centred { x.iter().sum::<f64>() / count } else { 0.0 };
            let root = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count + f64::from(shape.epsilon)).sqrt();
            let normal: Vec<f64> = x.iter().map(|x| (x - mean) / root).collect();
            let scaled: Vec<f64> = dy.iter().zip(weight).map(|(dy, weight)| dy * weight).collect();
            let sum = if shape.centred { scaled.iter().sum::<f64>() / count } else { 0.0 };
            let along = scaled.iter().zip(&normal).map(|(dy, normal)| dy * normal).sum::<f64>() / count;
            for i in 0..x.len() {
                dx.push((scaled[i] - sum - normal[i] * along) / root);
                dweight[i] += dy[i] * normal[i];
                dbias[i] += dy[i];
            }
        }
        [dx, dweight, dbias]
    }

    fn near(what: &str, found: &[f32], wanted: &[f64], allowed: f64) {
        for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
            assert!((f64::from(*found) - wanted).abs() <= allowed * (1.0 + wanted.abs()), "{what} {place}: {found} is not {wanted}");
        }
    }

    fn check(shape: Shape, middle: f32, with_bias: bool, with_residual: bool) {
        let Shape { rows, width, .. } = shape;
        let (x, residual, dy) = (noise_around(shape.len(), 1, middle), noise(shape.len(), 2), noise(shape.len(), 3));
        let (weight, bias, carried) = (noise_around(width, 4, 1.5), noise(width, 5), noise(shape.len(), 6));
        let added: Vec<f32> = x.iter().zip(&residual).map(|(x, residual)| x + residual).collect();
        let source = if with_residual { &added } else { &x };
        let no_bias = vec![0.0; width];
        let wanted = exact(&shape, &wide(source), &wide(&weight), &wide(if with_bias { &bias } else { &no_bias }));
        let [mut wanted_dx, wanted_dweight, wanted_dbias] = exact_gradients(&shape, &wide(source), &wide(&weight), &wide(&dy));
        if with_residual {
            wanted_dx.iter_mut().zip(&carried).for_each(|(dx, carried)| *dx += f64::from(*carried));
        }
        for level in Level::available() {
            let [mut y, mut dx, mut sum] = [0, 1, 2].map(|_| vec![f32::NAN; shape.len()]);
            let (mut dweight, mut dbias) = (vec![f32::NAN; width], vec![f32::NAN; width]);
            with(level, || {
                let bias = with_bias.then_some(&bias[..]);
                let found = match with_residual {
                    true => forward_sum(&shape, [&x, &residual], &weight, bias, &mut sum, &mut y),
                    false => forward(&shape, &x, &weight, bias, &mut y),
                };
                let carried = with_residual.then_some(&carried[..]);
                backward(&shape, source, &found, &weight, &dy, carried, &mut dx, &mut dweight, with_bias.then_some(&mut dbias));
            });
            let what = |what: &str| format!("{shape:?} {middle} {level:?} {what}");
            // Numbers about 1000 have but three places behind the point; a row of nearly equal numbers magnifies what it lost.
            let magnified = if width < 4 { 100.0 } else { 1.0 };
            let allowed = (1e-5 + f64::from(middle) * 1e-6) * magnified;
            near(&what("y"), &y, &wanted, allowed);
            near(&what("dx"), &dx, &wanted_dx, allowed * 3.0);
            near(&what("dweight"), &dweight, &wanted_dweight, allowed * (1.0 + rows as f64).sqrt());
            if with_bias {
                near(&what("dbias"), &dbias, &wanted_dbias, allowed * (1.0 + rows as f64).sqrt());
            }
            assert!(!with_residual || sum == added, "{}", what("sum"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_rows_are_right(
            (rows, width) in (0..15usize, 1..90usize), centred in any::<bool>(), with_bias in any::<bool>(), with_residual in any::<bool>()
        ) {
            check(Shape { rows, width, centred, epsilon: 1e-2 }, 0.3, with_bias, with_residual);
        }
    }

    #[test]
    fn many_rows_and_large_means_are_right() {
        check(Shape { rows: 801, width: 384, centred: true, epsilon: 1e-5 }, 0.0, true, false);
        check(Shape { rows: 300, width: 259, centred: false, epsilon: 1e-6 }, 0.5, false, true);
        check(Shape { rows: 3, width: 128, centred: true, epsilon: 1e-5 }, 1000.0, true, false);
    }

    #[test]
    fn the_twin_has_the_slopes_of_finite_differences() {
        for centred in [true, false] {
            let shape = Shape { rows: 2, width: 5, centred, epsilon: 1e-3 };
            let (x, dy, weight, bias) =
                (wide(&noise_around(10, 1, 0.2)), wide(&noise(10, 2)), wide(&noise_around(5, 3, 1.0)), wide(&noise(5, 4)));
            let loss = |x: &[f64], weight: &[f64]| exact(&shape, x, weight, &bias).iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>();
            let [dx, dweight, _] = exact_gradients(&shape, &x, &weight, &dy);
            let moved = |values: &[f64], place: usize, by: f64| {
                let mut values = values.to_vec();
                values[place] += by;
                values
            };
            for place in 0..10 {
                let slope = (loss(&moved(&x, place, 1e-5), &weight) - loss(&moved(&x, place, -1e-5), &weight)) / 2e-5;
                assert!((slope - dx[place]).abs() < 1e-7, "{slope} is not {}", dx[place]);
            }
            for place in 0..5 {
                let slope = (loss(&x, &moved(&weight, place, 1e-5)) - loss(&x, &moved(&weight, place, -1e-5))) / 2e-5;
                assert!((slope - dweight[place]).abs() < 1e-7, "{slope} is not {}", dweight[place]);
            }
        }
    }

    #[test]
    fn threads_change_no_bit_and_what_is_no_number_is_seen() {
        let shape = Shape { rows: 1000, width: 77, centred: true, epsilon: 1e-5 };
        let (x, weight) = (noise(shape.len(), 1), noise_around(77, 2, 1.0));
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut y, mut dx, mut dweight, mut dbias) = (x.clone(), x.clone(), weight.clone(), weight.clone());
            pool.install(|| {
                let found = forward(&shape, &x, &weight, Some(&weight), &mut y);
                backward(&shape, &x, &found, &weight, &y, None, &mut dx, &mut dweight, Some(&mut dbias));
            });
            (y, dx, dweight, dbias)
        };
        assert_eq!(all(1), all(2));
        for (level, centred) in Level::available().into_iter().flat_map(|level| [(level, true), (level, false)]) {
            let shape = Shape { rows: 1, width: 3, centred, epsilon: 1e-5 };
            let mut y = [0.0; 3];
            with(level, || forward(&shape, &[1.0, f32::NAN, 2.0], &[1.0; 3], None, &mut y));
            assert!(y.iter().all(|y| y.is_nan()), "{level:?} {y:?}");
        }
    }
}
