//! The best split of a leaf from its histogram.
//!
//! A split's worth is the fall of the loss's second-order approximation (Chen and Guestrin 2016, equation 7). Missing numbers go
//! to the side that is worth more. Categories are either taken out one at a time, or sorted by gradient over hessian and
//! then cut like numbers (Fisher 1958), with LightGBM's brakes against overfitting.

use super::bins::{BinSet, Bins};
use super::histogram::Cells;
use super::quantise::{Units, gradient, hessian};

/// What a split must respect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    /// L1 penalty of leaf values.
    pub(crate) lambda_l1: f64,
    /// L2 penalty of leaf values.
    pub(crate) lambda_l2: f64,
    /// Rows each side must have. Inside the search rows are told from the share of the hessian, as LightGBM does; exact when all hessians are equal.
    pub(crate) min_data_in_leaf: usize,
    /// Hessian each side must have.
    pub(crate) min_sum_hessian_in_leaf: f64,
    /// Worth below which nothing is split.
    pub(crate) min_gain_to_split: f64,
    /// Added to the hessian when categories are sorted.
    pub(crate) cat_smooth: f64,
    /// L2 penalty added for sorted categories.
    pub(crate) cat_l2: f64,
    /// Most categories on the smaller side.
    pub(crate) max_cat_threshold: usize,
    /// Up to this many categories they are taken out one at a time.
    pub(crate) max_cat_to_onehot: usize,
    /// Rows between two cuts of sorted categories.
    pub(crate) min_data_per_group: usize,
}

/// A leaf as the search sees it.
#[derive(Clone, Copy)]
pub(super) struct Whole {
    /// The sum of its pairs.
    pub(super) sum: u64,
    /// Its rows.
    pub(super) rows: usize,
    /// What a step of the sums is worth.
    pub(super) units: Units,
}

/// A split that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Split {
    /// By how much the loss falls.
    pub(super) gain: f64,
    /// The feature that decides.
    pub(super) feature: usize,
    /// The bins that go left, the missing one among them if it does.
    pub(super) left: BinSet,
    /// The left side's sum of pairs.
    pub(super) left_sum: u64,
}

/// What a side's gradient and hessian are worth.
pub(super) fn score(gradient: f64, hessian: f64, lambda_l1: f64, lambda_l2: f64) -> f64 {
    let gradient = shrunk(gradient, lambda_l1);
    let divisor = hessian + lambda_l2;
    if divisor > 0.0 { gradient * gradient / divisor } else { 0.0 }
}

/// The gradient after the L1 penalty.
pub(super) fn shrunk(gradient: f64, lambda_l1: f64) -> f64 {
    if lambda_l1 == 0.0 { gradient } else { gradient.signum() * (gradient.abs() - lambda_l1).max(0.0) }
}

/// Splits a leaf in mind.
struct Search<'a> {
    whole: Whole,
    rules: &'a Rules,
    hessian_min: u32,
    best: f64,
}

impl Search<'_> {
    /// Whether both sides are large enough and together better than all before. Written out, for it runs for every bin.
    #[inline(always)]
    fn improves(&mut self, left: u64, lambda_l2: f64) -> bool {
        let right = self.whole.sum.wrapping_sub(left);
        if hessian(left) < self.hessian_min || hessian(right) < self.hessian_min {
            return false;
        }
        let units = self.whole.units;
        let gradient_left = f64::from(gradient(left)) * units.gradient;
        let gradient_right = f64::from(gradient(right)) * units.gradient;
        let hessian_left = f64::from(hessian(left)) * units.hessian + lambda_l2;
        let hessian_right = f64::from(hessian(right)) * units.hessian + lambda_l2;
        let both = if self.rules.lambda_l1 == 0.0 {
            // One division for the two sides.
            (gradient_left * gradient_left * hessian_right + gradient_right * gradient_right * hessian_left)
                / (hessian_left * hessian_right)
        } else {
            let lambda_l1 = self.rules.lambda_l1;
            score(gradient_left, hessian_left, lambda_l1, 0.0) + score(gradient_right, hessian_right, lambda_l1, 0.0)
        };
        let is_better = both > self.best;
        if is_better {
            self.best = both;
        }
        is_better
    }

    fn rows(&self, pair: u64) -> f64 {
        f64::from(hessian(pair)) * self.whole.rows as f64 / f64::from(hessian(self.whole.sum))
    }
}

