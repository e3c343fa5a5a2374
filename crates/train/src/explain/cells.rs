//! Single cells of raw columns: how they are written, and columns that repeat one.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use cupola_task::{Column, Columns};
use std::sync::Arc;

/// The value of a raw column in one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Number(f64),
    Text(String),
    /// Microseconds since 1970.
    Date(i64),
}

impl Cell {
    /// The cell of an array; none where the array is of another sort.
    pub fn of(array: &ArrayRef, row: usize) -> Option<Cell> {
        if array.is_null(row) {
            return Some(Cell::Missing);
        }
        if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            let value = numbers.value(row);
            return Some(if value.is_nan() { Cell::Missing } else { Cell::Number(value) });
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            return Some(Cell::Text(texts.value(row).to_owned()));
        }
        array.as_primitive_opt::<TimestampMicrosecondType>().map(|dates| Cell::Date(dates.value(row)))
    }

    /// The cell of a column that holds such; none for others, and where there is no such column.
    pub fn at(columns: &Columns, name: &str, row: usize) -> Option<Cell> {
        Cell::of(columns.get(name)?.array()?, row)
    }

    /// A number or a date (in microseconds) as a place on an axis.
    pub fn position(&self) -> Option<f64> {
        match self {
            Cell::Number(value) => Some(*value),
            Cell::Date(moment) => Some(*moment as f64),
            Cell::Missing | Cell::Text(_) => None,
        }
    }

    /// The cell of its kind at another place.
    pub fn moved(&self, position: f64) -> Cell {
        if matches!(self, Cell::Date(_)) { Cell::Date(position as i64) } else { Cell::Number(position) }
    }

    /// So many rows of it, as a column that has the type of another.
    pub fn repeated(&self, like: &ArrayRef, rows: usize) -> Option<ArrayRef> {
        let array: ArrayRef = match self {
            Cell::Number(value) => Arc::new(Float64Array::from_value(*value, rows)),
            Cell::Text(text) => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text.as_str(), rows))),
            Cell::Date(moment) => Arc::new(TimestampMicrosecondArray::from_value(*moment, rows)),
            Cell::Missing => return Some(arrow_array::new_null_array(like.data_type(), rows)),
        };
        (array.data_type() == like.data_type()).then_some(array)
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Cell::Missing => serde_json::Value::Null,
            Cell::Number(value) => (*value).into(),
            Cell::Text(text) => text.as_str().into(),
            Cell::Date(_) => self.text().into(),
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Cell::Missing => "missing".to_owned(),
            Cell::Number(value) => number(*value),
            Cell::Text(text) => text.clone(),
            Cell::Date(moment) => {
                let array: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![*moment]));
                arrow_cast::display::array_value_to_string(&array, 0).unwrap_or_default()
            }
        }
    }
}

/// A number without needless digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value.fract() == 0.0 && size < 1e15 => format!("{value:.0}"),
        0.0..1e-4 | 1e9.. => format!("{value:.3e}"),
        _ => {
            let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{value:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
    }
}

/// The numbers of a column: dates as their microseconds, NaN where missing; none for texts and the like.
pub(crate) fn numbers(array: &ArrayRef) -> Option<Vec<f64>> {
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return Some(numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect());
    }
    let dates = array.as_primitive_opt::<TimestampMicrosecondType>()?;
    Some(dates.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect())
}

/// Numbers as a column of the type of another.
pub(crate) fn numbers_like(like: &ArrayRef, values: &[f64]) -> ArrayRef {
    match like.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(_) => Arc::new(values.iter().map(|value| value.is_finite().then_some(*value as i64)).collect::<TimestampMicrosecondArray>())
            as ArrayRef,
        None => Arc::new(values.iter().map(|value| value.is_finite().then_some(*value)).collect::<Float64Array>()),
    }
}

/// The same columns with another one in the place of that name.
pub(crate) fn with(columns: &Columns, name: &str, array: ArrayRef) -> Columns {
    let mut changed = columns.clone();
    changed.insert(name.into(), Column::Array(array));
    changed
}

/// So many rows, at equal steps.
pub(crate) fn evenly(rows: usize, most: usize) -> Vec<u64> {
    let count = rows.min(most);
    (0..count).map(|place| (place * rows / count) as u64).collect()
}
