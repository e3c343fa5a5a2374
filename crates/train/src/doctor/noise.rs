//! Labels that look wrong, by confident learning: rows that a model which learned without them says are confidently of another class
//! ([`Filter::ConfidentLearning`]). For numbers there are no such classes: rows whose error is far beyond all others are named.

use crate::confident::{Filter, Judged};
use serde::{Deserialize, Serialize};

/// Suspects that are named.
const SUSPECTS_MAX: usize = 10;
/// An error of a number counts as far beyond the others from so many median errors on: of normal errors one in a billion.
const MEDIANS_FAR: f64 = 9.0;

/// What was found about labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Rows that were looked at.
    pub rows: u64,
    /// Rows whose label looks wrong.
    pub count: u64,
    /// The most suspicious ones.
    pub suspects: Vec<Suspect>,
}

/// A row whose label looks wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Suspect {
    /// Where it stands.
    pub place: String,
    /// What its label is.
    pub label: String,
    /// What the model, learned without it, says.
    pub answer: String,
    /// The probability that it gives to the label; of a number its error.
    pub own: f64,
}

/// Suspects among rows of so many classes: `values` is row-major, `truth` the place of each row's label. Gives rows with the likelier class, the
/// most suspicious first.
pub(super) fn of_classes(classes: usize, values: &[f64], truth: &[Option<usize>]) -> Vec<(usize, usize)> {
    let rows: Vec<usize> = (0..truth.len()).filter(|&row| truth[row].is_some()).collect();
    let labels: Vec<usize> = rows.iter().filter_map(|&row| truth[row]).collect();
    let probabilities: Vec<f64> = rows.iter().flat_map(|row| &values[row * classes..(row + 1) * classes]).copied().collect();
    let judged = Judged { labels: &labels, probabilities: &probabilities, classes };
    let (issues, suggested, scores) = (judged.issues(Filter::ConfidentLearning), judged.suggested(), judged.scores());
    let mut suspects: Vec<usize> = (0..rows.len()).filter(|&place| issues[place]).collect();
    suspects.sort_by(|&a, &b| scores[a][1].total_cmp(&scores[b][1]).then(a.cmp(&b)));
    suspects.into_iter().map(|place| (rows[place], suggested[place])).collect()
}

/// Rows whose error is far beyond the others', the largest first.
pub(super) fn of_numbers(truth: &[f64], values: &[f64]) -> Vec<usize> {
    let mut errors: Vec<(usize, f64)> = truth.iter().zip(values).map(|(truth, value)| (truth - value).abs()).enumerate().collect();
    errors.sort_by(|a, b| b.1.total_cmp(&a.1));
    let median = errors.get(errors.len() / 2).map_or(0.0, |error| error.1);
    errors.into_iter().take_while(|(_, error)| median > 0.0 && *error > MEDIANS_FAR * median).map(|(row, _)| row).collect()
}

impl Noise {
    pub(super) fn new(rows: usize, suspects: Vec<Suspect>) -> Noise {
        let count = suspects.len() as u64;
        Noise { rows: rows as u64, count, suspects: suspects.into_iter().take(SUSPECTS_MAX).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn flipped_labels_are_found() {
        let draw = Draw::new(2);
        let (mut values, mut truth, mut flipped) = (vec![], vec![], vec![]);
        for row in 0..2000 {
            let is_yes = draw.uniform(row) < 0.5;
            let p = if is_yes { 0.75 + 0.24 * draw.uniform(10_000 + row) } else { 0.25 * draw.uniform(20_000 + row) };
            let is_flipped = draw.uniform(30_000 + row) < 0.05;
            values.extend([1.0 - p, p]);
            truth.push(Some(usize::from(is_yes != is_flipped)));
            flipped.push(is_flipped);
        }
        let found = of_classes(2, &values, &truth);
        let right = found.iter().filter(|(row, _)| flipped[*row]).count();
        let all = flipped.iter().filter(|flipped| **flipped).count();
        assert!(right as f64 >= 0.5 * all as f64 && right as f64 >= 0.95 * found.len() as f64, "{right} of {all}, {} named", found.len());
        let numbers: Vec<f64> = (0..200).map(|row| draw.normal(row)).collect();
        let mut wrong = numbers.clone();
        wrong[17] += 90.0;
        let answers: Vec<f64> = numbers.iter().zip(500..).map(|(number, row)| number + 0.3 * draw.normal(row)).collect();
        assert_eq!((of_numbers(&wrong, &answers), of_numbers(&numbers, &answers)), (vec![17], vec![]));
    }
}
