//! Probability calibration: maps that turn probabilities into ones that hold.
//!
//! `sigmoid` is Platt's ("Probabilistic outputs for support vector machines", 1999) with his targets for small samples, solved by Newton's
//! method (Lin, Lin and Weng, 2007); `isotonic` pools adjacent violators (Barlow et al., 1972). As scikit-learn's
//! `CalibratedClassifierCV` does, more than two classes get a map each, one against the rest, whose values are divided by their sum.
//!
//! Differs: a sigmoid is fitted to the log odds of the probability, as scikit-learn does for models with a decision function; for others it
//! takes the probability itself, and then no sigmoid leaves a calibrated model as it is.

use serde::{Deserialize, Serialize};

/// Probabilities are kept this far from 0 and 1, where their log odds are no numbers.
const EDGE: f64 = 1e-12;
/// Newton steps; ten are plenty.
const STEPS_MAX: usize = 100;

/// A calibration of class probabilities: for two classes one map of the positive one, otherwise one a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Calibrator {
    /// Slope and intercept of the log odds.
    Sigmoid(Vec<[f64; 2]>),
    /// Rising steps.
    Isotonic(Vec<Knots>),
}

/// A rising map: linear between knots, level outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Knots {
    x: Vec<f64>,
    y: Vec<f64>,
}

/// How a calibration is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Sigmoid,
    Isotonic,
}

/// Rows to learn from: what the model says, what is true, what a row counts.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// How many classes.
    pub classes: usize,
    /// Row-major probabilities.
    pub values: &'a [f64],
    /// The place of each row's true class; none where the model does not know it.
    pub truth: &'a [Option<usize>],
    /// One weight a row; none means 1 each.
    pub weights: Option<&'a [f64]>,
}

impl Method {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Method::Sigmoid => "sigmoid",
            Method::Isotonic => "isotonic",
        }
    }
}

impl<'a> Rows<'a> {
    /// The weight of a row.
    pub(crate) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// The probability of a class in each row, whether it is true, and what the row counts.
    fn of(self, class: usize) -> impl Iterator<Item = (f64, bool, f64)> + 'a {
        let classes = self.classes;
        (0..self.truth.len()).map(move |row| (self.values[row * classes + class], self.truth[row] == Some(class), self.weight(row)))
    }
}

impl Calibrator {
    /// Fits a map for each class that needs one.
    pub(crate) fn fit(method: Method, rows: Rows<'_>) -> Calibrator {
        let mapped: Vec<usize> = if rows.classes == 2 { vec![1] } else { (0..rows.classes).collect() };
        match method {
            Method::Sigmoid => Calibrator::Sigmoid(mapped.into_iter().map(|class| sigmoid(rows.of(class))).collect()),
            Method::Isotonic => Calibrator::Isotonic(mapped.into_iter().map(|class| Knots::fit(rows.of(class))).collect()),
        }
    }

    /// Puts better probabilities in place of row-major ones.
    pub(crate) fn apply(&self, classes: usize, values: &mut [f64]) {
        for row in values.chunks_exact_mut(classes.max(1)) {
            if let [no, yes] = row {
                *yes = self.map(0, *yes);
                *no = 1.0 - *yes;
                continue;
            }
            row.iter_mut().enumerate().for_each(|(class, value)| *value = self.map(class, *value));
            let sum: f64 = row.iter().sum();
            // Where no class is left any probability, all are alike, as in scikit-learn.
            row.iter_mut().for_each(|value| *value = if sum > 0.0 { *value / sum } else { 1.0 / classes as f64 });
        }
    }

    fn map(&self, class: usize, probability: f64) -> f64 {
        match self {
            Calibrator::Sigmoid(maps) => {
                let [slope, intercept] = maps[class];
                logistic(slope * log_odds(probability) + intercept)
            }
            Calibrator::Isotonic(maps) => maps[class].at(probability),
        }
    }

    /// Whether it is well formed and suits so many classes, which what was read from outside may not be.
    pub(crate) fn is_sound(&self, classes: usize) -> bool {
        let wanted = if classes == 2 { 1 } else { classes };
        match self {
            Calibrator::Sigmoid(maps) => maps.len() == wanted && maps.iter().flatten().all(|number| number.is_finite()),
            Calibrator::Isotonic(maps) => maps.len() == wanted && maps.iter().all(Knots::is_sound),
        }
    }

    /// The word for its method.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Calibrator::Sigmoid(_) => Method::Sigmoid.word(),
            Calibrator::Isotonic(_) => Method::Isotonic.word(),
        }
    }
}

