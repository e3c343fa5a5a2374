//! Functions of registers: exponential, hyperbolic tangent, error function.

use crate::lanes::Lanes;

/// e to the power of x, within 2 units of the last place; x below -87.3 counts as -87.3 and above 88.3 as 88.3. What is no number stays none.
///
/// Cephes' `expf` (Moshier): x = n ln 2 + r, and a polynomial for r.
#[inline(always)]
pub(crate) fn exp<V: Lanes>(x: V) -> V {
    let x = V::splat(88.3).min(V::splat(-87.3).max(x));
    let n = x.mul(V::splat(std::f32::consts::LOG2_E)).round();
    let r = n.mul_add(V::splat(-0.693_359_4), x);
    let r = n.mul_add(V::splat(2.121_944_4e-4), r);
    let terms = [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    let sum = terms.into_iter().fold(V::splat(1.987_569_1e-4), |sum, term| sum.mul_add(r, V::splat(term)));
    let fraction = sum.mul_add(r.mul(r), r).add(V::splat(1.0));
    fraction.mul(n.exp2_whole())
}

/// e to the power of an x that is at most 0, within 2 units of the last place, and 0 below -87. What is no number stays none.
///
/// x = n ln 2 + r, and the polynomial of degree 6 nearest to e^r in relative distance (2e-9); n is found by an addition that rounds and
/// goes straight into the exponent. About half the work of [`exp`], which has to mind large numbers.
#[inline(always)]
pub(crate) fn exp_of_negative<V: Lanes>(x: V) -> V {
    // What is added to a number below 2^22 to leave but its whole part.
    let rounding = V::splat(12_582_912.0);
    let shifted = x.mul_add(V::splat(std::f32::consts::LOG2_E), rounding);
    let n = shifted.sub(rounding);
    let r = n.mul_add(V::splat(-std::f32::consts::LN_2), x);
    let terms = [8.374_236e-3, 4.166_801e-2, 1.666_643e-1, 4.999_999_4e-1, 1.0, 1.0];
    let mut sum = V::splat(1.384_356e-3);
    for term in terms {
        sum = sum.mul_add(r, V::splat(term));
    }
    V::splat(-87.0).select_greater(x, V::splat(0.0), sum.times_power(shifted))
}

/// e^x - 1, within some units of the last place where x is small as well: with t = tanh(x / 2) it is 2 t / (1 - t).
#[inline(always)]
pub(crate) fn exp_less_one<V: Lanes>(x: V) -> V {
    let half = tanh(V::splat(0.5).min(V::splat(-0.5).max(x)).mul(V::splat(0.5)));
    let small = half.add(half).mul(V::splat(1.0).sub(half).reciprocal());
    x.abs().select_greater(V::splat(0.5), exp(x).sub(V::splat(1.0)), small)
}

/// log(1 + x) of an x in 0..=1, within some units of the last place: with s = x / (2 + x) it is 2 atanh(s), whose series in s^2 <= 1/9 is
/// short.
#[inline(always)]
pub(crate) fn log_one_more<V: Lanes>(x: V) -> V {
    let s = x.mul(x.add(V::splat(2.0)).reciprocal());
    let square = s.mul(s);
    let mut sum = V::splat(2.0 / 13.0);
    for term in [2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0] {
        sum = sum.mul_add(square, V::splat(term));
    }
    sum.mul(s)
}

/// Hyperbolic tangent, within 4 units of the last place (Cephes' `tanhf`: a polynomial below 0.625, from the exponential above).
#[inline(always)]
pub(crate) fn tanh<V: Lanes>(x: V) -> V {
    let size = x.abs();
    let square = x.mul(x);
    let terms = [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];
    let sum = terms.into_iter().fold(V::splat(-5.704_988_7e-3), |sum, term| sum.mul_add(square, V::splat(term)));
    let small = sum.mul(square).mul_add(x, x);
    let share = exp(size.add(size)).add(V::splat(1.0)).reciprocal();
    let large = V::splat(1.0).sub(share.add(share)).copysign(x);
    size.select_greater(V::splat(0.625), large, small)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<V: Lanes>(x: V) -> V {
    exp(V::splat(0.0).sub(x)).add(V::splat(1.0)).reciprocal()
}

/// The error function within 2e-7 (Abramowitz, Stegun: "Handbook of mathematical functions", 7.1.26).
#[inline(always)]
pub(crate) fn erf<V: Lanes>(x: V) -> V {
    let size = x.abs();
    let t = size.mul_add(V::splat(0.327_591_1), V::splat(1.0)).reciprocal();
    let terms = [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6];
    let sum = terms.into_iter().fold(V::splat(1.061_405_4), |sum, term| sum.mul_add(t, V::splat(term)));
    let tail = sum.mul(t).mul(exp_of_negative(V::splat(0.0).sub(size.mul(size))));
    V::splat(1.0).sub(tail).copysign(x)
}
