//! Confident learning: which labels are likely wrong, from probabilities of a model that had not seen the row (Northcutt, Jiang, Chuang, "Confident
//! learning: estimating uncertainty in dataset labels", Journal of Artificial Intelligence Research 70, 2021).
//!
//! A class's threshold is the mean probability that its own rows have for it. A row counts as confidently of the most probable class whose threshold it
//! reaches; counted by given label and confident class these rows make the *confident joint*, which is scaled to the given labels. Its places off the
//! diagonal say how many rows of one class are likely of another, and those with the largest margin between both are taken.

use cupola_task::argmax;

/// How suspects are chosen, by the names that cleanlab gives them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filter {
    /// From each pair of classes as many as the joint says, those with the largest margins.
    PruneByNoiseRate,
    /// From each class as many as the joint says, those with the least self-confidence.
    PruneByClass,
    /// What both of these take.
    Both,
    /// All that are confidently of another class.
    ConfidentLearning,
    /// All that the model answers otherwise.
    PredictedNeqGiven,
}

impl Filter {
    /// The words of the registry.
    pub const WORDS: &[&str] = &["prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"];

    /// The filter of a word that was checked.
    pub fn open(word: &str) -> Filter {
        match word {
            "prune_by_class" => Filter::PruneByClass,
            "both" => Filter::Both,
            "confident_learning" => Filter::ConfidentLearning,
            "predicted_neq_given" => Filter::PredictedNeqGiven,
            _ => Filter::PruneByNoiseRate,
        }
    }
}

/// Labels with the probabilities of all classes, row by row.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub labels: &'a [usize],
    pub probabilities: &'a [f64],
    pub classes: usize,
}

/// A mean of equal numbers may round to above them.
const SLACK: f64 = 1e-6;

impl Judged<'_> {
    fn row(&self, row: usize) -> &[f64] {
        &self.probabilities[row * self.classes..(row + 1) * self.classes]
    }

    fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.classes];
        self.labels.iter().for_each(|label| counts[*label] += 1);
        counts
    }

    /// The confident class of each row, where it reaches a threshold.
    fn confident(&self) -> Vec<Option<usize>> {
        let counts = self.counts();
        let mut thresholds = vec![0.0; self.classes];
        self.labels.iter().enumerate().for_each(|(row, &label)| thresholds[label] += self.row(row)[label]);
        let threshold = |class: usize| if counts[class] > 0 { thresholds[class] / counts[class] as f64 } else { f64::INFINITY };
        let confident = |row: usize| {
            let own = self.row(row);
            let reached = (0..self.classes).filter(|&class| own[class] >= threshold(class) - SLACK);
            reached.rev().max_by(|&a, &b| own[a].total_cmp(&own[b]))
        };
        (0..self.labels.len()).map(confident).collect()
    }

    /// The confident joint, given label by likely one, scaled so that each row adds up to the rows with that label.
    pub fn joint(&self) -> Vec<Vec<u64>> {
        let mut raw = vec![vec![0u64; self.classes]; self.classes];
        for (label, class) in self.labels.iter().zip(self.confident()) {
            if let Some(class) = class {
                raw[*label][class] += 1;
            }
        }
        // Every class is taken to have a row that is labelled right.
        (0..self.classes).for_each(|class| raw[class][class] = raw[class][class].max(1));
        raw.iter().zip(self.counts()).map(|(row, count)| scaled(row, count)).collect()
    }

    /// Which rows are likely mislabelled.
    pub fn issues(&self, filter: Filter) -> Vec<bool> {
        let predicted: Vec<usize> = argmax(self.probabilities, self.classes).collect();
        let mut issues = match filter {
            Filter::PruneByNoiseRate => self.by_noise_rate(),
            Filter::PruneByClass => self.by_class(),
            Filter::Both => self.by_noise_rate().into_iter().zip(self.by_class()).map(|(one, other)| one && other).collect(),
            Filter::ConfidentLearning => {
                self.confident().iter().zip(self.labels).map(|(class, label)| class.is_some_and(|class| class != *label)).collect()
            }
            Filter::PredictedNeqGiven => vec![true; self.labels.len()],
        };
        issues.iter_mut().zip(predicted.iter().zip(self.labels)).for_each(|(issue, (class, label))| *issue &= class != label);
        issues
    }

    fn by_noise_rate(&self) -> Vec<bool> {
        let (joint, counts) = (self.joint(), self.counts());
        let mut issues = vec![false; self.labels.len()];
        for given in (0..self.classes).filter(|&class| counts[class] > 1) {
            for likely in (0..self.classes).filter(|&class| class != given && joint[given][class] > 0) {
                let margin = |row: usize| self.row(row)[likely] - self.row(row)[given];
                self.largest(given, joint[given][likely] as usize, margin, &mut issues);
            }
        }
        issues
    }

    fn by_class(&self) -> Vec<bool> {
        let (joint, counts) = (self.joint(), self.counts());
        let mut issues = vec![false; self.labels.len()];
        for given in (0..self.classes).filter(|&class| counts[class] > 1) {
            let wrong = counts[given] - joint[given][given].min(counts[given]);
            self.largest(given, wrong as usize, |row| -self.row(row)[given], &mut issues);
        }
        issues
    }

    /// Marks the rows of a label with the so many largest numbers, ties included.
    fn largest(&self, given: usize, count: usize, of: impl Fn(usize) -> f64, issues: &mut [bool]) {
        let rows: Vec<usize> = (0..self.labels.len()).filter(|&row| self.labels[row] == given).collect();
        let mut sorted: Vec<f64> = rows.iter().map(|&row| of(row)).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let Some(least) = count.checked_sub(1).and_then(|at| sorted.get(at.min(sorted.len().saturating_sub(1)))) else { return };
        rows.iter().filter(|row| of(**row) >= *least).for_each(|row| issues[*row] = true);
    }

    /// For each row the probability of its label (self-confidence), and by how much that exceeds the best other one, scaled to 0..1 (normalised margin).
    pub fn scores(&self) -> Vec<[f64; 2]> {
        let score = |(row, label): (usize, &usize)| {
            let own = self.row(row);
            let other = own.iter().enumerate().filter(|(class, _)| class != label).map(|(_, p)| *p).fold(0.0, f64::max);
            [own[*label], (own[*label] - other + 1.0) / 2.0]
        };
        self.labels.iter().enumerate().map(score).collect()
    }

    /// The most probable class of each row other than its label.
    pub fn suggested(&self) -> Vec<usize> {
        let best = |(row, label): (usize, &usize)| {
            let own = self.row(row);
            (0..self.classes).filter(|class| class != label).rev().max_by(|&a, &b| own[a].total_cmp(&own[b])).unwrap_or(*label)
        };
        self.labels.iter().enumerate().map(best).collect()
    }
}

