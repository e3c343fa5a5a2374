//! Whether groups of people (or of anything) are treated alike: measures by group, and how far they lie apart.
//!
//! Values are Fairlearn's (`MetricFrame`, `demographic_parity_difference`, `equalized_odds_difference` and their ratios; Bird et al., 2020), kept
//! equal by `parity/groups.py`. The gap of a measure is the largest group's value minus the smallest's, its ratio the smallest over the
//! largest. Intervals of gaps come from the bootstrap of rows; a gap is never below 0, so the interval of equal groups lies above it,
//! the more so the smaller they are.
//!
//! Differs: groups of fewer than [`GROUP_ROWS_MIN`] rows are measured, and do not count for gaps; a group without a row that a measure is
//! about (a recall without positives) has no value, where Fairlearn gives it 0.

use crate::Sampling;
use crate::interval::wilson;
use crate::rows;
use crate::score::percentiles;
use cupola_task::{Answer, Draw, Field, Result, Task, View};
use rayon::prelude::*;

/// Rows that a group has at least to count for gaps.
pub const GROUP_ROWS_MIN: usize = 30;
/// Sums that a group is known by: for classes the weight by truth and answer, for numbers that of errors, absolute and squared.
const SUMS: usize = 6;
/// Enough draws to tell an interval's ends to a twentieth of its width.
const DRAWS_MAX: usize = 400;

/// A number with its interval; NaN where undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranged {
    /// The number.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One measure for each group, and how far groups lie apart.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMeasure {
    /// `selection_rate`, `true_positive_rate`, ...
    pub name: &'static str,
    /// Of all rows.
    pub overall: f64,
    /// Of each group, in the order given.
    pub groups: Vec<Ranged>,
    /// Largest minus smallest.
    pub difference: Ranged,
    /// Smallest over largest.
    pub ratio: Ranged,
}

/// A gap under the name that it is known by.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    /// `demographic_parity_difference`, ...
    pub name: &'static str,
    /// How far groups lie apart.
    pub value: Ranged,
}

/// All measures and gaps of a set of groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// Rows in each group.
    pub rows: Vec<usize>,
    /// Measures.
    pub measures: Vec<GroupMeasure>,
    /// Gaps that have names of their own.
    pub gaps: Vec<Gap>,
}

type Sums = [f64; SUMS];

/// A measure: a quotient of sums, and what becomes of it.
struct Def {
    name: &'static str,
    of: fn(&Sums) -> [f64; 2],
    finish: fn(f64) -> f64,
    /// Whether it is a share of rows, so that Wilson's interval is its own.
    is_rate: bool,
}

// Of two classes: true negatives, false positives, false negatives, true positives.
const BINARY: &[Def] = &[
    Def { name: "selection_rate", of: |s| [s[1] + s[3], s[0] + s[1] + s[2] + s[3]], finish: same, is_rate: true },
    Def { name: "true_positive_rate", of: |s| [s[3], s[2] + s[3]], finish: same, is_rate: true },
    Def { name: "false_positive_rate", of: |s| [s[1], s[0] + s[1]], finish: same, is_rate: true },
    Def { name: "false_negative_rate", of: |s| [s[2], s[2] + s[3]], finish: same, is_rate: true },
    Def { name: "accuracy", of: |s| [s[0] + s[3], s[0] + s[1] + s[2] + s[3]], finish: same, is_rate: true },
    Def { name: "precision", of: |s| [s[3], s[1] + s[3]], finish: same, is_rate: true },
    Def { name: "base_rate", of: |s| [s[2] + s[3], s[0] + s[1] + s[2] + s[3]], finish: same, is_rate: true },
];
// Of more classes: wrong, right.
const CLASSES: &[Def] = &[Def { name: "accuracy", of: |s| [s[3], s[0] + s[3]], finish: same, is_rate: true }];
// Of numbers: weight, error, absolute, squared, answer, truth.
const NUMBERS: &[Def] = &[
    Def { name: "mae", of: |s| [s[2], s[0]], finish: same, is_rate: false },
    Def { name: "rmse", of: |s| [s[3], s[0]], finish: f64::sqrt, is_rate: false },
    Def { name: "mean_error", of: |s| [s[1], s[0]], finish: same, is_rate: false },
    Def { name: "mean_prediction", of: |s| [s[4], s[0]], finish: same, is_rate: false },
    Def { name: "mean_truth", of: |s| [s[5], s[0]], finish: same, is_rate: false },
];

