//! What boosting makes small, and its first and second derivatives by score.
//!
//! Each is checked against finite differences in the tests.

use super::exp::{exp, sigmoid};
use crate::{Rows, Target};
use rayon::prelude::*;

/// Rows a task takes.
const BLOCK: usize = 8192;

/// A loss over the scores of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Loss {
    /// Log loss of two classes; one score, the log odds of the second.
    Logistic,
    /// Log loss of so many classes; a score each.
    Softmax(usize),
    /// Focal loss of so many classes, `-(1 - p)^gamma ln p` of the true class's probability p: rows that are answered well count little (Lin et
    /// al.: "Focal loss for dense object detection", ICCV 2017). One score for two classes, the log odds of the second; else a score each.
    Focal(usize, f64),
    /// Half the squared error; one score.
    Squared,
    /// The pinball loss of a quantile, `alpha (y - s)` above the score and `(1 - alpha) (s - y)` below it (Koenker and Bassett, "Regression quantiles",
    /// 1978); one score. As in LightGBM its second derivative counts as 1, and leaves get that quantile of what is left in them.
    Quantile(f64),
}

/// Truth and weight of rows, as numbers.
pub(crate) struct Truth {
    /// A class code or a number for each row.
    pub(crate) values: Vec<f64>,
    /// One a row; none means 1 each.
    pub(crate) weight: Option<Vec<f64>>,
}

impl Truth {
    /// The truth of rows.
    pub(crate) fn of(rows: &Rows) -> Truth {
        let values = match &rows.target {
            Target::Classes { codes, .. } => codes.iter().map(|&code| f64::from(code)).collect(),
            Target::Numbers(values) => values.clone(),
        };
        Truth { values, weight: rows.weight.clone() }
    }

    fn weight(&self, row: usize) -> f64 {
        self.weight.as_ref().map_or(1.0, |weight| weight[row])
    }

    /// The sum of weights.
    pub(crate) fn total(&self) -> f64 {
        self.weight.as_ref().map_or(self.values.len() as f64, |weight| weight.iter().sum())
    }

    /// The weighted mean of a function of the value.
    fn mean(&self, of: impl Fn(f64) -> f64) -> f64 {
        let sum: f64 = self.values.iter().enumerate().map(|(row, &value)| self.weight(row) * of(value)).sum();
        sum / self.total()
    }
}

impl Loss {
    /// How many scores a row has.
    pub(crate) fn outputs(self) -> usize {
        match self {
            Loss::Softmax(classes) => classes,
            Loss::Focal(classes, _) if classes > 2 => classes,
            Loss::Logistic | Loss::Focal(..) | Loss::Squared | Loss::Quantile(_) => 1,
        }
    }

