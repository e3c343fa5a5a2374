//! Rows that are left when rows that repeat others are left out: `data.clean.duplicates=drop`.

use crate::cells::{column, fingerprints, joined_codes};
use cupola_task::{Dataset, Draw, Result};
use foldhash::HashSet;

/// The rows that are left when of rows with equal inputs and targets only the first is kept.
///
/// # Errors
/// When a column is not of its kind.
pub fn distinct_rows(table: &dyn Dataset) -> Result<Vec<u64>> {
    Ok(first_of_equals(&prints(table, None)?, 0))
}

/// The rows of a test file that are left when those whose inputs and targets equal a row of the table, or an earlier row of the
/// test file, are left out. A column that the test file lacks is missing in all of its rows.
///
/// # Errors
/// When a column is not of its kind, or the test file has it with another type.
pub fn distinct_beside(table: &dyn Dataset, test: &dyn Dataset) -> Result<Vec<u64>> {
    Ok(first_of_equals(&prints(table, Some(test))?, table.len()))
}

/// The rows from `start` on that equal none before them, counted from there.
fn first_of_equals(prints: &[u128], start: u64) -> Vec<u64> {
    let mut seen = HashSet::with_capacity_and_hasher(prints.len(), foldhash::fast::RandomState::default());
    (0..).zip(prints).filter(|(_, print)| seen.insert(**print)).filter_map(|(row, _): (u64, _)| row.checked_sub(start)).collect()
}

/// Fingerprints of inputs and targets of the table's rows, then of the test file's.
fn prints(table: &dyn Dataset, test: Option<&dyn Dataset>) -> Result<Vec<u128>> {
    let read = |data: &dyn Dataset| data.read(&(0..data.len()).collect::<Vec<u64>>(), Draw::default());
    let (own, other) = (read(table)?, test.map(read).transpose()?);
    let test_rows = test.map_or(0, |test| test.len() as usize);
    let schema = table.schema();
    let fields = schema.inputs().chain(schema.targets().map(|(field, _)| field));
    let codes = fields
        .filter(|field| column(&own, &field.name).is_some())
        .map(|field| joined_codes(field, &own, other.as_ref().map(|other| (other, test_rows))))
        .collect::<Result<Vec<_>>>()?;
    Ok(fingerprints(table.len() as usize + test_rows, codes.iter()))
}
