//! `cupola compare`: models on the same test rows, and which difference is more than chance.

use super::predict::data;
use super::{aligned, number, open, paths_and_pairs, rows, train, use_threads};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_task::{Flow, Local, Run, Start};
use cupola_train::compare::{ComparedTarget, Comparison, Contender, Differs, compare};
use cupola_train::compare_folds::{FoldDifference, FoldDifferences};
use cupola_train::report::Measure;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Values in the tables of differences are cut to so many characters.
const VALUE: usize = 40;

pub fn run(arguments: &[String], screen: &Screen) -> Result<ExitCode> {
    let threads = use_threads(None);
    let (named, pairs) = paths_and_pairs(arguments);
    let is_measure = |word: &&String| ["metric=", "metrics=", "eval.", "seed="].iter().any(|prefix| word.starts_with(prefix));
    let (measures, reading): (Vec<&String>, Vec<&String>) = pairs.iter().partition(is_measure);
    let asked =
        cupola_train::EvalPlan::parse(&measures.into_iter().cloned().collect::<Vec<_>>()).context("failed to read the command line")?;
    let (files, keys): (Vec<&String>, Vec<&String>) = reading.into_iter().partition(|word| word.starts_with("data="));
    let file = match files.first() {
        Some(file) => {
            let path = file.trim_start_matches("data=").to_owned();
            Some(data(&std::iter::once(path).chain(keys.into_iter().cloned()).collect::<Vec<_>>())?)
        }
        None => match keys.first() {
            Some(key) => {
                let error =
                    cupola_train::Error::recipe("command line", format!("found {key:?}, which says how a file is read, and no file"));
                return Err(error.with_hint("data=FILE names one; eval.ci, eval.draws, metrics=[...] and seed say how to compare").into());
            }
            None => None,
        },
    };
    let contenders = named.iter().map(|name| contender(name)).collect::<Result<Vec<_>>>()?;
    let began = Instant::now();
    let run = Run {
        seed: asked.seed,
        threads,
        folder: None,
        clock: &|| began.elapsed(),
        until: None,
        memory_max: None,
        memory: &train::peak_memory,
        collective: &Local,
        start: Start::Cold,
        events: &|_| Flow::Go,
    };
    let file = file.as_ref().map(|(input, options)| (input, options));
    let comparison = compare(&contenders, file, &asked, &run).context("failed to compare")?;
    screen.object(&json!({ "event": "comparison", "comparison": comparison }));
    screen.text(&text(&comparison));
    for warning in &comparison.warnings {
        screen.note(&format!("warning: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn contender(named: &str) -> Result<Contender> {
    let (model, artifact) = open(Path::new(named))?;
    let folder = model.parent().filter(|folder| folder.join("run.toml").is_file()).map(Path::to_owned);
    let name = match folder.as_ref().and_then(|folder| folder.file_name()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => model.file_name().map_or_else(|| named.to_owned(), |name| name.to_string_lossy().into_owned()),
    };
    Ok(Contender { name, model, folder, artifact })
}

fn text(comparison: &Comparison) -> String {
    let names: Vec<&str> = comparison.models.iter().map(|model| model.name.as_str()).collect();
    let mut parts = vec![format!("{} models on {}, {}", names.len(), rows(comparison.rows), comparison.rows_of)];
    parts.extend(comparison.targets.iter().map(|target| scores(target, &names)));
    parts.extend(comparison.targets.iter().map(|target| pairs(comparison, target, &names)));
    parts.push(facts(comparison, &names));
    parts.push(differences("recipe", &comparison.recipe, &names));
    parts.push(differences("data", &comparison.data, &names));
    parts.join("\n\n")
}

fn scores(target: &ComparedTarget, names: &[&str]) -> String {
    let head: Vec<&str> = std::iter::once("measure").chain(names.iter().copied()).collect();
    let cell = |measure: &Measure| match measure.has_interval() {
        true => format!("{} ({} to {})", number(measure.value), number(measure.low), number(measure.high)),
        false => number(measure.value),
    };
    let lines: Vec<Vec<String>> =
        target.scores.iter().map(|score| std::iter::once(score.name.clone()).chain(score.values.iter().map(cell)).collect()).collect();
    format!("{}\n{}", target.name, aligned(&head, &lines))
}

fn pairs(comparison: &Comparison, target: &ComparedTarget, names: &[&str]) -> String {
    let mut lines = Vec::new();
    let mut more = Vec::new();
    for pair in &target.pairs {
        let both = format!("{} - {}", names[pair.first], names[pair.second]);
        let Some(difference) = pair.differences.first() else { continue };
        let measure = &difference.difference;
        let verdict = match difference.is_real {
            true => "real",
            false => "not distinguishable",
        };
        let p = |p: Option<f64>| p.map_or(String::new(), |p| format!("{p:.4}"));
        lines.push(vec![
            both.clone(),
            format!("{:+.4}", measure.value),
            format!("{:+.4} to {:+.4}", measure.low, measure.high),
            p(difference.p),
            p(difference.p_holm),
            verdict.to_owned(),
        ]);
        let others: Vec<&str> = pair.differences[1..].iter().filter(|other| other.is_real).map(|other| other.name.as_str()).collect();
        if !others.is_empty() {
            more.push(format!("{both}: intervals without 0 also for {}", others.join(", ")));
        }
        more.extend(pair.folds.as_ref().map(|folds| format!("{both}: {}", of_folds(folds))));
        if let Some(mcnemar) = pair.mcnemar {
            more.push(format!(
                "{both}: {} decided rightly by the first alone, {} by the second alone; McNemar's exact p {:.4}",
                rows(mcnemar.first_only),
                mcnemar.second_only,
                mcnemar.p
            ));
        }
    }
    let name = target.scores.first().map_or("", |score| score.name.as_str());
    let head = ["difference", name, &*format!("{:.0} % interval", comparison.level * 100.0), "p", "p (Holm)", "verdict"];
    let more = if more.is_empty() { String::new() } else { format!("\n{}", more.join("\n")) };
    format!("{}{more}", aligned(&head, &lines))
}

fn of_folds(folds: &FoldDifferences) -> String {
    let one = |found: &FoldDifference| {
        let p = found.p.map_or(String::new(), |p| format!(", p {p:.4}"));
        let mean = found.mean;
        format!("{} {:+.4} ({:+.4} to {:+.4}{p})", found.name, mean.value, mean.low, mean.high)
    };
    let shown: Vec<String> = folds.differences.iter().filter(|found| found.p.is_some()).map(one).collect();
    format!("over the same {} folds, by the corrected resampled t-test: {}", folds.folds, shown.join(", "))
}

fn facts(comparison: &Comparison, names: &[&str]) -> String {
    let head: Vec<&str> = std::iter::once("").chain(names.iter().copied()).collect();
    let models = &comparison.models;
    let row = |what: &str, cell: &dyn Fn(&cupola_train::compare::Model) -> String| -> Vec<String> {
        std::iter::once(what.to_owned()).chain(models.iter().map(cell)).collect()
    };
    let lines = [
        row("model", &|model| model.model.clone()),
        row("training rows", &|model| model.rows_train.map_or("not known".into(), |rows| rows.to_string())),
        row("run took", &|model| model.train_seconds.map_or("not known".into(), cupola_train::duration)),
        row("answers took", &|model| format!("{:.1} ms", model.answer_seconds * 1000.0)),
        row("file", &|model| format!("{} bytes", model.bytes)),
    ];
    aligned(&head, &lines)
}

fn differences(what: &str, differs: &[Differs], names: &[&str]) -> String {
    if differs.is_empty() {
        return format!("{what}: the same, as far as the runs tell");
    }
    let head: Vec<&str> = std::iter::once("").chain(names.iter().copied()).collect();
    let cell = |value: &Option<String>| match value {
        Some(value) if value.chars().count() > VALUE => format!("{}...", value.chars().take(VALUE).collect::<String>()),
        Some(value) => value.clone(),
        None => "-".to_owned(),
    };
    let lines: Vec<Vec<String>> =
        differs.iter().map(|differs| std::iter::once(differs.key.clone()).chain(differs.values.iter().map(cell)).collect()).collect();
    format!("{what} differs in\n{}", aligned(&head, &lines))
}
