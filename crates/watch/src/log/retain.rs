//! What the log forgets: days that are too old, single columns sooner, and a person's rows when they ask.

use super::read::table;
use super::roll::{self, read_segment, tables, write_table};
use super::settings::LogOptions;
use super::writer::day_of;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::DataType;
use cupola_task::{Column, Columns};
use std::fs;
use std::path::Path;

/// Removes days and columns that are kept no longer.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn retain(folder: &Path, options: &LogOptions, now_us: i64) -> Result<()> {
    let today = day_of(now_us);
    for (day, path) in tables(folder)? {
        let age = today - day;
        if options.retain_days > 0 && age > options.retain_days {
            fs::remove_file(&path).map_err(|source| Error::io(format!("remove {}", path.display()), source))?;
            // Gone with its last table.
            let _ = path.parent().map(fs::remove_dir);
            continue;
        }
        let old: Vec<String> = options.retain.iter().filter(|(_, days)| age > **days).map(|(name, _)| format!("input.{name}")).collect();
        if !old.is_empty() {
            blank(&path, &old)?;
        }
    }
    Ok(())
}

/// Takes the values of columns out of a table; a table that has none of them is left as it is.
fn blank(path: &Path, old: &[String]) -> Result<()> {
    let logged = table(path)?;
    let has_values = |name: &String| logged.columns.get(name).and_then(Column::array).is_some_and(|array| array.null_count() < array.len());
    if !old.iter().any(has_values) {
        return Ok(());
    }
    let blanked = logged.columns.into_iter().map(|(name, column)| {
        let kept = match column.array().filter(|_| old.iter().any(|old| **old == *name)) {
            Some(array) => Column::Array(new_null_array(array.data_type(), array.len())),
            None => column,
        };
        (name, kept)
    });
    write_table(path, std::iter::once(Ok(Columns::new(blanked.collect()))))
}

/// What was forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forgotten {
    /// The ids of the answers, by which labels are forgotten, too.
    pub ids: Vec<String>,
    /// Segments that a server is writing hold more of them: they can be forgotten once it has made a table of them.
    pub waiting: u64,
}

/// Removes the rows whose `column` (`key`, `id`, or an input) holds a value.
///
/// # Errors
/// When a file cannot be read or written; rows that were removed before stay removed.
pub fn forget(folder: &Path, column: &str, value: &str) -> Result<Forgotten> {
    roll::roll(folder)?;
    let mut forgotten = Forgotten::default();
    for (_, path) in tables(folder)? {
        let logged = table(&path)?;
        let is_theirs = theirs(&logged.columns, column, value);
        if !is_theirs.contains(&true) {
            continue;
        }
        let rows = |theirs: bool| (0u64..).zip(&is_theirs).filter(|(_, is)| **is == theirs).map(|(row, _)| row).collect::<Vec<_>>();
        let ids = logged.texts("id");
        forgotten.ids.extend(rows(true).iter().filter_map(|&row| ids[row as usize].map(str::to_owned)));
        let kept = rows(false);
        match kept.is_empty() {
            true => fs::remove_file(&path).map_err(|source| Error::io(format!("remove {}", path.display()), source))?,
            false => write_table(&path, std::iter::once(Ok(logged.columns.take(&kept))))?,
        }
    }
    for path in roll::segments(folder)? {
        if let Some(segment) = read_segment(&path)? {
            let columns = segment.columns()?;
            forgotten.waiting += theirs(&columns, column, value).iter().filter(|is| **is).count() as u64;
        }
    }
    Ok(forgotten)
}

/// Which rows hold the value in that column of the log, or in the input of that name.
fn theirs(columns: &Columns, column: &str, value: &str) -> Vec<bool> {
    let named = match column {
        "id" | "key" => columns.get(column),
        input => columns.get(&format!("input.{input}")),
    };
    let Some(array) = named.and_then(Column::array) else { return vec![false; columns.rows()] };
    (0..array.len()).map(|row| array.is_valid(row) && holds(array, row, value)).collect()
}

fn holds(array: &ArrayRef, row: usize, value: &str) -> bool {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row) == value,
        DataType::Float64 => {
            value.parse::<f64>().is_ok_and(|number| array.as_primitive::<arrow_array::types::Float64Type>().value(row) == number)
        }
        _ => false,
    }
}
