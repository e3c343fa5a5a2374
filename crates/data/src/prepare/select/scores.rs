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
        Feature::Codes(codes, classes) => of_codes(codes, *classes, aim, known, ask.method),
    }
}

/// The best score of the one-hot columns, from counts made in one pass: a pass for each would cost classes times rows.
fn of_codes(codes: &[u32], classes: usize, aim: &Aim, known: &[bool], method: Select) -> Result<f64> {
    let rows: Vec<usize> = (0..codes.len()).filter(|&row| known[row] && codes[row] != MISSING).collect();
    let count = rows.len() as f64;
    let mut with = vec![0.0f64; classes];
    rows.iter().for_each(|&row| with[codes[row] as usize] += 1.0);
    let best = |score: &dyn Fn(usize) -> f64| (0..classes).map(score).fold(f64::NAN, f64::max);
    match (method, aim) {
        // A column of ones and zeros varies by its share of ones times that of zeros.
        (Select::Variance, _) => Ok(best(&|class| with[class] / count * (1.0 - with[class] / count))),
        (Select::FTest | Select::Chi2, Aim::Classes(targets, outcomes)) => {
            let mut totals = vec![0.0f64; *outcomes];
            let mut both = vec![0.0f64; classes * outcomes];
            for &row in &rows {
                totals[targets[row] as usize] += 1.0;
                both[codes[row] as usize * outcomes + targets[row] as usize] += 1.0;
            }
            let ones = |class: usize| &both[class * outcomes..(class + 1) * outcomes];
            Ok(match method {
                Select::FTest => best(&|class| between_counts(with[class], ones(class), &totals)),
                _ => best(&|class| chi2_of(ones(class), &totals)),
            })
        }
        (Select::FTest, Aim::Numbers(y)) => {
            let y_mean = mean(&rows.iter().map(|&row| y[row]).collect::<Vec<_>>());
            let (mut sums, mut yy) = (vec![0.0f64; classes], 0.0);
            for &row in &rows {
                let off = y[row] - y_mean;
                sums[codes[row] as usize] += off;
                yy += off * off;
            }
            // What is off the mean of y adds up to 0, so the zeros of a column add nothing to the product.
            Ok(best(&|class| f_of_line(with[class] * (1.0 - with[class] / count), yy, sums[class], count)))
        }
        (Select::Chi2, Aim::Numbers(_)) => Err(chi2_of_numbers(method)),
        (Select::None | Select::MutualInfo, _) => Ok(f64::NAN),
    }
}

fn chi2_of_numbers(method: Select) -> cupola_task::Error {
    refuse(method, "for a target of numbers".into(), "f_test|mutual_info|variance, for chi2 compares classes")
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
        (Select::Chi2, Aim::Numbers(_)) => Err(chi2_of_numbers(method)),
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

/// The same of a column with so many ones, of which each class has its own.
fn between_counts(ones: f64, of_classes: &[f64], totals: &[f64]) -> f64 {
    let count: f64 = totals.iter().sum();
    let share = ones / count;
    let present = totals.iter().filter(|total| **total > 0.0).count() as f64;
    let total = ones * (1.0 - share);
    let off = |(own, total): (&f64, &f64)| (own - share * total).powi(2) / total;
    let between: f64 = of_classes.iter().zip(totals).filter(|(_, total)| **total > 0.0).map(off).sum();
    let within = (total - between).max(0.0);
    (between / (present - 1.0)) / (within / (count - present))
}

/// The F statistic of a straight line through both.
fn along_numbers(x: &[f64], y: &[f64]) -> f64 {
    let (x_mean, y_mean) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    x.iter().zip(y).for_each(|(x, y)| {
        let (x, y) = (x - x_mean, y - y_mean);
        (xx, yy, xy) = (xx + x * x, yy + y * y, xy + x * y);
    });
    f_of_line(xx, yy, xy, x.len() as f64)
}

fn f_of_line(xx: f64, yy: f64, xy: f64, count: f64) -> f64 {
    let correlation = xy / (xx.sqrt() * yy.sqrt());
    let square = correlation * correlation;
    match square {
        square if square.is_nan() => 0.0,
        square if square >= 1.0 => f64::MAX,
        square => square / (1.0 - square) * (count - 2.0),
    }
}

/// The chi-squared statistic between a count and classes.
fn chi2(x: &[f64], codes: &[u32], classes: usize) -> f64 {
    let (mut counts, mut observed) = (vec![0.0f64; classes], vec![0.0f64; classes]);
    codes.iter().zip(x).for_each(|(&code, x)| {
        counts[code as usize] += 1.0;
        observed[code as usize] += x;
    });
    chi2_of(&observed, &counts)
}

fn chi2_of(observed: &[f64], counts: &[f64]) -> f64 {
    let (total, rows) = (observed.iter().sum::<f64>(), counts.iter().sum::<f64>());
    let expected = |count: &f64| count / rows * total;
    counts
        .iter()
        .zip(observed)
        .filter(|(count, _)| **count > 0.0)
        .map(|(count, seen)| (seen - expected(count)).powi(2) / expected(count))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    #[test]
    fn codes_are_as_good_as_the_best_of_their_one_hot_columns() {
        let draw = Draw::new(5);
        let rows = 400u64;
        let codes: Vec<u32> = (0..rows).map(|row| if row % 17 == 0 { MISSING } else { draw.below(row, 6) as u32 }).collect();
        let known: Vec<bool> = (0..rows).map(|row| row % 13 != 0).collect();
        let outcomes: Vec<u32> = (0..rows).map(|row| (u64::from(codes[row as usize] == 2) + draw.at(1).below(row, 2)) as u32).collect();
        let y: Vec<f64> = (0..rows).map(|row| f64::from(codes[row as usize] == 4) + draw.at(2).below(row, 100) as f64 / 50.0).collect();
        let (classes, numbers) = (Aim::Classes(outcomes, 3), Aim::Numbers(y));
        let cases = [(Select::Variance, &classes), (Select::FTest, &classes), (Select::FTest, &numbers), (Select::Chi2, &classes)];
        for (method, aim) in cases {
            let one_hot = |class: u32| -> Vec<f64> {
                let cell = |code: &u32| if *code == MISSING { f64::NAN } else { f64::from(u8::from(*code == class)) };
                codes.iter().map(cell).collect()
            };
            let each = (0..6).map(|class| of_numbers("x", &one_hot(class), aim, &known, method).unwrap());
            let (found, wanted) = (of_codes(&codes, 6, aim, &known, method).unwrap(), each.fold(f64::NAN, f64::max));
            // Sums in another order.
            assert!((found - wanted).abs() <= 1e-9 * wanted, "{method:?}: {found}, wanted {wanted}");
        }
        assert!(of_codes(&codes, 6, &numbers, &known, Select::Chi2).is_err());
    }
}
