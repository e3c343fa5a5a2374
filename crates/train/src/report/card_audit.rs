//! The audit in the model card: how answers are made, groups, slices, gates; nothing where a run has none of them.

use super::audit::{GroupReport, Postprocessing, SliceReport};
use super::names::{markdown, plural};
use super::numbers::{fixed, percent, with_interval};
use super::report::Report;

const NAME: usize = 80;
const SENTENCE: usize = 1000;
const TARGETS_MAX: usize = 8;
const SLICES_MAX: usize = 3;
/// Gaps of a set of groups that are told.
const GAPS_MAX: usize = 4;

/// Two sections, or nothing.
pub(super) fn audit(report: &Report) -> Option<String> {
    let mut lines = Vec::new();
    for target in report.targets.iter().take(TARGETS_MAX) {
        let name = markdown(&target.name, NAME);
        lines.extend(target.postprocessing.iter().flat_map(decisions).map(|line| format!("- {name}: {line}\n")));
        lines.extend(target.groups.iter().filter_map(groups).map(|line| format!("- {name}: {line}\n")));
        lines.extend(target.slices.iter().flat_map(slices).map(|line| format!("- {name}: {line}\n")));
    }
    let gates = report.gates.iter().map(|gate| {
        let word = if gate.holds { "holds" } else { "does not hold" };
        format!("- gate {word}: {}\n", markdown(&gate.sentence(), SENTENCE))
    });
    lines.extend(gates);
    (!lines.is_empty()).then(|| format!("## Audit\n\n{}", lines.concat()))
}

fn decisions(found: &Postprocessing) -> Vec<String> {
    let calibration = found.calibration.as_ref().filter(|change| change.method != "none").map(|change| {
        let parts = change.before.iter().zip(&change.after).map(|(before, after)| {
            format!("{} {} to {}", markdown(&after.name, NAME), fixed(before.measure.value, 4), fixed(after.measure.value, 4))
        });
        format!("probabilities are calibrated ({}): {}", markdown(&change.method, NAME), parts.collect::<Vec<_>>().join(", "))
    });
    let rule = found.rule.as_ref().map(|rule| {
        let at = if rule.threshold.is_finite() { format!(", from {} on", fixed(rule.threshold, 4)) } else { String::new() };
        format!("the class is chosen by {}{at}", markdown(&rule.asked, NAME))
    });
    let coverage = found.coverage.as_ref().map(|coverage| {
        let what = if coverage.sizes.is_empty() { "intervals" } else { "sets of classes" };
        format!("{what} hold the truth of {} of test rows; {} was promised", percent(coverage.share.value), percent(coverage.promised))
    });
    calibration.into_iter().chain(rule).chain(coverage).collect()
}

fn groups(set: &GroupReport) -> Option<String> {
    let gaps = set.gaps.iter().filter(|gap| gap.name.ends_with("_difference") && gap.measure.is_defined()).take(GAPS_MAX);
    let told: Vec<String> = gaps.map(|gap| format!("{} {}", markdown(&gap.name, NAME), with_interval(gap.measure))).collect();
    (!told.is_empty()).then(|| format!("groups of {}: {}", markdown(&set.columns.join(" and "), NAME), told.join(", ")))
}

fn slices(found: &SliceReport) -> Vec<String> {
    let slice = |slice: &super::audit::WorstSlice| {
        format!(
            "answered worse than the rest: {}, {}, {} {} against {}",
            markdown(&slice.phrase(), 200),
            plural(slice.rows, "test row"),
            markdown(&found.loss, NAME),
            fixed(slice.loss, 3),
            fixed(slice.rest, 3)
        )
    };
    found.slices.iter().take(SLICES_MAX).map(slice).collect()
}
