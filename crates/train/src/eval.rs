//! `eval`: a model measured on a labelled file.

use crate::evaluate::{Judged, rulers, target_report};
use crate::plan::{Plan, QualityGate};
use crate::recipe::Recipe;
use crate::report::{DataFile, TargetReport};
use crate::training::answer_of;
use crate::{Artifact, Error, Result, load, summary};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use cupola_data::{Input, Raw, ReadOptions, Wanted, conform, conform_files, read};
use cupola_metrics::Sampling;
use cupola_task::{Batch, Draw, Field, MetricDef, Value, View};

/// What to measure.
pub struct EvalPlan {
    /// The measures; none: all that suit the task.
    pub metrics: Option<Vec<&'static MetricDef>>,
    /// The level of intervals.
    pub level: f64,
    /// Bootstrap draws.
    pub draws: usize,
    /// The seed of the draws.
    pub seed: u64,
    /// What the measures must keep.
    pub gates: Vec<QualityGate>,
}

/// What was measured.
pub struct Evaluation {
    /// The file.
    pub file: DataFile,
    /// One report a target.
    pub targets: Vec<TargetReport>,
    /// What looked odd or was left out.
    pub warnings: Vec<String>,
    /// Sentences about quality gates that did not hold.
    pub failed_gates: Vec<String>,
}

impl EvalPlan {
    /// Reads `key=value` arguments: `metrics`, `eval.*`, `gates.*`, `seed`.
    ///
    /// # Errors
    /// As for the same keys of a recipe.
    pub fn parse(arguments: &[String]) -> Result<EvalPlan> {
        let mut recipe = Recipe::default();
        recipe.set(vec!["data".into(), "train".into()], Value::Text("-".into()), crate::recipe::Origin::Default, "command line");
        for argument in arguments {
            recipe.argue(argument)?;
        }
        let Plan { metrics, level, draws, seed, gates, .. } = Plan::check(recipe)?;
        Ok(EvalPlan { metrics, level, draws, seed, gates })
    }
}

/// Measures a model on a labelled file.
///
/// # Errors
/// When the file cannot be read, lacks a column the model needs or a target, or holds a row without a target.
pub fn evaluate_file(artifact: &Artifact, input: &Input, options: &ReadOptions, asked: &EvalPlan) -> Result<Evaluation> {
    let mut raw = read(input, options)?;
    let untouched = test_rows(&raw);
    if let Some(rows) = &untouched {
        raw.columns = raw.columns.take(rows);
    }
    let place = |row: usize| raw.place(untouched.as_ref().map_or(row, |rows| rows[row] as usize));
    let schema = artifact.raw();
    let conformed = match input.folder() {
        Some(base) => conform_files(&raw.columns, schema, artifact.notation(), &place, Wanted::Inputs, &base)?,
        None => conform(&raw.columns, schema, artifact.notation(), &place, Wanted::Inputs)?,
    };
    let columns = conformed.columns;
    crate::training::check_measures(schema, asked.metrics.as_deref(), &asked.gates)?;
    load::check_weights(schema, &columns, &place)?;
    for (field, _) in schema.targets() {
        let truth = columns.array(&field.name).map_err(|error| error.with_hint("eval needs the truth; `cupola predict` does without"))?;
        if let Some(row) = (0..truth.len()).find(|&row| truth.is_null(row)) {
            return Err(Error::Data(format!("{}: target {} is missing", place(row), field.name), None));
        }
    }
    let answers = artifact.predict(&columns)?;
    let batch = Batch::new((0..columns.rows() as u64).collect(), &columns, schema);
    let has_weights = schema.keys(cupola_task::Key::Weight).all(|field| batch.keys.get(&field.name).is_some());
    let weights = if has_weights { load::weights(schema, &batch)? } else { None };
    let sampling = Sampling { level: asked.level, draws: asked.draws, draw: Draw::new(asked.seed).stream("intervals") };
    let measure = |(field, task): (&Field, cupola_task::Task)| {
        let view = View { truth: batch.targets.get(&field.name), weight: weights.as_deref(), inputs: &batch.inputs, keys: &batch.keys };
        let judged = Judged { view, answer: answer_of(&answers, &field.name)? };
        target_report(field, task, &rulers(field, task, asked.metrics.as_deref()), [None, None, Some(judged)], None, sampling)
    };
    let targets = schema.targets().map(measure).collect::<Result<Vec<_>>>()?;
    let file = DataFile {
        path: raw.name.clone(),
        purpose: "test".into(),
        rows_read: columns.rows() as u64,
        rows_skipped: raw.skipped.count,
        hash: Some(raw.hash.clone()),
    };
    let mut warnings = raw.warnings.clone();
    if untouched.is_some() {
        warnings.push(format!("{} holds training rows too: only its test rows are measured", raw.name));
    }
    warnings.extend(schema.targets().filter_map(|(field, _)| unseen(field, batch.targets.array(&field.name).ok()?)));
    if !has_weights {
        warnings.push("the model was trained with weights, and the file has none: every row counts alike".into());
    }
    Ok(Evaluation { failed_gates: summary::failed_gates(&asked.gates, &targets), file, targets, warnings })
}

/// The test rows of files that hold training rows beside them, where the files say so.
fn test_rows(raw: &Raw) -> Option<Vec<u64>> {
    let sides = raw.columns.array(raw.layout.split?).ok()?.as_string_opt::<i32>()?;
    let rows: Vec<u64> = (0..).zip(sides).filter(|(_, side)| *side == Some("test")).map(|(row, _)| row).collect();
    (!rows.is_empty() && rows.len() < sides.len()).then_some(rows)
}

/// Classes that training did not see have no probability, so their rows count as wrong.
fn unseen(field: &Field, truth: &ArrayRef) -> Option<String> {
    let classes = field.kind.classes()?;
    let new = |class: &&str| classes.iter().all(|known| &**known != *class);
    let found: Vec<&str> = truth.as_string_opt::<i32>()?.iter().flatten().filter(new).collect();
    let first = found.first()?;
    let rows = if found.len() == 1 { "1 row holds".to_owned() } else { format!("{} rows hold", found.len()) };
    Some(format!("{rows} a {} that training did not see, as {first}: no answer can be right there", field.name))
}