impl Whole {
    fn score(&self, rules: &Rules, lambda_l2: f64) -> f64 {
        let gradient = f64::from(gradient(self.sum)) * self.units.gradient;
        let hessian = f64::from(hessian(self.sum)) * self.units.hessian;
        score(gradient, hessian, rules.lambda_l1, lambda_l2)
    }

    /// The hessian that either side must have, in steps; never 0, so that no side is without rows.
    fn hessian_min(&self, rules: &Rules) -> u32 {
        let by_hessian = rules.min_sum_hessian_in_leaf / self.units.hessian;
        let by_rows = (rules.min_data_in_leaf as f64 - 0.5) * f64::from(hessian(self.sum)) / self.rows as f64;
        by_hessian.max(by_rows).ceil().clamp(1.0, f64::from(u32::MAX)) as u32
    }
}

/// The best split of one feature, if any is worth it.
pub(super) fn best(cells: &Cells, bins: &Bins, feature: usize, whole: Whole, rules: &Rules) -> Option<Split> {
    let search = |lambda_l2: f64| Search {
        whole,
        rules,
        hessian_min: whole.hessian_min(rules),
        best: whole.score(rules, lambda_l2) + rules.min_gain_to_split.max(1e-12),
    };
    let (found, lambda_l2) = match bins {
        Bins::Number { .. } => (number(cells, bins.missing(), search(rules.lambda_l2)), rules.lambda_l2),
        Bins::Category { .. } => {
            let used: Vec<u8> = (0..=bins.missing()).filter(|&bin| cells[usize::from(bin)] != 0).collect();
            if used.len() <= rules.max_cat_to_onehot {
                (one_category(cells, &used, search(rules.lambda_l2)), rules.lambda_l2)
            } else {
                let lambda_l2 = rules.lambda_l2 + rules.cat_l2;
                (sorted_categories(cells, &used, search(lambda_l2), lambda_l2), lambda_l2)
            }
        }
    };
    found.map(|(best, left, left_sum)| Split { gain: best - whole.score(rules, lambda_l2), feature, left, left_sum })
}

type Found = Option<(f64, BinSet, u64)>;

fn number(cells: &Cells, missing: u8, mut search: Search<'_>) -> Found {
    let lambda_l2 = search.rules.lambda_l2;
    let absent = cells[usize::from(missing)];
    let mut found: Option<(u8, bool, u64)> = None;
    let mut left = 0u64;
    for bin in 0..missing {
        let cell = cells[bin as usize];
        left = left.wrapping_add(cell);
        if cell == 0 {
            continue;
        }
        if hessian(search.whole.sum.wrapping_sub(left)) < search.hessian_min {
            break;
        }
        if search.improves(left, lambda_l2) {
            found = Some((bin, false, left));
        }
        if absent != 0 && search.improves(left.wrapping_add(absent), lambda_l2) {
            found = Some((bin, true, left.wrapping_add(absent)));
        }
    }
    found.map(|(bin, is_missing_left, sum)| {
        // Where training saw no missing value, one goes with the heavier side.
        let is_heavier = absent == 0 && hessian(sum) > hessian(search.whole.sum.wrapping_sub(sum));
        let mut left = BinSet::up_to(bin);
        if is_missing_left || is_heavier {
            left.insert(missing);
        }
        (search.best, left, sum)
    })
}

fn one_category(cells: &Cells, used: &[u8], mut search: Search<'_>) -> Found {
    let mut found = None;
    for &bin in used {
        if search.improves(cells[usize::from(bin)], search.rules.lambda_l2) {
            found = Some(bin);
        }
    }
    found.map(|bin| {
        let mut left = BinSet::default();
        left.insert(bin);
        (search.best, left, cells[usize::from(bin)])
    })
}

