//! Mean absolute error, in the target's unit.

use crate::losses::{Loss, Losses};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "mae",
    doc: "The mean of the absolute difference of answer and truth, in the target's unit.",
    tasks: &[Task::Regress],
    is_score: false,
    best: 0.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Losses::new("mae", field, Loss::Number(|truth, value| (truth - value).abs()), |mean| mean)?)),
};
