//! Groups whose rows stand on both sides of a split.

use super::evidence::{Evidence, Finding, LeakDef, Severity, called};
use crate::cells::MISSING;
use cupola_task::Side;

/// The check.
pub(crate) const GROUP_OVERLAP: LeakDef =
    LeakDef { name: "group_overlap", doc: "Rows of one group are both in training and in validation or test.", find };

fn find(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in &evidence.groups {
        let code = |row: usize| group.codes.code[row];
        let mut teaches = vec![false; group.codes.distinct];
        evidence.train.iter().filter(|&&row| code(row) != MISSING).for_each(|&row| teaches[code(row) as usize] = true);
        for (side, word) in [(Side::Test, "test"), (Side::Valid, "validation")] {
            let is_shared = |&row: &usize| evidence.sides[row] == side && code(row) != MISSING && teaches[code(row) as usize];
            let rows: Vec<usize> = (0..evidence.sides.len()).filter(is_shared).collect();
            if rows.is_empty() {
                continue;
            }
            let mut shared: Vec<u32> = rows.iter().map(|&row| code(row)).collect();
            shared.sort_unstable();
            shared.dedup();
            let (rows_shown, in_test_file) = evidence.place(rows.iter().copied());
            let name = &group.field.name;
            let (groups, are) = if shared.len() == 1 { ("1 group".to_owned(), "is") } else { (format!("{} groups", shared.len()), "are") };
            findings.push(Finding {
                check: GROUP_OVERLAP.name.into(),
                severity: Severity::Stop,
                column: Some(name.to_string()),
                rows: rows_shown,
                in_test_file,
                value: shared.len() as f64,
                sentence: format!("{groups} of column {name} {are} in training and in {}", called(rows.len(), word, in_test_file)),
                remedy: match in_test_file {
                    true => "leave the shared groups out of one of the files".into(),
                    false => "split by group (data.split.by=group)".into(),
                },
            });
        }
    }
    findings
}
