//! An explanation, told to people: text for a terminal, and one page that needs nothing else.

use super::html::{figure, page};
use super::names::{plural, shown};
use super::numbers::{count, decimals, fixed, interval, percent, plain, signed};
use super::plots::{Plot, dependence, effect, scatter, swarm, text_of, waterfall};
use crate::explain::{Counterfactual, Explanation, Part, RowExplanation, ShapPair, ShapSummary, WhatIf};
use crate::report::Permutation;
use maud::{Markup, html};

const NAME: usize = 80;
/// Columns listed in a terminal, and on a page.
const LINES: usize = 12;
const ROWS_MAX: usize = 60;
/// Columns whose SHAP values are drawn over their own values.
const SCATTERS: usize = 4;

/// The text for a terminal.
pub fn explanation_text(explanation: &Explanation) -> String {
    let mut lines = vec![format!("{}, {}", subject(explanation), rows(explanation))];
    match &explanation.row {
        Some(row) => lines.extend(row_text(explanation, row)),
        None => lines.extend(global_text(explanation)),
    }
    lines.extend(shap_pairs_text(explanation));
    lines.extend(explanation.notes.iter().map(|note| format!("\nnote: {note}")));
    lines.join("\n").trim_end().to_owned()
}

fn subject(explanation: &Explanation) -> String {
    let target = shown(&explanation.target, NAME);
    match &explanation.class {
        Some(class) => format!("probability that {target} is {}", shown(class, NAME)),
        None => target,
    }
}

fn score_word(explanation: &Explanation) -> String {
    match &explanation.class {
        Some(class) => format!("probability of {}", shown(class, 30)),
        None => shown(&explanation.target, 30),
    }
}

fn rows(explanation: &Explanation) -> String {
    format!("{} on {} of {}", explanation.model, plural(explanation.rows as u64, "row"), shown(&explanation.source, NAME))
}

fn global_text(explanation: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(shap) = &explanation.shap {
        let error = shap.error.map_or(String::new(), |error| format!(", standard error of a value {}", plain(error)));
        lines.push(format!("\nmean |SHAP| in {} ({}{error})", shap.unit.words(), shap.method.words()));
        let most = shap.columns.first().map_or(0.0, |column| column.mean_abs);
        lines.extend(shap.columns.iter().take(LINES).map(|column| bar(&column.column, &plain(column.mean_abs), column.mean_abs / most)));
        lines.extend(rest(shap.columns.len()));
    }
    if let Some(permutation) = &explanation.permutation {
        lines.push(format!(
            "\nwhat {} loses when a column is shuffled ({} each)",
            permutation.measure,
            plural(permutation.repeats.into(), "time")
        ));
        let most = permutation.columns.first().map_or(0.0, |column| column.drop.value);
        lines.extend(
            permutation
                .columns
                .iter()
                .take(LINES)
                .map(|column| bar(&column.column, &fixed(column.drop.value, decimals(column.drop)), column.drop.value / most)),
        );
        lines.extend(rest(permutation.columns.len()));
    }
    for column in &explanation.columns {
        let Some(dependence) = &column.dependence else { continue };
        lines.push(format!("\n{} with {} set to", score_word(explanation), shown(&column.column, NAME)));
        let places = spread(dependence.mean.len(), 8);
        lines.extend(
            places
                .into_iter()
                .map(|place| format!("  {:<24}{}", shown(&text_of(&dependence.grid[place]), 22), plain(dependence.mean[place]))),
        );
    }
    if !explanation.interactions.is_empty() {
        lines.push("\npairs that act together: Friedman's H, and that part's size as a share of the score's spread".to_owned());
        lines.extend(explanation.interactions.iter().map(|pair| {
            let [first, second] = &pair.columns;
            format!("  {:<34}{:<8}{}", format!("{} x {}", shown(first, 16), shown(second, 16)), fixed(pair.h, 3), percent(pair.share))
        }));
    }
    lines
}

