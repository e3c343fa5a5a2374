//! The target, written down in a text: a word that stands in the texts of one class and in no other, or the number that is to be estimated.

use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, Truth, leave_out};
use super::target_copy::{AGREES, RECALL, SURPRISE, names_max, surprise};
use crate::cells::MISSING;
use arrow_array::StringArray;
use std::collections::{BTreeSet, HashMap};

/// The check.
pub(crate) const TARGET_IN_TEXT: LeakDef =
    LeakDef { name: "target_in_text", doc: "A text holds a word that tells the class, or the number that is to be estimated.", find };

/// Classes and words that are looked at most, and rows that say something.
const CLASSES_MAX: usize = 20;
const WORDS_MAX: usize = 200_000;
const ROWS_MIN: usize = 40;
/// Of more rows those at even distances are looked at.
const ROWS_MAX: usize = 10_000;
/// How often a class's own name must be right, and in what share of the class's rows it must stand, to be worth a word.
const NAMED_RIGHT: f64 = 0.95;
const NAMED: f64 = 0.2;
/// In what share of rows a number must stand in a text, and in what share that of another row may.
const NUMBER_STANDS: f64 = 0.5;
const NUMBER_CHANCE: f64 = 0.1;

fn find(evidence: &Evidence) -> Vec<Finding> {
    let chance = SURPRISE + (evidence.inputs.len().max(1) as f64).ln();
    let mut findings = Vec::new();
    for (target, truth) in evidence.truths() {
        let rows: Vec<usize> = evidence.train.iter().copied().filter(|&row| target.codes.code[row] != MISSING).collect();
        if rows.len() < ROWS_MIN {
            continue;
        }
        let rows: Vec<usize> = rows.iter().copied().step_by(rows.len().div_ceil(ROWS_MAX)).collect();
        for input in &evidence.inputs {
            let Some(texts) = input.texts.as_ref() else { continue };
            let found = match truth {
                Truth::Classes { codes, count } if (2..=CLASSES_MAX).contains(&count) && input.codes.distinct > names_max(count) => {
                    by_word(texts, codes, count, &rows, chance).or_else(|| by_name(texts, target, codes, count, &rows))
                }
                Truth::Numbers(numbers) if input.codes.distinct > 20 => by_number(texts, numbers, &rows),
                _ => None,
            };
            if let Some((severity, value, how)) = found {
                findings.push(finding(input, target, severity, value, &how, evidence.place(rows.iter().copied()).0));
            }
        }
    }
    findings
}

fn finding(input: &Exhibit, target: &Exhibit, severity: Severity, value: f64, how: &str, rows: Vec<u64>) -> Finding {
    let name = &input.field.name;
    Finding {
        check: TARGET_IN_TEXT.name.into(),
        severity,
        column: Some(name.to_string()),
        rows,
        in_test_file: false,
        value,
        sentence: format!("the texts of column {name} tell the target {}: {how}", target.field.name),
        remedy: format!("take it out of the texts, or {}", leave_out(name)),
    }
}

type Found = (Severity, f64, String);

/// The words of a text, without capitals.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let is_inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.split(move |letter| !is_inside(letter)).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// A word for each class but one: learned on every other row, measured on the rest.
fn by_word(texts: &StringArray, codes: &[u32], count: usize, rows: &[usize], chance: f64) -> Option<Found> {
    let mut standing: HashMap<String, Vec<u32>> = HashMap::new();
    let mut totals = vec![0u32; count];
    for &row in rows.iter().step_by(2) {
        let class = codes[row] as usize;
        totals[class] += 1;
        for word in words(text(texts, row)).collect::<BTreeSet<String>>() {
            if standing.len() < WORDS_MAX || standing.contains_key(&word) {
                standing.entry(word).or_insert_with(|| vec![0; count])[class] += 1;
            }
        }
    }
    let seen: Vec<usize> = (0..count).filter(|&class| totals[class] > 0).collect();
    // The word of a class is the one with the most hits less false alarms; the first in alphabetical order where several have as many.
    let best = |class: usize| {
        let worth = |counts: &[u32]| i64::from(counts[class]) - (counts.iter().sum::<u32>() - counts[class]) as i64;
        let word = standing.iter().max_by(|a, b| worth(a.1).cmp(&worth(b.1)).then_with(|| b.0.cmp(a.0)))?;
        (worth(word.1) as f64 >= 0.95 * f64::from(totals[class]) && totals[class] > 1).then(|| (class, word.0.clone()))
    };
    let markers: Vec<(usize, String)> = seen.iter().filter_map(|&class| best(class)).collect();
    if seen.len() < 2 || markers.len() + 1 < seen.len() {
        return None;
    }
    let other = seen.iter().copied().find(|class| markers.iter().all(|(marked, _)| marked != class)).unwrap_or(seen[0]);
    let (mut right, mut judged) = (vec![0usize; count], vec![0usize; count]);
    for &row in rows.iter().skip(1).step_by(2) {
        let words: BTreeSet<String> = words(text(texts, row)).collect();
        let guess = markers.iter().find(|(_, word)| words.contains(word)).map_or(other, |(class, _)| *class);
        judged[codes[row] as usize] += 1;
        right[codes[row] as usize] += usize::from(guess == codes[row] as usize);
    }
    let agreement = right.iter().sum::<usize>() as f64 / judged.iter().sum::<usize>().max(1) as f64;
    let classes: Vec<usize> = (0..count).filter(|&class| judged[class] > 0).collect();
    let recall = classes.iter().map(|&class| right[class] as f64 / judged[class] as f64).sum::<f64>() / classes.len().max(1) as f64;
    let named: Vec<String> = markers.iter().take(3).map(|(_, word)| format!("{word:?}")).collect();
    let (word, is) = if named.len() == 1 { ("word", "is") } else { ("words", "are") };
    let how = format!("the {word} {} alone {is} right in {:.1} % of the rows", named.join(" and "), 100.0 * agreement);
    (classes.len() > 1 && agreement >= AGREES && recall >= RECALL && surprise(&judged) >= chance).then_some((
        Severity::Stop,
        agreement,
        how,
    ))
}

