//! How well something tells the target, on rows that were not used to learn it.

use super::evidence::Truth;
use crate::cells::{Codes, MISSING};

/// Bins into which ordered columns are cut.
const BINS: usize = 32;

/// Rows as whole numbers below `count`, one for each of the rows looked at.
pub(crate) struct Bins {
    pub of: Vec<u32>,
    pub count: usize,
}

/// The column's values in the given rows: each value a bin of its own, missing ones too.
pub(crate) fn values(codes: &Codes, rows: &[usize]) -> Bins {
    let bin = |row: &usize| if codes.code[*row] == MISSING { codes.distinct as u32 } else { codes.code[*row] };
    Bins { of: rows.iter().map(bin).collect(), count: codes.distinct + 1 }
}

/// The column's ordered values in the given rows, cut into bins of about as many rows each, missing ones apart.
pub(crate) fn quantiles(codes: &Codes, rows: &[usize]) -> Bins {
    let all = values(codes, rows);
    let mut counts = vec![0usize; all.count];
    all.of.iter().for_each(|&bin| counts[bin as usize] += 1);
    let present = rows.len() - counts[codes.distinct];
    let (mut before, mut bin_of) = (0, vec![0u32; all.count]);
    for code in 0..codes.distinct {
        bin_of[code] = ((before + counts[code] / 2) * BINS / present.max(1)).min(BINS - 1) as u32;
        before += counts[code];
    }
    bin_of[codes.distinct] = BINS as u32;
    Bins { of: all.of.iter().map(|&bin| bin_of[bin as usize]).collect(), count: BINS + 1 }
}

/// Rows by their place in the file.
pub(crate) fn places(rows: usize) -> Bins {
    let count = (rows / 16).clamp(1, BINS);
    Bins { of: (0..rows).map(|place| (place * count / rows) as u32).collect(), count }
}

/// The share of the target's variance (Gini index for classes) that the bins explain: learned on every other row,
/// measured on the rest, so that it is about 0 or below for bins that know nothing.
pub(crate) fn explained(bins: &Bins, truth: &Truth<'_>, rows: &[usize]) -> f64 {
    match truth {
        Truth::Numbers(values) => explained_numbers(bins, values, rows),
        Truth::Classes { codes, count } => explained_classes(bins, codes, *count, rows),
    }
}

fn explained_numbers(bins: &Bins, values: &[f64], rows: &[usize]) -> f64 {
    let known = || rows.iter().zip(&bins.of).enumerate().filter(|(_, (row, _))| values[**row].is_finite());
    let (mut sums, mut counts, mut total, mut learned) = (vec![0.0; bins.count], vec![0.0; bins.count], 0.0, 0.0f64);
    for (_, (&row, &bin)) in known().filter(|(place, _)| place % 2 == 0) {
        sums[bin as usize] += values[row];
        counts[bin as usize] += 1.0;
        total += values[row];
        learned += 1.0;
    }
    let overall = total / learned.max(1.0);
    let (mut error, mut baseline) = (0.0, 0.0);
    for (_, (&row, &bin)) in known().filter(|(place, _)| place % 2 == 1) {
        let guess = if counts[bin as usize] > 0.0 { sums[bin as usize] / counts[bin as usize] } else { overall };
        error += (values[row] - guess).powi(2);
        baseline += (values[row] - overall).powi(2);
    }
    if baseline > 0.0 { 1.0 - error / baseline } else { 0.0 }
}

fn explained_classes(bins: &Bins, codes: &[u32], count: usize, rows: &[usize]) -> f64 {
    let Some(table) = Table::learn(bins, codes, count, rows) else { return 0.0 };
    let quadratic = |row: &[f64]| -> (f64, f64) {
        let total = row.iter().sum::<f64>().max(1.0);
        (total, row.iter().map(|n| (n / total).powi(2)).sum())
    };
    let squares: Vec<(f64, f64)> = table.counts.chunks_exact(count).map(quadratic).collect();
    let (total, square) = quadratic(&table.overall);
    let (mut error, mut baseline) = (0.0, 0.0);
    for (class, bin) in table.judged(bins, codes, rows) {
        let base = 1.0 - 2.0 * table.overall[class] / total + square;
        let (own_total, own_square) = squares[bin];
        error += if own_square > 0.0 { 1.0 - 2.0 * table.counts[bin * count + class] / own_total + own_square } else { base };
        baseline += base;
    }
    if baseline > 0.0 { 1.0 - error / baseline } else { 0.0 }
}

/// Accuracy of the most frequent class of each bin, and of the most frequent class of all: learned on every other row,
/// measured on the rest.
pub(crate) fn accuracy(bins: &Bins, codes: &[u32], count: usize, rows: &[usize]) -> (f64, f64) {
    let Some(table) = Table::learn(bins, codes, count, rows) else { return (0.0, 1.0) };
    let most = |row: &[f64]| (0..count).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    let common = most(&table.overall);
    let guesses: Vec<usize> =
        table.counts.chunks_exact(count).map(|row| if row.iter().any(|n| *n > 0.0) { most(row) } else { common }).collect();
    let (mut right, mut base, mut judged) = (0.0, 0.0, 0.0f64);
    for (class, bin) in table.judged(bins, codes, rows) {
        right += f64::from(u8::from(guesses[bin] == class));
        base += f64::from(u8::from(common == class));
        judged += 1.0;
    }
    (right / judged.max(1.0), base / judged.max(1.0))
}

