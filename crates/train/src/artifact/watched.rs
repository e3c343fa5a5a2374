//! What a model's answers are watched with: what training and its answers looked like, and models of its losses.

use super::manifest::from_json;
use super::model::Pipeline;
use crate::{Error, Result};
use arrow_array::Float64Array;
use cupola_task::{Answer, Column, Columns, Predictions, Settings};
use cupola_watch::{MONITOR, Reference};
use std::sync::Arc;

/// What a model's answers are watched with.
pub struct Watched {
    /// What windows are held against.
    pub reference: Arc<Reference>,
    /// For targets that are numbers what loss to expect of an answer.
    pub losses: Vec<Losses>,
    /// How, as the recipe's `[monitor]` says it: checked against [`MONITOR`].
    pub settings: Settings,
}

/// Models of a model's losses on one target: direct loss estimation (DLE, NannyML). They look at the raw inputs and at the answer.
pub struct Losses {
    /// What expects the absolute error, and what expects the squared one. Their target is the model's, their answer is the loss.
    pub pipelines: [Pipeline; 2],
}

/// For each row the absolute and the squared error to expect.
pub type ExpectedLosses = Vec<[f64; 2]>;

/// The input of a model of losses that holds the answer.
pub(crate) fn answer_column(target: &str) -> String {
    format!("answer of {target}")
}

impl Losses {
    /// The target whose losses they expect.
    pub fn target(&self) -> &Arc<str> {
        &self.pipelines[0].target
    }

    /// The absolute and squared errors to expect of answers to raw rows.
    ///
    /// # Errors
    /// When the rows cannot be prepared.
    pub fn expect(&self, inputs: &Columns, predictions: &Predictions) -> Result<ExpectedLosses> {
        let target = self.target();
        let Some(Answer::Numbers { values, .. }) = predictions.get(target) else { return Ok(vec![]) };
        let mut inputs = inputs.clone();
        inputs.insert(answer_column(target).into(), Column::Array(Arc::new(Float64Array::from(values.clone()))));
        let [absolute, squared] = [0, 1].map(|place| match self.pipelines[place].answer(&inputs)? {
            Answer::Numbers { values, .. } => Ok(values),
            _ => Err(Error::artifact(format!("losses of {target}"), "answers of another kind", "numbers")),
        });
        // A loss below nothing is one that trees or lines give between rows they know.
        Ok(absolute?.into_iter().zip(squared?).map(|(absolute, squared)| [absolute.max(0.0), squared.max(0.0)]).collect())
    }
}

impl Watched {
    /// What each model of losses expects, by target.
    ///
    /// # Errors
    /// As [`Losses::expect`].
    pub fn expect(&self, inputs: &Columns, predictions: &Predictions) -> Result<Vec<(Arc<str>, ExpectedLosses)>> {
        self.losses.iter().map(|losses| Ok((losses.target().clone(), losses.expect(inputs, predictions)?))).collect()
    }

    pub(super) fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.losses.iter().flat_map(|losses| &losses.pipelines)
    }

    pub(super) fn open(
        place: &str,
        reference: Option<&[u8]>,
        losses: Vec<Pipeline>,
        settings: Option<&Settings>,
    ) -> Result<Option<Watched>> {
        let wrong = |found: String| Error::artifact(format!("{place}: losses"), found, "two models for each target, and a reference");
        let Some(bytes) = reference else {
            return if losses.is_empty() { Ok(None) } else { Err(wrong("models without a reference".to_owned())) };
        };
        let reference = Reference::open(from_json(&format!("{place}: reference.json"), bytes)?)?;
        let settings = Settings::check(&format!("{place}: monitor"), MONITOR, settings.into_iter().flat_map(Settings::iter))?;
        let count = losses.len();
        let mut losses = losses.into_iter();
        let pairs = std::iter::from_fn(|| Some([losses.next()?, losses.next()?])).map(|pipelines| Losses { pipelines });
        let pairs: Vec<Losses> = pairs.collect();
        let fits = |pair: &Losses| pair.pipelines[0].target == pair.pipelines[1].target && reference.target(pair.target()).is_some();
        if !count.is_multiple_of(2) || !pairs.iter().all(fits) {
            return Err(wrong(format!("{count} models")));
        }
        Ok(Some(Watched { reference: Arc::new(reference), losses: pairs, settings }))
    }
}
