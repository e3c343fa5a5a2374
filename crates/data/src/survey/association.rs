//! How columns hang together, on a sample of rows: Pearson's and Spearman's correlation of numbers, Cramér's V of categories with Bergsma's
//! correction ("A bias-correction for Cramér's V and Tschuprow's T", 2013), and for a number beside a category the square root of epsilon squared, the
//! share of variance between classes less what chance gives (Kelley, 1935).

use crate::leaks::measure::pearson;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// How an association is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Two numbers: Spearman's rank correlation, where it is the stronger one.
    Spearman,
    /// Two numbers: Pearson's correlation.
    Pearson,
    /// Two categories.
    CramersV,
    /// A number and a category.
    CorrelationRatio,
}

impl Measure {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Measure::Spearman => "Spearman",
            Measure::Pearson => "Pearson",
            Measure::CramersV => "Cramer's V",
            Measure::CorrelationRatio => "correlation ratio",
        }
    }
}

/// How two columns hang together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Association {
    /// One column.
    pub first: Arc<str>,
    /// The other.
    pub second: Arc<str>,
    /// How it is measured.
    pub measure: Measure,
    /// From -1 to 1 for numbers, from 0 to 1 for others.
    pub value: f64,
    /// Rows of the sample where both are there.
    pub rows: u64,
}

/// A sampled column.
pub(super) enum Sampled {
    /// NaN where missing.
    Numbers { values: Vec<f64>, ranks: Vec<f64> },
    /// Codes below `count`; `u32::MAX` where missing.
    Codes { of: Vec<u32>, count: usize },
}

/// Fewer rows than this say nothing.
const ROWS_MIN: usize = 10;

impl Sampled {
    pub fn numbers(values: Vec<f64>) -> Sampled {
        let ranks = ranks(&values);
        Sampled::Numbers { values, ranks }
    }

    /// Keys of values, 0 where missing; none when there are more than `most` different ones, or fewer than two.
    pub fn codes(keys: &[u64], most: usize) -> Option<Sampled> {
        let mut known: HashMap<u64, u32> = HashMap::new();
        let of = keys
            .iter()
            .map(|&key| {
                if key == 0 {
                    return u32::MAX;
                }
                let next = known.len() as u32;
                *known.entry(key).or_insert(next)
            })
            .collect();
        (2..=most).contains(&known.len()).then_some(Sampled::Codes { of, count: known.len() })
    }
}

/// Mean ranks, NaN where there is no number.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).filter(|&row| !values[row].is_nan()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![f64::NAN; values.len()];
    let mut start = 0;
    while start < order.len() {
        let end = order[start..].iter().take_while(|&&row| values[row] == values[order[start]]).count() + start;
        let rank = (start + end - 1) as f64 / 2.0;
        order[start..end].iter().for_each(|&row| ranks[row] = rank);
        start = end;
    }
    ranks
}

/// All pairs of the columns, and each of `columns` with those named in `with`: strongest first.
pub(super) fn associations(columns: &[(Arc<str>, Sampled)], among: usize, with: &[usize]) -> Vec<Association> {
    let all = 0..columns.len();
    let pairs: Vec<(usize, usize)> = all
        .flat_map(|a| (a + 1..columns.len()).map(move |b| (a, b)))
        .filter(|(a, b)| *b < among || with.contains(a) || with.contains(b))
        .collect();
    let mut found: Vec<Association> = pairs.into_par_iter().filter_map(|(a, b)| associate(&columns[a], &columns[b])).collect();
    found.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()).then_with(|| (&a.first, &a.second).cmp(&(&b.first, &b.second))));
    found
}

