//! The elastic net by cyclic coordinate descent on the Gram matrix (Friedman, Hastie, Tibshirani: "Regularization paths for
//! generalized linear models via coordinate descent", 2010), stopped by the duality gap as in scikit-learn.

use super::design::{add_scaled, dot};
use super::squares::{Squares, least_squares};
use super::task::Watch;
use cupola_task::Result;

/// Sweeps between two looks at the gap.
const SWEEPS_PER_LOOK: usize = 10;

/// The elastic net's settings, with scikit-learn's names.
#[derive(Clone, Copy, Debug)]
pub struct Descent {
    /// Strength of the penalty.
    pub alpha: f64,
    /// The share of the absolute penalty; the rest is squared.
    pub l1_ratio: f64,
    /// Most sweeps over the coefficients.
    pub max_iter: usize,
    /// Largest gap relative to the target's square, and largest step relative to the largest coefficient.
    pub tol: f64,
}

/// `1/2 w'Qw - q'w + 1/2 y'y + absolute |w|_1 + squared/2 |w|^2` on its way down.
struct Slope {
    gram: Vec<f64>,
    product: Vec<f64>,
    target_square: f64,
    absolute: f64,
    squared: f64,
    coefficients: Vec<f64>,
    /// `Q w`.
    fitted: Vec<f64>,
}

/// Minimises `1/(2 sum s) sum s (y - X w - b)^2 + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio)/2 |w|^2`: coefficients in the
/// design's order.
///
/// # Errors
/// When the listener stops the run before the first sweep.
pub fn elastic(squares: &Squares<'_>, descent: &Descent, watch: &Watch<'_, '_>) -> Result<Vec<f64>> {
    watch.begin()?;
    let total: f64 = squares.weights.iter().sum();
    let (absolute, squared) = (descent.alpha * descent.l1_ratio * total, descent.alpha * (1.0 - descent.l1_ratio) * total);
    if absolute == 0.0 {
        // Without the absolute part it is ridge regression, and the direct solution is exact.
        let coefficients = least_squares(squares, squared);
        watch.tell(1, None);
        return Ok(coefficients);
    }
    let moments = squares.moments();
    let inputs = squares.design.inputs();
    let mut slope = Slope {
        gram: moments.gram.clone(),
        product: moments.product.clone(),
        target_square: moments.target_square,
        absolute,
        squared,
        coefficients: vec![0.0; inputs],
        fitted: vec![0.0; inputs],
    };
    for sweep in 1.. {
        if sweep > descent.max_iter {
            watch.warn_unfinished("coordinate descent");
            break;
        }
        let step = slope.sweep();
        if step <= f64::EPSILON || sweep % SWEEPS_PER_LOOK == 0 || step <= descent.tol {
            let gap = slope.gap();
            let is_done = step <= f64::EPSILON || (step <= descent.tol && gap <= descent.tol * slope.target_square);
            if !watch.tell(sweep, Some(("duality_gap", gap / total))) || is_done {
                break;
            }
        }
    }
    Ok(moments.with_intercept(&slope.coefficients, squares.design))
}

impl Slope {
    /// One pass over the coefficients; the largest change relative to the largest coefficient.
    fn sweep(&mut self) -> f64 {
        let size = self.coefficients.len();
        let (mut step, mut largest) = (0.0f64, 0.0f64);
        for column in 0..size {
            let row = &self.gram[column * size..(column + 1) * size];
            let curvature = row[column];
            if curvature <= 0.0 {
                continue;
            }
            let before = self.coefficients[column];
            let pull = self.product[column] - self.fitted[column] + curvature * before;
            let after = pull.signum() * (pull.abs() - self.absolute).max(0.0) / (curvature + self.squared);
            if after != before {
                add_scaled(&mut self.fitted, after - before, row);
                self.coefficients[column] = after;
            }
            step = step.max((after - before).abs());
            largest = largest.max(after.abs());
        }
        if largest == 0.0 { step } else { step / largest }
    }

    /// How far the objective can be above its minimum: the gap to a feasible point of the dual problem.
    fn gap(&self) -> f64 {
        let w = &self.coefficients;
        let pull = |(column, w): (usize, &f64)| (self.product[column] - self.fitted[column] - self.squared * w).abs();
        let steepest = w.iter().enumerate().map(pull).fold(0.0, f64::max);
        let along = dot(w, &self.product);
        let residual = self.target_square + dot(w, &self.fitted) - 2.0 * along + self.squared * dot(w, w);
        let shrink = if steepest > self.absolute { self.absolute / steepest } else { 1.0 };
        let norm: f64 = w.iter().map(|value| value.abs()).sum();
        0.5 * residual * (1.0 + shrink * shrink) + self.absolute * norm - shrink * (self.target_square - along)
    }
}
