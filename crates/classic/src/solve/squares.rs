//! Weighted least squares with an optional squared penalty, by the normal equations in f64 and two rounds of refinement
//! with residuals from the rows themselves ("corrected seminormal equations", Björck 1987), which brings the error near
//! that of an orthogonal factorisation. Dependent columns (one-hot codes) get the solution of smallest norm.

use super::cholesky::Pivoted;
use super::design::{Design, add_scaled, dot};

/// What least squares needs to know of the rows.
pub struct Squares<'a> {
    /// The rows.
    pub design: &'a Design,
    /// The target, one number a row.
    pub target: &'a [f64],
    /// One positive weight a row.
    pub weights: &'a [f64],
}

/// Weighted sums over the rows, centred when the design has a constant.
pub struct Moments {
    /// `X' S X`, `[inputs, inputs]`.
    pub gram: Vec<f64>,
    /// `X' S y`.
    pub product: Vec<f64>,
    /// `y' S y`.
    pub target_square: f64,
    means: Vec<f64>,
    target_mean: f64,
}

impl Squares<'_> {
    /// Sums over the rows.
    pub fn moments(&self) -> Moments {
        let (design, inputs, width) = (self.design, self.design.inputs(), self.design.width());
        let full = design.gram(self.weights);
        let total: f64 = self.weights.iter().sum();
        let centred = design.has_constant();
        let target_mean = if centred { dot(self.weights, self.target) / total } else { 0.0 };
        let means: Vec<f64> = (0..inputs).map(|column| if centred { full[inputs * width + column] / total } else { 0.0 }).collect();
        let rest: Vec<f64> = self.target.iter().map(|value| value - target_mean).collect();
        let weighted: Vec<f64> = rest.iter().zip(self.weights).map(|(value, weight)| value * weight).collect();
        let mut product = design.transpose_times(&weighted, 1);
        product.truncate(inputs);
        let entry = |at: usize| full[at / inputs * width + at % inputs] - total * means[at / inputs] * means[at % inputs];
        Moments { gram: (0..inputs * inputs).map(entry).collect(), product, target_square: dot(&rest, &weighted), means, target_mean }
    }

    /// The gradient of half the squared error with its sign turned: `X' S (y - X w)`, centred.
    fn pull(&self, moments: &Moments, coefficients: &[f64]) -> Vec<f64> {
        let full = moments.with_intercept(coefficients, self.design);
        let fitted = self.design.times(&full, 1);
        let rest: Vec<f64> = fitted.iter().zip(self.target).zip(self.weights).map(|((f, y), weight)| weight * (y - f)).collect();
        let sum: f64 = rest.iter().sum();
        let mut pull = self.design.transpose_times(&rest, 1);
        pull.truncate(self.design.inputs());
        add_scaled(&mut pull, if self.design.has_constant() { -sum } else { 0.0 }, &moments.means);
        pull
    }
}

impl Moments {
    /// Coefficients of the inputs with that of the constant behind, when the design has one.
    pub fn with_intercept(&self, coefficients: &[f64], design: &Design) -> Vec<f64> {
        let mut full = coefficients.to_vec();
        if design.has_constant() {
            full.push(self.target_mean - dot(coefficients, &self.means));
        }
        full
    }
}

/// Minimises `sum s (y - X w - b)^2 + penalty |w|^2` without a penalty on `b`: coefficients in the design's order.
pub fn least_squares(squares: &Squares<'_>, penalty: f64) -> Vec<f64> {
    let moments = squares.moments();
    let inputs = squares.design.inputs();
    let mut system = moments.gram.clone();
    (0..inputs).for_each(|column| system[column * (inputs + 1)] += penalty);
    let factor = Pivoted::new(&system, inputs);
    let mut coefficients = factor.solve(&moments.product);
    for _ in 0..2 {
        let mut pull = squares.pull(&moments, &coefficients);
        add_scaled(&mut pull, -penalty, &coefficients);
        add_scaled(&mut coefficients, 1.0, &factor.solve(&pull));
    }
    moments.with_intercept(&coefficients, squares.design)
}
