//! `cupola plan`: what a training will take, before it starts.

use super::{aligned, counted, recipe, runs_folder, train};
use crate::arguments::RecipeArguments;
use crate::memory;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::forecast::{Expected, Forecast, Meter, TargetForecast, forecast};
use cupola_train::{Estimate, Plan, duration};
use serde_json::json;
use std::process::ExitCode;

pub fn run(arguments: &RecipeArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.arguments, arguments.tiny)?).context("failed to check the recipe")?;
    match cupola_train::names_network(&plan) {
        true => networks(&plan, screen),
        false => tables(&plan, screen),
    }
}

fn networks(plan: &Plan, screen: &Screen) -> Result<ExitCode> {
    let estimates = train::with_run(plan, screen, |run| cupola_train::estimate(plan, run))?.context("failed to plan")?;
    screen.finish();
    for estimate in &estimates {
        screen.object(&json!({ "event": "plan", "estimate": estimate, "flops": estimate.flops() }));
        screen.text(&of_network(estimate));
    }
    Ok(ExitCode::SUCCESS)
}

fn tables(plan: &Plan, screen: &Screen) -> Result<ExitCode> {
    let meter = Meter { forget: &memory::forget_peak, available: memory::available() };
    let told = train::with_run(plan, screen, |run| forecast(plan, run, &meter, &runs_folder()))?.context("failed to plan")?;
    screen.finish();
    screen.object(&json!({ "event": "plan", "forecast": told }));
    screen.text(&of_table(&told));
    for warning in &told.warnings {
        screen.note(&format!("warning: {warning}"));
    }
    told.check().context("failed to plan")?;
    Ok(ExitCode::SUCCESS)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn of_table(told: &Forecast) -> String {
    let mut rows = vec![
        ("rows", format!("{} to learn from, {} to choose by, {} to measure on", told.rows_train, told.rows_valid, told.rows_test)),
        ("columns", told.columns.to_string()),
        ("data in memory", megabytes(told.data_bytes)),
    ];
    for target in &told.targets {
        rows.push(("model", format!("{} for {}", target.model, target.name)));
        if let (Some(columns), Some(bytes)) = (target.prepared_columns, target.prepared_bytes) {
            rows.push(("prepared", format!("{}, {}", counted(columns, "column"), megabytes(bytes))));
        }
    }
    let memory = told.memory_bytes.map_or("not known".to_owned(), |bytes| match told.available_bytes {
        Some(available) => format!("{} at most, of {} that the machine has", megabytes(bytes), megabytes(available)),
        None => format!("{} at most", megabytes(bytes)),
    });
    rows.push(("memory", memory));
    rows.push(("disk", format!("{} for the run folder", megabytes(told.disk_bytes))));
    if let Some(spilled) = told.spilled_bytes {
        rows.push(("beyond the ceiling", format!("{} in a file until the training ends", megabytes(spilled))));
    }
    let rehearsed: Vec<String> = told.rehearsed.iter().map(u64::to_string).collect();
    rows.push(("tried on", format!("{} rows, in {} with reading", rehearsed.join(", "), duration(told.planned_seconds))));
    let facts: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<20}{value}")).collect();
    let line = |name: &str, seconds: Expected| {
        vec![name.replace('_', "-"), duration(seconds.value), format!("{} to {}", duration(seconds.low), duration(seconds.high))]
    };
    let stages = told.stages.iter().map(|stage| line(stage.name, stage.seconds)).chain([line("all", told.seconds)]);
    let mut parts = vec![facts.join("\n"), aligned(&["stage", "time", "range"], &stages.collect::<Vec<_>>())];
    parts.extend(told.targets.iter().filter(|target| !target.candidates.is_empty()).map(candidates));
    parts.join("\n\n")
}

fn candidates(target: &TargetForecast) -> String {
    let line = |tried: &cupola_train::forecast::TriedForecast| {
        let time = tried.seconds.map_or(String::new(), |seconds| duration(seconds.value));
        let who = format!("{} {}", tried.model, tried.settings);
        vec![who.trim_end().to_owned(), time, tried.note.clone().unwrap_or_default()]
    };
    let lines: Vec<Vec<String>> = target.candidates.iter().map(line).collect();
    format!("Candidates for {}, as they are tried\n{}", target.name, aligned(&["candidate", "all folds", ""], &lines))
}

fn of_network(estimate: &Estimate) -> String {
    let unknown = || "not known".to_owned();
    let rows = [
        ("model", estimate.model.clone()),
        ("parameters", estimate.params.to_string()),
        ("training rows", estimate.rows.to_string()),
        ("epochs", estimate.epochs.to_string()),
        ("steps", format!("{} of {} rows, rate at most {:.1e}", estimate.steps, estimate.batch, estimate.lr)),
        ("work of a row", format!("{:.3e} additions and multiplications, forwards", estimate.flops_per_row as f64)),
        ("work of all", format!("{:.3e}", estimate.flops())),
        ("time of a step", estimate.step_seconds.map_or_else(unknown, |seconds| format!("{:.2} ms", seconds * 1000.0))),
        ("time of training", estimate.train_seconds.map_or_else(unknown, duration)),
        ("memory", estimate.memory_bytes.map_or_else(unknown, |bytes| format!("{} MB", bytes / 1_000_000))),
    ];
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<18}{value}")).collect();
    format!("{}\n{}", estimate.target, lines.join("\n"))
}
