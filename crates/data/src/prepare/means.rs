//! A category as the mean of the target among its rows, drawn towards the mean of all rows the fewer there are.
//!
//! Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes" (SIGKDD Explorations 3(1), 2001),
//! equations 5 and 6, as scikit-learn's `TargetEncoder(smooth="auto")`. A training row's own target must not stand in its
//! input: `fit` encodes training rows by the means of the other folds.

use super::choice::Choice;
use super::number::NumberStep;
use cupola_task::Draw;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A target as numbers, one column for each of its classes, or for the last of two, or for itself.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    /// The class a column stands for; none where there is only one column.
    pub columns: Vec<(Option<Arc<str>>, Vec<f64>)>,
    /// Rows whose target is known.
    pub known: Vec<bool>,
}

/// The means of one column of the target.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Means {
    /// The target's class, where it has more than two.
    pub class: Option<Arc<str>>,
    /// By code.
    pub by_code: Vec<f64>,
    /// For cells without a code.
    pub overall: f64,
    /// Scales them.
    pub step: NumberStep,
}

/// How many folds cross-fit training rows.
const FOLDS: u64 = 5;

impl Means {
    /// The prepared value of a code.
    pub fn value(&self, code: Option<u32>) -> f64 {
        self.step.value(code.and_then(|code| self.by_code.get(code as usize)).copied().unwrap_or(self.overall))
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self, codes: usize) -> bool {
        self.by_code.len() == codes && self.overall.is_finite() && self.by_code.iter().all(|mean| mean.is_finite()) && self.step.open()
    }
}

/// The means of every column of the target over all rows.
pub(crate) fn fit(codes: &[Option<u32>], classes: usize, truth: &Truth, choice: &Choice) -> Vec<Means> {
    let encode = |(class, y): &(Option<Arc<str>>, Vec<f64>)| {
        let (by_code, overall) = means(codes, classes, y, |row| truth.known[row]);
        let mut means = Means { class: class.clone(), by_code, overall, step: NumberStep::scaled(&[], choice) };
        let encoded: Vec<f64> = codes.iter().map(|&code| means.value(code)).collect();
        means.step = NumberStep::scaled(&encoded, choice);
        means
    };
    truth.columns.iter().map(encode).collect()
}

/// The folds that cross-fit training rows.
pub(crate) fn folds(rows: usize, draw: Draw) -> Vec<u64> {
    let mut folds = vec![0; rows];
    let count = FOLDS.min(rows as u64).max(1);
    draw.permutation(rows as u64).into_iter().zip(0u64..).for_each(|(row, place)| folds[row as usize] = place % count);
    folds
}

/// Every row by the means of the rows of other folds, one column for each column of the target.
pub(crate) fn cross_fit(codes: &[Option<u32>], truth: &Truth, fitted: &[Means], folds: &[u64]) -> Vec<Vec<f64>> {
    let count = folds.iter().max().map_or(0, |last| last + 1);
    let encode = |(means, (_, y)): (&Means, &(_, Vec<f64>))| {
        let mut encoded = vec![0.0; codes.len()];
        for fold in 0..count {
            let (by_code, overall) = self::means(codes, means.by_code.len(), y, |row| truth.known[row] && folds[row] != fold);
            let others = Means { by_code, overall, ..means.clone() };
            (0..codes.len()).filter(|&row| folds[row] == fold).for_each(|row| encoded[row] = others.value(codes[row]));
        }
        encoded
    };
    fitted.iter().zip(&truth.columns).map(encode).collect()
}

/// Smoothed means by code, and the mean of all rows that count.
fn means(codes: &[Option<u32>], classes: usize, y: &[f64], counts_row: impl Fn(usize) -> bool) -> (Vec<f64>, f64) {
    let rows: Vec<usize> = (0..y.len()).filter(|&row| counts_row(row)).collect();
    let all = rows.len().max(1) as f64;
    let overall = rows.iter().map(|&row| y[row]).sum::<f64>() / all;
    let variance = rows.iter().map(|&row| (y[row] - overall).powi(2)).sum::<f64>() / all;
    let coded = || rows.iter().filter_map(|&row| codes[row].map(|code| (code as usize, y[row])));
    let (mut count, mut mean, mut square) = (vec![0.0f64; classes], vec![0.0f64; classes], vec![0.0f64; classes]);
    coded().for_each(|(code, y)| (count[code], mean[code]) = (count[code] + 1.0, mean[code] + y));
    (0..classes).for_each(|code| mean[code] /= count[code]);
    coded().for_each(|(code, y)| square[code] += (y - mean[code]).powi(2));
    let smooth = |code: usize| {
        let lambda = variance * count[code] / (variance * count[code] + square[code] / count[code]);
        let encoded = lambda * mean[code] + (1.0 - lambda) * overall;
        if encoded.is_finite() { encoded } else { overall }
    };
    let overall_or_none = if overall.is_finite() { overall } else { 0.0 };
    ((0..classes).map(smooth).map(|mean| if mean.is_finite() { mean } else { overall_or_none }).collect(), overall_or_none)
}