/// Bins by classes, of every other row.
struct Table {
    counts: Vec<f64>,
    overall: Vec<f64>,
}

impl Table {
    /// None where the table would be larger than what it could learn from.
    fn learn(bins: &Bins, codes: &[u32], count: usize, rows: &[usize]) -> Option<Table> {
        if count == 0 || bins.count.saturating_mul(count) > 16 * rows.len() + 4096 {
            return None;
        }
        let mut table = Table { counts: vec![0.0; bins.count * count], overall: vec![0.0; count] };
        for (&row, &bin) in rows.iter().zip(&bins.of).step_by(2).filter(|(row, _)| codes[**row] != MISSING) {
            table.counts[bin as usize * count + codes[row] as usize] += 1.0;
            table.overall[codes[row] as usize] += 1.0;
        }
        Some(table)
    }

    /// Class and bin of the rows that were not learned from.
    fn judged<'a>(&self, bins: &'a Bins, codes: &'a [u32], rows: &'a [usize]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let rest = rows.iter().zip(&bins.of).skip(1).step_by(2);
        rest.filter(|(row, _)| codes[**row] != MISSING).map(|(&row, &bin)| (codes[row] as usize, bin as usize))
    }
}

/// The area under the ROC curve of an ordered column for class 1 of two, ties counted half, rows without a value left
/// out; turned round when below a half.
pub(crate) fn auc(codes: &Codes, classes: &[u32], rows: &[usize]) -> f64 {
    let mut counts = vec![[0f64; 2]; codes.distinct];
    for &row in rows.iter().filter(|row| codes.code[**row] != MISSING && classes[**row] < 2) {
        counts[codes.code[row] as usize][classes[row] as usize] += 1.0;
    }
    area(counts.into_iter())
}

/// The same for a column without order: values ordered by their rate of class 1 in every other row, measured on the rest.
pub(crate) fn auc_of_categories(bins: &Bins, classes: &[u32], rows: &[usize]) -> f64 {
    let mut halves = [vec![[0f64; 2]; bins.count], vec![[0f64; 2]; bins.count]];
    for (place, (&row, &bin)) in rows.iter().zip(&bins.of).enumerate().filter(|(_, (row, _))| classes[**row] < 2) {
        halves[place % 2][bin as usize][classes[row] as usize] += 1.0;
    }
    let [learned, judged] = halves;
    let rate = |bin: &usize| (learned[*bin][1] + 0.5) / (learned[*bin][0] + learned[*bin][1] + 1.0);
    let mut order: Vec<usize> = (0..bins.count).collect();
    order.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    // Equal rates are ties, not an order.
    let tied = order
        .chunk_by(|a, b| rate(a) == rate(b))
        .map(|bins| bins.iter().fold([0.0; 2], |[zero, one], &bin| [zero + judged[bin][0], one + judged[bin][1]]));
    area(tied)
}

fn area(counts: impl Iterator<Item = [f64; 2]>) -> f64 {
    let (mut below, mut pairs, mut ones) = (0.0, 0.0, 0.0);
    for [zero, one] in counts {
        pairs += one * (below + zero / 2.0);
        below += zero;
        ones += one;
    }
    let area = if below * ones > 0.0 { pairs / (below * ones) } else { 0.5 };
    area.max(1.0 - area)
}

/// Pearson's correlation of pairs; none where one of the two does not vary.
pub(crate) fn pearson(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let (mean_x, mean_y) = (pairs.iter().map(|pair| pair.0).sum::<f64>() / n, pairs.iter().map(|pair| pair.1).sum::<f64>() / n);
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in pairs {
        let (x, y) = (x - mean_x, y - mean_y);
        (xy, xx, yy) = (xy + x * y, xx + x * x, yy + y * y);
    }
    Some(xy / (xx * yy).sqrt()).filter(|correlation| correlation.is_finite())
}

/// Mean ranks of ordered codes in the given rows.
pub(crate) fn ranks(codes: &Codes, rows: &[usize]) -> Vec<f64> {
    let mut counts = vec![0usize; codes.distinct + 1];
    let place = |row: usize| (codes.code[row] as usize).min(codes.distinct);
    rows.iter().for_each(|&row| counts[place(row)] += 1);
    let mut before = 0;
    let mean: Vec<f64> = counts
        .iter()
        .map(|&count| {
            before += count;
            before as f64 - count as f64 / 2.0
        })
        .collect();
    rows.iter().map(|&row| mean[place(row)]).collect()
}

/// The natural logarithm of n!, by Stirling's series.
pub(crate) fn ln_factorial(n: usize) -> f64 {
    match n {
        0 | 1 => 0.0,
        2..16 => (2..=n).map(|k| (k as f64).ln()).sum(),
        _ => {
            let x = n as f64;
            x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x)
        }
    }
}
