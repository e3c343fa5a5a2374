//! How a target is spread, and how groups of a sensitive column are represented and labelled: the audit of data before anything is learned.
//!
//! The difference and the ratio of label rates are those of fairlearn's `demographic_parity_difference` and `demographic_parity_ratio`, taken of labels
//! instead of answers; a ratio below four fifths is what the Uniform Guidelines on Employee Selection Procedures (1978) take for adverse impact.

use super::column::Passing;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Groups, and classes, that are counted each.
const GROUPS_MAX: usize = 1000;
/// Groups and classes that are told.
const TOLD: usize = 40;
/// Groups of fewer rows are told, and left out of differences: their rates are too unsure.
const ROWS_MIN: u64 = 30;
/// A number with more distinct values is cut into four parts.
const VALUES_MAX: u64 = 20;

/// How a target is spread.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TargetSurvey {
    /// The column.
    pub name: Arc<str>,
    /// Classes with their rows, the most frequent first; none for a number.
    pub classes: Vec<ClassShare>,
    /// How many classes there are.
    pub count: u64,
    /// Rows of the most frequent class to one of the rarest.
    pub imbalance: Option<f64>,
    /// What that means, when it means something.
    pub sentence: Option<String>,
}

/// A class, or its share of a group.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ClassShare {
    /// Its name.
    pub class: String,
    /// Rows.
    pub rows: u64,
    /// Their share.
    pub share: f64,
    /// Wilson's 95 % interval of the share.
    pub interval: [f64; 2],
}

/// A sensitive column by a target.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct GroupSurvey {
    /// The sensitive column.
    pub column: Arc<str>,
    /// The target, when there is one.
    pub target: Option<Arc<str>>,
    /// The groups, the largest first.
    pub groups: Vec<GroupRow>,
    /// Groups that are not told.
    pub groups_left_out: u64,
    /// For each class: the largest difference of its rate between groups of 30 rows and more, and the smallest rate over the largest.
    pub gaps: Vec<Gap>,
    /// For a number: the largest difference of means, in standard deviations of the column.
    pub mean_gap: Option<f64>,
    /// What deserves a look.
    pub sentences: Vec<String>,
}

/// A group.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct GroupRow {
    /// Its name, or its range.
    pub group: String,
    /// Rows.
    pub rows: u64,
    /// Their share of all.
    pub share: f64,
    /// Rates of the target's classes.
    pub classes: Vec<ClassShare>,
    /// The mean of a target that is a number.
    pub mean: Option<f64>,
    /// Rows of the group without a target.
    pub missing_target: u64,
}

/// How a class's rate differs between groups.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Gap {
    /// The class.
    pub class: String,
    /// Largest less smallest rate (`demographic_parity_difference`).
    pub difference: f64,
    /// Smallest over largest rate (`demographic_parity_ratio`).
    pub ratio: f64,
    /// The group with the smallest rate, and that with the largest.
    pub groups: [String; 2],
}

/// Counts as rows pass.
pub(super) struct Crossing {
    /// The sensitive column, by its place.
    pub group: usize,
    /// The target, by its place.
    pub target: Option<usize>,
    /// Where a column of many numbers is cut.
    cuts: Vec<f64>,
    counts: HashMap<(u64, u64), u64>,
    /// For a target of numbers: how many, their sum and sum of squares by group.
    sums: HashMap<u64, (u64, f64, f64)>,
    groups: HashMap<u64, u64>,
    is_number: bool,
}

impl Crossing {
    /// Counts of nothing. `numbers` are the group column's first ones, where it is a number of many values.
    pub fn new(group: usize, target: Option<usize>, is_number: bool, first: Option<(Vec<f64>, u64)>) -> Crossing {
        let cuts = first.filter(|(_, distinct)| *distinct > VALUES_MAX).map_or(vec![], |(mut numbers, _)| {
            numbers.retain(|number| !number.is_nan());
            numbers.sort_by(f64::total_cmp);
            let mut cuts: Vec<f64> = (1..4).filter_map(|part| numbers.get(numbers.len() * part / 4).copied()).collect();
            cuts.dedup();
            cuts
        });
        Crossing { group, target, cuts, counts: HashMap::new(), sums: HashMap::new(), groups: HashMap::new(), is_number }
    }

