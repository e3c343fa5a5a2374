//! The report as one page that needs nothing else: no script, no font, no network. It is readable in light and dark, on
//! a phone and on paper, and stays under 2 MB whatever the data: long lists are cut with "and N more", for
//! `report.json` has them all.

use super::html_audit::{audit, gates};
use super::mistakes::gallery;
use super::names::{plural, shown};
use super::numbers::{bytes, count, decimals, decimals_of_spread, fixed, interval, percent, seconds, signed, signed_interval};
use super::plots::{Plot, leaderboard_plot, style, target_plots};
use super::report::{
    Better, ClassScore, Finding, Leaderboard, Measure, Permutation, Picture, Report, Residuals, Score, Severity, Step, TargetReport,
    Threshold,
};
use super::verdict::{Level, Remark, Side, Topic, Verdict, rows_phrase, verdict};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");

/// Names and values are cut to so many characters, sentences to [`SENTENCE`].
const NAME: usize = 80;
const SENTENCE: usize = 500;
/// Targets with tables and plots; targets with a score table only.
const TARGETS_FULL: usize = 4;
const TARGETS_MAX: usize = 24;
/// Rows of the tables.
const REMARKS_MAX: usize = 30;
const FINDINGS_MAX: usize = 40;
const WARNINGS_MAX: usize = 40;
const SCORES_MAX: usize = 40;
const CLASSES_MAX: usize = 50;
const IMPORTANCE_MAX: usize = 60;
const CANDIDATES_MAX: usize = 60;
const COLUMNS_MAX: usize = 200;
const SETTINGS_MAX: usize = 300;
const FILES_MAX: usize = 60;
const STEPS_MAX: usize = 12;
/// Pictures of each sort.
const PICTURES_MAX: usize = 24;

/// Writes the page.
pub fn html(report: &Report) -> String {
    let verdict = verdict(report);
    let main = html! {
        (lead(report, &verdict))
        (remarks(report, &verdict))
        (gates(report))
        (warnings(report))
        (super::labels::sections(report, lists))
        @for (i, target) in report.targets.iter().take(TARGETS_MAX).enumerate() { (measured(report, target, i)) }
        (more(report.targets.len(), TARGETS_MAX, "targets"))
        (leaderboard(report))
        @if let Some(tuning) = &report.tuning { (super::tuning::section(tuning)) }
        (data(report))
        (settings(report))
        (again(report))
        footer { "Made by Cupola " (shown(&report.cupola, NAME)) ". All numbers of this page, and more, are in report.json." }
    };
    page(&format!("{} - report", shown(&report.name, NAME)), "", &main)
}

/// A whole page in the report's style; `more` is what its style has beside that.
pub(super) fn page(title: &str, more: &str, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(style())) (PreEscaped(more)) }
            }
            body { main { (main) } }
        }
    };
    page.into_string()
}

fn lead(report: &Report, verdict: &Verdict) -> Markup {
    html! {
        section.lead.(tone(verdict.level)) {
            p.run { (shown(&report.name, NAME)) " · " (shown(&report.model, NAME)) " · " (rows_phrase(report)) }
            h1 { (verdict.headline) }
            @if let Some(score) = report.targets.first().and_then(TargetReport::main_score) { (facts(report, score)) }
        }
    }
}

/// The main measure, the baseline's, and the difference, in large figures.
fn facts(report: &Report, score: &Score) -> Markup {
    let digits = decimals(score.test);
    let lower = if score.better == Better::Lower { ", lower is better" } else { "" };
    html! {
        dl.facts {
            div.lead-fact {
                dt { (shown(&score.name, NAME)) " on " (plural(report.data.rows.test, "test row")) (lower) }
                dd { b { (fixed(score.test.value, digits)) } span { (interval_phrase(score.test, digits)) } }
            }
            @if let Some(baseline) = score.baseline {
                div { dt { "baseline" } dd { b { (fixed(baseline.value, digits)) } span { (interval_phrase(baseline, digits)) } } }
            }
            @if let Some(difference) = score.difference {
                div {
                    dt { "difference on the same rows" }
                    dd {
                        b { (signed(difference.value, digits)) }
                        span { @if difference.has_interval() { "95 % interval " (signed_interval(difference, digits)) } }
                    }
                }
            }
        }
    }
}

