//! What a table holds, as one page that needs nothing else, in the report's style: `cupola data profile --html`. It stays under 1 MB whatever the
//! table: long lists are cut with "and N more", for the JSON form has them all.

use super::html::page;
use super::names::{plural, shown, xml};
use super::numbers::{count, percent};
use cupola_data::survey::{ClassShare, ColumnSurvey, GroupRow, GroupSurvey, Numbers, Survey, TargetSurvey};
use maud::{Markup, PreEscaped, html};
use std::fmt::Write;
use std::sync::Arc;

const CARDS: &str = include_str!("survey.css");

/// Names and values are cut to so many characters, sentences to [`SENTENCE`].
const NAME: usize = 60;
const SENTENCE: usize = 300;
/// Columns with a card of their own, and columns in the short list behind them.
const CARDS_MAX: usize = 160;
const LIST_MAX: usize = 1500;
const HINTS_MAX: usize = 80;
/// Frequent values on a card.
const VALUES_MAX: usize = 6;
const PAIRS_MAX: usize = 20;
/// Columns of the map of associations, at most, and how many make one.
const MAP_MAX: usize = 24;
const MAP_MIN: usize = 3;
const CLASSES_MAX: usize = 20;
const GROUPS_MAX: usize = 20;
const GROUP_CLASSES_MAX: usize = 6;
const SURVEYS_MAX: usize = 12;
const PATTERNS_MAX: usize = 12;

/// Writes the page.
pub fn survey_page(survey: &Survey) -> String {
    let main = html! {
        (lead(survey))
        (hints(survey))
        @for target in survey.targets.iter().take(SURVEYS_MAX) { (target_section(survey, target)) }
        @for group in survey.groups.iter().take(SURVEYS_MAX) { (group_section(group)) }
        (columns(survey))
        (missing(survey))
        (associations(survey))
        footer {
            "Made by Cupola. Distinct values and quantiles of columns with more than 4 096 distinct values are sketches: "
            "the first have a standard error of 1.1 %."
        }
    };
    page(&format!("{} - profile", shown(&survey.name, NAME)), CARDS, &main)
}

fn lead(survey: &Survey) -> Markup {
    let cells = survey.rows.saturating_mul(survey.columns.len() as u64).max(1);
    let share = survey.missing_cells as f64 / cells as f64;
    let tone = if survey.columns.iter().any(|column| !column.hints.is_empty()) { "note" } else { "good" };
    html! {
        section.lead.(tone) {
            p.run { "profile · " (survey.format) }
            h1 { (shown(&survey.name, NAME)) }
            dl.facts {
                div.lead-fact { dt { "rows" } dd { b { (count(survey.rows)) } span { @if survey.skipped > 0 { (plural(survey.skipped, "broken row")) " left out" } } } }
                div { dt { "columns" } dd { b { (count(survey.columns.len() as u64)) } span { (kinds(survey)) } } }
                div { dt { "missing cells" } dd { b { (percent(share)) } span { (count(survey.missing_cells)) } } }
                @if let Some(repeated) = survey.repeated_rows {
                    div { dt { "rows that repeat another" } dd { b { (count(repeated)) } span { (percent(repeated as f64 / survey.rows.max(1) as f64)) } } }
                }
            }
        }
    }
}