    /// The name of the measure that [`Loss::measure`] gives.
    pub(crate) fn measure_name(self) -> &'static str {
        match self {
            Loss::Logistic | Loss::Softmax(_) => "log_loss",
            Loss::Focal(..) => "focal_loss",
            Loss::Squared => "rmse",
            Loss::Quantile(_) => "quantile",
        }
    }

    /// The constant scores with the least loss (shares are held away from 0 and 1); for focal loss those of the log loss.
    pub(crate) fn start(self, truth: &Truth) -> Vec<f64> {
        let share = |class: usize| truth.mean(|value| f64::from(u8::from(value == class as f64))).clamp(1e-12, 1.0 - 1e-12);
        match self {
            Loss::Quantile(alpha) => {
                let rows: Vec<[f64; 2]> = truth.values.iter().enumerate().map(|(row, &value)| [value, truth.weight(row)]).collect();
                vec![quantile(rows, alpha, truth.weight.is_some())]
            }
            _ if self.outputs() == 1 && self != Loss::Squared => vec![(share(1) / (1.0 - share(1))).ln()],
            Loss::Softmax(classes) | Loss::Focal(classes, _) => (0..classes).map(|class| share(class).ln()).collect(),
            Loss::Logistic | Loss::Squared => vec![truth.mean(|value| value)],
        }
    }

    /// First and second derivatives by each score: `scores` and `out` are row-major with [`Loss::outputs`] columns.
    pub(crate) fn gradients(self, scores: &[f64], truth: &Truth, out: &mut [[f64; 2]]) {
        let outputs = self.outputs();
        out.par_chunks_mut(BLOCK * outputs).zip(scores.par_chunks(BLOCK * outputs)).enumerate().for_each(|(block, (out, scores))| {
            let first = block * BLOCK;
            let rows = first..first + scores.len() / outputs;
            let values = &truth.values[rows.clone()];
            match self {
                Loss::Logistic => logistic(scores, values, out),
                Loss::Softmax(_) => softmax(scores, values, out, outputs),
                Loss::Focal(_, gamma) if outputs == 1 => focal(scores, values, out, gamma),
                Loss::Focal(_, gamma) => focal_softmax(scores, values, out, gamma),
                Loss::Quantile(alpha) => out.iter_mut().zip(scores).zip(values).for_each(|((out, score), value)| {
                    *out = [if score >= value { 1.0 - alpha } else { -alpha }, 1.0];
                }),
                Loss::Squared => out.iter_mut().zip(scores).zip(values).for_each(|((out, score), value)| *out = [score - value, 1.0]),
            }
            if let Some(weight) = &truth.weight {
                let weight = weight[rows].iter().flat_map(|weight| std::iter::repeat_n(weight, outputs));
                out.iter_mut().zip(weight).for_each(|(out, weight)| *out = [out[0] * weight, out[1] * weight]);
            }
        });
    }

    /// The value that a leaf gets in place of a step by its gradients, where the loss has one: `rows` are those of the leaf, `scores` what the
    /// trees before have made of all.
    pub(crate) fn renewed(self, scores: &[f64], truth: &Truth, rows: &[u32]) -> Option<f64> {
        let Loss::Quantile(alpha) = self else { return None };
        let left = rows.iter().map(|&row| [truth.values[row as usize] - scores[row as usize], truth.weight(row as usize)]).collect();
        Some(quantile(left, alpha, truth.weight.is_some()))
    }

    /// The loss as people read it: mean log loss, the root of the mean squared error, or the mean pinball loss.
    pub(crate) fn measure(self, scores: &[f64], truth: &Truth) -> f64 {
        let outputs = self.outputs();
        let row_loss = |row: usize| -> f64 {
            let (scores, value) = (&scores[row * outputs..(row + 1) * outputs], truth.values[row]);
            match self {
                Loss::Logistic => log_of_one_plus_exp(if value == 1.0 { -scores[0] } else { scores[0] }),
                Loss::Softmax(_) => log_loss(scores, value),
                Loss::Focal(_, gamma) => {
                    let log_loss = if outputs == 1 {
                        log_of_one_plus_exp(if value == 1.0 { -scores[0] } else { scores[0] })
                    } else {
                        log_loss(scores, value)
                    };
                    (1.0 - exp(-log_loss)).max(0.0).powf(gamma) * log_loss
                }
                Loss::Squared => (scores[0] - value) * (scores[0] - value),
                Loss::Quantile(alpha) => {
                    let above = value - scores[0];
                    (alpha * above).max((alpha - 1.0) * above)
                }
            }
        };
        let blocks: Vec<f64> = (0..truth.values.len())
            .collect::<Vec<_>>()
            .par_chunks(BLOCK)
            .map(|rows| rows.iter().map(|&row| truth.weight(row) * row_loss(row)).sum())
            .collect();
        let mean = blocks.iter().sum::<f64>() / truth.total();
        if self == Loss::Squared { mean.sqrt() } else { mean }
    }
}

