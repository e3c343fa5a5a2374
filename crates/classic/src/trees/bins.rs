//! Features as bins: one byte a value. Learned once, shared by all trees, folds and fits on the same rows.

use crate::{Feature, MISSING, Values};
use cupola_task::Draw;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Cells a feature's histogram has: up to 255 bins of values and one of missing ones.
pub(crate) const CELLS: usize = 256;
/// Features in a group. A row of a group is a quarter of a cache line, and a group's histogram (32 KiB of 8-byte cells) stays in the first-level cache.
pub(crate) const GROUP: usize = 16;
/// Rows that the bounds are learned from (LightGBM's `bin_construct_sample_cnt`).
const SAMPLE: usize = 200_000;

/// How a feature's values fall into bins. The bin after the last value bin holds missing values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bins {
    /// Bin `i` holds the numbers above `bounds[i - 1]` and up to `bounds[i]`; one more bin holds those above all bounds.
    Number {
        /// Ascending.
        bounds: Vec<f64>,
    },
    /// Each kept class has a bin; all others share the bin `other`.
    Category {
        /// The bin of each class.
        bin_of: Vec<u8>,
        /// The bin of rare and unseen classes.
        other: u8,
    },
}

/// A set of bins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BinSet(pub(crate) [u64; 4]);

/// A group of features, row by row.
pub(crate) struct Group {
    /// How many features.
    pub(crate) width: usize,
    /// The bins of each row; elements from `width` on are unused.
    pub(crate) rows: Vec<[u8; GROUP]>,
}

/// A table of bins.
pub(crate) struct Binned {
    /// How each feature was binned.
    pub(crate) bins: Vec<Bins>,
    /// Each feature's bins, row after row.
    pub(crate) columns: Vec<Vec<u8>>,
    rows: usize,
    groups: OnceLock<Vec<Group>>,
}

impl BinSet {
    /// Whether the bin is in it.
    #[inline]
    pub(crate) fn contains(&self, bin: u8) -> bool {
        (self.0[usize::from(bin >> 6)] >> (bin & 63)) & 1 == 1
    }

    /// Adds a bin.
    #[inline]
    pub(crate) fn insert(&mut self, bin: u8) {
        self.0[usize::from(bin >> 6)] |= 1 << (bin & 63);
    }

    /// The bins from 0 to `last`.
    #[inline]
    pub(crate) fn up_to(last: u8) -> BinSet {
        let (word, ones) = (usize::from(last >> 6), u64::MAX >> (63 - (last & 63)));
        let mut set = [0; 4];
        set[..word].fill(u64::MAX);
        set[word] = ones;
        BinSet(set)
    }

    /// Its bins, ascending.
    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..4u8).flat_map(move |word| {
            let mut bits = self.0[usize::from(word)];
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as u8)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

impl Bins {
    /// The bin of missing values; value bins are those below it.
    pub(crate) fn missing(&self) -> u8 {
        match self {
            Bins::Number { bounds } => bounds.len() as u8 + 1,
            Bins::Category { other, .. } => other + 1,
        }
    }

    /// The bin of a class.
    #[inline]
    pub(crate) fn of_code(bin_of: &[u8], other: u8, code: u32) -> u8 {
        if code == MISSING { other + 1 } else { bin_of.get(code as usize).copied().unwrap_or(other) }
    }

    fn fit(values: &Values, bins_max: usize, sample: &[u32]) -> Bins {
        match values {
            Values::Numbers(values) => Bins::Number { bounds: bounds(sorted(values, sample), bins_max) },
            Values::Codes { codes, classes } => categories(codes, *classes, bins_max),
        }
    }

    /// The bin of each value, which must be of the kind that the bins were learned on.
    fn map(&self, values: &Values) -> Vec<u8> {
        match (self, values) {
            (Bins::Number { bounds }, Values::Numbers(values)) => numbers(bounds, self.missing(), values),
            (Bins::Category { bin_of, other }, Values::Codes { codes, .. }) => {
                codes.iter().map(|&code| Bins::of_code(bin_of, *other, code)).collect()
            }
            _ => unreachable!("a feature keeps its kind, for both come from one schema"),
        }
    }
}

/// The present values of the sampled rows (all rows when the sample is empty), ascending, as numbers again.
fn sorted(values: &[f64], sample: &[u32]) -> Vec<f64> {
    // Adding zero makes -0 and 0 the same value.
    let key = |value: f64| {
        let bits = (value + 0.0).to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    };
    let mut keys: Vec<u64> = if sample.is_empty() {
        values.iter().filter(|value| !value.is_nan()).map(|&value| key(value)).collect()
    } else {
        sample.iter().map(|&row| values[row as usize]).filter(|value| !value.is_nan()).map(key).collect()
    };
    // Measured for 200,000 keys: 2.7 ms; a radix sort of 11 bits a pass takes 3.8 ms.
    keys.sort_unstable();
    keys.into_iter().map(|key| f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })).collect()
}

