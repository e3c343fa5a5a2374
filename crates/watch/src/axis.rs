//! The bins of one number or name, laid once over the training rows: what is seen later falls into the same bins, so that a window's size does
//! not depend on its rows.

use cupola_task::Draw;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// How many edges numbers have, at most, those of tails not counted: a distribution function read at them is within 1/240 of the exact one.
pub const EDGES_MAX: usize = 241;
/// How many more edges each tail has, every one half as far from the end as the one before: tails are wide where values are few.
const TAIL_CUTS: u32 = 8;
/// How many names are counted each by itself.
pub const NAMES_MAX: usize = 1000;
/// How many unseen names are kept as examples, and how many characters of each name count.
const UNSEEN_KEPT: usize = 20;
const NAME_CHARS: usize = 100;
/// Beyond this numbers count as this, so that their sums and squares are finite.
const HUGE: f64 = 1e150;

/// Where values fall.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Numbers, by ascending edges that are values of the reference, its smallest and largest among them. Cell 0 is what lies below all, cell 1
    /// the smallest itself, cell `i + 1` what lies above edge `i - 1` up to edge `i` included, the last what lies above all.
    Numbers {
        /// Ascending; none where the reference had no value.
        edges: Vec<f64>,
    },
    /// Names, in alphabetical order, a cell each, then a cell for all others. Of a longer name its first 100 characters count.
    Names {
        /// The most frequent of the reference.
        names: Vec<String>,
    },
}

/// What fell where.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many values are in each of the axis's cells.
    pub counts: Vec<u64>,
    /// Cells without a value; a number that is not finite is none.
    pub missing: u64,
    /// What numbers have beside their cells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub moments: Option<Moments>,
    /// Some names that the axis does not have, by a hash: always the same ones, however the rows came.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub unseen: BTreeMap<u64, String>,
}

/// Mean, spread and ends of numbers.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moments {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Sum of squared distances from the mean.
    pub squares: f64,
    /// By how much values lie below the axis's first edge, summed up.
    pub below: f64,
    /// By how much values lie above its last edge, summed up.
    pub above: f64,
}

impl Axis {
    /// The axis of numbers: edges at equal shares of the sorted values, equal ones once.
    pub(crate) fn of_numbers(values: &[f64], edges_max: usize) -> Axis {
        let mut sorted: Vec<f64> = values.iter().filter(|value| value.is_finite()).map(|value| value + 0.0).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return Axis::Numbers { edges: vec![] } };
        let mut distinct = sorted.clone();
        distinct.dedup();
        if distinct.len() > edges_max {
            let steps = edges_max - 1;
            let tail = || (1..=TAIL_CUTS).map(|cut| (last / steps) >> cut);
            let even = (0..=steps).map(|step| step * last / steps);
            let mut places: Vec<usize> = even.chain(tail()).chain(tail().map(|place| last - place)).collect();
            places.sort_unstable();
            distinct = places.into_iter().map(|place| sorted[place]).collect();
            distinct.dedup();
        }
        Axis::Numbers { edges: distinct }
    }

    /// The axis of the most frequent names; ties in alphabetical order.
    pub(crate) fn of_names<'a>(values: impl Iterator<Item = &'a str>) -> Axis {
        let mut counts: HashMap<&str, u64> = HashMap::new();
        values.for_each(|name| *counts.entry(cut(name)).or_default() += 1);
        let mut sorted: Vec<(&str, u64)> = counts.into_iter().collect();
        sorted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        sorted.truncate(NAMES_MAX);
        let mut names: Vec<String> = sorted.into_iter().map(|(name, _)| name.to_owned()).collect();
        names.sort_unstable();
        Axis::Names { names }
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        match self {
            Axis::Numbers { edges } => edges.len() + 2,
            Axis::Names { names } => names.len() + 1,
        }
    }

    /// The cell of a finite number; asserts that the axis has numbers.
    pub(crate) fn cell(&self, value: f64) -> usize {
        let Axis::Numbers { edges } = self else { panic!("numbers fall onto an axis of numbers") };
        let place = edges.partition_point(|edge| *edge < value);
        place + usize::from(place > 0 || edges.first().is_some_and(|edge| *edge == value))
    }

    /// The cell of a name; asserts that the axis has names.
    pub(crate) fn cell_of(&self, name: &str) -> usize {
        let Axis::Names { names } = self else { panic!("names fall onto an axis of names") };
        names.binary_search_by(|known| known.as_str().cmp(cut(name))).unwrap_or(names.len())
    }

    /// Whether it is well formed, which what was read from outside may not be.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Axis::Numbers { edges } => {
                edges.len() <= EDGES_MAX + 2 * TAIL_CUTS as usize
                    && edges.iter().all(|edge| edge.is_finite())
                    && edges.is_sorted_by(|a, b| a < b)
            }
            Axis::Names { names } => names.len() <= NAMES_MAX && names.is_sorted_by(|a, b| a < b),
        }
    }
}

