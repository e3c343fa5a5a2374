//! `cupola explain`: why a model answers as it does.

use super::train::with_seed;
use super::{is_among, open, paths_and_pairs, predict, use_threads};
use crate::arguments::ExplainArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::{OutputFormat, ReadOptions, WholeFile, Writer};
use cupola_task::{Columns, Run, Value, nearest};
use cupola_train::explain::{EXPLAIN, ExplainPlan, Explanation, explain, rows_of_run, rows_of_table};
use cupola_train::report::{explanation_page, explanation_text};
use cupola_train::runs::write_file;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn run(arguments: &ExplainArguments, screen: &Screen) -> Result<ExitCode> {
    use_threads(None);
    let (paths, pairs) = paths_and_pairs(&arguments.arguments);
    let (own, data): (Vec<String>, Vec<String>) = pairs.iter().cloned().partition(|pair| is_own(pair));
    let pair = |word: &String| {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        (key.trim_start_matches("explain.").to_owned(), Value::parse(value))
    };
    let plan = ExplainPlan::parse(&own.iter().map(pair).collect::<Vec<_>>()).context("failed to read the command line")?;
    let told = with_seed(plan.seed(), None, screen, |run| told(arguments, paths, &data, &plan, run))??;
    screen.finish();
    screen.object(&json!({ "event": "explanation", "explanation": told }));
    screen.text(&explanation_text(&told));
    if let Some(path) = &arguments.html {
        write_file(path, explanation_page(&told).as_bytes()).context("failed to write the page")?;
        screen.note(&format!("page in {}", path.display()));
    }
    if let Some(path) = &arguments.interactions {
        screen.note(&format!("SHAP interaction values in {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(arguments: &ExplainArguments, paths: &[String], data: &[String], plan: &ExplainPlan, run: &Run<'_>) -> Result<Explanation> {
    if let Some(error) = data.iter().find_map(|pair| unknown(pair, paths.is_empty())) {
        return Err(anyhow::Error::from(error).context("failed to read the command line"));
    }
    let (path, artifact) = open(&arguments.model)?;
    let given = match paths {
        [] => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            rows_of_run(folder, &artifact, run).context("failed to read the rows of the model's run")?
        }
        paths => {
            let (input, mut options) = predict::data(&[paths, data].concat())?;
            options.images.shrink = artifact.notation().shrink;
            rows_of_table(&artifact, &input, &options).context("failed to read the data")?
        }
    };
    let Some(path) = &arguments.interactions else {
        return explain(&artifact, &given, plan, None, run).context("failed to explain");
    };
    let format = OutputFormat::of_path(path).context("failed to read the command line")?;
    let mut file = WholeFile::create(path).context("failed to write the interactions")?;
    let mut writer = Writer::new(std::io::BufWriter::new(&mut file), format);
    let mut take = |values: &Columns| Ok(writer.write(values)?);
    let told = explain(&artifact, &given, plan, Some(&mut take), run).context("failed to explain")?;
    let mut buffer = writer.finish().context("failed to write the interactions")?;
    std::io::Write::flush(&mut buffer).with_context(|| format!("failed to write {}", path.display()))?;
    drop(buffer);
    file.commit().context("failed to write the interactions")?;
    Ok(told)
}

/// What is wrong with a key that is not of `explain`: a slip, or about a table that is not there.
fn unknown(pair: &str, has_no_table: bool) -> Option<cupola_train::Error> {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    if !has_no_table && (key.contains('.') || key == "sql" || is_among(ReadOptions::SETTINGS, key)) {
        return None;
    }
    let near = nearest(key, EXPLAIN.iter().map(|setting| setting.name));
    let error = cupola_train::Error::recipe("command line", format!("found {key}, wanted a key of explain, or of [data] behind a table"));
    Some(match near {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint("`cupola explain --help` lists the keys"),
    })
}

/// Whether a word is about the explanation, and not about how a table is read.
fn is_own(pair: &str) -> bool {
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    key.starts_with("explain.") || key.starts_with("set.") || is_among(EXPLAIN, key)
}
