//! Logistic regression, binary and multinomial, by Newton's method with conjugate gradients (Nocedal, Wright: "Numerical
//! optimization", 2nd ed., algorithm 7.1) in scikit-learn's scale: the mean weighted loss plus `|w|^2 / (2 C sum s)`.
//!
//! The conjugate gradients are preconditioned by Cholesky factors of weighted Gram matrices. For two classes that is the
//! Hessian itself and one step of them suffices; for more, class `k` gets the Gram matrix scaled to its own curvature, and
//! the projection onto coefficients that sum to zero over the classes makes the product the exact inverse wherever all
//! rows have the same probabilities: with `D = diag(p)`, `P D^-1 P (D - p p') = P`.

use super::cholesky::Pivoted;
use super::design::{Design, add_scaled, dot};
use super::task::Watch;
use cupola_task::Result;
use rayon::prelude::*;

/// Rows in a block of row-wise work.
const BLOCK: usize = 1024;
/// Most multiplications for factoring Gram matrices once; above, only their diagonal preconditions.
const FACTOR_FLOPS_MAX: f64 = 1e9;
/// Most steps of conjugate gradients in an iteration.
const CONJUGATE_STEPS: usize = 300;
/// A step must bring this share of what the slope promises (Armijo).
const ARMIJO: f64 = 1e-4;

/// A problem of logistic regression.
pub struct Logistic<'a> {
    /// The rows.
    pub design: &'a Design,
    /// Each row's class, below `classes`.
    pub codes: &'a [u32],
    /// How many classes, at least two, each with a row.
    pub classes: usize,
    /// One positive weight a row.
    pub weights: &'a [f64],
    /// The inverse strength of the penalty; infinite for none.
    pub c: f64,
    /// Largest slope of the scaled objective at which to stop.
    pub tol: f64,
    /// Most iterations.
    pub max_iter: usize,
}

/// The factor that the conjugate gradients divide by.
enum Preconditioner {
    /// One for each output.
    Factors(Vec<Pivoted>),
    /// One number for each coefficient.
    Diagonal(Vec<f64>),
}

/// A place on the way: coefficients `[outputs, width]`, margins and probabilities `[rows, outputs]`.
struct Place {
    coefficients: Vec<f64>,
    margins: Vec<f64>,
    chances: Vec<f64>,
    loss: f64,
}

/// The coefficients `[outputs, width]` of least loss in the design's order; one output for two classes, whose margin is the
/// second's.
///
/// # Errors
/// When the listener stops the run before the first iteration.
pub fn logistic(problem: &Logistic<'_>, watch: &Watch<'_, '_>) -> Result<Vec<f64>> {
    watch.begin()?;
    let scaled = Scaled::new(problem);
    let mut place = scaled.place(vec![0.0; scaled.size()], vec![0.0; problem.design.rows() * scaled.outputs]);
    let mut gradient = scaled.gradient(&place);
    let first = steepest(&gradient);
    for iteration in 1.. {
        if steepest(&gradient) <= problem.tol {
            break;
        }
        if iteration > problem.max_iter {
            watch.warn_unfinished("logistic");
            break;
        }
        let Some(next) = scaled.step(&place, &gradient, first) else { break };
        place = next;
        gradient = scaled.gradient(&place);
        if !watch.tell(iteration, Some(("loss", place.loss))) {
            break;
        }
    }
    scaled.centre(&mut place.coefficients);
    Ok(place.coefficients)
}

fn steepest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |most, value| value.abs().max(most))
}

/// The problem with weights that sum to 1.
struct Scaled<'a> {
    problem: &'a Logistic<'a>,
    outputs: usize,
    width: usize,
    weights: Vec<f64>,
    penalty: f64,
}

impl<'a> Scaled<'a> {
    fn new(problem: &'a Logistic<'a>) -> Self {
        let total: f64 = problem.weights.iter().sum();
        Scaled {
            problem,
            outputs: if problem.classes == 2 { 1 } else { problem.classes },
            width: problem.design.width(),
            weights: problem.weights.iter().map(|weight| weight / total).collect(),
            penalty: 1.0 / (problem.c * total),
        }
    }