fn interval_phrase(measure: Measure, digits: usize) -> String {
    match measure.has_interval() {
        true => format!("95 % interval {}", interval(measure, digits)),
        false => String::new(),
    }
}

fn tone(level: Level) -> &'static str {
    match level {
        Level::Good => "good",
        Level::Note => "note",
        Level::Warn => "warn",
        Level::Bad => "bad",
    }
}

/// The verdict's remarks; each leak has its own line in the section that follows.
fn remarks(report: &Report, verdict: &Verdict) -> Markup {
    let is_told_below = |remark: &Remark| remark.topic == Topic::Leak && remark.level >= Level::Warn && !report.findings.is_empty();
    let remarks: Vec<&Remark> = verdict.remarks.iter().filter(|remark| !is_told_below(remark)).collect();
    html! {
        @if !remarks.is_empty() {
            section {
                h2 { "Verdict" }
                ul.remarks { @for remark in remarks.iter().take(REMARKS_MAX) { (remark_line(remark)) } }
                (more(remarks.len(), REMARKS_MAX, "remarks"))
            }
        }
    }
}

fn remark_line(remark: &Remark) -> Markup {
    html! {
        li.(tone(remark.level)) {
            span.tag { (remark.level.word()) }
            div {
                p { @if let Some(target) = &remark.target { bdi { (target) } ": " } (remark.sentence) }
                @if !remark.evidence.is_empty() { p.faint.small { (remark.evidence) } }
                @if !remark.advice.is_empty() {
                    p.small { "What to do: " (remark.advice) @if let Some(key) = &remark.key { " " code { (key) } } }
                }
            }
        }
    }
}

fn warnings(report: &Report) -> Markup {
    html! {
        @if !report.warnings.is_empty() || !report.findings.is_empty() {
            section {
                h2 { "Warnings and leaks" }
                ul.remarks {
                    @for finding in report.findings.iter().take(FINDINGS_MAX) { (finding_line(finding)) }
                    @for warning in report.warnings.iter().take(WARNINGS_MAX) {
                        li.warn { span.tag { "warning" } p { (shown(warning, SENTENCE)) } }
                    }
                }
                (more(report.findings.len(), FINDINGS_MAX, "findings"))
                (more(report.warnings.len(), WARNINGS_MAX, "warnings"))
            }
        }
    }
}

fn finding_line(finding: &Finding) -> Markup {
    let level = match finding.severity {
        Severity::Note => Level::Note,
        Severity::Warn => Level::Warn,
        Severity::Stop => Level::Bad,
    };
    let rows: Vec<String> = finding.rows.iter().take(10).map(u64::to_string).collect();
    html! {
        li.(tone(level)) {
            span.tag { (finding.severity.word()) }
            div {
                p { (shown(&finding.sentence, SENTENCE)) }
                p.faint.small {
                    (shown(&finding.check, NAME))
                    @if let Some(column) = &finding.column { " · column " bdi { (shown(column, NAME)) } }
                    @if finding.rows_total > 0 { " · " (plural(finding.rows_total, "row")) }
                    @if !rows.is_empty() { ": " (rows.join(", ")) @if finding.rows_total > rows.len() as u64 { ", ..." } }
                }
                @if !finding.remedy.is_empty() { p.small { "What to do: " (shown(&finding.remedy, SENTENCE)) } }
            }
        }
    }
}

fn measured(report: &Report, target: &TargetReport, place: usize) -> Markup {
    let is_full = place < TARGETS_FULL;
    let (relied_on, plots): (Vec<Plot>, Vec<Plot>) = if is_full { target_plots(target) } else { Vec::new() }
        .into_iter()
        .partition(|plot| matches!(plot.name.as_str(), "importance" | "shap"));
    html! {
        section {
            h2 { "Scores of " bdi { (shown(&target.name, NAME)) } }
            (score_table(report, target))
            @if is_full { (class_table(target)) (thresholds(&target.thresholds)) (residuals(target.residuals.as_ref())) }
        }
        @if !plots.is_empty() {
            section { h2 { "Plots of " bdi { (shown(&target.name, NAME)) } } div.plots { @for plot in &plots { (figure(plot)) } } }
        }
        @if is_full {
            (audit(target))
            (pictures(target))
            (permutation(target, &relied_on))
            (gallery(target))
        }
    }
}

