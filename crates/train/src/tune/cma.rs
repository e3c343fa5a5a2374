//! CMA-ES: samples of a normal distribution whose mean, width and covariance follow the better half of each generation.
//!
//! Source: Hansen, "The CMA evolution strategy: a tutorial", arXiv 1604.00772; equation numbers are its. Weights, rates and the order of
//! operations are those of the package `cmaes` 0.13, with which updates agree (`parity/tune.py`). As in Optuna's `CmaEsSampler`, ranges are
//! the unit cube, logarithms taken where ratios count; the mean begins in the middle and the width at a sixth.
//! Differs: the first generation begins with the first trial, nothing is drawn at random before it; and of whole numbers, a point that was
//! tried is drawn anew.

use super::space::{Point, Space, State, Trial};
use cupola_task::Draw;

/// The width at the start.
const SIGMA: f64 = 1.0 / 6.0;
/// Keeps divisions and roots whole.
const EPSILON: f64 = 1e-8;
/// Draws of a sample that lies inside, for each dimension; then the last one is moved to the border.
const RESAMPLES: u64 = 10;
/// How often a point of whole numbers that was tried before is drawn anew.
const ATTEMPTS: u64 = 8;

/// What changes from generation to generation.
#[derive(Clone, Debug, PartialEq)]
pub struct CmaState {
    /// The mean.
    pub mean: Vec<f64>,
    /// The width.
    pub sigma: f64,
    /// The covariance, row by row.
    pub covariance: Vec<f64>,
    /// The evolution path of the width.
    pub path_sigma: Vec<f64>,
    /// The evolution path of the covariance.
    pub path: Vec<f64>,
    /// Generations done.
    pub generation: u64,
}

/// The strategy: its constants and its state.
#[derive(Clone, Debug)]
pub struct Cma {
    dimensions: usize,
    parents: usize,
    weights: Vec<f64>,
    mass: f64,
    rate_one: f64,
    rate_mu: f64,
    rate_path: f64,
    rate_sigma: f64,
    damping: f64,
    /// The expected length of a standard normal vector.
    length: f64,
    /// What changes.
    pub state: CmaState,
}

