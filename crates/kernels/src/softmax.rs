//! Softmax and its logarithm over the last axis of `[rows, width]`.

use crate::Level;
use crate::functions::exp_of_negative;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::PIECE;
use crate::team::each_part;

/// What is made of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Softmax {
    /// exp(x) / sum(exp(x))
    Probabilities,
    /// x - log(sum(exp(x)))
    Logarithms,
}

/// `y` of each row of `x`. A row of minus infinities has no softmax: it gives what is no number.
///
/// # Panics
/// When slices differ in length or are not whole rows.
pub fn forward(softmax: Softmax, width: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "one number out for each in");
    let level = Level::current();
    each_rows(y, width, |from, y| match softmax {
        Softmax::Probabilities => probabilities(level, width, &x[from..from + y.len()], y),
        Softmax::Logarithms => logarithms(level, width, &x[from..from + y.len()], y),
    });
}

/// The gradient of `x`, from `y` and its gradient: `y (dy - sum(y dy))`, or `dy - exp(y) sum(dy)`.
///
/// # Panics
/// When slices differ in length or are not whole rows.
pub fn backward(softmax: Softmax, width: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!([y.len(), dy.len()], [dx.len(); 2], "one gradient for each number");
    let level = Level::current();
    each_rows(dx, width, |from, dx| {
        let (y, dy) = (&y[from..from + dx.len()], &dy[from..from + dx.len()]);
        match softmax {
            Softmax::Probabilities => probabilities_backward(level, width, y, dy, dx),
            Softmax::Logarithms => logarithms_backward(level, width, y, dy, dx),
        }
    });
}

/// Calls `work` with some rows at once and where they begin.
fn each_rows(to: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    if to.is_empty() {
        return;
    }
    assert!(to.len().is_multiple_of(width), "a matrix is whole rows");
    let (piece, pays) = ((PIECE / width).max(1) * width, to.len() > PIECE);
    each_part(to, piece, pays, |number, part| work(number * piece, part));
}

/// The largest of a row, in two strands; what is no number may be passed over, for the sum of exponentials sees it.
#[inline(always)]
pub(crate) fn largest<V: Lanes>(x: &[f32]) -> f32 {
    let mut most = [V::splat(f32::NEG_INFINITY); 2];
    let pairs = x.len() / (2 * V::N) * (2 * V::N);
    for i in (0..pairs).step_by(2 * V::N) {
        most[0] = most[0].max(V::load(&x[i..]));
        most[1] = most[1].max(V::load(&x[i + V::N..]));
    }
    for i in (pairs..x.len()).step_by(V::N) {
        most[0] = most[0].max(V::load_part(&x[i..x.len().min(i + V::N)], f32::NEG_INFINITY));
    }
    most[0].max(most[1]).largest()
}

kernel! {
    fn probabilities<V>(width: usize, x: &[f32], y: &mut [f32]) {
        let whole = width / V::N * V::N;
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let most = V::splat(largest::<V>(x));
            let mut sums = V::splat(0.0);
            for i in (0..whole).step_by(V::N) {
                let value = exp_of_negative(V::load(&x[i..]).sub(most));
                sums = sums.add(value);
                value.store(&mut y[i..]);
            }
            if whole < width {
                let value = exp_of_negative(V::load_part(&x[whole..], f32::NEG_INFINITY).sub(most));
                sums = sums.add(value);
                value.store_part(&mut y[whole..]);
            }
            let share = V::splat(1.0 / sums.sum());
            for i in (0..whole).step_by(V::N) {
                V::load(&y[i..]).mul(share).store(&mut y[i..]);
            }
            V::load_part(&y[whole..], 0.0).mul(share).store_part(&mut y[whole..]);
        }
    }
}

kernel! {
    fn logarithms<V>(width: usize, x: &[f32], y: &mut [f32]) {
        let whole = width / V::N * V::N;
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            let largest = largest::<V>(x);
            let most = V::splat(largest);
            let mut sums = V::splat(0.0);
            for i in (0..whole).step_by(V::N) {
                sums = sums.add(exp_of_negative(V::load(&x[i..]).sub(most)));
            }
            if whole < width {
                sums = sums.add(exp_of_negative(V::load_part(&x[whole..], f32::NEG_INFINITY).sub(most)));
            }
            // The largest is taken off first: it may be so large that the logarithm would be lost in it.
            let rest = V::splat(sums.sum().ln());
            for i in (0..whole).step_by(V::N) {
                V::load(&x[i..]).sub(most).sub(rest).store(&mut y[i..]);
            }
            V::load_part(&x[whole..], 0.0).sub(most).sub(rest).store_part(&mut y[whole..]);
        }
    }
}

