//! What is done once a model is fitted: what becomes of its answers is learned, and it is cross-validated where that was asked for.

use crate::bounds::{Bounds, with_range};
use crate::crossval::{DRAW, Fold, Rounds, Subject, cross_validate, joined, table};
use crate::fit::{Fit, columns, read_all};
use crate::postprocess::{DecisionPlan, Held, IntervalMethod, Learned, learn};
use crate::report::CrossValidation;
use crate::{Choice, Error, Plan, Result, load};
use cupola_task::{Dataset, Event, Field, Run, Task, TrainSplit};

/// Folds of the training rows that answers are learned from where there are no validation rows.
const FOLDS: usize = 5;

/// What was learned about a model after it was fitted.
#[derive(Default)]
pub(crate) struct Finished {
    pub learned: Learned,
    pub cross_validation: Option<CrossValidation>,
    pub nested: Option<CrossValidation>,
}

/// How many fits there are behind that of the model itself: the time of a run is shared out to all of them.
pub(crate) fn fits_behind(plan: &Plan, field: &Field, choice: &Choice, valid: &dyn Dataset) -> u32 {
    let wants_table = plan.folds.filter(|_| matches!(choice, Choice::Named(..)));
    let wants_rows = decision_of(plan, field).learns() && valid.is_empty();
    let rounds = rounds(plan, wants_table);
    let folds = if wants_table.is_some() || wants_rows { rounds.folds as u32 * rounds.repeats as u32 } else { 0 };
    // Two bounds are fitted beside the model, and beside that of each fold.
    let decision = decision_of(plan, field);
    let is_cqr = decision.interval.is_some() && decision.intervals == IntervalMethod::Cqr && field.kind.classes().is_none();
    if is_cqr { 3 * folds + 2 } else { folds }
}

fn rounds(plan: &Plan, wants_table: Option<usize>) -> Rounds {
    match wants_table {
        Some(folds) => Rounds { folds, repeats: plan.repeats },
        None => Rounds::once(FOLDS),
    }
}

/// What the recipe says about a target's answers.
pub(crate) fn decision_of<'a>(plan: &'a Plan, field: &Field) -> &'a DecisionPlan {
    plan.output(&field.name).map_or(&plan.decision, |output| &output.decision)
}

/// Learns what is to be done to the answers of a fitted model, from validation rows or, where there are none, from rows of the training
/// set that models learned from the others answer; puts it into the pipeline; and cross-validates where `eval.cv` says so.
///
/// # Errors
/// When what is asked for does not suit the target, or a model cannot learn from a fold's rows.
pub(crate) fn finish(
    plan: &Plan,
    run: &Run<'_>,
    (field, task): (&Field, Task),
    (train, valid): (&TrainSplit, &dyn Dataset),
    (fit, choice): (&mut Fit, &Choice),
) -> Result<Finished> {
    let learned_field = fit.pipeline.fitted.raw().field(&field.name).cloned().unwrap_or_else(|| field.clone());
    let decision = decision_of(plan, field);
    // What early stopping or a time limit settled holds in the folds, too: so a run from its own run.toml learns the same from them.
    let settings = fit.pipeline.settings.clone();
    let subject = Subject { def: fit.pipeline.model, settings: &settings, target: field, draw: run.draw(DRAW) };
    let wants_table = plan.folds.filter(|_| matches!(choice, Choice::Named(..)));
    let wants_rows = decision.learns() && valid.is_empty();
    let mut finished = Finished::default();
    let mut folds: Option<Vec<Fold>> = None;
    if wants_table.is_some() || wants_rows {
        run.tell(Event::Stage { name: "cross-validation".into() });
        folds = unless_stopped(cross_validate(&subject, train, plan, run, rounds(plan, wants_table)), run)?;
    }
    if let (Some(folds), Some(_)) = (&mut folds, wants_table) {
        finished.cross_validation = Some(table(&learned_field, task, folds, plan, plan.repeats)?);
        // Each row counts once where answers are learned from folds.
        folds.truncate(folds.len() / plan.repeats as usize);
    }
    if decision.is_none() {
        return Ok(finished);
    }
    let bounds = Bounds::asked(decision, &learned_field, &fit.pipeline)?;
    if let Some(bounds) = &bounds {
        fit.pipeline.bounds = Some(bounds.fit(field, train, valid, plan, run)?);
    }
    finished.learned = match (decision.learns(), valid.is_empty(), &folds) {
        (false, _, _) => learn(decision, &learned_field, None, "")?,
        (true, false, _) => {
            let rows = read_all(valid)?;
            let weights = load::weights(valid.schema(), &rows)?;
            let answer = fit.pipeline.raw_answer(&columns(&rows))?;
            let truth = rows.targets.get(&field.name).ok_or_else(|| Error::Data(format!("no truth of {}", field.name), None))?;
            learn(decision, &learned_field, Some(Held { truth, weights: weights.as_deref(), answer: &answer }), "validation rows")?
        }
        (true, true, Some(folds)) => {
            let (truth, weights, mut answer) = joined(folds, &learned_field)?;
            let mut is_whole = true;
            if let Some(bounds) = &bounds {
                let range = unless_stopped(bounds.crossed(field, train, (plan, run), (subject.draw, rounds(plan, wants_table))), run)?;
                is_whole = range.is_some();
                answer = with_range(answer, range.unwrap_or_default());
            }
            let held = Held { truth: &truth, weights: weights.as_deref(), answer: &answer };
            learn(decision, &learned_field, Some(held).filter(|_| is_whole), "training rows, cross-fitted")?
        }
        (true, true, None) => learn(decision, &learned_field, None, "")?,
    };
    for text in &finished.learned.warnings {
        run.tell(Event::Warning { text: format!("{}: {text}", field.name) });
    }
    fit.pipeline.postprocess = finished.learned.postprocess.clone();
    if !fit.pipeline.postprocess.is_cqr {
        // Nobody learned how far the bounds are off.
        fit.pipeline.bounds = None;
    }
    Ok(finished)
}

/// A run that is stopped keeps its model; only what would have come after is left out.
fn unless_stopped<T>(folds: Result<T>, run: &Run<'_>) -> Result<Option<T>> {
    match folds {
        Ok(folds) => Ok(Some(folds)),
        Err(Error::Task(cupola_task::Error::Interrupted)) => {
            run.tell(Event::Warning { text: "the run was stopped before the model was cross-validated".into() });
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
