//! The audit on the page: decisions, groups, slices, cross-validation, gates.

use super::audit::{CrossValidation, GroupReport, Postprocessing, SliceReport};
use super::names::{plural, shown};
use super::numbers::{count, decimals, decimals_of_spread, fixed, interval, percent};
use super::report::{Measure, Report, TargetReport};
use super::terminal_audit::folds_phrase;
use maud::{Markup, html};

const NAME: usize = 80;
/// Rows of the tables.
const GATES_MAX: usize = 40;
const GROUPS_MAX: usize = 40;
const GAPS_MAX: usize = 30;
const SETS_MAX: usize = 8;
const SLICES_MAX: usize = 10;
const FOLDS_MAX: usize = 20;

/// Whether the gates hold.
pub(super) fn gates(report: &Report) -> Markup {
    html! {
        @if !report.gates.is_empty() {
            section {
                h2 { "Gates" }
                ul.remarks {
                    @for gate in report.gates.iter().take(GATES_MAX) {
                        li.(if gate.holds { "good" } else { "bad" }) {
                            span.tag { (if gate.holds { "holds" } else { "fails" }) }
                            p { (shown(&gate.sentence(), 500)) }
                        }
                    }
                }
            }
        }
    }
}

/// What is told of a target beside its scores and plots.
pub(super) fn audit(target: &TargetReport) -> Markup {
    html! {
        @if let Some(found) = &target.postprocessing { (postprocessing(target, found)) }
        @if !target.groups.is_empty() { (groups(target)) }
        @if let Some(found) = &target.slices { (slices(target, found)) }
        @for found in target.cross_validation.iter().chain(&target.nested) { (cross_validation(target, found)) }
    }
}

fn ranged(measure: Measure) -> Markup {
    let digits = decimals(measure);
    html! { (fixed(measure.value, digits)) @if measure.has_interval() { " " span.range { "(" (interval(measure, digits)) ")" } } }
}

fn postprocessing(target: &TargetReport, found: &Postprocessing) -> Markup {
    html! {
        section {
            h2 { "How answers are made for " bdi { (shown(&target.name, NAME)) } }
            @if found.rows > 0 { p.faint.small { "Learned on " (count(found.rows)) " " (shown(&found.learned_on, NAME)) ", measured on test rows." } }
            @if let Some(change) = &found.calibration {
                h3 { "Calibration: " (shown(&change.method, NAME)) @if change.asked == "auto" { " (chosen by auto)" } }
                div.scroll {
                    table {
                        thead { tr { th { "measure" } th.n { "before" } th.n { "after" } } }
                        tbody {
                            @for (before, after) in change.before.iter().zip(&change.after) {
                                tr { td { (shown(&after.name, NAME)) } td.n { (ranged(before.measure)) } td.n { (ranged(after.measure)) } }
                            }
                        }
                    }
                }
                div.scroll {
                    table {
                        thead { tr { th { "promised before" } @for bin in &change.curve_before.bins { th.n { (fixed(bin.predicted, 3)) } } } }
                        tbody { tr { td { "came true" } @for bin in &change.curve_before.bins { td.n { (fixed(bin.observed, 3)) } } } }
                    }
                }
            }
            @if let Some(rule) = &found.rule {
                h3 { "Which class is answered" }
                p { (shown(&rule.asked, NAME)) @if rule.threshold.is_finite() { ": from a probability of " (fixed(rule.threshold, 4)) " on" } "." }
                @if !rule.costs.is_empty() && rule.costs.len() == target.classes.len() { (costs(target, &rule.costs)) }
            }
            @if let Some(coverage) = &found.coverage {
                h3 { (if coverage.sizes.is_empty() { "Intervals" } else { "Sets of classes" }) }
                p {
                    "They hold the truth of " (percent(coverage.share.value)) " of test rows"
                    @if coverage.share.has_interval() { " (" (percent(coverage.share.low)) " to " (percent(coverage.share.high)) ")" }
                    "; " (percent(coverage.promised)) " was promised. Made by " (shown(&coverage.method, NAME)) "; the mean "
                    (if coverage.sizes.is_empty() { "width" } else { "number of classes" }) " is "
                    (fixed(coverage.width, decimals_of_spread(coverage.width, coverage.width / 10.0)))
                    @if let Some(split) = coverage.split_width { "; with one width for all rows it would be " (fixed(split, decimals_of_spread(split, split / 10.0))) }
                    "."
                }
                @if !coverage.sizes.is_empty() {
                    div.scroll {
                        table {
                            thead { tr { th { "classes in the set" } @for size in coverage.sizes.iter().take(FOLDS_MAX) { th.n { (count(size.classes)) } } } }
                            tbody { tr { td { "test rows" } @for size in coverage.sizes.iter().take(FOLDS_MAX) { td.n { (count(size.rows)) } } } }
                        }
                    }
                }
            }
        }
    }
}

fn costs(target: &TargetReport, costs: &[Vec<f64>]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "truth" } @for class in target.classes.iter().take(FOLDS_MAX) { th.n { "answer " bdi { (shown(class, 30)) } } } } }
                tbody {
                    @for (class, line) in target.classes.iter().zip(costs).take(FOLDS_MAX) {
                        tr { td.name { bdi { (shown(class, NAME)) } } @for cost in line.iter().take(FOLDS_MAX) { td.n { (fixed(*cost, 2)) } } }
                    }
                }
            }
        }
    }
}

