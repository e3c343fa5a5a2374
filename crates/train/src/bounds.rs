//! The two models of conformalised quantile regression (Romano, Patterson and Candes, "Conformalized quantile regression", NeurIPS 2019): boosted
//! trees that answer the lower and the upper quantile of a number, so that an interval is as wide as the rows around it are scattered.
//!
//! They learn from training rows alone and, unlike the model beside them, do not look at validation rows to know when to stop: from those is
//! learned how far the bounds are off, and for the promise to hold they must be as new to the bounds as the rows that come later. What is done to
//! the bounds is in `postprocess`; the model that answers the number itself may be any.

use crate::crossval::{Rounds, Subject, cross_validate, joined, share_until};
use crate::fit::fit;
use crate::journal::heard_by;
use crate::postprocess::{DecisionPlan, IntervalMethod};
use crate::{Pipeline, Plan, Result};
use cupola_task::{Answer, Columns, Dataset, Draw, Event, Field, INIT_MODEL, ModelDef, Run, Settings, TrainSplit, Value};

/// The model that answers quantiles.
const MODEL: &str = "gbdt";
/// Trees of a bound where the model beside it is of another kind: LightGBM's default.
const TREES: i64 = 100;

/// How the bounds of a target are to be learned.
pub(crate) struct Bounds {
    def: &'static ModelDef,
    /// Those of the lower and of the upper one.
    settings: [Settings; 2],
}

impl Bounds {
    /// What a plan asks for beside a fitted model; none when it asks for none. Where that model is of boosted trees, too, its settings are those of
    /// the bounds, the number of trees included that early stopping has settled.
    ///
    /// # Errors
    /// When the settings do not suit, which they do.
    pub fn asked(decision: &DecisionPlan, field: &Field, beside: &Pipeline) -> Result<Option<Bounds>> {
        let Some(level) = decision.interval.filter(|_| decision.intervals == IntervalMethod::Cqr && field.kind.classes().is_none()) else {
            return Ok(None);
        };
        let def = crate::model(MODEL)?;
        let of = |alpha: f64| {
            let own = [
                ("objective", Value::Text("quantile".to_owned())),
                ("alpha", Value::Real(alpha)),
                ("early_stopping_rounds", Value::Integer(0)),
                (INIT_MODEL, Value::Text("off".to_owned())),
            ];
            let beside = (beside.model.name == MODEL).then_some(&beside.settings);
            let trees = ("n_estimators", Value::Integer(TREES));
            let own: Vec<(&str, Value)> = own.into_iter().chain(beside.is_none().then_some(trees)).collect();
            let others = beside.into_iter().flat_map(|settings| settings.iter());
            let others = others.filter(|(name, _)| own.iter().all(|(own, _)| own != name));
            Settings::check("bounds", def.settings, others.chain(own.iter().map(|(name, value)| (*name, value))))
        };
        let outside = (1.0 - level) / 2.0;
        Ok(Some(Bounds { def, settings: [of(outside)?, of(1.0 - outside)?] }))
    }

    /// Both, fitted to training rows.
    ///
    /// # Errors
    /// Those of a fit.
    pub fn fit(&self, field: &Field, train: &TrainSplit, valid: &dyn Dataset, plan: &Plan, run: &Run<'_>) -> Result<Box<[Pipeline; 2]>> {
        run.tell(Event::Stage { name: "interval bounds".into() });
        let one = |settings: &Settings, parts: u64| {
            let mut timed = heard_by(run, run.events);
            timed.until = share_until(run, parts);
            Ok::<_, crate::Error>(fit(self.def, settings, field, train, valid, plan, &timed)?.pipeline)
        };
        let [low, high] = &self.settings;
        Ok(Box::new([one(low, 2)?, one(high, 1)?]))
    }

    /// What both say of the training rows in cross-validation, dealt out as the model beside them was.
    ///
    /// # Errors
    /// Those of a fit, or when the run was stopped.
    pub fn crossed(
        &self,
        field: &Field,
        train: &TrainSplit,
        (plan, run): (&Plan, &Run<'_>),
        (draw, rounds): (Draw, Rounds),
    ) -> Result<Vec<[f64; 2]>> {
        run.tell(Event::Stage { name: "interval bounds".into() });
        let one = |settings: &Settings| {
            let subject = Subject { def: self.def, settings, target: field, draw };
            Ok::<_, crate::Error>(joined(&cross_validate(&subject, train, plan, run, rounds)?, field)?.2)
        };
        let [low, high] = &self.settings;
        Ok(between(&one(low)?, &one(high)?))
    }
}

/// What two bounds say of raw rows.
///
/// # Errors
/// When a column is missing or of another kind.
pub(crate) fn range(bounds: &[Pipeline; 2], inputs: &Columns) -> Result<Vec<[f64; 2]>> {
    let [low, high] = bounds;
    Ok(between(&low.raw_answer(inputs)?, &high.raw_answer(inputs)?))
}

fn between(low: &Answer, high: &Answer) -> Vec<[f64; 2]> {
    match (low, high) {
        (Answer::Numbers { values: low, .. }, Answer::Numbers { values: high, .. }) => {
            low.iter().zip(high).map(|(low, high)| [*low, *high]).collect()
        }
        _ => Vec::new(),
    }
}

/// An answer with what the bounds say beside it.
pub(crate) fn with_range(answer: Answer, range: Vec<[f64; 2]>) -> Answer {
    match answer {
        Answer::Numbers { values, .. } if values.len() == range.len() => Answer::Numbers { values, range: Some(range) },
        other => other,
    }
}
