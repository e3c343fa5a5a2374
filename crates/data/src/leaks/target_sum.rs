//! Columns that make the target together: it is their sum or difference, as a total stands beside its parts.
//!
//! A target that is a sum of other weights is told of and does not stop a run, for some targets are made so honestly. Columns are taken in one by one,
//! the one that agrees best with what is left first (orthogonal matching pursuit: Pati, Rezaiifar, Krishnaprasad, 1993), until they tell the target,
//! and then left out one by one, as long as the rest still does.

use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, Truth};
use super::measure::pearson;
use crate::cells::MISSING;
use cupola_task::Kind;

/// The check.
pub(crate) const TARGET_SUM: LeakDef =
    LeakDef { name: "target_sum", doc: "The target is the sum or the difference of other columns.", find };

/// Rows and columns that are looked at.
const ROWS_MAX: usize = 4_000;
const ROWS_MIN: usize = 40;
const COLUMNS_MAX: usize = 300;
/// Columns that are taken in, and that make a target together, at most.
const TAKEN_MAX: usize = 16;
const PARTS_MAX: usize = 8;
/// The part of the target's variance that may be left, on rows that weights were not learned from: rounding leaves that.
const LEFT_MAX: f64 = 1e-4;
/// How far from 1 the weights of a sum may be.
const OFF_MAX: f64 = 0.02;
/// A column that follows the target so closely is a copy, which another check judges.
const COPIES: f64 = 0.9995;

fn find(evidence: &Evidence) -> Vec<Finding> {
    let numbers = |(target, truth)| if let Truth::Numbers(numbers) = truth { Some((target, numbers)) } else { None };
    evidence.truths().filter_map(numbers).filter_map(|(target, numbers)| sum(evidence, target, numbers)).collect()
}

/// A part of a target.
struct Part<'e> {
    exhibit: &'e Exhibit,
    /// In the rows that are looked at, about their mean.
    values: Vec<f64>,
}

fn sum(evidence: &Evidence, target: &Exhibit, numbers: &[f64]) -> Option<Finding> {
    let known: Vec<usize> =
        evidence.train.iter().copied().filter(|&row| target.codes.code[row] != MISSING && numbers[row].is_finite()).collect();
    let known: Vec<usize> = known.iter().copied().step_by(known.len().div_ceil(ROWS_MAX).max(1)).collect();
    let whole = |exhibit: &&Exhibit| {
        exhibit.field.kind == Kind::Number && exhibit.numbers.as_ref().is_some_and(|own| known.iter().all(|&row| own[row].is_finite()))
    };
    let columns: Vec<&Exhibit> = evidence.inputs.iter().filter(whole).take(COLUMNS_MAX).collect();
    if known.len() < ROWS_MIN || columns.len() < 2 {
        return None;
    }
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = known.iter().map(|&row| values[row]).sum::<f64>() / known.len() as f64;
        known.iter().map(|&row| values[row] - mean).collect()
    };
    let wanted = centred(numbers);
    let parts: Vec<Part<'_>> = columns
        .into_iter()
        .map(|exhibit| Part { exhibit, values: centred(exhibit.numbers.as_ref().expect("columns of numbers have them")) })
        .filter(|part| part.values.iter().any(|value| *value != 0.0) && correlation(&part.values, &wanted) < COPIES)
        .collect();
    let taken = pruned(&parts, &wanted, pursue(&parts, &wanted)?);
    let (weights, left) = fitted(&parts, &taken, &wanted)?;
    if !(2..=PARTS_MAX).contains(&taken.len()) {
        return None;
    }
    Some(finding(target, &parts, &taken, &weights, 1.0 - left))
}

fn correlation(one: &[f64], other: &[f64]) -> f64 {
    pearson(&one.iter().copied().zip(other.iter().copied()).collect::<Vec<_>>()).map_or(0.0, f64::abs)
}

