//! Targets: the classes that training rows have, in a fixed order, or numbers as they are.

use super::classes;
use super::means::Truth;
use crate::cells::Cells;
use arrow_array::{Array, ArrayRef, StringArray, UInt32Array};
use cupola_task::{Error, Field, Kind, Result, Task, nearest};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// What is done to one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TargetStep {
    /// Codes into classes.
    Classes(Classes),
    /// As it is.
    Number,
}

/// The classes of a target, the positive one last where the recipe names one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Classes {
    pub names: Arc<[Arc<str>]>,
    #[serde(skip)]
    codes: HashMap<Arc<str>, u32>,
}

impl TargetStep {
    /// Learns from a training target. Something must differ between its rows.
    pub fn fit(field: &Field, task: Task, cells: Cells<'_>, positive: Option<&str>) -> Result<TargetStep> {
        let place = format!("target {}", field.name);
        match (cells, task) {
            (Cells::Texts(array), Task::Classify) => Ok(TargetStep::Classes(learn(&place, &field.name, array, positive)?)),
            (Cells::Numbers(_), Task::Regress) => {
                if let Some(positive) = positive {
                    let error = Error::setting(format!("outputs.{}.positive", field.name), positive, "nothing, for the target is a number");
                    return Err(error.with_hint(format!("outputs.{}.type=category makes it a target of classes", field.name)));
                }
                match cells.codes().distinct {
                    0 => Err(Error::input(place, "no value in the training rows", "numbers")),
                    1 => Err(Error::input(place, "the same value in all training rows", "values that differ")),
                    _ => Ok(TargetStep::Number),
                }
            }
            _ => Err(Error::input(place, field.kind.word(), "categories to classify or numbers to regress")),
        }
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        match self {
            TargetStep::Number => true,
            TargetStep::Classes(classes) => {
                classes.codes = classes::codes(&classes.names);
                classes.names.len() > 1 && classes::is_sound(&classes.names)
            }
        }
    }

    /// The prepared kind.
    pub fn kind(&self) -> Kind {
        match self {
            TargetStep::Classes(classes) => Kind::Category { classes: classes.names.clone() },
            TargetStep::Number => Kind::Number,
        }
    }

    /// The prepared column; null where the class is missing or was not seen in training.
    pub fn apply(&self, cells: Cells<'_>, raw: &ArrayRef) -> ArrayRef {
        match (self, cells) {
            (TargetStep::Classes(classes), Cells::Texts(array)) => Arc::new(classes.codes_of(array).collect::<UInt32Array>()),
            _ => raw.clone(),
        }
    }

    /// The target as target means look at it.
    pub fn truth(&self, cells: Cells<'_>) -> Truth {
        match (self, cells) {
            (TargetStep::Classes(classes), Cells::Texts(array)) => {
                let codes: Vec<Option<u32>> = classes.codes_of(array).collect();
                let is_class = |class: u32| codes.iter().map(|&code| f64::from(u8::from(code == Some(class)))).collect();
                let count = classes.names.len() as u32;
                let columns = match count {
                    2 => vec![(None, is_class(1))],
                    _ => (0..count).map(|class| (Some(classes.names[class as usize].clone()), is_class(class))).collect(),
                };
                Truth { columns, known: codes.iter().map(Option::is_some).collect() }
            }
            _ => {
                let values = cells.numbers().unwrap_or_default();
                Truth { known: values.iter().map(|value| value.is_finite()).collect(), columns: vec![(None, values)] }
            }
        }
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        match self {
            TargetStep::Number => "a number, as it is".into(),
            TargetStep::Classes(classes) => match &*classes.names {
                [negative, positive] => format!("classes {negative} and {positive}; {positive} is the positive one"),
                names => format!("{} classes", names.len()),
            },
        }
    }
}

impl Classes {
    pub(super) fn codes_of(&self, array: &StringArray) -> impl Iterator<Item = Option<u32>> {
        array.iter().map(|text| self.codes.get(text?).copied())
    }
}

fn learn(place: &str, name: &str, array: &StringArray, positive: Option<&str>) -> Result<Classes> {
    let mut names: Vec<Arc<str>> = classes::count(array.iter()).into_keys().map(Arc::from).collect();
    classes::sort(&mut names);
    match &names[..] {
        [] => return Err(Error::input(place, "no class in the training rows", "at least two")),
        [one] => return Err(Error::input(place, format!("the one class {one} in all {} training rows", array.len()), "at least two")),
        _ => {}
    }
    if let Some(positive) = positive {
        let Some(at) = names.iter().position(|name| &**name == positive) else {
            let few = names.iter().take(10).map(|name| &**name).collect::<Vec<_>>().join(", ");
            let error = Error::setting(
                format!("outputs.{}.positive", super::choice::quoted(name)),
                positive,
                format!("a class of the target: {few}"),
            );
            return Err(match nearest(positive, names.iter().map(|name| &**name)) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        };
        let positive = names.remove(at);
        names.push(positive);
    }
    Ok(Classes { codes: classes::codes(&names), names: names.into() })
}