/// What pairs of columns add together: of one row the value, of more its mean size.
fn shap_pairs_text(explanation: &Explanation) -> Vec<String> {
    let Some(told) = explanation.shap_interactions.as_ref().filter(|told| !told.pairs.is_empty()) else { return Vec::new() };
    let (what, unit) = (if explanation.row.is_some() { "value" } else { "mean |value|" }, told.unit.words());
    let line = |pair: &ShapPair| {
        let [first, second] = &pair.columns;
        let value = if explanation.row.is_some() { signed(pair.mean, 4) } else { plain(pair.mean_abs) };
        format!("  {:<46}{value:>10}", format!("{} x {}", shown(first, 20), shown(second, 20)))
    };
    let head = format!("\nwhat pairs of columns add together: SHAP interaction, {what} in {unit} (exact, against what training saw)");
    std::iter::once(head).chain(told.pairs.iter().map(line)).collect()
}

/// So many places, both ends among them.
fn spread(count: usize, most: usize) -> Vec<usize> {
    let shown = count.min(most);
    (0..shown).map(|place| if shown > 1 { place * (count - 1) / (shown - 1) } else { 0 }).collect()
}

fn bar(name: &str, value: &str, share: f64) -> String {
    let length = if share.is_finite() { (share.clamp(0.0, 1.0) * 30.0).round() as usize } else { 0 };
    format!("  {:<24}{value:>12}  {}", shown(name, 22), "█".repeat(length)).trim_end().to_owned()
}

fn rest(all: usize) -> Option<String> {
    (all > LINES).then(|| format!("  and {} more", count((all - LINES) as u64)))
}

fn row_text(explanation: &Explanation, row: &RowExplanation) -> Vec<String> {
    let truth = row.truth.as_ref().map_or(String::new(), |truth| format!(", truth {}", shown(truth, NAME)));
    let mut lines = vec![
        format!("\n{}: answer {}{truth}", shown(&row.place, NAME), shown(&row.answer, NAME)),
        format!("{} {}", score_word(explanation), plain(row.score)),
        format!("\nSHAP values in {} ({})", row.unit.words(), row.method.words()),
        format!("  {:<24}{:<22}{:>10}", "of whom nothing is known", "", plain(row.base)),
    ];
    lines.extend(parts_text(&row.parts));
    lines.push(format!("  {:<24}{:<22}{:>10}", "sum", "", plain(row.sum)));
    if let Some(changed) = &row.changed {
        let set: Vec<String> =
            changed.set.iter().map(|(name, value)| format!("{} = {}", shown(name, 30), shown(&text_of(value), 30))).collect();
        lines.push(format!(
            "\nwith {}: answer {}, {} {}",
            set.join(", "),
            shown(&changed.answer, NAME),
            score_word(explanation),
            plain(changed.score)
        ));
        lines.extend(parts_text(&changed.parts));
    }
    if let Some(ways) = row.counterfactuals.as_ref().filter(|ways| !ways.is_empty()) {
        lines.push("\nwhat would lead to another answer, the nearest first".to_owned());
        lines.extend(ways.iter().map(|way| format!("  {} -> {}", changes(way), answer_of(way))));
    }
    lines
}

fn parts_text(parts: &[Part]) -> Vec<String> {
    let line = |part: &Part| {
        let error = part.error.map_or(String::new(), |error| format!("  ± {}", plain(error)));
        format!("  {:<24}{:<22}{:>10}{error}", shown(&part.column, 22), shown(&text_of(&part.value), 20), signed(part.shap, 4))
    };
    parts.iter().take(LINES).map(line).chain(rest(parts.len())).collect()
}

fn changes(way: &Counterfactual) -> String {
    let change = |change: &crate::explain::Change| {
        format!("{} {} -> {}", shown(&change.column, 30), shown(&text_of(&change.from), 30), shown(&text_of(&change.to), 30))
    };
    way.changes.iter().map(change).collect::<Vec<_>>().join(", ")
}

fn answer_of(way: &Counterfactual) -> String {
    let probability = way.probability.map_or(String::new(), |probability| format!(" ({})", fixed(probability, 3)));
    format!("{}{probability}", shown(&way.answer, NAME))
}

/// The page.
pub fn explanation_page(explanation: &Explanation) -> String {
    let title = format!("Explanation of {}", subject(explanation));
    let main = html! {
        section.lead.note {
            p.run { (rows(explanation)) " · " (explanation.hash.chars().take(16).collect::<String>()) }
            h1 { (title) }
        }
        (notes(explanation))
        @match &explanation.row {
            Some(row) => (row_page(explanation, row)),
            None => (global_page(explanation)),
        }
        (shap_pairs(explanation))
        footer { "Made by Cupola " (env!("CARGO_PKG_VERSION")) ". `cupola explain --json` gives all numbers of this page." }
    };
    page(&title, "", &main)
}

