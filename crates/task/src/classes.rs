//! The classes of an answer, and how one of them, or a set of them, is chosen from a row's probabilities.
//!
//! Whoever turns probabilities into a class asks [`Classes`]: a threshold or a table of costs that training settled then holds in
//! `predict`, in `eval`, in the server and in what is watched, and no place can forget it.

use crate::argmax;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;

/// The classes of an answer in the order of its probabilities, and the decision that goes with them.
#[derive(Clone, Debug, PartialEq)]
pub struct Classes {
    names: Arc<[Arc<str>]>,
    decision: Option<Arc<Decision>>,
}

/// How a row's probabilities become a class, and a set of classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Which class is answered.
    #[serde(default)]
    pub rule: Rule,
    /// Which classes are in a row's set, when sets are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<SetRule>,
}

/// Which class is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The most probable one, of equally probable ones the first.
    #[default]
    Probable,
    /// Of two classes the last, the positive one, where its probability is at least this.
    Threshold(f64),
    /// The one of least expected cost, of equally dear ones the first (Elkan, "The foundations of cost-sensitive learning", 2001):
    /// `costs[truth * classes + answer]`.
    Costs(Vec<f64>),
}

/// Which classes are in a row's set, so that the true one is in it as often as was promised (conformal prediction).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetRule {
    /// Those whose probability is at least 1 minus the quantile (LAC: Sadinle, Lei and Wasserman, JASA 2019). A set may be empty:
    /// then the row is unlike those that the quantile comes from.
    Lac(f64),
    /// The most probable ones until their sum reaches the quantile (APS: Romano, Sesia and Candes, NeurIPS 2020).
    ///
    /// Differs: the last class that is taken is not left out at random, so sets hold the true class a little more often than was promised.
    Aps(f64),
}

/// Sums of probabilities that differ by no more are the same sum, added in another order.
const ROUNDING: f64 = 1e-12;

impl Classes {
    /// The same classes with a decision.
    #[must_use]
    pub fn decided_by(self, decision: Option<Arc<Decision>>) -> Classes {
        Classes { decision, ..self }
    }

    /// The names alone.
    pub fn names(&self) -> &Arc<[Arc<str>]> {
        &self.names
    }

    /// The decision, when it is another than the most probable class.
    pub fn decision(&self) -> Option<&Arc<Decision>> {
        self.decision.as_ref()
    }

    /// The class that is answered to a row's probabilities.
    pub fn choose(&self, row: &[f64]) -> usize {
        match &self.decision {
            Some(decision) => decision.rule.choose(row),
            None => Rule::Probable.choose(row),
        }
    }

    /// The class that is answered to each row. `values` is row-major.
    pub fn chosen<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = usize> + 'a {
        values.chunks_exact(self.names.len().max(1)).map(|row| self.choose(row))
    }

    /// The classes in each row's set, in their order; none where no sets are given. `values` is row-major.
    pub fn sets<'a>(&'a self, values: &'a [f64]) -> Option<impl Iterator<Item = Vec<usize>> + 'a> {
        let set = self.decision.as_ref()?.set?;
        Some(values.chunks_exact(self.names.len().max(1)).map(move |row| set.classes(row)))
    }
}

impl Rule {
    /// The class that is answered to a row's probabilities.
    pub fn choose(&self, row: &[f64]) -> usize {
        match self {
            Rule::Threshold(threshold) if row.len() == 2 => usize::from(row[1] >= *threshold),
            Rule::Costs(costs) if costs.len() == row.len() * row.len() => {
                let expected =
                    |answer: usize| row.iter().enumerate().map(|(truth, share)| share * costs[truth * row.len() + answer]).sum::<f64>();
                let answers = (0..row.len()).map(|answer| (answer, expected(answer)));
                answers.reduce(|best, next| if next.1 < best.1 { next } else { best }).map_or(0, |(answer, _)| answer)
            }
            _ => argmax(row, row.len()).next().unwrap_or(0),
        }
    }

