//! Tail probabilities of the distributions that tests need.
//!
//! The incomplete gamma function is computed by its series and its continued fraction (Press et al., "Numerical Recipes", 3rd edition, 6.2);
//! Kolmogorov's distribution by its two series (Marsaglia, Tsang, Wang, "Evaluating Kolmogorov's distribution", 2003, section 2).

/// The natural logarithm of the gamma function of a positive number (Lanczos, seven terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.5203681218851,
        -1259.1392167224028,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507343278686905,
        -0.13857109526572012,
        9.984_369_578_019_572e-6,
        1.5056327351493116e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = TERMS.iter().enumerate().fold(0.999_999_999_999_809_9, |sum, (place, term)| sum + term / (x + place as f64 + 1.0));
    0.5 * std::f64::consts::TAU.ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The share of a gamma distribution of that shape and scale 1 that lies above `x`.
pub(crate) fn gamma_tail(shape: f64, x: f64) -> f64 {
    if x.is_nan() || shape.is_nan() || shape <= 0.0 {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 1.0;
    }
    let scale = (shape * x.ln() - x - ln_gamma(shape)).exp();
    if x < shape + 1.0 { (1.0 - scale * series(shape, x)).max(0.0) } else { (scale * fraction(shape, x)).clamp(0.0, 1.0) }
}

fn series(shape: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut at) = (1.0 / shape, 1.0 / shape, shape);
    while term > sum * 1e-16 {
        at += 1.0;
        term *= x / at;
        sum += term;
    }
    sum
}

/// Lentz's way of a continued fraction.
fn fraction(shape: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - shape;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut h = d;
    for step in 1..100_000 {
        let a = -f64::from(step) * (f64::from(step) - shape);
        b += 2.0;
        let hold = |value: f64| if value.abs() < TINY { TINY } else { value };
        d = 1.0 / hold(a * d + b);
        c = hold(b + a / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    h
}

/// The chance that a chi-squared number with so many degrees of freedom exceeds `x`.
pub(crate) fn chi2_tail(x: f64, freedom: f64) -> f64 {
    gamma_tail(freedom / 2.0, x / 2.0)
}

/// The chance that a standard normal number exceeds `x`.
pub(crate) fn normal_tail(x: f64) -> f64 {
    let half = 0.5 * gamma_tail(0.5, x * x / 2.0);
    if x < 0.0 { 1.0 - half } else { half }
}

/// How many standard errors a two-sided interval of that level reaches to each side.
pub(crate) fn reach(level: f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if 2.0 * normal_tail(middle) > 1.0 - level { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The chance that Kolmogorov's statistic exceeds `x`.
pub(crate) fn kolmogorov_tail(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0;
    }
    let terms = 1..=20;
    if x < 1.18 {
        let pi = std::f64::consts::PI;
        let sum: f64 = terms.map(|k| (-((2 * k - 1) as f64 * pi).powi(2) / (8.0 * x * x)).exp()).sum();
        return 1.0 - std::f64::consts::TAU.sqrt() / x * sum;
    }
    let sign = |k: i32| if k % 2 == 1 { 1.0 } else { -1.0 };
    (2.0 * terms.map(|k| sign(k) * (-2.0 * (f64::from(k) * x).powi(2)).exp()).sum::<f64>()).clamp(0.0, 1.0)
}

/// Fisher's exact test that the second sample's share is larger: the chance of so many or more of its rows when both come from one share. Each
/// sample is a count and how many rows there are.
pub(crate) fn fisher_tail([count, all]: [u64; 2], [other, others]: [u64; 2]) -> f64 {
    let hits = count + other;
    let ln_choose = |n: u64, k: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
    let most = hits.min(others);
    if other > most || hits == 0 {
        return 1.0;
    }
    let total = ln_choose(all + others, hits);
    let mut term = (ln_choose(others, other) + ln_choose(all, hits - other) - total).exp();
    let mut sum = 0.0;
    for seen in other..=most {
        sum += term;
        if term < sum * 1e-15 || hits == seen {
            break;
        }
        // The next term of the hypergeometric distribution by this one.
        term *= (others - seen) as f64 * (hits - seen) as f64 / ((seen + 1) as f64 * (all + seen + 1 - hits) as f64);
    }
    sum.min(1.0)
}

/// The chance that so many or more of `others` values lie beyond the smallest or the largest of `all` when both come from one source: of all values in
/// order those before the first and after the last of the reference, each step being one of the others with chance `others / (all + others)`.
pub(crate) fn many_beyond(count: u64, all: u64, others: u64) -> f64 {
    let q = others as f64 / (all + others) as f64;
    (q.powf(count as f64) * (1.0 + count as f64 * (1.0 - q))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of scipy 1.17: `chi2.sf`, `norm.sf`, `kstwobign.sf`, `gamma.sf`, `fisher_exact`.
    #[test]
    fn tails_equal_scipys() {
        for (found, wanted) in [
            (chi2_tail(3.841458820694124, 1.0), 0.05),
            (chi2_tail(16.918977604620448, 9.0), 0.05),
            (chi2_tail(1200.0, 999.0), 1.112935044825893e-05),
            (chi2_tail(100.0, 3.0), 1.5541594313896026e-21),
            (chi2_tail(0.0, 3.0), 1.0),
            (gamma_tail(2.5, 6.0), 0.03478778050624185),
            (fisher_tail([3, 100], [9, 120]), 0.12096003942995594),
            (fisher_tail([0, 1000], [5, 200]), 0.00012330707123359922),
            (fisher_tail([50, 100], [5, 100]), 0.9999999999999948),
            (normal_tail(1.959963984540054), 0.025),
            (normal_tail(-1.0), 0.841344746068543),
            (kolmogorov_tail(0.5), 0.9639452436648751),
            (kolmogorov_tail(1.17), 0.12939004218561884),
            (kolmogorov_tail(1.18), 0.1234538094297657),
        ] {
            assert!((found - wanted).abs() < 1e-9 * wanted, "{found} is not {wanted}");
        }
        assert!((reach(0.95) - 1.959963984540054).abs() < 1e-9);
    }
}