/// Bounds between bins: between all distinct values when they are few enough, else so that bins hold about equally many
/// rows, where a value with more rows than that has a bin of its own.
fn bounds(sorted: Vec<f64>, bins_max: usize) -> Vec<f64> {
    let mut distinct: Vec<(f64, usize)> = Vec::new();
    for value in sorted.iter().copied() {
        match distinct.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => distinct.push((value, 1)),
        }
    }
    if distinct.len() <= bins_max {
        return distinct.windows(2).map(|pair| between(pair[0].0, pair[1].0)).collect();
    }
    let own = sorted.len() as f64 / bins_max as f64;
    let is_big = |count: usize| count as f64 >= own;
    let mut bins_left = bins_max - distinct.iter().filter(|(_, count)| is_big(*count)).count();
    let mut rows_left: usize = distinct.iter().map(|(_, count)| count).filter(|count| !is_big(**count)).sum();
    let (mut bounds, mut held) = (Vec::with_capacity(bins_max), 0);
    for pair in distinct.windows(2) {
        let (count, share) = (pair[0].1, rows_left as f64 / bins_left.max(1) as f64);
        held += count;
        let is_full = held as f64 >= share || (is_big(pair[1].1) && held as f64 >= share / 2.0);
        if (is_big(count) || is_full) && bounds.len() + 1 < bins_max {
            bounds.push(between(pair[0].0, pair[1].0));
            if !is_big(count) {
                rows_left = rows_left.saturating_sub(held);
                bins_left = bins_left.saturating_sub(1);
            }
            held = 0;
        }
    }
    bounds
}

/// A number that parts two neighbours: not below the smaller, below the larger.
fn between(low: f64, high: f64) -> f64 {
    let middle = low * 0.5 + high * 0.5;
    if middle >= low && middle < high { middle } else { low }
}

/// A bin for each class, or for the most frequent ones when there are too many (ties to the lower code).
fn categories(codes: &[u32], classes: usize, bins_max: usize) -> Bins {
    let kept_max = bins_max.min(CELLS - 2);
    if classes <= kept_max {
        return Bins::Category { bin_of: (0..classes).map(|class| class as u8).collect(), other: classes as u8 };
    }
    let mut counts: Vec<(usize, usize)> = (0..classes).map(|class| (0, class)).collect();
    codes.iter().filter(|code| **code != MISSING).for_each(|&code| counts[code as usize].0 += 1);
    counts.sort_by_key(|&(count, class)| (std::cmp::Reverse(count), class));
    let mut bin_of = vec![kept_max as u8; classes];
    for (bin, (_, class)) in counts.iter().take(kept_max).enumerate() {
        bin_of[*class] = bin as u8;
    }
    Bins::Category { bin_of, other: kept_max as u8 }
}

/// How many bounds are below each value: a search without branches, eight values at a time.
fn numbers(bounds: &[f64], missing: u8, values: &[f64]) -> Vec<u8> {
    let mut table = [f64::INFINITY; CELLS];
    table[..bounds.len()].copy_from_slice(bounds);
    let steps = bounds.len().checked_ilog2().map_or(0, |log| log + 1);
    let mut bins = vec![0u8; values.len()];
    let (chunks, rest) = values.as_chunks::<LANES>();
    let (bin_chunks, rest_bins) = bins.as_chunks_mut::<LANES>();
    for place in 0..chunks.len() {
        below(&table, steps, missing, &chunks[place], &mut bin_chunks[place]);
    }
    let (mut last, mut last_bins) = ([f64::NAN; LANES], [0; LANES]);
    last[..rest.len()].copy_from_slice(rest);
    below(&table, steps, missing, &last, &mut last_bins);
    rest_bins.copy_from_slice(&last_bins[..rest.len()]);
    bins
}

const LANES: usize = 8;

/// The search of [`numbers`] in so many halvings. The answer of a comparison is shifted, not chosen by, for the compiler would make a jump of a choice.
#[inline(always)]
fn below(table: &[f64; CELLS], steps: u32, missing: u8, values: &[f64; LANES], bins: &mut [u8; LANES]) {
    let mut places = [0usize; LANES];
    let mut shift = steps;
    while shift > 0 {
        shift -= 1;
        let last = (1 << shift) - 1;
        for lane in 0..LANES {
            let is_below = table[(places[lane] + last) & (CELLS - 1)] < values[lane];
            places[lane] += usize::from(is_below) << shift;
        }
    }
    for lane in 0..LANES {
        bins[lane] = if values[lane].is_nan() { missing } else { places[lane] as u8 };
    }
}

impl Binned {
    /// Learns bins, at most `bins_max` (2..=255) of values a feature, and bins the rows.
    pub(crate) fn fit(features: &[Feature], rows: usize, bins_max: usize, draw: Draw) -> Binned {
        Binned::fit_beside(&[], features, rows, bins_max, draw)
    }

