//! Test or validation rows that are nearly a training row: one cell was changed, or a word of a text.
//!
//! What is nearly equal, and how it is found, says [`crate::near`]. Rows that repeat others wholly are a matter of the check `duplicates`. Natural
//! tables have such rows too, so what stops a run is a side that has far more of them than training rows have among each other.

use super::duplicates::is_more_than_within;
use super::evidence::{Evidence, Finding, LeakDef, Severity, called};
use crate::cells::{Codes, MISSING};
use crate::near::{Bands, RUN, Signer, Token, candidates, runs, similarity, worth};
use cupola_task::{Draw, Side};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// The check.
pub(crate) const NEAR_DUPLICATES: LeakDef =
    LeakDef { name: "near_duplicates", doc: "Test or validation rows are training rows with a cell or a few words changed.", find };

/// From which similarity on rows are nearly equal, and the hashes to find them with.
const THRESHOLD: f64 = 0.8;
const PERMUTATIONS: usize = 64;
/// Rows that are looked at: of more, rows at even distances.
const TRAIN_MAX: usize = 25_000;
const OTHER_MAX: usize = 5_000;
/// Values of a row that count, so that tables of pixels cost no minute.
const VALUES_MAX: usize = 400;
/// Pairs that are measured at most.
const PAIRS_MAX: usize = 200_000;
/// How many rows at least; a share below the second moves no score.
const ROWS_MIN: usize = 5;
const SHARE_MIN: f64 = 0.01;

fn find(evidence: &Evidence) -> Vec<Finding> {
    if evidence.inputs.is_empty() || evidence.train.len() < 20 {
        return vec![];
    }
    let rows = looked_at(evidence);
    let twins = twins(evidence, &rows);
    let is_taught = |row: &usize| evidence.sides[*row] == Side::Train;
    let has_twin = |row: usize| twins.get(&row).is_some_and(|others| others.iter().any(is_taught));
    let trains = rows.iter().filter(|row| is_taught(row)).count();
    let within = rows.iter().filter(|row| is_taught(row) && has_twin(**row)).count();
    let mut findings = Vec::new();
    for (side, word) in [(Side::Test, "test"), (Side::Valid, "validation")] {
        let own: Vec<usize> = rows.iter().copied().filter(|row| evidence.sides[*row] == side).collect();
        let again: Vec<usize> = own.iter().copied().filter(|row| has_twin(*row)).collect();
        if again.is_empty() {
            continue;
        }
        let share = again.len() as f64 / own.len() as f64;
        let is_planted = again.len() >= ROWS_MIN && is_more_than_within(again.len(), own.len(), within, trains);
        if !is_planted && (share < SHARE_MIN || again.len() < ROWS_MIN) {
            continue;
        }
        let (shown, in_test_file) = evidence.place(again.iter().copied());
        let called = called(own.len(), word, in_test_file);
        let are = if again.len() == 1 { "is" } else { "are" };
        findings.push(Finding {
            check: NEAR_DUPLICATES.name.into(),
            severity: if is_planted { Severity::Stop } else { Severity::Warn },
            column: None,
            rows: shown,
            in_test_file,
            value: share,
            sentence: format!(
                "{} of {called} {are} nearly a training row; so {} {within} of {trains} training rows",
                again.len(),
                if within == 1 { "is" } else { "are" }
            ),
            remedy: "`cupola data dup` lists them: leave them out, or keep their copies on one side (data.split.by=group)".into(),
        });
    }
    findings
}

/// Rows of all sides, at even distances where there are many.
pub(super) fn looked_at(evidence: &Evidence) -> Vec<usize> {
    let spaced = |rows: Vec<usize>, most: usize| -> Vec<usize> {
        let step = rows.len().div_ceil(most).max(1);
        rows.into_iter().step_by(step).collect()
    };
    let of = |side: Side| (0..evidence.sides.len()).filter(|&row| evidence.sides[row] == side).collect::<Vec<_>>();
    let mut rows = spaced(evidence.train.clone(), TRAIN_MAX);
    rows.extend(spaced(of(Side::Test), OTHER_MAX));
    rows.extend(spaced(of(Side::Valid), OTHER_MAX));
    rows
}

/// For each row the rows that are nearly equal to it, and not wholly.
fn twins(evidence: &Evidence, rows: &[usize]) -> HashMap<usize, Vec<usize>> {
    let values: Vec<Vec<u64>> = rows.par_iter().map(|&row| tokens(evidence, row)).collect();
    let mut counts: HashMap<u64, u64> = HashMap::new();
    values.iter().flatten().for_each(|token| *counts.entry(*token).or_insert(0) += 1);
    let weigh = |tokens: &Vec<u64>| -> Vec<Token> {
        let weigh = |token: &u64| (*token, worth(counts[token], rows.len() as u64));
        tokens.iter().map(weigh).filter(|(_, weight)| *weight > 0.0).collect()
    };
    let weighed: Vec<Vec<Token>> = values.par_iter().map(weigh).collect();
    let bands = Bands::best(THRESHOLD, PERMUTATIONS);
    let signer = Signer::new(bands.count * bands.rows);
    let keys: Vec<u32> = weighed.par_iter().map(|tokens| bands.keys(&signer.sign(tokens)).collect::<Vec<_>>()).collect::<Vec<_>>().concat();
    let prints = evidence.prints();
    let mut seen = HashSet::new();
    // Of training rows that are wholly equal one stands for all.
    let is_in: Vec<bool> = rows
        .iter()
        .zip(&weighed)
        .map(|(&row, tokens)| !tokens.is_empty() && (evidence.sides[row] != Side::Train || seen.insert(prints[row])))
        .collect();
    let (pairs, _) = candidates(&keys, bands.count, PAIRS_MAX, |place| is_in[place]);
    let chance = 2.0 * (rows.len() as f64).log2();
    let near = |&(one, other): &(u32, u32)| {
        let (one, other) = (one as usize, other as usize);
        let (alike, shared) = similarity(&weighed[one], &weighed[other]);
        (alike >= THRESHOLD && shared > chance && prints[rows[one]] != prints[rows[other]]).then_some((rows[one], rows[other]))
    };
    let mut twins: HashMap<usize, Vec<usize>> = HashMap::new();
    for (one, other) in pairs.par_iter().filter_map(near).collect::<Vec<_>>() {
        twins.entry(one).or_default().push(other);
        twins.entry(other).or_default().push(one);
    }
    twins
}

fn tokens(evidence: &Evidence, row: usize) -> Vec<u64> {
    let mut tokens = Vec::new();
    for (place, input) in evidence.inputs.iter().enumerate().take(VALUES_MAX) {
        let Codes { code, .. } = &input.codes;
        if code[row] == MISSING {
            continue;
        }
        match input.texts.as_ref().map(|texts| texts.value(row)).filter(|text| text.split_whitespace().nth(RUN).is_some()) {
            Some(text) => runs(Draw::value(0, place as u64), text, &mut tokens),
            None => tokens.push(Draw::value(Draw::value(1, place as u64), u64::from(code[row]))),
        }
    }
    tokens.truncate(4 * VALUES_MAX);
    tokens.sort_unstable();
    tokens.dedup();
    tokens
}
