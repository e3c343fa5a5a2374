//! Intervals in closed form, from how much each row moves a measure.

/// The standard normal quantile, by Acklam's rational approximation (relative error below 1.2e-9).
pub(crate) fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] =
        [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
    const B: [f64; 6] = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1.0];
    const C: [f64; 6] =
        [-0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
    const D: [f64; 5] = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    };
    if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        polynomial(&A, q * q) * q / polynomial(&B, q * q)
    }
}

/// How many standard errors a two-sided interval of that level reaches to each side.
pub(crate) fn reach(level: f64) -> f64 {
    normal_quantile(0.5 + level / 2.0)
}

/// Wilson's score interval of a proportion seen in `rows` rows (JASA 1927); `rows` may be a fraction.
///
/// A share of no rows is not a number, and neither is its interval.
pub fn wilson(proportion: f64, rows: f64, level: f64) -> [f64; 2] {
    if proportion.is_nan() || rows.is_nan() || rows <= 0.0 {
        return [f64::NAN; 2];
    }
    let (proportion, square) = (proportion.clamp(0.0, 1.0), reach(level).powi(2));
    let middle = (proportion + square / (2.0 * rows)) / (1.0 + square / rows);
    let half = (square * (proportion * (1.0 - proportion) / rows + square / (4.0 * rows * rows))).sqrt() / (1.0 + square / rows);
    [(middle - half).clamp(0.0, proportion), (middle + half).clamp(proportion, 1.0)]
}

/// The interval of a mean whose rows are skewed, by Hall's cubic transformation of Student's t ("On the removal of
/// skewness by transformation", JRSS B 1992). `shifts` is what each row moves the mean by: `(loss - mean) * weight / weights`.
/// None for fewer than two rows.
pub(crate) fn skewed_mean(mean: f64, shifts: &[f64], level: f64) -> Option<[f64; 2]> {
    if shifts.len() < 2 {
        return None;
    }
    let rows = shifts.len() as f64;
    let squares: f64 = shifts.iter().map(|shift| shift * shift).sum();
    let error = (squares * rows / (rows - 1.0)).sqrt();
    if error == 0.0 {
        return Some([mean, mean]);
    }
    let deviation = (squares / rows).sqrt();
    let skewness = shifts.iter().map(|shift| (shift / deviation).powi(3)).sum::<f64>() / rows;
    // With s a third of the skewness over the root of the rows, the transformation is t + s t^2 + s^2 t^3 / 3 + s / 2.
    let slope = skewness / (3.0 * rows.sqrt());
    let undo = |t: f64| {
        if slope.abs() < 1e-9 { t } else { ((1.0 + 3.0 * slope * (t - slope / 2.0)).cbrt() - 1.0) / slope }
    };
    let reach = reach(level);
    Some([mean - error * undo(reach), mean - error * undo(-reach)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantile_matches_tables() {
        for (p, x) in
            [(0.5, 0.0), (0.975, 1.959963984540054), (0.995, 2.575829303548901), (0.01, -2.326347874040841), (1e-4, -3.719016485455709)]
        {
            assert!((normal_quantile(p) - x).abs() < 1e-8, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn wilson_matches_its_paper_and_holds_the_bounds() {
        let [low, high] = wilson(0.8, 10.0, 0.95);
        assert!((low - 0.490_162).abs() < 1e-6 && (high - 0.943_318).abs() < 1e-6, "{low} {high}");
        assert_eq!(wilson(0.0, 20.0, 0.95)[0], 0.0);
        assert_eq!(wilson(1.0, 20.0, 0.95)[1], 1.0);
        for [share, rows] in [[f64::NAN, 20.0], [0.5, 0.0], [0.5, f64::NAN]] {
            assert!(wilson(share, rows, 0.95).iter().all(|end| end.is_nan()), "{share} of {rows}");
        }
    }
}
