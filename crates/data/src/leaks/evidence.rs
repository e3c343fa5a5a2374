//! What all checks look at: every column as codes, computed once, and the side of every row.

use super::{after_event, duplicates, group_overlap, id_order, near_duplicates, near_pictures, row_order};
use super::{single_feature, target_copy, target_in_text, target_sum};
use crate::cells::{Cells, Codes, column, fingerprints, joined, joined_codes};
use arrow_array::{StringArray, TimestampMicrosecondArray};
use cupola_task::{Batch, Column, Dataset, Draw, Error, Field, Images, Key, Kind, Result, Role, Side, Task};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

/// All checks, in the order of their findings.
pub const LEAKS: &[LeakDef] = &[
    target_copy::TARGET_COPY,
    target_in_text::TARGET_IN_TEXT,
    target_sum::TARGET_SUM,
    after_event::AFTER_EVENT,
    id_order::ID_ORDER,
    group_overlap::GROUP_OVERLAP,
    duplicates::DUPLICATES,
    near_duplicates::NEAR_DUPLICATES,
    near_pictures::NEAR_PICTURES,
    single_feature::SINGLE_FEATURE,
    row_order::ROW_ORDER,
];

/// A check.
#[derive(Clone, Copy)]
pub struct LeakDef {
    /// Its name.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    pub(crate) find: fn(&Evidence) -> Vec<Finding>,
}

/// Whether a finding stops the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The scores would mean nothing.
    Stop,
    /// People should look.
    Warn,
    /// Good to know.
    Note,
}

/// Something that training should not know.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// The check that found it.
    pub check: String,
    /// Whether it stops the run.
    pub severity: Severity,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// The first rows it is about, ten at most: numbers in the table, or in the test file.
    pub rows: Vec<u64>,
    /// Whether those rows stand in the test file.
    pub in_test_file: bool,
    /// The measure that the check goes by.
    pub value: f64,
    /// What was found, as a sentence without a final full stop.
    pub sentence: String,
    /// What to do about it, as a sentence without a final full stop.
    pub remedy: String,
}

/// Looks for leaks between the sides of a split, and into the inputs. `test` is the test file, where there is one; its
/// rows are all on the test side.
///
/// # Errors
/// When a column is not of its kind, or the test file has another schema.
pub fn check(table: &dyn Dataset, sides: &[Side], test: Option<&dyn Dataset>) -> Result<Vec<Finding>> {
    assert_eq!(table.len(), sides.len() as u64, "every row has a side");
    let evidence = Evidence::gather(table, sides, test)?;
    let mut findings: Vec<Finding> = LEAKS.par_iter().map(|leak| (leak.find)(&evidence)).collect::<Vec<_>>().concat();
    // A copy of the target also predicts well by itself; that need not be told twice.
    let stopped: Vec<Option<String>> =
        findings.iter().filter(|finding| finding.severity == Severity::Stop).map(|finding| finding.column.clone()).collect();
    findings.retain(|finding| finding.check != single_feature::SINGLE_FEATURE.name || !stopped.contains(&finding.column));
    Ok(findings)
}

/// One column of the evidence.
pub(crate) struct Exhibit {
    pub field: Field,
    /// Of the table's rows, then of the test file's.
    pub codes: Codes,
    /// NaN where missing; none where the column has no numbers.
    pub numbers: Option<Vec<f64>>,
    /// The texts of a column of texts.
    pub texts: Option<StringArray>,
    /// The moments of a column of dates.
    pub moments: Option<TimestampMicrosecondArray>,
    /// The pictures of a column of them: the table's, then the test file's.
    pub pictures: Vec<Images>,
}

