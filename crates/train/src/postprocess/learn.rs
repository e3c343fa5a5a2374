//! Learns from held rows what is to be done to answers.

use super::calibrate::{self, Calibrator, Method, Rows};
use super::conformal;
use super::record::Postprocess;
use super::settings::{Calibrate, DecisionPlan, IntervalMethod, SetMethod, ThresholdBy};
use super::threshold::{self, Scored};
use crate::{Error, Result};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_task::{Answer, Column, Decision, Field, Rule};
use std::sync::Arc;

/// Rows that the model did not learn from, with what it says about them.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    /// Raw truth.
    pub truth: &'a Column,
    /// What a row counts.
    pub weights: Option<&'a [f64]>,
    /// What the model answers.
    pub answer: &'a Answer,
}

/// What was learned, and what a report tells about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    pub postprocess: Postprocess,
    /// How many rows it was learned from, and which; none when nothing had to be learned.
    pub rows: u64,
    pub source: &'static str,
    /// Where intervals are made of quantiles: how far those of one width would reach.
    pub split_reach: Option<f64>,
    /// Sentences about what could not be done as it was asked for.
    pub warnings: Vec<String>,
}

/// Learns what a plan asks for. `held` is none when nothing has to be learned.
///
/// # Errors
/// When what is asked for does not suit the target.
pub(crate) fn learn(plan: &DecisionPlan, field: &Field, held: Option<Held<'_>>, source: &'static str) -> Result<Learned> {
    plan.check(field)?;
    let rows = held.map_or(0, |held| held.answer.len() as u64);
    let mut learned = Learned { rows, source, ..Learned::default() };
    match field.kind.classes() {
        Some(classes) => of_classes(plan, field, classes, held, &mut learned)?,
        None => of_number(plan, held, &mut learned),
    }
    Ok(learned)
}

fn of_classes(plan: &DecisionPlan, field: &Field, classes: &[Arc<str>], held: Option<Held<'_>>, learned: &mut Learned) -> Result<()> {
    let costs = plan.costs.as_ref().map(|costs| costs.in_order(&field.name, classes)).transpose()?;
    let post = &mut learned.postprocess;
    let mut decision = Decision::default();
    let found = held.map(|held| Ok::<_, Error>((truths(classes, held.truth)?, held))).transpose()?;
    if let Some((truth, held)) = &found {
        let mut values = scores(classes, held.answer)?;
        let own = Rows { classes: classes.len(), values: &values, truth, weights: held.weights };
        post.calibration = method(plan.calibrate, own).map(|method| Calibrator::fit(method, own));
        if let Some(calibration) = &post.calibration {
            calibration.apply(classes.len(), &mut values);
        }
        let rows = Rows { classes: classes.len(), values: &values, truth, weights: held.weights };
        if let Some(level) = plan.interval {
            decision.set = conformal::set_rule(plan.sets == SetMethod::Aps, rows, level);
            post.level = decision.set.map(|_| level);
            if decision.set.is_none() {
                learned.warnings.push(too_few(level, truth.len()));
            }
        }
        if matches!(plan.threshold, ThresholdBy::BestF1 | ThresholdBy::Balanced | ThresholdBy::Cost) {
            let row = |(row, truth): (usize, &Option<usize>)| Scored {
                probability: values[2 * row + 1],
                is_positive: *truth == Some(1),
                weight: held.weights.map_or(1.0, |weights| weights[row]),
            };
            let scored: Vec<Scored> = truth.iter().enumerate().map(row).collect();
            let cost = |cell: usize| costs.as_ref().map_or(f64::from(u8::from(cell == 1 || cell == 2)), |costs| costs[cell]);
            decision.rule = Rule::Threshold(threshold::best(plan.threshold, &scored, [[cost(0), cost(1)], [cost(2), cost(3)]]));
        }
    }
    match (plan.threshold, &costs) {
        (ThresholdBy::At(threshold), _) => decision.rule = Rule::Threshold(threshold),
        (ThresholdBy::Default, Some(costs)) => decision.rule = Rule::Costs(costs.clone()),
        _ => {}
    }
    post.costs = costs;
    post.decision = (decision != Decision::default()).then(|| Arc::new(decision));
    Ok(())
}

fn method(asked: Calibrate, rows: Rows<'_>) -> Option<Method> {
    match asked {
        Calibrate::None => None,
        Calibrate::Sigmoid => Some(Method::Sigmoid),
        Calibrate::Isotonic => Some(Method::Isotonic),
        Calibrate::Auto => calibrate::best(rows),
    }
}

fn too_few(level: f64, rows: usize) -> String {
    format!("no intervals: {level} of all rows need {} rows to learn from, and there are {rows}", conformal::rows_needed(level))
}

fn of_number(plan: &DecisionPlan, held: Option<Held<'_>>, learned: &mut Learned) {
    let (Some(level), Some(held)) = (plan.interval, held) else { return };
    let truth = held.truth.array().and_then(|array| array.as_primitive_opt::<Float64Type>());
    let (Some(truth), Answer::Numbers { values, range }) = (truth, held.answer) else { return };
    let scores: Vec<f64> = truth.iter().zip(values).filter_map(|(truth, value)| Some((truth? - value).abs())).collect();
    let count = scores.len();
    let finite = |reach: &f64| reach.is_finite();
    learned.postprocess.reach = conformal::quantile(scores, level).filter(finite);
    if let (IntervalMethod::Cqr, Some(range)) = (plan.intervals, range) {
        let score = |(truth, bounds): (Option<f64>, &[f64; 2])| Some(conformal::cqr_score(truth?, *bounds));
        learned.split_reach = learned.postprocess.reach;
        learned.postprocess.reach = conformal::quantile(truth.iter().zip(range).filter_map(score).collect(), level).filter(finite);
        learned.postprocess.is_cqr = learned.postprocess.reach.is_some();
    }
    learned.postprocess.level = learned.postprocess.reach.map(|_| level);
    if learned.postprocess.reach.is_none() {
        learned.warnings.push(too_few(level, count));
    }
}

/// The place of each row's true class; none where it is missing or no class of these.
///
/// # Errors
/// When the column holds no text.
pub(crate) fn truths(classes: &[Arc<str>], truth: &Column) -> Result<Vec<Option<usize>>> {
    let texts = truth.array().and_then(|array| array.as_string_opt::<i32>());
    let texts = texts.ok_or_else(|| Error::Data("a truth of classes is not text".into(), None))?;
    let place = |row: usize| {
        let name = texts.is_valid(row).then(|| texts.value(row))?;
        classes.iter().position(|class| **class == *name)
    };
    Ok((0..texts.len()).map(place).collect())
}

/// An answer's probabilities in the order of the target's classes.
pub(super) fn scores(classes: &[Arc<str>], answer: &Answer) -> Result<Vec<f64>> {
    match answer {
        Answer::Scores { classes: own, values } if own[..] == *classes => Ok(values.clone()),
        _ => Err(Error::Data("the model does not answer the classes of its target".into(), None)),
    }
}
