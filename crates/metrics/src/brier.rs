//! Brier score: the mean squared difference of probabilities and truth (Brier, "Verification of forecasts expressed in terms
//! of probability", 1950). For two classes it is that of the positive class, between 0 and 1; for more the sum over the
//! classes, between 0 and 2: scikit-learn's `scale_by_half="auto"`.

use crate::losses::{Loss, Losses};
use crate::rows;
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "brier",
    doc: "The mean squared difference of probabilities and truth; summed over the classes when there are more than two.",
    tasks: &[Task::Classify],
    is_score: false,
    best: 0.0,
    settings: &[],
    new: |field, _| {
        let is_binary = rows::classes(field)?.len() <= 2;
        let loss = if is_binary { |row: &[f64], truth: Option<usize>| 0.5 * sum(row, truth) } else { sum };
        Ok(Box::new(Losses::new("brier", field, Loss::Class(loss), |mean| mean)?))
    },
};

fn sum(row: &[f64], truth: Option<usize>) -> f64 {
    let unknown = if truth.is_none() { 1.0 } else { 0.0 };
    let square = |(place, value): (usize, &f64)| (if truth == Some(place) { 1.0 - value } else { *value }).powi(2);
    row.iter().enumerate().map(square).sum::<f64>() + unknown
}