/// Columns that tell the target together, if any do.
fn pursue(parts: &[Part<'_>], wanted: &[f64]) -> Option<Vec<usize>> {
    let (mut taken, mut left) = (Vec::new(), wanted.to_vec());
    while taken.len() < TAKEN_MAX.min(wanted.len() / 8) {
        let open = (0..parts.len()).filter(|at| !taken.contains(at)).map(|at| (at, correlation(&parts[at].values, &left)));
        let (best, _) = open.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
        taken.push(best);
        let (weights, share) = fitted(parts, &taken, wanted)?;
        if share <= LEFT_MAX {
            return Some(taken);
        }
        left = wanted.to_vec();
        for (&at, weight) in taken.iter().zip(&weights) {
            left.iter_mut().zip(&parts[at].values).for_each(|(left, value)| *left -= weight * value);
        }
    }
    None
}

/// Without columns that are not needed.
fn pruned(parts: &[Part<'_>], wanted: &[f64], mut taken: Vec<usize>) -> Vec<usize> {
    let mut at = 0;
    while at < taken.len() && taken.len() > 1 {
        let mut fewer = taken.clone();
        fewer.remove(at);
        match fitted(parts, &fewer, wanted) {
            Some((_, left)) if left <= LEFT_MAX => taken = fewer,
            _ => at += 1,
        }
    }
    taken.sort_unstable();
    taken
}

/// Weights by least squares of every other row, and the share of the variance that they leave in the rest. Nothing where columns depend on each
/// other.
fn fitted(parts: &[Part<'_>], taken: &[usize], wanted: &[f64]) -> Option<(Vec<f64>, f64)> {
    let dot = |one: &[f64], other: &[f64]| one.iter().zip(other).step_by(2).map(|(a, b)| a * b).sum::<f64>();
    let columns: Vec<&[f64]> = taken.iter().map(|&at| parts[at].values.as_slice()).collect();
    let matrix: Vec<Vec<f64>> = columns.iter().map(|one| columns.iter().map(|other| dot(one, other)).collect()).collect();
    let weights = solved(matrix, columns.iter().map(|column| dot(column, wanted)).collect())?;
    let (mut error, mut total) = (0.0, 0.0);
    for row in (1..wanted.len()).step_by(2) {
        let guess: f64 = columns.iter().zip(&weights).map(|(column, weight)| weight * column[row]).sum();
        error += (wanted[row] - guess).powi(2);
        total += wanted[row].powi(2);
    }
    (total > 0.0).then(|| (weights, error / total))
}

/// Solves a symmetric, positive definite system (Cholesky); nothing where it is all but singular.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for at in 0..size {
        let scale = matrix[at][at];
        let pivot = scale - (0..at).map(|k| matrix[at][k].powi(2)).sum::<f64>();
        if pivot.is_nan() || pivot <= 1e-10 * scale {
            return None;
        }
        matrix[at][at] = pivot.sqrt();
        for below in at + 1..size {
            let sum: f64 = (0..at).map(|k| matrix[below][k] * matrix[at][k]).sum();
            matrix[below][at] = (matrix[below][at] - sum) / matrix[at][at];
        }
    }
    for at in 0..size {
        let sum: f64 = (0..at).map(|k| matrix[at][k] * right[k]).sum();
        right[at] = (right[at] - sum) / matrix[at][at];
    }
    for at in (0..size).rev() {
        let sum: f64 = (at + 1..size).map(|k| matrix[k][at] * right[k]).sum();
        right[at] = (right[at] - sum) / matrix[at][at];
    }
    Some(right)
}

fn finding(target: &Exhibit, parts: &[Part<'_>], taken: &[usize], weights: &[f64], told: f64) -> Finding {
    let is_sum = weights.iter().all(|weight| (weight.abs() - 1.0).abs() <= OFF_MAX);
    let name = |at: usize| &parts[at].exhibit.field.name;
    let term = |(place, (&at, weight)): (usize, (&usize, &f64))| {
        let sign = match (place, *weight < 0.0) {
            (0, false) => "",
            (0, true) => "-",
            (_, false) => " + ",
            (_, true) => " - ",
        };
        let factor = if is_sum { String::new() } else { format!("{:.4} ", weight.abs()) };
        format!("{sign}{factor}{}", name(at))
    };
    let formula: String = taken.iter().zip(weights).enumerate().map(term).collect();
    let columns: Vec<&str> = taken.iter().map(|&at| &**name(at)).collect();
    let target = &target.field.name;
    let (severity, sentence) = match is_sum {
        true => (Severity::Stop, format!("the target {target} is {formula}, but for a constant and rounding")),
        false => (
            Severity::Warn,
            format!("the target {target} follows {formula}, a sum with these weights, in {:.2} % of its variance", 100.0 * told),
        ),
    };
    Finding {
        check: TARGET_SUM.name.into(),
        severity,
        column: None,
        rows: vec![],
        in_test_file: false,
        value: told,
        sentence,
        remedy: format!("leave out those that are known only with the target (ignore=[{}])", columns.join(",")),
    }
}