fn score_table(report: &Report, target: &TargetReport) -> Markup {
    html! {
        p.faint.small {
            "On " (plural(report.data.rows.test, "test row")) ", with 95 % intervals."
            @if !target.baseline.is_empty() { " The baseline answers " (shown(&target.baseline, NAME)) "." }
        }
        (score_lines(&target.scores, &target.main))
    }
}

fn lists(scores: &[Score]) -> Markup {
    score_lines(scores, "")
}

fn score_lines(scores: &[Score], main: &str) -> Markup {
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th { "measure" } th.n { "test" } th.n { "95 % interval" } th.n { "baseline" } th.n { "difference" }
                        th.n { "95 % interval" } th { "" } th.n { "train" } th.n { "valid" }
                    }
                }
                tbody { @for score in scores.iter().take(SCORES_MAX) { (score_line(score, score.name == main)) } }
            }
        }
        (more(scores.len(), SCORES_MAX, "measures"))
    }
}

fn score_line(score: &Score, is_main: bool) -> Markup {
    let digits = decimals(score.test);
    let side = Side::of(score);
    let level = match side {
        Side::Better => "good",
        Side::Worse => "bad",
        Side::Unclear | Side::Unknown => "faint",
    };
    let value = |measure: Option<Measure>| measure.map(|measure| fixed(measure.value, digits));
    html! {
        tr.main[is_main] {
            td.whole { (shown(&score.name, NAME)) @if score.better == Better::Lower { " " span.range title="lower is better" { "↓" } } }
            td.n { (fixed(score.test.value, digits)) }
            td.n { span.range { (interval(score.test, digits)) } }
            td.n { @if let Some(text) = value(score.baseline) { (text) } }
            td.n { @if let Some(difference) = score.difference { (signed(difference.value, digits)) } }
            td.n { @if let Some(difference) = score.difference { span.range { (signed_interval(difference, digits)) } } }
            td { span.small.(level) style="color:var(--tone,var(--faint))" { (side.word()) } }
            td.n { @if let Some(text) = value(score.train) { (text) } }
            td.n { @if let Some(text) = value(score.valid) { (text) } }
        }
    }
}

fn class_table(target: &TargetReport) -> Markup {
    html! {
        @if !target.per_class.is_empty() {
            h3 { "Class by class" }
            div.scroll {
                table {
                    thead { tr { th { "class" } th.n { "test rows" } th.n { "precision" } th.n { "recall" } th.n { "f1" } } }
                    tbody { @for class in target.per_class.iter().take(CLASSES_MAX) { (class_line(class)) } }
                }
            }
            (more(target.per_class.len(), CLASSES_MAX, "classes"))
        }
    }
}

fn class_line(class: &ClassScore) -> Markup {
    html! {
        tr {
            td.name { bdi { (shown(&class.class, NAME)) } }
            td.n { (count(class.rows)) }
            @for measure in [class.precision, class.recall, class.f1] { td.n { (ranged(measure)) } }
        }
    }
}

/// A number with its interval fainter beside it.
fn ranged(measure: Measure) -> Markup {
    let digits = decimals(measure);
    html! { (fixed(measure.value, digits)) @if measure.has_interval() { " " span.range { "(" (interval(measure, digits)) ")" } } }
}

