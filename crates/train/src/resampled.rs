//! How sure a mean over folds is, by the corrected resampled t-test of Nadeau and Bengio, "Inference for the generalization error" (Machine Learning 52,
//! 2003, section 4): folds share most of their training rows, so the variance of the mean of J values is taken as (1/J + test rows / training rows)
//! times theirs, not 1/J. Bouckaert and Frank (PAKDD 2004) use it for repeated cross-validation as it is used here.

use crate::crossval::mean_and_variance;
use crate::report::Measure;

/// The mean of values over folds with its interval; `ratio` is that of a fold's test rows to its training rows. Without two values there is no interval.
pub(crate) fn mean(values: &[f64], ratio: f64, level: f64) -> Measure {
    let Some((mean, error)) = mean_and_error(values, ratio) else { return Measure::exact(mean_and_variance(values)[0]) };
    let half = student_quantile(0.5 + level / 2.0, values.len() as f64 - 1.0) * error;
    Measure::new(mean, mean - half, mean + half)
}

/// The two-sided p-value of a mean difference over folds; none without two values.
pub(crate) fn p_value(differences: &[f64], ratio: f64) -> Option<f64> {
    let (mean, error) = mean_and_error(differences, ratio)?;
    if error == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    Some(student_both_tails(mean / error, differences.len() as f64 - 1.0))
}

fn mean_and_error(values: &[f64], ratio: f64) -> Option<(f64, f64)> {
    let [mean, variance] = mean_and_variance(values);
    (values.len() > 1).then(|| (mean, (variance * (1.0 / values.len() as f64 + ratio)).sqrt()))
}

/// The chance that Student's t is as far from 0 or farther, on either side.
fn student_both_tails(t: f64, degrees: f64) -> f64 {
    incomplete_beta(degrees / (degrees + t * t), degrees / 2.0, 0.5)
}

/// The value that Student's t stays below with probability `p` of a half or more.
fn student_quantile(p: f64, degrees: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while 1.0 - student_both_tails(high, degrees) / 2.0 < p && high < f64::MAX / 2.0 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if 1.0 - student_both_tails(middle, degrees) / 2.0 < p { low = middle } else { high = middle }
    }
    high
}

/// The regularised incomplete beta function by its continued fraction (Press et al., "Numerical Recipes", 3rd edition, 6.4, with Lentz's method).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * x.ln() + b * (-x).ln_1p();
    // The fraction converges fast on this side of the mean alone.
    match x < (a + 1.0) / (a + b + 2.0) {
        true => front.exp() * fraction(x, a, b) / a,
        false => 1.0 - front.exp() * fraction(1.0 - x, b, a) / b,
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let apart = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / apart(1.0 - (a + b) * x / (a + 1.0)));
    let mut product = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let before = product;
        for term in [even, odd] {
            d = 1.0 / apart(1.0 + term * d);
            c = apart(1.0 + term / c);
            product *= c * d;
        }
        if (product - before).abs() <= 1e-16 * product.abs() {
            break;
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `parity/resampled.py` writes.
    #[derive(serde::Deserialize)]
    struct Case {
        differences: Vec<f64>,
        ratio: f64,
        level: f64,
        mean: f64,
        low: f64,
        high: f64,
        p: f64,
    }

    #[test]
    fn means_over_folds_are_as_sure_as_the_reference_says() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("resampled.json")).unwrap();
        assert!(cases.len() > 5);
        for case in cases {
            let found = mean(&case.differences, case.ratio, case.level);
            let p = p_value(&case.differences, case.ratio).unwrap();
            // The reference's own distribution is good to about ten digits; quantiles of one degree of freedom reach 600.
            for (found, wanted) in [(found.value, case.mean), (found.low, case.low), (found.high, case.high), (p, case.p)] {
                assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1e-3), "{found} is not {wanted}");
            }
        }
    }

    #[test]
    fn few_or_equal_values_say_little() {
        assert!(!mean(&[0.3], 0.25, 0.95).has_interval() && p_value(&[0.3], 0.25).is_none());
        assert_eq!(p_value(&[0.0; 5], 0.25), Some(1.0));
        assert_eq!(p_value(&[0.1; 4], 0.25).map(|p| p < 1e-9), Some(true));
    }
}
