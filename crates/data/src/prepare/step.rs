//! What is done to one input column, whatever its kind.

use super::category::{CategoryStep, texts};
use super::date::DateStep;
use super::means::Truth;
use super::number::NumberStep;
use super::settings::Choice;
use super::text::TextStep;
use crate::cells::Cells;
use arrow_array::{ArrayRef, Float64Array};
use cupola_task::{Kind, Result, Value};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One kind of column, one kind of step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    Number(NumberStep),
    Category(CategoryStep),
    Date(DateStep),
    Text(TextStep),
}

impl Step {
    /// Learns from training cells.
    pub fn fit(kind: &Kind, cells: Cells<'_>, truth: Option<&Truth>, choice: &Choice) -> Result<Step> {
        Ok(match cells {
            Cells::Numbers(_) => Step::Number(NumberStep::fit(&cells.numbers().unwrap_or_default(), choice)?),
            Cells::Dates(array) => Step::Date(DateStep::fit(array, choice)?),
            Cells::Texts(array) if *kind == Kind::Text => Step::Text(TextStep::fit(array, choice)),
            Cells::Texts(array) => Step::Category(CategoryStep::fit(array, truth, choice)?),
        })
    }

    /// Whether what was read from outside fits a column of that kind; makes it ready for use.
    pub fn open(&mut self, kind: &Kind) -> bool {
        match (self, kind) {
            (Step::Number(step), Kind::Number) => step.is_sound(),
            (Step::Category(step), Kind::Category { .. }) => step.open(),
            (Step::Date(step), Kind::Date) => step.is_sound(),
            (Step::Text(step), Kind::Text) => step.open(),
            _ => false,
        }
    }

    /// Whether every value it gives is a finite number.
    pub fn is_finite(&self) -> bool {
        match self {
            Step::Number(step) => step.fills(),
            Step::Category(step) => step.is_finite(),
            Step::Date(step) => step.is_finite(),
            Step::Text(_) => true,
        }
    }

    /// Suffixes and kinds of the prepared columns.
    pub fn outputs(&self) -> Vec<(String, Kind)> {
        match self {
            Step::Number(step) => number_outputs(step),
            Step::Category(step) => step.outputs(),
            Step::Date(step) => step.outputs(),
            Step::Text(step) if step.width() == 0 => vec![],
            Step::Text(step) => vec![(String::new(), Kind::Vector { width: step.width() })],
        }
    }

    /// The prepared columns, as many as there are outputs.
    pub fn apply(&self, cells: Cells<'_>) -> Vec<ArrayRef> {
        match (self, cells) {
            (Step::Number(step), cells) => apply_number(step, &cells.numbers().unwrap_or_default()),
            (Step::Date(step), Cells::Dates(array)) => step.apply(array),
            (Step::Category(step), cells) => step.apply(texts(cells)),
            (Step::Text(step), cells) => step.apply(texts(cells)),
            (Step::Date(_), _) => unreachable!("dates are opened as dates"),
        }
    }

    /// The training rows' columns, where they differ from what [`Step::apply`] gives.
    pub fn cross_fit(&self, cells: Cells<'_>, truth: Option<&Truth>, folds: &[u64]) -> Option<Vec<ArrayRef>> {
        match self {
            Step::Category(step) => step.cross_fit(texts(cells), truth, folds),
            _ => None,
        }
    }

    /// The classes training rows had.
    pub fn seen(&self) -> Option<Arc<[Arc<str>]>> {
        match self {
            Step::Category(step) => Some(step.seen()),
            _ => None,
        }
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        match self {
            Step::Number(step) => step.describe(),
            Step::Category(step) => step.describe(),
            Step::Date(step) => step.describe(),
            Step::Text(step) => step.describe(),
        }
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        match self {
            Step::Number(step) => step.resolved(),
            Step::Category(step) => step.resolved(),
            Step::Date(step) => step.resolved(),
            Step::Text(step) => step.resolved(),
        }
    }

    /// Names of the elements, where the step gives a vector.
    pub fn elements(&self) -> &[Arc<str>] {
        match self {
            Step::Category(step) => step.elements(),
            Step::Text(step) => step.elements(),
            Step::Number(_) | Step::Date(_) => &[],
        }
    }
}

/// Suffixes and kinds of a number's prepared columns.
pub(crate) fn number_outputs(step: &NumberStep) -> Vec<(String, Kind)> {
    let indicator = step.indicator.then(|| (".missing".to_owned(), Kind::Number));
    std::iter::once((String::new(), Kind::Number)).chain(indicator).collect()
}

/// A number's prepared columns.
pub(crate) fn apply_number(step: &NumberStep, values: &[f64]) -> Vec<ArrayRef> {
    let prepared: Vec<f64> = values.iter().map(|&value| step.value(value)).collect();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(prepared))];
    if step.indicator {
        let marks: Vec<f64> = values.iter().map(|value| f64::from(u8::from(value.is_nan()))).collect();
        columns.push(Arc::new(Float64Array::from(marks)));
    }
    columns
}