fn thresholds(thresholds: &[Threshold]) -> Markup {
    html! {
        @if !thresholds.is_empty() {
            h3 { "Where a probability becomes a yes" }
            div.scroll {
                table {
                    thead { tr { th { "chosen by" } th.n { "threshold" } th.n { "precision" } th.n { "recall" } th.n { "f1" } } }
                    tbody {
                        @for threshold in thresholds.iter().take(SCORES_MAX) {
                            tr.main[threshold.used] {
                                td { (shown(&threshold.purpose, NAME)) @if threshold.used { " (used)" } }
                                @for value in [threshold.threshold, threshold.precision, threshold.recall, threshold.f1] { td.n { (fixed(value, 3)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn residuals(residuals: Option<&Residuals>) -> Markup {
    html! {
        @if let Some(residuals) = residuals {
            @let digits = decimals_of_spread(residuals.mean, residuals.deviation);
            h3 { "Truth minus answer" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th.n { "mean" } th.n { "deviation" }
                            @for quantile in residuals.quantiles.iter().take(SCORES_MAX) { th.n { (percent(quantile.share)) } }
                        }
                    }
                    tbody {
                        tr {
                            td.n { (fixed(residuals.mean, digits)) } td.n { (fixed(residuals.deviation, digits)) }
                            @for quantile in residuals.quantiles.iter().take(SCORES_MAX) { td.n { (fixed(quantile.value, digits)) } }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn figure(plot: &Plot) -> Markup {
    html! {
        figure.wide[plot.is_wide()] { h3 { (plot.title) } (PreEscaped(plot.inline())) figcaption { (plot.caption) } }
    }
}

fn pictures(target: &TargetReport) -> Markup {
    html! {
        @if let Some(pictures) = &target.pictures {
            section {
                h2 { "Pictures of " bdi { (shown(&target.name, NAME)) } }
                @if !pictures.mistakes.is_empty() {
                    h3 { "Worst mistakes" }
                    p.faint.small {
                        @if target.classes.is_empty() { "Test rows of the largest error." }
                        @else { "Of " (plural(pictures.wrong, "wrong answer")) " on test rows, those that gave the truth the least probability." }
                        " Column " bdi { (shown(&pictures.column, NAME)) } "."
                    }
                    div.pictures { @for picture in pictures.mistakes.iter().take(PICTURES_MAX) { (picture_of(picture)) } }
                }
                @if !pictures.samples.is_empty() {
                    h3 { "Some test rows" }
                    div.pictures { @for picture in pictures.samples.iter().take(PICTURES_MAX) { (picture_of(picture)) } }
                }
            }
        }
    }
}

fn picture_of(picture: &Picture) -> Markup {
    let is_right = picture.answer == picture.truth;
    let uri = format!("data:image/png;base64,{}", STANDARD.encode(&picture.png));
    html! {
        figure.(if is_right { "good" } else { "bad" }) title=(shown(&picture.place, NAME)) {
            @if !picture.png.is_empty() { img src=(uri) alt=(format!("image of {}", shown(&picture.truth, NAME))); }
            figcaption {
                bdi { (shown(&picture.truth, 40)) }
                @if !is_right { " taken for " b { bdi { (shown(&picture.answer, 40)) } } }
                @if picture.probability.is_finite() { " " span.range { (fixed(picture.probability, 3)) } }
            }
        }
    }
}

fn permutation(target: &TargetReport, plots: &[Plot]) -> Markup {
    html! {
        @if let Some(permutation) = target.permutation.as_ref().filter(|permutation| !permutation.columns.is_empty()) {
            section {
                h2 { "Importance for " bdi { (shown(&target.name, NAME)) } }
                p.faint.small {
                    "What " (shown(&permutation.measure, NAME)) " loses on " (shown(&permutation.side, NAME)) " rows when a column is shuffled. "
                    "Columns that say the same can stand in for each other, and then each looks less important than it is."
                    @if !permutation.left_out.is_empty() {
                        " Not measured, for they hold images: " (shown(&permutation.left_out.join(", "), SENTENCE)) "."
                    }
                }
                div.plots { @for plot in plots { (figure(plot)) } }
                details {
                    summary { (plural(permutation.columns.len() as u64, "column")) " as a table" }
                    (importance_table(permutation))
                    (more(permutation.columns.len(), IMPORTANCE_MAX, "columns"))
                }
            }
        }
    }
}

fn importance_table(permutation: &Permutation) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "column" } th.n { "loss" } th.n { "95 % interval" } } }
                tbody {
                    @for column in permutation.columns.iter().take(IMPORTANCE_MAX) {
                        @let digits = decimals(column.drop);
                        tr {
                            td.name { bdi { (shown(&column.column, NAME)) } }
                            td.n { (fixed(column.drop.value, digits)) }
                            td.n { span.range { (interval(column.drop, digits)) } }
                        }
                    }
                }
            }
        }
    }
}

fn leaderboard(report: &Report) -> Markup {
    html! {
        @if let Some(board) = &report.leaderboard {
            section {
                h2 { "Leaderboard" }
                p.faint.small { (shown(&board.measure, NAME)) " in " (board.folds) "-fold cross-validation on training rows, mean ± standard deviation of the folds." }
                (candidates(board))
                (more(board.candidates.len(), CANDIDATES_MAX, "candidates"))
                @if let Some(plot) = leaderboard_plot(report) { div.plots style="margin-top:1.5rem" { (figure(&plot)) } }
            }
        }
    }
}

fn candidates(board: &Leaderboard) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "model" } th.n { (shown(&board.measure, 30)) } th.n { "±" } th.n { "time" } th { "settings" } } }
                tbody {
                    @for candidate in board.candidates.iter().take(CANDIDATES_MAX) {
                        @let digits = decimals_of_spread(candidate.mean, candidate.deviation);
                        tr.main[candidate.chosen] {
                            td { (shown(&candidate.model, NAME)) @if candidate.chosen { " (kept)" } }
                            td.n { (fixed(candidate.mean, digits)) }
                            td.n { @if candidate.mean.is_finite() { (fixed(candidate.deviation, digits)) } }
                            td.n { (seconds(candidate.seconds)) }
                            td.why {
                                @if !candidate.settings.is_empty() { (shown(&candidate.settings, 160)) }
                                @if let Some(note) = &candidate.note { " " (shown(note, 160)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn data(report: &Report) -> Markup {
    let data = &report.data;
    html! {
        section {
            h2 { "Data" }
            p { (rows_phrase(report)) "." @if !data.split.is_empty() { " Split: " (shown(&data.split, SENTENCE)) "." } }
            @for made in &data.made { p { (shown(made, SENTENCE)) "." } }
            (files_read(report))
            h3 { (plural(data.columns.len() as u64, "column")) }
            (columns(report))
            (more(data.columns.len(), COLUMNS_MAX, "columns"))
        }
    }
}

fn files_read(report: &Report) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "file" } th { "for" } th.n { "rows read" } th.n { "left out" } th { "hash" } } }
                tbody {
                    @for file in report.data.files.iter().take(FILES_MAX) {
                        tr {
                            td.name { (shown(&file.path, 200)) } td { (shown(&file.purpose, NAME)) }
                            td.n { (count(file.rows_read)) } td.n { (count(file.rows_skipped)) }
                            td.why { @if let Some(hash) = &file.hash { (shown(hash, 20)) } }
                        }
                    }
                }
            }
        }
    }
}

fn columns(report: &Report) -> Markup {
    let total: u64 = report.data.files.iter().map(|file| file.rows_read).sum();
    let are_prepared = report.data.columns.iter().any(|column| column.prepared.is_some());
    html! {
        div.scroll {
            table {
                thead { tr {
                    th { "column" } th { "type" } th { "role" } th.n { "missing" } th.n { "distinct" } th { "why" }
                    @if are_prepared { th { "prepared" } }
                } }
                tbody {
                    @for column in report.data.columns.iter().take(COLUMNS_MAX) {
                        tr {
                            td.name { bdi { (shown(&column.name, NAME)) } }
                            td { (shown(&column.kind, NAME)) }
                            td { (shown(&column.role, NAME)) }
                            td.n { (count(column.missing)) @if column.missing > 0 { " " span.range { "(" (percent(column.missing as f64 / total as f64)) ")" } } }
                            td.n { @if let Some(distinct) = column.distinct { (count(distinct)) } }
                            td.why { @if !column.reason.is_empty() { (shown(&column.reason, 160)) } }
                            @if are_prepared { td.why { @if let Some(prepared) = &column.prepared { (shown(prepared, 300)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn settings(report: &Report) -> Markup {
    let said = report.settings.iter().filter(|setting| setting.origin.word() != "default").count();
    html! {
        @if !report.settings.is_empty() {
            section {
                h2 { "Settings" }
                details {
                    summary { (plural(report.settings.len() as u64, "setting")) ", " (said) " of them not a default" }
                    div.scroll {
                        table {
                            thead { tr { th { "key" } th { "value" } th { "from" } th { "why" } } }
                            tbody {
                                @for setting in report.settings.iter().take(SETTINGS_MAX) {
                                    tr {
                                        td.name { code { (shown(&setting.key, NAME)) } }
                                        td.name { (shown(&setting.value, 160)) }
                                        td { (setting.origin.word()) }
                                        td.why { @if let Some(reason) = &setting.reason { (shown(reason, 160)) } }
                                    }
                                }
                            }
                        }
                    }
                    (more(report.settings.len(), SETTINGS_MAX, "settings"))
                }
            }
        }
    }
}

fn again(report: &Report) -> Markup {
    html! {
        section {
            h2 { "Use it, make it again" }
            div.steps { (steps(&report.next)) (steps(&report.reproduce)) }
            (written(report))
            (timings(report))
        }
    }
}

fn steps(steps: &[Step]) -> Markup {
    html! {
        @for step in steps.iter().take(STEPS_MAX) { p.small { (shown(&step.purpose, SENTENCE)) } pre { (shown(&step.command, 2000)) } }
    }
}

fn written(report: &Report) -> Markup {
    html! {
        @if !report.files.is_empty() {
            h3 { "Files written" }
            div.scroll {
                table {
                    tbody {
                        @for file in report.files.iter().take(FILES_MAX) {
                            tr { td.name { code { (shown(&file.path, 200)) } } td { (shown(&file.what, 160)) } td.n { @if let Some(size) = file.bytes { (bytes(size)) } } }
                        }
                    }
                }
            }
            (more(report.files.len(), FILES_MAX, "files"))
        }
    }
}

fn timings(report: &Report) -> Markup {
    let total: f64 = report.timings.iter().map(|timing| timing.seconds).sum();
    let parts: Vec<String> =
        report.timings.iter().take(FILES_MAX).map(|timing| format!("{} {}", shown(&timing.stage, NAME), seconds(timing.seconds))).collect();
    html! {
        @if !parts.is_empty() { p.faint.small style="margin-top:1.2rem" { "Time: " (seconds(total)) " (" (parts.join(", ")) ")" } }
    }
}

/// Says how many of a list are not on the page.
fn more(all: usize, max: usize, what: &str) -> Markup {
    html! {
        @if all > max { p.faint.small { "and " (count((all - max) as u64)) " more " (what) "; report.json has all" } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    /// Tags that stand open at the end, or the first that closes out of turn. Attribute values hold no `>` here, for maud escapes it.
    fn unbalanced(page: &str) -> Result<(), String> {
        let mut open: Vec<&str> = Vec::new();
        let body = page.split_once("</style>").ok_or("no style")?.1;
        for tag in body.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').ok_or_else(|| format!("no end: {tag}"))?;
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or_default();
            match (tag.starts_with('/'), tag.ends_with('/')) {
                (true, _) if open.pop() != Some(name) => return Err(format!("</{name}> closes nothing")),
                (true, _) | (false, true) => {}
                (false, false) => open.push(name),
            }
        }
        // What stood open before the style: html and head.
        if open.is_empty() { Ok(()) } else { Err(format!("{open:?} stand open")) }
    }

    /// The page without the pictures that stand in it whole.
    fn without_pictures(page: &str) -> String {
        let mut parts = page.split("<img src=\"data:image/png;base64,");
        let mut rest = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (picture, after) = part.split_once('"').unwrap();
            assert!(picture.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')));
            rest.push_str(after.split_once('>').unwrap().1);
        }
        rest
    }

    fn check(report: &Report) {
        let page = without_pictures(&html(report));
        assert!(page.len() <= 2_000_000, "{} bytes", page.len());
        let body = page.replacen("<!DOCTYPE html>", "", 1);
        let body = body.replacen("</style></head>", "</style>", 1).replace("</body></html>", "</body>");
        assert_eq!(unbalanced(&body), Ok(()));
        for sign in ["<script", "<img", "<link", "\u{202e}", "\u{1b}", "\u{0}", "http://", "https://", "url(", "@import", "src="] {
            let found = page.find(sign).map(|at| page[at..].chars().take(60).collect::<String>());
            assert!(found.is_none() || page.contains("img src=x onerror") && sign == "src=", "{sign:?}: {found:?}");
        }
    }

    #[test]
    fn a_page_is_whole_and_needs_nothing_else() {
        fixtures::all().iter().chain([&Report::default(), &fixtures::pictures(), &fixtures::audited()]).for_each(check);
        let page = html(&fixtures::pictures());
        assert!(page.contains("Worst mistakes") && page.contains("Loss in training") && page.matches("<img ").count() == 6);
    }

    #[test]
    fn hostile_names_and_large_data_stay_harmless_and_small() {
        check(&fixtures::hostile(5000, 200));
        let page = html(&fixtures::hostile(5000, 200));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("more columns"));
    }

    #[test]
    fn the_undefined_is_called_so() {
        assert!(html(&fixtures::multiclass()).contains(">undefined<"));
    }
}
