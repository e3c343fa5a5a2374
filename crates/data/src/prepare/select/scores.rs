//! How much a feature tells about the target, as scikit-learn's `f_classif`, `f_regression`, `chi2` and
//! `mutual_info_classif`/`mutual_info_regression` have it, and its variance.

use super::super::choice::Select;
use super::{Aim, Ask, Feature, mutual, refuse};
use crate::cells::MISSING;
use cupola_task::Result;

/// The score of a feature over the rows that have it and a target.
///
/// # Errors
/// When it is not defined for such a feature or target.
pub(super) fn score(name: &str, feature: &Feature, aim: &Aim, known: &[bool], ask: &Ask) -> Result<f64> {
    if ask.method == Select::MutualInfo {
        return Ok(mutual::information(feature, aim, known, ask.draw));
    }
    match feature {
        Feature::Numbers(values) => of_numbers(name, values, aim, known, ask.method),
        // A column of categories is as good as the best of its one-hot columns.
        Feature::Codes(codes, classes) => {
            let one_hot = |class: u32| -> Vec<f64> {
                let cell = |code: &u32| if *code == MISSING { f64::NAN } else { f64::from(u8::from(*code == class)) };
                codes.iter().map(cell).collect()
            };
            let scores = (0..*classes as u32).map(|class| of_numbers(name, &one_hot(class), aim, known, ask.method));
            scores.into_iter().try_fold(f64::NAN, |best, score| Ok(best.max(score?)))
        }
    }
}

fn of_numbers(name: &str, values: &[f64], aim: &Aim, known: &[bool], method: Select) -> Result<f64> {
    let rows: Vec<usize> = (0..values.len()).filter(|&row| known[row] && values[row].is_finite()).collect();
    let x: Vec<f64> = rows.iter().map(|&row| values[row]).collect();
    match (method, aim) {
        (Select::Variance, _) => Ok(variance(&x)),
        (Select::FTest, Aim::Classes(codes, classes)) => {
            Ok(between_classes(&x, &rows.iter().map(|&row| codes[row]).collect::<Vec<_>>(), *classes))
        }
        (Select::FTest, Aim::Numbers(y)) => Ok(along_numbers(&x, &rows.iter().map(|&row| y[row]).collect::<Vec<_>>())),
        (Select::Chi2, Aim::Classes(codes, classes)) => match x.iter().find(|value| **value < 0.0) {
            Some(value) => Err(refuse(
                method,
                format!("with {value} in {name}"),
                "f_test|mutual_info, or numbers of at least 0: scale=minmax makes such of training rows",
            )),
            None => Ok(chi2(&x, &rows.iter().map(|&row| codes[row]).collect::<Vec<_>>(), *classes)),
        },
        (Select::Chi2, Aim::Numbers(_)) => {
            Err(refuse(method, "for a target of numbers".into(), "f_test|mutual_info|variance, for chi2 compares classes"))
        }
        (Select::None | Select::MutualInfo, _) => Ok(f64::NAN),
    }
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

/// The variance; exactly 0 for a column of one value, whose variance may not be for rounding.
fn variance(x: &[f64]) -> f64 {
    let mean = mean(x);
    let (least, most) = x.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)));
    if least == most { 0.0 } else { x.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / x.len() as f64 }
}

/// The F statistic of one-way analysis of variance.
fn between_classes(x: &[f64], codes: &[u32], classes: usize) -> f64 {
    let overall = mean(x);
    let (mut counts, mut sums) = (vec![0.0f64; classes], vec![0.0f64; classes]);
    // Sums of what is off the mean, so that nothing large cancels.
    codes.iter().zip(x).for_each(|(&code, x)| {
        counts[code as usize] += 1.0;
        sums[code as usize] += x - overall;
    });
    let present = counts.iter().filter(|count| **count > 0.0).count() as f64;
    let total: f64 = x.iter().map(|x| (x - overall).powi(2)).sum();
    let between: f64 = counts.iter().zip(&sums).filter(|(count, _)| **count > 0.0).map(|(count, sum)| sum * sum / count).sum();
    let within = (total - between).max(0.0);
    (between / (present - 1.0)) / (within / (x.len() as f64 - present))
}

/// The F statistic of a straight line through both.
fn along_numbers(x: &[f64], y: &[f64]) -> f64 {
    let (x_mean, y_mean) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    x.iter().zip(y).for_each(|(x, y)| {
        let (x, y) = (x - x_mean, y - y_mean);
        (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
    });
    let correlation = xy / (xx.sqrt() * yy.sqrt());
    let square = correlation * correlation;
    match square {
        square if square.is_nan() => 0.0,
        square if square >= 1.0 => f64::MAX,
        square => square / (1.0 - square) * (x.len() as f64 - 2.0),
    }
}

/// The chi-squared statistic between a count and classes.
fn chi2(x: &[f64], codes: &[u32], classes: usize) -> f64 {
    let (mut counts, mut observed) = (vec![0.0f64; classes], vec![0.0f64; classes]);
    codes.iter().zip(x).for_each(|(&code, x)| {
        counts[code as usize] += 1.0;
        observed[code as usize] += x;
    });
    let total: f64 = x.iter().sum();
    let expected = |count: &f64| count / x.len() as f64 * total;
    counts
        .iter()
        .zip(&observed)
        .filter(|(count, _)| **count > 0.0)
        .map(|(count, seen)| (seen - expected(count)).powi(2) / expected(count))
        .sum()
}
