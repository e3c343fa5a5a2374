//! JSON lines: one flat object a line. A key that a line does not have is missing there; columns come in the order in which their keys
//! are first seen.
//!
//! A column all of whose values are numbers is `Float64`, any other `Utf8`. Whole numbers beyond 2^53 keep their digits as text. A list of texts is
//! one text, the list as JSON.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let bytes = "{\"age\": 39, \"job\": \"clerk\"}\n{\"job\": null, \"paid\": true}\n".into();
//! let raw = read(&Input::Bytes { name: "a.jsonl".into(), bytes }, &ReadOptions::default())?;
//! assert_eq!(raw.columns.names().collect::<Vec<_>>(), ["age", "job", "paid"]);
//! # Ok::<(), cupola_data::Error>(())
//! ```

use super::cell::{Cell, Cells, full};
use super::{Chunk, FormatDef, Markers, Open, Rows, Window};
use crate::read::{BadRows, Lines, ReadOptions, Skipped};
use crate::{Error, Result};
use cupola_task::{Column, Columns};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "jsonl",
    extensions: &["jsonl", "ndjson", "json"],
    doc: "JSON lines, one flat object a line; gz and zst are unpacked",
    sniff,
    open: Open::Text(open),
};

/// A table may have at most so many cells without the lines to show for them: keys that differ from line to line would fill memory with nothing.
const CELLS_FREE: usize = 50_000_000;
/// Beyond that, at least one cell in so many must have a value.
const CELLS_PER_VALUE: usize = 100;

fn sniff(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii_end();
    // A lone bracket or an array of objects is JSON too, to be refused with a better word than CSV would have.
    line.starts_with(b"{") && (line == b"{" || line.get(1..).is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"") || rest == b"}"))
        || line == b"["
        || line.starts_with(b"[{")
}

struct JsonColumn {
    name: Arc<str>,
    cells: Cells,
    /// The last line that had the key.
    line: u64,
}

struct JsonRows {
    window: Window,
    markers: Markers,
    columns: Vec<JsonColumn>,
    index: HashMap<Arc<str>, usize>,
    line: u64,
    values: usize,
    bad_rows: BadRows,
    max_line: usize,
    rows_seen: bool,
    skipped: Skipped,
}

fn open(window: Window, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    Ok(Box::new(JsonRows {
        window,
        markers: Markers::new(&options.missing_values),
        columns: Vec::new(),
        index: HashMap::new(),
        line: 1,
        values: 0,
        bad_rows: options.bad_rows,
        max_line: usize::try_from(options.max_line).unwrap_or(usize::MAX),
        rows_seen: false,
        skipped: Skipped::default(),
    }))
}

impl Rows for JsonRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let (mut lines, mut count, mut cells) = (Lines::default(), 0, Vec::new());
        self.values = 0;
        while count < rows {
            let Some(length) = self.window.line_length(self.max_line, self.line)? else { break };
            match self.parse(length, &mut cells) {
                Ok(true) => {
                    self.append(count, &mut cells)?;
                    lines.push(self.line);
                    count += 1;
                }
                Ok(false) => {}
                Err(error) if self.bad_rows == BadRows::Fail => return Err(error),
                Err(error) => self.skipped.add(&error),
            }
            self.window.take(length);
            self.line += 1;
        }
        if count == 0 {
            return if self.rows_seen { Ok(None) } else { Err(self.nothing()) };
        }
        if self.columns.is_empty() {
            let error = Error::refused(self.window.name(), "objects without a key", "at least one column");
            return Err(error.with_hint("check the program that wrote the file"));
        }
        self.check_cells(count)?;
        self.rows_seen = true;
        let columns = self.columns.iter_mut().map(|column| (column.name.clone(), Column::Array(column.cells.finish(count)))).collect();
        Ok(Some(Chunk::new(Columns::new(columns), self.window.name().clone(), lines)))
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

impl JsonRows {
    fn place(&self) -> String {
        format!("{}:{}", self.window.name(), self.line)
    }

    fn nothing(&self) -> Error {
        match self.skipped.count {
            0 => Error::refused(self.window.name(), "nothing but blank lines", "one object a line")
                .with_hint("check that writing the file had finished"),
            _ => super::no_rows(self.window.name(), &self.skipped),
        }
    }

