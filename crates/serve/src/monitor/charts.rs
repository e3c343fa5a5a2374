//! The charts of the monitor's page: SVG in the page itself, in the page's own colours, each point with its numbers as a tooltip.

use cupola_watch::{Brief, Quality, short, write_moment};
use maud::{Markup, html};

/// Width of all charts; they scale with the page.
const WIDTH: f64 = 960.0;
/// Room for the scale on the left.
const LEFT: f64 = 64.0;

/// A window on the page's axis of time.
fn x(place: usize, count: usize) -> f64 {
    LEFT + (place as f64 + 0.5) * (WIDTH - LEFT) / count.max(1) as f64
}

/// When a window was.
fn when(window: &Brief) -> String {
    match window.period {
        Some([from, to]) => format!("{} to {}", write_moment(from), write_moment(to)),
        _ => "rows of a table".to_owned(),
    }
}

/// Quality through the windows: what labels say with its interval, what is expected without them, and what it was when the model was made.
pub(crate) fn quality(windows: &[&Brief], reference: Option<&Quality>) -> Markup {
    let all = || windows.iter().flat_map(|window| [window.live.as_ref(), window.estimated.as_ref()]).flatten().chain(reference);
    let Some(first) = all().next() else {
        return html! { p.note { "Nothing is known of quality: no label has come, and nothing can be expected." } };
    };
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), one| (low.min(one.low), high.max(one.high)));
    let pad = ((high - low) * 0.08).max(1e-9);
    let (low, high, height) = (low - pad, high + pad, 220.0);
    let y = |value: f64| height - 8.0 - (value - low) / (high - low) * (height - 16.0);
    let title = |kind: &str, window: &Brief, one: &Quality| format!("{}\n{kind} {} on {} rows", when(window), one.text(), one.rows);
    let line: Vec<String> = windows
        .iter()
        .enumerate()
        .filter_map(|(place, window)| Some(format!("{:.1},{:.1}", x(place, windows.len()), y(window.estimated.as_ref()?.value))))
        .collect();
    html! {
        figure {
            figcaption { (first.metric) ": " span.key.live { "with labels" } " " span.key.estimated { "expected without labels" }
                " " span.key.made { "when the model was made" } }
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label={ (first.metric) " through the windows" } {
                @for step in 0..=4 {
                    @let value = low + pad + (high - low - 2.0 * pad) * f64::from(step) / 4.0;
                    line.grid x1=(LEFT) x2=(WIDTH) y1=(format!("{:.1}", y(value))) y2=(format!("{:.1}", y(value))) {}
                    text.scale x=(LEFT - 8.0) y=(format!("{:.1}", y(value) + 4.0)) text-anchor="end" { (short(value)) }
                }
                @if let Some(made) = reference {
                    rect.made x=(LEFT) width=(WIDTH - LEFT) y=(format!("{:.1}", y(made.high))) height=(format!("{:.1}", (y(made.low) - y(made.high)).max(1.0))) {
                        title { "when the model was made: " (made.text()) " on " (made.rows) " rows" }
                    }
                }
                polyline.estimated points=(line.join(" ")) {}
                @for (place, window) in windows.iter().enumerate() {
                    @let at = format!("{:.1}", x(place, windows.len()));
                    @if let Some(one) = &window.estimated {
                        circle.estimated cx=(at) cy=(format!("{:.1}", y(one.value))) r="3.5" { title { (title("expected", window, one)) } }
                    }
                    @if let Some(one) = &window.live {
                        line.live x1=(at) x2=(at) y1=(format!("{:.1}", y(one.low))) y2=(format!("{:.1}", y(one.high))) {}
                        circle.live cx=(at) cy=(format!("{:.1}", y(one.value))) r="4.5" { title { (title("with labels", window, one)) } }
                    }
                }
            }
        }
    }
}

/// How many columns the drift chart shows.
const COLUMNS: usize = 16;
const ROW: f64 = 20.0;

/// Drift of inputs through the windows: a cell each, the darker the more.
pub(crate) fn drift(windows: &[&Brief]) -> Markup {
    let mut most: Vec<(&str, f64)> = Vec::new();
    for (column, drift) in windows.iter().flat_map(|window| &window.drift) {
        match most.iter_mut().find(|(name, _)| name == column) {
            Some((_, own)) => *own = own.max(*drift),
            None => most.push((column, *drift)),
        }
    }
    most.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    most.truncate(COLUMNS);
    if most.is_empty() {
        return html! { p.note { "Nothing is known of drift yet." } };
    }
    let left = 150.0;
    let width = (WIDTH - left) / windows.len() as f64;
    let height = most.len() as f64 * ROW + 4.0;
    html! {
        figure {
            figcaption { "Drift of inputs through the windows, as a multiple of what matters; framed where it is more than chance, too" }
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="drift of inputs through the windows" {
                @for (line, (name, _)) in most.iter().enumerate() {
                    @let top = line as f64 * ROW + 2.0;
                    text.scale x=(left - 8.0) y=(top + 14.0) text-anchor="end" { (name.chars().take(20).collect::<String>()) }
                    @for (place, window) in windows.iter().enumerate() {
                        @if let Some((_, drift)) = window.drift.iter().find(|(column, _)| column == name) {
                            rect.drift.matters[alarms(window, name)] x=(format!("{:.1}", left + place as f64 * width + 0.5)) y=(top + 1.0)
                                width=(format!("{:.1}", (width - 1.0).max(0.5))) height=(ROW - 2.0) fill-opacity=(format!("{:.2}", (drift / 2.0).clamp(0.03, 1.0))) {
                                title { (when(window)) "\n" (name) ": " (short(*drift)) " times what matters" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Whether a window alarms for the drift of an input.
fn alarms(window: &Brief, input: &str) -> bool {
    window
        .alarms
        .iter()
        .any(|key| key.strip_prefix("input.").and_then(|key| key.strip_prefix(input)).is_some_and(|rest| rest.starts_with('.')))
}

/// Bars with a title each: rows of windows, requests of minutes.
pub(crate) fn bars(caption: &str, values: &[(f64, String)]) -> Markup {
    let most = values.iter().map(|(value, _)| *value).fold(0.0, f64::max);
    let height = 110.0;
    let width = (WIDTH - LEFT) / values.len().max(1) as f64;
    html! {
        figure {
            figcaption { (caption) }
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(caption) {
                line.grid x1=(LEFT) x2=(WIDTH) y1=(height - 4.0) y2=(height - 4.0) {}
                text.scale x=(LEFT - 8.0) y="12" text-anchor="end" { (short(most)) }
                @for (place, (value, title)) in values.iter().enumerate() {
                    @let tall = if most > 0.0 { value / most * (height - 12.0) } else { 0.0 };
                    rect.bar x=(format!("{:.1}", LEFT + place as f64 * width + 0.5)) width=(format!("{:.1}", (width - 1.0).max(0.5)))
                        y=(format!("{:.1}", height - 4.0 - tall)) height=(format!("{tall:.1}")) { title { (title) } }
                }
            }
        }
    }
}

/// How many rows each window has.
pub(crate) fn rows(windows: &[&Brief]) -> Markup {
    let values: Vec<(f64, String)> =
        windows.iter().map(|window| (window.rows as f64, format!("{}\n{} rows", when(window), window.rows))).collect();
    bars("Rows of each window", &values)
}
