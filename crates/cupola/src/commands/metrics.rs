//! `cupola metrics`: the registry of measures.

use super::aligned;
use crate::screen::Screen;
use anyhow::Result;
use cupola_metrics::METRICS;
use cupola_train::recipe::task_word;
use serde_json::json;
use std::process::ExitCode;

pub fn run(screen: &Screen) -> Result<ExitCode> {
    for metric in METRICS {
        screen.object(&json!({ "name": metric.name, "doc": metric.doc, "tasks": metric.tasks, "higher_is_better": metric.is_score }));
    }
    let rows: Vec<Vec<String>> = METRICS
        .iter()
        .map(|metric| {
            let tasks: Vec<String> = metric.tasks.iter().map(|task| task_word(*task)).collect();
            vec![metric.name.into(), tasks.join(", "), if metric.is_score { "higher" } else { "lower" }.into(), metric.doc.into()]
        })
        .collect();
    screen.text(&aligned(&["metric", "task", "better", "what it is"], &rows));
    Ok(ExitCode::SUCCESS)
}