fn groups(target: &TargetReport) -> Markup {
    html! {
        section {
            h2 { "Groups of " bdi { (shown(&target.name, NAME)) } }
            p.faint.small {
                "Groups of sensitive columns on test rows, with 95 % intervals. A gap is the largest group's value minus the smallest's, a ratio the \
                 smallest over the largest; groups of fewer than " (cupola_metrics::GROUP_ROWS_MIN) " rows do not count for them."
            }
            @for set in target.groups.iter().take(SETS_MAX) { (one_set(target, set)) }
        }
    }
}

fn one_set(target: &TargetReport, set: &GroupReport) -> Markup {
    let measures: Vec<&str> =
        set.groups.first().map_or(vec![], |group| group.measures.iter().map(|measure| measure.name.as_str()).collect());
    let has_train = set.groups.iter().any(|group| group.train_rows > 0);
    let label = if target.classes.is_empty() { "mean in training" } else { "positive in training" };
    html! {
        h3 { bdi { (shown(&set.columns.join(" and "), NAME)) } }
        div.scroll {
            table {
                thead {
                    tr {
                        @for column in &set.columns { th { (shown(column, 30)) } }
                        th.n { "test rows" }
                        @if has_train { th.n { "training rows" } th.n { (label) } }
                        @for name in &measures { th.n { (name) } }
                    }
                }
                tbody {
                    @for group in set.groups.iter().take(GROUPS_MAX) {
                        tr {
                            @for value in &group.values { td.name { bdi { (shown(value, 40)) } } }
                            td.n { (count(group.rows)) }
                            @if has_train { td.n { (count(group.train_rows)) } td.n { (fixed(group.train_label, 3)) } }
                            @for measure in &group.measures { td.n { (ranged(measure.measure)) } }
                        }
                    }
                }
            }
        }
        div.scroll {
            table {
                thead { tr { th { "gap" } th.n { "value" } } }
                tbody {
                    @for gap in set.gaps.iter().filter(|gap| gap.measure.is_defined()).take(GAPS_MAX) {
                        tr { td { (shown(&gap.name, NAME)) } td.n { (ranged(gap.measure)) } }
                    }
                }
            }
        }
    }
}

fn slices(target: &TargetReport, found: &SliceReport) -> Markup {
    html! {
        section {
            h2 { "Worst slices of " bdi { (shown(&target.name, NAME)) } }
            p.faint.small {
                (plural(found.tried, "slice")) " of one column or two, of " (count(found.rows_min)) " test rows and more, were held against all other rows by their "
                (shown(&found.loss, NAME)) ". p is corrected for the search: where there is nothing, anything is found in "
                (percent(found.level)) " of searches at most."
            }
            @if found.slices.is_empty() {
                p { "None stands out (p of the worst: " (fixed(found.p_value, 3)) ")." }
            } @else {
                div.scroll {
                    table {
                        thead {
                            tr {
                                th { "slice" } th.n { "rows" } th.n { (shown(&found.loss, 30)) } th.n { "of the others" } th.n { "p" }
                                th.n { (shown(&found.measure, 30)) } th.n { "of all" }
                            }
                        }
                        tbody {
                            @for slice in found.slices.iter().take(SLICES_MAX) {
                                tr {
                                    td.name { bdi { (shown(&slice.phrase(), 120)) } }
                                    td.n { (count(slice.rows)) } td.n { (fixed(slice.loss, 3)) } td.n { (fixed(slice.rest, 3)) } td.n { (fixed(slice.p_value, 3)) }
                                    td.n { @if let Some(measure) = slice.measure(&found.measure) { (ranged(measure)) } }
                                    td.n { (fixed(found.overall.value, decimals(found.overall))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cross_validation(target: &TargetReport, found: &CrossValidation) -> Markup {
    html! {
        section {
            h2 { @if !found.chosen.is_empty() { "Nested c" } @else { "C" } "ross-validation of " bdi { (shown(&target.name, NAME)) } }
            p.faint.small {
                (folds_phrase(found)) " of the training rows: "
                @if found.chosen.is_empty() { "the model learns from all but one and answers that one." }
                @else { "all but one choose and learn, and what they chose answers that one, which had no part in choosing." }
                " Folds share training rows; intervals of means are corrected for that (Nadeau and Bengio 2003)."
            }
            div.scroll {
                table {
                    thead {
                        tr {
                            th { "measure" } th.n { "mean" } th.n { "deviation" } th.n { "interval of the mean" }
                            @for fold in 1..=(found.folds as usize).min(FOLDS_MAX) { th.n { "fold " (fold) } }
                        }
                    }
                    tbody {
                        @for measure in &found.measures {
                            @let digits = decimals_of_spread(measure.mean, measure.deviation);
                            tr {
                                td { (shown(&measure.name, NAME)) }
                                td.n { (fixed(measure.mean, digits)) } td.n { (fixed(measure.deviation, digits)) }
                                td.n { @if let Some(found) = measure.interval { (interval(found, digits)) } }
                                @for fold in measure.folds.iter().take(FOLDS_MAX) { td.n { (fixed(fold.value, digits)) } }
                            }
                        }
                    }
                }
            }
            @if !found.chosen.is_empty() {
                ul.small { @for (fold, chosen) in found.chosen.iter().take(FOLDS_MAX).enumerate() { li { "fold " (fold + 1) ": " (shown(chosen, 200)) } } }
            }
        }
    }
}
