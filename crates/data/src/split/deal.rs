//! Deals counted rows, strata, groups and times out to sides in proportion to their shares.

use crate::cells::{Codes, MISSING};
use cupola_task::Side;

/// The sides that have shares, in the order of the shares.
pub(super) const SIDES: [Side; 3] = [Side::Train, Side::Valid, Side::Test];

/// Whole numbers in proportion to the shares, adding up to `rows`: largest remainders, ties to the later side. Every
/// side with a share gets a row when there are enough.
pub(super) fn allocate(rows: usize, shares: [f64; 3]) -> [usize; 3] {
    let quotas = shares.map(|share| share * rows as f64);
    let mut counts = quotas.map(|quota| quota.floor() as usize);
    while counts.iter().sum::<usize>() < rows {
        counts[neediest(quotas, counts)] += 1;
    }
    for side in 0..3 {
        let largest = (0..3).max_by_key(|&other| counts[other]).expect("there are three sides");
        if counts[side] == 0 && shares[side] > 0.0 && counts[largest] > 1 {
            counts[largest] -= 1;
            counts[side] += 1;
        }
    }
    counts
}

/// The side furthest below its quota, ties to the later one; a side without quota never is.
fn neediest(quotas: [f64; 3], counts: [usize; 3]) -> usize {
    let lack = |side: usize| if quotas[side] > 0.0 { quotas[side] - counts[side] as f64 } else { f64::NEG_INFINITY };
    (0..3).max_by(|&a, &b| lack(a).total_cmp(&lack(b))).expect("there are three sides")
}

/// Deals each stratum out in proportion: whole shares first, what is left to the sides that lack most so far, the
/// first row of a stratum always to training.
pub(super) fn deal(strata: &[Vec<usize>], rows: usize, shares: [f64; 3]) -> Vec<Side> {
    let mut sides = vec![Side::Out; rows];
    let (mut quotas, mut counts) = ([0.0; 3], [0; 3]);
    for stratum in strata.iter().filter(|stratum| !stratum.is_empty()) {
        let share = shares.map(|share| share * stratum.len() as f64);
        let mut dealt = share.map(|quota| (quota + 1e-9).floor() as usize);
        if dealt[0] == 0 {
            dealt[0] = 1;
        }
        (0..3).for_each(|side| (quotas[side], counts[side]) = (quotas[side] + share[side], counts[side] + dealt[side]));
        while dealt.iter().sum::<usize>() < stratum.len() {
            let side = neediest(quotas, counts);
            dealt[side] += 1;
            counts[side] += 1;
        }
        let order = (0..3).flat_map(|side| std::iter::repeat_n(SIDES[side], dealt[side]));
        stratum.iter().zip(order).for_each(|(&row, side)| sides[row] = side);
    }
    sides
}

/// Rows of each group; a row without a group is a group of its own.
pub(super) fn whole_groups(codes: &Codes) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); codes.distinct];
    for (row, &code) in codes.code.iter().enumerate() {
        match code {
            MISSING => groups.push(vec![row]),
            code => groups[code as usize].push(row),
        }
    }
    groups
}

/// A side for each group: in random order to the side that lacks most rows, then a small group to each side left empty.
pub(super) fn balance(groups: &[Vec<usize>], order: &[usize], quotas: [f64; 3]) -> Vec<usize> {
    let mut side_of = vec![0; groups.len()];
    let (mut counts, mut members) = ([0; 3], [0; 3]);
    for &group in order {
        let side = neediest(quotas, counts);
        side_of[group] = side;
        counts[side] += groups[group].len();
        members[side] += 1;
    }
    for side in 0..3 {
        let fullest = (0..3).max_by_key(|&other| members[other]).expect("there are three sides");
        if quotas[side] > 0.0 && members[side] == 0 && members[fullest] > 1 {
            let smallest = order.iter().copied().filter(|&group| side_of[group] == fullest).min_by_key(|&group| groups[group].len());
            side_of[smallest.expect("the fullest side has groups")] = side;
            members[fullest] -= 1;
            members[side] += 1;
        }
    }
    side_of
}

/// The first distinct time that is not training, and the first that is test; each the nearest to its share of rows that
/// leaves a time for every side.
pub(super) fn boundaries(codes: &Codes, shares: [f64; 3]) -> [usize; 2] {
    let mut before = vec![0usize; codes.distinct + 1];
    codes.code.iter().for_each(|&code| before[code as usize + 1] += 1);
    (0..codes.distinct).for_each(|time| before[time + 1] += before[time]);
    let rows = codes.code.len() as f64;
    let near = |share: f64, low: usize, high: usize| {
        let distance = |time: &usize| (before[*time] as f64 - share * rows).abs();
        (low..=high).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(low)
    };
    let (has_valid, has_test) = (usize::from(shares[1] > 0.0), usize::from(shares[2] > 0.0));
    let train = near(shares[0], 1, codes.distinct - has_valid - has_test);
    let valid = match (has_valid, has_test) {
        (0, _) => train,
        (_, 0) => codes.distinct,
        _ => near(shares[0] + shares[1], train + 1, codes.distinct - 1),
    };
    [train, valid]
}
