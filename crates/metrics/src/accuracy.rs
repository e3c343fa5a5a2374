//! Accuracy: the share of rows whose class is right.

use crate::tally::{Average, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "accuracy",
    doc: "The share of rows whose answered class is the true one; its detail is the confusion matrix.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[],
    new: |field, _| {
        Ok(Box::new(Tally::new("accuracy", field, |counts, _| counts.hit.iter().sum::<f64>() / counts.total(), Average::Micro, 0.0)?))
    },
};
