//! Two models on the same rows of the log: what would have happened.

use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use cupola_metrics::{Ruler, Sampling, ruler};
use cupola_task::{Answer, Batch, Column, Columns, Draw, Field, Kind, Task, View};
use cupola_train::Artifact;
use cupola_watch::Joined;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Rows that a slice needs to be looked at.
const SLICE_ROWS: usize = 50;
/// Slices of one column.
const SLICES: usize = 8;
/// Resamples of each slice: many slices, and only their ends count.
const SLICE_DRAWS: usize = 400;
/// Rows whose answers are timed, one at a time.
const TIMED: usize = 200;

/// A measure of both models on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The measure.
    pub name: String,
    /// Whether more is better.
    pub is_score: bool,
    /// The champion's value with its interval.
    pub champion: [f64; 3],
    /// The challenger's value with its interval.
    pub challenger: [f64; 3],
    /// Challenger minus champion, with the interval of the difference on paired resamples.
    pub difference: [f64; 3],
}

/// A part of the rows on which one model may be worse though it is better on the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SliceOf {
    /// `column = value`, or `column 3..7`.
    pub name: String,
    /// Its rows.
    pub rows: usize,
    /// Accuracy, or the mean absolute error.
    pub compared: Compared,
}

/// How long one row takes, in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// The champion's median and 99th percentile.
    pub champion: [f64; 2],
    /// The challenger's.
    pub challenger: [f64; 2],
}

/// What two models do on the same labelled rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The target.
    pub target: String,
    /// Labelled rows.
    pub rows: usize,
    /// The first and the last moment of them, in microseconds since 1970.
    pub span_us: [i64; 2],
    /// The main measure first.
    pub measures: Vec<Compared>,
    /// What share of perfection each reaches above guessing: champion, challenger.
    pub skill: [f64; 2],
    /// Parts of the rows, those where the challenger loses most first.
    pub slices: Vec<SliceOf>,
    /// The level of the slices' intervals: corrected for how many there are.
    pub slice_level: f64,
    /// Time of an answer.
    pub latency: Latency,
}

/// Compares two models on the labelled rows of their first target. `clock` measures durations.
///
/// # Errors
/// When there are no rows, the models answer other targets, or a row does not fit.
pub fn backtest(
    models: [&Artifact; 2],
    rows: &Joined,
    level: f64,
    draws: usize,
    draw: Draw,
    clock: &dyn Fn() -> Duration,
) -> Result<Comparison> {
    let known = rows.labelled();
    let (field, task) = models[0]
        .raw()
        .targets()
        .next()
        .map(|(field, task)| (field.clone(), task))
        .ok_or_else(|| Error::Models("the champion answers no target".to_owned()))?;
    if known.rows() == 0 {
        return Err(cupola_watch::Error::refused("the log", "no labelled row", "rows to compare on")
            .with_hint("labels come by POST /feedback, or `cupola feedback FILE`")
            .into());
    }
    let truth = Column::Array(truth(&field, known.labels.array(&field.name)?));
    let answers = answers(models, &known.inputs, &field)?;
    let inputs = models[0].conform(&known.inputs, &|row| format!("id {}", known.ids[row]))?;
    let sampling = Sampling { level, draws, draw };
    let all: Vec<u64> = (0..known.rows() as u64).collect();
    let measures = compare(&field, &answers, &truth, &all, &measures_of(&field, task), sampling)?;
    let (slices, slice_level) = slices(&field, task, &answers, &truth, &inputs, sampling)?;
    Ok(Comparison {
        target: field.name.to_string(),
        rows: known.rows(),
        span_us: [known.at_us[0], known.at_us[known.rows() - 1]],
        skill: [skill(&field, &answers[0], &truth)?, skill(&field, &answers[1], &truth)?],
        measures,
        slices,
        slice_level,
        latency: latency(models, &inputs, clock)?,
    })
}

