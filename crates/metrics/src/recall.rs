//! Recall: of the rows that are of a class, the share that is said to be.

use crate::tally::{AVERAGE, Average, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "recall",
    doc: "Of the rows that are of a class, the share that is said to be; 0 when none is.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[AVERAGE],
    new: |field, settings| {
        let average = Average::read(field, settings)?;
        Ok(Box::new(Tally::new("recall", field, |counts, average| average.apply(counts, |hit, truth, _| [hit, truth]), average, 0.0)?))
    },
};
