//! R2: the share of the truth's variance that the answers explain. As scikit-learn has it, a constant truth gives 1 when
//! every answer is right and 0 otherwise, and a single row gives NaN.

use crate::interval::skewed_mean;
use crate::rows::{self, Weights};
use cupola_task::{Answer, Metric, MetricDef, Result, Task, View};
use std::any::Any;

pub(crate) const DEF: MetricDef = MetricDef {
    name: "r2",
    doc: "The share of the truth's variance that the answers explain; 0 for always answering the mean, negative when worse.",
    tasks: &[Task::Regress],
    is_score: true,
    best: 1.0,
    settings: &[],
    new: |field, _| rows::number(field).map(|()| Box::new(Explained::default()) as Box<dyn Metric>),
};

/// The measure: each row's truth and squared error.
#[derive(Clone, Default)]
pub(crate) struct Explained {
    truth: Vec<f64>,
    errors: Vec<f64>,
    weights: Weights,
}

/// The sums of squares that R2 is made of.
struct Sums {
    mean: f64,
    errors: f64,
    spread: f64,
}

impl Explained {
    fn sums(&self, draw: Option<&[u32]>) -> Sums {
        let (mut sum, mut total) = (0.0, 0.0);
        self.weights.each(draw, |row, mass| {
            sum += mass * self.truth[row];
            total += mass;
        });
        let mut sums = Sums { mean: sum / total, errors: 0.0, spread: 0.0 };
        self.weights.each(draw, |row, mass| {
            sums.errors += mass * self.errors[row];
            sums.spread += mass * (self.truth[row] - sums.mean).powi(2);
        });
        sums
    }

    /// The interval of the logarithm of the unexplained share, whose rows are nearer to normal than the share's.
    pub(crate) fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let sums = self.sums(None);
        if !(sums.errors > 0.0 && sums.spread > 0.0) {
            return None;
        }
        // What leaving a row out does, exactly: the derivative would make light of the largest errors.
        let shift = |row: usize| {
            let weight = self.weights.at(row);
            let (error, spread) = (weight * self.errors[row], weight * (self.truth[row] - sums.mean).powi(2));
            (-spread / sums.spread).ln_1p() - (-error / sums.errors).ln_1p()
        };
        let mut shifts: Vec<f64> = (0..self.truth.len()).map(shift).collect();
        let mean = shifts.iter().sum::<f64>() / shifts.len() as f64;
        shifts.iter_mut().for_each(|shift| *shift -= mean);
        let [low, high] = skewed_mean((sums.errors / sums.spread).ln(), &shifts, level)?;
        Some([1.0 - high.exp(), 1.0 - low.exp()])
    }
}

impl Metric for Explained {
    fn update(&mut self, view: View<'_>, answer: &Answer) -> Result<()> {
        let values = rows::values(answer)?;
        let truth = rows::numbers(&view, values.len())?;
        self.weights.push(view.weight, values.len())?;
        self.truth.extend_from_slice(truth);
        self.errors.extend(truth.iter().zip(values).map(|(truth, value)| (truth - value).powi(2)));
        Ok(())
    }

    fn merge(&mut self, other: &dyn Metric) -> Result<()> {
        let other = other.as_any().downcast_ref::<Explained>().ok_or_else(rows::not_alike)?;
        self.truth.extend_from_slice(&other.truth);
        self.errors.extend_from_slice(&other.errors);
        self.weights.merge(&other.weights);
        Ok(())
    }

    fn items(&self) -> usize {
        self.truth.len()
    }

    fn value(&self, draw: Option<&[u32]>) -> Result<f64> {
        if self.truth.is_empty() {
            return Err(rows::no_rows());
        }
        let Sums { errors, spread, .. } = self.sums(draw);
        Ok(match self.truth.len() {
            1 => f64::NAN,
            _ if errors == 0.0 => 1.0,
            _ if spread == 0.0 => 0.0,
            _ => 1.0 - errors / spread,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
