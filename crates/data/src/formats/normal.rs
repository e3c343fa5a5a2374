//! Brings the types of Arrow and Parquet to the three that as-read columns have.
//!
//! | there | here |
//! |---|---|
//! | whole numbers, floats, decimals | `Float64`; `Utf8` digits when a whole number lies beyond 2^53 |
//! | booleans | `Utf8`: `true`, `false` |
//! | texts of any layout, dictionaries of them, times of day | `Utf8` |
//! | dates, timestamps of any unit and zone | `Timestamp(Microsecond, None)`, UTC |
//! | nothing but nulls | `Utf8` |
//! | binary, nested, intervals, durations | refused |

use super::Markers;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Schema, TimeUnit};
use cupola_task::{Column, Columns};
use std::collections::HashSet;
use std::sync::Arc;

/// Up to here a `f64` holds every whole number.
pub(crate) const EXACT_MAX: u64 = 1 << 53;

/// Checks before a row is read that every column can be brought to an as-read type under a name of its own.
pub(crate) fn check_schema(name: &str, schema: &Schema) -> Result<()> {
    let mut seen = HashSet::new();
    if schema.fields().is_empty() {
        return Err(Error::refused(name, "no column", "at least one column"));
    }
    for field in schema.fields() {
        if field.name().trim().is_empty() {
            return Err(Error::refused(name, "a column without a name", "a name for each column"));
        }
        if !seen.insert(field.name()) {
            return Err(
                Error::refused(name, format!("two columns of the name {}", field.name()), "names that differ").with_hint("rename one")
            );
        }
        if !is_readable(field.data_type()) {
            return Err(unreadable(field.name(), name, field.data_type()));
        }
    }
    Ok(())
}

fn unreadable(column: &str, place: &str, data_type: &DataType) -> Error {
    let error = Error::column(column, place, format!("the type {data_type}"), "numbers, texts, flags, dates or times");
    error.with_hint("flatten the column or leave it out when writing the file")
}

fn is_readable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_readable(values),
        DataType::RunEndEncoded(_, values) => is_readable(values.data_type()),
        DataType::Null | DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_) => true,
        other => other.is_numeric(),
    }
}

/// One batch as as-read columns, markers for missing values applied.
pub(super) fn columns(name: &str, batch: &RecordBatch, markers: &Markers) -> Result<Columns> {
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
        let array = array_as_read(field.name(), name, array)?;
        Ok((Arc::from(field.name().as_str()), Column::Array(without_markers(&array, markers))))
    });
    Ok(Columns::new(columns.collect::<Result<_>>()?))
}

/// Brings one array to an as-read type. `place` is for messages.
pub(crate) fn array_as_read(column: &str, place: &str, array: &ArrayRef) -> Result<ArrayRef> {
    let to = |array: &ArrayRef, wanted: &DataType| {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, wanted, &options)
            .map_err(|error| Error::column(column, place, format!("a value that does not convert ({error})"), wanted))
    };
    match array.data_type() {
        DataType::Utf8 | DataType::Float64 => Ok(array.clone()),
        DataType::Dictionary(_, values) => array_as_read(column, place, &to(array, values)?),
        DataType::RunEndEncoded(_, values) => array_as_read(column, place, &to(array, values.data_type())?),
        DataType::Null => Ok(Arc::new(StringArray::new_null(array.len()))),
        DataType::Boolean | DataType::LargeUtf8 | DataType::Utf8View | DataType::Time32(_) | DataType::Time64(_) => {
            to(array, &DataType::Utf8)
        }
        DataType::Date32 | DataType::Date64 => to(array, &DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Timestamp(_, zone) => {
            // The stored value is UTC; only its label goes.
            let micros = to(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Arc::new(micros.with_timezone_opt(None::<&str>)))
        }
        other if other.is_numeric() => {
            let numbers = to(array, &DataType::Float64)?;
            let is_whole = other.is_integer() || matches!(other, DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0));
            let is_exact = numbers.as_primitive::<Float64Type>().iter().flatten().all(|number| number.abs() < EXACT_MAX as f64);
            if is_whole && !is_exact { to(array, &DataType::Utf8) } else { Ok(numbers) }
        }
        other => Err(unreadable(column, place, other)),
    }
}

/// Null where a cell is a marker. Not-a-number is always missing.
pub(crate) fn without_markers(array: &ArrayRef, markers: &Markers) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            if !texts.iter().flatten().any(|text| markers.contain(text)) {
                return array.clone();
            }
            Arc::new(texts.iter().map(|text| text.filter(|text| !markers.contain(text))).collect::<StringArray>())
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>();
            if !numbers.values().iter().any(|number| markers.contain_number(*number)) {
                return array.clone();
            }
            let kept = numbers.iter().map(|number| number.filter(|number| !markers.contain_number(*number)));
            Arc::new(kept.collect::<Float64Array>())
        }
        _ => array.clone(),
    }
}