/// What is to be predicted.
pub(crate) enum Truth<'e> {
    /// Codes below `count`.
    Classes { codes: &'e [u32], count: usize },
    /// NaN where missing.
    Numbers(&'e [f64]),
}

/// All that the checks look at.
pub(crate) struct Evidence {
    pub inputs: Vec<Exhibit>,
    pub targets: Vec<Exhibit>,
    pub groups: Vec<Exhibit>,
    pub times: Vec<Exhibit>,
    /// Of the table's rows, then of the test file's.
    pub sides: Vec<Side>,
    /// How many rows are the table's.
    pub table_rows: usize,
    /// The training rows, in order.
    pub train: Vec<usize>,
    prints: OnceLock<Vec<u128>>,
}

impl Evidence {
    /// A fingerprint of each row's inputs, made when the first check asks for them.
    pub fn prints(&self) -> &[u128] {
        self.prints.get_or_init(|| fingerprints(self.sides.len(), self.inputs.iter().map(|input| &input.codes)))
    }

    fn gather(table: &dyn Dataset, sides: &[Side], test: Option<&dyn Dataset>) -> Result<Evidence> {
        let batch = read(table)?;
        let test = test.map(|test| Ok::<_, Error>((read(test)?, test.len() as usize))).transpose()?;
        let test_rows = test.as_ref().map_or(0, |(_, rows)| *rows);
        let gather = |wanted: fn(&Role) -> bool| -> Result<Vec<Exhibit>> {
            let fields: Vec<&Field> = table.schema().fields.iter().filter(|field| wanted(&field.role)).collect();
            fields.into_par_iter().filter(|field| is_comparable(&field.kind)).map(|field| exhibit(field, &batch, test.as_ref())).collect()
        };
        Ok(Evidence {
            inputs: gather(|role| *role == Role::Input)?,
            targets: gather(|role| matches!(role, Role::Target(_)))?,
            groups: gather(|role| *role == Role::Key(Key::Group))?,
            times: gather(|role| *role == Role::Key(Key::Time))?,
            sides: sides.iter().copied().chain(std::iter::repeat_n(Side::Test, test_rows)).collect(),
            table_rows: sides.len(),
            train: sides.iter().enumerate().filter(|(_, side)| **side == Side::Train).map(|(row, _)| row).collect(),
            prints: OnceLock::new(),
        })
    }

    /// The targets with what is to be predicted of them.
    pub fn truths(&self) -> impl Iterator<Item = (&Exhibit, Truth<'_>)> {
        self.targets.iter().filter_map(|target| match (&target.field.role, &target.numbers) {
            (Role::Target(Task::Classify), _) => Some((target, Truth::Classes { codes: &target.codes.code, count: target.codes.distinct })),
            (Role::Target(_), Some(numbers)) => Some((target, Truth::Numbers(numbers))),
            _ => None,
        })
    }

    /// The first ten rows, as numbers in their file, and whether that is the test file.
    pub fn place(&self, rows: impl Iterator<Item = usize>) -> (Vec<u64>, bool) {
        let rows: Vec<usize> = rows.take(10).collect();
        let is_test_file = rows.first().is_some_and(|row| *row >= self.table_rows);
        let number = |row: usize| (if row >= self.table_rows { row - self.table_rows } else { row }) as u64;
        (rows.into_iter().map(number).collect(), is_test_file)
    }
}

fn read(table: &dyn Dataset) -> Result<Batch> {
    let rows: Vec<u64> = (0..table.len()).collect();
    table.read(&rows, Draw::default())
}

fn is_comparable(kind: &Kind) -> bool {
    matches!(kind, Kind::Number | Kind::Date | Kind::Text | Kind::Category { .. } | Kind::Image { .. })
}

fn exhibit(field: &Field, batch: &Batch, test: Option<&(Batch, usize)>) -> Result<Exhibit> {
    let test = test.map(|(test, rows)| (test, *rows));
    if let Kind::Image { .. } = field.kind {
        let codes = joined_codes(field, batch, test)?;
        let own = |batch| column(batch, &field.name).and_then(Column::images).cloned();
        let pictures = std::iter::once(batch).chain(test.map(|(test, _)| test)).filter_map(own).collect();
        return Ok(Exhibit { field: field.clone(), codes, numbers: None, texts: None, moments: None, pictures });
    }
    let all = joined(field, batch, test)?;
    let cells = Cells::open(field, &all)?;
    let texts = match cells {
        Cells::Texts(array) => Some(array.clone()),
        Cells::Numbers(_) | Cells::Dates(_) | Cells::Images(_) => None,
    };
    let moments = match cells {
        Cells::Dates(array) => Some(array.clone()),
        Cells::Numbers(_) | Cells::Texts(_) | Cells::Images(_) => None,
    };
    Ok(Exhibit { field: field.clone(), codes: cells.codes(), numbers: cells.numbers(), texts, moments, pictures: vec![] })
}

/// What messages call so many rows of a side: `34 test rows`, `1 row of the test file`.
pub(crate) fn called(count: usize, side: &str, in_test_file: bool) -> String {
    let rows = if count == 1 { "row" } else { "rows" };
    if in_test_file { format!("{count} {rows} of the test file") } else { format!("{count} {side} {rows}") }
}

/// How to mend a leak that concerns a column.
pub(crate) fn leave_out(column: &Arc<str>) -> String {
    format!("leave it out (ignore={column})")
}
