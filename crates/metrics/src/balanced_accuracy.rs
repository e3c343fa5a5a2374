//! Balanced accuracy: the mean over the classes of the share of their rows that is found (Brodersen et al., "The balanced
//! accuracy and its posterior distribution", ICPR 2010).

use crate::tally::{Average, Counts, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "balanced_accuracy",
    doc: "The mean of the recalls of the classes that occur, so that rare classes count as much as common ones.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Tally::new("balanced_accuracy", field, |counts, _| value(counts), Average::Macro, 0.0)?)),
};

fn value(counts: &Counts) -> f64 {
    let recalls = || counts.hit.iter().zip(&counts.truth).filter(|(_, truth)| **truth > 0.0).map(|(hit, truth)| hit / truth);
    recalls().sum::<f64>() / recalls().count() as f64
}
