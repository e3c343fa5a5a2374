//! What is known of a target from rows the model never learned from: its answers, its quality, and what estimates quality without labels.

use crate::axis::{Axis, Tally};
use crate::calibration::Calibration;
use crate::content::{Cells, Content};
use crate::measure::{Quality, qualities};
use crate::reference::{ColumnReference, Held, SliceColumn};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use cupola_task::{Answer, Classes, Column, Decision, Field, Kind, Role, Rule, Task};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A slice with fewer held rows has no quality of its own.
const SLICE_ROWS_MIN: usize = 30;

/// A target of the reference.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetReference {
    /// Its name.
    pub name: Arc<str>,
    /// Classes or numbers.
    pub task: Task,
    /// The classes, as the schema has them; none of numbers.
    pub classes: Arc<[Arc<str>]>,
    /// How many held rows.
    pub rows: u64,
    /// The predicted number, or the probability of each class; of two classes that of the last alone.
    pub answers: Vec<ColumnReference>,
    /// The most probable class; none of numbers.
    pub said: Option<ColumnReference>,
    /// What was true.
    pub truth: ColumnReference,
    /// Measures on the held rows, the one that counts first.
    pub quality: Vec<Quality>,
    /// Of each slice column and each of its names the first measure; none where too few rows are held.
    pub slices: Vec<Vec<Option<Quality>>>,
    /// For each class how its score becomes a probability; none of numbers.
    pub calibration: Vec<Calibration>,
    /// How a class is chosen, where it is not the most probable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Arc<Decision>>,
}

/// What a target's columns say, matched to each other.
pub(crate) struct Rows {
    /// Row-major probabilities of the target's own classes, or one number a row.
    pub(crate) values: Vec<f64>,
    /// How many values a row has.
    pub(crate) width: usize,
}

impl TargetReference {
    /// None for a task whose answers are neither class probabilities nor numbers.
    pub(crate) fn new(field: &Field, task: Task, held: Held<'_>, slices: &[SliceColumn]) -> Result<Option<TargetReference>> {
        if !matches!(task, Task::Classify | Task::Regress) {
            return Ok(None);
        }
        let answer = held.predictions.get(&field.name).ok_or_else(|| missing(field, "answer"))?;
        let truth = held.truth.get(&field.name).ok_or_else(|| missing(field, "truth"))?;
        let truth = truths(&field.name, task, truth)?;
        let classes = field.kind.classes().cloned().unwrap_or_else(|| Arc::from(vec![]));
        let known: Vec<u64> = (0..truth.len()).filter(|&row| truth.is_valid(row)).map(|row| row as u64).collect();
        let rows = rows(&classes, answer)?;
        if rows.values.len() != truth.len() * rows.width {
            let found = format!("{} answers", rows.values.len() / rows.width.max(1));
            return Err(Error::refused(format!("target {}", field.name), found, format!("{} as held rows", truth.len())));
        }
        let rows = rows.take(&known);
        let truth = Column::Array(truth).take(&known);
        let groups = slices.iter().map(|slice| groups(slice, held, &known)).collect::<Result<Vec<_>>>()?;
        let mut target = TargetReference {
            name: field.name.clone(),
            task,
            rows: known.len() as u64,
            answers: vec![],
            said: None,
            truth: ColumnReference::new(
                field.name.clone(),
                content(task),
                &content(task).cells(&truth).ok_or_else(|| missing(field, "truth"))?,
            ),
            quality: vec![],
            slices: vec![],
            calibration: vec![],
            decision: decision(answer),
            classes,
        };
        target.answers = target.answer_columns(&rows);
        target.said = (task == Task::Classify)
            .then(|| ColumnReference::new(format!("class of {}", field.name).into(), Content::Category, &target.said_cells(&rows)));
        target.calibration = target.fit_calibration(&rows, &truth);
        target.quality = qualities(&target, &target.answer(&rows), &truth, None)?;
        target.slices =
            groups.iter().zip(slices).map(|(places, slice)| target.slice_quality(&rows, &truth, places, slice)).collect::<Result<_>>()?;
        Ok(Some(target))
    }

    /// As a field of a schema, for measures.
    pub(crate) fn field(&self) -> Field {
        let kind = match self.task {
            Task::Classify => Kind::Category { classes: self.classes.clone() },
            _ => Kind::Number,
        };
        Field { name: self.name.clone(), kind, role: Role::Target(self.task) }
    }

    /// The classes with the decision that the model answers by.
    pub(crate) fn answered(&self) -> Classes {
        Classes::from(&self.classes).decided_by(self.decision.clone())
    }

