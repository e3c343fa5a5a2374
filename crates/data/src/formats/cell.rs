//! Columns of formats whose cells say their types one by one: of one type as long as all are, else text.

use super::Markers;
use crate::conform::number_text;
use crate::{Error, date};
use arrow_array::builder::{Float64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, StringArray};
use std::sync::Arc;

/// A value as the file has it.
pub(crate) enum Cell {
    Missing,
    Number(f64),
    /// Microseconds since 1970 in UTC.
    Moment(i64),
    Text(String),
}

impl Cell {
    /// Nothing where the value stands for a missing one.
    pub(crate) fn unless_marked(self, markers: &Markers) -> Cell {
        match &self {
            Cell::Number(number) if markers.contain_number(*number) => Cell::Missing,
            Cell::Text(text) if markers.contain(text) => Cell::Missing,
            _ => self,
        }
    }

    /// A whole number, as text where a `f64` does not hold it.
    pub(crate) fn whole(number: i64) -> Cell {
        match number.unsigned_abs() <= super::normal::EXACT_MAX {
            true => Cell::Number(number as f64),
            false => Cell::Text(number.to_string()),
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Cell::Missing => None,
            Cell::Number(number) => Some(number_text(number)),
            Cell::Moment(micros) => Some(date::iso(micros)),
            Cell::Text(text) => Some(text),
        }
    }
}

/// Cells one below the other.
pub(crate) struct Cells {
    rows: usize,
    values: Values,
}

enum Values {
    /// Nothing but missing ones so far.
    None,
    Numbers(Float64Builder),
    Moments(TimestampMicrosecondBuilder),
    Texts(StringBuilder),
}

impl Cells {
    pub(crate) fn new() -> Cells {
        Cells { rows: 0, values: Values::None }
    }

    /// Marks the rows before that one missing where there are none yet.
    pub(crate) fn fill(&mut self, row: usize) {
        for _ in self.rows..row {
            self.append(Cell::Missing);
        }
    }

    /// Whether there was room.
    #[must_use]
    pub(crate) fn push(&mut self, cell: Cell) -> bool {
        let size = match (&self.values, &cell) {
            (Values::Texts(texts), Cell::Text(text)) => texts.values_slice().len() + text.len(),
            (Values::Texts(texts), _) => texts.values_slice().len() + SPELLED_MAX,
            _ => 0,
        };
        if size <= i32::MAX as usize {
            self.append(cell);
        }
        size <= i32::MAX as usize
    }

    fn append(&mut self, cell: Cell) {
        match (&mut self.values, cell) {
            (Values::None, Cell::Missing) => {}
            (Values::Numbers(numbers), Cell::Missing) => numbers.append_null(),
            (Values::Moments(moments), Cell::Missing) => moments.append_null(),
            (Values::Numbers(numbers), Cell::Number(number)) => numbers.append_value(number),
            (Values::Moments(moments), Cell::Moment(micros)) => moments.append_value(micros),
            (Values::Texts(texts), cell) => texts.append_option(cell.text()),
            (Values::None, cell) => {
                self.values = Values::of(&cell);
                let nulls = std::mem::take(&mut self.rows);
                (0..nulls).for_each(|_| self.append(Cell::Missing));
                return self.append(cell);
            }
            (_, cell) => {
                self.values.spell();
                return self.append(cell);
            }
        }
        self.rows += 1;
    }

    /// So many rows as an array; the next begin anew.
    pub(crate) fn finish(&mut self, rows: usize) -> ArrayRef {
        self.fill(rows);
        self.rows = 0;
        match std::mem::replace(&mut self.values, Values::None) {
            Values::None => Arc::new(StringArray::new_null(rows)),
            Values::Numbers(mut numbers) => Arc::new(numbers.finish()),
            Values::Moments(mut moments) => Arc::new(moments.finish()),
            Values::Texts(mut texts) => Arc::new(texts.finish()),
        }
    }
}

/// A number or moment in text is no longer.
const SPELLED_MAX: usize = 400;

impl Values {
    fn of(cell: &Cell) -> Values {
        match cell {
            Cell::Missing => Values::None,
            Cell::Number(_) => Values::Numbers(Float64Builder::new()),
            Cell::Moment(_) => Values::Moments(TimestampMicrosecondBuilder::new()),
            Cell::Text(_) => Values::Texts(StringBuilder::new()),
        }
    }

    /// Makes texts of what is there.
    fn spell(&mut self) {
        let mut texts = StringBuilder::new();
        match self {
            Values::None | Values::Texts(_) => return,
            Values::Numbers(numbers) => numbers.finish().iter().for_each(|number| texts.append_option(number.map(number_text))),
            Values::Moments(moments) => moments.finish().iter().for_each(|micros| texts.append_option(micros.map(date::iso))),
        }
        *self = Values::Texts(texts);
    }
}

/// A column has no more room.
pub(crate) fn full(name: &str, place: String) -> Error {
    Error::column(name, place, "more than 2 GiB of text", "at most 2 GiB").with_hint("read the table in parts")
}
