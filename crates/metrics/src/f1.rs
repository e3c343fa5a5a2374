//! F1: the harmonic mean of precision and recall, `2 hit / (true + said)` (van Rijsbergen, "Information Retrieval", 1979).

use crate::tally::{AVERAGE, Average, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "f1",
    doc: "The harmonic mean of precision and recall; 0 when a class is neither true nor said.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[AVERAGE],
    new: |field, settings| {
        let average = Average::read(field, settings)?;
        let formula = |counts: &_, average: Average| average.apply(counts, |hit, truth, said| [2.0 * hit, truth + said]);
        Ok(Box::new(Tally::new("f1", field, formula, average, 0.0)?))
    },
};
