//! A row's line, as it is written and read.

use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use cupola_task::{Columns, Kind, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;

/// The version of segments.
const VERSION: u32 = 1;

/// A segment's first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) cupola_log: u32,
    pub(crate) model: String,
    pub(crate) hash: String,
    /// Names and the words of their kinds.
    pub(crate) inputs: Vec<(String, String)>,
    /// Names, and whether they hold numbers.
    pub(crate) outputs: Vec<(String, bool)>,
}

/// A row of a segment: id, when, alias, version, microseconds the answer took, key, inputs, outputs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Line(
    pub(crate) String,
    pub(crate) i64,
    pub(crate) String,
    pub(crate) String,
    pub(crate) f64,
    pub(crate) Option<String>,
    pub(crate) Vec<Value>,
    pub(crate) Vec<Value>,
);

/// Writes the answers of one model as lines.
#[derive(Clone, Debug)]
pub struct Encoder {
    head: Head,
    /// The head as a segment's first line, and the hash in it.
    written: [Arc<str>; 2],
    is_redacted: Vec<bool>,
    version: String,
}

/// What is written of a request beside its columns.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// The request's id. Of several rows the first is `ID-1`.
    pub id: &'a str,
    /// When it was answered, in microseconds since 1970.
    pub at_us: i64,
    /// `champion`, `challenger`, or `shadow` when the answer went to nobody.
    pub alias: &'a str,
    /// How long the answer took, in microseconds.
    pub latency_us: f64,
    /// Whose rows they are, when the client said it: by this they can be forgotten.
    pub key: Option<&'a str>,
}

/// Lines on their way to a segment.
#[derive(Clone, Debug)]
pub struct Lines {
    pub(crate) hash: Arc<str>,
    pub(crate) head: Arc<str>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rows: u64,
}

impl Encoder {
    /// For a model of that name, version and content; `answers` are the columns it answers with, in their order.
    pub fn new(model: &str, version: &str, hash: &str, raw: &Schema, answers: &Columns, redact: &[String]) -> Encoder {
        let inputs: Vec<_> =
            raw.inputs().filter(|field| is_kept(&field.kind)).map(|field| (field.name.to_string(), field.kind.word().to_owned())).collect();
        let outputs = answers.iter().map(|(name, column)| (name.to_string(), column.array().is_some_and(|array| numbers(array).is_some())));
        let head = Head { cupola_log: VERSION, model: model.to_owned(), hash: hash.to_owned(), outputs: outputs.collect(), inputs };
        let line = serde_json::to_string(&head).expect("names are JSON") + "\n";
        Encoder {
            is_redacted: head.inputs.iter().map(|(name, _)| redact.contains(name)).collect(),
            written: [line.into(), hash.into()],
            version: version.to_owned(),
            head,
        }
    }

    /// The lines of a request: its conformed inputs and its answers as columns.
    pub fn lines(&self, answered: &Answered<'_>, inputs: &Columns, answers: &Columns) -> Lines {
        let rows = answers.rows();
        let mut bytes = Vec::with_capacity(rows * (64 + 16 * (self.head.inputs.len() + self.head.outputs.len())));
        let cells = |names: &mut dyn Iterator<Item = &String>, columns: &Columns| -> Vec<Option<ArrayRef>> {
            names.map(|name| columns.get(name).and_then(|column| column.array().cloned())).collect()
        };
        let mut inputs = cells(&mut self.head.inputs.iter().map(|(name, _)| name), inputs);
        inputs.iter_mut().zip(&self.is_redacted).filter(|(_, is_redacted)| **is_redacted).for_each(|(cells, _)| *cells = None);
        let answers = cells(&mut self.head.outputs.iter().map(|(name, _)| name), answers);
        for row in 0..rows {
            bytes.push(b'[');
            match rows {
                1 => text(&mut bytes, answered.id),
                _ => text(&mut bytes, &row_id(answered.id, row)),
            }
            write!(bytes, ",{},", answered.at_us).expect("a vector can be written to");
            text(&mut bytes, answered.alias);
            bytes.push(b',');
            text(&mut bytes, &self.version);
            write!(bytes, ",{:.0},", answered.latency_us).expect("a vector can be written to");
            match answered.key {
                Some(key) => text(&mut bytes, key),
                None => bytes.extend_from_slice(b"null"),
            }
            bytes.push(b',');
            list(&mut bytes, &inputs, row);
            bytes.push(b',');
            list(&mut bytes, &answers, row);
            bytes.extend_from_slice(b"]\n");
        }
        let [head, hash] = self.written.clone();
        Lines { hash, head, bytes, rows: rows as u64 }
    }
}

/// The id of one of several rows, counted from 0 here and from 1 there.
pub fn row_id(id: &str, row: usize) -> String {
    format!("{id}-{}", row + 1)
}

/// Pictures are not kept: a log of them would be a copy of them.
fn is_kept(kind: &Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Category { .. } | Kind::Text | Kind::Date)
}

fn numbers(array: &ArrayRef) -> Option<&arrow_array::Float64Array> {
    array.as_primitive_opt::<Float64Type>()
}

fn list(bytes: &mut Vec<u8>, columns: &[Option<ArrayRef>], row: usize) {
    bytes.push(b'[');
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        cell(bytes, column.as_ref(), row);
    }
    bytes.push(b']');
}

fn cell(bytes: &mut Vec<u8>, column: Option<&ArrayRef>, row: usize) {
    let Some(array) = column.filter(|array| array.is_valid(row)) else { return bytes.extend_from_slice(b"null") };
    if let Some(values) = numbers(array) {
        let value = values.value(row);
        // What JSON cannot say is missing.
        let written = if value.is_finite() { serde_json::to_writer(&mut *bytes, &value) } else { serde_json::to_writer(&mut *bytes, &()) };
        written.expect("numbers are JSON");
    } else if let Some(values) = array.as_string_opt::<i32>() {
        text(bytes, values.value(row));
    } else if let Some(values) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        write!(bytes, "{}", values.value(row)).expect("a vector can be written to");
    } else {
        bytes.extend_from_slice(b"null");
    }
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(bytes, text).expect("texts are JSON");
}

impl Head {
    /// Reads a segment's first line.
    pub(crate) fn parse(place: &str, line: &str) -> Result<Head> {
        let head: Head = serde_json::from_str(line)
            .map_err(|error| Error::refused(place, format!("a head that is none: {error}"), "a segment of the log"))?;
        match head.cupola_log {
            VERSION => Ok(head),
            other => {
                Err(Error::refused(format!("{place}: version"), other, VERSION).with_hint("a newer cupola wrote it: upgrade this one"))
            }
        }
    }
}
