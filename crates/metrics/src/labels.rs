//! Measures of answers that are sets of labels, by scikit-learn's names and formulas.
//!
//! | measure | scikit-learn |
//! |---|---|
//! | `subset_accuracy` | `accuracy_score` of indicator matrices |
//! | `hamming_loss` | `hamming_loss` |
//! | `f1_micro`, `f1_macro`, `f1_samples` | `f1_score(average=...)`, 0 where nothing is true and nothing answered |
//! | `jaccard_samples` | `jaccard_score(average="samples")`, likewise |
//! | `label_ranking_average_precision` | `label_ranking_average_precision_score` (Tsoumakas, Katakis and Vlahavas, 2010) |
//! | `coverage_error` | `coverage_error`: how many of the most probable labels hold all true ones |

use crate::score::{Sampling, Score, resampled, spread};
use cupola_task::{Error, Result};
use rayon::prelude::*;

/// Rows of truth and answer over the same labels, row by row.
#[derive(Clone, Copy, Debug)]
pub struct LabelSets<'a> {
    /// How many labels there are.
    pub labels: usize,
    /// Whether a row has a label.
    pub truth: &'a [bool],
    /// Whether the label is answered.
    pub answer: &'a [bool],
    /// Its probability.
    pub probability: &'a [f64],
    /// One weight a row; none: all alike.
    pub weight: Option<&'a [f64]>,
}

/// The measures and whether more of them is better, in their order.
pub const LABEL_METRICS: [(&str, bool); 8] = [
    ("f1_micro", true),
    ("f1_macro", true),
    ("f1_samples", true),
    ("jaccard_samples", true),
    ("subset_accuracy", true),
    ("hamming_loss", false),
    ("label_ranking_average_precision", true),
    ("coverage_error", false),
];

type Values = [f64; LABEL_METRICS.len()];

/// All measures with their intervals, by bootstrap over rows.
///
/// # Errors
/// When there is no row, or truth, answer and weights are not of the same rows.
pub fn label_scores(sets: LabelSets<'_>, sampling: Sampling) -> Result<Vec<Score>> {
    let rows = rows(&sets)?;
    let told = Told::of(sets, rows);
    Ok(scored(|counts| told.values(counts), rows, sampling))
}