fn log_odds(probability: f64) -> f64 {
    let kept = probability.clamp(EDGE, 1.0 - EDGE);
    (kept / (1.0 - kept)).ln()
}

fn logistic(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

/// Slope and intercept of least log loss against Platt's targets, which are (n + 1) / (n + 2) for the n true rows and 1 / (m + 2) for the
/// m others, so that no map is infinitely steep.
fn sigmoid(rows: impl Iterator<Item = (f64, bool, f64)>) -> [f64; 2] {
    let rows: Vec<(f64, bool, f64)> = rows.map(|(probability, is_true, weight)| (log_odds(probability), is_true, weight)).collect();
    let mass = |wanted: bool| rows.iter().filter(|row| row.1 == wanted).map(|row| row.2).sum::<f64>();
    let [positive, negative] = [mass(true), mass(false)];
    let targets = [1.0 / (negative + 2.0), (positive + 1.0) / (positive + 2.0)];
    let loss = |[slope, intercept]: [f64; 2]| -> f64 {
        let row = |&(x, is_true, weight): &(f64, bool, f64)| {
            let (z, target) = (slope * x + intercept, targets[usize::from(is_true)]);
            // ln(1 + e^z) - target z, without overflow.
            weight * (z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z)
        };
        rows.iter().map(row).sum()
    };
    let mut at = [0.0, ((positive + 1.0) / (negative + 1.0)).ln()];
    let mut best = loss(at);
    for _ in 0..STEPS_MAX {
        let (mut gradient, mut curve) = ([0.0; 2], [1e-12, 0.0, 1e-12]);
        for &(x, is_true, weight) in &rows {
            let p = logistic(at[0] * x + at[1]);
            let (error, spread) = (weight * (p - targets[usize::from(is_true)]), weight * p * (1.0 - p));
            gradient = [gradient[0] + error * x, gradient[1] + error];
            curve = [curve[0] + spread * x * x, curve[1] + spread * x, curve[2] + spread];
        }
        let determinant = curve[0] * curve[2] - curve[1] * curve[1];
        let step = [
            (curve[2] * gradient[0] - curve[1] * gradient[1]) / determinant,
            (curve[0] * gradient[1] - curve[1] * gradient[0]) / determinant,
        ];
        if !step.iter().all(|part| part.is_finite()) {
            break;
        }
        // Half the step until the loss falls: far from the end a whole one may lead beyond it.
        let tried = (0..40).map(|halvings| 0.5f64.powi(halvings)).find_map(|share| {
            let next = [at[0] - share * step[0], at[1] - share * step[1]];
            let loss = loss(next);
            (loss < best).then_some((next, loss))
        });
        let Some((next, loss)) = tried else { break };
        (at, best) = (next, loss);
    }
    at
}

impl Knots {
    /// Blocks of rows whose means rise.
    fn fit(rows: impl Iterator<Item = (f64, bool, f64)>) -> Knots {
        let mut sorted: Vec<(f64, bool, f64)> = rows.filter(|row| row.2 > 0.0).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        // From, to, mass of true rows, mass of all.
        let mut blocks: Vec<[f64; 4]> = Vec::new();
        for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
            let hits: f64 = ties.iter().filter(|row| row.1).map(|row| row.2).sum();
            let mut block = [ties[0].0, ties[0].0, hits, ties.iter().map(|row| row.2).sum()];
            while let Some(last) = blocks.pop_if(|last| last[2] * block[3] >= block[2] * last[3]) {
                block = [last[0], block[1], last[2] + block[2], last[3] + block[3]];
            }
            blocks.push(block);
        }
        let mut knots = Knots { x: vec![], y: vec![] };
        for [from, to, hits, mass] in blocks {
            for x in if to > from { vec![from, to] } else { vec![from] } {
                knots.x.push(x);
                knots.y.push(hits / mass);
            }
        }
        knots
    }

    fn at(&self, x: f64) -> f64 {
        let Some(last) = self.x.len().checked_sub(1) else { return x };
        match self.x.partition_point(|known| *known < x) {
            0 => self.y[0],
            place if place > last => self.y[last],
            place => {
                let ([from, to], [low, high]) = ([self.x[place - 1], self.x[place]], [self.y[place - 1], self.y[place]]);
                low + (high - low) * (x - from) / (to - from)
            }
        }
    }

    fn is_sound(&self) -> bool {
        self.x.len() == self.y.len()
            && self.x.is_sorted_by(|a, b| a < b)
            && self.x.iter().all(|x| x.is_finite())
            && self.y.iter().all(|y| (0.0..=1.0).contains(y))
    }
}

