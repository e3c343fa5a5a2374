//! The text at the end of a run: two screens at most, readable without colour.

use super::names::{plural, shown};
use super::numbers::{amount, bytes, decimals, fixed, interval, seconds, signed, signed_interval};
use super::plots::mistakes;
use super::report::{Measure, Report, Score, TargetReport};
use super::terminal_audit::{audit, gates};
use super::verdict::{Level, Side, Topic, Verdict, rows_phrase, verdict, worst_classes};

/// Whether the terminal shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text only: pipes, files, `NO_COLOR`.
    Plain,
    /// ANSI escapes for bold, faint and four colours.
    Ansi,
}

/// What stands in a line at most, whatever the terminal.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=110;
/// Measures of a single target, and of each of several.
const SCORES_MAX: [usize; 2] = [10, 3];
/// Targets with a table of their own.
const TARGETS_MAX: usize = 3;
/// Remarks about one target, and about several; warnings, files, commands.
const REMARKS_MAX: [usize; 2] = [7, 3];
const WARNINGS_MAX: usize = 3;
const FILES_MAX: usize = 5;
const STEPS_MAX: usize = 3;
/// Classes with the lowest F1.
const CLASSES_MAX: usize = 3;

/// What a finished run prints.
pub fn terminal(report: &Report, width: usize, paint: Paint) -> String {
    let mut screen = Screen { text: String::new(), width: width.clamp(*WIDTHS.start(), *WIDTHS.end()), paint };
    let verdict = verdict(report);
    opening(&mut screen, report, &verdict);
    super::labels::told(&mut screen, report, list_scores);
    let plain: Vec<&TargetReport> = report.targets.iter().filter(|target| !report.is_label(&target.name)).collect();
    for &target in plain.iter().take(TARGETS_MAX) {
        scores(&mut screen, report, target);
        if report.targets.len() == 1 {
            classes(&mut screen, target);
            audit(&mut screen, target);
        }
    }
    if let Some(more) = plain.len().checked_sub(TARGETS_MAX).filter(|more| *more > 0) {
        screen.line(&format!("  and {} more in the report", plural(more as u64, "target")));
    }
    tuning(&mut screen, report);
    gates(&mut screen, report);
    remarks(&mut screen, &verdict, REMARKS_MAX[usize::from(report.targets.len() > 1)]);
    list(&mut screen, "Warnings", &report.warnings, WARNINGS_MAX, |warning| (String::new(), shown(warning, 200)));
    list(&mut screen, "Files", &report.files, FILES_MAX, |file| {
        let size = file.bytes.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
        (shown(&file.path, 200), format!("{}{size}", shown(&file.what, 80)))
    });
    list(&mut screen, "Next", &report.next, STEPS_MAX, |step| (shown(&step.command, 400), shown(&step.purpose, 80)));
    screen.text.replace('\u{a0}', " ")
}

/// The audit of a target alone: what is done to answers, groups and slices; empty when there is none.
pub fn audit_text(target: &TargetReport, width: usize) -> String {
    let mut screen = Screen { text: String::new(), width: width.clamp(*WIDTHS.start(), *WIDTHS.end()), paint: Paint::Plain };
    audit(&mut screen, target);
    screen.text.replace('\u{a0}', " ").trim_matches('\n').to_owned()
}

/// Lines so far.
pub(super) struct Screen {
    text: String,
    width: usize,
    paint: Paint,
}

/// How a piece of text is to look.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Bold,
    Faint,
    Of(Level),
}

impl Screen {
    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    pub(super) fn heading(&mut self, title: &str, aside: &str) {
        let (title, aside) = (self.tone(title, Tone::Bold), self.tone(aside, Tone::Faint));
        self.line("");
        self.line(&format!("{title}  {aside}"));
    }

