//! `cupola runs`: list, show and remove run folders.

use super::{aligned, runs_folder};
use crate::arguments::RunsCommand;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::runs::{self, Summary};
use serde_json::{Value, json};
use std::process::ExitCode;

pub fn run(command: Option<RunsCommand>, screen: &Screen) -> Result<ExitCode> {
    match command.unwrap_or(RunsCommand::Ls) {
        RunsCommand::Ls => list(screen)?,
        RunsCommand::Show { run } => show(&run, screen)?,
        RunsCommand::Rm { runs } => remove(&runs, screen)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The main measure of a run's first target: its name and value.
fn main_score(report: &Value) -> Option<(String, f64, f64, f64)> {
    let target = report["targets"].get(0)?;
    let name = target["main"].as_str()?;
    let score = target["scores"].as_array()?.iter().find(|score| score["name"] == name)?;
    Some((name.to_owned(), score["test"]["value"].as_f64()?, score["test"]["low"].as_f64()?, score["test"]["high"].as_f64()?))
}

fn list(screen: &Screen) -> Result<()> {
    let runs = runs::list(&runs_folder()).context("failed to list runs")?;
    if runs.is_empty() {
        screen.text(&format!("no runs in {}; `cupola train DATA target=COLUMN` makes one", runs_folder().display()));
    } else {
        let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
        screen.text(&aligned(&["run", "model", "target", "measure", "test", "95 % interval", "KB"], &rows));
    }
    for run in &runs {
        screen.object(&object(run));
    }
    Ok(())
}

fn row(run: &Summary) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let kilobytes = run.bytes.div_ceil(1000).to_string();
    let Some(report) = &run.report else {
        return vec![run.name.clone(), "unfinished".into(), String::new(), String::new(), String::new(), String::new(), kilobytes];
    };
    let (measure, value, interval) = match main_score(report) {
        Some((name, value, low, high)) => (name, format!("{value:.4}"), format!("{low:.4} to {high:.4}")),
        None => Default::default(),
    };
    vec![run.name.clone(), text(&report["model"]), text(&report["targets"][0]["name"]), measure, value, interval, kilobytes]
}

fn object(run: &Summary) -> Value {
    let score = run
        .report
        .as_ref()
        .and_then(main_score)
        .map(|(name, value, low, high)| json!({ "name": name, "value": value, "low": low, "high": high }));
    json!({
        "run": run.name,
        "path": run.path,
        "model": run.report.as_ref().map(|report| &report["model"]),
        "score": score,
        "has_model": run.has_model,
        "bytes": run.bytes,
    })
}

fn show(name: &str, screen: &Screen) -> Result<()> {
    let run = runs::find(&runs_folder(), name).context("failed to show the run")?;
    let Some(report) = &run.report else {
        screen.object(&object(&run));
        screen.text(&format!("{} was not finished: there is no report.json in {}", run.name, run.path.display()));
        return Ok(());
    };
    screen.object(report);
    let report =
        serde_json::from_value(report.clone()).with_context(|| format!("failed to read {}", run.path.join("report.json").display()))?;
    screen.text(&cupola_train::report::terminal(&report, screen.width(), screen.paint()));
    Ok(())
}

fn remove(names: &[String], screen: &Screen) -> Result<()> {
    // Nothing is removed when one of the names is wrong.
    for name in names {
        runs::find(&runs_folder(), name).context("failed to remove the run")?;
    }
    for name in names {
        let run = runs::remove(&runs_folder(), name).context("failed to remove the run")?;
        screen.object(&json!({ "removed": run.name }));
        screen.text(&format!("removed {}", run.path.display()));
    }
    Ok(())
}
