//! The standard normal distribution to the last digits, tails included: what truncated kernels are made of.

use std::f64::consts::{LN_2, PI, SQRT_2};

/// The share below `x`.
pub(super) fn cumulative(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// Its natural logarithm, also where the share itself is too small for a number.
pub(super) fn log_cumulative(x: f64) -> f64 {
    if x > 6.0 {
        return -cumulative(-x);
    }
    if x > -20.0 {
        return cumulative(x).ln();
    }
    // The asymptotic series of the tail (Abramowitz and Stegun 26.2.12): phi(x) / -x * (1 - 1/x^2 + 3/x^4 - ...).
    let square = x * x;
    let (mut sum, mut term) = (1.0, 1.0);
    for order in 1..60 {
        let next = -term * f64::from(2 * order - 1) / square;
        if next.abs() >= term.abs() || sum + next == sum {
            break;
        }
        term = next;
        sum += term;
    }
    -0.5 * square - (-x).ln() - 0.5 * (2.0 * PI).ln() + f64::ln(sum)
}

/// The logarithm of the share between `low` and `high`.
pub(super) fn log_mass(low: f64, high: f64) -> f64 {
    // What lies right of the middle is told from the other side, where digits are not lost.
    match (low, high) {
        (low, high) if high <= 0.0 => log_difference(log_cumulative(high), log_cumulative(low)),
        (low, high) if low > 0.0 => log_difference(log_cumulative(-low), log_cumulative(-high)),
        (low, high) => (-cumulative(low) - cumulative(-high)).ln_1p(),
    }
}

/// `ln(e^more - e^less)`.
fn log_difference(more: f64, less: f64) -> f64 {
    let gap = less - more;
    more + if gap > -LN_2 { (-gap.exp_m1()).ln() } else { (-gap.exp()).ln_1p() }
}

/// The logarithm of the density at `x`.
pub(super) fn log_density(x: f64) -> f64 {
    -0.5 * x * x - 0.5 * (2.0 * PI).ln()
}

/// Where the share below is `p`: by halving, then Newton's steps, which the density's smoothness makes exact to a few digits of the last.
pub(super) fn quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let (mut low, mut high) = (-38.5, 38.5);
    for _ in 0..26 {
        let middle = 0.5 * (low + high);
        if cumulative(middle) < p { low = middle } else { high = middle }
    }
    let mut x = 0.5 * (low + high);
    for _ in 0..3 {
        let slope = log_density(x).exp();
        if slope > 0.0 {
            x = (x - (cumulative(x) - p) / slope).clamp(low, high);
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_quantiles_are_those_of_tables() {
        // scipy.special.log_ndtr and ndtri.
        for (x, wanted) in
            [(0.0, -LN_2), (-1.0, -1.841_021_645_009_263_8), (-10.0, -53.231_285_150_512_47), (-30.0, -454.321_243_956_343_27)]
        {
            assert!((log_cumulative(x) - wanted).abs() < 1e-12 * wanted.abs(), "{x}: {}", log_cumulative(x));
        }
        for (p, wanted) in [(0.5, 0.0), (0.975, 1.959_963_984_540_054), (1e-9, -5.997_807_015_007_687)] {
            assert!((quantile(p) - wanted).abs() < 1e-12, "{p}: {}", quantile(p));
        }
        assert!((log_mass(-1.0, 1.0) - 0.682_689_492_137_085_9_f64.ln()).abs() < 1e-15);
        assert_eq!(log_mass(5.0, 6.0), log_mass(-6.0, -5.0));
    }
}
