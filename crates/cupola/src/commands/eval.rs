//! `cupola eval`: a model measured on labelled data.

use super::predict::data;
use super::{aligned, number, open, use_threads};
use crate::arguments::DataArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_train::report::{GateResult, Measure, Score};
use serde_json::json;
use std::process::ExitCode;
use std::time::Instant;

pub fn run(arguments: &DataArguments, screen: &Screen) -> Result<ExitCode> {
    use_threads(None);
    let (path, artifact) = open(&arguments.model)?;
    let (eval_pairs, data_pairs): (Vec<String>, Vec<String>) = arguments
        .arguments
        .iter()
        .cloned()
        .partition(|word| ["metrics=", "eval.", "gates.", "slices=", "seed="].iter().any(|prefix| word.starts_with(prefix)));
    let (input, options) = data(&data_pairs)?;
    let asked = cupola_train::EvalPlan::parse(&eval_pairs).context("failed to read the command line")?;
    let began = Instant::now();
    let evaluation = cupola_train::evaluate_file(&artifact, &input, &options, &asked, &|| began.elapsed()).context("failed to evaluate")?;
    screen.object(&json!({ "model": path, "hash": artifact.hash(), "data": evaluation.file, "targets": evaluation.targets, "labels": evaluation.labels, "gates": evaluation.gates, "warnings": evaluation.warnings }));
    for list in &evaluation.labels {
        screen.text(&table(&list.name, &list.scores, evaluation.file.rows_read));
        screen.text(&list.phrase());
    }
    for target in &evaluation.targets {
        screen.text(&table(&target.name, &target.scores, evaluation.file.rows_read));
        let audit = cupola_train::report::audit_text(target, screen.width());
        if !audit.is_empty() {
            screen.text(&audit);
        }
    }
    for warning in &evaluation.warnings {
        screen.note(&format!("warning: {warning}"));
    }
    for gate in &evaluation.gates {
        screen.text(&format!("{} {}", if gate.holds { "holds" } else { "FAILS" }, gate.sentence()));
    }
    let failed: Vec<String> = evaluation.gates.iter().filter(|gate| !gate.holds).map(GateResult::sentence).collect();
    match failed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(cupola_train::Error::Gate(failed.join("; ")).into()),
    }
}

fn table(name: &str, scores: &[Score], rows: u64) -> String {
    let interval = |measure: &Measure| match measure.has_interval() {
        true => format!("{} to {}", number(measure.low), number(measure.high)),
        false => String::new(),
    };
    let lines: Vec<Vec<String>> =
        scores.iter().map(|score| vec![score.name.clone(), number(score.test.value), interval(&score.test)]).collect();
    format!("{name} on {}\n{}", super::rows(rows), aligned(&["measure", "value", "interval"], &lines))
}
