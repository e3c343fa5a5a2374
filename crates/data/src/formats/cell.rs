//! Columns of formats whose cells say their types one by one: numbers until a text comes, then texts.

use super::Markers;
use crate::conform::number_text;
use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::{ArrayRef, StringArray};
use std::sync::Arc;

/// A value as the file has it.
pub(super) enum Cell {
    Missing,
    Number(f64),
    Text(String),
}

impl Cell {
    /// Nothing where the value stands for a missing one.
    pub(super) fn unless_marked(self, markers: &Markers) -> Cell {
        match &self {
            Cell::Number(number) if markers.contain_number(*number) => Cell::Missing,
            Cell::Text(text) if markers.contain(text) => Cell::Missing,
            _ => self,
        }
    }

    /// A whole number, as text where a `f64` does not hold it.
    pub(super) fn whole(number: i64) -> Cell {
        match number.unsigned_abs() <= super::normal::EXACT_MAX {
            true => Cell::Number(number as f64),
            false => Cell::Text(number.to_string()),
        }
    }
}

/// Cells one below the other: `Float64` as long as none is a text, else `Utf8`.
pub(super) struct Cells {
    numbers: Float64Builder,
    /// Set once a value is no number; holds the numbers before it as text.
    texts: Option<StringBuilder>,
    has_number: bool,
    rows: usize,
}

impl Cells {
    pub(super) fn new() -> Cells {
        Cells { numbers: Float64Builder::new(), texts: None, has_number: false, rows: 0 }
    }

    /// Marks the rows before that one missing where there are none yet.
    pub(super) fn fill(&mut self, row: usize) {
        for _ in self.rows..row {
            self.append(Cell::Missing);
        }
    }

    /// Whether there was room.
    pub(super) fn append(&mut self, cell: Cell) -> bool {
        self.rows += 1;
        match (&mut self.texts, cell) {
            (None, Cell::Number(number)) => {
                self.has_number = true;
                self.numbers.append_value(number);
            }
            (None, Cell::Missing) => self.numbers.append_null(),
            (None, Cell::Text(text)) => {
                let mut texts = StringBuilder::new();
                for number in &self.numbers.finish() {
                    texts.append_option(number.map(number_text));
                }
                texts.append_value(text);
                self.texts = Some(texts);
            }
            (Some(texts), Cell::Missing) => texts.append_null(),
            (Some(texts), cell) => {
                let text = match cell {
                    Cell::Number(number) => number_text(number),
                    Cell::Text(text) => text,
                    Cell::Missing => String::new(),
                };
                if texts.values_slice().len() + text.len() > i32::MAX as usize {
                    return false;
                }
                texts.append_value(text);
            }
        }
        true
    }

    /// So many rows as an array; the next begin anew.
    pub(super) fn finish(&mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        self.rows = 0;
        let numbers = self.numbers.finish();
        match self.texts.take() {
            Some(mut texts) => Arc::new(texts.finish()),
            None if std::mem::take(&mut self.has_number) => Arc::new(numbers),
            None => Arc::new(StringArray::new_null(rows)),
        }
    }
}
