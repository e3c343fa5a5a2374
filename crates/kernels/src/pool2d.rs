//! The largest number and the mean under a window, forwards and backwards.

use crate::sums::sum;
use rayon::prelude::*;
use std::ops::Range;

/// A window that slides over maps `[maps, height, width]`; windows that reach over the padded edge are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Images times channels.
    pub maps: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Rows and columns added on each side: zeros that count for means, nothing for the largest number.
    pub padding: [usize; 2],
}

/// What becomes of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pooling {
    /// Its largest number; what is no number counts as larger than all.
    Max,
    /// Its mean, zeros of the padding among it.
    Average,
}

/// Work below this many numbers under windows is not worth a second thread.
const SERIAL: usize = 1 << 15;

impl Shape {
    /// Height and width of the output.
    ///
    /// # Panics
    /// When the padded input is smaller than the window.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let side = [self.height, self.width][axis] + 2 * self.padding[axis];
            assert!(side >= self.kernel[axis], "the window reaches over {} of {side} pixels", self.kernel[axis]);
            (side - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    fn check(&self, x: usize, y: usize) {
        let [rows, columns] = self.output();
        assert_eq!([x, y], [self.maps * self.height * self.width, self.maps * rows * columns], "tensors are as long as {self:?} says");
    }

    fn is_serial(&self) -> bool {
        let [rows, columns] = self.output();
        self.maps * rows * columns * self.kernel[0] * self.kernel[1] < SERIAL
    }

    /// Pixels of a side under the window at a place of the output.
    fn under(&self, axis: usize, place: usize) -> Range<usize> {
        let start = place * self.stride[axis];
        let side = [self.height, self.width][axis];
        let from = start.saturating_sub(self.padding[axis]).min(side);
        from..(start + self.kernel[axis]).saturating_sub(self.padding[axis]).clamp(from, side)
    }
}

/// `y` from `x`.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn forward(shape: &Shape, pooling: Pooling, x: &[f32], y: &mut [f32]) {
    shape.check(x.len(), y.len());
    let [rows, columns] = shape.output();
    let work = |(x, y): (&[f32], &mut [f32])| match (pooling, shape.kernel, shape.stride, shape.padding) {
        (Pooling::Max, [2, 2], [2, 2], [0, 0]) => halve(x, shape.width, y, columns, |a, b| if a > b || a.is_nan() { a } else { b }),
        (Pooling::Average, [2, 2], [2, 2], [0, 0]) => halve(x, shape.width, y, columns, |a, b| 0.5 * a + 0.5 * b),
        (Pooling::Average, kernel, _, [0, 0]) if kernel == [shape.height, shape.width] => y[0] = sum(x) / x.len() as f32,
        (Pooling::Max, ..) => windows(shape, |place, down, across| {
            let of_row = |most: f32, row: usize| x[row * shape.width..][across.clone()].iter().copied().fold(most, larger);
            y[place] = down.fold(f32::NEG_INFINITY, of_row);
        }),
        (Pooling::Average, ..) => windows(shape, |place, down, across| {
            let of_row = |row: usize| x[row * shape.width..][across.clone()].iter().sum::<f32>();
            y[place] = down.map(of_row).sum::<f32>() / (shape.kernel[0] * shape.kernel[1]) as f32;
        }),
    };
    if x.is_empty() || y.is_empty() {
        return;
    }
    match shape.is_serial() {
        true => x.chunks_exact(shape.height * shape.width).zip(y.chunks_exact_mut(rows * columns)).for_each(work),
        false => x.par_chunks_exact(shape.height * shape.width).zip(y.par_chunks_exact_mut(rows * columns)).for_each(work),
    }
}