    /// Whether it suits so many classes and its numbers are numbers, which what was read from outside may not be.
    pub fn is_sound(&self, classes: usize) -> bool {
        match self {
            Rule::Probable => true,
            Rule::Threshold(threshold) => classes == 2 && threshold.is_finite(),
            Rule::Costs(costs) => costs.len() == classes * classes && costs.iter().all(|cost| cost.is_finite()),
        }
    }
}

impl SetRule {
    /// The classes in a row's set, in their order.
    pub fn classes(self, row: &[f64]) -> Vec<usize> {
        match self {
            SetRule::Lac(quantile) => (0..row.len()).filter(|&class| row[class] >= 1.0 - quantile - ROUNDING).collect(),
            SetRule::Aps(quantile) => {
                let mut order: Vec<usize> = (0..row.len()).collect();
                order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
                let mut sum = 0.0;
                let mut taken: Vec<usize> = Vec::new();
                for class in order {
                    if !taken.is_empty() && sum >= quantile - ROUNDING {
                        break;
                    }
                    sum += row[class];
                    taken.push(class);
                }
                taken.sort_unstable();
                taken
            }
        }
    }
}

impl Deref for Classes {
    type Target = [Arc<str>];

    fn deref(&self) -> &[Arc<str>] {
        &self.names
    }
}

impl From<Arc<[Arc<str>]>> for Classes {
    fn from(names: Arc<[Arc<str>]>) -> Classes {
        Classes { names, decision: None }
    }
}

impl From<&Arc<[Arc<str>]>> for Classes {
    fn from(names: &Arc<[Arc<str>]>) -> Classes {
        names.clone().into()
    }
}

impl<const N: usize> From<[Arc<str>; N]> for Classes {
    fn from(names: [Arc<str>; N]) -> Classes {
        Arc::<[Arc<str>]>::from(names).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(rule: Rule, set: Option<SetRule>) -> Classes {
        Classes::from(["no".into(), "yes".into()]).decided_by(Some(Arc::new(Decision { rule, set })))
    }

    #[test]
    fn the_class_follows_the_rule() {
        let values = [0.5, 0.5, 0.8, 0.2, 0.79, 0.21, 0.1, 0.9];
        let chosen = |rule: Rule| classes(rule, None).chosen(&values).collect::<Vec<_>>();
        assert_eq!(chosen(Rule::Probable), [0, 0, 0, 1]);
        assert_eq!(chosen(Rule::Threshold(0.2)), [1, 1, 1, 1]);
        assert_eq!(chosen(Rule::Threshold(0.21)), [1, 0, 1, 1]);
        // To miss a yes costs four times a false alarm: yes pays from one fifth on, and where both cost the same the first is taken.
        assert_eq!(chosen(Rule::Costs(vec![0.0, 1.0, 4.0, 0.0])), [1, 0, 1, 1]);
        assert!(!Rule::Threshold(0.5).is_sound(3) && !Rule::Costs(vec![0.0; 3]).is_sound(2) && Rule::Costs(vec![0.0; 9]).is_sound(3));
    }

    #[test]
    fn sets_hold_what_the_quantile_asks_for() {
        let row = [0.1, 0.6, 0.3];
        assert_eq!(SetRule::Lac(0.7).classes(&row), [1, 2]);
        assert_eq!(SetRule::Lac(0.3).classes(&row), [0; 0]);
        assert_eq!(SetRule::Aps(0.6).classes(&row), [1]);
        assert_eq!(SetRule::Aps(0.61).classes(&row), [1, 2]);
        assert_eq!(SetRule::Aps(1.0).classes(&row), [0, 1, 2]);
        let of_two = classes(Rule::Probable, Some(SetRule::Lac(0.9)));
        assert_eq!(of_two.sets(&[0.5, 0.5, 0.95, 0.05]).unwrap().collect::<Vec<_>>(), [vec![0, 1], vec![0]]);
        assert!(Classes::from(["a".into()]).sets(&[1.0]).is_none());
    }
}
