//! Matthews' correlation of truth and answer, for any number of classes (Gorodkin, "Comparing two K-category assignments
//! by a K-category correlation coefficient", Computational Biology and Chemistry 2004).

use crate::tally::{Average, Counts, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "mcc",
    doc: "Matthews' correlation of truth and answer: 1 perfect, 0 no better than chance; 0 when either is a single class.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Tally::new("mcc", field, |counts, _| value(counts), Average::Micro, -1.0)?)),
};

fn value(counts: &Counts) -> f64 {
    // A single class has no variance. Asked of the classes, not of the difference, which rounding keeps from being 0.
    if is_single(&counts.truth) || is_single(&counts.said) {
        return 0.0;
    }
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (total, right) = (counts.total(), counts.hit.iter().sum::<f64>());
    let covariance = right * total - dot(&counts.truth, &counts.said);
    let of_truth = total * total - dot(&counts.truth, &counts.truth);
    let of_said = total * total - dot(&counts.said, &counts.said);
    covariance / (of_truth * of_said).sqrt()
}

fn is_single(masses: &[f64]) -> bool {
    masses.iter().filter(|mass| **mass > 0.0).count() < 2
}