    /// The class that the model answers to a row's probabilities.
    pub(crate) fn choose(&self, scores: &[f64]) -> usize {
        self.decision.as_ref().map_or_else(|| Rule::Probable.choose(scores), |decision| decision.rule.choose(scores))
    }

    /// Rows as an answer of the target's own classes.
    pub(crate) fn answer(&self, rows: &Rows) -> Answer {
        match self.classes.len() {
            0 => Answer::Numbers { values: rows.values.clone(), range: None },
            _ => Answer::Scores { classes: self.answered(), values: rows.values.clone() },
        }
    }

    fn answer_columns(&self, rows: &Rows) -> Vec<ColumnReference> {
        self.watched().map(|(place, name)| ColumnReference::new(name, Content::Number, &rows.cells(place))).collect()
    }

    /// Which values of a row are watched, and under what name.
    pub(crate) fn watched(&self) -> impl Iterator<Item = (usize, Arc<str>)> + '_ {
        let first = if self.classes.len() == 2 { 1 } else { 0 };
        (first..self.classes.len().max(1)).map(|place| match self.classes.get(place) {
            Some(class) => (place, format!("P({} = {class})", self.name).into()),
            None => (place, format!("predicted {}", self.name).into()),
        })
    }

    pub(crate) fn said_cells(&self, rows: &Rows) -> Cells {
        let classes = self.answered();
        Cells::of_names(classes.chosen(&rows.values).map(|class| self.classes.get(class).map(|name| &**name)))
    }

    fn fit_calibration(&self, rows: &Rows, truth: &Column) -> Vec<Calibration> {
        let Some(names) = truth.array().and_then(|array| array.as_string_opt::<i32>()) else { return vec![] };
        let fit = |(place, class): (usize, &Arc<str>)| {
            let is_true: Vec<bool> = names.iter().map(|name| name == Some(&**class)).collect();
            Calibration::fit(&rows.column(place), &is_true)
        };
        match &self.classes[..] {
            // Of two classes one map serves both, so that they stay each other's rest.
            [_, positive] => vec![fit((1, positive))],
            classes => classes.iter().enumerate().map(fit).collect(),
        }
    }

    /// Probabilities of a row that hold, as far as held rows can tell: one for each class, 1 together.
    pub(crate) fn calibrated(&self, scores: &[f64]) -> Vec<f64> {
        if let [map] = &self.calibration[..] {
            let positive = map.at(scores[1]);
            return vec![1.0 - positive, positive];
        }
        let mapped: Vec<f64> = scores.iter().zip(&self.calibration).map(|(score, map)| map.at(*score)).collect();
        let sum: f64 = mapped.iter().sum();
        if sum > 0.0 { mapped.iter().map(|value| value / sum).collect() } else { vec![1.0 / scores.len() as f64; scores.len()] }
    }

    fn slice_quality(&self, rows: &Rows, truth: &Column, places: &[Option<usize>], slice: &SliceColumn) -> Result<Vec<Option<Quality>>> {
        let one = |cell: usize| {
            let chosen: Vec<u64> = (0..places.len()).filter(|&row| places[row] == Some(cell)).map(|row| row as u64).collect();
            if chosen.len() < SLICE_ROWS_MIN {
                return Ok(None);
            }
            let metric = self.quality.first().map(|quality| quality.metric.as_str());
            let answer = self.answer(&rows.take(&chosen));
            Ok(qualities(self, &answer, &truth.take(&chosen), metric)?.into_iter().next())
        };
        (0..slice.axis.cells() - 1).map(one).collect()
    }

    pub(crate) fn is_sound(&self) -> bool {
        let columns = self.answers.iter().chain(&self.said).chain([&self.truth]);
        let wanted = match (self.task, self.classes.len()) {
            (Task::Regress, 0) => [1, 0],
            (Task::Classify, 2) => [1, 1],
            (Task::Classify, classes) if classes > 0 => [classes, classes],
            _ => return false,
        };
        let is_class = self.task == Task::Classify;
        self.answers.len() == wanted[0]
            && self.calibration.len() == wanted[1]
            && self.said.is_some() == is_class
            && self.calibration.iter().all(Calibration::is_sound)
            && self.decision.iter().all(|decision| is_class && decision.rule.is_sound(self.classes.len()))
            && columns.into_iter().all(ColumnReference::is_sound)
    }
}

/// How an answer's class is chosen. Sets of classes are not watched.
fn decision(answer: &Answer) -> Option<Arc<Decision>> {
    let Answer::Scores { classes, .. } = answer else { return None };
    Some(Arc::new(Decision { rule: classes.decision()?.rule.clone(), set: None }))
}

