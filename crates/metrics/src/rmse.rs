//! Root of the mean squared error, in the target's unit.

use crate::losses::{Loss, Losses};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "rmse",
    doc: "The root of the mean squared difference of answer and truth, in the target's unit.",
    tasks: &[Task::Regress],
    is_score: false,
    best: 0.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Losses::new("rmse", field, Loss::Number(|truth, value| (truth - value).powi(2)), f64::sqrt)?)),
};
