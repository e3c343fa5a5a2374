//! Cross-validation of one model inside the training rows: answers to rows that it did not learn from.

use crate::evaluate::rulers;
use crate::fit::{columns, fit, for_target, read_all};
use crate::folds::folds;
use crate::journal::heard_by;
use crate::report::{Better, CrossValidation, FoldMeasure, Measure};
use crate::{Plan, Result, load};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Float64Array, StringArray};
use cupola_metrics::Ruler;
use cupola_task::{Answer, Batch, Column, Event, Field, Flow, ModelDef, Run, Schema, Settings, Task, TrainSplit, View};
use std::sync::Arc;

/// One fold: the rows that were held out, and what a model learned from the others says about them.
#[derive(Clone)]
pub(crate) struct Fold {
    pub rows: Batch,
    pub weights: Option<Vec<f64>>,
    pub answer: Answer,
}

/// Who is cross-validated.
pub(crate) struct Subject<'a> {
    pub def: &'static ModelDef,
    pub settings: &'a Settings,
    pub target: &'a Field,
}

/// Learns and answers `k` times. The answers are the model's own: nothing is done to them.
///
/// # Errors
/// When the model cannot learn from a fold's rows, or the run was stopped.
pub(crate) fn cross_validate(subject: &Subject<'_>, train: &TrainSplit, plan: &Plan, run: &Run<'_>, k: usize) -> Result<Vec<Fold>> {
    let table = for_target(train.data(), &subject.target.name)?;
    let rows = read_all(&table)?;
    let schema: Schema = cupola_task::Dataset::schema(&table).clone();
    let sides = folds(&schema, &rows, k.min(rows.rows.len().max(2)), run.draw("cross-validation"))?;
    let total = sides.len() as u64;
    let mut found = Vec::new();
    for (place, sides) in sides.iter().enumerate() {
        let progress = |done: u64| Event::Progress { done, total: Some(total), unit: "folds".into(), score: None };
        // What a fold's training tells is no news of the run's; but that it is to stop is heard.
        let quiet = |_: &Event| run.tell(progress(place as u64));
        let splits = train.split(sides);
        let fitted = fit(subject.def, subject.settings, subject.target, splits.train(), &**splits.valid(), plan, &heard_by(run, &quiet))?;
        let rows = read_all(&**splits.test())?;
        let answer = fitted.pipeline.answer(&columns(&rows))?;
        let weights = load::weights(&schema, &rows)?;
        found.push(Fold { rows, weights, answer });
        if run.tell(progress(place as u64 + 1)) == Flow::Stop {
            return Err(cupola_task::Error::Interrupted.into());
        }
    }
    Ok(found)
}

/// Every measure on every fold, as Weka prints it.
///
/// # Errors
/// Those of measures.
pub(crate) fn table(field: &Field, task: Task, folds: &[Fold], plan: &Plan) -> Result<CrossValidation> {
    let rulers: Vec<Ruler> = rulers(field, task, plan.metrics.as_deref(), None);
    let one = |fold: &Fold| -> Result<Vec<f64>> {
        let view = View {
            truth: fold.rows.targets.get(&field.name),
            weight: fold.weights.as_deref(),
            inputs: &fold.rows.inputs,
            keys: &fold.rows.keys,
        };
        let value = |(def, settings): &Ruler| {
            let mut metric = (def.new)(field, settings)?;
            metric.update(view, &fold.answer)?;
            Ok(metric.value(None)?)
        };
        rulers.iter().map(value).collect()
    };
    let values = folds.iter().map(one).collect::<Result<Vec<_>>>()?;
    let measure = |(place, (def, _)): (usize, &Ruler)| {
        let of: Vec<f64> = values.iter().map(|fold| fold[place]).collect();
        let known: Vec<f64> = of.iter().copied().filter(|value| value.is_finite()).collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let squares = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        FoldMeasure {
            name: def.name.to_owned(),
            better: if def.is_score { Better::Higher } else { Better::Lower },
            mean,
            deviation: (squares / (known.len() as f64 - 1.0)).sqrt(),
            folds: of.into_iter().map(Measure::exact).collect(),
        }
    };
    Ok(CrossValidation { folds: folds.len() as u64, measures: rulers.iter().enumerate().map(measure).collect() })
}

/// All folds one after another: truth, weights and answers, of classes in the order of the target's.
///
/// # Errors
/// When a fold has no truth.
pub(crate) fn joined(folds: &[Fold], field: &Field) -> Result<(Column, Option<Vec<f64>>, Answer)> {
    let truths = folds.iter().map(|fold| fold.rows.targets.array(&field.name)).collect::<cupola_task::Result<Vec<_>>>()?;
    let weights = folds.iter().map(|fold| fold.weights.clone()).collect::<Option<Vec<_>>>().map(|weights| weights.concat());
    if let Some(classes) = field.kind.classes() {
        let texts = truths.iter().filter_map(|array| array.as_string_opt::<i32>()).flat_map(|texts| texts.iter());
        let truth = Column::Array(Arc::new(texts.collect::<StringArray>()));
        let values = folds.iter().flat_map(|fold| aligned(classes, &fold.answer)).collect();
        return Ok((truth, weights, Answer::Scores { classes: classes.into(), values }));
    }
    let numbers = truths.iter().filter_map(|array| array.as_primitive_opt::<Float64Type>()).flat_map(|numbers| numbers.iter());
    let truth = Column::Array(Arc::new(numbers.collect::<Float64Array>()));
    let values = folds.iter().flat_map(|fold| match &fold.answer {
        Answer::Numbers { values, .. } => values.clone(),
        _ => vec![],
    });
    Ok((truth, weights, Answer::Numbers { values: values.collect(), range: None }))
}

/// Probabilities in the order of `classes`; a class that a fold's rows lack has none.
fn aligned(classes: &[Arc<str>], answer: &Answer) -> Vec<f64> {
    let Answer::Scores { classes: own, values } = answer else { return vec![] };
    let places: Vec<Option<usize>> = classes.iter().map(|class| own.iter().position(|name| name == class)).collect();
    let row = |row: &[f64]| places.iter().map(|place| place.map_or(0.0, |place| row[place])).collect::<Vec<f64>>();
    values.chunks_exact(own.len().max(1)).flat_map(row).collect()
}