fn notes(explanation: &Explanation) -> Markup {
    html! {
        @if !explanation.notes.is_empty() {
            section { h2 { "Notes" } ul.remarks { @for note in explanation.notes.iter().take(20) { li.note { span.tag { "note" } p { (shown(note, 500)) } } } } }
        }
    }
}

fn figures(plots: impl Iterator<Item = Plot>) -> Markup {
    html! { div.plots { @for plot in plots { (figure(&plot)) } } }
}

fn global_page(explanation: &Explanation) -> Markup {
    let score = score_word(explanation);
    html! {
        @if let Some(shap) = &explanation.shap {
            section {
                h2 { "What the model looks at" }
                p.faint.small {
                    "SHAP values, " (shap.method.words()) ", of " (plural(shap.rows as u64, "row")) ". Base and values of a row add up to its score in "
                    (shap.unit.words()) "; of whom nothing is known the score is " (plain(shap.base)) "."
                    @if let Some(error) = shap.error { " They were sampled: the standard error of a value is " (plain(error)) " on average." }
                }
                (figures(swarm(shap).into_iter()))
                (shap_table(shap, explanation.permutation.as_ref()))
            }
            @let scatters: Vec<Plot> = shap.columns.iter().take(SCATTERS).enumerate().filter_map(|(place, column)| scatter(shap, column, place)).collect();
            @if !scatters.is_empty() { section { h2 { "SHAP values over a column's own" } (figures(scatters.into_iter())) } }
        }
        @if !explanation.columns.is_empty() {
            section {
                h2 { "How columns act" }
                @for (place, column) in explanation.columns.iter().enumerate() {
                    @let is_date = column.dependence.as_ref().is_some_and(|found| found.positions.is_some() && found.grid.iter().any(serde_json::Value::is_string));
                    @let first = column.dependence.as_ref().and_then(|found| dependence(&column.column, &score, found, place));
                    @let second = column.ale.as_ref().and_then(|ale| effect(&column.column, &score, ale, is_date, place));
                    div style="margin-top:1.8rem" { (figures(first.into_iter().chain(second))) }
                }
            }
        }
        (pairs(explanation))
    }
}

/// SHAP beside what shuffling costs.
fn shap_table(shap: &ShapSummary, permutation: Option<&Permutation>) -> Markup {
    let dropped = |name: &str| permutation?.columns.iter().find(|column| column.column == name).map(|column| column.drop);
    html! {
        details open[shap.columns.len() <= LINES] {
            summary { (plural(shap.columns.len() as u64, "column")) " as a table" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th { "column" } th.n { "mean |SHAP|" }
                            @if let Some(permutation) = permutation { th.n { (permutation.measure) " lost when shuffled" } th.n { "range of " (plural(permutation.repeats.into(), "shuffle")) } }
                        }
                    }
                    tbody {
                        @for column in shap.columns.iter().take(ROWS_MAX) {
                            tr {
                                td.name { bdi { (shown(&column.column, NAME)) } }
                                td.n { (plain(column.mean_abs)) }
                                @if permutation.is_some() {
                                    @let drop = dropped(&column.column);
                                    td.n { @if let Some(drop) = drop { (fixed(drop.value, decimals(drop))) } }
                                    td.n { @if let Some(drop) = drop { span.range { (interval(drop, decimals(drop))) } } }
                                }
                            }
                        }
                    }
                }
            }
            @if shap.columns.len() > ROWS_MAX { p.faint.small { "and " (count((shap.columns.len() - ROWS_MAX) as u64)) " more" } }
        }
    }
}