kernel! {
    fn probabilities_backward<V>(width: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let whole = width / V::N * V::N;
        for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let mut along = V::load_part(&y[whole..], 0.0).mul(V::load_part(&dy[whole..], 0.0));
            for i in (0..whole).step_by(V::N) {
                along = V::load(&y[i..]).mul_add(V::load(&dy[i..]), along);
            }
            let along = V::splat(along.sum());
            for i in (0..whole).step_by(V::N) {
                V::load(&dy[i..]).sub(along).mul(V::load(&y[i..])).store(&mut dx[i..]);
            }
            V::load_part(&dy[whole..], 0.0).sub(along).mul(V::load_part(&y[whole..], 0.0)).store_part(&mut dx[whole..]);
        }
    }
}

kernel! {
    fn logarithms_backward<V>(width: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let whole = width / V::N * V::N;
        for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let mut total = V::load_part(&dy[whole..], 0.0);
            for i in (0..whole).step_by(V::N) {
                total = total.add(V::load(&dy[i..]));
            }
            let total = V::splat(-total.sum());
            for i in (0..whole).step_by(V::N) {
                exp_of_negative(V::load(&y[i..])).mul_add(total, V::load(&dy[i..])).store(&mut dx[i..]);
            }
            exp_of_negative(V::load_part(&y[whole..], 0.0)).mul_add(total, V::load_part(&dy[whole..], 0.0)).store_part(&mut dx[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{noise, noise_within};
    use crate::with;
    use proptest::prelude::*;

    /// Holds values and gradients against `f64`.
    fn check(rows: usize, width: usize, size: f32) {
        let (x, dy) = (noise_within(rows * width, 1, size), noise(rows * width, 2));
        for (softmax, level) in
            [Softmax::Probabilities, Softmax::Logarithms].into_iter().flat_map(|s| Level::available().into_iter().map(move |l| (s, l)))
        {
            let (mut y, mut dx) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
            with(level, || {
                forward(softmax, width, &x, &mut y);
                backward(softmax, width, &y, &dy, &mut dx);
            });
            for row in 0..rows {
                let wide = |values: &[f32]| values[row * width..(row + 1) * width].iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
                let (x, dy) = (wide(&x), wide(&dy));
                let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = x.iter().map(|x| (x - most).exp()).sum();
                let share: Vec<f64> = x.iter().map(|x| (x - most).exp() / sum).collect();
                let along: f64 = share.iter().zip(&dy).map(|(p, dy)| p * dy).sum();
                let total: f64 = dy.iter().sum();
                for i in 0..width {
                    let [wanted, slope] = match softmax {
                        Softmax::Probabilities => [share[i], share[i] * (dy[i] - along)],
                        Softmax::Logarithms => [x[i] - most - sum.ln(), dy[i] - share[i] * total],
                    };
                    let place = row * width + i;
                    let near = |found: f32, wanted: f64, size: f64| (f64::from(found) - wanted).abs() <= 2e-6 * size;
                    assert!(
                        near(y[place], wanted, 0.1 + wanted.abs()),
                        "{softmax:?} {level:?} {rows}x{width}: {} is not {wanted}",
                        y[place]
                    );
                    let allowed = 1.0 + f64::from(size) * total.abs();
                    assert!(near(dx[place], slope, allowed), "{softmax:?} {level:?} {rows}x{width}: slope {} is not {slope}", dx[place]);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_rows_are_right(rows in 0..7usize, width in 1..80usize, size in 0.1..300f32) {
            check(rows, width, size);
        }
    }

    #[test]
    fn many_rows_large_numbers_and_what_is_no_number() {
        check(301, 67, 1.0);
        check(3, 20_011, 10.0);
        for level in Level::available() {
            for (softmax, x, wanted) in [
                (Softmax::Probabilities, [3e38, -3e38, 3e38], [0.5, 0.0, 0.5]),
                (Softmax::Probabilities, [f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY], [0.0, 1.0, 0.0]),
                (Softmax::Logarithms, [3e38, 3e38, 3e38], [-3f32.ln(); 3]),
            ] {
                let mut y = [0.0; 3];
                with(level, || forward(softmax, 3, &x, &mut y));
                assert!(y.iter().zip(wanted).all(|(y, wanted)| (y - wanted).abs() < 1e-6), "{level:?} {y:?}");
            }
            for place in 0..37 {
                let (mut x, mut y) = ([0.5; 37], [0.0; 37]);
                x[place] = f32::NAN;
                with(level, || forward(Softmax::Probabilities, 37, &x, &mut y));
                assert!(y.iter().all(|y| y.is_nan()), "{level:?} {place}");
            }
        }
    }

    #[test]
    fn threads_change_no_bit() {
        let x = noise_within(700 * 129, 1, 3.0);
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut y, mut dx) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            pool.install(|| {
                forward(Softmax::Probabilities, 129, &x, &mut y);
                backward(Softmax::Probabilities, 129, &y, &x, &mut dx);
            });
            (y, dx)
        };
        assert_eq!(all(1), all(2));
    }
}
