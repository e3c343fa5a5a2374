//! Where a model is worst: groups of rows, told by one column or two, whose loss is larger than that of all others by more than searching
//! so many of them explains.
//!
//! Numbers are cut into bins of equally many rows, categories by name, missing values stand by themselves (Chung et al., "Slice Finder",
//! ICDE 2019). A slice's statistic is the difference of its mean loss from the mean of all, in standard errors. The best of thousands of slices
//! of pure noise looks bad, too, so its statistic is held against the best ones of losses dealt out at random (Westfall and Young,
//! "Resampling-based multiple testing", 1993, single-step maxT): the chance that anything at all is called a slice where there is none
//! stays below the level, whatever the losses are like. Columns for pairs are chosen by the same search, so in each permutation again.

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::timestamp_us_to_datetime;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, BooleanArray};
use cupola_task::{Column, Draw};
use rayon::prelude::*;
use std::collections::HashMap;

/// Bins of a number, and names of a category that stand by themselves.
const BINS: usize = 5;
const NAMES_MAX: usize = 20;
/// Columns whose pairs are tried: those with the worst slices of their own.
const PAIRED_MAX: usize = 12;
/// Losses beyond this share of all are cut there: a single monstrous row is no slice.
const TAIL: f64 = 0.99;
/// Additions that all permutations may take together: some tenths of a second on one core.
const WORK_MAX: usize = 400_000_000;
/// Permutations: few are enough for a level of 5 %.
const PERMUTATIONS: std::ops::RangeInclusive<usize> = 99..=199;
/// Of two slices that share so much of their rows, one says it all.
const OVERLAP_MAX: f64 = 0.7;

/// A column cut into cells, one of which each row is in.
#[derive(Clone, Debug)]
pub struct SliceColumn {
    /// Its name.
    pub name: String,
    /// What the cells hold, as a phrase: `= Private`, `17 to 28`, `missing`.
    pub cells: Vec<String>,
    codes: Vec<u8>,
}

/// How slices are searched for.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// The chance that anything is found where there is nothing.
    pub level: f64,
    /// Rows that a slice has at least.
    pub rows_min: usize,
    /// How many are told at most.
    pub found_max: usize,
    /// Seeds the permutations.
    pub draw: Draw,
}

/// A slice that stands out.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The column's place and the cell's, for one column or two.
    pub parts: Vec<[usize; 2]>,
    /// The rows in it.
    pub rows: Vec<u64>,
    /// Mean loss of its rows.
    pub loss: f64,
    /// Mean loss of all others.
    pub rest: f64,
    /// The chance that the worst of all slices tried would be as bad if losses were dealt out at random.
    pub p_value: f64,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The slices that stand out, the largest gap first.
    pub slices: Vec<Slice>,
    /// How many were tried.
    pub tried: usize,
    /// The p-value of the worst slice, whether it stands out or not; 1 when none was large enough.
    pub p_value: f64,
}

impl SliceColumn {
    /// Cuts a column; none for one that has no cells to speak of (text, images, a single value).
    pub fn new(name: &str, column: &Column) -> Option<SliceColumn> {
        let array = column.array()?;
        let numbers = |value: &dyn Fn(usize) -> f64, shown: &dyn Fn(f64) -> String| {
            let values: Vec<Option<f64>> =
                (0..array.len()).map(|row| array.is_valid(row).then(|| value(row)).filter(|value| value.is_finite())).collect();
            SliceColumn::of_numbers(name, &values, shown)
        };
        if let Some(own) = array.as_primitive_opt::<Float64Type>() {
            return numbers(&|row| own.value(row), &short);
        }
        if let Some(own) = array.as_primitive_opt::<TimestampMicrosecondType>() {
            return numbers(&|row| own.value(row) as f64, &day);
        }
        if let Some(own) = array.as_string_opt::<i32>() {
            let names = own.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
            return SliceColumn::of_names(name, &names);
        }
        let flags = array.as_any().downcast_ref::<BooleanArray>()?;
        SliceColumn::of_names(name, &flags.iter().map(|flag| flag.map(|flag| flag.to_string())).collect::<Vec<_>>())
    }

    /// The same cells of some of the rows.
    #[must_use]
    pub fn take(&self, rows: impl Iterator<Item = usize>) -> SliceColumn {
        SliceColumn { codes: rows.map(|row| self.codes[row]).collect(), ..self.clone() }
    }

    /// Whether a row is in a cell.
    pub fn holds(&self, cell: usize, row: usize) -> bool {
        usize::from(self.codes[row]) == cell
    }

