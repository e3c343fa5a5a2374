//! `cupola plan`: what training a network will take, before it starts.

use super::{recipe, train};
use crate::arguments::RecipeArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::{Estimate, Plan};
use serde_json::json;
use std::process::ExitCode;

pub fn run(arguments: &RecipeArguments, screen: &Screen) -> Result<ExitCode> {
    let plan = Plan::check(recipe(&arguments.arguments, arguments.tiny)?).context("failed to check the recipe")?;
    let estimates = train::with_run(&plan, screen, |run| cupola_train::estimate(&plan, run))?.context("failed to plan")?;
    screen.finish();
    for estimate in &estimates {
        screen.object(&json!({ "event": "plan", "estimate": estimate, "flops": estimate.flops() }));
        screen.text(&text(estimate));
    }
    Ok(ExitCode::SUCCESS)
}

fn text(estimate: &Estimate) -> String {
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
        ("time of training", estimate.train_seconds.map_or_else(unknown, cupola_train::duration)),
        ("memory", estimate.memory_bytes.map_or_else(unknown, |bytes| format!("{} MB", bytes / 1_000_000))),
    ];
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<18}{value}")).collect();
    format!("{}\n{}", estimate.target, lines.join("\n"))
}
