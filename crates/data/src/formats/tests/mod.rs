//! What every format must do, and what hostile files must not.

mod conformance;
mod numerals;
mod pictures;
mod tables;
mod torture;
mod typed;

use crate::{Input, Raw, ReadOptions, Result};
use arrow_cast::display::array_value_to_string;
use cupola_task::{Columns, Settings, Value};

/// Options as a recipe writes them.
pub(super) fn options(given: &[(&str, &str)]) -> ReadOptions {
    let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
    let settings = Settings::check("data", ReadOptions::SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap();
    ReadOptions::from_settings(&settings).unwrap()
}

pub(super) fn read_bytes(name: &str, bytes: impl Into<Vec<u8>>, options: &ReadOptions) -> Result<Raw> {
    crate::read(&Input::Bytes { name: name.into(), bytes: bytes.into().into() }, options)
}

/// Rows with a bar between cells, missing ones as a dot.
pub(crate) fn shown(columns: &Columns) -> Vec<String> {
    let cell = |row: usize, array: &arrow_array::ArrayRef| match array.is_null(row) {
        true => ".".to_owned(),
        false => array_value_to_string(array, row).unwrap(),
    };
    (0..columns.rows())
        .map(|row| columns.iter().map(|(_, column)| cell(row, column.array().unwrap())).collect::<Vec<_>>().join("|"))
        .collect()
}