    fn size(&self) -> usize {
        self.outputs * self.width
    }

    /// The coefficients under penalty: all but the constant's.
    fn penalised<'v>(&self, vector: &'v [f64]) -> impl Iterator<Item = &'v [f64]> + use<'v> {
        let inputs = self.problem.design.inputs();
        vector.chunks_exact(self.width.max(1)).map(move |output| &output[..inputs])
    }

    /// `sum += penalty * vector` on what is under penalty.
    fn add_penalty(&self, sum: &mut [f64], vector: &[f64]) {
        for (sum, vector) in sum.chunks_exact_mut(self.width.max(1)).zip(self.penalised(vector)) {
            add_scaled(sum, self.penalty, vector);
        }
    }

    fn place(&self, coefficients: Vec<f64>, margins: Vec<f64>) -> Place {
        let outputs = self.outputs;
        let mut chances = margins.clone();
        let block = BLOCK * outputs;
        let losses: Vec<f64> = chances
            .par_chunks_mut(block)
            .zip(self.problem.codes.par_chunks(BLOCK))
            .zip(self.weights.par_chunks(BLOCK))
            .map(|((chances, codes), weights)| {
                let rows = chances.chunks_exact_mut(outputs).zip(codes).zip(weights);
                rows.map(|((row, &code), weight)| weight * if outputs == 1 { binary(row, code) } else { softmax(row, code) }).sum()
            })
            .collect();
        let norm: f64 = self.penalised(&coefficients).map(|output| dot(output, output)).sum();
        let loss = losses.iter().sum::<f64>() + if norm > 0.0 { 0.5 * self.penalty * norm } else { 0.0 };
        Place { coefficients, margins, chances, loss }
    }

    fn gradient(&self, place: &Place) -> Vec<f64> {
        let mut rest = place.chances.clone();
        for ((row, &code), weight) in rest.chunks_exact_mut(self.outputs).zip(self.problem.codes).zip(&self.weights) {
            match self.outputs {
                1 => row[0] -= f64::from(code),
                _ => row[code as usize] -= 1.0,
            }
            row.iter_mut().for_each(|value| *value *= weight);
        }
        let mut gradient = self.problem.design.transpose_times(&rest, self.outputs);
        self.add_penalty(&mut gradient, &place.coefficients);
        gradient
    }

    /// The Hessian times a vector.
    fn curve(&self, place: &Place, vector: &[f64]) -> Vec<f64> {
        let mut margins = self.problem.design.times(vector, self.outputs);
        for ((row, chances), weight) in
            margins.chunks_exact_mut(self.outputs).zip(place.chances.chunks_exact(self.outputs)).zip(&self.weights)
        {
            if let ([margin], [chance]) = (&mut *row, chances) {
                *margin *= weight * chance * (1.0 - chance);
                continue;
            }
            let mean: f64 = row.iter().zip(chances).map(|(margin, chance)| margin * chance).sum();
            row.iter_mut().zip(chances).for_each(|(margin, chance)| *margin = weight * chance * (*margin - mean));
        }
        let mut curve = self.problem.design.transpose_times(&margins, self.outputs);
        self.add_penalty(&mut curve, vector);
        curve
    }

    /// One Newton step with as much of it as lowers the loss; none when rounding leaves nothing to gain.
    fn step(&self, place: &Place, gradient: &[f64], first: f64) -> Option<Place> {
        let direction = self.direction(place, gradient, first);
        let slope = dot(&direction, gradient);
        if slope.is_nan() || slope >= 0.0 {
            return None;
        }
        let change = self.problem.design.times(&direction, self.outputs);
        let slack = 4.0 * f64::EPSILON * place.loss.abs();
        (0..40).map(|halvings| 0.5f64.powi(halvings)).find_map(|share| {
            let mut coefficients = place.coefficients.clone();
            add_scaled(&mut coefficients, share, &direction);
            let mut margins = place.margins.clone();
            add_scaled(&mut margins, share, &change);
            let next = self.place(coefficients, margins);
            (next.loss <= place.loss + ARMIJO * share * slope + slack).then_some(next)
        })
    }

    /// Solves `Hessian * direction = -gradient` to a tolerance that tightens as the gradient shrinks from its `first` size.
    fn direction(&self, place: &Place, gradient: &[f64], first: f64) -> Vec<f64> {
        let preconditioner = self.preconditioner(place);
        let size = steepest(gradient);
        let limit = (size * (size / first).sqrt().min(0.25)).max(0.3 * self.problem.tol);
        let mut direction = vec![0.0; gradient.len()];
        let mut rest: Vec<f64> = gradient.iter().map(|value| -value).collect();
        let mut eased = self.ease(&preconditioner, &rest);
        let mut search = eased.clone();
        let mut along = dot(&rest, &eased);
        for _ in 0..CONJUGATE_STEPS {
            let curved = self.curve(place, &search);
            let curvature = dot(&search, &curved);
            if curvature.is_nan() || curvature <= 0.0 {
                break;
            }
            let step = along / curvature;
            add_scaled(&mut direction, step, &search);
            add_scaled(&mut rest, -step, &curved);
            if steepest(&rest) <= limit {
                break;
            }
            eased = self.ease(&preconditioner, &rest);
            let before = std::mem::replace(&mut along, dot(&rest, &eased));
            search.iter_mut().zip(&eased).for_each(|(search, eased)| *search = eased + along / before * *search);
        }
        direction
    }

    /// The preconditioner's solution, projected onto coefficients that sum to zero over the classes.
    fn ease(&self, preconditioner: &Preconditioner, rest: &[f64]) -> Vec<f64> {
        let mut eased: Vec<f64> = match preconditioner {
            Preconditioner::Factors(factors) => {
                factors.iter().zip(rest.chunks_exact(self.width.max(1))).flat_map(|(factor, rest)| factor.solve(rest)).collect()
            }
            Preconditioner::Diagonal(diagonal) => rest.iter().zip(diagonal).map(|(rest, diagonal)| rest / diagonal).collect(),
        };
        self.centre(&mut eased);
        eased
    }

    /// Takes off each coefficient its mean over the classes. Of all coefficients with the same answers, those that sum to
    /// zero have the least norm, and they are the ones scikit-learn finds.
    fn centre(&self, vector: &mut [f64]) {
        if self.outputs == 1 {
            return;
        }
        for column in 0..self.width {
            let mean = vector.iter().skip(column).step_by(self.width).sum::<f64>() / self.outputs as f64;
            vector.iter_mut().skip(column).step_by(self.width).for_each(|value| *value -= mean);
        }
    }

    fn preconditioner(&self, place: &Place) -> Preconditioner {
        let (weights, scales) = self.curvatures(place);
        let width = self.width;
        if !is_factored(self.problem.design.rows(), width, self.outputs) {
            let diagonal = self.problem.design.gram_diagonal(&weights);
            let scaled = scales.iter().flat_map(|scale| diagonal.iter().map(move |value| value * scale));
            return Preconditioner::Diagonal(self.lifted(scaled.collect(), 1));
        }
        let gram = self.problem.design.gram(&weights);
        let factor = |scale: &f64| Pivoted::new(&self.lifted(gram.iter().map(|value| value * scale).collect(), width + 1), width);
        Preconditioner::Factors(scales.par_iter().map(factor).collect())
    }

    /// Adds to a diagonal, whose entries are `stride` apart, the penalty and a trifle that keeps it regular.
    fn lifted(&self, mut matrix: Vec<f64>, stride: usize) -> Vec<f64> {
        let inputs = self.problem.design.inputs();
        for (column, value) in matrix.iter_mut().step_by(stride).enumerate() {
            *value += if column % self.width < inputs { self.penalty } else { 0.0 };
            *value = if *value > 0.0 { *value * (1.0 + 1e-9) } else { 1.0 };
        }
        matrix
    }

    /// Row weights for the Gram matrix, and each output's scale of it.
    fn curvatures(&self, place: &Place) -> (Vec<f64>, Vec<f64>) {
        let rows = || place.chances.chunks_exact(self.outputs).zip(&self.weights);
        if self.outputs == 1 {
            return (rows().map(|(row, weight)| weight * row[0] * (1.0 - row[0])).collect(), vec![1.0]);
        }
        let weights: Vec<f64> = rows().map(|(row, weight)| weight * (1.0 - dot(row, row)).max(0.0)).collect();
        let (mut shares, mut spreads) = (vec![0.0; self.outputs], vec![0.0; self.outputs]);
        for (row, weight) in rows() {
            for ((share, spread), chance) in shares.iter_mut().zip(&mut spreads).zip(row) {
                *share += weight * chance;
                *spread += weight * chance * (1.0 - chance);
            }
        }
        let total = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let scales = shares.iter().zip(&spreads).map(|(share, spread)| (spread / total / (1.0 - share).max(1e-3)).max(1e-12)).collect();
        (weights, scales)
    }
}

