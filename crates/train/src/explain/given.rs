//! The rows that an explanation looks at: of a table, or the test rows of the model's own run.

use super::cells::evenly;
use crate::recipe::Recipe;
use crate::report::DataFile;
use crate::training::divide;
use crate::{Artifact, Error, Plan, Result, load};
use cupola_data::{Input, ReadOptions, Wanted, conform, conform_files, read};
use cupola_task::{Batch, Column, Columns, Draw, Event, Flow, Role, Run};
use std::path::Path;

/// Typed rows.
pub struct Given {
    /// Inputs, and targets and keys where they are there.
    pub batch: Batch,
    /// One weight a row, where the rows have them.
    pub weights: Option<Vec<f64>>,
    /// What they are, as a phrase.
    pub source: String,
    /// Where each stands.
    pub places: Vec<String>,
    /// What looked odd.
    pub warnings: Vec<String>,
}

impl Given {
    /// At most so many, evenly from all.
    pub(super) fn take(&self, most: usize) -> Given {
        self.these(&evenly(self.batch.rows.len(), most))
    }

    /// One row.
    pub(super) fn only(&self, row: usize) -> Given {
        self.these(&[row as u64])
    }

    fn these(&self, rows: &[u64]) -> Given {
        Given {
            batch: self.batch.take(rows),
            weights: self.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect()),
            source: self.source.clone(),
            places: rows.iter().map(|&row| self.places[row as usize].clone()).collect(),
            warnings: vec![],
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.batch.rows.len()
    }
}

/// The rows of a table. Targets come along when they are there.
///
/// # Errors
/// When the table cannot be read, or lacks an input of the model.
pub fn rows_of_table(artifact: &Artifact, input: &Input, options: &ReadOptions) -> Result<Given> {
    let raw = read(input, options)?;
    let place = |row: usize| raw.place(row);
    let schema = artifact.raw();
    let (rows, notes) = artifact.made().rows(&raw.columns, schema, artifact.notation(), &place)?;
    let conformed = match input.folder() {
        Some(base) => conform_files(&rows, schema, artifact.notation(), &place, Wanted::Inputs, &base)?,
        None => conform(&rows, schema, artifact.notation(), &place, Wanted::Inputs)?,
    };
    let columns = conformed.columns;
    load::check_weights(schema, &columns, &place)?;
    let rows = columns.rows();
    let batch = Batch::new((0..rows as u64).collect(), &columns, schema);
    let has_weights = schema.keys(cupola_task::Key::Weight).all(|field| batch.keys.get(&field.name).is_some());
    let weights = if has_weights { load::weights(schema, &batch)? } else { None };
    let warnings = raw.warnings.iter().cloned().chain(notes).collect();
    given(batch, weights, raw.name.clone(), (0..rows).map(place).collect(), warnings)
}

/// The test rows of the run that made a model, read again from where its recipe says.
///
/// # Errors
/// When the folder holds no run, or its data is not there any more.
pub fn rows_of_run(folder: &Path, artifact: &Artifact, run: &Run<'_>) -> Result<Given> {
    let recipe = folder.join("run.toml");
    if !recipe.is_file() {
        let text = format!("folder {} holds no run.toml, so there are no rows to look at", folder.display());
        return Err(Error::Runs(text, Some("name a table behind the model".into())));
    }
    let plan = Plan::check(Recipe::open(&recipe)?)?;
    let deaf = |_: &Event| Flow::Go;
    let quiet = crate::journal::heard_by(run, &deaf);
    let divided = divide(&plan, &quiet)?;
    let (rows, what) = match divided.splits.test().len() {
        0 => (divided.splits.train().data(), "training"),
        _ => (&**divided.splits.test(), "test"),
    };
    let numbers: Vec<u64> = (0..rows.len()).collect();
    let batch = rows.read(&numbers, Draw::default())?;
    let inputs = artifact.conform(&batch.inputs, &|row| format!("row {}", row + 1))?;
    let batch = Batch { inputs, ..batch };
    let weights = load::weights(divided.loaded.schema(), &batch)?;
    let place = |row: &u64| match plan.test {
        Some(_) => divided.loaded.test_place(*row as usize),
        None => divided.loaded.place(*row as usize),
    };
    let places = batch.rows.iter().map(place).collect();
    given(batch, weights, format!("the run's {what} rows"), places, changed(folder, &divided.loaded.files))
}

/// Files that are not what they were when the run was made.
fn changed(folder: &Path, files: &[DataFile]) -> Vec<String> {
    let lock = std::fs::read(folder.join("run.lock")).unwrap_or_default();
    let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap_or_default();
    let known = |file: &DataFile| {
        lock["data"].as_array()?.iter().find(|known| known["path"] == file.path.as_str())?["hash"].as_str().map(str::to_owned)
    };
    let is_other = |file: &&DataFile| known(file).is_some_and(|hash| file.hash.as_ref() != Some(&hash));
    files.iter().filter(is_other).map(|file| format!("{} is not what it was when the run was made", file.path)).collect()
}

fn given(batch: Batch, weights: Option<Vec<f64>>, source: String, places: Vec<String>, warnings: Vec<String>) -> Result<Given> {
    if batch.rows.is_empty() {
        return Err(Error::Data(format!("{source}: no row to look at"), None));
    }
    Ok(Given { batch, weights, source, places, warnings })
}

/// The inputs that are scalars, which methods may change.
pub(super) fn scalars(artifact: &Artifact, inputs: &Columns) -> Vec<String> {
    let fields = artifact.raw().fields.iter().filter(|field| field.role == Role::Input);
    let is_scalar = |name: &str| matches!(inputs.get(name), Some(Column::Array(_)));
    fields.filter(|field| is_scalar(&field.name)).map(|field| field.name.to_string()).collect()
}