    fn of_numbers(name: &str, values: &[Option<f64>], shown: &dyn Fn(f64) -> String) -> Option<SliceColumn> {
        let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let mut distinct = sorted.clone();
        distinct.dedup();
        if distinct.len() <= BINS {
            let named = values.iter().map(|value| value.map(shown)).collect::<Vec<_>>();
            return SliceColumn::of_names(name, &named);
        }
        // The first value of each bin but the first.
        let mut edges: Vec<f64> = (1..BINS).map(|bin| sorted[sorted.len() * bin / BINS]).filter(|edge| *edge > sorted[0]).collect();
        edges.dedup();
        let bin = |value: f64| edges.partition_point(|edge| *edge <= value);
        let missing = edges.len() + 1;
        let codes: Vec<u8> = values.iter().map(|value| value.map_or(missing, bin) as u8).collect();
        let ends = |bin: usize| {
            let start = sorted.partition_point(|value| bin > 0 && *value < edges[bin - 1]);
            let end = if bin < edges.len() { sorted.partition_point(|value| *value < edges[bin]) } else { sorted.len() };
            format!("{} to {}", shown(sorted[start]), shown(sorted[end - 1]))
        };
        let cells = (0..=edges.len()).map(ends).chain(["missing".to_owned()]).collect();
        Some(SliceColumn { name: name.to_owned(), cells, codes })
    }

    fn of_names(name: &str, values: &[Option<String>]) -> Option<SliceColumn> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        values.iter().flatten().for_each(|value| *counts.entry(value).or_default() += 1);
        let has_missing = values.iter().any(Option::is_none);
        // Names that hardly repeat are no groups.
        if counts.len() + usize::from(has_missing) < 2 || counts.len() * 2 > values.len() {
            return None;
        }
        let mut order: Vec<(&str, usize)> = counts.into_iter().collect();
        order.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        order.truncate(NAMES_MAX);
        let places: HashMap<&str, u8> = order.iter().enumerate().map(|(place, (name, _))| (*name, place as u8)).collect();
        let others = order.len() as u8;
        let code = |value: &Option<String>| match value {
            Some(name) => places.get(name.as_str()).copied().unwrap_or(others),
            None => others + 1,
        };
        let codes = values.iter().map(code).collect();
        let cells = order.iter().map(|(name, _)| format!("= {name}")).chain(["another".to_owned(), "missing".to_owned()]).collect();
        Some(SliceColumn { name: name.to_owned(), cells, codes })
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = if value.abs() >= 1e7 || value != 0.0 && value.abs() < 1e-3 { format!("{value:.3e}") } else { text };
    if text.contains('.') && !text.contains('e') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// The day of a time in microseconds; one that no calendar has is told as its number.
fn day(micros: f64) -> String {
    timestamp_us_to_datetime(micros as i64).map_or_else(|| short(micros), |time| time.date().to_string())
}

/// What a search looks at: losses around their mean, and how many rows each cell has.
struct Field<'a> {
    columns: &'a [SliceColumn],
    rows: usize,
    search: Search,
    /// The standard deviation of the losses.
    deviation: f64,
}

/// A slice on its way: its columns' places, the cells', and how many standard errors its losses lie above the mean.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    columns: [usize; 2],
    cells: [usize; 2],
    statistic: f64,
}

/// Searches for slices of larger loss than the rest.
pub fn slices(losses: &[f64], columns: &[SliceColumn], search: Search) -> Found {
    let nothing = Found { p_value: 1.0, ..Found::default() };
    let rows = losses.len();
    if rows < 2 * search.rows_min || columns.is_empty() || losses.iter().any(|loss| !loss.is_finite()) {
        return nothing;
    }
    let mut sorted = losses.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cap = sorted[((rows - 1) as f64 * TAIL).ceil() as usize];
    let mean = losses.iter().map(|loss| loss.min(cap)).sum::<f64>() / rows as f64;
    let centred: Vec<f32> = losses.iter().map(|loss| (loss.min(cap) - mean) as f32).collect();
    let deviation = (centred.iter().map(|loss| f64::from(*loss).powi(2)).sum::<f64>() / rows as f64).sqrt();
    if deviation <= 0.0 {
        return nothing;
    }
    let field = Field { columns, rows, search, deviation };
    let candidates = field.candidates(&centred);
    let Some(worst) = candidates.iter().map(|candidate| candidate.statistic).reduce(f64::max) else { return nothing };
    let pairs = PAIRED_MAX.min(columns.len());
    let work = rows * (columns.len() + pairs * (pairs - 1) / 2);
    let permutations = (WORK_MAX / work.max(1)).clamp(*PERMUTATIONS.start(), *PERMUTATIONS.end());
    let largest: Vec<f64> = (0..permutations as u64).into_par_iter().map(|step| field.largest_dealt(&centred, step)).collect();
    let p_value = |statistic: f64| (1 + largest.iter().filter(|other| **other >= statistic).count()) as f64 / (permutations + 1) as f64;
    let standing: Vec<Candidate> = candidates.iter().copied().filter(|candidate| p_value(candidate.statistic) <= search.level).collect();
    Found { slices: field.told(losses, standing, &p_value), tried: candidates.len(), p_value: p_value(worst) }
}

