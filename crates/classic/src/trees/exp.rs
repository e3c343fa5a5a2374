//! The exponential as plain arithmetic: the same bits on every machine and C library, and loops over it vectorise.

/// Adding it rounds to a whole number and leaves that number in the low bits (1.5 * 2^52).
pub(super) const ROUNDER: f64 = 6_755_399_441_055_744.0;
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1 / k! for k = 0..=13; the first term left out is below 2^-57 for |r| <= ln(2) / 2.
const INVERSE_FACTORIALS: [f64; 14] = [
    1.0,
    1.0,
    1.0 / 2.0,
    1.0 / 6.0,
    1.0 / 24.0,
    1.0 / 120.0,
    1.0 / 720.0,
    1.0 / 5_040.0,
    1.0 / 40_320.0,
    1.0 / 362_880.0,
    1.0 / 3_628_800.0,
    1.0 / 39_916_800.0,
    1.0 / 479_001_600.0,
    1.0 / 6_227_020_800.0,
];

/// e^x to about one unit in the last place; x is held to -708..709.
#[inline]
pub(crate) fn exp(x: f64) -> f64 {
    let x = if x > 709.0 { 709.0 } else { x };
    let x = if x < -708.0 { -708.0 } else { x };
    let shifted = x * std::f64::consts::LOG2_E + ROUNDER;
    let whole = shifted - ROUNDER;
    let r = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    series(r) * power
}

/// The Taylor series, summed in halves (Estrin) so that the processor need not wait for each product.
#[inline]
fn series(r: f64) -> f64 {
    let c = &INVERSE_FACTORIALS;
    let (r2, r4) = (r * r, (r * r) * (r * r));
    let low = (c[0] + c[1] * r) + r2 * (c[2] + c[3] * r);
    let middle = (c[4] + c[5] * r) + r2 * (c[6] + c[7] * r);
    let high = (c[8] + c[9] * r) + r2 * (c[10] + c[11] * r) + r4 * (c[12] + c[13] * r);
    low + r4 * (middle + r4 * high)
}

/// 1 / (1 + e^-x).
#[inline]
pub(crate) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// Turns scores into probabilities that sum to 1.
pub(super) fn softmax(scores: &mut [f64]) {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        *score = exp(*score - top);
        sum += *score;
    }
    for score in scores {
        *score /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_the_exponential() {
        for step in -70_800..=70_900 {
            let x = f64::from(step) * 0.01;
            let error = (exp(x) / x.exp() - 1.0).abs();
            assert!(error < 5e-16, "exp({x}): relative error {error}");
        }
        assert_eq!((exp(0.0), sigmoid(0.0), sigmoid(-1e9) > 0.0, sigmoid(1e9)), (1.0, 0.5, true, 1.0));
    }

    #[test]
    fn softmax_sums_to_one() {
        let mut scores = [1000.0, 999.0, -1000.0];
        softmax(&mut scores);
        assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-15 && scores[0] > scores[1]);
    }
}