/// Gaps known by names, made of measures: difference or ratio, of the worst of these measures.
const GAPS: &[(&str, bool, &[&str])] = &[
    ("demographic_parity_difference", false, &["selection_rate"]),
    ("demographic_parity_ratio", true, &["selection_rate"]),
    ("equal_opportunity_difference", false, &["true_positive_rate"]),
    ("equal_opportunity_ratio", true, &["true_positive_rate"]),
    ("equalized_odds_difference", false, &["true_positive_rate", "false_positive_rate"]),
    ("equalized_odds_ratio", true, &["true_positive_rate", "false_positive_rate"]),
];

/// Every name that measures and gaps of groups have, for checks: with `_difference` and `_ratio` for measures.
pub fn group_measures() -> impl Iterator<Item = String> {
    let defs = BINARY.iter().chain(NUMBERS).flat_map(|def| [format!("{}_difference", def.name), format!("{}_ratio", def.name)]);
    GAPS.iter().map(|(name, _, _)| (*name).to_owned()).chain(defs)
}

fn same(value: f64) -> f64 {
    value
}

impl Def {
    fn value(&self, sums: &Sums) -> f64 {
        let [over, under] = (self.of)(sums);
        if under > 0.0 { (self.finish)(over / under) } else { f64::NAN }
    }
}

impl Groups {
    /// The difference or ratio of that name: `equalized_odds_difference`, `accuracy_difference`, `mae_ratio`.
    pub fn gap(&self, name: &str) -> Option<Ranged> {
        let own = self.gaps.iter().find(|gap| gap.name == name).map(|gap| gap.value);
        let of = |end: &str, pick: fn(&GroupMeasure) -> Ranged| {
            let measure = name.strip_suffix(end)?;
            self.measures.iter().find(|known| known.name == measure).map(pick)
        };
        own.or_else(|| of("_difference", |measure| measure.difference)).or_else(|| of("_ratio", |measure| measure.ratio))
    }
}

/// Measures groups: `group` says for each row which of `count` groups it is in.
///
/// # Errors
/// When target, truth and answer do not suit each other.
pub fn groups(
    field: &Field,
    task: Task,
    answer: &Answer,
    view: View<'_>,
    group: &[u32],
    count: usize,
    sampling: Sampling,
) -> Result<Groups> {
    let contributions = contributions(field, task, answer, &view)?;
    let defs = match (task, field.kind.classes().map_or(0, |classes| classes.len())) {
        (Task::Classify, 2) => BINARY,
        (Task::Classify, _) => CLASSES,
        _ => NUMBERS,
    };
    let mut rows = vec![0usize; count];
    group.iter().for_each(|&group| rows[group as usize] += 1);
    let counts: Vec<bool> = rows.iter().map(|&rows| rows >= GROUP_ROWS_MIN).collect();
    let whole = sums(&contributions, group, count, None);
    let draws = if contributions.len() < 2 { 0 } else { sampling.draws.min(DRAWS_MAX) };
    let drawn: Vec<Vec<Sums>> = (0..draws as u64)
        .into_par_iter()
        .map(|step| sums(&contributions, group, count, Some(sampling.draw.stream("groups").at(step))))
        .collect();
    let squares = squared_weights(&view, group, count);
    let measure = |def: &Def| {
        let value = |sums: &[Sums]| sums.iter().map(|sums| def.value(sums)).collect::<Vec<f64>>();
        let own = value(&whole);
        let all = whole.iter().fold([0.0; SUMS], |mut all, sums| {
            all.iter_mut().zip(sums).for_each(|(all, sum)| *all += sum);
            all
        });
        let resampled: Vec<Vec<f64>> = drawn.iter().map(|sums| value(sums)).collect();
        let of_group = |group: usize| match def.is_rate {
            true => rate(def, &whole[group], squares[group], sampling.level),
            false => ranged(own[group], resampled.iter().map(|values| values[group]).collect(), sampling.level),
        };
        let spread = |of: fn(&[f64], &[bool]) -> f64| {
            ranged(of(&own, &counts), resampled.iter().map(|values| of(values, &counts)).collect(), sampling.level)
        };
        GroupMeasure {
            name: def.name,
            overall: def.value(&all),
            groups: (0..count).map(of_group).collect(),
            difference: spread(difference),
            ratio: spread(ratio),
        }
    };
    let measures: Vec<GroupMeasure> = defs.iter().map(measure).collect();
    let gaps = GAPS.iter().filter_map(|(name, is_ratio, of)| {
        let places = of.iter().map(|name| defs.iter().position(|def| def.name == *name)).collect::<Option<Vec<_>>>()?;
        let value = |sums: &[Sums]| {
            let each = places.iter().map(|&place| {
                let values: Vec<f64> = sums.iter().map(|sums| defs[place].value(sums)).collect();
                if *is_ratio { ratio(&values, &counts) } else { difference(&values, &counts) }
            });
            if *is_ratio { each.fold(f64::INFINITY, nan_min) } else { each.fold(f64::NEG_INFINITY, nan_max) }
        };
        Some(Gap { name, value: ranged(value(&whole), drawn.iter().map(|sums| value(sums)).collect(), sampling.level) })
    });
    let gaps = gaps.collect();
    Ok(Groups { rows, measures, gaps })
}