impl Field<'_> {
    /// All slices of one column, and of pairs of the columns with the worst ones.
    fn candidates(&self, losses: &[f32]) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut worst: Vec<(usize, f64)> = Vec::new();
        for place in 0..self.columns.len() {
            let own = self.of_cells(place, None, losses);
            worst.push((place, own.iter().map(|candidate| candidate.statistic).fold(f64::NEG_INFINITY, f64::max)));
            found.extend(own);
        }
        worst.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut paired: Vec<usize> = worst.iter().take(PAIRED_MAX).map(|(place, _)| *place).collect();
        paired.sort_unstable();
        for (at, &first) in paired.iter().enumerate() {
            for &second in &paired[at + 1..] {
                found.extend(self.of_cells(first, Some(second), losses));
            }
        }
        found
    }

    fn of_cells(&self, first: usize, second: Option<usize>, losses: &[f32]) -> Vec<Candidate> {
        let one = &self.columns[first];
        let width = second.map_or(1, |second| self.columns[second].cells.len());
        let mut sums = vec![(0.0f64, 0u32); one.cells.len() * width];
        match second.map(|second| &self.columns[second].codes) {
            None => {
                for (&code, &loss) in one.codes.iter().zip(losses) {
                    let sum = &mut sums[usize::from(code)];
                    *sum = (sum.0 + f64::from(loss), sum.1 + 1);
                }
            }
            Some(other) => {
                for ((&code, &other), &loss) in one.codes.iter().zip(other).zip(losses) {
                    let sum = &mut sums[usize::from(code) * width + usize::from(other)];
                    *sum = (sum.0 + f64::from(loss), sum.1 + 1);
                }
            }
        }
        let most = self.rows - self.search.rows_min;
        let candidate = |(cell, (sum, count)): (usize, &(f64, u32))| {
            let share = f64::from(*count) / self.rows as f64;
            // Drawn without replacement from all rows, as permutation does.
            let error = self.deviation * (f64::from(*count) * (1.0 - share)).sqrt();
            Candidate { columns: [first, second.unwrap_or(first)], cells: [cell / width, cell % width], statistic: sum / error }
        };
        let is_large = |(_, (_, count)): &(usize, &(f64, u32))| (self.search.rows_min..=most).contains(&(*count as usize));
        sums.iter().enumerate().filter(is_large).map(candidate).collect()
    }

    /// The largest statistic when losses are dealt out at random.
    fn largest_dealt(&self, losses: &[f32], step: u64) -> f64 {
        let order = self.search.draw.stream("slices").at(step).permutation(self.rows as u64);
        let dealt: Vec<f32> = order.iter().map(|&row| losses[row as usize]).collect();
        self.candidates(&dealt).iter().map(|candidate| candidate.statistic).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The slices to tell: by their gap, without those that another one says as well.
    fn told(&self, losses: &[f64], standing: Vec<Candidate>, p_value: &dyn Fn(f64) -> f64) -> Vec<Slice> {
        let total: f64 = losses.iter().sum();
        let slice = |candidate: Candidate| {
            let [first, second] = candidate.columns;
            let is_in = |row: &usize| {
                usize::from(self.columns[first].codes[*row]) == candidate.cells[0]
                    && (first == second || usize::from(self.columns[second].codes[*row]) == candidate.cells[1])
            };
            let rows: Vec<u64> = (0..self.rows).filter(is_in).map(|row| row as u64).collect();
            let sum: f64 = rows.iter().map(|&row| losses[row as usize]).sum();
            let mut parts = vec![[first, candidate.cells[0]]];
            parts.extend((first != second).then_some([second, candidate.cells[1]]));
            let (loss, rest) = (sum / rows.len() as f64, (total - sum) / (self.rows - rows.len()) as f64);
            Slice { parts, rows, loss, rest, p_value: p_value(candidate.statistic) }
        };
        // A slice of a column stands before a pair of the same statistic; of many, the strongest are looked at.
        let mut standing = standing;
        standing.sort_by(|a, b| b.statistic.total_cmp(&a.statistic));
        standing.truncate(20 * self.search.found_max);
        let mut slices: Vec<Slice> = standing.into_iter().map(slice).collect();
        slices.sort_by(|a, b| (b.loss - b.rest).total_cmp(&(a.loss - a.rest)).then(a.parts.cmp(&b.parts)));
        let mut told: Vec<Slice> = Vec::new();
        for slice in slices {
            if told.len() < self.search.found_max && told.iter().all(|other| overlap(&slice.rows, &other.rows) <= OVERLAP_MAX) {
                told.push(slice);
            }
        }
        told
    }
}