fn sorted_categories(cells: &Cells, used: &[u8], mut search: Search<'_>, lambda_l2: f64) -> Found {
    let (rules, units) = (search.rules, search.whole.units);
    let ratio = |cell: u64| f64::from(gradient(cell)) * units.gradient / (f64::from(hessian(cell)) * units.hessian + rules.cat_smooth);
    let mut sorted: Vec<(f64, u8)> = used
        .iter()
        .map(|&bin| (cells[usize::from(bin)], bin))
        .filter(|&(cell, _)| search.rows(cell) >= rules.cat_smooth)
        .map(|(cell, bin)| (ratio(cell), bin))
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let most = rules.max_cat_threshold.min(sorted.len().div_ceil(2));
    let mut found: Option<(bool, usize, u64)> = None;
    for is_from_top in [false, true] {
        let bins = sorted.iter().map(|pair| pair.1);
        let bins: Vec<u8> = if is_from_top { bins.rev().take(most).collect() } else { bins.take(most).collect() };
        let (mut left, mut fresh) = (0u64, 0.0);
        for (place, &bin) in bins.iter().enumerate() {
            left = left.wrapping_add(cells[usize::from(bin)]);
            fresh += search.rows(cells[usize::from(bin)]);
            if search.rows(search.whole.sum.wrapping_sub(left)) < rules.min_data_per_group as f64 {
                break;
            }
            if fresh < rules.min_data_per_group as f64 {
                continue;
            }
            fresh = 0.0;
            if search.improves(left, lambda_l2) {
                found = Some((is_from_top, place + 1, left));
            }
        }
    }
    found.map(|(is_from_top, count, sum)| {
        let mut left = BinSet::default();
        let chosen = if is_from_top { &sorted[sorted.len() - count..] } else { &sorted[..count] };
        chosen.iter().for_each(|&(_, bin)| left.insert(bin));
        (search.best, left, sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            lambda_l1: 0.0,
            lambda_l2: 0.0,
            min_data_in_leaf: 1,
            min_sum_hessian_in_leaf: 0.0,
            min_gain_to_split: 0.0,
            cat_smooth: 0.0,
            cat_l2: 0.0,
            max_cat_threshold: 32,
            max_cat_to_onehot: 4,
            min_data_per_group: 1,
        }
    }

    fn split(values: &[(i32, u32)], bins: &Bins, rules: &Rules) -> Option<Split> {
        let mut cells = [0u64; 256];
        for (cell, &(gradient, hessian)) in cells.iter_mut().zip(values) {
            *cell = (u64::from(gradient as u32) << 32).wrapping_add(u64::from(hessian));
        }
        let sum = cells.iter().fold(0u64, |sum, &cell| sum.wrapping_add(cell));
        let whole = Whole { sum, rows: hessian(sum) as usize, units: Units { gradient: 1.0, hessian: 1.0 } };
        best(&cells, bins, 0, whole, rules)
    }

    #[test]
    fn numbers_are_cut_where_the_loss_falls_most() {
        let bins = Bins::Number { bounds: vec![0.0, 1.0, 2.0] };
        let found = split(&[(-5, 5), (-5, 5), (6, 5), (4, 5)], &bins, &rules()).unwrap();
        assert_eq!((found.left, found.gain), (BinSet::up_to(1), 20.0));
        let missing_left = split(&[(-5, 5), (5, 5), (5, 5), (5, 5), (-5, 5)], &bins, &rules()).unwrap();
        assert!(missing_left.left.contains(4) && missing_left.left.contains(0) && !missing_left.left.contains(1));
        let missing_alone = split(&[(5, 5), (5, 5), (5, 5), (5, 5), (-20, 5)], &bins, &rules()).unwrap();
        assert_eq!(missing_alone.left, BinSet::up_to(3));
    }

    #[test]
    fn limits_hold() {
        let bins = Bins::Number { bounds: vec![0.0] };
        assert!(split(&[(-5, 5), (5, 5)], &bins, &Rules { min_data_in_leaf: 6, ..rules() }).is_none());
        assert!(split(&[(-5, 5), (5, 5)], &bins, &Rules { min_sum_hessian_in_leaf: 5.5, ..rules() }).is_none());
        assert!(split(&[(-5, 5), (5, 5)], &bins, &Rules { min_gain_to_split: 10.0, ..rules() }).is_none());
        assert!(split(&[(-5, 5), (5, 5)], &bins, &Rules { lambda_l1: 5.0, ..rules() }).is_none());
        assert!(split(&[(5, 5), (5, 5)], &bins, &rules()).is_none());
    }

    #[test]
    fn categories_are_taken_out_or_sorted() {
        let few = Bins::Category { bin_of: vec![0, 1, 2], other: 3 };
        let found = split(&[(2, 5), (-9, 5), (2, 5)], &few, &rules()).unwrap();
        assert!(found.left.iter().eq([1]));
        let many = Bins::Category { bin_of: (0..8).collect(), other: 8 };
        let values = [(9, 5), (-9, 5), (8, 5), (-8, 5), (9, 5), (-9, 5), (9, 5), (9, 5)];
        let found = split(&values, &many, &rules()).unwrap();
        assert!(found.left.iter().eq([1, 3, 5]));
    }
}
