//! What balancing classes changed: the same model fitted without it, on the same test rows, where that costs little.

use crate::evaluate::{self, Judged};
use crate::fit::{Fit, columns, fit};
use crate::journal::heard_by;
use crate::report::{Balance, Measure, TargetReport, Unbalanced};
use crate::training::{Divided, Sides, TargetFit, learned};
use crate::{Plan, Result, load};
use cupola_metrics::{Ruler, Sampling};
use cupola_task::{Event, Flow, Make, ModelDef, Run, Setting, Settings, Value};

/// The setting by which a model makes the focal loss small, and its value.
const FOCAL: (&str, &str) = ("objective", "focal");

/// Whether a model can make the focal loss small.
pub(crate) fn has_focal(def: &ModelDef) -> bool {
    let admits = |setting: &Setting| setting.name == FOCAL.0 && setting.range.admit(&Value::Text(FOCAL.1.into())).is_some();
    def.settings.iter().any(admits)
}

/// A model's settings under `data.clean.balance`: `focal` is for the model to follow, where it can.
pub(crate) fn followed(def: &ModelDef, settings: &Settings, plan: &Plan) -> Settings {
    match plan.prepare.text("balance") == FOCAL.1 && has_focal(def) {
        true => settings.with(FOCAL.0, Value::Text(FOCAL.1.into())),
        false => settings.clone(),
    }
}

/// The plan without balancing: the baseline answers with the shares that there are.
pub(crate) fn unbalanced(plan: &Plan) -> Plan {
    Plan { prepare: plan.prepare.with("balance", Value::Text("none".into())), ..plan.clone() }
}

/// Refuses focal loss for a named model that has none.
///
/// # Errors
/// With the models that have.
pub(crate) fn check_focal(def: &ModelDef, plan: &Plan) -> Result<()> {
    if plan.prepare.text("balance") != FOCAL.1 || has_focal(def) {
        return Ok(());
    }
    let able: Vec<&str> = crate::models().filter(|model| has_focal(model)).map(|model| model.name).collect();
    let wanted = format!("none|weights|over|under|smote, for model {} has no focal loss", def.name);
    let error = cupola_task::Error::setting("data.clean.balance", FOCAL.1, wanted);
    Err(error.with_hint(format!("models that have one: {}", able.join(", "))).into())
}

/// Operations up to which the model is fitted a second time: some seconds.
const FLOPS_MAX: f64 = 1e10;

/// What was done and, where it is cheap to learn, what it changed; none where nothing was done.
///
/// # Errors
/// When the model cannot be fitted or asked without balancing.
pub(crate) fn effect(
    plan: &Plan,
    run: &Run<'_>,
    divided: &Divided,
    sides: &Sides,
    target: &TargetFit,
    rulers: &[Ruler],
    sampling: Sampling,
    report: &TargetReport,
) -> Result<Option<Balance>> {
    let field = learned(target);
    let method = plan.prepare.text("balance").to_owned();
    let smallest = report.classes.iter().zip(&report.class_rows).min_by_key(|(_, rows)| **rows);
    let Some((class, _)) = smallest.filter(|_| method != "none") else { return Ok(None) };
    let rows = [divided.splits.train().data().len(), target.fit.rows];
    let mut balance = Balance { method, rows, class: class.clone(), ..Balance::default() };
    if is_cheap(&target.fit, rows[1].max(rows[0])) && !sides.test.rows.is_empty() && !run.is_late() {
        let quiet = |event: &Event| match event {
            Event::Progress { .. } | Event::Resolved { .. } | Event::Note { .. } => Flow::Go,
            other => run.tell(other.clone()),
        };
        let plain = unbalanced(plan);
        let (train, valid) = (divided.splits.train(), &**divided.splits.valid());
        let pipeline = &target.fit.pipeline;
        let settings = match balance.method == FOCAL.1 {
            true => pipeline.settings.with(FOCAL.0, Value::Text("auto".into())),
            false => pipeline.settings.clone(),
        };
        let fitted = fit(pipeline.model, &settings, &target.field, train, valid, &plain, &heard_by(run, &quiet))?;
        let weights = load::weights(&sides.schema, &sides.test)?;
        let answer = fitted.pipeline.answer(&columns(&sides.test))?;
        let judged = Judged { view: sides.test.view(&field.name, weights.as_deref()), answer: &answer };
        let main = &rulers[..rulers.len().min(1)];
        let without = evaluate::target_report(&field, target.task, main, [None, None, Some(judged)], None, sampling)?;
        balance.measured = Some(Unbalanced {
            main: report.main.clone(),
            scores: [main_of(report), main_of(&without)],
            recall: [report, &without].map(|report| of_class(report, class)[0]),
            precision: [report, &without].map(|report| of_class(report, class)[1]),
        });
    }
    Ok(Some(balance))
}

/// Whether a second fit takes little: what a learner says of its cost, and networks are never fitted twice.
fn is_cheap(fit: &Fit, rows: u64) -> bool {
    let Make::Learner(make) = fit.pipeline.model.make else { return false };
    let schema = fit.pipeline.fitted.schema();
    let cost = make(&fit.pipeline.settings, schema).ok().and_then(|learner| learner.cost(schema, rows));
    cost.is_some_and(|cost| cost.flops <= FLOPS_MAX)
}

fn main_of(report: &TargetReport) -> Measure {
    report.main_score().map_or(Measure::undefined(), |score| score.test)
}

/// Recall and precision.
fn of_class(report: &TargetReport, class: &str) -> [Measure; 2] {
    let found = report.per_class.iter().find(|score| score.class == *class);
    found.map_or([Measure::undefined(); 2], |score| [score.recall, score.precision])
}
