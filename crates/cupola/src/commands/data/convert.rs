//! `cupola data convert`: a table in another format.

use super::{Progress, again, check_free, plan};
use crate::arguments::ConvertArguments;
use crate::commands::{paths_and_pairs, rows, use_machine};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::OutputFormat;
use cupola_data::convert::convert;
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

pub fn run(arguments: &ConvertArguments, screen: &Screen) -> Result<ExitCode> {
    let (paths, pairs) = paths_and_pairs(&arguments.arguments);
    let Some((out, inputs)) = paths.split_last().filter(|(_, inputs)| !inputs.is_empty()) else {
        let error = cupola_train::Error::recipe("command line", "found one path, wanted the table and where to write it");
        return Err(error.with_hint("cupola data convert data.csv data.parquet").into());
    };
    let words: Vec<String> = inputs.iter().chain(pairs).cloned().collect();
    let (mut plan, _) = plan(&words, &[], "convert")?;
    let out = Path::new(out);
    let format = match &arguments.format {
        Some(word) => word.parse(),
        None => OutputFormat::of_path(out),
    }
    .context("failed to read the command line")?;
    check_free(out, arguments.force)?;
    use_machine(&plan)?;
    again(&mut plan.train, plan.read.max_bytes)?;
    let mut progress = Progress::begin(screen, "convert");
    let converted = convert(&plan.train, &plan.read, out, format, &mut |done| progress.at("convert", done, None))
        .context("failed to convert the table")?;
    screen.finish();
    let columns: Vec<_> = converted.columns.iter().map(|(name, word)| json!({ "name": name, "type": word })).collect();
    screen.object(&json!({
        "written": out, "from": converted.from, "to": converted.to, "rows": converted.rows, "skipped": converted.skipped, "columns": columns,
    }));
    screen.text(&format!(
        "wrote {}: {}, {} columns ({} to {})",
        out.display(),
        rows(converted.rows),
        columns.len(),
        converted.from,
        converted.to
    ));
    if format.is_typed() {
        for (name, word) in &converted.columns {
            screen.note(&format!("  {name}: {word}"));
        }
    }
    if converted.skipped > 0 {
        screen.note(&format!("{} left out (bad_rows=skip)", rows(converted.skipped)));
    }
    Ok(ExitCode::SUCCESS)
}