impl Cma {
    /// A strategy around a mean. A population has `4 + 3 ln n` members (equation 48).
    pub fn new(mean: Vec<f64>, sigma: f64) -> Cma {
        let dimensions = mean.len();
        let n = dimensions as f64;
        let population = 4 + (3.0 * n.ln()).floor() as usize;
        let parents = population / 2;
        let raw: Vec<f64> = (0..population).map(|place| ((population as f64 + 1.0) / 2.0).ln() - (place as f64 + 1.0).ln()).collect();
        let effective = |weights: &[f64]| weights.iter().sum::<f64>().powi(2) / weights.iter().map(|weight| weight * weight).sum::<f64>();
        let (mass, mass_minus) = (effective(&raw[..parents]), effective(&raw[parents..]));
        let rate_one = 2.0 / ((n + 1.3).powi(2) + mass);
        let rate_mu = (1.0 - rate_one - EPSILON).min(2.0 * (mass - 2.0 + 1.0 / mass) / ((n + 2.0).powi(2) + mass));
        // Equations 50 to 53: how much the worse half may push away.
        let push = (1.0 + rate_one / rate_mu).min(1.0 + 2.0 * mass_minus / (mass + 2.0)).min((1.0 - rate_one - rate_mu) / (n * rate_mu));
        let positive: f64 = raw.iter().filter(|weight| **weight > 0.0).sum();
        let negative: f64 = raw.iter().filter(|weight| **weight < 0.0).map(|weight| weight.abs()).sum();
        let weights = raw.iter().map(|weight| if *weight >= 0.0 { weight / positive } else { push / negative * weight }).collect();
        let rate_sigma = (mass + 2.0) / (n + mass + 5.0);
        Cma {
            dimensions,
            parents,
            weights,
            mass,
            rate_one,
            rate_mu,
            rate_path: (4.0 + mass / n) / (n + 4.0 + 2.0 * mass / n),
            rate_sigma,
            damping: 1.0 + 2.0 * (((mass - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + rate_sigma,
            length: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
            state: CmaState {
                mean,
                sigma,
                covariance: identity(dimensions),
                path_sigma: vec![0.0; dimensions],
                path: vec![0.0; dimensions],
                generation: 0,
            },
        }
    }

    /// Members of a generation.
    pub fn population(&self) -> usize {
        self.weights.len()
    }

    /// A sample inside of the unit cube.
    pub fn ask(&self, draw: Draw) -> Vec<f64> {
        let (values, vectors) = eigen(&self.state.covariance, self.dimensions);
        let n = self.dimensions;
        let sample = |attempt: u64| -> Vec<f64> {
            let scaled: Vec<f64> =
                values.iter().enumerate().map(|(axis, value)| root(*value) * draw.normal(attempt * n as u64 + axis as u64)).collect();
            let along = |row: usize| (0..n).map(|axis| vectors[row * n + axis] * scaled[axis]).sum::<f64>();
            (0..n).map(|row| self.state.mean[row] + self.state.sigma * along(row)).collect()
        };
        let last = RESAMPLES * n as u64;
        let inside = (0..last).map(sample).find(|sample| sample.iter().all(|value| (0.0..=1.0).contains(value)));
        inside.unwrap_or_else(|| sample(last).iter().map(|value| value.clamp(0.0, 1.0)).collect())
    }

    /// Learns from a whole generation: samples with what is to be made small.
    pub fn tell(&mut self, solutions: &[(Vec<f64>, f64)]) {
        assert_eq!(solutions.len(), self.population(), "a generation is told as a whole");
        let n = self.dimensions;
        let mut order: Vec<&(Vec<f64>, f64)> = solutions.iter().collect();
        order.sort_by(|one, other| one.1.total_cmp(&other.1));
        let (values, vectors) = eigen(&self.state.covariance, n);
        let roots: Vec<f64> = values.iter().map(|value| root(*value)).collect();
        let covariance = compose(&vectors, &roots.iter().map(|root| root * root).collect::<Vec<_>>(), n);
        let inverse = compose(&vectors, &roots.iter().map(|root| 1.0 / root).collect::<Vec<_>>(), n);
        let state = &mut self.state;
        state.generation += 1;
        let steps: Vec<Vec<f64>> =
            order.iter().map(|(sample, _)| sample.iter().zip(&state.mean).map(|(x, mean)| (x - mean) / state.sigma).collect()).collect();
        // Equations 41 and 42: the weighted step of the better half moves the mean.
        let step: Vec<f64> =
            (0..n).map(|row| steps[..self.parents].iter().zip(&self.weights).map(|(step, weight)| step[row] * weight).sum()).collect();
        state.mean.iter_mut().zip(&step).for_each(|(mean, step)| *mean += state.sigma * step);
        // Equations 43 and 44: the width.
        let keep = (self.rate_sigma * (2.0 - self.rate_sigma) * self.mass).sqrt();
        let whitened = times(&inverse, &step, n);
        state.path_sigma.iter_mut().zip(&whitened).for_each(|(path, step)| *path = (1.0 - self.rate_sigma) * *path + keep * step);
        let norm = state.path_sigma.iter().map(|path| path * path).sum::<f64>().sqrt();
        state.sigma = (state.sigma * ((self.rate_sigma / self.damping) * (norm / self.length - 1.0)).exp()).min(1e32);
        // Equation 45: the path of the covariance stands still while the width grows fast.
        let expected = (1.0 - (1.0 - self.rate_sigma).powf(2.0 * (state.generation as f64 + 1.0))).sqrt();
        let goes = f64::from(u8::from(norm / expected < (1.4 + 2.0 / (n as f64 + 1.0)) * self.length));
        let keep = goes * (self.rate_path * (2.0 - self.rate_path) * self.mass).sqrt();
        state.path.iter_mut().zip(&step).for_each(|(path, step)| *path = (1.0 - self.rate_path) * *path + keep * step);
        // Equations 46 and 47: the covariance.
        let stretch = |(step, weight): (&Vec<f64>, &f64)| {
            let square: f64 = times(&inverse, step, n).iter().map(|x| x * x).sum();
            if *weight >= 0.0 { *weight } else { weight * n as f64 / (square + EPSILON) }
        };
        let weights: Vec<f64> = steps.iter().zip(&self.weights).map(stretch).collect();
        let rest = (1.0 - goes) * self.rate_path * (2.0 - self.rate_path);
        let kept = 1.0 + self.rate_one * rest - self.rate_one - self.rate_mu * self.weights.iter().sum::<f64>();
        for row in 0..n {
            for column in 0..n {
                let many: f64 = steps.iter().zip(&weights).map(|(step, weight)| weight * step[row] * step[column]).sum();
                state.covariance[row * n + column] =
                    kept * covariance[row * n + column] + self.rate_one * state.path[row] * state.path[column] + self.rate_mu * many;
            }
        }
    }
}

/// The next point: all whole generations of the history are learned from, in order.
pub(super) fn suggest(space: &Space, history: &[Trial], number: u64, draw: Draw) -> Point {
    let shares = |point: &Point| -> Option<Vec<f64>> {
        space.parameters.iter().zip(point).map(|(parameter, value)| Some(parameter.domain.share((*value)?))).collect()
    };
    let mut cma = Cma::new(vec![0.5; space.parameters.len()], SIGMA);
    let told = history.iter().filter(|trial| trial.state == State::Complete).filter_map(|trial| Some((shares(&trial.point)?, trial.loss)));
    for generation in told.collect::<Vec<_>>().chunks_exact(cma.population()) {
        cma.tell(generation);
    }
    let mut point = Point::new();
    for attempt in 0..ATTEMPTS {
        let sample = cma.ask(draw.stream("cma").stream(&attempt.to_string()).at(number));
        point = space.point(|place, parameter| parameter.domain.at(sample[place]));
        if history.iter().all(|trial| trial.point != point) {
            break;
        }
    }
    point
}

fn root(value: f64) -> f64 {
    if value < 0.0 { EPSILON } else { value.sqrt() }
}

fn identity(n: usize) -> Vec<f64> {
    (0..n * n).map(|place| f64::from(u8::from(place / n == place % n))).collect()
}

fn times(matrix: &[f64], vector: &[f64], n: usize) -> Vec<f64> {
    (0..n).map(|row| (0..n).map(|column| matrix[row * n + column] * vector[column]).sum()).collect()
}

/// `B diag(values) B^T`.
fn compose(vectors: &[f64], values: &[f64], n: usize) -> Vec<f64> {
    let at = |row: usize, column: usize| (0..n).map(|axis| vectors[row * n + axis] * values[axis] * vectors[column * n + axis]).sum();
    (0..n * n).map(|place| at(place / n, place % n)).collect()
}

/// Eigenvalues and, column by column, eigenvectors of a symmetric matrix, by Jacobi's rotations (Golub and Van Loan 8.5).
fn eigen(matrix: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a: Vec<f64> = (0..n * n).map(|place| (matrix[place] + matrix[place % n * n + place / n]) / 2.0).collect();
    let mut vectors = identity(n);
    for _sweep in 0..60 {
        let off: f64 = (0..n * n).filter(|place| place / n != place % n).map(|place| a[place] * a[place]).sum();
        let scale: f64 = a.iter().map(|value| value * value).sum();
        if off <= 1e-32 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, &mut vectors, n, p, q);
            }
        }
    }
    ((0..n).map(|place| a[place * n + place]).collect(), vectors)
}

