//! Cross-validation of one model inside the training rows: answers to rows that it did not learn from.

use crate::evaluate::rulers;
use crate::fit::{columns, fit, for_target, read_all};
use crate::folds::folds;
use crate::journal::heard_by;
use crate::report::{Better, CrossValidation, FoldMeasure, Measure};
use crate::{Error, Pipeline, Plan, Result, load, resampled};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Float64Array, StringArray};
use cupola_metrics::Ruler;
use cupola_task::{
    Answer, Batch, Column, Dataset, Draw, Event, Field, Flow, Key, ModelDef, Run, Schema, Settings, Side, Task, TrainSplit, View,
};
use std::sync::Arc;
use std::time::Duration;

/// Rows that a model did not learn from, and what it says about them.
#[derive(Clone)]
pub(crate) struct Fold {
    pub rows: Batch,
    pub weights: Option<Vec<f64>>,
    pub answer: Answer,
    /// Rows that the model was made of, those for stopping early included; 0 where that is not told.
    pub learned: u64,
}

impl Fold {
    /// Asks a fitted pipeline.
    ///
    /// # Errors
    /// When the rows do not suit the pipeline.
    pub fn answered(pipeline: &Pipeline, held: &dyn Dataset) -> Result<Fold> {
        let rows = read_all(held)?;
        let answer = pipeline.answer(&columns(&rows))?;
        Ok(Fold { weights: load::weights(held.schema(), &rows)?, rows, answer, learned: 0 })
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

/// How often rows are dealt out, and to how many folds.
#[derive(Clone, Copy)]
pub(crate) struct Rounds {
    pub folds: usize,
    pub repeats: u64,
}

impl Rounds {
    /// Once.
    pub fn once(folds: usize) -> Rounds {
        Rounds { folds, repeats: 1 }
    }

    /// The sides of all folds, one repeat after another.
    ///
    /// # Errors
    /// When repeats are asked for of folds that time deals out.
    pub fn deal(self, schema: &Schema, rows: &Batch, draw: Draw) -> Result<Vec<Vec<Side>>> {
        if let Some(time) = schema.keys(Key::Time).next().filter(|_| self.repeats > 1) {
            let error =
                Error::recipe("recipe", format!("eval.cv_repeats: the time in {} deals rows out to the same folds each time", time.name));
            return Err(error.with_hint("leave cv_repeats out; more folds tell more: cv=10"));
        }
        let k = self.folds.min(rows.rows.len().max(2));
        // The first repeat is the cross-validation that there would be without others.
        let draw = |repeat: u64| if repeat == 0 { draw } else { draw.stream("repeat").at(repeat) };
        Ok((0..self.repeats).map(|repeat| folds(schema, rows, k, draw(repeat))).collect::<Result<Vec<_>>>()?.concat())
    }
}

/// Learns and answers `k` times. The answers are the model's own: nothing is done to them. Where the run has an end, each fold has an equal share
/// of the time until then.
///
/// # Errors
/// When the model cannot learn from a fold's rows, or the run was stopped.
pub(crate) fn cross_validate(subject: &Subject<'_>, train: &TrainSplit, plan: &Plan, run: &Run<'_>, rounds: Rounds) -> Result<Vec<Fold>> {
    let table = for_target(train.data(), &subject.target.name)?;
    let rows = read_all(&table)?;
    let sides = rounds.deal(table.schema(), &rows, subject.draw)?;
    let total = sides.len() as u64;
    let mut found = Vec::new();
    for (place, sides) in sides.iter().enumerate() {
        let progress = |done: u64| Event::Progress { done, total: Some(total), unit: "folds".into(), score: None };
        // What a fold's training tells is no news of the run's; but that it is to stop is heard.
        let quiet = |_: &Event| run.tell(progress(place as u64));
        let splits = train.split(sides);
        let mut inner = heard_by(run, &quiet);
        inner.until = share_until(run, total - place as u64);
        let fitted = fit(subject.def, subject.settings, subject.target, splits.train(), &**splits.valid(), plan, &inner)?;
        let learned = splits.train().data().len() + splits.valid().len();
        found.push(Fold { learned, ..Fold::answered(&fitted.pipeline, &**splits.test())? });
        if run.tell(progress(place as u64 + 1)) == Flow::Stop {
            return Err(cupola_task::Error::Interrupted.into());
        }
    }
    Ok(found)
}

/// The end of the first of so many equal parts of the time that a run has left.
pub(crate) fn share_until(run: &Run<'_>, parts: u64) -> Option<Duration> {
    let now = (run.clock)();
    run.until.map(|until| now + until.saturating_sub(now) / u32::try_from(parts.max(1)).unwrap_or(u32::MAX))
}

/// Every measure on every fold, as Weka prints it, with the corrected interval of its mean.
///
/// # Errors
/// Those of measures.
pub(crate) fn table(field: &Field, task: Task, folds: &[Fold], plan: &Plan, repeats: u64) -> Result<CrossValidation> {
    let ratio = mean_and_variance(&folds.iter().map(|fold| fold.rows.rows.len() as f64 / fold.learned as f64).collect::<Vec<_>>())[0];
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
            interval: Some(resampled::mean(&known, ratio, plan.level)).filter(Measure::has_interval),
            folds: of.into_iter().map(Measure::exact).collect(),
        }
    };
    let measures = rulers.iter().enumerate().map(measure).collect();
    Ok(CrossValidation { folds: folds.len() as u64, repeats, ratio, dealt: dealt(folds), chosen: vec![], measures })
}

/// A hash of the numbers of the rows that each fold is measured on.
fn dealt(folds: &[Fold]) -> String {
    let mut hash = blake3::Hasher::new();
    for fold in folds {
        hash.update(&(fold.rows.rows.len() as u64).to_le_bytes());
        fold.rows.rows.iter().for_each(|row| {
            hash.update(&row.to_le_bytes());
        });
    }
    hash.finalize().to_hex().to_string()
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

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::{Columns, Kind, Role};

    #[test]
    fn time_that_is_left_is_shared_out_to_the_folds() {
        let quiet = Run::quiet(1);
        assert_eq!(share_until(&quiet, 4), None, "no end, no shares");
        let clock = || Duration::from_secs(10);
        let run = Run { clock: &clock, until: Some(Duration::from_secs(18)), ..quiet };
        assert_eq!(share_until(&run, 4), Some(Duration::from_secs(12)));
        let late = Run { until: Some(Duration::from_secs(9)), ..run };
        assert_eq!(share_until(&late, 4), Some(Duration::from_secs(10)), "what comes late may begin, and is to end at once");
    }

    #[test]
    fn folds_of_time_are_not_repeated() {
        let field = |name: &str, role| Field { name: name.into(), kind: Kind::Number, role };
        let schema = Schema { fields: vec![field("day", Role::Key(Key::Time)), field("y", Role::Target(Task::Regress))] };
        let column = || Column::Array(Arc::new(Float64Array::from_iter_values((0..40).map(f64::from))));
        let batch = Batch::new((0..40).collect(), &Columns::new(vec![("day".into(), column()), ("y".into(), column())]), &schema);
        let deal = |repeats| Rounds { folds: 3, repeats }.deal(&schema, &batch, Draw::new(1));
        assert_eq!(deal(1).unwrap().len(), 3);
        assert!(deal(2).unwrap_err().to_string().contains("cv_repeats: the time in day"));
    }
}
