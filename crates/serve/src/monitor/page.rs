//! What watching found, as a page: for `cupola monitor --html` a file that needs nothing else, for the server a part of its own page.

use super::charts;
use crate::pages::{STYLE, frame};
use cupola_watch::{Brief, Report, Subject, TestRow, Verdict, Watcher, short, write_moment};
use maud::{Markup, PreEscaped, html};

/// What a page is about.
pub struct Page<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The hash of its content.
    pub hash: &'a str,
    /// What was found.
    pub watcher: &'a Watcher,
    /// The window that is not over yet, where there is one.
    pub present: Option<&'a Report>,
    /// What somebody should know of watching itself: what is away, what was left out.
    pub notes: &'a [String],
}

/// Windows that charts show.
const WINDOWS: usize = 60;

/// A page of its own.
pub fn page(about: &Page<'_>) -> String {
    let hash = about.hash.get(..12).unwrap_or_default();
    let title = format!("{}: monitor", about.name);
    let body = html! {
        header { h1 { (about.name) } p.about { "Model " (hash) ", held against " (about.watcher.reference().rows) " training rows." } }
        main.text { (sections(about)) }
    };
    frame(&title, html! { style { (PreEscaped(STYLE)) } }, body).into_string()
}

/// Alarms, quality, drift, windows and tests.
pub(crate) fn sections(about: &Page<'_>) -> Markup {
    let history = about.watcher.history();
    let present = about.present.map(Brief::new);
    let windows: Vec<&Brief> = history.windows.iter().chain(&present).collect();
    let windows = &windows[windows.len().saturating_sub(WINDOWS)..];
    let newest = about.present.filter(|report| history.last.is_none() || report.rows >= about.watcher.options().min_rows);
    let newest = newest.or(history.last.as_ref());
    let reference = about.watcher.reference().targets.first().and_then(|target| target.quality.first());
    html! {
        (alarms(about, newest))
        section {
            h2 { "Quality" }
            (charts::quality(windows, reference))
        }
        section {
            h2 { "Drift" }
            (charts::drift(windows))
            @if !windows.is_empty() { (charts::rows(windows)) }
        }
        @if let Some(report) = newest { (tests(report)) }
    }
}

fn alarms(about: &Page<'_>, newest: Option<&Report>) -> Markup {
    let mut raised = about.watcher.raised();
    raised.sort_by_key(|key| Subject::of_key(key));
    let events = &about.watcher.history().events;
    html! {
        section.alarms {
            h2 { "Alarms" }
            @if raised.is_empty() { p.calm { "Nothing is raised." } }
            @for key in &raised {
                @let event = events.iter().rev().find(|event| event.key == *key && event.alarm.is_some());
                details.alarm data-key=(key) open[raised.first() == Some(key)] {
                    @let now = newest.and_then(|report| report.alarms.iter().find(|alarm| alarm.key == *key));
                    @match event.and_then(|event| Some((event, now.or(event.alarm.as_ref())?))) {
                        Some((event, alarm)) => {
                            summary { (alarm.what) }
                            p { (alarm.stake) }
                            p { (alarm.advice) }
                            p.note { (key) @if event.at_us != 0 { ", since " (write_moment(event.at_us)) } }
                        }
                        None => summary { (key) }
                    }
                }
            }
            @for alarm in newest.map(|report| &report.alarms[..]).unwrap_or_default().iter().filter(|alarm| !raised.contains(&alarm.key)) {
                div.alarm.first {
                    p { (alarm.what) }
                    p.note { (alarm.key) ": in the newest window alone; somebody is told after " (about.watcher.options().windows_in) " windows one after another" }
                }
            }
            @for note in about.notes { p.wrong { (note) } }
        }
    }
}

fn tests(report: &Report) -> Markup {
    let class = |test: &TestRow| match test.verdict {
        Verdict::Alarm => "wrong",
        Verdict::Fine => "",
        Verdict::Unknown => "soft",
    };
    let (told, rest): (Vec<&TestRow>, Vec<&TestRow>) = report.tests.iter().partition(|test| test.verdict == Verdict::Alarm);
    let table = |tests: &[&TestRow]| {
        html! {
            div.wide { table {
                tr { th { "about" } th { "column" } th { "test" } th { "effect" } th { "matters from" } th { "p" } th { "verdict" } th { "change" } }
                @for test in tests {
                    tr {
                        td { (test.subject.word()) } td { (test.column) } td { (test.test) }
                        td.number { (short(test.effect)) } td.number { (short(test.threshold)) }
                        td.number { (test.p_corrected.or(test.p).map_or_else(|| "-".to_owned(), short)) }
                        td.when class=(class(test)) { (test.verdict.word()) }
                        td { (test.change) }
                    }
                }
            } }
        }
    };
    let period = report.period.map(|[from, to]| format!(", {} to {}", write_moment(from), write_moment(to)));
    html! {
        section {
            h2 { "Tests of the newest window" }
            p.note { (report.rows) " rows" (period.unwrap_or_default()) ". At most " (report.alpha * 100.0) " % of windows alarm when nothing changed, all tests together." }
            @if !told.is_empty() { (table(&told)) }
            @if !rest.is_empty() {
                details.tests data-key="tests" { summary { (rest.len()) " tests without an alarm" } (table(&rest)) }
            }
        }
    }
}
