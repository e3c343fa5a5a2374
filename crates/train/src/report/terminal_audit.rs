//! The audit in the text at the end of a run: decisions, groups, slices, cross-validation, gates; a few lines each.

use super::audit::{CrossValidation, FoldMeasure, GroupReport, Postprocessing, SliceReport};
use super::names::{plural, shown};
use super::numbers::{decimals, decimals_of_spread, fixed, interval as interval_phrase, percent, with_interval};
use super::report::{Measure, Report, TargetReport};
use super::terminal::{Screen, Tone};
use super::verdict::Level;

/// Lines of each part.
const SLICES_MAX: usize = 3;
const GROUPS_MAX: usize = 4;
const MEASURES_MAX: usize = 12;
const FOLDS_MAX: usize = 10;
const GATES_MAX: usize = 8;
/// Gaps that are told of each set of groups.
const GAPS: [&str; 4] = ["demographic_parity_difference", "equalized_odds_difference", "mae_difference", "mean_error_difference"];

/// What is told of a target beside its scores.
pub(super) fn audit(screen: &mut Screen, target: &TargetReport) {
    for found in target.cross_validation.iter().chain(&target.nested) {
        cross_validation(screen, found);
    }
    if let Some(found) = &target.postprocessing {
        postprocessing(screen, found);
    }
    groups(screen, &target.groups);
    if let Some(found) = &target.slices {
        slices(screen, found);
    }
}

/// Whether the gates hold.
pub(super) fn gates(screen: &mut Screen, report: &Report) {
    if report.gates.is_empty() {
        return;
    }
    screen.heading("Gates", "");
    for gate in report.gates.iter().take(GATES_MAX) {
        let (word, level) = if gate.holds { ("holds", Level::Good) } else { ("fails", Level::Bad) };
        screen.wrapped(&format!("  {word} "), Tone::Of(level), &shown(&gate.sentence(), 300));
    }
    if report.gates.len() > GATES_MAX {
        screen.line(&format!("  and {} more in the report", report.gates.len() - GATES_MAX));
    }
}

fn postprocessing(screen: &mut Screen, found: &Postprocessing) {
    screen.heading("Answers", &if found.rows > 0 { format!("learned on {} {}", found.rows, found.learned_on) } else { String::new() });
    if let Some(change) = &found.calibration {
        let parts = change.before.iter().zip(&change.after).map(|(before, after)| {
            let digits = decimals(after.measure);
            format!("{} {} to {}", after.name, fixed(before.measure.value, digits), fixed(after.measure.value, digits))
        });
        let how = if change.method == "none" { "left as it was, for no map helped" } else { &change.method };
        screen.wrapped("  calibration  ", Tone::Faint, &format!("{how}: {}", parts.collect::<Vec<_>>().join(", ")));
    }
    if let Some(rule) = &found.rule {
        let at = if rule.threshold.is_finite() { format!(": from {} on", fixed(rule.threshold, 4)) } else { String::new() };
        screen.wrapped("  class        ", Tone::Faint, &format!("{}{at}", shown(&rule.asked, 60)));
    }
    if let Some(coverage) = &found.coverage {
        let what = if coverage.sizes.is_empty() { "intervals" } else { "sets" };
        let wide = if coverage.sizes.is_empty() { "wide" } else { "classes" };
        let width = |width: f64| fixed(width, decimals_of_spread(width, width / 10.0));
        let split = coverage.split_width.map_or(String::new(), |split| format!(" (with one width for all rows {})", width(split)));
        let text = format!(
            "{what} hold {} of test rows ({} was promised), on average {} {wide}{split}",
            share(coverage.share),
            percent(coverage.promised),
            width(coverage.width)
        );
        screen.wrapped("  coverage     ", Tone::Faint, &text);
    }
}

fn share(measure: Measure) -> String {
    match measure.has_interval() {
        true => format!("{} ({} to {})", percent(measure.value), percent(measure.low), percent(measure.high)),
        false => percent(measure.value),
    }
}

fn groups(screen: &mut Screen, groups: &[GroupReport]) {
    if groups.is_empty() {
        return;
    }
    screen.heading("Groups", "how far they lie apart");
    for set in groups.iter().take(GROUPS_MAX) {
        let gaps = GAPS.iter().filter_map(|name| set.gaps.iter().find(|gap| gap.name == *name && gap.measure.is_defined()));
        let mut parts: Vec<String> = gaps.map(|gap| format!("{} {}", gap.name, with_interval(gap.measure))).collect();
        if parts.is_empty() {
            let accuracy = set.gaps.iter().find(|gap| gap.name == "accuracy_difference" && gap.measure.is_defined());
            parts.extend(accuracy.map(|gap| format!("{} {}", gap.name, with_interval(gap.measure))));
        }
        let told = if parts.is_empty() { "too few rows in them to compare".to_owned() } else { parts.join(", ") };
        screen.wrapped(&format!("  {}  ", shown(&set.columns.join(" and "), 40)), Tone::Bold, &told);
    }
}

