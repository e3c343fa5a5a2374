//! What every measure needs of its rows: truth, answers and weights, checked where they come in.

use arrow_array::{Array, Float64Array, StringArray};
use cupola_task::{Answer, Classes, Column, Error, Field, Kind, Result, View};
use std::collections::HashMap;
use std::sync::Arc;

/// The true class names of a view, one for each of `rows` rows.
pub(crate) fn names<'a>(view: &View<'a>, rows: usize) -> Result<&'a StringArray> {
    let array = truth(view, rows, "class names")?;
    array.as_any().downcast_ref().ok_or_else(|| Error::input("truth", array.data_type(), "class names (Utf8)"))
}

/// The true numbers of a view, one for each of `rows` rows, all finite.
pub(crate) fn numbers<'a>(view: &View<'a>, rows: usize) -> Result<&'a [f64]> {
    let array = truth(view, rows, "numbers")?;
    let numbers: &Float64Array =
        array.as_any().downcast_ref().ok_or_else(|| Error::input("truth", array.data_type(), "numbers (Float64)"))?;
    finite("truth", numbers.values()).map(|()| &**numbers.values())
}

fn truth<'a>(view: &View<'a>, rows: usize, wanted: &str) -> Result<&'a dyn Array> {
    let Some(Column::Array(array)) = view.truth else {
        let found = if view.truth.is_some() { "pixels, sound, objects or lists" } else { "none" };
        return Err(Error::input("truth", found, wanted));
    };
    if array.len() != rows {
        return Err(Error::input("truth", format!("{} rows", array.len()), format!("{rows} rows, as many as answers")));
    }
    match (0..rows).find(|&row| array.is_null(row)) {
        Some(row) => Err(Error::input(format!("truth at row {row}"), "nothing", wanted)),
        None => Ok(array),
    }
}

/// The class names and the row-major probabilities of an answer, all finite.
pub(crate) fn scores(answer: &Answer) -> Result<(&Classes, &[f64])> {
    let Answer::Scores { classes, values } = answer else {
        return Err(Error::input("answer", kind_of(answer), "class probabilities"));
    };
    if classes.is_empty() || !values.len().is_multiple_of(classes.len()) {
        let found = format!("{} probabilities for {} classes", values.len(), classes.len());
        return Err(Error::input("answer", found, "one for each row and class"));
    }
    finite("answer", values).map(|()| (classes, &**values))
}

/// The numbers of an answer, all finite.
pub(crate) fn values(answer: &Answer) -> Result<&[f64]> {
    match answer {
        Answer::Numbers { values, .. } => finite("answer", values).map(|()| &**values),
        _ => Err(Error::input("answer", kind_of(answer), "numbers")),
    }
}

fn kind_of(answer: &Answer) -> &'static str {
    match answer {
        Answer::Scores { .. } => "class probabilities",
        Answer::Numbers { .. } => "numbers",
        Answer::Texts(_) => "texts",
        Answer::Objects(_) => "objects",
        Answer::LogLikelihood { .. } => "log likelihoods",
        Answer::Vectors { .. } => "vectors",
        Answer::List { .. } => "lists",
    }
}

fn finite(what: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(Error::input(format!("{what}, value {place}"), values[place], "a finite number")),
        None => Ok(()),
    }
}

/// The classes of a target that is a category.
pub(crate) fn classes(field: &Field) -> Result<&Arc<[Arc<str>]>> {
    match &field.kind {
        Kind::Category { classes } if !classes.is_empty() => Ok(classes),
        Kind::Category { .. } => Err(Error::input(format!("target {}", field.name), "no class", "at least one class")),
        other => Err(Error::input(format!("target {}", field.name), other.word(), "a category")),
    }
}

/// Checks that a target is a number.
pub(crate) fn number(field: &Field) -> Result<()> {
    match &field.kind {
        Kind::Number => Ok(()),
        other => Err(Error::input(format!("target {}", field.name), other.word(), "a number")),
    }
}

/// Two measures that were made differently cannot be merged.
pub(crate) fn not_alike() -> Error {
    Error::input("merge", "a measure of another kind", "one made with the same name, target and settings")
}

/// Nothing was added.
pub(crate) fn no_rows() -> Error {
    Error::input("measure", "no rows", "at least one row")
}

/// Codes for class names: the target's classes first, then, in order of appearance, those that only the truth or the
/// answer has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    known: usize,
    names: Vec<Arc<str>>,
    codes: HashMap<Arc<str>, u32>,
}

impl Labels {
    pub(crate) fn new(classes: &[Arc<str>]) -> Labels {
        let codes = classes.iter().enumerate().map(|(code, name)| (name.clone(), code as u32)).collect();
        Labels { known: classes.len(), names: classes.to_vec(), codes }
    }

