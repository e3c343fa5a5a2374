//! `cupola model show`: a network's layers.

use super::{aligned, open};
use crate::screen::Screen;
use anyhow::{Context, Result, bail};
use cupola_task::{Settings, Value, Where};
use cupola_train::{Assumed, Shown};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

pub fn show(named: &str, pairs: &[String], screen: &Screen) -> Result<ExitCode> {
    let began = Instant::now();
    let clock = || began.elapsed();
    let known = cupola_train::models().find(|model| model.name == named);
    let shown = match known {
        Some(model) => {
            let (assumed, settings) = assumed(pairs)?;
            let given = settings.iter().map(|(name, value)| (name.as_str(), value));
            let settings = Settings::check("model", model.settings, given)?;
            cupola_train::show(model, &settings, assumed, Where::Cpu, &clock)
        }
        None if !pairs.is_empty() => bail!("{} is no model of `cupola models`, and a trained one takes no keys", named),
        None => {
            let (_, artifact) = open(Path::new(named))?;
            let pipeline = artifact.pipelines().first().context("the model answers nothing")?;
            cupola_train::show_pipeline(pipeline, Where::Cpu, &clock)
        }
    };
    print(&shown.context("failed to show the model")?, screen);
    Ok(ExitCode::SUCCESS)
}

/// What is assumed about the data, and settings of the model.
fn assumed(pairs: &[String]) -> Result<(Assumed, Vec<(String, Value)>)> {
    let (mut assumed, mut settings) = (Assumed::default(), Vec::new());
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else { bail!("found {pair:?}, wanted KEY=VALUE") };
        let whole = |most: usize| match value.parse::<usize>() {
            Ok(number) if (1..=most).contains(&number) => Ok(number),
            _ => bail!("{key}: found {value:?}, wanted a whole number in 1..{most}"),
        };
        match key {
            "size" | "imgsz" => assumed.size = Some(whole(4096)? as u32),
            "channels" => assumed.channels = Some(whole(4)? as u8),
            "classes" => assumed.classes = Some(whole(1_000_000)?),
            key => settings.push((key.trim_start_matches("model.").to_owned(), Value::parse(value))),
        }
    }
    Ok((assumed, settings))
}

fn print(shown: &Shown, screen: &Screen) {
    let sides = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let micros = |place: usize| shown.times[place].as_secs_f64() * 1e6;
    for (place, layer) in shown.layers.iter().enumerate() {
        screen.object(&json!({ "layer": layer.path, "kind": layer.kind, "output": layer.output, "params": layer.params, "flops": layer.flops, "microseconds": micros(place) }));
    }
    let entries: Vec<_> = shown.entries.iter().map(|(path, shape)| json!({ "path": path, "shape": shape })).collect();
    screen.object(&json!({ "model": shown.model, "input": shown.input, "params": shown.params, "flops": shown.flops, "entries": entries }));
    let row = |(place, layer): (usize, &cupola_train::LayerRow)| {
        vec![
            layer.path.clone(),
            layer.kind.clone(),
            sides(&layer.output),
            layer.params.to_string(),
            layer.flops.to_string(),
            format!("{:.1}", micros(place)),
        ]
    };
    let rows: Vec<Vec<String>> = shown.layers.iter().enumerate().map(row).collect();
    screen.text(&aligned(&["layer", "kind", "output", "parameters", "flops", "\u{b5}s"], &rows));
    let input = shown.input.map_or(String::new(), |shape| format!(", input {}", sides(&shape)));
    let time: f64 = (0..shown.times.len()).map(micros).sum();
    screen.text(&format!(
        "\n{}: {} parameters, {:.3e} additions and multiplications a row, {:.1} \u{b5}s a row in a batch of {}{input}",
        shown.model, shown.params, shown.flops as f64, time, shown.rows
    ));
}