fn pairs(explanation: &Explanation) -> Markup {
    html! {
        @if !explanation.interactions.is_empty() {
            section {
                h2 { "Pairs that act together" }
                p.faint.small { "Friedman's H: which part of what two columns do is not the sum of what each does. The share is the size of that part against the score's spread." }
                div.scroll {
                    table {
                        thead { tr { th { "columns" } th.n { "H" } th.n { "share" } } }
                        tbody {
                            @for pair in explanation.interactions.iter().take(ROWS_MAX) {
                                tr { td.name { bdi { (shown(&pair.columns[0], NAME)) } " × " bdi { (shown(&pair.columns[1], NAME)) } } td.n { (fixed(pair.h, 3)) } td.n { (percent(pair.share)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shap_pairs(explanation: &Explanation) -> Markup {
    let told = explanation.shap_interactions.as_ref().filter(|told| !told.pairs.is_empty());
    html! {
        @if let Some(told) = told {
            section {
                h2 { "What pairs add together" }
                p.faint.small {
                    "SHAP interaction values, exact, against what training saw, of " (plural(told.rows as u64, "row")) ": what two columns add together in "
                    (told.unit.words()) " beyond what each adds by itself."
                }
                div.scroll {
                    table {
                        thead { tr { th { "columns" } th.n { "mean size" } th.n { "mean" } } }
                        tbody {
                            @for pair in told.pairs.iter().take(ROWS_MAX) {
                                tr { td.name { bdi { (shown(&pair.columns[0], NAME)) } " × " bdi { (shown(&pair.columns[1], NAME)) } } td.n { (plain(pair.mean_abs)) } td.n { (signed(pair.mean, 4)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row_page(explanation: &Explanation, row: &RowExplanation) -> Markup {
    html! {
        section {
            h2 { (shown(&row.place, NAME)) }
            dl.facts {
                div.lead-fact { dt { "answer" } dd { b { (shown(&row.answer, NAME)) } } }
                div { dt { (score_word(explanation)) } dd { b { (plain(row.score)) } } }
                @if let Some(truth) = &row.truth { div { dt { "truth" } dd { b { (shown(truth, NAME)) } } } }
            }
        }
        section {
            h2 { "What made the answer" }
            p.faint.small { "SHAP values, " (row.method.words()) ": base and values add up to the score in " (row.unit.words()) "." }
            (figures(waterfall(row).into_iter()))
            (parts_table(&row.parts))
        }
        @if let Some(changed) = &row.changed { (changed_page(explanation, row, changed)) }
        @if let Some(ways) = row.counterfactuals.as_ref().filter(|ways| !ways.is_empty()) {
            section {
                h2 { "What would lead to another answer" }
                p.faint.small {
                    "The nearest changes of few columns within what training rows had, each asked of the model. They say what the model would answer, not what "
                    "would happen in the world. Columns that cannot change are named with fixed=[...]."
                }
                (ways_table(ways))
            }
        }
    }
}

fn parts_table(parts: &[Part]) -> Markup {
    html! {
        details {
            summary { (plural(parts.len() as u64, "column")) " as a table" }
            div.scroll {
                table {
                    thead { tr { th { "column" } th { "value" } th.n { "added" } @if parts.iter().any(|part| part.error.is_some()) { th.n { "standard error" } } } }
                    tbody {
                        @for part in parts.iter().take(ROWS_MAX) {
                            tr {
                                td.name { bdi { (shown(&part.column, NAME)) } } td.name { bdi { (shown(&text_of(&part.value), NAME)) } } td.n { (signed(part.shap, 4)) }
                                @if let Some(error) = part.error { td.n { (plain(error)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn changed_page(explanation: &Explanation, row: &RowExplanation, changed: &WhatIf) -> Markup {
    html! {
        section {
            h2 { "What if" }
            p { @for (place, (name, value)) in changed.set.iter().enumerate() { @if place > 0 { ", " } bdi { (shown(name, NAME)) } " = " bdi { (shown(&text_of(value), NAME)) } } }
            dl.facts {
                div.lead-fact { dt { "answer" } dd { b { (shown(&changed.answer, NAME)) } span { "before: " (shown(&row.answer, NAME)) } } }
                div { dt { (score_word(explanation)) } dd { b { (plain(changed.score)) } span { "before: " (plain(row.score)) } } }
            }
            (parts_table(&changed.parts))
        }
    }
}

fn ways_table(ways: &[Counterfactual]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "change" } th { "answer" } th.n { "probability" } th.n { "distance" } } }
                tbody {
                    @for way in ways {
                        tr {
                            td.name {
                                @for (place, change) in way.changes.iter().enumerate() {
                                    @if place > 0 { br; }
                                    bdi { (shown(&change.column, NAME)) } ": " bdi { (shown(&text_of(&change.from), NAME)) } " → " b { bdi { (shown(&text_of(&change.to), NAME)) } }
                                }
                            }
                            td.name { (shown(&way.answer, NAME)) }
                            td.n { @if let Some(probability) = way.probability { (fixed(probability, 3)) } }
                            td.n { (fixed(way.distance, 2)) }
                        }
                    }
                }
            }
        }
    }
}
