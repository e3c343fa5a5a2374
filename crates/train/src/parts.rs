//! The sides of a table's rows as a training of the same recipe would have them, and what the leak checks say of them: `cupola data split`, `data dup`
//! and `data leaks`.

use crate::load::{self, Loaded};
use crate::summary::leak_sentence;
use crate::training::{divide, findings};
use crate::{LeakGate, Plan, Result};
use arrow_array::cast::AsArray;
use cupola_data::leaks::{Finding, Severity};
use cupola_data::split::{self, Cut, SplitSettings, TestRows};
use cupola_data::{Input, Notation, Wanted, conform, infer, read};
use cupola_task::{Column, Dataset, Event, Field, Key, Role, Run, Schema, Side, Table, Task};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A target with the rows of each of its classes on each side.
pub type ClassRows = (Arc<str>, Vec<(String, [u64; 3])>);

/// The sides of a file's rows.
pub struct Parts {
    /// One for each row of the file; `Out` too for rows that a training leaves out.
    pub sides: Vec<Side>,
    /// Keys of the rows that are on a side, and their sides, as `data.split.keep` reads them.
    pub record: cupola_task::Columns,
    /// The rule.
    pub by: &'static str,
    /// The column that the rule looked at.
    pub key: Option<String>,
    /// Why this rule.
    pub reason: String,
    /// Training, validation and test rows.
    pub counts: [u64; 3],
    /// For the first target of classes: each class with its rows on each side, the most frequent first.
    pub classes: Option<ClassRows>,
    /// Sentences about what looked odd or was left out.
    pub warnings: Vec<String>,
}

/// Cuts the rows of the plan's file: the same rows that `train` takes with the same recipe and seed. Without a target there is no class to go by,
/// and nothing that can be left out.
///
/// # Errors
/// As a training, up to the split.
pub fn parts(plan: &Plan, run: &Run<'_>) -> Result<Parts> {
    run.tell(Event::Stage { name: "split".into() });
    match plan.targets.is_empty() && !is_laid_out(plan)? {
        true => untargeted(plan, run),
        false => {
            let loaded = load::load(plan)?;
            let split = loaded.split.clone();
            let rows = loaded.rows_of_file();
            let warnings = loaded.warnings.clone();
            cut(&loaded.table, &split, run, rows, warnings)
        }
    }
}

fn is_laid_out(plan: &Plan) -> Result<bool> {
    Ok(cupola_data::stream(&plan.train, &plan.read, 1)?.layout().target.is_some())
}

/// Cuts a table whose rows are the given ones of a file of so many rows.
fn cut(table: &Table, split: &SplitSettings, run: &Run<'_>, (kept, rows): (Vec<u64>, u64), warnings: Vec<String>) -> Result<Parts> {
    let mut cut: Cut = split::sides(table, split, run.draw("split"))?;
    let keys = split::row_keys(table)?;
    if let Some(path) = &split.keep {
        cut.keep(table, &keys, &split::read_record(&Input::parse(path))?)?;
    }
    let mut sides = vec![Side::Out; rows as usize];
    kept.iter().zip(&cut.sides).for_each(|(row, side)| sides[*row as usize] = *side);
    Ok(Parts {
        sides,
        record: split::record_columns(&keys, &cut.sides),
        by: cut.by.word(),
        key: cut.key.clone(),
        reason: cut.reason.clone(),
        counts: cut.counts,
        classes: classes(table, &cut.sides),
        warnings,
    })
}

