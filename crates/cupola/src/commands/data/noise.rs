//! `cupola data noise`: labels that are likely wrong.

use super::{again, check_free, percent, plan, write_table};
use crate::arguments::NoiseArguments;
use crate::commands::aligned;
use crate::commands::train::with_run;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::{NOISE, Noise};
use std::process::ExitCode;

/// Suspects and classes that are told on the terminal.
const SHOWN: usize = 20;
const CLASSES_MAX: usize = 8;

pub fn run(arguments: &NoiseArguments, screen: &Screen) -> Result<ExitCode> {
    let (mut plan, settings) = plan(&arguments.arguments, NOISE, "noise")?;
    again(&mut plan.train, plan.read.max_bytes)?;
    if let Some(path) = &arguments.output {
        check_free(path, arguments.force)?;
    }
    let noise = with_run(&plan, screen, |run| cupola_train::noise(&plan, run, &settings))?.context("failed to judge the labels")?;
    screen.finish();
    if let Some(path) = &arguments.output {
        write_table(path, &noise.columns())?;
    }
    screen.object(&serde_json::to_value(&noise)?);
    screen.text(&told(&noise));
    if let Some(path) = &arguments.output {
        screen.note(&format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(noise: &Noise) -> String {
    let mut text = format!(
        "{} of {} labels of {} ({}) are likely wrong, judged by {} in {} folds",
        noise.suspects,
        noise.rows,
        noise.target,
        percent(noise.suspects, noise.rows),
        noise.model,
        noise.folds
    );
    let suspects: Vec<Vec<String>> = noise
        .ranked
        .iter()
        .filter(|suspect| suspect.is_suspect)
        .take(SHOWN)
        .map(|suspect| {
            let number = |value: f64| format!("{value:.3}");
            vec![
                suspect.place.clone(),
                suspect.given.to_string(),
                suspect.suggested.to_string(),
                number(suspect.self_confidence),
                number(suspect.normalized_margin),
            ]
        })
        .collect();
    if !suspects.is_empty() {
        text += &format!("\n\n{}", aligned(&["row", "given", "suggested", "self-confidence", "normalized margin"], &suspects));
    }
    if noise.suspects > SHOWN as u64 {
        text += &format!("\nand {} more (-o FILE writes them all)", noise.suspects - SHOWN as u64);
    }
    if noise.classes.len() <= CLASSES_MAX {
        let head: Vec<&str> = std::iter::once("given, likely").chain(noise.classes.iter().map(|class| &**class)).collect();
        let line = |(class, row): (&std::sync::Arc<str>, &Vec<u64>)| -> Vec<String> {
            std::iter::once(class.to_string()).chain(row.iter().map(u64::to_string)).collect()
        };
        text += &format!("\n\n{}", aligned(&head, &noise.classes.iter().zip(&noise.joint).map(line).collect::<Vec<_>>()));
    }
    text
}
