//! Validation rows: their loss, and the measure that decides which epoch is best.

use super::settings::LoopSettings;
use crate::evaluate::main_measure;
use crate::{Error, Result, plan};
use cupola_metrics::plain;
use cupola_nets::{Bound, Packing, Trainee};
use cupola_task::{Answer, Batch, Columns, Dataset, Draw, Field, MetricDef, Predictions, Table, Task, View};

/// Validation rows, and what is watched on them.
pub(crate) struct Judge<'a> {
    prepared: &'a Table,
    raw: Batch,
    weights: Option<Vec<f64>>,
    field: Field,
    watched: Watched,
    batch: usize,
}

enum Watched {
    Loss,
    Measure(MetricDef),
}

/// What an epoch is worth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    /// Mean loss.
    pub loss: f64,
    /// The watched measure, or the loss.
    pub score: f64,
    /// Higher is better, whatever is watched.
    pub worth: f64,
}

impl<'a> Judge<'a> {
    /// Validation rows, prepared and raw; none when there are none.
    ///
    /// # Errors
    /// When the recipe watches a measure that is not there or does not suit the task.
    pub fn new(prepared: &'a Table, raw: Batch, field: Field, task: Task, settings: &LoopSettings) -> Result<Option<Judge<'a>>> {
        let watched = match settings.watch.as_str() {
            "loss" => Watched::Loss,
            "auto" => Watched::Measure(*plan::metric("train.watch", main_measure(&field, task))?),
            name => Watched::Measure(*plan::metric("train.watch", name)?),
        };
        if let Watched::Measure(def) = &watched
            && !def.tasks.contains(&task)
        {
            let text = format!("train.watch={} does not suit target {}", def.name, field.name);
            return Err(Error::recipe("recipe", text).with_hint("train.watch=loss suits every network"));
        }
        if prepared.is_empty() {
            return Ok(None);
        }
        let weights = crate::load::weights(prepared.schema(), &raw)?;
        Ok(Some(Judge { prepared, raw, weights, field, watched, batch: settings.batch.unwrap_or(256).max(64) }))
    }

    /// What is watched.
    pub fn watched(&self) -> &'static str {
        match &self.watched {
            Watched::Loss => "loss",
            Watched::Measure(def) => def.name,
        }
    }

    /// How many rows are judged.
    pub fn rows(&self) -> u64 {
        self.prepared.len()
    }

    /// Judges weights.
    ///
    /// # Errors
    /// When the device fails.
    pub fn verdict(&self, trainee: &dyn Trainee, arena: &[f32]) -> Result<Verdict> {
        let bound = trainee.bind(arena);
        let (mut loss, mut weight) = (0.0, 0.0);
        let mut answer: Option<Answer> = None;
        let rows: Vec<u64> = (0..self.prepared.len()).collect();
        for rows in rows.chunks(self.batch) {
            let (batch_loss, batch_weight, predictions) = self.batch(trainee, arena, &bound, rows)?;
            loss += batch_loss * batch_weight;
            weight += batch_weight;
            let next = predictions.0.into_iter().next().map(|(_, answer)| answer);
            answer = match (answer, next) {
                (Some(before), Some(next)) => Some(joined(before, next)),
                (before, next) => before.or(next),
            };
        }
        let loss = loss / if weight > 0.0 { weight } else { 1.0 };
        let answer = answer.ok_or_else(|| Error::Data("the network answered nothing".into(), None))?;
        let (score, worth) = self.score(loss, &answer)?;
        Ok(Verdict { loss, score, worth })
    }

    fn batch(&self, trainee: &dyn Trainee, arena: &[f32], bound: &Bound, rows: &[u64]) -> Result<(f64, f64, Predictions)> {
        let batch = self.prepared.read(rows, Draw::default())?;
        let packed = trainee.collate(arena, &batch, &Packing { truth: true, ..Packing::default() })?;
        let (loss, predictions) = trainee.judge(arena, bound, &packed)?;
        Ok((loss, trainee.weight(&packed), predictions))
    }

    fn score(&self, loss: f64, answer: &Answer) -> Result<(f64, f64)> {
        let Watched::Measure(def) = &self.watched else { return Ok((loss, -loss)) };
        let view = View {
            truth: self.raw.targets.get(&self.field.name),
            weight: self.weights.as_deref(),
            inputs: &Columns::default(),
            keys: &self.raw.keys,
        };
        let value = cupola_metrics::value(&self.field, answer, view, &(*def, plain(def)))?;
        Ok((value, if def.is_score { value } else { -value }))
    }
}

fn joined(before: Answer, next: Answer) -> Answer {
    match (before, next) {
        (Answer::Scores { classes, mut values }, Answer::Scores { values: more, .. }) => {
            values.extend(more);
            Answer::Scores { classes, values }
        }
        (Answer::Numbers { mut values, .. }, Answer::Numbers { values: more, .. }) => {
            values.extend(more);
            Answer::Numbers { values, range: None }
        }
        (before, _) => unreachable!("a head answers classes or numbers, not {before:?}"),
    }
}
