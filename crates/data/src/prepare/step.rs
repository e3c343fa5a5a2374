//! What is done to one input column, whatever its kind.

use super::category::{CategoryStep, texts, vectors};
use super::choice::Choice;
use super::date::DateStep;
use super::image::ImageStep;
use super::means::Truth;
use super::number::NumberStep;
use super::numbers::Numbers;
use super::text::TextStep;
use crate::cells::Cells;
use arrow_array::{ArrayRef, Float64Array};
use cupola_task::{Column, Kind, Needs, Result, Value};
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
    Image(ImageStep),
    /// Images for a model that looks at no input.
    Untouched(Kind),
}

impl Step {
    /// Learns from training cells; from those of numbers as they are, with the bounds of outliers, and as other cells have filled them.
    pub fn fit(kind: &Kind, cells: Cells<'_>, numbers: Option<&Numbers>, truth: Option<&Truth>, choice: &Choice) -> Result<Step> {
        Ok(match cells {
            Cells::Numbers(_) => {
                let (bounds, filled) = numbers.map_or((None, None), |own| (own.bounds.as_ref(), own.filled.as_deref()));
                Step::Number(NumberStep::fit(&cells.numbers().unwrap_or_default(), bounds, filled, choice)?)
            }
            Cells::Dates(array) => Step::Date(DateStep::fit(array, choice)?),
            Cells::Texts(array) if *kind == Kind::Text => Step::Text(TextStep::fit(array, choice)?),
            Cells::Texts(array) => Step::Category(CategoryStep::fit(array, truth, choice)?),
            Cells::Images(_) if choice.needs == Needs::Nothing => Step::Untouched(kind.clone()),
            Cells::Images(images) => Step::Image(ImageStep::fit(images, choice)?),
        })
    }

    /// Whether what was read from outside fits a column of that kind; makes it ready for use.
    pub fn open(&mut self, kind: &Kind) -> bool {
        match (self, kind) {
            (Step::Number(step), Kind::Number) => step.open(),
            (Step::Category(step), Kind::Category { .. }) => step.open(),
            (Step::Date(step), Kind::Date) => step.open(),
            (Step::Text(step), Kind::Text) => step.open(),
            (Step::Image(step), Kind::Image { .. }) => step.is_sound(),
            (Step::Untouched(own), kind @ Kind::Image { .. }) => own == kind,
            _ => false,
        }
    }

    /// Whether every value it gives is a finite number.
    pub fn is_finite(&self) -> bool {
        match self {
            Step::Number(step) => step.fills(),
            Step::Category(step) => step.is_finite(),
            Step::Date(step) => step.is_finite(),
            Step::Text(_) | Step::Image(_) | Step::Untouched(_) => true,
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
            Step::Image(step) => vec![(String::new(), step.kind())],
            Step::Untouched(kind) => vec![(String::new(), kind.clone())],
        }
    }

    /// The prepared columns, as many as there are outputs. `name` is the raw column's, for messages; `filled` its numbers, clipped and
    /// filled, where other cells had a say.
    pub fn apply(&self, cells: Cells<'_>, filled: Option<&[f64]>, name: &str) -> Result<Vec<Column>> {
        Ok(arrays(match (self, cells) {
            (Step::Number(step), cells) => apply_number(step, &cells.numbers().unwrap_or_default(), filled),
            (Step::Date(step), Cells::Dates(array)) => step.apply(array),
            (Step::Category(step), cells) => step.apply(texts(cells)),
            (Step::Text(step), cells) => step.apply(texts(cells)),
            (Step::Image(step), Cells::Images(images)) => return Ok(vec![Column::Images(step.apply(images, name)?)]),
            (Step::Untouched(_), Cells::Images(images)) => return Ok(vec![Column::Images(images.clone())]),
            (Step::Date(_) | Step::Image(_) | Step::Untouched(_), _) => unreachable!("columns are opened as what they are"),
        }))
    }

    /// The training rows' columns, where they differ from what [`Step::apply`] gives.
    pub fn cross_fit(&self, cells: Cells<'_>, truth: Option<&Truth>, folds: &[u64]) -> Option<Vec<Column>> {
        match self {
            Step::Category(step) => step.cross_fit(texts(cells), truth, folds).map(arrays),
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
            Step::Image(step) => step.describe(),
            Step::Untouched(_) => "not looked at".to_owned(),
        }
    }

    /// What it met in training cells, as a sentence, where there is something to tell.
    pub fn told(&self) -> Option<String> {
        match self {
            Step::Number(step) => step.told(),
            Step::Category(step) => step.told(),
            Step::Date(_) | Step::Text(_) | Step::Image(_) | Step::Untouched(_) => None,
        }
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        match self {
            Step::Number(step) => step.resolved(),
            Step::Category(step) => step.resolved(),
            Step::Date(step) => step.resolved(),
            Step::Text(step) => step.resolved(),
            Step::Image(step) => step.resolved(),
            Step::Untouched(_) => vec![],
        }
    }

    /// Names of the elements, where the step gives a vector.
    pub fn elements(&self) -> &[Arc<str>] {
        match self {
            Step::Category(step) => step.elements(),
            Step::Text(step) => step.elements(),
            Step::Number(step) => step.elements().unwrap_or_default(),
            Step::Date(_) | Step::Image(_) | Step::Untouched(_) => &[],
        }
    }
}

fn arrays(arrays: Vec<ArrayRef>) -> Vec<Column> {
    arrays.into_iter().map(Column::Array).collect()
}

/// Suffixes and kinds of a number's prepared columns.
pub(crate) fn number_outputs(step: &NumberStep) -> Vec<(String, Kind)> {
    let indicator = step.indicator.then(|| (".missing".to_owned(), Kind::Number));
    let outlier = step.marks().map(|_| (".outlier".to_owned(), Kind::Number));
    let kind = step.elements().map_or(Kind::Number, |bins| Kind::Vector { width: bins.len() });
    std::iter::once((String::new(), kind)).chain(indicator).chain(outlier).collect()
}

/// A number's prepared columns, from its raw values and from what they became where other cells had a say.
pub(crate) fn apply_number(step: &NumberStep, values: &[f64], filled: Option<&[f64]>) -> Vec<ArrayRef> {
    let array = |values: Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values)) };
    let mark = |is: &dyn Fn(f64) -> bool| array(values.iter().map(|&value| f64::from(u8::from(is(value)))).collect());
    let prepared: Vec<f64> = match filled {
        Some(filled) => filled.iter().map(|&value| step.finish(value)).collect(),
        None => values.iter().map(|&value| step.value(value)).collect(),
    };
    let mut columns = vec![match step.elements() {
        Some(bins) => one_hot(&prepared, bins.len()),
        None => array(prepared),
    }];
    if step.indicator {
        columns.push(mark(&f64::is_nan));
    }
    if let Some(bounds) = step.marks() {
        columns.push(mark(&|value| bounds.is_beyond(value)));
    }
    columns
}

/// A 1 at the place that each number names; none where it is missing.
fn one_hot(places: &[f64], width: usize) -> ArrayRef {
    let mut values = vec![0f32; places.len() * width];
    for (place, row) in places.iter().zip(values.chunks_exact_mut(width)) {
        if let Some(cell) = row.get_mut(*place as usize).filter(|_| !place.is_nan()) {
            *cell = 1.0;
        }
    }
    vectors(width, values)
}
