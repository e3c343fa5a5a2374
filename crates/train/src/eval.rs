//! `eval`: a model measured on a labelled file.

use crate::evaluate::{Judged, rulers, target_report};
use crate::gates::{self, GateOn, QualityGate};
use crate::plan::{Plan, SlicePlan};
use crate::postprocess::coverage;
use crate::recipe::Recipe;
use crate::report::{DataFile, GateResult, LabelsReport, Postprocessing, TargetReport};
use crate::training::answer_of;
use crate::{Artifact, Error, Result, audit, lists, load};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use cupola_data::{Input, Raw, ReadOptions, Wanted, conform, conform_files, read};
use cupola_metrics::Sampling;
use cupola_task::{Batch, Columns, Draw, Field, MetricDef, Value};
use std::time::Duration;

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
    /// Where slices are sought.
    pub slices: SlicePlan,
    /// What the measures must keep.
    pub gates: Vec<QualityGate>,
}

/// What was measured.
pub struct Evaluation {
    /// The file.
    pub file: DataFile,
    /// One report a target.
    pub targets: Vec<TargetReport>,
    /// Targets whose cells list labels.
    pub labels: Vec<LabelsReport>,
    /// What looked odd or was left out.
    pub warnings: Vec<String>,
    /// Whether quality gates hold.
    pub gates: Vec<GateResult>,
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
        let Plan { metrics, level, draws, seed, slices, gates, .. } = Plan::check(recipe)?;
        Ok(EvalPlan { metrics, level, draws, seed, slices, gates })
    }
}

/// Measures a model on a labelled file; `clock` times single rows where a gate asks for that.
///
/// # Errors
/// When the file cannot be read, lacks a column the model needs or a target, or holds a row without a target.
pub fn evaluate_file(
    artifact: &Artifact,
    input: &Input,
    options: &ReadOptions,
    asked: &EvalPlan,
    clock: &dyn Fn() -> Duration,
) -> Result<Evaluation> {
    let file = LabelledFile::read(input, options)?;
    let raw = &file.raw;
    let schema = artifact.raw();
    crate::training::check_measures(schema, asked.metrics.as_deref(), &asked.gates)?;
    let Labelled { columns, batch, weights, has_weights, notes } =
        file.rows(artifact, "eval needs the truth; `cupola predict` does without")?;
    let answers = artifact.predict(&columns)?;
    let sampling = Sampling { level: asked.level, draws: asked.draws, draw: Draw::new(asked.seed).stream("intervals") };
    let measure = |(field, task): (&Field, cupola_task::Task)| {
        let judged = Judged { view: batch.view(&field.name, weights.as_deref()), answer: answer_of(&answers, &field.name)? };
        let post = artifact.pipelines().iter().find(|pipeline| pipeline.target == field.name).map(|pipeline| &pipeline.postprocess);
        let rulers = rulers(field, task, asked.metrics.as_deref(), post.and_then(|post| post.costs()));
        let mut report = target_report(field, task, &rulers, [None, None, Some(judged)], None, sampling)?;
        if let Some(coverage) = post.map(|post| coverage(post, field, judged, asked.level)).transpose()?.flatten() {
            report.postprocessing = Some(Postprocessing { coverage: Some(coverage), ..Postprocessing::default() });
        }
        report.groups = audit::groups(schema, (field, task), &batch, None, judged, sampling)?;
        report.slices = audit::slices(&asked.slices, schema, field, &rulers, &batch, judged, sampling)?;
        Ok(report)
    };
    let targets = schema.targets().map(measure).collect::<Result<Vec<_>>>()?;
    let labels = lists::measured(artifact.made(), &batch.targets, weights.as_deref(), &answers, None, sampling)?;
    let read = DataFile {
        path: raw.name.clone(),
        purpose: "test".into(),
        rows_read: columns.rows() as u64,
        rows_skipped: raw.skipped.count,
        hash: Some(raw.hash.clone()),
    };
    let mut warnings = raw.warnings.clone();
    warnings.extend(file.warning());
    warnings.extend(notes);
    warnings.extend(schema.targets().filter_map(|(field, _)| unseen(field, batch.targets.array(&field.name).ok()?)));
    if !has_weights {
        warnings.push("the model was trained with weights, and the file has none: every row counts alike".into());
    }
    let is_timed = asked.gates.iter().any(|gate| gate.on == GateOn::Latency);
    let latency = if is_timed { gates::latency_ms(artifact, &columns, clock)? } else { None };
    let gates = gates::judge(&asked.gates, &targets.iter().collect::<Vec<_>>(), latency);
    Ok(Evaluation { gates, file: read, targets, labels, warnings })
}

/// A file whose rows have their targets; of one that holds training rows beside test rows, and says so, the test rows alone.
pub(crate) struct LabelledFile<'a> {
    pub raw: Raw,
    input: &'a Input,
    /// The rows that are kept, where some are not.
    kept: Option<Vec<u64>>,
}

/// Rows of a labelled file as a model reads them.
pub(crate) struct Labelled {
    pub columns: Columns,
    pub batch: Batch,
    pub weights: Option<Vec<f64>>,
    /// Whether the file has the weights that the model was trained with, where it was.
    pub has_weights: bool,
    /// What was left out of the truth, or read otherwise, as sentences.
    pub notes: Vec<String>,
}

impl LabelledFile<'_> {
    pub fn read<'a>(input: &'a Input, options: &ReadOptions) -> Result<LabelledFile<'a>> {
        let mut raw = read(input, options)?;
        let kept = test_rows(&raw);
        if let Some(rows) = &kept {
            raw.columns = raw.columns.take(rows);
        }
        Ok(LabelledFile { raw, input, kept })
    }

    /// The rows with the types of a model.
    ///
    /// # Errors
    /// When a column that the model needs is not there, and, with the hint given, when a target is not; when a row has none.
    pub fn rows(&self, artifact: &Artifact, hint: &str) -> Result<Labelled> {
        let place = |row: usize| self.raw.place(self.kept.as_ref().map_or(row, |rows| rows[row] as usize));
        let schema = artifact.raw();
        let (raw, notes) = artifact.made().whole_rows(&self.raw.columns, schema, artifact.notation(), &place, hint)?;
        let columns = match self.input.folder() {
            Some(base) => conform_files(&raw, schema, artifact.notation(), &place, Wanted::Inputs, &base)?.columns,
            None => conform(&raw, schema, artifact.notation(), &place, Wanted::Inputs)?.columns,
        };
        load::check_weights(schema, &columns, &place)?;
        for (field, _) in schema.targets() {
            let truth = columns.array(&field.name).map_err(|error| error.with_hint(hint))?;
            if let Some(row) = (0..truth.len()).find(|&row| truth.is_null(row)) {
                return Err(Error::Data(format!("{}: target {} is missing", place(row), field.name), None));
            }
        }
        let batch = Batch::new((0..columns.rows() as u64).collect(), &columns, schema);
        let has_weights = schema.keys(cupola_task::Key::Weight).all(|field| batch.keys.get(&field.name).is_some());
        let weights = if has_weights { load::weights(schema, &batch)? } else { None };
        Ok(Labelled { columns, batch, weights, has_weights, notes })
    }

    /// That rows were left out.
    pub fn warning(&self) -> Option<String> {
        self.kept.as_ref().map(|_| format!("{} holds training rows too: only its test rows are measured", self.raw.name))
    }
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