    pub(crate) fn known(&self) -> usize {
        self.known
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn name(&self, code: u32) -> &Arc<str> {
        &self.names[code as usize]
    }

    /// The code of a name that may be new.
    pub(crate) fn code(&mut self, name: &str) -> u32 {
        if let Some(code) = self.find(name) {
            return code;
        }
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.codes.insert(name, self.names.len() as u32 - 1);
        self.names.len() as u32 - 1
    }

    /// The code of a name, when there is one. Comparing with a few names is faster than hashing.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        if self.names.len() <= 4 {
            return self.names.iter().position(|known| **known == *name).map(|code| code as u32);
        }
        self.codes.get(name).copied()
    }

    /// Where each class of an answer stands among the target's classes: `columns[class]` is the answer's column.
    pub(crate) fn columns(&self, answered: &[Arc<str>]) -> Vec<Option<usize>> {
        self.names[..self.known].iter().map(|name| answered.iter().position(|other| other == name)).collect()
    }

    /// Whether both were made for the same classes.
    pub(crate) fn is_alike(&self, other: &Labels) -> bool {
        self.names[..self.known] == other.names[..other.known]
    }
}

/// One weight a row; unit weights take no memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Weights {
    rows: usize,
    values: Option<Vec<f64>>,
}

impl Weights {
    /// Whether every row counts 1.
    pub(crate) fn is_unit(&self) -> bool {
        self.values.is_none()
    }

    /// The weight of a row.
    pub(crate) fn at(&self, row: usize) -> f64 {
        self.values.as_ref().map_or(1.0, |values| values[row])
    }

    /// The sum of all weights.
    pub(crate) fn total(&self) -> f64 {
        self.values.as_ref().map_or(self.rows as f64, |values| values.iter().sum())
    }

    /// Adds a batch's weights. They are checked before anything is added.
    pub(crate) fn push(&mut self, weight: Option<&[f64]>, rows: usize) -> Result<()> {
        if let Some(weight) = weight {
            check_weights(weight, rows)?;
        }
        self.extend(weight, rows);
        Ok(())
    }

    /// Adds the weights of another.
    pub(crate) fn merge(&mut self, other: &Weights) {
        self.extend(other.values.as_deref(), other.rows);
    }

    fn extend(&mut self, weight: Option<&[f64]>, rows: usize) {
        match (&mut self.values, weight) {
            (None, None) => {}
            (None, Some(weight)) => {
                let mut values = vec![1.0; self.rows];
                values.extend_from_slice(weight);
                self.values = Some(values);
            }
            (Some(values), Some(weight)) => values.extend_from_slice(weight),
            (Some(values), None) => values.resize(self.rows + rows, 1.0),
        }
        self.rows += rows;
    }

    /// Calls `add` with each row, in order, and its mass: its weight times how often a draw has it. The four cases are
    /// told apart once, so that the bootstrap's inner loop has no branch.
    pub(crate) fn each(&self, draw: Option<&[u32]>, mut add: impl FnMut(usize, f64)) {
        assert!(draw.is_none_or(|counts| counts.len() == self.rows), "a draw has one count a row");
        match (&self.values, draw) {
            (None, None) => (0..self.rows).for_each(|row| add(row, 1.0)),
            (None, Some(counts)) => counts.iter().enumerate().for_each(|(row, &count)| add(row, f64::from(count))),
            (Some(values), None) => values.iter().enumerate().for_each(|(row, &weight)| add(row, weight)),
            (Some(values), Some(counts)) => {
                values.iter().zip(counts).enumerate().for_each(|(row, (&weight, &count))| add(row, weight * f64::from(count)));
            }
        }
    }

    /// The same in another order of the rows; `add` hears the place in that order.
    pub(crate) fn each_in(&self, order: &[u32], draw: Option<&[u32]>, mut add: impl FnMut(usize, f64)) {
        assert!(draw.is_none_or(|counts| counts.len() == self.rows), "a draw has one count a row");
        let places = order.iter().map(|&row| row as usize).enumerate();
        match (&self.values, draw) {
            (None, None) => (0..order.len()).for_each(|place| add(place, 1.0)),
            (None, Some(counts)) => places.for_each(|(place, row)| add(place, f64::from(counts[row]))),
            (Some(values), None) => places.for_each(|(place, row)| add(place, values[row])),
            (Some(values), Some(counts)) => places.for_each(|(place, row)| add(place, values[row] * f64::from(counts[row]))),
        }
    }
}

fn check_weights(weight: &[f64], rows: usize) -> Result<()> {
    if weight.len() != rows {
        return Err(Error::input("weights", format!("{} rows", weight.len()), format!("{rows} rows, as many as answers")));
    }
    match weight.iter().position(|value| !(value.is_finite() && *value >= 0.0)) {
        Some(row) => Err(Error::input(format!("weight at row {row}"), weight[row], "a finite number >= 0")),
        None => Ok(()),
    }
}

/// A view's weights for that many rows.
pub(crate) fn weighted(view: &View<'_>, rows: usize) -> Result<Weights> {
    let mut weights = Weights::default();
    weights.push(view.weight, rows)?;
    Ok(weights)
}
