//! A cell as it was read, before anybody said what its column is.

use crate::conform::number;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};

/// What stands in a cell.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum AsRead<'a> {
    Missing,
    /// Not NaN, which is missing, nor -0.
    Number(f64),
    /// Microseconds since 1970 in UTC.
    Moment(i64),
    /// Without blanks around it.
    Text(&'a str),
}

impl AsRead<'_> {
    /// The cell of a row; a text that is a number is taken for it.
    pub fn of(array: &ArrayRef, row: usize) -> AsRead<'_> {
        if array.is_null(row) {
            return AsRead::Missing;
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            let text = texts.value(row).trim();
            return number(text).map_or(AsRead::Text(text), |number| AsRead::Number(number + 0.0));
        }
        if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            let number = numbers.value(row);
            return if number.is_nan() { AsRead::Missing } else { AsRead::Number(number + 0.0) };
        }
        array.as_primitive_opt::<TimestampMicrosecondType>().map_or(AsRead::Missing, |moments| AsRead::Moment(moments.value(row)))
    }
}