/// Whether the preconditioner is worth factors of square matrices; counts a sparse row's products as a small share of all.
pub fn is_factored(rows: usize, width: usize, outputs: usize) -> bool {
    let [rows, width, outputs] = [rows as f64, width as f64, outputs as f64];
    width * width * (width / 3.0 * outputs + rows / 64.0) <= FACTOR_FLOPS_MAX
}

/// Turns a margin into the second class's probability and gives the row's loss.
fn binary(row: &mut [f64], code: u32) -> f64 {
    let margin = row[0];
    let small = (-margin.abs()).exp();
    row[0] = if margin >= 0.0 { 1.0 / (1.0 + small) } else { small / (1.0 + small) };
    margin.max(0.0) + small.ln_1p() - f64::from(code) * margin
}

/// Turns margins into probabilities and gives the row's loss.
fn softmax(row: &mut [f64], code: u32) -> f64 {
    let most = row.iter().fold(f64::NEG_INFINITY, |most, &margin| margin.max(most));
    let own = row[code as usize] - most;
    row.iter_mut().for_each(|margin| *margin = (*margin - most).exp());
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|value| *value /= sum);
    sum.ln() - own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::{Feature, Values};
    use cupola_task::Draw;

    /// The gradient against differences of the loss, and the Hessian against differences of the gradient.
    #[test]
    fn derivatives_are_those_of_the_loss() {
        let draw = Draw::new(2);
        let column = |at: u64| Feature { name: "x".into(), values: Values::Numbers((0..30).map(|row| draw.at(at).normal(row)).collect()) };
        let weights: Vec<f64> = (0..30).map(|row| 0.5 + draw.uniform(row)).collect();
        let keep: Vec<usize> = (0..30).collect();
        let design = Design::new(&[column(1), column(2)], &keep, &weights, true).unwrap();
        for classes in [2, 4] {
            let codes: Vec<u32> = (0..30).map(|row| row % classes as u32).collect();
            let problem = Logistic { design: &design, codes: &codes, classes, weights: &weights, c: 0.3, tol: 0.0, max_iter: 1 };
            let scaled = Scaled::new(&problem);
            let at = |w: Vec<f64>| scaled.place(w.clone(), design.times(&w, scaled.outputs));
            let middle: Vec<f64> = (0..scaled.size() as u64).map(|i| draw.at(7).normal(i)).collect();
            let vector: Vec<f64> = (0..scaled.size() as u64).map(|i| draw.at(8).normal(i)).collect();
            let moved = |by: f64| at(middle.iter().zip(&vector).map(|(w, v)| w + by * v).collect());
            let (before, here, after) = (moved(-1e-5), moved(0.0), moved(1e-5));
            let slope = (after.loss - before.loss) / 2e-5;
            assert!((slope - dot(&scaled.gradient(&here), &vector)).abs() < 1e-8, "{classes} classes");
            let bend = scaled.gradient(&after).into_iter().zip(scaled.gradient(&before)).map(|(after, before)| (after - before) / 2e-5);
            assert!(bend.zip(scaled.curve(&here, &vector)).all(|(found, wanted)| (found - wanted).abs() < 1e-8), "{classes} classes");
        }
    }
}