    /// Wraps a text; the first line begins after `head`, further ones under it.
    pub(super) fn wrapped(&mut self, head: &str, head_tone: Tone, text: &str) {
        let indent = head.chars().count();
        let mut lines = wrap(text, self.width.saturating_sub(indent)).into_iter();
        let head = self.tone(head, head_tone);
        self.line(&format!("{head}{}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.line(&format!("{}{line}", " ".repeat(indent))));
    }

    /// Characters in a line.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    fn tone(&self, text: &str, tone: Tone) -> String {
        let code = match (self.paint, tone) {
            _ if text.trim().is_empty() => return text.to_owned(),
            (Paint::Plain, _) => return text.to_owned(),
            (Paint::Ansi, Tone::Bold) => "1",
            (Paint::Ansi, Tone::Faint) => "2",
            (Paint::Ansi, Tone::Of(Level::Good)) => "1;32",
            (Paint::Ansi, Tone::Of(Level::Note)) => "1;36",
            (Paint::Ansi, Tone::Of(Level::Warn)) => "1;33",
            (Paint::Ansi, Tone::Of(Level::Bad)) => "1;31",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn opening(screen: &mut Screen, report: &Report, verdict: &Verdict) {
    let took: f64 = report.timings.iter().map(|timing| timing.seconds).sum();
    let aside = format!("{}, {}, {}", shown(&report.model, 30), rows_phrase(report), seconds(took));
    let name = screen.tone(&shown(&report.name, 60), Tone::Bold);
    let aside = screen.tone(&aside, Tone::Faint);
    screen.line(&format!("{name}  {aside}"));
    screen.line("");
    let head = format!("{:<6}", verdict.level.word().to_uppercase());
    screen.wrapped(&head, Tone::Of(verdict.level), &verdict.headline);
    if !verdict.evidence.is_empty() {
        screen.wrapped("      ", Tone::Faint, &verdict.evidence);
    }
}

fn scores(screen: &mut Screen, report: &Report, target: &TargetReport) {
    if target.scores.is_empty() {
        return;
    }
    let most = SCORES_MAX[usize::from(report.targets.len() > 1)];
    let (first, rest): (Vec<&Score>, Vec<&Score>) = target.scores.iter().partition(|score| score.name == target.main);
    let shown_scores: Vec<&Score> = first.into_iter().chain(rest).take(most).collect();
    list_scores(screen, &target.name, &shown_scores);
    if target.scores.len() > most {
        screen.line(&format!("  and {} more in the report", target.scores.len() - most));
    }
}

fn list_scores(screen: &mut Screen, name: &str, shown_scores: &[&Score]) {
    screen.heading(&format!("Test scores of {}", shown(name, 40)), "with 95 % intervals");
    let full = table(shown_scores, Detail::Full);
    let is_narrow = full.iter().any(|row| row.chars().count() > screen.width);
    let rows = if is_narrow { table(shown_scores, Detail::Brief) } else { full };
    for (i, row) in rows.iter().enumerate() {
        let row = if i == 0 { screen.tone(row.trim_end(), Tone::Faint) } else { row.clone() };
        screen.line(&row);
    }
}

/// How much of the comparison with the baseline a table has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Full,
    Brief,
}

fn table(scores: &[&Score], detail: Detail) -> Vec<String> {
    let mut rows = vec![["", "test", "interval", "baseline", "difference", "interval", ""].map(str::to_owned)];
    rows.extend(scores.iter().map(|score| cells(score)));
    let kept: &[usize] = if detail == Detail::Full { &[0, 1, 2, 3, 4, 5, 6] } else { &[0, 1, 2, 3, 6] };
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    rows.iter()
        .map(|row| {
            kept.iter().fold(String::new(), |line, &column| {
                let (cell, width) = (&row[column], widths[column]);
                match column {
                    0 | 6 => format!("{line}  {cell:<width$}"),
                    _ => format!("{line}  {cell:>width$}"),
                }
            })
        })
        .collect()
}

fn cells(score: &Score) -> [String; 7] {
    let digits = decimals(score.test);
    let difference = score.difference.unwrap_or(Measure::undefined());
    [
        shown(&score.name, 24),
        fixed(score.test.value, digits),
        interval(score.test, digits),
        score.baseline.map_or(String::new(), |baseline| fixed(baseline.value, digits)),
        score.difference.map_or(String::new(), |difference| signed(difference.value, digits)),
        signed_interval(difference, digits),
        Side::of(score).word().to_owned(),
    ]
}

fn classes(screen: &mut Screen, target: &TargetReport) {
    let worst = worst_classes(target, CLASSES_MAX);
    if worst.is_empty() {
        return;
    }
    screen.heading(if target.per_class.len() > worst.len() { "Worst classes" } else { "Classes" }, "by f1, worst first");
    let name = |class: &str| shown(class, 24);
    let width = worst.iter().map(|class| name(&class.class).chars().count()).max().unwrap_or(0);
    for class in worst {
        let parts = [("f1", class.f1), ("recall", class.recall), ("precision", class.precision)].map(|(what, measure)| {
            let digits = decimals(measure).clamp(2, 3);
            format!("{what} {}", fixed(measure.value, digits))
        });
        screen.line(&format!("  {:<width$}  {}  {}", name(&class.class), parts.join("  "), plural(class.rows, "row")));
    }
    let confusion = target.confusion.as_ref().filter(|confusion| confusion.classes.len() > 2);
    if let Some((truth, answer, count)) = confusion.and_then(|confusion| mistakes(confusion, 1).into_iter().next()) {
        screen.line(&format!("  most often confused: {} taken for {}, {} rows", name(truth), name(answer), amount(count)));
    }
}

fn tuning(screen: &mut Screen, report: &Report) {
    let Some(tuning) = &report.tuning else { return };
    screen.heading("Search", &tuning.phrase());
    if let Some(best) = tuning.best() {
        let value = best.value.map_or(String::new(), |value| format!("{} {value:.5}", shown(&tuning.measure, 24)));
        screen.wrapped("  best   ", Tone::Faint, &format!("trial {}: {value} with {}", best.number + 1, shown(&best.settings, 300)));
    }
    let matters = tuning.matters(4);
    if !matters.is_empty() {
        screen.wrapped("  ranks  ", Tone::Faint, &format!("follow {}", matters.join(", ")));
    }
}

fn remarks(screen: &mut Screen, verdict: &Verdict, most: usize) {
    let told: Vec<_> = verdict.remarks.iter().filter(|remark| remark.level > Level::Good).collect();
    let fine: Vec<&str> = (verdict.remarks.iter())
        .filter(|remark| remark.level == Level::Good)
        .filter_map(|remark| match remark.topic {
            Topic::Overfit => Some("overfitting"),
            Topic::Leak => Some("leaks"),
            Topic::Calibration => Some("calibration"),
            _ => None,
        })
        .collect();
    if told.is_empty() && fine.is_empty() {
        return;
    }
    screen.heading("Verdict", "");
    for remark in told.iter().take(most) {
        let target = remark.target.as_ref().map(|target| format!("{target}: ")).unwrap_or_default();
        screen.wrapped(
            &format!("  {:<6}", remark.level.word()),
            Tone::Of(remark.level),
            &format!("{target}{} ({})", remark.sentence, remark.evidence),
        );
        if !remark.advice.is_empty() {
            let key = remark.key.as_ref().map(|key| format!(" [{key}]")).unwrap_or_default();
            screen.wrapped("        -> ", Tone::Faint, &format!("{}{key}", remark.advice));
        }
    }
    if told.len() > most {
        screen.line(&format!("  and {} more in the report", told.len() - most));
    }
    if !fine.is_empty() {
        let mut fine = fine;
        fine.dedup();
        screen.wrapped("  good  ", Tone::Of(Level::Good), &format!("no sign of trouble: {}", fine.join(", ")));
    }
}

/// A list in two columns: what, and what it is; the second goes below where the line is full.
fn list<T>(screen: &mut Screen, title: &str, items: &[T], max: usize, cells: impl Fn(&T) -> (String, String)) {
    if items.is_empty() {
        return;
    }
    screen.heading(title, "");
    let rows: Vec<(String, String)> = items.iter().take(max).map(cells).collect();
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    for (left, right) in &rows {
        let is_long = width > 0 && 4 + width + right.chars().count() > screen.width;
        match (left.is_empty(), is_long) {
            (true, _) => screen.wrapped("  - ", Tone::Faint, right),
            (false, false) => screen.line(&format!("  {left:<width$}  {right}")),
            (false, true) => screen.line(&format!("  {left}")),
        }
    }
    if items.len() > max {
        screen.line(&format!("  and {} more", items.len() - max));
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use expect_test::expect;

    #[test]
    fn two_classes() {
        expect![[r#"
            0007-adult-gbdt  gbdt, 29 304 train, 3 257 valid, 16 281 test, 4.9 s

            GOOD  The model answers income better than the baseline (always <=50K).
                  roc_auc 0.9271 (95 % interval 0.9229 to 0.9312), baseline 0.5000

            Test scores of income  with 95 % intervals
                                   test          interval  baseline  difference            interval
              roc_auc            0.9271  0.9229 to 0.9312    0.5000     +0.4271  +0.4229 to +0.4312  better
              accuracy           0.8731  0.8680 to 0.8780    0.7638     +0.1093  +0.1042 to +0.1142  better
              f1                  0.712    0.700 to 0.724     0.000      +0.712    +0.700 to +0.724  better
              log_loss           0.2794  0.2713 to 0.2877    0.5466     -0.2672  -0.2753 to -0.2589  better
              calibration_error  0.0081  0.0052 to 0.0129    0.0000     +0.0081  +0.0052 to +0.0129  worse

            Classes  by f1, worst first
              >50K   f1 0.712  recall 0.654  precision 0.781  3 846 rows
              <=50K  f1 0.919  recall 0.943  precision 0.896  12 435 rows

            Verdict
              note  It fits training rows better than test rows, which most models do; the loss is small beside
                    the gain. (roc_auc 0.9428 on training rows, 0.9271 (0.9229 to 0.9312) on test rows; 3.5 % of
                    the gain over the baseline is lost)
              note  Values are missing in 1 input; they were filled in, or left to the model. (workclass 5.6 %)
              good  no sign of trouble: calibration, leaks

            Files
              runs/0007-adult-gbdt/model.cupola  the model, 1.3 MB
              runs/0007-adult-gbdt/report.html   this report as a page

            Next
              cupola predict runs/0007-adult-gbdt/model.cupola new.csv  answer rows of a file
              cupola serve runs/0007-adult-gbdt/model.cupola            answer over HTTP
        "#]]
        .assert_eq(&terminal(&fixtures::binary(), 100, Paint::Plain));
    }

    #[test]
    fn many_classes_on_a_narrow_terminal() {
        expect![[r#"
            0008-trees-forest  forest, 744 train, 93 valid, 93 test, 2 left out, 4.9 s

            LOOK  The model answers species better than the baseline (always oak).
                  balanced_accuracy 0.64 (95 % interval 0.52 to 0.75), baseline 0.33

            Test scores of species  with 95 % intervals
                                      test        interval  baseline
              balanced_accuracy       0.64    0.52 to 0.75      0.33  better
              accuracy               0.860  0.770 to 0.920     0.560  better
              roc_auc_ovr        undefined

            Classes  by f1, worst first
              elm    f1 0.330  recall 0.330  precision 0.330  3 rows
              beech  f1 0.850  recall 0.870  precision 0.830  38 rows
              oak    f1 0.890  recall 0.880  precision 0.900  52 rows
              most often confused: oak taken for beech, 5 rows

            Verdict
              look  It overfits: much of what it gains on training rows is lost on
                    test rows. (balanced_accuracy 0.99 on training rows, 0.64 (0.52
                    to 0.75) on test rows; 53 % of the gain over the baseline is
                    lost)
                    -> make leaves larger, or get more rows [model.min_samples_leaf]
              look  Classes differ much in size, and the smallest is missed more
                    often than found. Accuracy alone says little. (1.9 % of training
                    rows are elm; its recall on test rows is 0.330 (0.310 to 0.350))
                    -> balance the classes, and the report says what it changed; or
                       move the threshold [data.clean.balance=weights]
              look  Few test rows: take every score as a rough one. (93 test rows)
                    -> four times the test rows halve the interval
                       [data.split.ratio]
              look  2 test rows are copies of training rows (duplicate_rows, 2 rows)
                    -> drop them: data.clean.duplicates=drop

            Warnings
              - 2 rows have no target and were left out

            Files
              runs/0008-trees-forest/model.cupola  the model, 1.3 MB
              runs/0008-trees-forest/report.html   this report as a page

            Next
              cupola predict runs/0008-trees-forest/model.cupola new.csv
              cupola serve runs/0008-trees-forest/model.cupola
        "#]]
        .assert_eq(&terminal(&fixtures::multiclass(), 72, Paint::Plain));
    }

    #[test]
    fn numbers() {
        expect![[r#"
            0009-homes-gbdt  gbdt, 16 512 train, 2 064 valid, 2 064 test, 4.9 s

            GOOD  The model answers price better than the baseline (the mean).
                  rmse 48 231 (95 % interval 45 120 to 51 400), baseline 115 300; lower is better

            Test scores of price  with 95 % intervals
                      test          interval  baseline  difference            interval
              rmse  48 231  45 120 to 51 400   115 300     -67 069  -70 180 to -63 900  better
              mae   31 877  30 200 to 33 600    91 170     -59 293  -60 970 to -57 570  better
              r2     0.825    0.803 to 0.846     0.000      +0.825    +0.803 to +0.846  better

            Verdict
              note  It fits training rows better than test rows, which most models do; the loss is small beside
                    the gain. (rmse 41 000 on training rows, 48 231 (45 120 to 51 400) on test rows; 9.7 % of
                    the gain over the baseline is lost)
              good  no sign of trouble: leaks

            Files
              runs/0009-homes-gbdt/model.cupola  the model, 1.3 MB
              runs/0009-homes-gbdt/report.html   this report as a page

            Next
              cupola predict runs/0009-homes-gbdt/model.cupola new.csv  answer rows of a file
              cupola serve runs/0009-homes-gbdt/model.cupola            answer over HTTP
        "#]]
        .assert_eq(&terminal(&fixtures::regression(), 100, Paint::Plain));
    }

    #[test]
    fn colour_adds_only_escapes_and_two_screens_suffice() {
        for report in fixtures::all().into_iter().chain([fixtures::hostile(5000, 200), fixtures::audited(), Report::default()]) {
            let plain = terminal(&report, 80, Paint::Plain);
            let mut stripped = terminal(&report, 80, Paint::Ansi);
            for code in ["0", "1", "2", "1;31", "1;32", "1;33", "1;36"] {
                stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
            }
            assert_eq!(stripped, plain);
            assert!(!plain.contains('\u{1b}') && !plain.contains('\u{202e}'));
            assert!(plain.lines().count() <= 72, "{} lines:\n{plain}", plain.lines().count());
        }
    }
}