/// A quantile of values with weights: without weights that between the two nearest in proportion, as LightGBM and NumPy have it; with weights the
/// first value at which more than that share of the weight is reached. 0 for no value.
///
/// Differs: with weights LightGBM goes from that value down towards the one before, and beyond it, by the weight of the one behind.
fn quantile(mut rows: Vec<[f64; 2]>, alpha: f64, is_weighted: bool) -> f64 {
    let Some(last) = rows.len().checked_sub(1) else { return 0.0 };
    if !is_weighted {
        // LightGBM counts from the largest one.
        let place = last as f64 * (1.0 - alpha);
        let (low, share) = (place.floor() as usize, place - place.floor());
        let (_, upper, below) = rows.select_nth_unstable_by(low.min(last), |a, b| b[0].total_cmp(&a[0]));
        let upper = upper[0];
        let next = below.iter().map(|row| row[0]).fold(f64::NEG_INFINITY, f64::max);
        return if share > 0.0 && next.is_finite() { upper - (upper - next) * share } else { upper };
    }
    rows.sort_unstable_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let wanted = rows.iter().map(|row| row[1]).sum::<f64>() * alpha;
    let mut reached = 0.0;
    let first = rows.iter().find(|row| {
        reached += row[1];
        reached > wanted
    });
    first.map_or(rows[last][0], |row| row[0])
}

fn log_loss(scores: &[f64], value: f64) -> f64 {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + scores.iter().map(|score| exp(score - top)).sum::<f64>().ln() - scores[value as usize]
}

fn log_of_one_plus_exp(x: f64) -> f64 {
    x.max(0.0) + exp(-x.abs()).ln_1p()
}

fn logistic(scores: &[f64], values: &[f64], out: &mut [[f64; 2]]) {
    let (scores, values) = (&scores[..out.len()], &values[..out.len()]);
    for row in 0..out.len() {
        let p = sigmoid(scores[row]);
        let hessian = p * (1.0 - p);
        out[row] = [p - values[row], if hessian > 1e-16 { hessian } else { 1e-16 }];
    }
}

/// The diagonal of the hessian is enlarged by K / (K - 1), as LightGBM does, since the scores of a row have one degree of freedom less.
fn softmax(scores: &[f64], values: &[f64], out: &mut [[f64; 2]], outputs: usize) {
    let factor = outputs as f64 / (outputs as f64 - 1.0);
    let mut p = vec![0.0; outputs];
    for ((out, scores), &value) in out.chunks_exact_mut(outputs).zip(scores.chunks_exact(outputs)).zip(values) {
        p.copy_from_slice(scores);
        super::exp::softmax(&mut p);
        for (class, (out, &p)) in out.iter_mut().zip(&p).enumerate() {
            let truth = if class as f64 == value { 1.0 } else { 0.0 };
            *out = [p - truth, (factor * p * (1.0 - p)).max(1e-16)];
        }
    }
}

/// For the true class's probability p: p times the loss's derivative by p, and the derivative of that.
fn focal_terms(p: f64, gamma: f64) -> [f64; 2] {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    let (rest, log) = (1.0 - p, p.ln());
    // (1 - p) to gamma - 2, gamma - 1 and gamma.
    let low = rest.powf(gamma - 2.0);
    let (middle, high) = (low * rest, low * rest * rest);
    [gamma * p * middle * log - high, gamma * middle * (log + 2.0) - gamma * (gamma - 1.0) * p * low * log]
}

/// The second derivative has a part that is never negative, and one that is where the loss bends the other way: there it is left out, so that a
/// step stays one downhill.
fn focal_pair([g, slope]: [f64; 2], p: f64, change: f64, own: f64) -> [f64; 2] {
    let bend = slope * p * change * change;
    [g * change, (-g * own * (1.0 - own) + bend.max(0.0)).max(1e-16)]
}

fn focal(scores: &[f64], values: &[f64], out: &mut [[f64; 2]], gamma: f64) {
    for ((out, &score), &value) in out.iter_mut().zip(scores).zip(values) {
        let sign = if value == 1.0 { 1.0 } else { -1.0 };
        let p = sigmoid(sign * score);
        let [gradient, hessian] = focal_pair(focal_terms(p, gamma), p, 1.0 - p, p);
        *out = [sign * gradient, hessian];
    }
}