    /// The same, where some features have their bins already.
    pub(crate) fn fit_beside(known: &[Option<Bins>], features: &[Feature], rows: usize, bins_max: usize, draw: Draw) -> Binned {
        let sample: Vec<u32> = if rows <= SAMPLE {
            Vec::new()
        } else {
            let start = |place: u64| place * rows as u64 / SAMPLE as u64;
            (0..SAMPLE as u64).map(|place| (start(place) + draw.below(place, start(place + 1) - start(place))) as u32).collect()
        };
        let (bins, columns) = features
            .par_iter()
            .enumerate()
            .map(|(place, feature)| {
                let bins = known.get(place).cloned().flatten().unwrap_or_else(|| Bins::fit(&feature.values, bins_max, &sample));
                let column = bins.map(&feature.values);
                (bins, column)
            })
            .unzip();
        Binned { bins, columns, rows, groups: OnceLock::new() }
    }

    /// Bins other rows of the same features.
    pub(crate) fn map(&self, features: &[Feature], rows: usize) -> Binned {
        let columns = self.bins.par_iter().zip(features).map(|(bins, feature)| bins.map(&feature.values)).collect();
        Binned { bins: self.bins.clone(), columns, rows, groups: OnceLock::new() }
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The bins row by row, in groups of equal width; made when first asked for.
    pub(crate) fn groups(&self) -> &[Group] {
        self.groups.get_or_init(|| {
            let count = self.columns.len().div_ceil(GROUP);
            let start = |group: usize| group * self.columns.len() / count;
            (0..count).into_par_iter().map(|group| Group::new(&self.columns, start(group), start(group + 1), self.rows)).collect()
        })
    }
}

impl Group {
    fn new(columns: &[Vec<u8>], first: usize, end: usize, rows: usize) -> Group {
        const BLOCK: usize = 512;
        let mut table = vec![[0u8; GROUP]; rows];
        for (block, rows) in table.chunks_mut(BLOCK).enumerate() {
            for (place, column) in columns[first..end].iter().enumerate() {
                let column = &column[block * BLOCK..][..rows.len()];
                for row in 0..rows.len() {
                    rows[row][place] = column[row];
                }
            }
        }
        Group { width: end - first, rows: table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn feature(values: Vec<f64>) -> Vec<Feature> {
        vec![Feature { name: "x".into(), values: Values::Numbers(values) }]
    }

    #[test]
    fn few_values_have_a_bin_each_and_missing_has_its_own() {
        let binned = Binned::fit(&feature(vec![3.0, 1.0, f64::NAN, 2.0, 1.0, -0.0, 0.0]), 7, 255, Draw::default());
        assert_eq!(binned.columns[0], [3, 1, 4, 2, 1, 0, 0]);
        assert_eq!(binned.bins[0], Bins::Number { bounds: vec![0.5, 1.5, 2.5] });
    }

    #[test]
    fn many_values_share_bins_of_about_equal_size_but_a_big_one_stands_alone() {
        let values: Vec<f64> = (0..20_000).map(|i| if i % 4 == 0 { 7.5 } else { f64::from(i) * 0.001 }).collect();
        let binned = Binned::fit(&feature(values.clone()), values.len(), 64, Draw::default());
        let mut counts = vec![0; 65];
        binned.columns[0].iter().for_each(|&bin| counts[usize::from(bin)] += 1);
        let big = *counts.iter().max().unwrap();
        assert_eq!(big, 5000);
        assert!(counts.iter().filter(|&&count| count != big).all(|&count| count < 400), "{counts:?}");
    }

    #[test]
    fn rare_classes_share_a_bin() {
        let codes: Vec<u32> = (0..3000).map(|i| if i < 1000 { 999 } else { i % 300 }).chain([MISSING]).collect();
        let values = Values::Codes { codes: codes.clone(), classes: 1000 };
        let bins = Bins::fit(&values, 16, &[]);
        let mapped = bins.map(&values);
        assert_eq!((mapped[0], *mapped.last().unwrap(), bins.missing()), (0, 17, 17));
        assert_eq!(Bins::of_code(&[0, 1], 2, 77), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bins_follow_bounds(values in prop::collection::vec(prop_oneof![any::<f64>(), (-40i32..40).prop_map(f64::from)], 1..6000), bins_max in 2usize..=255) {
            let binned = Binned::fit(&feature(values.clone()), values.len(), bins_max, Draw::default());
            let Bins::Number { bounds } = &binned.bins[0] else { unreachable!() };
            prop_assert!(bounds.len() < bins_max && bounds.windows(2).all(|pair| pair[0] < pair[1]));
            for (value, &bin) in values.iter().zip(&binned.columns[0]) {
                let wanted = if value.is_nan() { binned.bins[0].missing() } else { bounds.iter().filter(|bound| **bound < *value).count() as u8 };
                prop_assert_eq!(bin, wanted);
            }
        }

        #[test]
        fn sets_give_back_their_bins(bins in prop::collection::btree_set(any::<u8>(), 0..100)) {
            let mut set = BinSet::default();
            bins.iter().for_each(|&bin| set.insert(bin));
            prop_assert!(set.iter().eq(bins.iter().copied()));
            prop_assert!((0..=255).all(|bin| set.contains(bin) == bins.contains(&bin)));
            prop_assert!(bins.iter().all(|&last| BinSet::up_to(last).iter().eq(0..=last)));
        }
    }
}
