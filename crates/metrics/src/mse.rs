//! Mean squared error.

use crate::losses::{Loss, Losses};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "mse",
    doc: "The mean of the squared difference of answer and truth.",
    tasks: &[Task::Regress],
    is_score: false,
    best: 0.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Losses::new("mse", field, Loss::Number(|truth, value| (truth - value).powi(2)), |mean| mean)?)),
};
