//! `cupola data diff`: what differs between two versions of a table.

use super::{again, percent, plan};
use crate::arguments::DiffArguments;
use crate::commands::{aligned, paths_and_pairs, use_machine};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::diff::{DIFF, Diff, diff};
use cupola_data::read;
use cupola_task::Exit;
use cupola_train::{Moved, moved};
use std::process::ExitCode;

/// Columns that are told on the terminal.
const COLUMNS_MAX: usize = 20;

pub fn run(arguments: &DiffArguments, screen: &Screen) -> Result<ExitCode> {
    let (paths, pairs) = paths_and_pairs(&arguments.arguments);
    let [first, second] = paths else {
        let error = cupola_train::Error::recipe("command line", format!("found {} tables, wanted two", paths.len()));
        return Err(error.with_hint("cupola data diff old.csv new.csv key=id; several files as one table: \"part-*.csv\"").into());
    };
    let tables = [first, second].map(|path| -> Result<_> {
        let words: Vec<String> = std::iter::once(path).chain(pairs).cloned().collect();
        let (mut plan, settings) = plan(&words, DIFF, "diff")?;
        use_machine(&plan)?;
        again(&mut plan.train, plan.read.max_bytes)?;
        let mut raw = read(&plan.train, &plan.read).context("failed to read the table")?;
        raw.columns = raw.columns.select(|name| !plan.ignore.iter().any(|ignored| ignored == name));
        Ok((raw, settings))
    });
    let [first, second] = tables;
    let ((first, settings), (second, _)) = (first?, second?);
    let diff = diff(&first, &second, &settings).context("failed to compare the tables")?;
    let moved = if diff.is_equal() { vec![] } else { moved(&first, &second).context("failed to compare the columns")? };
    let mut object = serde_json::to_value(&diff)?;
    object["equal"] = diff.is_equal().into();
    object["moved"] = serde_json::to_value(&moved)?;
    screen.object(&object);
    screen.text(&told(&diff, &moved));
    Ok(if diff.is_equal() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Data as u8) })
}

fn told(diff: &Diff, moved: &[Moved]) -> String {
    let order = if diff.is_reordered { " (columns in another order)" } else { "" };
    if diff.is_equal() {
        return format!("equal: {} rows{order}", diff.rows[0]);
    }
    let mut text = format!("{}: {} rows\n{}: {} rows{order}", diff.names[0], diff.rows[0], diff.names[1], diff.rows[1]);
    let names = |names: &[std::sync::Arc<str>]| names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
    if !diff.columns_added.is_empty() {
        text += &format!("\ncolumns added: {}", names(&diff.columns_added));
    }
    if !diff.columns_removed.is_empty() {
        text += &format!("\ncolumns removed: {}", names(&diff.columns_removed));
    }
    let by = if diff.key.is_empty() { "by content".to_owned() } else { format!("by {}", diff.key.join(", ")) };
    let changed = if diff.key.is_empty() { String::new() } else { format!("{} changed, ", diff.rows_changed) };
    text += &format!("\nrows {by}: {} added, {} removed, {changed}{} the same", diff.rows_added, diff.rows_removed, diff.rows_same);
    for change in &diff.changes {
        let told = |cell: &Option<String>| cell.as_ref().map_or("nothing".to_owned(), |text| format!("{text:?}"));
        text += &format!(
            "\n  {} {}: {} became {} ({})",
            change.key.join(", "),
            change.column,
            told(&change.before),
            told(&change.after),
            change.places[1]
        );
    }
    diff.added.iter().for_each(|place| text += &format!("\n  added   {place}"));
    diff.removed.iter().for_each(|place| text += &format!("\n  removed {place}"));
    text + &columns(diff, moved)
}

fn columns(diff: &Diff, moved: &[Moved]) -> String {
    let lines: Vec<Vec<String>> = diff
        .columns
        .iter()
        .filter_map(|column| {
            let moved = moved.iter().find(|moved| moved.column == column.name);
            let is_told = column.changed.is_some_and(|count| count > 0)
                || column.missing[0] != column.missing[1]
                || moved.is_some_and(|moved| moved.is_drift);
            let missing = |table: usize| percent(column.missing[table], diff.rows[table]);
            is_told.then(|| {
                let effect = moved.map_or(String::new(), |moved| format!("{} {:.3}", moved.statistic, moved.effect));
                let word = if moved.is_some_and(|moved| moved.is_drift) { "moved" } else { "" };
                let changed = column.changed.map_or(String::new(), |count| count.to_string());
                vec![column.name.to_string(), changed, missing(0), missing(1), effect, word.to_owned()]
            })
        })
        .collect();
    match lines.len() {
        0 => String::new(),
        count => {
            let more = if count > COLUMNS_MAX { format!("\nand {} more columns", count - COLUMNS_MAX) } else { String::new() };
            let shown = &lines[..count.min(COLUMNS_MAX)];
            format!("\n\n{}{more}", aligned(&["column", "changed", "missing before", "after", "distribution", ""], shown))
        }
    }
}