/// Labels, which are texts, as the target's own kind.
pub(crate) fn truth(field: &Field, labels: &ArrayRef) -> ArrayRef {
    match (&field.kind, labels.as_string_opt::<i32>()) {
        (Kind::Number, Some(texts)) => {
            Arc::new(texts.iter().map(|text| text.and_then(|text| text.parse::<f64>().ok())).collect::<Float64Array>())
        }
        _ => labels.clone(),
    }
}

fn answers(models: [&Artifact; 2], inputs: &Columns, field: &Field) -> Result<[Answer; 2]> {
    let answer = |model: &Artifact| {
        let answered = model.predict(inputs)?.0.into_iter().find(|(target, _)| *target == field.name);
        answered.map(|(_, answer)| answer).ok_or_else(|| Error::Models(format!("the challenger does not answer {}", field.name)))
    };
    Ok([answer(models[0])?, answer(models[1])?])
}

/// The measure that decides, then some that explain.
fn measures_of(field: &Field, task: Task) -> Vec<Ruler> {
    let main = cupola_train::main_measure(field, task);
    let others: &[&str] = if task == Task::Classify { &["accuracy", "log_loss", "balanced_accuracy"] } else { &["mae", "r2"] };
    std::iter::once(&main).chain(others.iter().filter(|name| **name != main)).map(|name| ruler(name)).collect()
}

fn compare(
    field: &Field,
    answers: &[Answer; 2],
    truth: &Column,
    rows: &[u64],
    rulers: &[Ruler],
    sampling: Sampling,
) -> Result<Vec<Compared>> {
    let part = |answer: &Answer| answer.take(rows).expect("answers are scores or numbers, one a row");
    let (champion, challenger) = (part(&answers[0]), part(&answers[1]));
    let (truth, none) = (truth.take(rows), Columns::default());
    let view = View { truth: Some(&truth), weight: None, inputs: &none, keys: &none };
    let first = cupola_metrics::score(field, &champion, view, rulers, sampling)?;
    let second = cupola_metrics::score(field, &challenger, view, rulers, sampling)?;
    let differences = cupola_metrics::paired(field, [&challenger, &champion], view, rulers, sampling)?;
    let both = first.into_iter().zip(second).zip(differences);
    Ok(both
        .map(|((first, second), difference)| Compared {
            name: difference.name.to_owned(),
            is_score: difference.is_score,
            champion: [first.value, first.low, first.high],
            challenger: [second.value, second.low, second.high],
            difference: [difference.value, difference.low, difference.high],
        })
        .collect())
}

/// How far from guessing towards perfection: for two classes 2 AUC - 1, for more the balanced accuracy above chance, for numbers R².
///
/// # Errors
/// When the answer is not one to the field.
pub(super) fn skill(field: &Field, answer: &Answer, truth: &Column) -> Result<f64> {
    let none = Columns::default();
    let view = View { truth: Some(truth), weight: None, inputs: &none, keys: &none };
    let value = |name: &str| -> Result<f64> { Ok(cupola_metrics::value(field, answer, view, &ruler(name))?) };
    let classes = field.kind.classes().map_or(0, |classes| classes.len());
    Ok(match classes {
        0 => value("r2")?,
        1 | 2 => 2.0 * value("roc_auc")? - 1.0,
        many => {
            let chance = 1.0 / many as f64;
            (value("balanced_accuracy")? - chance) / (1.0 - chance)
        }
    })
}

/// Every class of a category and every quarter of a number that has enough rows, each with an interval that allows for their number.
fn slices(
    field: &Field,
    task: Task,
    answers: &[Answer; 2],
    truth: &Column,
    inputs: &Columns,
    sampling: Sampling,
) -> Result<(Vec<SliceOf>, f64)> {
    let parts: Vec<(String, Vec<u64>)> = inputs.iter().flat_map(|(name, column)| parts(name, column)).collect();
    let level = 1.0 - (1.0 - sampling.level) / parts.len().max(1) as f64;
    // A resample of four hundred knows nothing beyond its 400th: the far ends come from the spread of the resamples.
    let sampling = Sampling { level: level.min(0.9999), draws: SLICE_DRAWS, draw: sampling.draw.stream("slices") };
    let rulers = [ruler(if task == Task::Classify { "accuracy" } else { "mae" })];
    let mut slices = Vec::new();
    for (name, rows) in parts {
        let compared = compare(field, answers, truth, &rows, &rulers, sampling)?;
        slices.extend(compared.into_iter().map(|compared| SliceOf { name: name.clone(), rows: rows.len(), compared }));
    }
    let loss = |slice: &SliceOf| if slice.compared.is_score { slice.compared.difference[0] } else { -slice.compared.difference[0] };
    slices.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    Ok((slices, sampling.level))
}

