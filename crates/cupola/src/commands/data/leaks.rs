//! `cupola data leaks`: what a model could know in training and not when it is used.

use super::plan;
use crate::arguments::RecipeArguments;
use crate::commands::train::with_run;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::leaks::{LEAKS, Severity};
use cupola_task::Exit;
use serde_json::json;
use std::process::ExitCode;

pub fn run(arguments: &RecipeArguments, screen: &Screen) -> Result<ExitCode> {
    let (plan, _) = plan(&arguments.arguments, &[], "leaks")?;
    let leaks = with_run(&plan, screen, |run| cupola_train::leaks(&plan, run))?.context("failed to look for leaks")?;
    screen.finish();
    let mut object = serde_json::to_value(&leaks)?;
    object["certain"] = json!(leaks.is_certain());
    object["checks"] = LEAKS.iter().map(|check| check.name).collect();
    screen.object(&object);
    for leak in &leaks.findings {
        let word = if leak.finding.severity == Severity::Stop { "leak" } else { "look" };
        screen.text(&format!("{word}  {}: {}", leak.finding.check, leak.line));
    }
    let [train, valid, test] = leaks.rows;
    let count = |severity: Severity| leaks.findings.iter().filter(|leak| leak.finding.severity == severity).count();
    let (certain, likely) = (count(Severity::Stop), count(Severity::Warn));
    let found = match (certain, likely) {
        (0, 0) => "no leak found".to_owned(),
        _ => format!("{certain} certain, {likely} to look at"),
    };
    screen.text(&format!(
        "{found}: {} checks on {train} training, {valid} validation and {test} test rows (split by {})",
        LEAKS.len(),
        leaks.by
    ));
    Ok(if leaks.is_certain() { ExitCode::from(Exit::Data as u8) } else { ExitCode::SUCCESS })
}
