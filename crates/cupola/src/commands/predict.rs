//! `cupola predict`: rows in, the same rows with predictions out, chunk by chunk.

use super::{open, use_threads};
use crate::arguments::PredictArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use arrow_array::StringArray;
use cupola_data::{Chunk, ImageOptions, Input, OutputFormat, Query, ReadOptions, Stream, WholeFile, Writer};
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
    let mut stream = cupola_data::stream(&input, &options, CHUNK_ROWS).context("failed to read the data")?;
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
        let table = joined(&told(&chunk), &cupola_train::answer_columns(&answers), bare)?;
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
    let of_images = |(key, value): &'_ (String, Value)| Some((key.strip_prefix("images.")?.to_owned(), value.clone()));
    let images: Vec<(String, Value)> = given.iter().filter_map(of_images).collect();
    given.retain(|(key, _)| !key.starts_with("images."));
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
    Ok((queried(paths, sql, tables)?, options))
}

/// Takes out what was said about a key, or about those below one that ends in a dot, by the rest of their names.
fn taken(given: &mut Vec<(String, Value)>, key: &str) -> Vec<(String, String)> {
    let (taken, left) = std::mem::take(given).into_iter().partition(|(name, _)| name == key || key.ends_with('.') && name.starts_with(key));
    *given = left;
    let text = |value| if let Value::Text(text) = value { text } else { value.to_string() };
    let taken: Vec<(String, Value)> = taken;
    taken.into_iter().map(|(name, value)| (name[key.len()..].to_owned(), text(value))).collect()
}

/// The files, below the query when there is one.
fn queried(paths: &[String], sql: Vec<(String, String)>, tables: Vec<(String, String)>) -> Result<Input> {
    let input = Input::parse_all(paths);
    let Some((_, sql)) = sql.into_iter().next_back() else {
        return match tables.first() {
            Some((name, _)) => {
                let error = cupola_train::Error::recipe("command line", format!("data.tables.{name}: found a table, but no query"));
                Err(error.with_hint("sql=\"select ...\" says what to do with it").into())
            }
            None => Ok(input),
        };
    };
    let others = tables.iter().map(|(name, path)| (name.clone(), Input::parse(path)));
    let tables = std::iter::once((Query::DATA.to_owned(), input)).chain(others).collect();
    Ok(Input::Query(Arc::new(Query { sql, tables })))
}

fn format(arguments: &PredictArguments, came_in: &str) -> cupola_data::Result<OutputFormat> {
    match (&arguments.format, &arguments.output) {
        (Some(word), _) => word.parse(),
        (None, Some(path)) => OutputFormat::of_path(path),
        // Arrow files are not written yet: their rows go out as text.
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
