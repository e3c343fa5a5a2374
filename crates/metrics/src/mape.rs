//! Mean absolute percentage error, as a fraction: 0.1 is ten percent. As in scikit-learn a truth of 0 counts as the machine
//! precision, which makes the measure huge rather than infinite.

use crate::losses::{Loss, Losses};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "mape",
    doc: "The mean of the absolute difference of answer and truth as a fraction of the truth; huge where a truth is 0.",
    tasks: &[Task::Regress],
    is_score: false,
    best: 0.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Losses::new("mape", field, Loss::Number(loss), |mean| mean)?)),
};

fn loss(truth: f64, value: f64) -> f64 {
    (truth - value).abs() / truth.abs().max(f64::EPSILON)
}
