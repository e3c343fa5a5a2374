//! Average precision: the mean, over the rows of a class, of the precision at their probability, without interpolation
//! (Zhu, "Recall, precision and average precision", 2004).
//!
//! Differs: scikit-learn refuses several classes of which one has no true row; here such a class is left out of the mean,
//! as it leaves out the classes that it does not see.

use crate::ranking::{AVERAGE, Area, Order, Ranking};
use crate::rows::Weights;
use cupola_task::{MetricDef, Task};

pub(crate) const DEF: MetricDef = MetricDef {
    name: "average_precision",
    doc: "The area under precision over recall, as steps; 0 when no row is of the class.",
    tasks: &[Task::Classify],
    is_score: true,
    best: 1.0,
    settings: &[AVERAGE],
    // It rests on the rows of the class; three fifths of them hold the coverage with few rows a class (`coverage.rs`).
    new: |field, settings| {
        Ok(Box::new(Ranking::new(
            "average_precision",
            field,
            settings,
            Area { value, shifts, rows: |positives, _| 0.6 * positives, skips_absent: true },
        )?))
    },
};

fn value(order: &Order, weights: &Weights, draw: Option<&[u32]>) -> f64 {
    let (mut found, mut taken, mut sum) = (0.0, 0.0, 0.0);
    order.groups(weights, draw, |positive, negative| {
        found += positive;
        taken += positive + negative;
        // Nothing taken is nothing found: 0 and no branch.
        sum += positive * found / taken.max(f64::MIN_POSITIVE);
    });
    // No row at all is undefined; rows of which none is positive count 0, as in scikit-learn.
    if taken > 0.0 && found == 0.0 { 0.0 } else { sum / found }
}

/// The derivative by each row's mass. A row adds its own precision when it is positive, and changes the precision of every
/// positive row ranked with or below it: found / taken.
fn shifts(order: &Order, weights: &Weights) -> Vec<f64> {
    let mut groups = Vec::new();
    let (mut found, mut taken) = (0.0, 0.0);
    order.groups(weights, None, |positive, negative| {
        found += positive;
        taken += positive + negative;
        groups.push([positive, found, taken]);
    });
    let average = value(order, weights, None);
    let mut shifts = vec![0.0; order.rows.len()];
    let (mut gain, mut loss, mut precision) = (0.0, 0.0, 0.0);
    let mut group = groups.iter().rev();
    for (place, &row) in order.rows.iter().enumerate().rev() {
        if order.last[place] {
            let [positive, found_here, taken_here] = *group.next().expect("every row is of a group");
            if taken_here > 0.0 {
                gain += positive / taken_here;
                loss += positive * found_here / (taken_here * taken_here);
                precision = found_here / taken_here;
            }
        }
        let own = if order.positive[place] { precision - average + gain } else { 0.0 };
        shifts[row as usize] = weights.at(row as usize) * (own - loss) / found;
    }
    if found > 0.0 { shifts } else { vec![0.0; order.rows.len()] }
}
