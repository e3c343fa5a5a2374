//! What measures share that are a weighted mean of one loss a row.

use crate::interval::skewed_mean;
use crate::rows::{self, Labels, Weights};
use cupola_task::{Answer, Field, Metric, Result, View};
use std::any::Any;

/// A row's loss.
#[derive(Clone, Copy)]
pub(crate) enum Loss {
    /// Of the true number and the answered one.
    Number(fn(f64, f64) -> f64),
    /// Of the row's probabilities and the place of the true class among them, none when the model does not know it.
    Class(fn(&[f64], Option<usize>) -> f64),
}

/// A mean loss.
#[derive(Clone)]
pub(crate) struct Losses {
    name: &'static str,
    loss: Loss,
    finish: fn(f64) -> f64,
    labels: Option<Labels>,
    losses: Vec<f64>,
    weights: Weights,
}

impl Losses {
    /// An empty measure for a target that suits the loss. `finish` makes the measure of the mean and must be increasing.
    pub(crate) fn new(name: &'static str, field: &Field, loss: Loss, finish: fn(f64) -> f64) -> Result<Losses> {
        let labels = match loss {
            Loss::Number(_) => rows::number(field).map(|()| None)?,
            Loss::Class(_) => Some(Labels::new(rows::classes(field)?)),
        };
        Ok(Losses { name, loss, finish, labels, losses: vec![], weights: Weights::default() })
    }

    fn mean(&self, draw: Option<&[u32]>) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        self.weights.each(draw, |row, mass| {
            sum += mass * self.losses[row];
            total += mass;
        });
        sum / total
    }

    /// The interval of the mean, carried over to the measure.
    pub(crate) fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let (mean, total) = (self.mean(None), self.weights.total());
        let shifts: Vec<f64> = (0..self.losses.len()).map(|row| (self.losses[row] - mean) * self.weights.at(row) / total).collect();
        let smallest = self.losses.iter().copied().fold(f64::INFINITY, f64::min);
        skewed_mean(mean, &shifts, level).map(|[low, high]| [(self.finish)(low.max(smallest)), (self.finish)(high)])
    }
}

fn number_losses(loss: fn(f64, f64) -> f64, view: &View<'_>, answer: &Answer) -> Result<Vec<f64>> {
    let values = rows::values(answer)?;
    let truth = rows::numbers(view, values.len())?;
    Ok(truth.iter().zip(values).map(|(&truth, &value)| loss(truth, value)).collect())
}

fn class_losses(loss: fn(&[f64], Option<usize>) -> f64, view: &View<'_>, answer: &Answer) -> Result<Vec<f64>> {
    let (classes, values) = rows::scores(answer)?;
    let names = rows::names(view, answer.len())?;
    let places = Labels::new(classes);
    let place = |name: &str| places.find(name).map(|code| code as usize);
    Ok(names.iter().flatten().zip(values.chunks_exact(classes.len())).map(|(name, row)| loss(row, place(name))).collect())
}

impl Metric for Losses {
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()> {
        let losses = match self.loss {
            Loss::Number(loss) => number_losses(loss, &view, answer)?,
            Loss::Class(loss) => class_losses(loss, &view, answer)?,
        };
        self.weights.push(view.weight, losses.len())?;
        self.losses.extend(losses);
        Ok(())
    }

    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = other.as_any().downcast_ref::<Losses>().ok_or_else(rows::not_alike)?;
        if self.name != other.name || self.labels != other.labels {
            return Err(rows::not_alike());
        }
        self.losses.extend_from_slice(&other.losses);
        self.weights.merge(&other.weights);
        Ok(())
    }

    fn items(&self) -> usize {
        self.losses.len()
    }

    fn value(&self, draw: Option<&[u32]>) -> Result<f64> {
        if self.losses.is_empty() {
            return Err(rows::no_rows());
        }
        Ok((self.finish)(self.mean(draw)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
