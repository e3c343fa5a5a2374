//! A column that only counts the rows of a file, where the order of the file knows the target.

use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, leave_out};
use super::measure::{explained, places};
use cupola_task::Kind;

/// The check.
pub(crate) const ID_ORDER: LeakDef =
    LeakDef { name: "id_order", doc: "A column numbers the rows of the file, and their order tells the target.", find };

/// From which share of the target's variance on the order stops a run; below it and above [`WARNS`] it warns.
const STOPS: f64 = 0.25;
const WARNS: f64 = 0.05;
/// How few rows say nothing.
const ROWS_MIN: usize = 40;

fn find(evidence: &Evidence) -> Vec<Finding> {
    if evidence.train.len() < ROWS_MIN {
        return vec![];
    }
    let bins = places(evidence.train.len());
    let mut findings = Vec::new();
    for (target, truth) in evidence.truths() {
        let share = explained(&bins, &truth, &evidence.train);
        for input in evidence.inputs.iter().filter(|_| share >= WARNS) {
            let Some(numbers) = numbers(input, &evidence.train).filter(|numbers| counts_rows(numbers)) else { continue };
            let stops = share >= STOPS && !are_years(&numbers);
            let sentence = format!(
                "column {} numbers the rows, and their order tells {:.0} % of the target {}: a model would learn the file and not the world",
                input.field.name,
                100.0 * share,
                target.field.name
            );
            findings.push(Finding {
                check: ID_ORDER.name.into(),
                severity: if stops { Severity::Stop } else { Severity::Warn },
                column: Some(input.field.name.to_string()),
                rows: evidence.place(evidence.train.iter().copied()).0,
                in_test_file: false,
                value: share,
                sentence,
                remedy: leave_out(&input.field.name),
            });
        }
    }
    findings
}

/// The column's whole numbers in those rows, or the last digits in its texts; none where a row has none.
fn numbers(input: &Exhibit, rows: &[usize]) -> Option<Vec<i64>> {
    match (&input.field.kind, &input.numbers, &input.texts) {
        (Kind::Number, Some(numbers), _) => {
            let whole = |row: &usize| Some(numbers[*row]).filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64);
            rows.iter().map(whole).collect()
        }
        (_, _, Some(texts)) if input.codes.distinct > 9 * rows.len() / 10 => {
            rows.iter().map(|&row| last_digits(texts.value(row))).collect()
        }
        _ => None,
    }
}

fn last_digits(text: &str) -> Option<i64> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start =
        text[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |place| place + text[place..].chars().next().map_or(1, char::len_utf8));
    text[start..end].parse().ok()
}

/// Whether numbers rise or fall from row to row in all but a few places, in steps as small as those of a counter with gaps.
fn counts_rows(numbers: &[i64]) -> bool {
    let pairs = numbers.len() - 1;
    let rises = numbers.windows(2).filter(|pair| pair[0] < pair[1]).count();
    let falls = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
    let (Some(least), Some(most)) = (numbers.iter().min(), numbers.iter().max()) else { return false };
    let spread = most.abs_diff(*least) as f64 / pairs as f64;
    rises.max(falls) as f64 >= 0.999 * pairs as f64 && spread <= 20.0
}

/// Years look like a counter in a yearly series, and are known when a model is used.
fn are_years(numbers: &[i64]) -> bool {
    numbers.len() <= 700 && numbers.iter().all(|number| (1500..=2200).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_digits_are_found_in_any_text() {
        for (text, digits) in [("ID-0042", Some(42)), ("é7x", Some(7)), ("12", Some(12)), ("none", None), ("9".repeat(30).as_str(), None)]
        {
            assert_eq!(last_digits(text), digits, "{text}");
        }
    }
}