/// `dx` from `dy`: the largest number takes all (the first of equal ones), or each number takes its share.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn backward(shape: &Shape, pooling: Pooling, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    shape.check(dx.len(), dy.len());
    assert!(pooling == Pooling::Average || x.len() == dx.len(), "the largest number is looked for in x");
    let [rows, columns] = shape.output();
    let share = 1.0 / (shape.kernel[0] * shape.kernel[1]) as f32;
    let pixels = shape.height * shape.width;
    let work = |(map, (dy, dx)): (usize, (&[f32], &mut [f32]))| {
        let x = || &x[map * pixels..][..pixels];
        match (pooling, shape.kernel, shape.stride, shape.padding) {
            (Pooling::Average, kernel, _, [0, 0]) if kernel == [shape.height, shape.width] => return dx.fill(dy[0] * share),
            (Pooling::Max, [2, 2], [2, 2], [0, 0]) => return double(x(), shape.width, dy, columns, dx),
            _ => dx.fill(0.0),
        }
        match pooling {
            Pooling::Average => windows(shape, |place, down, across| {
                down.for_each(|row| dx[row * shape.width..][across.clone()].iter_mut().for_each(|dx| *dx += dy[place] * share));
            }),
            Pooling::Max => {
                let x = x();
                windows(shape, |place, down, across| {
                    let mut best: Option<usize> = None;
                    for pixel in down.flat_map(|row| across.clone().map(move |column| row * shape.width + column)) {
                        best = best.filter(|best| !is_larger(x[pixel], x[*best])).or(Some(pixel));
                    }
                    if let Some(best) = best {
                        dx[best] += dy[place];
                    }
                });
            }
        }
    };
    if dx.is_empty() || dy.is_empty() {
        return dx.fill(0.0);
    }
    match shape.is_serial() {
        true => dy.chunks_exact(rows * columns).zip(dx.chunks_exact_mut(pixels)).enumerate().for_each(work),
        false => dy.par_chunks_exact(rows * columns).zip(dx.par_chunks_exact_mut(pixels)).enumerate().for_each(work),
    }
}

/// Whether a number is larger than another; what is no number is larger than all that are.
fn is_larger(a: f32, than: f32) -> bool {
    a > than || a.is_nan() && !than.is_nan()
}

/// The larger of two numbers, the first one when they are equal.
fn larger(a: f32, b: f32) -> f32 {
    if is_larger(b, a) { b } else { a }
}

/// The way back from windows of 2x2 side by side to their largest numbers.
fn double(x: &[f32], width: usize, dy: &[f32], columns: usize, dx: &mut [f32]) {
    dx[dy.len() / columns * 2 * width..].fill(0.0);
    for ((x, dx), dy) in x.chunks(2 * width).zip(dx.chunks_mut(2 * width)).zip(dy.chunks_exact(columns)) {
        let (above, below) = x.split_at(width);
        let (to_above, to_below) = dx.split_at_mut(width);
        to_above[2 * columns..].fill(0.0);
        to_below[2 * columns..].fill(0.0);
        for (place, dy) in dy.iter().enumerate() {
            let at = 2 * place;
            let window = [above[at], above[at + 1], below[at], below[at + 1]];
            let [top, bottom] = [usize::from(is_larger(window[1], window[0])), 2 + usize::from(is_larger(window[3], window[2]))];
            let best = if is_larger(window[bottom], window[top]) { bottom } else { top };
            let gradient = |corner: usize| if corner == best { *dy } else { 0.0 };
            (to_above[at], to_above[at + 1], to_below[at], to_below[at + 1]) = (gradient(0), gradient(1), gradient(2), gradient(3));
        }
    }
}

/// Windows of 2x2 side by side, without a look at edges.
fn halve(x: &[f32], width: usize, y: &mut [f32], columns: usize, join: impl Fn(f32, f32) -> f32) {
    for (pair, line) in x.chunks(2 * width).zip(y.chunks_exact_mut(columns)) {
        let (above, below) = pair.split_at(width);
        for ((above, below), to) in above.chunks_exact(2).zip(below.chunks_exact(2)).zip(line) {
            *to = join(join(above[0], above[1]), join(below[0], below[1]));
        }
    }
}