/// By how much the measures of the first answers exceed those of the second on the same rows, with intervals: one set of resamples for both.
///
/// # Errors
/// As [`label_scores`], and when the two are not of the same rows.
pub fn label_differences(sets: [LabelSets<'_>; 2], sampling: Sampling) -> Result<Vec<Score>> {
    let [rows, others] = [rows(&sets[0])?, rows(&sets[1])?];
    if rows != others {
        return Err(Error::input("labels", format!("answers to {rows} and to {others} rows"), "answers to the same rows"));
    }
    let told = sets.map(|sets| Told::of(sets, rows));
    let difference = |counts: Option<&[u32]>| -> Values {
        let [first, second] = [told[0].values(counts), told[1].values(counts)];
        std::array::from_fn(|place| first[place] - second[place])
    };
    Ok(scored(difference, rows, sampling))
}

fn rows(sets: &LabelSets<'_>) -> Result<usize> {
    let rows = sets.truth.len() / sets.labels.max(1);
    let is_even = [sets.truth.len(), sets.answer.len(), sets.probability.len()].iter().all(|len| *len == rows * sets.labels);
    if rows == 0 || !is_even || sets.weight.is_some_and(|weight| weight.len() != rows) {
        return Err(Error::input("labels", "truth and answers of different rows, or none", "at least one row, and one of each for it"));
    }
    Ok(rows)
}

fn scored(values: impl Fn(Option<&[u32]>) -> Values + Sync, rows: usize, sampling: Sampling) -> Vec<Score> {
    let whole = values(None);
    let draws = crate::score::draws(rows, sampling);
    let resamples: Vec<Values> = (0..draws).into_par_iter().map(|step| values(Some(&resampled(rows, sampling.draw, step)))).collect();
    let score = |(place, (name, is_score)): (usize, &(&'static str, bool))| {
        let value = whole[place];
        let mut drawn: Vec<f64> = resamples.iter().map(|values| values[place]).collect();
        let [low, high] = if rows < 2 { [f64::NAN; 2] } else { spread(&mut drawn, value, rows, sampling.level) };
        Score { name, value, low, high, is_score: *is_score }
    };
    LABEL_METRICS.iter().enumerate().map(score).collect()
}

/// What each row tells.
struct Told<'a> {
    sets: LabelSets<'a>,
    /// The measures that are means over rows, from `f1_samples` on.
    rows: Vec<[f64; LABEL_METRICS.len() - 2]>,
}

impl Told<'_> {
    fn of(sets: LabelSets<'_>, rows: usize) -> Told<'_> {
        let row = |row: usize| {
            let range = row * sets.labels..(row + 1) * sets.labels;
            let (truth, answer, probability) = (&sets.truth[range.clone()], &sets.answer[range.clone()], &sets.probability[range]);
            let both = truth.iter().zip(answer).filter(|(truth, answer)| **truth && **answer).count() as f64;
            let wrong = truth.iter().zip(answer).filter(|(truth, answer)| truth != answer).count() as f64;
            let share = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
            [
                share(2.0 * both, 2.0 * both + wrong),
                share(both, both + wrong),
                f64::from(u8::from(wrong == 0.0)),
                wrong / sets.labels as f64,
                ranked(truth, probability),
                covered(truth, probability),
            ]
        };
        Told { sets, rows: (0..rows).into_par_iter().map(row).collect() }
    }

    fn weight(&self, row: usize, counts: Option<&[u32]>) -> f64 {
        self.sets.weight.map_or(1.0, |weight| weight[row]) * counts.map_or(1.0, |counts| f64::from(counts[row]))
    }

    fn values(&self, counts: Option<&[u32]>) -> Values {
        // For each label: the weight of rows that have it and are answered it, and of those where the two differ.
        let mut tallies = vec![[0.0; 2]; self.sets.labels];
        let (mut sums, mut total) = ([0.0; LABEL_METRICS.len() - 2], 0.0);
        for (row, told) in self.rows.iter().enumerate() {
            let weight = self.weight(row, counts);
            if weight == 0.0 {
                continue;
            }
            total += weight;
            sums.iter_mut().zip(told).for_each(|(sum, value)| *sum += weight * value);
            let at = row * self.sets.labels;
            for (label, tally) in tallies.iter_mut().enumerate() {
                match (self.sets.truth[at + label], self.sets.answer[at + label]) {
                    (true, true) => tally[0] += weight,
                    (false, false) => {}
                    _ => tally[1] += weight,
                }
            }
        }
        let f1 = |[both, wrong]: [f64; 2]| if both + wrong == 0.0 { 0.0 } else { 2.0 * both / (2.0 * both + wrong) };
        let all = tallies.iter().fold([0.0; 2], |sum, tally| [sum[0] + tally[0], sum[1] + tally[1]]);
        let mut values = [0.0; LABEL_METRICS.len()];
        values[0] = f1(all);
        values[1] = tallies.iter().map(|tally| f1(*tally)).sum::<f64>() / self.sets.labels as f64;
        values[2..].iter_mut().zip(sums).for_each(|(value, sum)| *value = sum / total);
        values
    }
}

/// For each true label the share of true ones among those that are at least as probable, in the mean; 1 where none or all are true.
fn ranked(truth: &[bool], probability: &[f64]) -> f64 {
    let relevant = truth.iter().filter(|truth| **truth).count();
    if relevant == 0 || relevant == truth.len() {
        return 1.0;
    }
    let own = (0..truth.len()).filter(|label| truth[*label]).map(|label| {
        let above = (0..truth.len()).filter(|other| probability[*other] >= probability[label]);
        let (all, right) = above.fold((0.0, 0.0), |(all, right), other| (all + 1.0, right + f64::from(u8::from(truth[other]))));
        right / all
    });
    own.sum::<f64>() / relevant as f64
}

/// How many labels are at least as probable as the least probable true one; 0 where none is true.
fn covered(truth: &[bool], probability: &[f64]) -> f64 {
    let least =
        truth.iter().zip(probability).filter(|(truth, _)| **truth).map(|(_, probability)| *probability).fold(f64::INFINITY, f64::min);
    probability.iter().filter(|probability| **probability >= least).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Sums run in another order than numpy's.
    const TOLERANCE: f64 = 1e-12;

    #[test]
    fn values_equal_scikit_learns() {
        let file: Value = serde_json::from_str(include_str!("../parity/labels.json")).unwrap();
        let numbers = |value: &Value| value.as_array().unwrap().iter().map(|item| item.as_f64().unwrap()).collect::<Vec<f64>>();
        let flags = |value: &Value| value.as_str().unwrap().chars().map(|c| c == '1').collect::<Vec<bool>>();
        let mut checked = 0;
        for case in file["cases"].as_array().unwrap() {
            let labels = case["labels"].as_u64().unwrap() as usize;
            let (truth, answer) = (flags(&case["truth"]), flags(&case["answer"]));
            let probability: Vec<f64> = numbers(&case["probability"]).iter().map(|value| value / 16.0).collect();
            let weight = case["weight"].is_array().then(|| numbers(&case["weight"]));
            let sets = LabelSets { labels, truth: &truth, answer: &answer, probability: &probability, weight: weight.as_deref() };
            for score in label_scores(sets, Sampling { draws: 50, ..Sampling::default() }).unwrap() {
                let wanted = case["expected"][score.name].as_f64().unwrap();
                assert!((score.value - wanted).abs() < TOLERANCE, "{} of {labels} labels: {} is not {wanted}", score.name, score.value);
                assert!(score.low.is_nan() || score.low <= score.value && score.value <= score.high, "{score:?}");
                checked += 1;
            }
        }
        assert!(checked >= 160, "{checked}");
    }

    #[test]
    fn what_does_not_suit_is_refused() {
        let sets = LabelSets { labels: 2, truth: &[true, false], answer: &[true], probability: &[0.5, 0.5], weight: None };
        assert!(label_scores(sets, Sampling::default()).is_err());
        assert!(label_scores(LabelSets { truth: &[], answer: &[], probability: &[], ..sets }, Sampling::default()).is_err());
        let one = LabelSets { answer: &[true, true], ..sets };
        let two = LabelSets { truth: &[true; 4], answer: &[true; 4], probability: &[0.5; 4], ..sets };
        assert!(label_differences([one, two], Sampling::default()).is_err());
        let same = label_differences([two, two], Sampling::default()).unwrap();
        assert!(same.iter().all(|score| [score.value, score.low, score.high] == [0.0; 3]), "{same:?}");
    }
}
