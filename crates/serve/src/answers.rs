//! Answers as JSON and as CSV.

use crate::rows::Unseen;
use arrow_array::{Array, Float64Array, StringArray};
use cupola_task::{Column, Columns, Predictions};
use cupola_train::explain::AnswersExplained;
use cupola_train::{Artifact, answers_by_target};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use std::io::Write;

/// An answer lists no more unseen categories than this; the measures count all.
pub(crate) const UNSEEN_LISTED: usize = 100;

/// The body of an answer to `/predict`.
#[derive(Serialize)]
pub(crate) struct Answer<'a> {
    pub(crate) model: &'a str,
    pub(crate) version: &'a str,
    pub(crate) hash: &'a str,
    pub(crate) id: &'a str,
    pub(crate) logged: bool,
    pub(crate) predictions: Rows,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) explanations: Option<Vec<Explanations>>,
    #[serde(skip_serializing_if = "<[Unseen]>::is_empty")]
    pub(crate) unseen: &'a [Unseen],
}

/// What made a row's answer, or those of each target under its name.
pub(crate) struct Explanations {
    pub(crate) targets: AnswersExplained,
    /// Whether the model has one target.
    pub(crate) is_one: bool,
}

impl Serialize for Explanations {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.targets[..] {
            [(_, explained)] if self.is_one => explained.serialize(to),
            targets => to.collect_map(targets.iter().map(|(target, explained)| (&**target, explained))),
        }
    }
}

/// One object a row: `prediction` and the like, or one such object under the name of each target.
pub(crate) struct Rows {
    /// Each target's columns, and whether its prediction is a list of labels.
    targets: Vec<(String, Columns, bool)>,
    rows: usize,
}

struct RowOf<'a>(&'a Rows, usize);

struct CellsOf<'a>(&'a Columns, bool, usize);

struct Cell<'a>(&'a Column, usize);

impl Rows {
    pub(crate) fn new(artifact: &Artifact, predictions: &Predictions) -> Rows {
        let targets = answers_by_target(artifact, predictions).into_iter();
        Rows { targets: targets.map(|(name, columns, is_list)| (name.to_string(), columns, is_list)).collect(), rows: predictions.rows() }
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut rows = to.serialize_seq(Some(self.rows))?;
        (0..self.rows).try_for_each(|row| rows.serialize_element(&RowOf(self, row)))?;
        rows.end()
    }
}

impl Serialize for RowOf<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match &self.0.targets[..] {
            [(_, columns, is_list)] => CellsOf(columns, *is_list, self.1).serialize(to),
            targets => {
                let mut map = to.serialize_map(Some(targets.len()))?;
                targets
                    .iter()
                    .try_for_each(|(target, columns, is_list)| map.serialize_entry(target, &CellsOf(columns, *is_list, self.1)))?;
                map.end()
            }
        }
    }
}

impl Serialize for CellsOf<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        let is_list = |name: &str| name == "prediction_set" || self.1 && name == "prediction";
        self.0.iter().try_for_each(|(name, column)| match &**name {
            name if is_list(name) => {
                // A flat table holds a set as the text of a list; here it can be one.
                let list = text(column, self.2).map(|list| serde_json::from_str::<Vec<String>>(list).expect("a set is written as a list"));
                map.serialize_entry(name, &list)
            }
            name => map.serialize_entry(name, &Cell(column, self.2)),
        })?;
        map.end()
    }
}

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match (number(self.0, self.1), text(self.0, self.1)) {
            (Some(number), _) if number.is_finite() => to.serialize_f64(number),
            (_, Some(text)) => to.serialize_str(text),
            _ => to.serialize_unit(),
        }
    }
}

fn number(column: &Column, row: usize) -> Option<f64> {
    let numbers = column.array()?.as_any().downcast_ref::<Float64Array>()?;
    numbers.is_valid(row).then(|| numbers.value(row))
}

fn text(column: &Column, row: usize) -> Option<&str> {
    let texts = column.array()?.as_any().downcast_ref::<StringArray>()?;
    texts.is_valid(row).then(|| texts.value(row))
}

/// The answers as CSV, with the columns that `predict` writes.
pub(crate) fn to_csv(artifact: &Artifact, predictions: &Predictions) -> Vec<u8> {
    let columns = artifact.answers(predictions);
    let mut csv = Vec::new();
    write_row(&mut csv, columns.names().map(str::to_owned));
    for row in 0..columns.rows() {
        let cell = |column: &Column| match (number(column, row), text(column, row)) {
            (Some(number), _) if number.is_finite() => number.to_string(),
            (_, Some(text)) => text.to_owned(),
            _ => String::new(),
        };
        write_row(&mut csv, columns.iter().map(|(_, column)| cell(column)));
    }
    csv
}

fn write_row(csv: &mut Vec<u8>, cells: impl Iterator<Item = String>) {
    for (place, cell) in cells.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        // A line that holds nothing would be no row.
        let is_quoted = cell.contains([',', '"', '\n', '\r']) || place == 0 && cell.is_empty();
        let written = if is_quoted { write!(csv, "{comma}\"{}\"", cell.replace('"', "\"\"")) } else { write!(csv, "{comma}{cell}") };
        written.expect("a vector can be written to");
    }
    csv.push(b'\n');
}