/// Counts scaled to a total, in whole numbers: what rounding takes away goes to the largest remainders.
fn scaled(row: &[u64], total: u64) -> Vec<u64> {
    let sum = row.iter().sum::<u64>().max(1) as f64;
    let exact: Vec<f64> = row.iter().map(|count| *count as f64 * total as f64 / sum).collect();
    let mut whole: Vec<u64> = exact.iter().map(|value| value.floor() as u64).collect();
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    let left = total.saturating_sub(whole.iter().sum());
    order.iter().take(left as usize).for_each(|&class| whole[class] += 1);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        classes: usize,
        labels: Vec<usize>,
        probabilities: Vec<f64>,
        joint: Vec<Vec<u64>>,
        issues: std::collections::BTreeMap<String, Vec<usize>>,
        ranked: Vec<usize>,
        self_confidence: Vec<f64>,
        normalized_margin: Vec<f64>,
    }

    /// `parity/confident.py` asks cleanlab, of cases where no two remainders are equal: which of these is rounded up is decided there by the last bit.
    #[test]
    fn joints_issues_and_ranks_are_those_of_cleanlab() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../parity/confident.json")).unwrap();
        let mut wrong = String::new();
        for case in &cases {
            let judged = Judged { labels: &case.labels, probabilities: &case.probabilities, classes: case.classes };
            let joint = judged.joint();
            let off = joint.iter().flatten().zip(case.joint.iter().flatten()).map(|(one, other)| one.abs_diff(*other)).max();
            if off != Some(0) {
                wrong += &format!("{}: joint {joint:?}, wanted {:?}\n", case.name, case.joint);
            }
            for (word, wanted) in &case.issues {
                let issues = judged.issues(Filter::open(word));
                let found: Vec<usize> = (0..issues.len()).filter(|&row| issues[row]).collect();
                if found != *wanted {
                    wrong += &format!("{} {word}: {} rows, wanted {}: {found:?} {wanted:?}\n", case.name, found.len(), wanted.len());
                }
            }
            let scores = judged.scores();
            for (row, [confidence, margin]) in scores.iter().enumerate() {
                let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
                if !near(*confidence, case.self_confidence[row]) || !near(*margin, case.normalized_margin[row]) {
                    wrong += &format!("{} row {row}: {confidence} {margin}\n", case.name);
                }
            }
            let issues = judged.issues(Filter::PruneByNoiseRate);
            let mut ranked: Vec<usize> = (0..issues.len()).filter(|&row| issues[row]).collect();
            ranked.sort_by(|&a, &b| scores[a][0].total_cmp(&scores[b][0]).then(a.cmp(&b)));
            if ranked != case.ranked {
                wrong += &format!("{}: ranked {ranked:?}, wanted {:?}\n", case.name, case.ranked);
            }
        }
        assert!(wrong.is_empty() && cases.len() >= 5, "{wrong}");
    }
}