fn associate(first: &(Arc<str>, Sampled), second: &(Arc<str>, Sampled)) -> Option<Association> {
    let (measure, (value, rows)) = match (&first.1, &second.1) {
        (Sampled::Numbers { values: a, ranks: ranks_a }, Sampled::Numbers { values: b, ranks: ranks_b }) => {
            let (pearson, spearman) = (correlation(a, b)?, correlation(ranks_a, ranks_b)?);
            // Ranks win where the relation bends.
            if spearman.0.abs() > pearson.0.abs() + 0.02 { (Measure::Spearman, spearman) } else { (Measure::Pearson, pearson) }
        }
        (Sampled::Codes { of: a, count: n }, Sampled::Codes { of: b, count: m }) => (Measure::CramersV, cramer(a, *n, b, *m)?),
        (Sampled::Numbers { values, .. }, Sampled::Codes { of, count })
        | (Sampled::Codes { of, count }, Sampled::Numbers { values, .. }) => (Measure::CorrelationRatio, ratio(values, of, *count)?),
    };
    value.is_finite().then(|| Association { first: first.0.clone(), second: second.0.clone(), measure, value, rows })
}

fn correlation(a: &[f64], b: &[f64]) -> Option<(f64, u64)> {
    let pairs: Vec<(f64, f64)> = a.iter().copied().zip(b.iter().copied()).filter(|(a, b)| !a.is_nan() && !b.is_nan()).collect();
    if pairs.len() < ROWS_MIN {
        return None;
    }
    Some((pearson(&pairs)?.clamp(-1.0, 1.0), pairs.len() as u64))
}

fn cramer(a: &[u32], n: usize, b: &[u32], m: usize) -> Option<(f64, u64)> {
    let mut table = vec![0.0; n * m];
    let mut total = 0.0;
    for (&a, &b) in a.iter().zip(b).filter(|(a, b)| **a != u32::MAX && **b != u32::MAX) {
        table[a as usize * m + b as usize] += 1.0;
        total += 1.0;
    }
    if total < ROWS_MIN as f64 {
        return None;
    }
    let rows: Vec<f64> = table.chunks_exact(m).map(|row| row.iter().sum()).collect();
    let columns: Vec<f64> = (0..m).map(|column| table.iter().skip(column).step_by(m).sum()).collect();
    let mut chi2 = 0.0;
    for (row, own) in rows.iter().enumerate().filter(|(_, own)| **own > 0.0) {
        for (column, other) in columns.iter().enumerate().filter(|(_, other)| **other > 0.0) {
            let expected = own * other / total;
            chi2 += (table[row * m + column] - expected).powi(2) / expected;
        }
    }
    let seen = |counts: &[f64]| counts.iter().filter(|count| **count > 0.0).count() as f64;
    let (r, k) = (seen(&rows), seen(&columns));
    let phi2 = (chi2 / total - (r - 1.0) * (k - 1.0) / (total - 1.0)).max(0.0);
    let corrected = |count: f64| count - (count - 1.0).powi(2) / (total - 1.0);
    let least = corrected(r).min(corrected(k)) - 1.0;
    (least > 0.0).then(|| ((phi2 / least).sqrt().min(1.0), total as u64))
}

fn ratio(values: &[f64], codes: &[u32], count: usize) -> Option<(f64, u64)> {
    let (mut sums, mut counts) = (vec![0.0; count], vec![0.0; count]);
    let both = || values.iter().zip(codes).filter(|(value, code)| !value.is_nan() && **code != u32::MAX);
    for (value, &code) in both() {
        sums[code as usize] += value;
        counts[code as usize] += 1.0;
    }
    let n: f64 = counts.iter().sum();
    let k = counts.iter().filter(|count| **count > 0.0).count() as f64;
    if n < ROWS_MIN as f64 || k < 2.0 || n <= k {
        return None;
    }
    let mean = sums.iter().sum::<f64>() / n;
    let total: f64 = both().map(|(value, _)| (value - mean).powi(2)).sum();
    let within: f64 = both().map(|(value, &code)| (value - sums[code as usize] / counts[code as usize]).powi(2)).sum();
    let share = 1.0 - within / total * (n - 1.0) / (n - k);
    (total > 0.0).then(|| (share.clamp(0.0, 1.0).sqrt(), n as u64))
}
