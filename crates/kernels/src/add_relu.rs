//! The end of a residual block: max(a + b, 0).

use crate::Level;
use crate::kernel::kernel;
use crate::pieces::in_pieces;

/// `y = max(a + b, 0)`; what is no number stays none.
///
/// # Panics
/// When the slices differ in length.
pub fn forward(a: &[f32], b: &[f32], y: &mut [f32]) {
    assert_eq!([a.len(), b.len()], [y.len(); 2], "one number out for two in");
    let level = Level::current();
    in_pieces(y, |from, y| added(level, &a[from..from + y.len()], &b[from..from + y.len()], y));
}

/// The gradient of either input: `dy` where `y` is above 0.
///
/// # Panics
/// When the slices differ in length.
pub fn backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    assert_eq!([y.len(), dy.len()], [dx.len(); 2], "one gradient for each number");
    let level = Level::current();
    in_pieces(dx, |from, dx| passed(level, &y[from..from + dx.len()], &dy[from..from + dx.len()], dx));
}

kernel! {
    fn added<V>(a: &[f32], b: &[f32], y: &mut [f32]) {
        let whole = y.len() / V::N * V::N;
        let value = |a: V, b: V| V::splat(0.0).max(a.add(b));
        for ((a, b), y) in a[..whole].chunks_exact(V::N).zip(b[..whole].chunks_exact(V::N)).zip(y[..whole].chunks_exact_mut(V::N)) {
            value(V::load(a), V::load(b)).store(y);
        }
        value(V::load_part(&a[whole..], 0.0), V::load_part(&b[whole..], 0.0)).store_part(&mut y[whole..]);
    }
}

kernel! {
    fn passed<V>(y: &[f32], dy: &[f32], dx: &mut [f32]) {
        let whole = dx.len() / V::N * V::N;
        let value = |y: V, dy: V| y.select_greater(V::splat(0.0), dy, V::splat(0.0));
        for ((y, dy), dx) in y[..whole].chunks_exact(V::N).zip(dy[..whole].chunks_exact(V::N)).zip(dx[..whole].chunks_exact_mut(V::N)) {
            value(V::load(y), V::load(dy)).store(dx);
        }
        value(V::load_part(&y[whole..], 0.0), V::load_part(&dy[whole..], 0.0)).store_part(&mut dx[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with;

    #[test]
    fn sums_below_zero_are_cut_off() {
        for level in Level::available() {
            // Long enough for whole registers and a rest.
            let (a, b) = ([1.0, -3.0, 0.5, f32::NAN].repeat(9), [1.0, 2.0, -0.5, 0.0].repeat(9));
            let (mut y, mut dx) = ([9.0; 36], [9.0; 36]);
            with(level, || {
                forward(&a, &b, &mut y);
                backward(&y, &[5.0; 36], &mut dx);
            });
            for (y, dx) in y.chunks(4).zip(dx.chunks(4)) {
                assert_eq!((&y[..3], y[3].is_nan(), &dx[..3]), (&[2.0, 0.0, 0.0][..], true, &[5.0, 0.0, 0.0][..]), "{level:?}");
            }
        }
    }
}
