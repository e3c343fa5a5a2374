//! Log loss: the mean of minus the natural logarithm of the true class's probability (Bishop, "Pattern Recognition and
//! Machine Learning", 4.3). As scikit-learn does, probabilities are kept within the machine precision of 0 and 1, and not
//! scaled to sum to 1. A class that the model does not know has probability 0, which costs 36.04.

use crate::losses::{Loss, Losses};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "log_loss",
    doc: "The mean of minus the logarithm of the true class's probability (cross-entropy).",
    tasks: &[Task::Classify],
    is_score: false,
    best: 0.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Losses::new("log_loss", field, Loss::Class(loss), |mean| mean)?)),
};

fn loss(row: &[f64], truth: Option<usize>) -> f64 {
    let probability = truth.map_or(0.0, |place| row[place]);
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}