    /// Counts a row of the sensitive column (its key and number) and of the target.
    pub fn add(&mut self, key: u64, number: f64, target: Option<(u64, f64)>) {
        let group = match self.cuts.is_empty() || key == 0 {
            true => key,
            // Parts are numbered from 1; a text among numbers stays what it is.
            false if number.is_nan() => key,
            false => 1 + self.cuts.partition_point(|cut| *cut <= number) as u64,
        };
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&group) {
            return;
        }
        *self.groups.entry(group).or_insert(0) += 1;
        let Some((class, value)) = target else { return };
        match self.is_number {
            true if !value.is_nan() => {
                let (count, sum, squares) = self.sums.entry(group).or_default();
                (*count, *sum, *squares) = (*count + 1, *sum + value, *squares + value * value);
            }
            true => {}
            false if self.counts.len() < GROUPS_MAX * 100 || self.counts.contains_key(&(group, class)) => {
                *self.counts.entry((group, class)).or_insert(0) += 1;
            }
            false => {}
        }
    }

    fn name(&self, group: u64, columns: &[Passing]) -> String {
        let parts = self.cuts.len() as u64;
        match group {
            0 => "missing".to_owned(),
            _ if self.cuts.is_empty() || group > parts + 1 => columns[self.group].values.text(group).unwrap_or("?").to_owned(),
            1 => format!("below {}", self.cuts[0]),
            part if part == parts + 1 => format!("{} and more", self.cuts[parts as usize - 1]),
            part => format!("{} to {}", self.cuts[part as usize - 2], self.cuts[part as usize - 1]),
        }
    }

    /// What was counted.
    pub fn end(&self, columns: &[Passing], rows: u64) -> GroupSurvey {
        let mut groups: Vec<(u64, u64)> = self.groups.iter().map(|(group, rows)| (*group, *rows)).collect();
        let by_name = |group: &u64| self.name(*group, columns);
        match self.cuts.is_empty() {
            true => groups.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| by_name(&a.0).cmp(&by_name(&b.0)))),
            false => groups.sort_unstable(),
        }
        let classes = self.classes(columns);
        let told: Vec<GroupRow> = groups.iter().take(TOLD).map(|&(group, count)| self.row(group, count, rows, &classes, columns)).collect();
        let sure: Vec<&GroupRow> = told.iter().filter(|row| row.rows >= ROWS_MIN).collect();
        let gaps: Vec<Gap> = (0..classes.len()).filter_map(|class| gap(&sure, class)).collect();
        let mean_gap = self.mean_gap(&sure);
        let column = columns[self.group].name.clone();
        let sentences = sentences(&told, &gaps, mean_gap, &column);
        GroupSurvey {
            column,
            target: self.target.map(|target| columns[target].name.clone()),
            groups_left_out: groups.len().saturating_sub(TOLD) as u64,
            groups: told,
            gaps,
            mean_gap,
            sentences,
        }
    }

    /// Keys and names of the target's classes, the rarest last.
    fn classes(&self, columns: &[Passing]) -> Vec<(u64, String)> {
        let Some(target) = self.target.filter(|_| !self.is_number) else { return vec![] };
        columns[target].values.frequent(TOLD / 2).into_iter().map(|(key, known)| (key, known.text)).collect()
    }

    fn row(&self, group: u64, count: u64, rows: u64, classes: &[(u64, String)], columns: &[Passing]) -> GroupRow {
        let missing = match (self.target, self.is_number) {
            (None, _) => 0,
            (Some(_), true) => count - self.sums.get(&group).map_or(0, |(count, ..)| *count),
            (Some(_), false) => self.counts.get(&(group, 0)).copied().unwrap_or(0),
        };
        let labelled = count - missing;
        let share = |(key, name): &(u64, String)| {
            let rows = self.counts.get(&(group, *key)).copied().unwrap_or(0);
            class_share(name.clone(), rows, labelled)
        };
        GroupRow {
            group: self.name(group, columns),
            rows: count,
            share: count as f64 / rows.max(1) as f64,
            classes: classes.iter().map(share).collect(),
            mean: self.sums.get(&group).map(|(count, sum, _)| sum / *count as f64),
            missing_target: missing,
        }
    }

    fn mean_gap(&self, sure: &[&GroupRow]) -> Option<f64> {
        let (count, sum, squares) = self.sums.values().fold((0u64, 0.0, 0.0), |all, own| (all.0 + own.0, all.1 + own.1, all.2 + own.2));
        let mean = sum / count as f64;
        let std = (squares / count as f64 - mean * mean).max(0.0).sqrt();
        let means = || sure.iter().filter_map(|row| row.mean);
        let spread = means().fold(f64::NEG_INFINITY, f64::max) - means().fold(f64::INFINITY, f64::min);
        Some(spread / std).filter(|gap| gap.is_finite() && means().count() > 1)
    }
}

