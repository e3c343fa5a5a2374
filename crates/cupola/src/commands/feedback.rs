//! `cupola feedback`: labels from a file.

use super::{named, now_us, open_labels, open_registry};
use crate::screen::Screen;
use anyhow::{Context, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use cupola_data::{Input, ReadOptions};
use cupola_task::{Column, Columns};
use cupola_train::Error;
use cupola_watch::labels::{NewLabel, NewLabels};
use cupola_watch::moment;
use cupola_watch::registry::Registry;
use serde_json::json;
use std::process::ExitCode;

/// Labels that are committed at once.
const BATCH: usize = 10_000;

pub fn run(file: &str, pairs: &[String], screen: &Screen) -> Result<ExitCode> {
    let [name, target] = named(pairs, ["name", "target"], "cupola feedback labels.csv name=adult")?;
    let registry = open_registry()?;
    let name = match name {
        Some(name) => name,
        None => only_name(&registry)?,
    };
    let target = match target {
        Some(target) => target,
        None => only_target(&registry, &name)?,
    };
    let table = cupola_data::read(&Input::parse(file), &ReadOptions::default()).context("failed to read labels")?;
    let labels = labels(&table.columns, &target, now_us(), &|row| table.place(row)).context("failed to read labels")?;
    let store = open_labels(&registry)?;
    for part in labels.chunks(BATCH) {
        let batch = NewLabels { name: name.clone(), received_us: now_us(), source: "file".to_owned(), labels: part.to_vec() };
        store.add(&[batch]).context("failed to keep labels")?;
    }
    screen.object(&json!({ "name": name, "target": target, "stored": labels.len() }));
    screen.text(&format!("{} labels of {target} kept for {name}", labels.len()));
    Ok(ExitCode::SUCCESS)
}

fn only_name(registry: &Registry) -> Result<String> {
    let mut names = registry.names().context("failed to read the registry")?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        (Some(last), false) => {
            let all = format!("{}, {last}", names.join(", "));
            Err(Error::recipe("command line", "found no name, wanted the model that is labelled")
                .with_hint(format!("name=NAME, one of {all}"))
                .into())
        }
        (None, _) => Err(Error::recipe("command line", "found no name, wanted the model that is labelled").with_hint("name=NAME").into()),
    }
}

fn only_target(registry: &Registry, name: &str) -> Result<String> {
    let version = registry.find(name, cupola_watch::registry::CHAMPION).context("failed to find the model")?;
    let (_, artifact) = super::open(&registry.model_file(&version))?;
    let targets: Vec<String> = artifact.raw().targets().map(|(field, _)| field.name.to_string()).collect();
    match &targets[..] {
        [target] => Ok(target.clone()),
        several => {
            let error = Error::recipe("command line", format!("found no target, wanted one of {}", several.join(", ")));
            Err(error.with_hint("target=COLUMN").into())
        }
    }
}

/// The columns `id`, `label` (or the target's own name) and, when it is there, `at`.
fn labels(columns: &Columns, target: &str, now_us: i64, place: &dyn Fn(usize) -> String) -> Result<Vec<NewLabel>, Error> {
    let column = |names: &[&str]| names.iter().find_map(|name| columns.get(name).and_then(Column::array));
    let missing = |name: &str| {
        let found = columns.names().collect::<Vec<_>>().join(", ");
        Error::Data(
            format!("columns {found}: found no column {name}"),
            Some("labels stand in the columns id, label and, if you like, at".into()),
        )
    };
    let ids = column(&["id"]).ok_or_else(|| missing("id"))?;
    let said = column(&["label", target]).ok_or_else(|| missing("label"))?;
    let at = column(&["at"]);
    let mut labels = Vec::new();
    for row in 0..columns.rows() {
        let wrong = |name: &str, wanted: &str| {
            Error::Data(
                format!("{}: column {name}: found {}, wanted {wanted}", place(row), text(column(&[name]), row).unwrap_or_default()),
                None,
            )
        };
        let id = text(Some(ids), row).ok_or_else(|| wrong("id", "an id"))?;
        // What nobody knows yet is no label.
        let Some(label) = text(Some(said), row) else { continue };
        let at_us = match text(at, row) {
            None => now_us,
            Some(at) => moment(&at).ok_or_else(|| wrong("at", "a time as 2024-12-31T23:59:59Z"))?,
        };
        labels.push(NewLabel { id, target: target.to_owned(), label, at_us });
    }
    Ok(labels)
}

fn text(array: Option<&ArrayRef>, row: usize) -> Option<String> {
    let array = array.filter(|array| array.is_valid(row))?;
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return Some(numbers.value(row).to_string());
    }
    if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        return Some(cupola_watch::write_moment(times.value(row)));
    }
    array.as_string_opt::<i32>().map(|texts| texts.value(row).trim().to_owned()).filter(|text| !text.is_empty())
}
