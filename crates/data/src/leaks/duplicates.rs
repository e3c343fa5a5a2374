//! Test or validation rows whose inputs stand, all of them, in a training row too.
//!
//! Tables of few and coarse columns have such rows by nature: what is judged is whether a side repeats training rows more
//! often than training rows repeat each other, which rows that were dealt out at random do not. Where rows were copied before
//! they were dealt out, training rows repeat each other as well: then a side that is repeated to a good part, targets and all,
//! though columns are far too rich for chance, gives the copies away.

use super::evidence::{Evidence, Finding, LeakDef, Severity, called};
use crate::cells::{Codes, fingerprints};
use cupola_task::Side;
use foldhash::{HashMap, HashSet};

/// The check.
pub(crate) const DUPLICATES: LeakDef =
    LeakDef { name: "duplicates", doc: "Inputs of test or validation rows are repeated from training rows.", find };

/// How many times more often than expected a side must repeat training rows.
const FACTOR: f64 = 3.0;
/// How many repeated rows are too few to judge.
const ROWS_MIN: usize = 3;
/// A natural share below this moves no score that anybody could see.
const SHARE_MIN: f64 = 0.01;
/// From which share on rows were copied before the cut, where a column has a value of its own in all but every fiftieth
/// row. None of the 55 clean tables of `examples/leaks.rs` that has such a column repeats 2 % of its rows.
const COPIED: f64 = 0.05;
/// The same where columns are only too rich together: clean tables of pixels and genes repeat up to 16 % of a side.
const COPIED_COARSE: f64 = 0.25;

fn find(evidence: &Evidence) -> Vec<Finding> {
    if evidence.inputs.is_empty() || evidence.train.len() < 2 {
        return vec![];
    }
    let prints = evidence.prints();
    let mut taught: HashMap<u128, u32> = HashMap::with_capacity_and_hasher(evidence.train.len(), foldhash::fast::RandomState::default());
    evidence.train.iter().for_each(|&row| *taught.entry(prints[row]).or_insert(0) += 1);
    let repeated = taught.values().filter(|count| **count > 1).map(|count| *count as usize).sum::<usize>();
    let mut findings = Vec::new();
    for (side, word) in [(Side::Test, "test"), (Side::Valid, "validation")] {
        let rows: Vec<usize> = (0..evidence.sides.len()).filter(|&row| evidence.sides[row] == side).collect();
        let again: Vec<usize> = rows.iter().copied().filter(|&row| taught.contains_key(&prints[row])).collect();
        if !again.is_empty() {
            let finding = judge(evidence, word, rows.len(), &again, repeated);
            findings.extend(Some(finding).filter(|finding| finding.severity == Severity::Stop || finding.value >= SHARE_MIN));
        }
    }
    findings
}

fn judge(evidence: &Evidence, word: &str, rows: usize, again: &[usize], repeated: usize) -> Finding {
    let (share, trains) = (again.len() as f64 / rows as f64, evidence.train.len());
    let is_planted = again.len() >= ROWS_MIN && is_more_than_within(again.len(), rows, repeated, trains);
    let is_copied = again.len() >= 10 && share >= COPIED && repeats_targets(evidence, again) && share >= copied_from(evidence);
    let stops = is_planted || is_copied;
    let (shown, in_test_file) = evidence.place(again.iter().copied());
    let have = if again.len() == 1 { "has" } else { "have" };
    let side = called(rows, word, in_test_file);
    Finding {
        check: DUPLICATES.name.into(),
        severity: if stops { Severity::Stop } else { Severity::Warn },
        column: None,
        rows: shown,
        in_test_file,
        value: share,
        sentence: format!("{} of {side} {have} the inputs of a training row; {}", again.len(), within(repeated, trains)),
        remedy: "leave repeated rows out (data.clean.duplicates=drop)".into(),
    }
}

/// How often training rows repeat each other.
fn within(repeated: usize, trains: usize) -> String {
    match repeated {
        0 => format!("none of {trains} training rows repeats another"),
        _ => format!("{repeated} of {trains} training rows repeat each other"),
    }
}

/// Whether so many of the rows of a side repeat training rows far more often than training rows repeat each other, and not by chance
/// (one in a hundred thousand).
pub(super) fn is_more_than_within(again: usize, rows: usize, repeated: usize, trains: usize) -> bool {
    // Three rows more than seen, so that no repetition in training does not mean that there can be none.
    let expected = (repeated as f64 + 3.0) / trains as f64;
    again as f64 / rows as f64 >= FACTOR * expected && tail(again, rows as f64 * expected) < -11.5
}

/// The logarithm of Chernoff's bound on the chance that a Poisson count of that mean reaches `count`.
fn tail(count: usize, mean: f64) -> f64 {
    let count = count as f64;
    if count <= mean { 0.0 } else { count - mean - count * (count / mean).ln() }
}

/// Whether all but a few of the rows have a twin in training that has the same targets too: repeated measurements do not.
fn repeats_targets(evidence: &Evidence, again: &[usize]) -> bool {
    let columns = evidence.inputs.iter().chain(&evidence.targets).map(|exhibit| &exhibit.codes);
    let prints = fingerprints(evidence.sides.len(), columns);
    let taught: HashSet<u128> = evidence.train.iter().map(|&row| prints[row]).collect();
    again.iter().filter(|row| taught.contains(&prints[**row])).count() as f64 >= 0.99 * again.len() as f64
}

/// The share of repeated rows that chance does not explain, which is none where two rows may well be equal by chance. They are
/// hardly ever where among the distinct rows a column hardly repeats, or where the columns' collision entropies add up to far
/// more than the number of pairs of rows, with room for columns that depend on each other.
fn copied_from(evidence: &Evidence) -> f64 {
    let prints = evidence.prints();
    let mut seen = HashSet::default();
    let rows: Vec<usize> = evidence.train.iter().copied().filter(|&row| seen.insert(prints[row])).collect();
    let uniqueness = evidence.inputs.iter().map(|input| uniqueness(&input.codes, &rows)).fold(0.0, f64::max);
    let entropy: f64 = evidence.inputs.iter().map(|input| collision_entropy(&input.codes, &rows)).sum();
    match rows.len() >= 40 {
        true if uniqueness >= 0.98 => COPIED,
        true if uniqueness >= 0.9 => COPIED_COARSE,
        _ if entropy >= 3.0 * (rows.len() as f64).ln() + 10.0 => COPIED_COARSE,
        _ => f64::INFINITY,
    }
}

/// How many different values there are to a row.
fn uniqueness(codes: &Codes, rows: &[usize]) -> f64 {
    let mut values: Vec<u32> = rows.iter().map(|&row| codes.code[row]).collect();
    values.sort_unstable();
    values.dedup();
    values.len() as f64 / rows.len() as f64
}

fn collision_entropy(codes: &Codes, rows: &[usize]) -> f64 {
    let mut counts = vec![0f64; codes.distinct + 1];
    rows.iter().for_each(|&row| counts[(codes.code[row] as usize).min(codes.distinct)] += 1.0);
    -counts.iter().map(|count| (count / rows.len() as f64).powi(2)).sum::<f64>().ln()
}
