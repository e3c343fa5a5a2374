//! Bins: a number as the stretch it lies in, as scikit-learn's `KBinsDiscretizer`. Stretches of equal width, of equally many
//! training rows, or around the centres of k-means (Lloyd's steps from evenly spaced centres).
//!
//! Differs: a centre of k-means that has lost all its values never takes the only value of another one, which scikit-learn's
//! may, leaving that one without any.

use super::super::choice::{BinEncode, BinRule, Choice};
use cupola_task::Value;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Narrower stretches are joined to the one before them.
const WIDTH_MIN: f64 = 1e-8;
const STEPS_MAX: usize = 300;
/// Of the variance: centres that move less, all together and squared, stay.
const MOVE_MIN: f64 = 1e-4;

/// Where stretches end.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bins {
    /// The ends between stretches, ascending: one fewer than there are stretches. What lies on one belongs to the stretch above.
    ends: Vec<f64>,
    rule: BinRule,
    encode: BinEncode,
    /// How many were asked for.
    count: usize,
    #[serde(skip)]
    names: Vec<Arc<str>>,
}

impl Bins {
    /// Learns from ascending values.
    pub fn fit(sorted: &[f64], count: usize, choice: &Choice) -> Bins {
        let rule = choice.bin_rule.unwrap_or(BinRule::Quantile);
        let encode = choice.bin_encode.unwrap_or(if choice.is_dense() { BinEncode::Onehot } else { BinEncode::Ordinal });
        let edges = match sorted.first() != sorted.last() {
            true => edges(sorted, count, rule),
            false => vec![],
        };
        let ends = edges.get(1..edges.len().saturating_sub(1)).unwrap_or_default().to_vec();
        let mut bins = Bins { ends, rule, encode, count, names: vec![] };
        bins.open();
        bins
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        let end = |place: usize| self.ends.get(place).map_or(String::new(), f64::to_string);
        let name = |place: usize| {
            let low = place.checked_sub(1).map_or(String::new(), end);
            Arc::from(format!("{low}..{}", end(place)))
        };
        self.names = (0..=self.ends.len()).map(name).collect();
        self.ends.len() < 1000 && self.ends.iter().all(|end| end.is_finite()) && self.ends.windows(2).all(|pair| pair[0] < pair[1])
    }

    /// The number of the stretch that a value lies in.
    pub fn place(&self, value: f64) -> usize {
        self.ends.partition_point(|end| *end <= value)
    }

    pub fn is_one_hot(&self) -> bool {
        self.encode == BinEncode::Onehot
    }

    /// What stretches are called: from..to.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    pub fn describe(&self) -> String {
        let rule = match self.rule {
            BinRule::Uniform => "of equal width",
            BinRule::Quantile => "of equally many rows",
            BinRule::Kmeans => "around the centres of k-means",
        };
        let fewer = if self.names.len() < self.count { format!(" ({} were asked for)", self.count) } else { String::new() };
        let encoded = if self.is_one_hot() { "one-hot" } else { "as their number" };
        format!("{} bins {rule}{fewer}, {encoded}", self.names.len())
    }

    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let word = |word: &str| Value::Text(word.into());
        vec![
            ("bins", Value::Integer(self.count as i64)),
            ("bin_strategy", word(self.rule.word())),
            ("bin_encode", word(self.encode.word())),
        ]
    }
}

/// All edges, the outermost ones included.
fn edges(sorted: &[f64], count: usize, rule: BinRule) -> Vec<f64> {
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    // Between two numbers of any size, without a difference that would overflow.
    let even = |place: f64| least + place * (most / count as f64 - least / count as f64);
    let edges: Vec<f64> = match rule {
        BinRule::Uniform => return (0..=count).map(|edge| if edge == count { most } else { even(edge as f64) }).collect(),
        BinRule::Quantile => (0..=count).map(|edge| averaged(sorted, edge, count)).collect(),
        BinRule::Kmeans => {
            let centres = centres(sorted, (0..count).map(|bin| 0.5 * (even(bin as f64) + even(bin as f64 + 1.0))).collect());
            let between = centres.windows(2).map(|pair| (pair[0] + pair[1]) * 0.5);
            std::iter::once(least).chain(between).chain([most]).collect()
        }
    };
    let mut kept = vec![edges[0]];
    let wide = edges.windows(2).filter(|pair| pair[1] - pair[0] > WIDTH_MIN);
    kept.extend(wide.map(|pair| pair[1]));
    kept
}

/// The quantile as the mean of the two values that it lies between, where it lies between two (numpy's `averaged_inverted_cdf`).
fn averaged(sorted: &[f64], edge: usize, count: usize) -> f64 {
    let percent = if edge == count { 100.0 } else { edge as f64 * (100.0 / count as f64) };
    let place = sorted.len() as f64 * (percent / 100.0) - 1.0;
    let value = |place: f64| sorted[(place.max(0.0) as usize).min(sorted.len() - 1)];
    match place.fract() == 0.0 {
        true => 0.5 * value(place) + 0.5 * value(place + 1.0),
        false => value(place.floor() + 1.0),
    }
}

/// The centres that Lloyd's steps lead to.
fn centres(sorted: &[f64], mut centres: Vec<f64>) -> Vec<f64> {
    let (mean, deviation) = super::super::number::standard(sorted);
    let is_still = MOVE_MIN * sorted.iter().map(|value| ((value - mean) / deviation).powi(2)).sum::<f64>() / sorted.len() as f64;
    let mut before: Vec<usize> = Vec::new();
    for _ in 0..STEPS_MAX {
        // What is as far from the one as from the other goes to the lower one.
        let cuts: Vec<usize> =
            centres.windows(2).map(|pair| sorted.partition_point(|value| (value - pair[0]).abs() <= (pair[1] - value).abs())).collect();
        let bounds: Vec<usize> = std::iter::once(0).chain(cuts.iter().copied()).chain([sorted.len()]).collect();
        let members: Vec<&[f64]> = bounds.windows(2).map(|pair| &sorted[pair[0]..pair[1].max(pair[0])]).collect();
        let next = moved(&centres, &members);
        let way: f64 = centres.iter().zip(&next).map(|(a, b)| ((a - b) / deviation).powi(2)).sum();
        centres = next;
        if cuts == before || way <= is_still {
            break;
        }
        before = cuts;
    }
    centres
}

/// The means of the members. A centre without any goes to the value that is furthest from its own.
fn moved(centres: &[f64], members: &[&[f64]]) -> Vec<f64> {
    let mut groups: Vec<Vec<f64>> = members.iter().map(|own| own.to_vec()).collect();
    for empty in 0..groups.len() {
        if !groups[empty].is_empty() {
            continue;
        }
        let far = |group: usize, place: usize| (groups[group][place] - centres[group]).abs();
        let places = (0..groups.len()).filter(|&group| groups[group].len() > 1).flat_map(|group| {
            // The furthest of ascending values is the first or the last.
            [0, groups[group].len() - 1].map(|place| (group, place))
        });
        let Some((group, place)) = places.max_by(|a, b| far(a.0, a.1).total_cmp(&far(b.0, b.1))) else { continue };
        let value = groups[group].remove(place);
        groups[empty].push(value);
    }
    let mean = |(own, centre): (&Vec<f64>, &f64)| match own.len() {
        0 => *centre,
        count => own.iter().sum::<f64>() / count as f64,
    };
    let mut next: Vec<f64> = groups.iter().zip(centres).map(mean).collect();
    next.sort_unstable_by(f64::total_cmp);
    next
}