fn gap(sure: &[&GroupRow], class: usize) -> Option<Gap> {
    let rate = |row: &&&GroupRow| row.classes[class].share;
    let low = sure.iter().min_by(|a, b| rate(a).total_cmp(&rate(b)))?;
    let high = sure.iter().max_by(|a, b| rate(a).total_cmp(&rate(b)))?;
    let (least, most) = (low.classes[class].share, high.classes[class].share);
    (sure.len() > 1).then(|| Gap {
        class: low.classes[class].class.clone(),
        difference: most - least,
        ratio: if most > 0.0 { least / most } else { 1.0 },
        groups: [low.group.clone(), high.group.clone()],
    })
}

fn sentences(groups: &[GroupRow], gaps: &[Gap], mean_gap: Option<f64>, column: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let few: Vec<&str> = groups.iter().filter(|row| row.rows < ROWS_MIN).map(|row| row.group.as_str()).take(5).collect();
    if !few.is_empty() {
        sentences.push(format!("groups of fewer than {ROWS_MIN} rows, of which little can be said: {}", few.join(", ")));
    }
    if let Some(worst) = gaps.iter().filter(|gap| gap.ratio < 0.8).min_by(|a, b| a.ratio.total_cmp(&b.ratio)) {
        let [low, high] = &worst.groups;
        sentences.push(format!(
            "{} is the label of {:.2} times as many rows of {column} {low} as of {high}, below four fifths",
            worst.class, worst.ratio
        ));
    }
    if let Some(gap) = mean_gap.filter(|gap| *gap > 0.2) {
        sentences.push(format!("means of the target differ by {gap:.2} standard deviations between groups of {column}"));
    }
    sentences
}

/// A share with Wilson's interval ("Probable inference, the law of succession, and statistical inference", 1927).
pub(super) fn class_share(class: String, rows: u64, of: u64) -> ClassShare {
    let (n, z) = (of as f64, 1.959_963_984_540_054_f64);
    if of == 0 {
        return ClassShare { class, rows, share: 0.0, interval: [0.0, 1.0] };
    }
    let share = rows as f64 / n;
    let middle = (share + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    ClassShare { class, rows, share, interval: [(middle - half).max(0.0), (middle + half).min(1.0)] }
}

/// How a target is spread.
pub(super) fn target(column: &Passing, is_number: bool, values: u64) -> TargetSurvey {
    let (count, _) = column.values.distinct();
    let classes: Vec<ClassShare> = match is_number {
        true => vec![],
        false => column.values.frequent(TOLD).into_iter().map(|(_, known)| class_share(known.text, known.count, values)).collect(),
    };
    let rarest = column.values.exact().and_then(|known| known.values().map(|known| known.count).min());
    let imbalance = classes.first().zip(rarest).map(|(most, least)| most.rows as f64 / least.max(1) as f64);
    let sentence = match (imbalance, rarest) {
        (_, Some(least)) if !is_number && least < 5 => {
            Some(format!("the rarest class has {least} row{}: too few to learn and to measure", if least == 1 { "" } else { "s" }))
        }
        (Some(times), _) if times >= 10.0 => Some(format!("{times:.0} rows of the most frequent class to one of the rarest")),
        _ => None,
    };
    TargetSurvey { name: column.name.clone(), classes, count, imbalance, sentence }
}
