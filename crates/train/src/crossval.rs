//! Cross-validation of one model inside the training rows: answers to rows that it did not learn from.

use crate::evaluate::rulers;
use crate::fit::{columns, fit, for_target, read_all};
use crate::folds::folds;
use crate::journal::heard_by;
use crate::report::{Better, CrossValidation, FoldMeasure, Measure};
use crate::{Pipeline, Plan, Result, load};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Float64Array, StringArray};
use cupola_metrics::Ruler;
use cupola_task::{Answer, Batch, Column, Dataset, Draw, Event, Field, Flow, ModelDef, Run, Settings, Task, TrainSplit, View};
use std::sync::Arc;

/// Rows that a model did not learn from, and what it says about them.
#[derive(Clone)]
pub(crate) struct Fold {
    pub rows: Batch,
    pub weights: Option<Vec<f64>>,
    pub answer: Answer,
}

impl Fold {
    /// Asks a fitted pipeline.
    ///
    /// # Errors
    /// When the rows do not suit the pipeline.
    pub fn answered(pipeline: &Pipeline, held: &dyn Dataset) -> Result<Fold> {
        let rows = read_all(held)?;
        let answer = pipeline.answer(&columns(&rows))?;
        Ok(Fold { weights: load::weights(held.schema(), &rows)?, rows, answer })
    }

    /// What a measure sees of the rows.
    pub fn view(&self, target: &str) -> View<'_> {
        self.rows.view(target, self.weights.as_deref())
    }

    /// A measure of the answers to a target, which has the classes that training saw.
    ///
    /// # Errors
    /// Those of the measure.
    pub fn value(&self, field: &Field, ruler: &Ruler) -> Result<f64> {
        Ok(cupola_metrics::value(field, &self.answer, self.view(&field.name), ruler)?)
    }
}

/// Who is cross-validated.
pub(crate) struct Subject<'a> {
    pub def: &'static ModelDef,
    pub settings: &'a Settings,
    pub target: &'a Field,
    /// Deals rows out to folds.
    pub draw: Draw,
}

/// What a cross-validation that a run reports is drawn by.
pub(crate) const DRAW: &str = "cross-validation";

/// Learns and answers `k` times. The answers are the model's own: nothing is done to them.
///
/// # Errors
/// When the model cannot learn from a fold's rows, or the run was stopped.
pub(crate) fn cross_validate(subject: &Subject<'_>, train: &TrainSplit, plan: &Plan, run: &Run<'_>, k: usize) -> Result<Vec<Fold>> {
    let table = for_target(train.data(), &subject.target.name)?;
    let rows = read_all(&table)?;
    let sides = folds(table.schema(), &rows, k.min(rows.rows.len().max(2)), subject.draw)?;
    let total = sides.len() as u64;
    let mut found = Vec::new();
    for (place, sides) in sides.iter().enumerate() {
        let progress = |done: u64| Event::Progress { done, total: Some(total), unit: "folds".into(), score: None };
        // What a fold's training tells is no news of the run's; but that it is to stop is heard.
        let quiet = |_: &Event| run.tell(progress(place as u64));
        let splits = train.split(sides);
        let fitted = fit(subject.def, subject.settings, subject.target, splits.train(), &**splits.valid(), plan, &heard_by(run, &quiet))?;
        found.push(Fold::answered(&fitted.pipeline, &**splits.test())?);
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
    let one = |fold: &Fold| rulers.iter().map(|ruler| fold.value(field, ruler)).collect::<Result<Vec<f64>>>();
    let values = folds.iter().map(one).collect::<Result<Vec<_>>>()?;
    let measure = |(place, (def, _)): (usize, &Ruler)| {
        let of: Vec<f64> = values.iter().map(|fold| fold[place]).collect();
        let known: Vec<f64> = of.iter().copied().filter(|value| value.is_finite()).collect();
        let [mean, variance] = mean_and_variance(&known);
        FoldMeasure {
            name: def.name.to_owned(),
            better: if def.is_score { Better::Higher } else { Better::Lower },
            mean,
            deviation: variance.sqrt(),
            folds: of.into_iter().map(Measure::exact).collect(),
        }
    };
    Ok(CrossValidation { folds: folds.len() as u64, measures: rulers.iter().enumerate().map(measure).collect() })
}

/// The mean, and the variance by one degree of freedom less than there are values: not a number for one value, the mean as well for none.
pub(crate) fn mean_and_variance(values: &[f64]) -> [f64; 2] {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    [mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)]
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
pub(crate) fn aligned(classes: &[Arc<str>], answer: &Answer) -> Vec<f64> {
    let Answer::Scores { classes: own, values } = answer else { return vec![] };
    let places: Vec<Option<usize>> = classes.iter().map(|class| own.iter().position(|name| name == class)).collect();
    let row = |row: &[f64]| places.iter().map(|place| place.map_or(0.0, |place| row[place])).collect::<Vec<f64>>();
    values.chunks_exact(own.len().max(1)).flat_map(row).collect()
}
