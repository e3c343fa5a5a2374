//! `cupola predict`: rows in, the same rows with predictions out, chunk by chunk.

use super::{open, use_memory, use_threads};
use crate::arguments::PredictArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use arrow_array::StringArray;
use cupola_data::{Chunk, ImageOptions, Input, OutputFormat, ReadOptions, Stream, WholeFile, Writer};
use cupola_task::{Column, Columns, Predictions, Settings, Value};
use cupola_train::Artifact;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Rows in memory at a time.
const CHUNK_ROWS: usize = 8192;

pub fn run(arguments: &PredictArguments, screen: &Screen) -> Result<ExitCode> {
    use_threads(None);
    let (path, artifact) = open(&arguments.data.model)?;
    let (input, mut options) = data(&arguments.data.arguments)?;
    options.images.shrink = artifact.notation().shrink;
    let base = input.folder();
    let mut stream = stream(&artifact, &input, &options, CHUNK_ROWS)?;
    let format = format(arguments, stream.format()).context("failed to write predictions")?;
    let rows = match &arguments.output {
        Some(output) => {
            let mut file = WholeFile::create(output).context("failed to write predictions")?;
            let rows = answer(&artifact, base.as_deref(), &mut stream, Writer::new(&mut file, format), arguments.bare)?;
            file.commit().context("failed to write predictions")?;
            rows
        }
        None => answer(&artifact, base.as_deref(), &mut stream, Writer::new(std::io::stdout(), format), arguments.bare)?,
    };
    for warning in stream.warnings() {
        screen.note(&format!("warning: {warning}"));
    }
    let skipped = stream.skipped();
    if skipped.count > 0 {
        screen.note(&format!("{} left out (bad_rows=skip): {}", super::rows(skipped.count), skipped.places.join(", ")));
    }
    screen.note(&format!("{} answered by {} ({})", super::rows(rows as u64), path.display(), &artifact.hash()[..16]));
    Ok(ExitCode::SUCCESS)
}

/// The rows of a table, piece by piece; in one piece for a model that looks at the rows before each row.
pub fn stream(artifact: &Artifact, input: &Input, options: &ReadOptions, rows: usize) -> Result<Stream> {
    let stream = match artifact.made().lags {
        Some(_) => cupola_data::whole(input, options),
        None => cupola_data::stream(input, options, rows),
    };
    stream.context("failed to read the data")
}

fn answer(
    artifact: &Artifact,
    base: Option<&Path>,
    stream: &mut Stream,
    mut writer: Writer<impl Write + Send>,
    bare: bool,
) -> Result<usize> {
    let mut rows = 0;
    for chunk in stream.by_ref() {
        let chunk = chunk.context("failed to read the data")?;
        let answers = answered(artifact, base, &chunk).context("failed to predict")?;
        let table = joined(&told(&chunk), &artifact.answers(&answers), bare)?;
        rows += table.rows();
        writer.write(&table).context("failed to write predictions")?;
    }
    writer.finish().context("failed to write predictions")?;
    Ok(rows)
}

/// Whoever types the command may read the files that a table of theirs names, so paths of pictures are opened here.
fn answered(artifact: &Artifact, base: Option<&Path>, chunk: &Chunk) -> cupola_train::Result<Predictions> {
    let place = |row: usize| chunk.places.place(row);
    let inputs = match base {
        Some(base) => artifact.conform_files(&chunk.columns, &place, base)?,
        None => artifact.conform(&chunk.columns, &place)?,
    };
    artifact.answer(&inputs)
}

/// Rows as they are written: of a picture, where it stands.
fn told(chunk: &Chunk) -> Columns {
    let told = |column: &Column| match column.images() {
        Some(images) => {
            let places: StringArray = (0..images.len()).map(|row| Some(chunk.places.place(row))).collect();
            Column::Array(Arc::new(places))
        }
        None => column.clone(),
    };
    Columns::new(chunk.columns.iter().map(|(name, column)| (name.clone(), told(column))).collect())
}

/// The data and how to read it, from what was typed after the model.
pub fn data(arguments: &[String]) -> Result<(Input, ReadOptions)> {
    let (paths, pairs) = super::paths_and_pairs(arguments);
    if paths.is_empty() {
        let error = cupola_train::Error::recipe("command line", format!("found {:?}, wanted a data file first", arguments[0]));
        return Err(error.into());
    }
    let mut given: Vec<(String, Value)> = Vec::new();
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| anyhow::Error::from(cupola_train::Error::recipe("command line", format!("found {pair:?}, wanted key=value"))))?;
        given.push((key.trim_start_matches("data.").to_owned(), Value::parse(value)));
    }
    let (sql, tables) = (taken(&mut given, "sql"), taken(&mut given, "tables."));
    let images = taken(&mut given, "images.");
    let settings = Settings::check("data", ReadOptions::SETTINGS, given.iter().map(|(key, value)| (key.as_str(), value)))
        .context("failed to read the command line")?;
    let mut options = ReadOptions::from_settings(&settings).context("failed to read the command line")?;
    let settings = Settings::check("data.images", ImageOptions::SETTINGS, images.iter().map(|(key, value)| (key.as_str(), value)))
        .context("failed to read the command line")?;
    options.images = ImageOptions::from_settings(&settings);
    if given.iter().all(|(key, _)| key != "missing_values") {
        // The model knows what stands for a missing value; the cells themselves go out as they came in.
        options.missing_values.clear();
    }
    let sql =
        sql.last().map_or_else(String::new, |(_, value)| if let Value::Text(text) = value { text.clone() } else { value.to_string() });
    let tables = tables.into_iter().filter_map(|(name, value)| Some((name, Input::of(&value)?))).collect();
    // Answers are given row by row; what takes memory is a query, or a table that cannot be read piece by piece.
    use_memory(&options, 0)?;
    Ok((Input::parse_all(paths).queried(&sql, tables).context("failed to read the command line")?, options))
}

/// Takes out what was said about keys that begin so, by the rest of their names.
fn taken(given: &mut Vec<(String, Value)>, prefix: &str) -> Vec<(String, Value)> {
    let (taken, left): (Vec<_>, Vec<_>) = std::mem::take(given).into_iter().partition(|(key, _)| key.starts_with(prefix));
    *given = left;
    taken.into_iter().map(|(key, value)| (key[prefix.len()..].to_owned(), value)).collect()
}

fn format(arguments: &PredictArguments, came_in: &str) -> cupola_data::Result<OutputFormat> {
    match (&arguments.format, &arguments.output) {
        (Some(word), _) => word.parse(),
        (None, Some(path)) => OutputFormat::of_path(path),
        // What came in a format that is not written goes out as text.
        (None, None) => Ok(came_in.parse().unwrap_or_default()),
    }
}

/// The rows that came in with their predictions beside.
fn joined(rows: &Columns, answers: &Columns, bare: bool) -> Result<Columns> {
    let mut table = if bare { Columns::default() } else { rows.clone() };
    for (name, column) in answers.iter() {
        if table.get(name).is_some() {
            let error =
                cupola_task::Error::input("data", format!("a column {name}"), "no column of that name, since predictions are called so");
            return Err(anyhow::Error::from(error.with_hint("rename it, or pass --bare to write predictions only"))
                .context("failed to write predictions"));
        }
        table.insert(name.clone(), column.clone());
    }
    Ok(table)
}