fn focal_softmax(scores: &[f64], values: &[f64], out: &mut [[f64; 2]], gamma: f64) {
    let outputs = scores.len() / values.len().max(1);
    // As for the log loss.
    let factor = outputs as f64 / (outputs as f64 - 1.0);
    let mut p = vec![0.0; outputs];
    for ((out, scores), &value) in out.chunks_exact_mut(outputs).zip(scores.chunks_exact(outputs)).zip(values) {
        p.copy_from_slice(scores);
        super::exp::softmax(&mut p);
        let truth = p[value as usize];
        let terms = focal_terms(truth, gamma);
        for (class, (out, &own)) in out.iter_mut().zip(&p).enumerate() {
            let change = f64::from(u8::from(class as f64 == value)) - own;
            let [gradient, hessian] = focal_pair(terms, truth, change, own);
            *out = [gradient, factor * hessian];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loss that the gradients belong to, summed over rows.
    fn summed(loss: Loss, scores: &[f64], truth: &Truth) -> f64 {
        let measure = loss.measure(scores, truth) * if loss == Loss::Squared { 1.0 } else { truth.total() };
        if loss == Loss::Squared { measure * measure * truth.total() / 2.0 } else { measure }
    }

    #[test]
    fn gradients_are_differences_of_the_loss() {
        for loss in [Loss::Logistic, Loss::Softmax(3), Loss::Squared] {
            let outputs = loss.outputs();
            let truth = Truth { values: vec![1.0, 0.0, 1.0], weight: Some(vec![1.0, 2.0, 0.5]) };
            let scores: Vec<f64> = (0..3 * outputs).map(|i| (i as f64 * 1.7).sin() * 2.0).collect();
            let mut gradients = vec![[0.0; 2]; scores.len()];
            loss.gradients(&scores, &truth, &mut gradients);
            for place in 0..scores.len() {
                let step = 1e-4;
                let at = |by: f64| {
                    let mut moved = scores.clone();
                    moved[place] += by;
                    summed(loss, &moved, &truth)
                };
                let first = (at(step) - at(-step)) / (2.0 * step);
                let second = (at(step) - 2.0 * at(0.0) + at(-step)) / (step * step);
                let factor = if let Loss::Softmax(classes) = loss { classes as f64 / (classes as f64 - 1.0) } else { 1.0 };
                assert!((gradients[place][0] - first).abs() < 1e-6, "{loss:?} at {place}: {} and {first}", gradients[place][0]);
                assert!((gradients[place][1] - second * factor).abs() < 1e-4, "{loss:?} at {place}: {} and {second}", gradients[place][1]);
            }
        }
    }

    #[test]
    fn focal_loss_is_its_formula_and_its_derivatives_are_differences() {
        for (classes, gamma) in [(2, 0.0), (2, 0.5), (2, 2.0), (3, 1.0), (3, 2.0), (4, 5.0)] {
            let loss = Loss::Focal(classes, gamma);
            let outputs = loss.outputs();
            let truth = Truth { values: vec![1.0, 0.0, 1.0, 0.0], weight: Some(vec![1.0, 2.0, 0.5, 1.0]) };
            let scores: Vec<f64> = (0..4 * outputs).map(|i| (i as f64 * 1.7).sin() * 2.0).collect();
            // The formula itself, from probabilities.
            let chance = |row: usize| match outputs {
                1 => 1.0 / (1.0 + (if truth.values[row] == 1.0 { -1.0 } else { 1.0 } * scores[row]).exp()),
                _ => {
                    let row_scores = &scores[row * outputs..(row + 1) * outputs];
                    row_scores[truth.values[row] as usize].exp() / row_scores.iter().map(|score| score.exp()).sum::<f64>()
                }
            };
            let plain: f64 = (0..4).map(|row| -truth.weight(row) * (1.0 - chance(row)).powf(gamma) * chance(row).ln()).sum();
            assert!((summed(loss, &scores, &truth) - plain).abs() < 1e-12);
            let mut gradients = vec![[0.0; 2]; scores.len()];
            loss.gradients(&scores, &truth, &mut gradients);
            for place in 0..scores.len() {
                let at = |by: f64| {
                    let mut moved = scores.clone();
                    moved[place] += by;
                    summed(loss, &moved, &truth)
                };
                let step = 1e-4;
                let first = (at(step) - at(-step)) / (2.0 * step);
                let second = (at(step) - 2.0 * at(0.0) + at(-step)) / (step * step);
                let factor = if outputs > 1 { classes as f64 / (classes as f64 - 1.0) } else { 1.0 };
                let [found, bend] = gradients[place];
                assert!((found - first).abs() < 1e-6, "{loss:?} at {place}: {found} and {first}");
                // Never less than the true one, and that itself where it has no negative part.
                assert!(bend > 0.0 && bend >= second * factor - 1e-4, "{loss:?} at {place}: {bend} and {second}");
                if gamma == 0.0 {
                    assert!((bend - second * factor).abs() < 1e-4, "{loss:?} at {place}: {bend} and {second}");
                }
            }
        }
        // Far out it stays finite.
        let mut out = [[0.0; 2]; 2];
        Loss::Focal(2, 2.0).gradients(&[1e3, -1e3], &Truth { values: vec![1.0, 1.0], weight: None }, &mut out);
        assert!(out.as_flattened().iter().all(|value| value.is_finite()));
    }

    #[test]
    fn start_has_the_least_loss_of_constants() {
        let truth = Truth { values: vec![1.0, 0.0, 1.0, 1.0], weight: Some(vec![1.0, 2.0, 0.5, 1.0]) };
        for loss in [Loss::Logistic, Loss::Squared] {
            let at = |by: f64| loss.measure(&[loss.start(&truth)[0] + by; 4], &truth);
            assert!(at(0.0) < at(0.01) && at(0.0) < at(-0.01));
        }
    }

    #[test]
    fn quantiles_have_the_least_pinball_loss() {
        let values: Vec<f64> = (0..41).map(|i| f64::from(i * 7 % 41) / 4.0).collect();
        // NumPy: quantile(arange(41) / 4, [0.05, 0.5, 0.77]).
        for (alpha, wanted) in [(0.05, 0.5), (0.5, 5.0), (0.77, 7.7), (0.999_999, 10.0)] {
            let found = Loss::Quantile(alpha).start(&Truth { values: values.clone(), weight: None })[0];
            assert!((found - wanted).abs() < 1e-4, "{alpha}: {found}, wanted {wanted}");
        }
        let weight: Vec<f64> = (0..41).map(|i| 0.5 + f64::from(i % 3)).collect();
        for weight in [None, Some(weight)] {
            let truth = Truth { values: values.clone(), weight };
            for alpha in [0.1, 0.37, 0.9] {
                let loss = Loss::Quantile(alpha);
                let at = |by: f64| loss.measure(&vec![loss.start(&truth)[0] + by; 41], &truth);
                assert!(at(0.0) <= at(0.3) && at(0.0) <= at(-0.3), "{alpha}: {} {} {}", at(-0.3), at(0.0), at(0.3));
                let mut gradients = vec![[0.0; 2]; 41];
                let scores: Vec<f64> = (0..41).map(|i| f64::from(i * 13 % 41) / 4.0 + 0.1).collect();
                loss.gradients(&scores, &truth, &mut gradients);
                let mut moved = scores.clone();
                moved[5] += 1e-3;
                let change = (loss.measure(&moved, &truth) - loss.measure(&scores, &truth)) * truth.total() / 1e-3;
                assert!((gradients[5][0] - change).abs() < 1e-9 && gradients[5][1] == truth.weight(5), "{alpha}: {gradients:?} {change}");
            }
        }
        let truth = Truth { values: vec![1.0, 5.0, 2.0, 9.0], weight: None };
        assert_eq!(Loss::Quantile(0.5).renewed(&[0.5, 1.0, 1.0, 1.0], &truth, &[0, 2, 3]), Some(1.0));
        assert_eq!(Loss::Squared.renewed(&[0.5], &truth, &[0]), None);
    }
}