/// Makes the element at row `p`, column `q` zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    if a[p * n + q] == 0.0 {
        return;
    }
    let tau = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
    let tangent = tau.signum() / (tau.abs() + (1.0 + tau * tau).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    let turn = |one: f64, other: f64| (cosine * one - sine * other, sine * one + cosine * other);
    for k in 0..n {
        (a[k * n + p], a[k * n + q]) = turn(a[k * n + p], a[k * n + q]);
    }
    for k in 0..n {
        (a[p * n + k], a[q * n + k]) = turn(a[p * n + k], a[q * n + k]);
        (vectors[k * n + p], vectors[k * n + q]) = turn(vectors[k * n + p], vectors[k * n + q]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bent_valley_is_followed_to_its_end() {
        // Rosenbrock's function in four dimensions, its minimum at 0.75 in each.
        let value = |x: &[f64]| {
            let x: Vec<f64> = x.iter().map(|x| 4.0 * x - 2.0).collect();
            x.windows(2).map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2)).sum::<f64>()
        };
        let mut cma = Cma::new(vec![0.5; 4], SIGMA);
        let draw = Draw::new(3);
        for generation in 0..400_u64 {
            let samples: Vec<Vec<f64>> = (0..cma.population() as u64).map(|member| cma.ask(draw.at(generation * 100 + member))).collect();
            let told: Vec<_> = samples.into_iter().map(|sample| (sample.clone(), value(&sample))).collect();
            cma.tell(&told);
        }
        assert!(value(&cma.state.mean) < 1e-8, "{:?}", cma.state.mean);
    }

    #[test]
    fn a_matrix_is_the_sum_of_its_parts() {
        let matrix = [4.0, 1.0, 0.5, 1.0, 3.0, -0.25, 0.5, -0.25, 2.0];
        let (values, vectors) = eigen(&matrix, 3);
        for (found, wanted) in compose(&vectors, &values, 3).iter().zip(matrix) {
            assert!((found - wanted).abs() < 1e-14);
        }
    }
}