/// The share of the smaller of two sorted sets of rows that is in the other.
fn overlap(a: &[u64], b: &[u64]) -> f64 {
    let (small, large) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let shared = small.iter().filter(|row| large.binary_search(row).is_ok()).count();
    shared as f64 / small.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, StringArray};
    use std::sync::Arc;

    fn numbers(values: impl Iterator<Item = Option<f64>>) -> Column {
        Column::Array(Arc::new(values.collect::<Float64Array>()))
    }

    /// Six columns of noise: numbers, names, missing values.
    fn columns(rows: u64, draw: Draw) -> Vec<SliceColumn> {
        let number = |place: u64| {
            let own = draw.stream("number").at(place);
            let value = move |row: u64| (own.uniform(rows + row) > 0.1).then(|| own.normal(row));
            SliceColumn::new(&format!("n{place}"), &numbers((0..rows).map(value))).unwrap()
        };
        let names = |place: u64| {
            let own = draw.stream("name").at(place);
            let name = |row: u64| Some(["a", "b", "c", "d"][own.below(row, 4) as usize]);
            SliceColumn::new(&format!("c{place}"), &Column::Array(Arc::new((0..rows).map(name).collect::<StringArray>()))).unwrap()
        };
        vec![number(0), number(1), number(2), names(0), names(1), names(2)]
    }

    fn search(draw: Draw) -> Search {
        Search { level: 0.05, rows_min: 30, found_max: 5, draw }
    }

    /// Skewed losses that have nothing to do with the columns: over many tables something is found in at most one of twenty.
    #[test]
    fn noise_gives_no_more_false_alarms_than_its_level() {
        let trials = 400;
        let alarms = (0..trials).filter(|&trial| {
            let draw = Draw::new(9).at(trial);
            let losses: Vec<f64> = (0..600).map(|row| draw.stream("loss").normal(row).powi(4)).collect();
            !slices(&losses, &columns(600, draw), search(draw)).slices.is_empty()
        });
        let share = alarms.count() as f64 / trials as f64;
        // Two standard errors of 5 % in 400 tables are 2.2 %.
        assert!(share <= 0.072, "{share}");
    }

    #[test]
    fn what_is_planted_is_found() {
        let (rows, draw) = (4000, Draw::new(4));
        let columns = columns(rows, draw);
        // Losses are doubled where c1 is b and n0 is in its highest fifth: one row of twenty.
        let top = columns[0].cells.len() as u8 - 2;
        let is_bad = |row: usize| columns[0].codes[row] == top && columns[4].cells[usize::from(columns[4].codes[row])] == "= b";
        let loss = |row: u64| draw.stream("loss").uniform(row) * if is_bad(row as usize) { 3.0 } else { 1.0 };
        let losses: Vec<f64> = (0..rows).map(loss).collect();
        let found = slices(&losses, &columns, search(draw));
        let worst = &found.slices[0];
        assert_eq!(worst.parts.iter().map(|part| columns[part[0]].name.as_str()).collect::<Vec<_>>(), ["n0", "c1"]);
        assert!(worst.rows.iter().all(|&row| is_bad(row as usize)) && worst.p_value <= 0.01 && worst.loss > 2.0 * worst.rest);
        assert!(found.tried > 300, "{}", found.tried);
    }

    #[test]
    fn cells_are_called_by_what_they_hold() {
        let values = (0..100).map(|row| (row % 10 != 0).then_some(f64::from(row / 2)));
        let column = SliceColumn::new("n", &numbers(values)).unwrap();
        assert_eq!(column.cells, ["0 to 9", "10 to 19", "20 to 29", "30 to 39", "40 to 49", "missing"]);
        let names = StringArray::from_iter((0..100).map(|row| Some(if row % 3 == 0 { "x" } else { "y" })));
        assert_eq!(SliceColumn::new("c", &Column::Array(Arc::new(names))).unwrap().cells, ["= y", "= x", "another", "missing"]);
        let ids = StringArray::from_iter((0..100).map(|row| Some(format!("id{row}"))));
        assert!(SliceColumn::new("id", &Column::Array(Arc::new(ids))).is_none());
        assert_eq!(
            (day(0.0), day(951_782_400e6), day(-1.0), short(0.25), short(12_000_000.0)),
            ("1970-01-01".into(), "2000-02-29".into(), "1969-12-31".into(), "0.25".into(), "1.200e7".into())
        );
    }
}
