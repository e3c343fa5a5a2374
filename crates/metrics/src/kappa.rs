//! Cohen's kappa: agreement beyond chance (Cohen, "A coefficient of agreement for nominal scales", 1960).

use crate::tally::{Average, Counts, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "kappa",
    doc: "Cohen's kappa: how much better than chance truth and answer agree; undefined when both are one and the same class.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[],
    new: |field, _| Ok(Box::new(Tally::new("kappa", field, |counts, _| value(counts), Average::Micro, -1.0)?)),
};

fn value(counts: &Counts) -> f64 {
    let total = counts.total();
    let masses = || counts.truth.iter().zip(&counts.said);
    if masses().filter(|(truth, said)| **truth + **said > 0.0).count() < 2 {
        return f64::NAN;
    }
    let by_chance: f64 = masses().map(|(truth, said)| truth * said).sum::<f64>() / total;
    let agreed: f64 = counts.hit.iter().sum();
    1.0 - (total - agreed) / (total - by_chance)
}