/// Calls `of` with each place of the output, and rows and columns under its window.
fn windows(shape: &Shape, mut of: impl FnMut(usize, Range<usize>, Range<usize>)) {
    let [rows, columns] = shape.output();
    for row in 0..rows {
        let down = shape.under(0, row);
        for column in 0..columns {
            of(row * columns + column, down.clone(), shape.under(1, column));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(len: usize, seed: u32) -> Vec<f32> {
        let mixed = |place: u32| (place.wrapping_mul(2_654_435_761) ^ seed).wrapping_mul(0x2c1b_3c6d);
        // Few different numbers, so that some are equal.
        (0..len as u32).map(|place| (mixed(place) >> 28) as f32 / 8.0 - 1.0).collect()
    }

    /// Outputs and gradients by PyTorch's definition, pixel by pixel.
    fn exact(shape: &Shape, pooling: Pooling, x: &[f32], dy: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let [rows, columns] = shape.output();
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        for place in 0..dy.len() {
            let (map, row, column) = (place / (rows * columns), place / columns % rows, place % columns);
            let mut best: Option<usize> = None;
            for (ky, kx) in (0..shape.kernel[0]).flat_map(|ky| (0..shape.kernel[1]).map(move |kx| (ky, kx))) {
                let at = [row * shape.stride[0] + ky, column * shape.stride[1] + kx];
                let [v, u] = std::array::from_fn(|axis| at[axis].wrapping_sub(shape.padding[axis]));
                if v >= shape.height || u >= shape.width {
                    continue;
                }
                let pixel = (map * shape.height + v) * shape.width + u;
                let share = 1.0 / (shape.kernel[0] * shape.kernel[1]) as f32;
                match pooling {
                    Pooling::Average => {
                        y[place] += x[pixel] * share;
                        dx[pixel] += dy[place] * share;
                    }
                    Pooling::Max if best.is_none_or(|best| x[pixel] > x[best]) => best = Some(pixel),
                    Pooling::Max => {}
                }
            }
            if let (Pooling::Max, Some(best)) = (pooling, best) {
                y[place] = x[best];
                dx[best] += dy[place];
            }
        }
        (y, dx)
    }

    fn check(shape: Shape) {
        let [rows, columns] = shape.output();
        let (x, dy) = (noise(shape.maps * shape.height * shape.width, 1), noise(shape.maps * rows * columns, 2));
        for pooling in [Pooling::Max, Pooling::Average] {
            let (mut y, mut dx) = (vec![f32::NAN; dy.len()], vec![f32::NAN; x.len()]);
            forward(&shape, pooling, &x, &mut y);
            backward(&shape, pooling, &x, &dy, &mut dx);
            let (wanted_y, wanted_dx) = exact(&shape, pooling, &x, &dy);
            let near = |found: &[f32], wanted: &[f32]| found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-5);
            assert!(near(&y, &wanted_y) && near(&dx, &wanted_dx), "{shape:?} {pooling:?}");
        }
    }

    #[test]
    fn windows_of_known_networks_are_right() {
        let shape = |maps, side, kernel, stride, padding| Shape {
            maps,
            height: side,
            width: side,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [padding; 2],
        };
        check(shape(70, 28, 2, 2, 0));
        check(shape(3, 13, 2, 2, 0));
        check(shape(5, 56, 3, 2, 1));
        check(shape(0, 4, 2, 2, 0));
        check(shape(9, 7, 7, 7, 0));
    }

    proptest! {
        #[test]
        fn any_window_is_right(
            maps in 0..4usize, (height, width) in (1..14usize, 1..14usize), (ky, kx) in (1..5usize, 1..5usize),
            (sy, sx) in (1..4usize, 1..4usize), (py, px) in (0..3usize, 0..3usize),
        ) {
            if py <= ky / 2 && px <= kx / 2 && height + 2 * py >= ky && width + 2 * px >= kx {
                check(Shape { maps, height, width, kernel: [ky, kx], stride: [sy, sx], padding: [py, px] });
            }
        }
    }

    #[test]
    fn what_is_no_number_is_the_largest() {
        let shape = Shape { maps: 1, height: 2, width: 2, kernel: [2; 2], stride: [2; 2], padding: [0; 2] };
        for place in 0..4 {
            let mut x = [1.0, 2.0, 3.0, 4.0];
            x[place] = f32::NAN;
            let mut y = [0.0];
            forward(&shape, Pooling::Max, &x, &mut y);
            assert!(y[0].is_nan(), "{x:?}");
        }
    }
}
