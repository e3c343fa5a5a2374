//! Curves for plots, one class against the rest, thinned to what a plot can show.

use crate::ranking::Order;
use crate::rows::{self, Labels, Weights};
use cupola_task::{Answer, Error, Field, Result, View, nearest};

/// No curve has more points.
const POINTS_MAX: usize = 200;

/// What a threshold on a class's probability lets through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// The lowest probability that counts as the class; none in the first point, where nothing does.
    pub threshold: Option<f64>,
    /// Of the rows of other classes, the share said to be of this one.
    pub false_positive_rate: f64,
    /// Of the rows of this class, the share said to be.
    pub true_positive_rate: f64,
}

/// How precise and complete a threshold on a class's probability is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecallPoint {
    /// The lowest probability that counts as the class.
    pub threshold: f64,
    /// Of the rows said to be of the class, the share that is.
    pub precision: f64,
    /// Of the rows of the class, the share said to be.
    pub recall: f64,
}

/// What became of the rows whose probability was in one bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationPoint {
    /// The mean probability of the class.
    pub probability: f64,
    /// The share of the rows that are of the class.
    pub rate: f64,
    /// The weight of the rows.
    pub weight: f64,
}

/// One class of a target against the rest.
struct Contest {
    scores: Vec<f64>,
    positive: Vec<bool>,
    weights: Weights,
}

/// Masses at and above a threshold.
struct Step {
    threshold: f64,
    found: f64,
    wrong: f64,
}

/// The receiver operating characteristic of a class: from (0, 0) to (1, 1), at most 200 points. Empty where it is undefined,
/// for want of rows of the class or of any other.
///
/// # Errors
/// When target, truth or answer are not classes, their lengths differ, or the target has no such class.
pub fn roc_curve(field: &Field, answer: &Answer, view: View<'_>, class: &str) -> Result<Vec<RocPoint>> {
    let steps = Contest::new(field, answer, &view, class)?.steps();
    let (found, wrong) = steps.last().map_or((0.0, 0.0), |step| (step.found, step.wrong));
    if found == 0.0 || wrong == 0.0 {
        return Ok(vec![]);
    }
    let point = |step: &Step| RocPoint {
        threshold: Some(step.threshold),
        false_positive_rate: step.wrong / wrong,
        true_positive_rate: step.found / found,
    };
    let start = RocPoint { threshold: None, false_positive_rate: 0.0, true_positive_rate: 0.0 };
    let points = std::iter::once(start).chain(steps.iter().map(point)).collect();
    Ok(thinned(points, |point| 0.5 * (point.false_positive_rate + point.true_positive_rate)))
}

/// Precision over recall of a class, from the highest threshold to the lowest, at most 200 points. Empty when no row is of
/// the class.
///
/// # Errors
/// As [`roc_curve`].
pub fn precision_recall_curve(field: &Field, answer: &Answer, view: View<'_>, class: &str) -> Result<Vec<RecallPoint>> {
    let steps = Contest::new(field, answer, &view, class)?.steps();
    let found = steps.last().map_or(0.0, |step| step.found);
    if found == 0.0 {
        return Ok(vec![]);
    }
    let point = |step: &Step| RecallPoint {
        threshold: step.threshold,
        precision: step.found / (step.found + step.wrong),
        recall: step.found / found,
    };
    let points = steps.iter().filter(|step| step.found + step.wrong > 0.0).map(point).collect();
    Ok(thinned(points, |point| point.recall))
}

/// How often a class comes true by the probability it was given, over at most 200 bins of equal width; empty bins are left out.
///
/// # Errors
/// As [`roc_curve`].
pub fn calibration_curve(field: &Field, answer: &Answer, view: View<'_>, class: &str, bins: usize) -> Result<Vec<CalibrationPoint>> {
    let contest = Contest::new(field, answer, &view, class)?;
    let bins = bins.clamp(1, POINTS_MAX);
    let mut sums = vec![[0.0; 3]; bins];
    contest.weights.each(None, |row, mass| {
        let sum = &mut sums[((contest.scores[row] * bins as f64) as usize).min(bins - 1)];
        sum[0] += mass;
        sum[1] += mass * contest.scores[row];
        sum[2] += if contest.positive[row] { mass } else { 0.0 };
    });
    let point = |[weight, probability, rate]: &[f64; 3]| CalibrationPoint {
        probability: probability / weight,
        rate: rate / weight,
        weight: *weight,
    };
    Ok(sums.iter().filter(|sum| sum[0] > 0.0).map(point).collect())
}

impl Contest {
    fn new(field: &Field, answer: &Answer, view: &View<'_>, class: &str) -> Result<Contest> {
        let labels = Labels::new(rows::classes(field)?);
        let known = labels.find(class).ok_or_else(|| unknown(field, &labels, class))?;
        let (classes, values) = rows::scores(answer)?;
        let names = rows::names(view, answer.len())?;
        let column = labels.columns(classes)[known as usize];
        let scores = values.chunks_exact(classes.len()).map(|row| column.map_or(0.0, |column| row[column])).collect();
        let positive = names.iter().flatten().map(|name| name == class).collect();
        Ok(Contest { scores, positive, weights: rows::weighted(view, answer.len())? })
    }

    fn steps(&self) -> Vec<Step> {
        let order = Order::new(&self.scores, |row| self.positive[row]);
        let mut thresholds = order.rows.iter().zip(&order.last).filter(|(_, last)| **last).map(|(&row, _)| self.scores[row as usize]);
        let (mut found, mut wrong) = (0.0, 0.0);
        let mut steps = Vec::new();
        order.groups(&self.weights, None, |positive, negative| {
            found += positive;
            wrong += negative;
            steps.push(Step { threshold: thresholds.next().expect("every group has a last row"), found, wrong });
        });
        steps
    }
}

fn unknown(field: &Field, labels: &Labels, class: &str) -> Error {
    let error = Error::input(format!("target {}", field.name), format!("no class {class}"), "one of its classes");
    match nearest(class, (0..labels.known() as u32).map(|code| &**labels.name(code))) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error,
    }
}

/// Points at most 1 / 198 apart in `along`, which grows from 0 to 1; first and last are kept.
fn thinned<T: Copy>(points: Vec<T>, along: impl Fn(&T) -> f64) -> Vec<T> {
    if points.len() <= POINTS_MAX {
        return points;
    }
    let steps = (POINTS_MAX - 2) as f64;
    let last = points.len() - 1;
    let mut next = 0.0;
    let mut kept = Vec::with_capacity(POINTS_MAX);
    for (place, point) in points.iter().enumerate() {
        let is_due = along(point) * steps >= next && kept.len() < POINTS_MAX - 1;
        if is_due || place == last {
            kept.push(*point);
            next = (along(point) * steps).floor() + 1.0;
        }
    }
    kept
}