fn parts(name: &str, column: &Column) -> Vec<(String, Vec<u64>)> {
    let Some(array) = column.array() else { return vec![] };
    let mut parts: Vec<(String, Vec<u64>)> = Vec::new();
    if let Some(texts) = array.as_string_opt::<i32>() {
        let mut rows: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        texts.iter().enumerate().for_each(|(row, text)| rows.entry(text.unwrap_or("")).or_default().push(row as u64));
        let mut rows: Vec<(&str, Vec<u64>)> = rows.into_iter().filter(|(_, rows)| rows.len() >= SLICE_ROWS).collect();
        rows.sort_by_key(|(_, rows)| std::cmp::Reverse(rows.len()));
        parts.extend(rows.into_iter().take(SLICES).map(|(text, rows)| (format!("{name} = {text}"), rows)));
    } else if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        let mut sorted: Vec<f64> = numbers.iter().flatten().filter(|number| !number.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        let ends: Vec<f64> = (0..=4).filter_map(|quarter| sorted.get((sorted.len().saturating_sub(1)) * quarter / 4).copied()).collect();
        for (place, pair) in ends.windows(2).enumerate().filter(|(_, pair)| pair[0] < pair[1]) {
            let is_in = |number: f64| number < pair[1] && number >= pair[0] || place == 3 && number == pair[1];
            let rows: Vec<u64> =
                numbers.iter().enumerate().filter(|(_, number)| number.is_some_and(is_in)).map(|(row, _)| row as u64).collect();
            if rows.len() >= SLICE_ROWS {
                parts.push((format!("{name} {}..{}", pair[0], pair[1]), rows));
            }
        }
    }
    parts
}

/// Both models answer the same rows one at a time, in turns.
fn latency(models: [&Artifact; 2], inputs: &Columns, clock: &dyn Fn() -> Duration) -> Result<Latency> {
    let mut times = [Vec::new(), Vec::new()];
    let step = (inputs.rows() / TIMED).max(1);
    for row in (0..inputs.rows() as u64).step_by(step).take(TIMED) {
        let one = inputs.take(&[row]);
        for (model, times) in models.iter().zip(&mut times) {
            let began = clock();
            model.answer(&one)?;
            times.push((clock().saturating_sub(began)).as_secs_f64() * 1e6);
        }
    }
    let [champion, challenger] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times.get(((times.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or(0.0);
        [at(0.5), at(0.99)]
    });
    Ok(Latency { champion, challenger })
}

/// The test rows of a batch as labelled rows: what a model is compared on where it was tested in training.
pub(super) fn of_batch(batch: &Batch, targets: &[Arc<str>]) -> Joined {
    let text = |column: &Column| {
        let texts: StringArray = match column.array() {
            Some(array) if array.as_string_opt::<i32>().is_some() => array.as_string::<i32>().clone(),
            Some(array) => match array.as_primitive_opt::<Float64Type>() {
                Some(numbers) => numbers.iter().map(|number| number.map(|number| number.to_string())).collect(),
                None => StringArray::from(vec![None::<&str>; array.len()]),
            },
            None => StringArray::from(vec![None::<&str>; column.len()]),
        };
        Column::Array(Arc::new(texts))
    };
    let labels = targets.iter().filter_map(|name| Some((name.clone(), text(batch.targets.get(name)?))));
    Joined {
        ids: batch.rows.iter().map(|row| format!("row {}", row + 1)).collect(),
        at_us: vec![0; batch.rows.len()],
        inputs: batch.inputs.clone(),
        labels: Columns::new(labels.collect()),
    }
}