/// The class's own name, in a part of its rows.
fn by_name(texts: &StringArray, target: &Exhibit, codes: &[u32], count: usize, rows: &[usize]) -> Option<Found> {
    let mut names = vec![String::new(); count];
    if let Some(own) = &target.texts {
        rows.iter().for_each(|&row| names[codes[row] as usize] = own.value(row).trim().to_lowercase());
    }
    // One letter, or a digit, stands anywhere.
    names.iter_mut().filter(|name| name.chars().count() < 2 || name.parse::<f64>().is_ok()).for_each(String::clear);
    let spaced = |text: &str| format!(" {} ", words(text).collect::<Vec<_>>().join(" "));
    // A name without a word stands nowhere.
    let named: Vec<(usize, String)> = names.iter().map(|name| spaced(name)).enumerate().filter(|(_, name)| name.len() > 2).collect();
    let (mut stands, mut right, mut totals) = (vec![0.0; count], vec![0.0; count], vec![0.0f64; count]);
    for &row in rows {
        let class = codes[row] as usize;
        totals[class] += 1.0;
        let text = spaced(text(texts, row));
        for &(other, _) in named.iter().filter(|(_, name)| text.contains(name.as_str())) {
            stands[other] += 1.0;
            right[other] += f64::from(u8::from(other == class));
        }
    }
    let all: f64 = totals.iter().sum();
    let told =
        (0..count).filter(|&class| stands[class] >= 20.0).map(|class| (class, right[class] / stands[class], right[class] / totals[class]));
    let (class, precision, share) = told
        .filter(|(class, precision, share)| *precision >= NAMED_RIGHT.max(1.0 - 0.2 * (1.0 - totals[*class] / all)) && *share >= NAMED)
        .max_by(|a, b| a.2.total_cmp(&b.2))?;
    let how = format!(
        "{:?} stands in {:.0} % of the rows of that class, and is right in {:.1} %",
        names[class],
        100.0 * share,
        100.0 * precision
    );
    Some((Severity::Warn, precision, how))
}

/// The number to be estimated, among the numbers of the text.
fn by_number(texts: &StringArray, numbers: &[f64], rows: &[usize]) -> Option<Found> {
    let stands = |row: usize, number: f64| {
        let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '-');
        let found = text(texts, row).split(|letter| !is_part(letter)).filter_map(|word| word.trim_end_matches('.').parse::<f64>().ok());
        found.into_iter().any(|found| (found - number).abs() <= 1e-6 * number.abs().max(1e-9))
    };
    let known: Vec<usize> = rows.iter().copied().filter(|&row| numbers[row].is_finite()).collect();
    let own = known.iter().filter(|&&row| stands(row, numbers[row])).count() as f64 / known.len().max(1) as f64;
    if own < NUMBER_STANDS {
        return None;
    }
    let by_chance = (0..known.len()).filter(|&at| stands(known[at], numbers[known[(at + known.len() / 2) % known.len()]])).count() as f64
        / known.len() as f64;
    let severity = if own >= AGREES { Severity::Stop } else { Severity::Warn };
    (by_chance <= NUMBER_CHANCE).then(|| (severity, own, format!("its number stands in {:.1} % of them", 100.0 * own)))
}

fn text(texts: &StringArray, row: usize) -> &str {
    use arrow_array::Array;
    if texts.is_valid(row) { texts.value(row) } else { "" }
}