fn nan_min(a: f64, b: f64) -> f64 {
    if b.is_nan() { b } else { a.min(b) }
}

fn nan_max(a: f64, b: f64) -> f64 {
    if b.is_nan() { b } else { a.max(b) }
}

/// What each row adds to its group's sums, its weight included.
fn contributions(field: &Field, task: Task, answer: &Answer, view: &View<'_>) -> Result<Vec<Sums>> {
    let weights = rows::weighted(view, answer.len())?;
    if task == Task::Regress {
        let values = rows::values(answer)?;
        let truth = rows::numbers(view, values.len())?;
        let row = |(row, (truth, value)): (usize, (&f64, &f64))| {
            let (weight, error) = (weights.at(row), value - truth);
            [1.0, error, error.abs(), error * error, *value, *truth].map(|part| weight * part)
        };
        return Ok(truth.iter().zip(values).enumerate().map(row).collect());
    }
    let classes = rows::classes(field)?;
    let (answered, values) = rows::scores(answer)?;
    let names = rows::names(view, answer.len())?;
    let positive = classes.last().filter(|_| classes.len() == 2);
    let row = |(row, (truth, said)): (usize, (&str, usize))| {
        let said = &answered[said];
        let cell = match positive {
            Some(positive) => 2 * usize::from(*truth == **positive) + usize::from(said == positive),
            None => 3 * usize::from(*truth == **said),
        };
        let mut sums = [0.0; SUMS];
        sums[cell] = weights.at(row);
        sums
    };
    Ok(names.iter().flatten().zip(answered.chosen(values)).enumerate().map(row).collect())
}

/// The sums of each group, of all rows or of a resample.
fn sums(contributions: &[Sums], group: &[u32], count: usize, draw: Option<Draw>) -> Vec<Sums> {
    let mut sums = vec![[0.0; SUMS]; count];
    let mut add = |row: usize| {
        let sum = &mut sums[group[row] as usize];
        sum.iter_mut().zip(&contributions[row]).for_each(|(sum, part)| *sum += part);
    };
    match draw {
        None => (0..contributions.len()).for_each(add),
        Some(draw) => {
            let (key, rows) = (draw.key(), contributions.len() as u64);
            (0..rows).for_each(|index| add((((Draw::value(key, index) >> 32) * rows) >> 32) as usize));
        }
    }
    sums
}

/// Of each group the sum of its weights and that of their squares.
fn squared_weights(view: &View<'_>, group: &[u32], count: usize) -> Vec<[f64; 2]> {
    let mut sums = vec![[0.0; 2]; count];
    for (row, &group) in group.iter().enumerate() {
        let weight = view.weight.map_or(1.0, |weights| weights[row]);
        let sum = &mut sums[group as usize];
        *sum = [sum[0] + weight, sum[1] + weight * weight];
    }
    sums
}

/// A share with Wilson's interval for as many rows as its weights are worth.
fn rate(def: &Def, sums: &Sums, [weight, squares]: [f64; 2], level: f64) -> Ranged {
    let (value, [_, under]) = (def.value(sums), (def.of)(sums));
    if !value.is_finite() {
        return Ranged { value, low: f64::NAN, high: f64::NAN };
    }
    let [low, high] = wilson(value, under * weight / squares, level);
    Ranged { value, low, high }
}

