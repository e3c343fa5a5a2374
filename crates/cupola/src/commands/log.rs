//! `cupola log`: the prediction log as a table again, and what it is to forget.

use super::{log_folder, open_labels, open_registry, rows};
use crate::arguments::LogCommand;
use crate::screen::Screen;
use anyhow::{Context, Result};
use arrow_array::{StringArray, TimestampMicrosecondArray};
use cupola_data::{OutputFormat, WholeFile, Writer};
use cupola_task::{Column, Columns};
use cupola_watch::registry::CHAMPION;
use cupola_watch::{Joined, join};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

pub fn run(command: LogCommand, screen: &Screen) -> Result<ExitCode> {
    match command {
        LogCommand::Export { name, output, folder, labelled } => export(&name, output.as_deref(), folder, labelled, screen)?,
        LogCommand::Forget { name, what, folder } => forget(&name, &what, folder, screen)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn export(name: &str, output: Option<&Path>, folder: Option<PathBuf>, labelled: bool, screen: &Screen) -> Result<()> {
    let registry = open_registry()?;
    let version = registry.find(name, CHAMPION).context("failed to find the model")?;
    let (_, artifact) = super::open(&registry.model_file(&version))?;
    let pieces = cupola_watch::log::read(&log_folder(name, folder), i64::MIN..i64::MAX, None).context("failed to read the log")?;
    let inputs: Vec<Arc<str>> = artifact.raw().inputs().map(|field| field.name.clone()).collect();
    let targets: Vec<Arc<str>> = artifact.raw().targets().map(|(field, _)| field.name.clone()).collect();
    let known = open_labels(&registry)?.since(name, i64::MIN).context("failed to read labels")?;
    let joined = join(&pieces, &known, &inputs, &targets).context("failed to join labels")?;
    let joined = if labelled { joined.labelled() } else { joined };
    let table = with_ids(&joined);
    match output {
        Some(path) => {
            let format = OutputFormat::of_path(path).context("failed to read the command line")?;
            let mut file = WholeFile::create(path).context("failed to write the table")?;
            let mut writer = Writer::new(&mut file, format);
            writer
                .write(&table)
                .and_then(|()| writer.finish().map(drop))
                .and_then(|()| file.commit())
                .context("failed to write the table")?;
            screen.note(&format!("{} in {}", rows(joined.rows() as u64), path.display()));
        }
        None => {
            let mut writer = Writer::new(std::io::stdout(), if screen.json { OutputFormat::Jsonl } else { OutputFormat::Csv });
            writer.write(&table).and_then(|()| writer.finish().map(drop)).context("failed to write the table")?;
        }
    }
    Ok(())
}

/// `prediction_id` and `predicted_at` before what was asked and what was true: columns that no model mistakes for an input of its own.
fn with_ids(joined: &Joined) -> Columns {
    let ids = StringArray::from_iter_values(&joined.ids);
    let times = TimestampMicrosecondArray::from(joined.at_us.clone());
    let mut all: Vec<(Arc<str>, Column)> =
        vec![("prediction_id".into(), Column::Array(Arc::new(ids))), ("predicted_at".into(), Column::Array(Arc::new(times)))];
    all.extend(joined.table());
    Columns::new(all)
}

fn forget(name: &str, what: &str, folder: Option<PathBuf>, screen: &Screen) -> Result<()> {
    let (column, value) = what.split_once('=').ok_or_else(|| {
        cupola_train::Error::recipe("command line", format!("found {what:?}, wanted COLUMN=VALUE"))
            .with_hint("key=VALUE, id=VALUE, or an input")
    })?;
    let forgotten = cupola_watch::log::forget(&log_folder(name, folder), column, value).context("failed to forget")?;
    let labels = open_labels(&open_registry()?)?.forget(name, &forgotten.ids).context("failed to forget labels")?;
    let count = forgotten.ids.len();
    screen.object(&json!({ "name": name, "rows": count, "labels": labels, "waiting": forgotten.waiting }));
    screen.text(&format!("{} and {labels} labels of {name} with {what} are forgotten", rows(count as u64)));
    if forgotten.waiting > 0 {
        screen.note(&format!(
            "{} more stand in a segment that a server is writing: forget them again when it is done (log.segment_s, or when the server stops)",
            rows(forgotten.waiting)
        ));
    }
    Ok(())
}