/// `6 numbers, 8 categories`.
fn kinds(survey: &Survey) -> String {
    let mut counts: Vec<(&str, u64)> = Vec::new();
    for column in &survey.columns {
        match counts.iter_mut().find(|(kind, _)| *kind == column.column_type) {
            Some((_, count)) => *count += 1,
            None => counts.push((&column.column_type, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

fn hints(survey: &Survey) -> Markup {
    let all: Vec<(&ColumnSurvey, &str)> =
        survey.columns.iter().flat_map(|column| column.hints.iter().map(move |hint| (column, hint.sentence.as_str()))).collect();
    html! {
        @if !all.is_empty() || !survey.warnings.is_empty() {
            section {
                h2 { "What deserves a look" }
                ul.remarks {
                    @for warning in survey.warnings.iter().take(HINTS_MAX) {
                        li.warn { span.tag { "file" } div { p { (shown(warning, SENTENCE)) } } }
                    }
                    @for (column, sentence) in all.iter().take(HINTS_MAX) {
                        li.note { span.tag { "look" } div { p { bdi { (shown(&column.name, NAME)) } ": " (shown(sentence, SENTENCE)) } } }
                    }
                }
                (more(all.len(), HINTS_MAX, "remarks"))
            }
        }
    }
}

fn target_section(survey: &Survey, target: &TargetSurvey) -> Markup {
    let column = survey.columns.iter().find(|column| column.name == target.name);
    html! {
        section {
            h2 { "Target " bdi { (shown(&target.name, NAME)) } }
            @if let Some(sentence) = &target.sentence { p.warn { span.tag { "balance" } " " (shown(sentence, SENTENCE)) } }
            @if target.classes.is_empty() {
                @if let Some(column) = column { (body(column)) }
            } @else {
                (bars(target.classes.iter().take(CLASSES_MAX).map(|class| (class.class.as_str(), class.rows, class.share))))
                (more(target.count as usize, CLASSES_MAX.min(target.classes.len()), "classes"))
            }
            (strongest(survey, &target.name))
        }
    }
}

/// What hangs together with a target.
fn strongest(survey: &Survey, target: &Arc<str>) -> Markup {
    let with = survey.associations.iter().filter(|pair| pair.first == *target || pair.second == *target);
    let with: Vec<_> = with.filter(|pair| pair.value.abs() >= 0.05).take(10).collect();
    html! {
        @if !with.is_empty() {
            h3 { "Hangs together with" }
            div.scroll { table {
                thead { tr { th { "column" } th { "measure" } th.n { "value" } } }
                tbody { @for pair in with {
                    tr {
                        td.name { bdi { (shown(if pair.first == *target { &pair.second } else { &pair.first }, NAME)) } }
                        td { (pair.measure.word()) }
                        td.n { (format!("{:.2}", pair.value)) }
                    }
                } }
            } }
        }
    }
}

fn group_section(group: &GroupSurvey) -> Markup {
    let classes: Vec<&ClassShare> = group.groups.first().map_or(vec![], |row| row.classes.iter().take(GROUP_CLASSES_MAX).collect());
    let rate = |row: &GroupRow, class: usize| match row.classes.get(class) {
        Some(class) => format!("{} ({} to {})", percent(class.share), percent(class.interval[0]), percent(class.interval[1])),
        None => String::new(),
    };
    html! {
        section {
            h2 {
                "Groups of " bdi { (shown(&group.column, NAME)) }
                @if let Some(target) = &group.target { " by " bdi { (shown(target, NAME)) } }
            }
            @for sentence in &group.sentences { p.warn { span.tag { "look" } " " (shown(sentence, SENTENCE)) } }
            div.scroll { table {
                thead { tr {
                    th { "group" } th.n { "rows" } th.n { "share" }
                    @for class in &classes { th.n { (shown(&class.class, 24)) } }
                    @if group.groups.iter().any(|row| row.mean.is_some()) { th.n { "mean of target" } }
                } }
                tbody { @for row in group.groups.iter().take(GROUPS_MAX) {
                    tr {
                        td.name { bdi { (shown(&row.group, NAME)) } }
                        td.n { (count(row.rows)) }
                        td.n { (percent(row.share)) }
                        @for class in 0..classes.len() { td.n { (rate(row, class)) } }
                        @if let Some(mean) = row.mean { td.n { (format!("{mean:.4}")) } }
                    }
                } }
            } }
            (more(group.groups.len() + group.groups_left_out as usize, GROUPS_MAX, "groups"))
            @if !group.gaps.is_empty() {
                p.small.faint {
                    "Between groups of 30 rows and more: "
                    @for (place, gap) in group.gaps.iter().take(GROUP_CLASSES_MAX).enumerate() {
                        @if place > 0 { "; " }
                        bdi { (shown(&gap.class, 24)) } " differs by " (percent(gap.difference)) ", the smallest rate is " (format!("{:.2}", gap.ratio)) " of the largest"
                    }
                    ". In brackets: 95 % intervals."
                }
            }
        }
    }
}

fn columns(survey: &Survey) -> Markup {
    html! {
        section {
            h2 { "Columns" }
            div.cards { @for column in survey.columns.iter().take(CARDS_MAX) { (card(column, survey.rows)) } }
            @if survey.columns.len() > CARDS_MAX {
                h3 { "Further columns" }
                div.scroll { table {
                    thead { tr { th { "column" } th { "type" } th.n { "missing" } th.n { "distinct" } } }
                    tbody { @for column in survey.columns.iter().skip(CARDS_MAX).take(LIST_MAX) {
                        tr {
                            td.name { bdi { (shown(&column.name, NAME)) } }
                            td { (column.column_type) }
                            td.n { (percent(column.missing as f64 / survey.rows.max(1) as f64)) }
                            td.n { (count(column.distinct)) }
                        }
                    } }
                } }
                (more(survey.columns.len() - CARDS_MAX, LIST_MAX, "columns"))
            }
        }
    }
}

fn card(column: &ColumnSurvey, rows: u64) -> Markup {
    let missing = column.missing as f64 / rows.max(1) as f64;
    html! {
        article.card {
            h3 { bdi { (shown(&column.name, NAME)) } " " span.kind { (column.column_type) } }
            p.small.faint { (shown(&column.reason, 160)) }
            (body(column))
            p.small {
                @if !column.is_distinct_exact { "about " }
                (plural(column.distinct, "distinct value"))
                @if column.missing > 0 { ", " span.gap { (percent(missing)) " missing" } }
            }
        }
    }
}

/// Histogram or frequent values.
fn body(column: &ColumnSurvey) -> Markup {
    let is_class = column.column_type == "binary" || column.distinct <= 3;
    html! {
        @match &column.numbers {
            Some(numbers) if !is_class => (number_body(column, numbers)),
            _ if !column.frequent.is_empty() => {
                (bars(column.frequent.iter().take(VALUES_MAX).map(|value| (value.value.as_str(), value.count, value.count as f64 / column.values.max(1) as f64))))
            }
            _ => {}
        }
        @if let (Some(texts), true) = (&column.texts, column.column_type == "text") {
            p.small { (format!("{:.0} characters and {:.0} words in the mean, at most {}", texts.mean, texts.words, texts.max)) }
        }
        @if let Some(pictures) = &column.pictures {
            p.small {
                (format!("{} x {} to {} x {} pixels", pictures.min[1], pictures.min[0], pictures.max[1], pictures.max[0]))
                @if pictures.colour > 0 { ", " (count(pictures.colour)) " in colour" }
            }
        }
    }
}

fn number_body(column: &ColumnSurvey, numbers: &Numbers) -> Markup {
    let told = |value: f64| column.told(value);
    html! {
        (PreEscaped(histogram(&numbers.histogram)))
        div.ends { span { (told(numbers.min)) } span { (told(numbers.max)) } }
        table.few {
            tr { td { "median" } td.n { (told(numbers.quantiles[4])) } td { "mean" } td.n { (told(numbers.mean)) } }
            tr { td { "quartiles" } td.n { (told(numbers.quantiles[3])) } td {} td.n { (told(numbers.quantiles[5])) } }
            tr { td { "1 and 99 %" } td.n { (told(numbers.quantiles[0])) } td {} td.n { (told(numbers.quantiles[8])) } }
        }
    }
}

/// Bars of 20 bins, drawn in 240 by 56 units.
fn histogram(counts: &[u64]) -> String {
    let most = counts.iter().max().copied().unwrap_or(0).max(1) as f64;
    let step = 240.0 / counts.len().max(1) as f64;
    let mut svg =
        String::from("<svg class=\"bins\" viewBox=\"0 0 240 56\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"histogram\">");
    for (bin, &rows) in counts.iter().enumerate().filter(|(_, rows)| **rows > 0) {
        let height = (54.0 * rows as f64 / most).max(1.0);
        let (x, y, width) = (bin as f64 * step + 0.5, 56.0 - height, step - 1.0);
        write!(svg, "<path class=\"f6\" d=\"M{x:.1} 56V{y:.1}h{width:.1}V56z\"/>").expect("a string takes any text");
    }
    svg.push_str("</svg>");
    svg
}

fn bars<'a>(rows: impl Iterator<Item = (&'a str, u64, f64)>) -> Markup {
    html! {
        div.bars { @for (name, rows, share) in rows {
            div.bar {
                span.label { bdi { @if name.trim().is_empty() { "(blank)" } @else { (shown(name, 40)) } } }
                span.track { span style=(format!("width:{:.1}%", 100.0 * share)) {} }
                span.n { (count(rows)) " · " (percent(share)) }
            }
        } }
    }
}

fn missing(survey: &Survey) -> Markup {
    html! {
        @if !survey.patterns.is_empty() {
            section {
                h2 { "What is missing together" }
                div.scroll { table {
                    thead { tr { th { "columns without a value" } th.n { "rows" } th.n { "share" } } }
                    tbody { @for pattern in survey.patterns.iter().take(PATTERNS_MAX) {
                        tr {
                            td.name {
                                @for (place, name) in pattern.columns.iter().take(12).enumerate() { @if place > 0 { ", " } bdi { (shown(name, NAME)) } }
                                @if pattern.count > 12 { " and " (pattern.count - 12) " more" }
                            }
                            td.n { (count(pattern.rows)) }
                            td.n { (percent(pattern.rows as f64 / survey.rows.max(1) as f64)) }
                        }
                    } }
                } }
                (more(survey.patterns.len(), PATTERNS_MAX, "patterns"))
            }
        }
    }
}

fn associations(survey: &Survey) -> Markup {
    let strong: Vec<_> = survey.associations.iter().filter(|pair| pair.value.abs() >= 0.1).take(PAIRS_MAX).collect();
    html! {
        @if !strong.is_empty() {
            section {
                h2 { "What hangs together" }
                (map(survey))
                div.scroll { table {
                    thead { tr { th { "columns" } th { "measure" } th.n { "value" } } }
                    tbody { @for pair in strong {
                        tr {
                            td.name { bdi { (shown(&pair.first, NAME)) } " and " bdi { (shown(&pair.second, NAME)) } }
                            td { (pair.measure.word()) }
                            td.n { (format!("{:.2}", pair.value)) }
                        }
                    } }
                } }
                p.small.faint { "On a random sample of " (plural(survey.sampled_rows, "row")) "." }
            }
        }
    }
}

/// A map of strengths between the columns that hang together most.
fn map(survey: &Survey) -> Markup {
    let mut names: Vec<&Arc<str>> = Vec::new();
    for pair in survey.associations.iter().filter(|pair| pair.value.abs() >= 0.1) {
        for name in [&pair.first, &pair.second] {
            if names.len() < MAP_MAX && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    // In the table's order.
    names.sort_by_key(|name| survey.columns.iter().position(|column| column.name == **name));
    if names.len() < MAP_MIN {
        return html! {};
    }
    let side = 22;
    let left = 190;
    let (width, height) = (left + side * names.len() + 4, side * names.len() + 120);
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"associations\" style=\"max-width:{width}px\">");
    for (row, first) in names.iter().enumerate() {
        let y = row * side;
        write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" font-size=\"12\" class=\"f0\">{}</text>",
            left - 8,
            y + 15,
            escaped(first)
        )
        .expect("text");
        for (column, second) in names.iter().enumerate().filter(|(column, _)| *column != row) {
            let pair = survey
                .associations
                .iter()
                .find(|pair| (&pair.first == *first && &pair.second == *second) || (&pair.first == *second && &pair.second == *first));
            let value = pair.map_or(0.0, |pair| pair.value);
            // Falling relations have the second ink.
            let ink = if value < 0.0 { 7 } else { 6 };
            let x = left + column * side;
            let title = format!("{} and {}: {value:.2}", escaped(first), escaped(second));
            write!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"20\" height=\"20\" rx=\"2\" class=\"f{ink}\" fill-opacity=\"{:.2}\"><title>{title}</title></rect>", value.abs().max(0.03)).expect("text");
        }
        let (x, y) = (left + row * side + 14, side * names.len() + 8);
        write!(
            svg,
            "<text transform=\"translate({x},{y}) rotate(-60)\" text-anchor=\"end\" font-size=\"12\" class=\"f0\">{}</text>",
            escaped(first)
        )
        .expect("text");
    }
    svg.push_str("</svg>");
    html! { figure.wide { (PreEscaped(svg)) } }
}

fn escaped(text: &str) -> String {
    xml(&shown(text, 24))
}

fn more(all: usize, max: usize, what: &str) -> Markup {
    html! {
        @if all > max { p.faint.small { "and " (count((all - max) as u64)) " more " (what) "; the JSON form has them" } }
    }
}
