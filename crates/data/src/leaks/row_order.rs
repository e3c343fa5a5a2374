//! A file whose order tells the target: harmless once shuffled, and worth knowing.

use super::evidence::{Evidence, Finding, LeakDef, Severity};
use super::measure::{explained, places};

/// The check.
pub(crate) const ROW_ORDER: LeakDef = LeakDef { name: "row_order", doc: "The order of rows in the file tells the target.", find };

/// From which share of the target's variance on it is told.
const WARNS: f64 = 0.1;
/// How few rows say nothing.
const ROWS_MIN: usize = 40;

fn find(evidence: &Evidence) -> Vec<Finding> {
    if evidence.train.len() < ROWS_MIN {
        return vec![];
    }
    let bins = places(evidence.train.len());
    let tell = |share: f64, target: &str| Finding {
        check: ROW_ORDER.name.into(),
        severity: Severity::Warn,
        column: None,
        rows: vec![],
        in_test_file: false,
        value: share,
        sentence: format!("the order of rows in the file tells {:.0} % of the target {target}", 100.0 * share),
        remedy: "nothing, as long as the split shuffles (data.split.by=stratified or random); a sorted file must not be cut in two".into(),
    };
    evidence
        .truths()
        .map(|(target, truth)| (explained(&bins, &truth, &evidence.train), target))
        .filter(|(share, _)| *share >= WARNS)
        .map(|(share, target)| tell(share, &target.field.name))
        .collect()
}
