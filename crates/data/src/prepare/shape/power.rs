//! Yeo and Johnson's power: it draws a lopsided distribution towards a normal one, for numbers of either sign. The exponent
//! is the one of greatest likelihood, as in scikit-learn's `PowerTransformer`.
//!
//! Yeo, Johnson, "A new family of power transformations to improve normality or symmetry" (Biometrika 87(4), 2000). The
//! search is Brent's (Brent, "Algorithms for minimization without derivatives", 1973, chapter 5), between the exponents at
//! which numbers twenty times as large as the largest one keep a variance in `f64`.

/// Brent's search ends at this distance.
const TOLERANCE: f64 = 1.48e-8;
const STEPS_MAX: usize = 500;

/// The transformed value.
pub(super) fn value(x: f64, exponent: f64) -> f64 {
    let y = match x >= 0.0 {
        true => part(x.ln_1p(), exponent),
        false => -part((-x).ln_1p(), 2.0 - exponent),
    };
    y.clamp(f64::MIN, f64::MAX)
}

/// (e^(exponent * log) - 1) / exponent, and its limit at an exponent of 0.
fn part(log: f64, exponent: f64) -> f64 {
    if exponent.abs() < f64::EPSILON { log } else { (exponent * log).exp_m1() / exponent }
}

/// The exponent of greatest likelihood; 1, which changes nothing, for a column of one value.
pub(super) fn exponent(sorted: &[f64]) -> f64 {
    let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else { return 1.0 };
    if least == most {
        return 1.0;
    }
    let logs: Vec<(bool, f64)> = sorted.iter().map(|&x| (x >= 0.0, x.abs().ln_1p())).collect();
    let signed: f64 = logs.iter().map(|(is_positive, log)| if *is_positive { *log } else { -log }).sum();
    let rows = sorted.len() as f64;
    let cost = |exponent: f64| {
        let y = |(is_positive, log): &(bool, f64)| if *is_positive { part(*log, exponent) } else { -part(*log, 2.0 - exponent) };
        let mean = logs.iter().map(y).sum::<f64>() / rows;
        let variance = logs.iter().map(|log| (y(log) - mean).powi(2)).sum::<f64>() / rows;
        // No variance is left where an exponent squeezes all values together.
        if variance < f64::MIN_POSITIVE { f64::INFINITY } else { rows / 2.0 * variance.ln() - (exponent - 1.0) * signed }
    };
    let (low, high) = range(least, most);
    minimum(cost, low, high)
}

fn range(least: f64, most: f64) -> (f64, f64) {
    let largest = (20.0 * least.abs().max(most.abs())).min(f64::MAX).ln_1p();
    let spare = f64::EPSILON.ln();
    let low = (f64::MIN_POSITIVE.ln() - spare) / 2.0 / largest;
    let high = (f64::MAX.ln() + spare) / 2.0 / largest;
    match (least < 0.0, most < 0.0) {
        (true, true) => (2.0 - high, 2.0 - low),
        (true, false) => (low.max(2.0 - high), high.min(2.0 - low)),
        (false, _) => (low, high),
    }
}

/// Where a function of one valley is least: parabolas through the three best points, and golden sections where those mislead.
fn minimum(cost: impl Fn(f64) -> f64, low: f64, high: f64) -> f64 {
    let golden = 0.5 * (3.0 - 5f64.sqrt());
    let (mut low, mut high) = (low, high);
    let first = low + golden * (high - low);
    let first = (first, cost(first));
    // The best point, the second and the one that was second before.
    let (mut best, mut second, mut third) = (first, first, first);
    let (mut step, mut before) = (0.0f64, 0.0f64);
    for _ in 0..STEPS_MAX {
        let middle = 0.5 * (low + high);
        let near = f64::EPSILON.sqrt() * best.0.abs() + TOLERANCE / 3.0;
        if (best.0 - middle).abs() <= 2.0 * near - 0.5 * (high - low) {
            break;
        }
        let parabola = (before.abs() > near).then(|| vertex(best, second, third)).flatten();
        match parabola.filter(|way| way.abs() < 0.5 * before.abs() && best.0 + way > low && best.0 + way < high) {
            Some(way) => {
                (before, step) = (step, way);
                let at = best.0 + way;
                if at - low < 2.0 * near || high - at < 2.0 * near {
                    step = near.copysign(middle - best.0);
                }
            }
            None => {
                before = if best.0 >= middle { low - best.0 } else { high - best.0 };
                step = golden * before;
            }
        }
        let at = best.0 + step.abs().max(near).copysign(step);
        let tried = (at, cost(at));
        if tried.1 <= best.1 {
            if tried.0 >= best.0 {
                low = best.0
            } else {
                high = best.0
            }
            (third, second, best) = (second, best, tried);
        } else {
            if tried.0 < best.0 {
                low = tried.0
            } else {
                high = tried.0
            }
            if tried.1 <= second.1 || second.0 == best.0 {
                (third, second) = (second, tried);
            } else if tried.1 <= third.1 || third.0 == best.0 || third.0 == second.0 {
                third = tried;
            }
        }
    }
    best.0
}

/// The way from the best point to the lowest one of the parabola through three points.
fn vertex(best: (f64, f64), second: (f64, f64), third: (f64, f64)) -> Option<f64> {
    let towards = (best.0 - second.0) * (best.1 - third.1);
    let other = (best.0 - third.0) * (best.1 - second.1);
    let above = (best.0 - third.0) * other - (best.0 - second.0) * towards;
    let below = 2.0 * (other - towards);
    let way = -above / below;
    way.is_finite().then_some(way)
}