/// The log loss of each row.
pub(crate) fn log_losses(rows: Rows<'_>) -> Vec<f64> {
    let own = |(row, truth): (usize, &Option<usize>)| truth.map_or(0.0, |class| rows.values[row * rows.classes + class]);
    rows.truth.iter().enumerate().map(|row| -own(row).max(f64::EPSILON).ln()).collect()
}

/// Folds that `auto` judges on, and rows below which isotonic regression is not tried: it fits what small samples happen to show
/// (scikit-learn's user guide names the same thousand).
const FOLDS: usize = 5;
const ISOTONIC_ROWS_MIN: usize = 1000;
/// Rows below which `auto` leaves probabilities as they are.
const ROWS_MIN: usize = 50;

/// The method whose maps, fitted to other rows, make the log loss of rows smaller by more than a standard error; none when none does.
pub(crate) fn best(rows: Rows<'_>) -> Option<Method> {
    let count = rows.truth.len();
    if count < ROWS_MIN {
        return None;
    }
    let before = log_losses(rows);
    let methods: &[Method] = if count >= ISOTONIC_ROWS_MIN { &[Method::Sigmoid, Method::Isotonic] } else { &[Method::Sigmoid] };
    let gain = |method: Method| {
        let after = log_losses(Rows { values: &cross_fitted(method, rows), ..rows });
        let gains: Vec<f64> = (0..count).map(|row| rows.weight(row) * (before[row] - after[row])).collect();
        let mean = gains.iter().sum::<f64>() / count as f64;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1) as f64;
        (method, mean, (variance / count as f64).sqrt())
    };
    let gains = methods.iter().map(|&method| gain(method)).filter(|(_, mean, error)| mean > error);
    gains.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(method, _, _)| method)
}

/// Probabilities of each row by maps that did not see it.
fn cross_fitted(method: Method, rows: Rows<'_>) -> Vec<f64> {
    let mut values = rows.values.to_vec();
    for fold in 0..FOLDS {
        let inside: Vec<usize> = (0..rows.truth.len()).filter(|row| row % FOLDS != fold).collect();
        let taken = |row: &usize| rows.values[row * rows.classes..(row + 1) * rows.classes].to_vec();
        let own: Vec<f64> = inside.iter().flat_map(taken).collect();
        let truth: Vec<Option<usize>> = inside.iter().map(|&row| rows.truth[row]).collect();
        let weights: Option<Vec<f64>> = rows.weights.map(|weights| inside.iter().map(|&row| weights[row]).collect());
        let map = Calibrator::fit(method, Rows { classes: rows.classes, values: &own, truth: &truth, weights: weights.as_deref() });
        for (_, row) in values.chunks_exact_mut(rows.classes).enumerate().filter(|(row, _)| row % FOLDS == fold) {
            map.apply(rows.classes, row);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    /// Rows whose true chance is the logistic of the log odds times `power`.
    fn drawn(count: u64, power: f64) -> (Vec<f64>, Vec<Option<usize>>) {
        let (scores, coins) = (Draw::new(5), Draw::new(6));
        let chances: Vec<f64> = (0..count).map(|row| logistic(2.0 * scores.normal(row))).collect();
        let truth =
            chances.iter().zip(0..).map(|(chance, row)| Some(usize::from(coins.uniform(row) < logistic(power * log_odds(*chance)))));
        (chances.iter().flat_map(|p| [1.0 - p, *p]).collect(), truth.collect())
    }

    #[test]
    fn auto_maps_only_where_it_helps() {
        let found = |count, power| {
            let (values, truth) = drawn(count, power);
            best(Rows { classes: 2, values: &values, truth: &truth, weights: None })
        };
        assert_eq!((found(4000, 1.0), found(40, 0.3), found(4000, 0.4)), (None, None, Some(Method::Sigmoid)));
    }

    #[test]
    fn a_sigmoid_finds_the_slope() {
        let (values, truth) = drawn(20_000, 0.5);
        let map = Calibrator::fit(Method::Sigmoid, Rows { classes: 2, values: &values, truth: &truth, weights: None });
        let Calibrator::Sigmoid(maps) = &map else { unreachable!("a sigmoid was asked for") };
        assert!((maps[0][0] - 0.5).abs() < 0.03 && maps[0][1].abs() < 0.06 && map.is_sound(2) && !map.is_sound(3), "{maps:?}");
    }
}