fn known(values: &[f64], counts: &[bool]) -> [f64; 2] {
    let counted = values.iter().zip(counts).filter(|(value, counts)| **counts && value.is_finite());
    counted.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], (value, _)| [low.min(*value), high.max(*value)])
}

fn difference(values: &[f64], counts: &[bool]) -> f64 {
    let [low, high] = known(values, counts);
    if high >= low { high - low } else { f64::NAN }
}

fn ratio(values: &[f64], counts: &[bool]) -> f64 {
    let [low, high] = known(values, counts);
    match () {
        () if high < low => f64::NAN,
        // Where nobody has any, all have as much.
        () if high == 0.0 => 1.0,
        () => low / high,
    }
}

fn ranged(value: f64, mut draws: Vec<f64>, level: f64) -> Ranged {
    let [low, high] = percentiles(&mut draws, value, level);
    Ranged { value, low, high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{Case, classify, names, numbers, regress, texts};
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    struct Golden {
        group: Vec<u32>,
        score: Vec<f64>,
        truth: Vec<usize>,
        weight: Option<Vec<f64>>,
        overall: BTreeMap<String, f64>,
        by_group: BTreeMap<String, Vec<f64>>,
        difference: BTreeMap<String, f64>,
        ratio: BTreeMap<String, f64>,
        gaps: BTreeMap<String, f64>,
    }

    fn close(found: f64, wanted: f64, what: &str) {
        // Both add the same numbers, in another order.
        assert!((found - wanted).abs() < 1e-12, "{what}: {found}, wanted {wanted}");
    }

    #[test]
    fn values_are_those_of_fairlearn() {
        let golden: Vec<Golden> = serde_json::from_str(include_str!("groups.json")).unwrap();
        for golden in golden {
            let words = ["no", "yes"];
            let values = golden.score.iter().flat_map(|score| [1.0 - score, *score]).collect();
            let case = Case {
                field: classify(&words),
                answer: Answer::Scores { classes: names(&words).into(), values },
                truth: texts(golden.truth.iter().map(|&truth| words[truth])),
                weight: golden.weight.clone(),
            };
            let found = groups(&case.field, Task::Classify, &case.answer, case.view(), &golden.group, 3, Sampling::default()).unwrap();
            for measure in found.measures.iter().filter(|measure| measure.name != "base_rate") {
                close(measure.overall, golden.overall[measure.name], measure.name);
                close(measure.difference.value, golden.difference[measure.name], measure.name);
                close(measure.ratio.value, golden.ratio[measure.name], measure.name);
                for (group, wanted) in measure.groups.iter().zip(&golden.by_group[measure.name]) {
                    close(group.value, *wanted, measure.name);
                    assert!(group.low <= group.value && group.value <= group.high && group.low < group.high);
                }
            }
            for gap in &found.gaps {
                close(gap.value.value, golden.gaps[gap.name], gap.name);
                close(found.gap(gap.name).unwrap().value, gap.value.value, gap.name);
                assert!(gap.value.low < gap.value.high, "{gap:?}");
            }
        }
    }

    #[test]
    fn small_groups_count_for_no_gap_and_numbers_have_errors() {
        let group: Vec<u32> = (0..85)
            .map(|row| {
                if row < 40 {
                    0
                } else if row < 80 {
                    1
                } else {
                    2
                }
            })
            .collect();
        let values: Vec<f64> = group.iter().map(|group| [1.0, -2.0, 50.0][*group as usize]).collect();
        let case = Case { field: regress(), answer: Answer::Numbers { values, range: None }, truth: numbers(vec![0.0; 85]), weight: None };
        let found = groups(&case.field, Task::Regress, &case.answer, case.view(), &group, 3, Sampling::default()).unwrap();
        assert_eq!(found.rows, [40, 40, 5]);
        assert_eq!((found.gap("mae_difference").unwrap().value, found.gap("mean_error_difference").unwrap().value), (1.0, 3.0));
        assert_eq!(found.measures[0].groups[2].value, 50.0);
        assert!(found.gap("selection_rate_difference").is_none() && group_measures().any(|name| name == "accuracy_difference"));
    }
}
