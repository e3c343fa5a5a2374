//! `cupola check`: a recipe and the head of its data, without training.

use super::{aligned, recipe};
use crate::arguments::RecipeArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::{Choice, Plan};
use serde_json::json;
use std::process::ExitCode;

pub fn run(arguments: &RecipeArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.arguments, arguments.tiny)?).context("failed to check the recipe")?;
    let preview = cupola_train::preview(&plan).context("failed to check the data")?;
    let model = match &plan.model {
        Choice::Auto => "auto",
        Choice::Named(model, _) => model.name,
    };
    let columns: Vec<_> = preview
        .columns
        .iter()
        .map(|column| json!({ "name": column.name, "type": column.kind, "role": column.role, "reason": column.reason }))
        .collect();
    screen.object(&json!({ "ok": true, "model": model, "targets": preview.targets, "rows_looked_at": preview.rows, "columns": columns, "warnings": preview.warnings }));
    let rows: Vec<Vec<String>> = preview
        .columns
        .iter()
        .map(|column| vec![column.name.clone(), column.kind.clone(), column.role.clone(), column.reason.clone()])
        .collect();
    screen.text(&aligned(&["column", "type", "role", "why"], &rows));
    for warning in &preview.warnings {
        screen.note(&format!("warning: {warning}"));
    }
    let of = preview.rows_total.map_or(String::new(), |total| format!(" of {total}"));
    screen.text(&format!("\nok: {}{of} rows looked at, target {}, model {model}", preview.rows, preview.targets.join(", ")));
    Ok(ExitCode::SUCCESS)
}
