//! What a model file keeps so that its answers can be watched: the reference, and models of losses.

use crate::artifact::{Losses, Watched, answer_column};
use crate::fit::{columns, fit};
use crate::journal::heard_by;
use crate::models::takes;
use crate::report::Permutation;
use crate::training::Sides;
use crate::{Artifact, Golden, Pipeline, Plan, Result};
use arrow_array::Float64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_task::{
    Answer, Batch, Column, Columns, Dataset, Event, Field, Flow, Kind, Predictions, Role, Run, Schema, Settings, Side, Splits, Table, Task,
    Value,
};
use cupola_watch::{Held, Keep, Reference};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Training rows that are counted: more tell nothing more. Of texts and images fewer, for each is read whole.
const ROWS_COUNTED: usize = 200_000;
const CONTENTS_COUNTED: usize = 20_000;
/// Held rows that a model of losses needs at least, and takes at most.
const LOSS_ROWS: std::ops::RangeInclusive<usize> = 300..=20_000;
/// Of its rows, one of so many says when it has learned enough.
const LOSS_VALID: usize = 5;
/// What learns losses: few small trees, for held rows are few and losses are noise for the most part.
const LOSS_MODEL: &str = "gbdt";
const LOSS_SETTINGS: [(&str, Value); 3] =
    [("n_estimators", Value::Integer(100)), ("num_leaves", Value::Integer(7)), ("early_stopping_rounds", Value::Integer(10))];

/// Counts training rows, and answers to rows that the model never learned from: the test rows, or validation rows where there are none.
/// `answers` are those to the test rows; `permutations` say how much each input counts.
///
/// # Errors
/// When the model does not answer the validation rows, or losses cannot be learned.
pub(crate) fn watched<'a>(
    plan: &Plan,
    run: &Run<'_>,
    splits: &Splits,
    sides: &Sides,
    artifact: &Artifact,
    answers: &Predictions,
    permutations: impl Iterator<Item = &'a Permutation>,
) -> Result<Watched> {
    run.tell(Event::Stage { name: "reference".into() });
    let train = sample(splits.train().data(), artifact.raw())?;
    let answered;
    let (batch, predictions) = match sides.test.rows.is_empty() {
        false => (&sides.test, answers),
        true => {
            answered = if sides.valid.rows.is_empty() { Predictions::default() } else { artifact.predict(&sides.valid.inputs)? };
            (&sides.valid, &answered)
        }
    };
    let inputs = columns(batch);
    let held = (!batch.rows.is_empty()).then_some(Held { inputs: &inputs, predictions, truth: &batch.targets });
    let keep = if plan.golden == Golden::Off || !plan.monitor.flag("rows") { Keep::Counts } else { Keep::Rows(run.draw("reference")) };
    let reference = Reference::new(artifact.raw(), &train, held, keep)?.with_importance(&importance(permutations));
    let losses = match held {
        Some(held) => losses(plan, run, artifact.raw(), batch, held)?,
        None => vec![],
    };
    Ok(Watched { reference: Arc::new(reference), losses, settings: plan.monitor.clone() })
}

/// Training rows at equal steps.
fn sample(rows: &dyn Dataset, schema: &Schema) -> Result<Columns> {
    let is_content = schema.inputs().any(|field| matches!(field.kind, Kind::Text | Kind::Image { .. }));
    let limit = if is_content { CONTENTS_COUNTED } else { ROWS_COUNTED };
    let step = (rows.len() as usize).div_ceil(limit).max(1);
    let numbers: Vec<u64> = (0..rows.len()).step_by(step).collect();
    Ok(columns(&rows.read(&numbers, cupola_task::Draw::default())?))
}

/// The largest importance of each input for any target.
fn importance<'a>(permutations: impl Iterator<Item = &'a Permutation>) -> BTreeMap<String, f64> {
    let mut largest: BTreeMap<String, f64> = BTreeMap::new();
    for column in permutations.flat_map(|permutation| &permutation.columns) {
        let own = largest.entry(column.column.clone()).or_default();
        *own = own.max(column.drop.value);
    }
    largest
}

/// Models of the losses on each target that is a number, where held rows are enough.
fn losses(plan: &Plan, run: &Run<'_>, raw: &Schema, batch: &Batch, held: Held<'_>) -> Result<Vec<Losses>> {
    let mut losses = Vec::new();
    for (field, task) in raw.targets().filter(|(_, task)| *task == Task::Regress) {
        let (Some(Answer::Numbers { values, .. }), Some(truth)) = (held.predictions.get(&field.name), held.truth.get(&field.name)) else {
            continue;
        };
        let Some(truth) = truth.array().and_then(|array| array.as_primitive_opt::<Float64Type>()) else { continue };
        let errors: Vec<Option<f64>> = truth.iter().zip(values).map(|(truth, value)| Some((truth? - value).abs())).collect();
        let answers = answer_column(&field.name);
        if raw.field(&answers).is_some() || !takes(crate::model(LOSS_MODEL)?, raw) {
            continue;
        }
        let known: Vec<u64> = (0..errors.len()).filter(|&row| errors[row].is_some_and(f64::is_finite)).map(|row| row as u64).collect();
        if known.len() < *LOSS_ROWS.start() {
            continue;
        }
        let step = known.len().div_ceil(*LOSS_ROWS.end());
        let known: Vec<u64> = known.into_iter().step_by(step).collect();
        let mut inputs = batch.inputs.take(&known);
        inputs.insert(answers.clone().into(), numbers(known.iter().map(|&row| values[row as usize])));
        let learn = |power: i32| {
            let mut table = inputs.clone();
            table.insert(field.name.clone(), numbers(known.iter().map(|&row| errors[row as usize].unwrap_or(0.0).powi(power))));
            learn(plan, run, raw, field, &answers, table, task)
        };
        losses.push(Losses { pipelines: [learn(1)?, learn(2)?] });
    }
    Ok(losses)
}

fn numbers(values: impl Iterator<Item = f64>) -> Column {
    Column::Array(Arc::new(Float64Array::from_iter_values(values)))
}

/// Learns one loss, which stands in the target's place.
fn learn(plan: &Plan, run: &Run<'_>, raw: &Schema, target: &Field, answers: &str, table: Columns, task: Task) -> Result<Pipeline> {
    let target = Field { name: target.name.clone(), kind: Kind::Number, role: Role::Target(task) };
    let answer = Field { name: answers.into(), kind: Kind::Number, role: Role::Input };
    let fields: Vec<Field> = raw.inputs().cloned().chain([answer, target.clone()]).collect();
    let rows = table.rows();
    let table = Table::new(Schema { fields }, table)?;
    let sides: Vec<Side> = (0..rows).map(|row| if row % LOSS_VALID == 0 { Side::Valid } else { Side::Train }).collect();
    let splits = Splits::new(Arc::new(table), &sides);
    let def = crate::model(LOSS_MODEL)?;
    let settings = Settings::check("model", def.settings, LOSS_SETTINGS.iter().map(|(name, value)| (*name, value)))?;
    // It is no training of its own to whoever listens.
    let quiet = |_: &Event| Flow::Go;
    Ok(fit(def, &settings, &target, splits.train(), &**splits.valid(), plan, &heard_by(run, &quiet))?.pipeline)
}