/// The characters of a name that count.
fn cut(name: &str) -> &str {
    name.char_indices().nth(NAME_CHARS).map_or(name, |(end, _)| &name[..end])
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new(axis: &Axis) -> Tally {
        Tally { counts: vec![0; axis.cells()], ..Tally::default() }
    }

    /// Adds numbers; those that are not finite are missing.
    pub(crate) fn add_numbers(&mut self, axis: &Axis, values: impl Iterator<Item = f64>) {
        let Axis::Numbers { edges } = axis else { panic!("numbers fall onto an axis of numbers") };
        let mut values_seen = self.values();
        for value in values {
            if !value.is_finite() {
                self.missing += 1;
                continue;
            }
            self.counts[axis.cell(value)] += 1;
            values_seen += 1;
            let value = value.clamp(-HUGE, HUGE);
            let moments = self.moments.get_or_insert_with(|| Moments::at(value));
            moments.add(value, values_seen as f64);
            if let [first, .., last] | [first @ last] = edges[..] {
                moments.below += (first - value).clamp(0.0, HUGE);
                moments.above += (value - last).clamp(0.0, HUGE);
            }
        }
    }

    /// Adds names; none is missing.
    pub(crate) fn add_names<'a>(&mut self, axis: &Axis, values: impl Iterator<Item = Option<&'a str>>) {
        for value in values {
            let Some(name) = value else {
                self.missing += 1;
                continue;
            };
            let cell = axis.cell_of(name);
            self.counts[cell] += 1;
            if cell + 1 == self.counts.len() {
                self.remember(name);
            }
        }
    }

    /// Keeps the names of the smallest hashes.
    fn remember(&mut self, name: &str) {
        let name = cut(name);
        let hash = Draw::new(0).stream(name).bits(0);
        let is_full = self.unseen.len() >= UNSEEN_KEPT;
        if is_full && self.unseen.last_key_value().is_some_and(|(last, _)| *last <= hash) {
            return;
        }
        self.unseen.insert(hash, name.to_owned());
        if self.unseen.len() > UNSEEN_KEPT {
            self.unseen.pop_last();
        }
    }

    /// How many values there are, without what is missing.
    pub fn values(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        self.values() + self.missing
    }

    /// Mean of numbers.
    pub fn mean(&self) -> Option<f64> {
        self.moments.map(|moments| moments.mean)
    }

    /// Population standard deviation of numbers.
    pub fn std(&self) -> Option<f64> {
        self.moments.map(|moments| (moments.squares / self.values().max(1) as f64).sqrt())
    }
}

impl Moments {
    fn at(value: f64) -> Moments {
        Moments { min: value, max: value, mean: 0.0, squares: 0.0, below: 0.0, above: 0.0 }
    }

    /// Welford's update: the value is the `count`th.
    fn add(&mut self, value: f64, count: f64) {
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        let step = value - self.mean;
        self.mean += step / count;
        self.squares += step * (value - self.mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fall_between_edges() {
        let axis = Axis::of_numbers(&[2.0, 1.0, f64::NAN, 2.0, 4.0, f64::INFINITY], EDGES_MAX);
        assert_eq!(axis, Axis::Numbers { edges: vec![1.0, 2.0, 4.0] });
        let cells: Vec<usize> = [0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0].iter().map(|value| axis.cell(*value)).collect();
        assert_eq!(cells, [0, 1, 2, 2, 3, 3, 4]);
        let none = Axis::of_numbers(&[], EDGES_MAX);
        assert_eq!((none.cells(), none.cell(3.0)), (2, 0));
        let many: Vec<f64> = (0..10_000).map(f64::from).collect();
        let axis = Axis::of_numbers(&many, EDGES_MAX);
        let last = axis.cells() - 1;
        assert!((EDGES_MAX + 10..EDGES_MAX + 19).contains(&last), "{last}");
        assert_eq!((axis.cell(-1.0), axis.cell(9999.0), axis.cell(10_000.0)), (0, last - 1, last));
        let mut tally = Tally::new(&axis);
        tally.add_numbers(&axis, many.into_iter());
        assert!(tally.counts.iter().all(|count| *count <= 42), "cells are as full as each other");
    }

    #[test]
    fn a_million_unseen_names_take_no_room() {
        let axis = Axis::of_names(["a", "b", "a"].into_iter());
        let mut tally = Tally::new(&axis);
        let names: Vec<String> = (0..1_000_000).map(|number| format!("name {number}")).collect();
        tally.add_names(&axis, names.iter().map(|name| Some(name.as_str())).chain([Some("a"), None]));
        assert_eq!((tally.counts, tally.missing, tally.unseen.len()), (vec![1, 0, 1_000_000], 1, UNSEEN_KEPT));
    }

    #[test]
    fn huge_numbers_have_finite_moments() {
        let axis = Axis::of_numbers(&[0.0, 1.0], EDGES_MAX);
        let mut tally = Tally::new(&axis);
        tally.add_numbers(&axis, [f64::MAX, f64::MIN, f64::MAX].into_iter());
        assert!(serde_json::from_str::<Tally>(&serde_json::to_string(&tally).unwrap()).unwrap() == tally);
        assert!(tally.std().unwrap().is_finite());
    }
}
