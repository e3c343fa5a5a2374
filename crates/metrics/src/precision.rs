//! Precision: of the rows said to be of a class, the share that is.

use crate::tally::{AVERAGE, Average, Tally};
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "precision",
    doc: "Of the rows said to be of a class, the share that is; 0 when none is said to be.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[AVERAGE],
    new: |field, settings| {
        let average = Average::read(field, settings)?;
        Ok(Box::new(Tally::new("precision", field, |counts, average| average.apply(counts, |hit, _, said| [hit, said]), average, 0.0)?))
    },
};
