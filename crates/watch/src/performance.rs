//! Whether answers are still as good: on labels that came late, on estimates without labels, and slice by slice.
//!
//! A test of quality compares the first measure with the reference's: both have a standard error, so their difference over both errors is a normal
//! number when nothing changed. A slice is held against its own quality when the model was made, or against the whole reference's where it had too
//! few rows; that many slices are searched is made up for with all other tests of slices.

use crate::Result;
use crate::estimate::estimate;
use crate::measure::{Quality, qualities};
use crate::monitor::MonitorOptions;
use crate::reference::{Reference, SliceColumn};
use crate::report::{Subject, TargetReport, TestRow, Verdict, short};
use crate::tails::normal_tail;
use crate::target::{TargetReference, names};
use crate::window::{TargetWindow, Window};

/// A slice of fewer labelled rows is not looked at.
const SLICE_ROWS_MIN: usize = 30;

/// Quality of all targets, the tests of it, and the tests of slices.
pub(crate) struct Performance {
    pub(crate) targets: Vec<TargetReport>,
    pub(crate) tests: Vec<TestRow>,
    pub(crate) slices: Vec<TestRow>,
}

/// Measures what labels there are, and estimates where there are none.
///
/// # Errors
/// When truths and answers do not fit each other.
pub(crate) fn performance(reference: &Reference, window: &Window, options: &MonitorOptions) -> Result<Performance> {
    let mut performance = Performance { targets: vec![], tests: vec![], slices: vec![] };
    for (target, own) in reference.targets.iter().zip(&window.targets) {
        let (answer, truth) = own.labelled_rows(target, |_| true);
        let live = qualities(target, &target.answer(&answer), &truth, None)?;
        let estimated = estimate(target, &own.expected);
        for (subject, found) in [(Subject::Live, &live), (Subject::Estimated, &estimated)] {
            performance.tests.extend(first(target, found, subject, options));
        }
        for (place, slice) in reference.slices.iter().enumerate() {
            performance.slices.extend(slices(target, own, place, slice, options)?);
        }
        performance.targets.push(TargetReport { target: target.name.to_string(), reference: target.quality.clone(), live, estimated });
    }
    Ok(performance)
}

/// The test of the measure that counts.
fn first(target: &TargetReference, found: &[Quality], subject: Subject, options: &MonitorOptions) -> Option<TestRow> {
    let wanted = target.quality.first()?;
    let found = found.iter().find(|quality| quality.metric == wanted.metric)?;
    Some(test(subject, target.name.to_string(), wanted, found, options))
}

/// The test that quality is worse than it was. Its effect is the loss as a share of what it was.
fn test(subject: Subject, column: String, wanted: &Quality, found: &Quality, options: &MonitorOptions) -> TestRow {
    let loss = if wanted.is_score { wanted.value - found.value } else { found.value - wanted.value };
    let worse_by = -found.better_by(wanted);
    TestRow {
        subject,
        column,
        test: wanted.metric.clone(),
        statistic: found.value,
        effect: (loss / wanted.value.abs().max(f64::MIN_POSITIVE)).clamp(0.0, f64::MAX),
        threshold: options.quality_loss,
        p: Some(normal_tail(worse_by)),
        p_corrected: None,
        verdict: if found.rows < options.min_rows.min(SLICE_ROWS_MIN as u64) { Verdict::Unknown } else { Verdict::Fine },
        change: format!("{} -> {} on {} rows", short(wanted.value), found.text(), found.rows),
    }
}

fn slices(
    target: &TargetReference,
    own: &TargetWindow,
    place: usize,
    slice: &SliceColumn,
    options: &MonitorOptions,
) -> Result<Vec<TestRow>> {
    let subject = if slice.is_sensitive { Subject::Group } else { Subject::Slice };
    let Some(whole) = target.quality.first() else { return Ok(vec![]) };
    let mut tests = Vec::new();
    for (cell, name) in names(&slice.axis).iter().enumerate() {
        let (answer, truth) = own.labelled_rows(target, |row| row.groups.get(place).copied().flatten() == Some(cell as u16));
        if truth.len() < SLICE_ROWS_MIN {
            continue;
        }
        let wanted = target.slices.get(place).and_then(|slices| slices.get(cell)?.as_ref()).unwrap_or(whole);
        let found = qualities(target, &target.answer(&answer), &truth, Some(&whole.metric))?;
        let column = format!("{} where {} = {name}", target.name, slice.name);
        tests.extend(found.first().map(|found| test(subject, column, wanted, found, options)));
    }
    Ok(tests)
}
