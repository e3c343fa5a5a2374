//! What is written down only after the event that is to be predicted: a column that is filled in only for one class, as the day of a cancellation,
//! and a date that lies behind the time of its row.

use super::evidence::{Evidence, Exhibit, Finding, LeakDef, Severity, Truth, leave_out};
use super::target_copy::{SURPRISE, names_max, near_classes};
use crate::cells::{Codes, MISSING};
use arrow_array::Array;

/// The check.
pub(crate) const AFTER_EVENT: LeakDef =
    LeakDef { name: "after_event", doc: "A column is filled in only for some classes, or holds dates behind the time of its row.", find };

/// From which share of rows on a date lies behind the row's time, and how few rows say nothing.
const LATER: f64 = 0.05;
const ROWS_MIN: usize = 20;

fn find(evidence: &Evidence) -> Vec<Finding> {
    let chance = SURPRISE + (evidence.inputs.len().max(1) as f64).ln();
    let mut findings = Vec::new();
    for (target, truth) in evidence.truths() {
        let Truth::Classes { codes, count } = truth else { continue };
        let rows: Vec<usize> = evidence.train.iter().copied().filter(|&row| codes[row] != MISSING).collect();
        // A column of few values is looked at by the check of copies, which takes a missing value for one of them.
        for input in evidence.inputs.iter().filter(|input| input.codes.distinct > names_max(count)) {
            let presence = presence(&input.codes);
            if let Some((value, how)) = near_classes(&presence, codes, count, &rows, chance) {
                let sentence = format!("whether column {} is filled in tells the target {}: it {how}", input.field.name, target.field.name);
                findings.push(finding(input, Severity::Stop, evidence.place(rows.iter().copied()).0, value, sentence));
            }
        }
    }
    for time in &evidence.times {
        findings.extend(evidence.inputs.iter().filter_map(|input| later(evidence, time, input)));
    }
    findings
}

fn finding(input: &Exhibit, severity: Severity, rows: Vec<u64>, value: f64, sentence: String) -> Finding {
    Finding {
        check: AFTER_EVENT.name.into(),
        severity,
        column: Some(input.field.name.to_string()),
        rows,
        in_test_file: false,
        value,
        sentence,
        remedy: format!("if it is written down after the event, {}", leave_out(&input.field.name)),
    }
}

/// One value where a cell is filled in.
fn presence(codes: &Codes) -> Codes {
    Codes { code: codes.code.iter().map(|code| if *code == MISSING { MISSING } else { 0 }).collect(), distinct: 1 }
}

/// Dates behind the time of their rows.
fn later(evidence: &Evidence, time: &Exhibit, input: &Exhibit) -> Option<Finding> {
    let (own, when) = (input.moments.as_ref()?, time.moments.as_ref()?);
    let both: Vec<usize> = evidence.train.iter().copied().filter(|&row| own.is_valid(row) && when.is_valid(row)).collect();
    let late: Vec<usize> = both.iter().copied().filter(|&row| own.value(row) > when.value(row)).collect();
    let share = late.len() as f64 / both.len().max(1) as f64;
    let sentence = format!(
        "column {} is later than {} in {:.1} % of the training rows, so it was not known then unless it was planned",
        input.field.name,
        time.field.name,
        100.0 * share
    );
    let is_told = both.len() >= ROWS_MIN && share >= LATER;
    is_told.then(|| finding(input, Severity::Warn, evidence.place(late.iter().copied()).0, share, sentence))
}