    /// Reads the line into cells; `false` for a blank line.
    fn parse(&mut self, length: usize, cells: &mut Vec<(usize, Cell)>) -> Result<bool> {
        cells.clear();
        let bytes = &self.window.bytes()[..length];
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            let found = format!("byte 0x{:02X} at byte {}, which is not UTF-8", bytes[at], self.window.taken() + at as u64);
            Error::refused(self.place(), found, "UTF-8 text").with_hint("JSON is UTF-8; set data.encoding if this file is not")
        })?;
        if text.trim().is_empty() {
            return Ok(false);
        }
        let place = self.place();
        let known = self.columns.len();
        let seed = Row { columns: &mut self.columns, index: &mut self.index, cells, line: self.line };
        let mut parser = serde_json::Deserializer::from_str(text);
        match seed.deserialize(&mut parser).and_then(|()| parser.end()) {
            Ok(()) => Ok(true),
            Err(error) => {
                forget(known, &mut self.columns, &mut self.index);
                Err(refusal(&place, text, &error))
            }
        }
    }

    fn append(&mut self, row: usize, cells: &mut Vec<(usize, Cell)>) -> Result<()> {
        let (name, line) = (self.window.name(), self.line);
        for (at, cell) in cells.drain(..) {
            self.values += 1;
            let column = &mut self.columns[at];
            column.cells.fill(row);
            if !column.cells.push(cell.unless_marked(&self.markers)) {
                return Err(full(&column.name, format!("{name}:{line}")));
            }
        }
        Ok(())
    }

    fn check_cells(&self, rows: usize) -> Result<()> {
        let cells = rows.saturating_mul(self.columns.len());
        if cells <= CELLS_FREE || cells / CELLS_PER_VALUE <= self.values {
            return Ok(());
        }
        let found = format!("{} keys, of which a line has few", self.columns.len());
        Err(Error::refused(self.window.name(), found, "lines with the same keys").with_hint("put key and value into two columns"))
    }
}

/// Keys first seen in a line that was not taken are not columns.
fn forget(known: usize, columns: &mut Vec<JsonColumn>, index: &mut HashMap<Arc<str>, usize>) {
    for column in columns.drain(known..) {
        index.remove(&column.name);
    }
}

/// What the parser said, in place of its own line number, which is always 1.
fn refusal(place: &str, text: &str, error: &serde_json::Error) -> Error {
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
    let found = match error.column() {
        _ if text.trim_start().starts_with('[') => "a JSON array".to_owned(),
        _ if error.is_eof() => "a line that breaks off".to_owned(),
        0 => said.to_owned(),
        column if ["expected value", "expected ident"].contains(&said) => format!("text that is not JSON (at character {column})"),
        column => format!("{said} at character {column}"),
    };
    let refused = Error::refused(place, found, "one flat JSON object a line");
    if text.trim_start().starts_with('[') {
        return refused.with_hint("write one object a line, for example with jq -c '.[]'");
    }
    if text.trim() == "{" {
        return refused.with_hint("the object is spread over lines: write it on one, for example with jq -c .");
    }
    if said.contains("nested") {
        return refused.with_hint("flatten it, or leave the key out");
    }
    refused.with_hint("each line must be whole JSON; data.bad_rows=skip leaves such lines out")
}

/// Reads an object into cells, adding columns for new keys.
struct Row<'a> {
    columns: &'a mut Vec<JsonColumn>,
    index: &'a mut HashMap<Arc<str>, usize>,
    cells: &'a mut Vec<(usize, Cell)>,
    line: u64,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Row { columns, index, cells, line } = self;
        while let Some(at) = map.next_key_seed(Key { columns, index, expected: cells.len() })? {
            if std::mem::replace(&mut columns[at].line, line) == line {
                return Err(A::Error::custom(format!("the key {} twice", columns[at].name)));
            }
            let cell = map.next_value_seed(Value { key: &columns[at].name })?;
            cells.push((at, cell));
        }
        Ok(())
    }
}

/// Reads a key into its column's number; most lines have the keys in the same order, so the expected one is tried first.
struct Key<'a> {
    columns: &'a mut Vec<JsonColumn>,
    index: &'a mut HashMap<Arc<str>, usize>,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<usize, E> {
        if self.columns.get(self.expected).is_some_and(|column| &*column.name == key) {
            return Ok(self.expected);
        }
        if let Some(at) = self.index.get(key) {
            return Ok(*at);
        }
        if key.trim().is_empty() {
            return Err(E::custom("a blank key"));
        }
        let column = JsonColumn { name: key.into(), cells: Cells::new(), line: 0 };
        self.index.insert(column.name.clone(), self.columns.len());
        self.columns.push(column);
        Ok(self.columns.len() - 1)
    }
}

struct Value<'a> {
    key: &'a str,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Cell;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number, a string, true, false or null")
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Missing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Cell, E> {
        Ok(Cell::Text(flag.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Cell, E> {
        Ok(Cell::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Cell, E> {
        Ok(Cell::whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Cell, E> {
        Ok(if number <= super::normal::EXACT_MAX { Cell::Number(number as f64) } else { Cell::Text(number.to_string()) })
    }

    fn visit_str<E>(self, text: &str) -> Result<Cell, E> {
        Ok(Cell::Text(text.to_owned()))
    }

    /// A list of texts, as labels come, is one cell that holds it as JSON.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Cell, A::Error> {
        let mut texts: Vec<String> = Vec::new();
        while let Some(item) = list.next_element::<serde_json::Value>()? {
            let serde_json::Value::String(text) = item else {
                return Err(A::Error::custom(format!("a nested list under the key {}", self.key)));
            };
            texts.push(text);
        }
        Ok(Cell::Text(serde_json::to_string(&texts).expect("texts are JSON")))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Cell, A::Error> {
        Err(A::Error::custom(format!("a nested object under the key {}", self.key)))
    }
}