fn slices(screen: &mut Screen, found: &SliceReport) {
    if found.tried == 0 {
        return;
    }
    let aside = format!("of {} tried, corrected for the search", plural(found.tried, "slice"));
    screen.heading("Worst slices", &aside);
    if found.slices.is_empty() {
        screen.line(&format!("  none stands out (p {})", fixed(found.p_value, 3)));
    }
    for slice in found.slices.iter().take(SLICES_MAX) {
        let measure = slice.measure(&found.measure).filter(Measure::is_defined).map(|measure| {
            let digits = decimals(measure);
            format!("{} {} (all rows {})", found.measure, fixed(measure.value, digits), fixed(found.overall.value, digits))
        });
        let loss = format!("{} {} against {}", found.loss, fixed(slice.loss, 3), fixed(slice.rest, 3));
        let parts: Vec<String> =
            measure.into_iter().chain([loss, plural(slice.rows, "row"), format!("p {}", fixed(slice.p_value, 3))]).collect();
        screen.wrapped(&format!("  {}  ", shown(&slice.phrase(), 70)), Tone::Bold, &parts.join(", "));
    }
    if found.slices.len() > SLICES_MAX {
        screen.line(&format!("  and {} more in the report", found.slices.len() - SLICES_MAX));
    }
}

/// A measure's name, mean, deviation and interval, and folds.
type Line = (String, String, String, Vec<String>);

fn cross_validation(screen: &mut Screen, found: &CrossValidation) {
    let title = if found.chosen.is_empty() { "Cross-validation" } else { "Nested cross-validation" };
    screen.heading(title, &format!("{} of the training rows: mean, deviation, corrected interval, each fold", folds_phrase(found)));
    let cell = |measure: &FoldMeasure| -> Line {
        let digits = decimals_of_spread(measure.mean, measure.deviation);
        let folds = measure.folds.iter().map(|fold| fixed(fold.value, digits)).collect::<Vec<_>>();
        let interval = measure.interval.map_or(String::new(), |interval| format!(" ({})", interval_phrase(interval, digits)));
        (shown(&measure.name, 24), fixed(measure.mean, digits), format!("{}{interval}", fixed(measure.deviation, digits)), folds)
    };
    let rows: Vec<_> = found.measures.iter().take(MEASURES_MAX).map(cell).collect();
    let width = |of: fn(&Line) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (name, mean, deviation) = (width(|row| row.0.chars().count()), width(|row| row.1.len()), width(|row| row.2.len()));
    let fold = width(|row| row.3.iter().map(String::len).max().unwrap_or(0));
    for row in &rows {
        let head = format!("  {:<name$}  {:>mean$} ± {:<deviation$}", row.0, row.1, row.2);
        // As many folds as the line holds.
        let room = (screen.width().saturating_sub(head.chars().count()) / (fold + 2)).min(FOLDS_MAX);
        let folds: Vec<String> = row.3.iter().take(room).map(|value| format!("  {value:>fold$}")).collect();
        screen.line(&format!("{head}{}", folds.concat()));
    }
    if found.measures.len() > MEASURES_MAX {
        screen.line(&format!("  and {} more in the report", found.measures.len() - MEASURES_MAX));
    }
    for (fold, chosen) in found.chosen.iter().take(FOLDS_MAX).enumerate() {
        screen.wrapped(&format!("  fold {} chose  ", fold + 1), Tone::Faint, &shown(chosen, 200));
    }
}

/// `10 folds`, or `10 folds (2 times 5)`.
pub(super) fn folds_phrase(found: &CrossValidation) -> String {
    let each = if found.repeats > 1 { format!(" ({} times {})", found.repeats, found.folds / found.repeats) } else { String::new() };
    format!("{} folds{each}", found.folds)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::super::terminal::{Paint, audit_text, terminal};
    use expect_test::expect;

    #[test]
    fn an_audit_is_a_few_lines() {
        expect![[r#"
            Cross-validation  3 folds of the training rows: mean, deviation, corrected interval, each fold
              roc_auc  0.9261 ± 0.0021 (0.9213 to 0.9309)  0.9283  0.9242  0.9258

            Answers  learned on 3257 validation rows
              calibration  isotonic: log_loss 0.2911 to 0.2794, calibration_error 0.0212 to 0.0081
              class        best f1: from 0.4112 on
              coverage     sets hold 90.3 % (90 % to 90.8 %) of test rows (90 % was promised), on average 1.08
                           classes

            Groups  how far they lie apart
              sex  demographic_parity_difference 0.180 (0.169 to 0.191), equalized_odds_difference 0.090 (0.050
                   to 0.130)

            Worst slices  of 1 713 slices tried, corrected for the search
              relationship = Husband and education_num 13 to 16  roc_auc 0.791 (all rows 0.927), log_loss 0.512
                                                                 against 0.241, 2 001 rows, p 0.010
        "#]]
        .assert_eq(&(audit_text(&fixtures::audited().targets[0], 100) + "\n"));
        let whole = terminal(&fixtures::audited(), 100, Paint::Plain);
        assert!(whole.contains("fails slice.worst.roc_auc of income is 0.7912") && whole.contains("holds f1 of income"), "{whole}");
    }
}