fn untargeted(plan: &Plan, run: &Run<'_>) -> Result<Parts> {
    let raw = read(&plan.train, &plan.read)?;
    let test = if plan.test.is_some() { TestRows::Given } else { TestRows::Cut };
    let split = match raw.layout.split {
        Some(column) => SplitSettings::open_laid_out(&plan.split, test, column)?,
        None => SplitSettings::open(&plan.split, test)?,
    };
    let inferred = infer(&raw.columns, &load::overrides(plan, raw.layout), &[], &|row| raw.place(row))?;
    let (mut schema, formats): (Schema, Notation) = cupola_data::schema(&inferred);
    for field in &mut schema.fields {
        field.role = role(plan, &split, field);
    }
    let notation = Notation { missing_values: plan.read.missing_values.clone(), ..formats };
    let columns = conform(&raw.columns, &schema, &notation, &|row| raw.place(row), Wanted::All)?.columns;
    let table = Table::new(schema, columns)?;
    let rows = Dataset::len(&table);
    cut(&table, &split, run, ((0..rows).collect(), rows), raw.warnings.clone())
}

fn role(plan: &Plan, split: &SplitSettings, field: &Field) -> Role {
    match split.role() {
        Some((key, role)) if *key == *field.name => Role::Key(role),
        _ if plan.group.as_deref() == Some(&*field.name) => Role::Key(Key::Group),
        _ if plan.ignore.iter().any(|name| **name == *field.name) => Role::Ignored,
        _ => field.role,
    }
}

/// Each class of the first target of classes with its rows on each side.
fn classes(table: &Table, sides: &[Side]) -> Option<ClassRows> {
    let (field, _) = table.schema().targets().find(|(_, task)| *task == Task::Classify)?;
    let texts = table.columns().get(&field.name).and_then(Column::array)?.as_string_opt::<i32>()?;
    let mut counts: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    for (text, side) in texts.iter().zip(sides) {
        let place = [Side::Train, Side::Valid, Side::Test].iter().position(|known| known == side);
        if let (Some(text), Some(place)) = (text, place) {
            counts.entry(text).or_default()[place] += 1;
        }
    }
    let mut classes: Vec<(String, [u64; 3])> = counts.into_iter().map(|(class, counts)| (class.to_owned(), counts)).collect();
    classes.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
    Some((field.name.clone(), classes))
}

/// What the leak checks say.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Leaks {
    /// Training, validation and test rows.
    pub rows: [u64; 3],
    /// The rule of the split.
    pub by: &'static str,
    /// What was found, certain leaks first.
    pub findings: Vec<Leak>,
}

/// A finding with its places.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Leak {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// Where the first of its rows stand.
    pub places: Vec<String>,
    /// Finding, places and remedy, as one line.
    #[serde(skip)]
    pub line: String,
}

impl Leaks {
    /// Whether a leak is certain, so that a training would be stopped.
    pub fn is_certain(&self) -> bool {
        self.findings.iter().any(|leak| leak.finding.severity == Severity::Stop)
    }
}

/// Reads, splits and looks for leaks as a training does, whatever the recipe's gate says; nothing is learned.
///
/// # Errors
/// As a training, up to the leak gate.
pub fn leaks(plan: &Plan, run: &Run<'_>) -> Result<Leaks> {
    let open = Plan { leaks: LeakGate::Off, ..plan.clone() };
    // A training tells of findings as they come; here they are the answer.
    let divided = divide(&open, run)?;
    run.tell(Event::Stage { name: "leaks".into() });
    let mut found = findings(&divided.loaded, &divided.cut)?;
    found.sort_by_key(|finding| finding.severity == Severity::Warn);
    let loaded: &Loaded = &divided.loaded;
    let leak = |finding: Finding| {
        let place = |row: &u64| if finding.in_test_file { loaded.test_place(*row as usize) } else { loaded.place(*row as usize) };
        Leak { places: finding.rows.iter().map(place).collect(), line: leak_sentence(&finding, loaded), finding }
    };
    let test = loaded.test.as_ref().map_or(divided.cut.counts[2], Dataset::len);
    let [train, valid, _] = divided.cut.counts;
    Ok(Leaks { rows: [train, valid, test], by: divided.cut.by.word(), findings: found.into_iter().map(leak).collect() })
}
