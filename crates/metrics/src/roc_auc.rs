//! ROC-AUC: the probability that a row of the class is ranked above one that is not, ties counting half (Fawcett, "An
//! introduction to ROC analysis", 2006). With more than two classes each stands against the rest.

use crate::ranking::{AVERAGE, Area, Order, Ranking};
use crate::rows::Weights;
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "roc_auc",
    doc: "The probability that a row of a class is ranked above one that is not; undefined when a class has no row.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[AVERAGE],
    new: |field, settings| Ok(Box::new(Ranking::new("roc_auc", field, settings, Area { value, shifts, rows, skips_absent: false })?)),
};

fn value(order: &Order, weights: &Weights, draw: Option<&[u32]>) -> f64 {
    let (mut above, mut below, mut area) = (0.0, 0.0, 0.0);
    order.groups(weights, draw, |positive, negative| {
        area += negative * (above + 0.5 * positive);
        above += positive;
        below += negative;
    });
    area / (above * below)
}

/// Four fifths of the harmonic mean, which holds the coverage with more than two classes too (`coverage.rs`).
fn rows(positives: f64, negatives: f64) -> f64 {
    1.6 * positives * negatives / (positives + negatives)
}

/// DeLong's placements: for a positive row the share of negatives below it, for a negative one that of positives above.
fn shifts(order: &Order, weights: &Weights) -> Vec<f64> {
    let mut groups = Vec::new();
    order.groups(weights, None, |positive, negative| groups.push([positive, negative]));
    let [positives, negatives] = groups.iter().fold([0.0, 0.0], |[p, n], [positive, negative]| [p + positive, n + negative]);
    let area = value(order, weights, None);
    let mut shifts = vec![0.0; order.rows.len()];
    let (mut above, mut below, mut group) = (0.0, negatives, groups.iter());
    let [mut positive, mut negative] = [0.0, 0.0];
    let mut is_first = true;
    for (place, &row) in order.rows.iter().enumerate() {
        if is_first {
            [positive, negative] = *group.next().expect("every row is of a group");
            below -= negative;
        }
        let share = if order.positive[place] {
            ((below + 0.5 * negative) / negatives - area) / positives
        } else {
            ((above + 0.5 * positive) / positives - area) / negatives
        };
        shifts[row as usize] = share * weights.at(row as usize);
        is_first = order.last[place];
        if is_first {
            above += positive;
        }
    }
    shifts
}