fn missing(field: &Field, what: &str) -> Error {
    Error::refused(format!("target {}", field.name), format!("no {what}"), "one for each held row")
}

fn content(task: Task) -> Content {
    if task == Task::Classify { Content::Category } else { Content::Number }
}

fn groups(slice: &SliceColumn, held: Held<'_>, rows: &[u64]) -> Result<Vec<Option<usize>>> {
    let column = held.inputs.get(&slice.name).map(|column| column.take(rows));
    Ok(places(slice, column.as_ref(), rows.len()))
}

/// The cell of each row on a slice column; none where it is missing.
pub(crate) fn places(slice: &SliceColumn, column: Option<&Column>, rows: usize) -> Vec<Option<usize>> {
    match column.and_then(|column| Content::Category.cells(column)) {
        Some(cells) => cells.places(&slice.axis, 0),
        None => vec![None; rows],
    }
}

/// Truths as measures want them: names, or finite numbers; missing where nobody knows. Numbers may stand there as text, as labels do.
///
/// # Errors
/// When a truth is of another kind, or a number that is none.
pub(crate) fn truths(target: &str, task: Task, column: &Column) -> Result<ArrayRef> {
    let wrong = |found: &str, wanted: &str| Error::refused(format!("target {target}: truth"), found, wanted);
    let array = column.array().ok_or_else(|| wrong("pixels, sound or objects", "scalars"))?;
    if task == Task::Classify {
        return array.as_string_opt::<i32>().map(|_| array.clone()).ok_or_else(|| wrong(&array.data_type().to_string(), "class names"));
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return Ok(Arc::new(numbers.iter().map(|value| value.filter(|value| value.is_finite())).collect::<Float64Array>()));
    }
    let texts: &StringArray = array.as_string_opt::<i32>().ok_or_else(|| wrong(&array.data_type().to_string(), "numbers"))?;
    let parse = |text: Option<&str>| match text.map(|text| (text, text.trim().parse::<f64>())) {
        None => Ok(None),
        Some((_, Ok(value))) if value.is_finite() => Ok(Some(value)),
        Some((text, _)) => Err(wrong(&format!("{text:?}"), "a number")),
    };
    Ok(Arc::new(texts.iter().map(parse).collect::<Result<Float64Array>>()?))
}

/// An answer's values in the order of the target's own classes; a class that the answer lacks has probability 0.
///
/// # Errors
/// When the answer is of another kind.
pub(crate) fn rows(classes: &[Arc<str>], answer: &Answer) -> Result<Rows> {
    match answer {
        Answer::Numbers { values, .. } if classes.is_empty() => Ok(Rows { values: values.clone(), width: 1 }),
        Answer::Scores { classes: own, values } if !classes.is_empty() => {
            if own[..] == *classes {
                return Ok(Rows { values: values.clone(), width: classes.len() });
            }
            let places: Vec<Option<usize>> = classes.iter().map(|class| own.iter().position(|name| name == class)).collect();
            let row = |row: &[f64]| places.iter().map(|place| place.map_or(0.0, |place| row[place])).collect::<Vec<f64>>();
            Ok(Rows { values: values.chunks_exact(own.len().max(1)).flat_map(row).collect(), width: classes.len() })
        }
        _ => Err(Error::refused("answer", "another kind", if classes.is_empty() { "numbers" } else { "class probabilities" })),
    }
}

impl Rows {
    pub(crate) fn take(&self, rows: &[u64]) -> Rows {
        let row = |row: &u64| &self.values[*row as usize * self.width..(*row as usize + 1) * self.width];
        Rows { values: rows.iter().flat_map(row).copied().collect(), width: self.width }
    }

    /// One value of each row.
    pub(crate) fn column(&self, place: usize) -> Vec<f64> {
        self.values.iter().skip(place).step_by(self.width).copied().collect()
    }

    pub(crate) fn cells(&self, place: usize) -> Cells {
        Cells::of_numbers(self.column(place))
    }
}

/// Empty counts of a target's answers.
pub(crate) fn empty(columns: &[ColumnReference]) -> Vec<Tally> {
    columns.iter().flat_map(|column| column.axes.iter().map(Tally::new)).collect()
}

/// How many cells an axis of names has, the last for all others.
pub(crate) fn names(axis: &Axis) -> &[String] {
    match axis {
        Axis::Names { names } => names,
        Axis::Numbers { .. } => &[],
    }
}
