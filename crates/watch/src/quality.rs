//! Whether a window's columns hold what they should: values at all, names that are known, numbers in their range, the right type. Each is a share
//! of rows, held against the share that the reference had.

use crate::axis::{Axis, Tally};
use crate::content::Content;
use crate::reference::{ColumnReference, Reference};
use crate::report::{Subject, TestRow, Verdict, short};
use crate::tails::{fisher_tail, many_beyond};
use crate::window::{ColumnWindow, Window};

/// The smallest shares that matter: of more missing cells, of unseen names and numbers out of range, of a wrong schema.
const MISSING_MIN: f64 = 0.02;
const STRANGE_MIN: f64 = 0.01;
const SCHEMA_MIN: f64 = 0.001;
/// The tests of a column that is not there, or holds something of another type.
pub(crate) const ABSENT: &str = "absent";
pub(crate) const MISTYPED: &str = "mistyped";
/// So many examples of unseen names are told.
const EXAMPLES: usize = 3;

/// All tests of all inputs.
pub(crate) fn checks(reference: &Reference, window: &Window) -> Vec<TestRow> {
    reference.columns.iter().zip(&window.columns).flat_map(|(column, own)| of_column(column, own)).collect()
}

fn of_column(column: &ColumnReference, window: &ColumnWindow) -> Vec<TestRow> {
    let (own, other) = (&column.tallies[0], &window.tallies[0]);
    let all = other.rows() + window.absent + window.mistyped;
    let mut rows = Vec::new();
    for (test, count) in [(ABSENT, window.absent), (MISTYPED, window.mistyped)].into_iter().filter(|(_, count)| *count > 0) {
        rows.push(share(&column.name, test, [0, own.rows()], [count, all], SCHEMA_MIN, String::new()));
    }
    if other.rows() > 0 && own.rows() > 0 {
        rows.push(share(&column.name, "missing", [own.missing, own.rows()], [other.missing, other.rows()], MISSING_MIN, String::new()));
    }
    if other.values() > 0 && own.values() > 0 {
        rows.extend(strange(column, own, other));
    }
    rows
}

fn strange(column: &ColumnReference, own: &Tally, other: &Tally) -> Option<TestRow> {
    match &column.axes[..] {
        [Axis::Names { names }] => {
            // Names that came once say how many are still to come (Good, "The population frequencies of species", 1953).
            let once = own.counts[..names.len()].iter().filter(|count| **count == 1).count() as u64;
            let [rest, unseen] = [own, other].map(|tally| tally.counts[names.len()]);
            let examples: Vec<&str> = other.unseen.values().take(EXAMPLES).map(String::as_str).collect();
            let such = if examples.is_empty() { String::new() } else { format!(", such as {}", examples.join(", ")) };
            Some(share(&column.name, "unseen", [rest + once, own.values()], [unseen, other.values()], STRANGE_MIN, such))
        }
        // Time goes on: later dates are no fault.
        [Axis::Numbers { .. }] if column.content == Content::Number => {
            let count = other.counts[0] + other.counts.last()?;
            let [moments, now] = [own.moments?, other.moments?];
            let ends = format!(" outside {} to {}; now {} to {}", short(moments.min), short(moments.max), short(now.min), short(now.max));
            let mut row = share(&column.name, "range", [0, own.values()], [count, other.values()], STRANGE_MIN, ends);
            row.p = Some(many_beyond(count, own.values(), other.values()));
            Some(row)
        }
        _ => None,
    }
}

/// A test that more of the window's rows are so than of the reference's.
fn share(column: &str, test: &str, reference: [u64; 2], window: [u64; 2], threshold: f64, more: String) -> TestRow {
    let [before, now] = [reference, window].map(|[count, all]| count as f64 / all.max(1) as f64);
    TestRow {
        subject: Subject::Data,
        column: column.to_owned(),
        test: test.to_owned(),
        statistic: now,
        effect: (now - before).max(0.0),
        threshold,
        p: Some(fisher_tail(reference, window)),
        p_corrected: None,
        verdict: Verdict::Fine,
        change: format!("{} -> {} of rows{more}", short(before), short(now)),
    }
}
