//! The page to watch a server: what it answers and how fast, what moved, which version answers and why.

use super::page::{encode, frame, linked, navigation};
use crate::app::App;
use crate::metrics::{BEAT, BEATS, Beat};
use crate::monitor::{Page, bars, sections};
use crate::problem::Problem;
use crate::service::Service;
use axum::http::StatusCode;
use cupola_watch::registry::{CHAMPION, Decision, Registry, Version};
use cupola_watch::{Report, write_moment};
use maud::{Markup, html};
use serde_json::{Value, json};

/// Decisions and versions that are shown.
const DECISIONS: usize = 30;
const VERSIONS: usize = 15;

/// The page of one service.
pub(super) fn page(app: &App, service: &Service) -> Markup {
    let champion = service.champion();
    let hash = champion.artifact.hash().get(..12).unwrap_or_default();
    let body = html! {
        (navigation(app, "/monitor"))
        header { h1 { (service.name) } p.about { "Version " (champion.version) ", model " (hash) ". This page looks again every five seconds." } }
        main.text #live aria-live="off" {
            p #said.note role="status" {}
            (traffic(app))
            (watched(service))
            @if let Some(registry) = service.registry() { (registered(&service.name, registry)) }
        }
        script src="/assets/monitor.js" defer {}
    };
    frame(&format!("{}: monitor", service.name), linked(), body)
}

/// What is watched, for programs.
///
/// # Errors
/// 404 when it is not watched.
pub(super) fn json(service: &Service) -> Result<Value, Problem> {
    let monitor = service.monitor.as_ref().ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "answers are not watched (monitor=false)"))?;
    let notes = monitor.notes();
    let seen = monitor.seen();
    let watcher = seen.watcher.as_ref();
    Ok(json!({
        "model": service.name, "version": seen.model.version, "hash": seen.model.artifact.hash(), "notes": notes,
        "raised": watcher.map(|watcher| watcher.raised()), "present": watcher.and_then(|watcher| watcher.present().ok()),
        "history": watcher.map(|watcher| watcher.history()),
    }))
}

fn traffic(app: &App) -> Markup {
    let beats = app.metrics.beats();
    let minutes = BEAT.as_secs() * BEATS / 60;
    let seconds = BEAT.as_secs_f64();
    let bar = |value: &dyn Fn(&Beat) -> f64| -> Vec<(f64, String)> {
        let told = |(place, beat): (usize, &Option<Beat>)| match beat {
            Some(beat) => {
                let ago = (beats.len() - 1 - place) as u64 * BEAT.as_secs();
                let text = format!(
                    "{ago} s ago\n{:.1} requests a second, {} failed\nmedian {:.2} ms, 99th percentile {:.2} ms",
                    beat.requests as f64 / seconds,
                    beat.failed,
                    beat.quantile(0.5) * 1e3,
                    beat.quantile(0.99) * 1e3
                );
                (value(beat), text)
            }
            None => (0.0, String::new()),
        };
        beats.iter().enumerate().map(told).collect()
    };
    let latest = beats.iter().rev().flatten().next();
    html! {
        section {
            h2 { "Traffic" }
            @match latest {
                Some(beat) => p.cards {
                    span.card { b { (format!("{:.1}", beat.requests as f64 / seconds)) } " requests a second" }
                    span.card { b { (format!("{:.2}", beat.quantile(0.5) * 1e3)) } " ms median" }
                    span.card { b { (format!("{:.2}", beat.quantile(0.99) * 1e3)) } " ms 99th percentile" }
                    span.card { b { (beat.failed) } " failed" }
                    span.card { b { (app.desk.waiting()) } " wait" }
                },
                None => p.note { "Nothing was asked in the last " (minutes) " minutes." },
            }
            (bars(&format!("Requests a second, the last {minutes} minutes"), &bar(&|beat| beat.requests as f64 / seconds)))
            (bars("99th percentile of the time to the answer, in milliseconds", &bar(&|beat| beat.quantile(0.99) * 1e3)))
        }
    }
}

fn watched(service: &Service) -> Markup {
    let Some(monitor) = &service.monitor else { return html! { p.note { "Answers are not watched (monitor=false)." } } };
    let notes = monitor.notes();
    let seen = monitor.seen();
    match &seen.watcher {
        Some(watcher) => {
            // Labels may come when nothing is asked any more.
            let has_labels = |report: &Report| report.targets.iter().any(|target| !target.live.is_empty());
            let present = watcher.present().ok().filter(|report| report.rows > 0 || has_labels(report));
            let about = Page { name: &service.name, hash: seen.model.artifact.hash(), watcher, present: present.as_ref(), notes: &notes };
            sections(&about)
        }
        None => html! { @for note in &notes { p.wrong { (note) } } },
    }
}

fn registered(name: &str, registry: &Registry) -> Markup {
    let known = registry.versions(name).and_then(|versions| Ok((versions, registry.aliases(name)?, registry.decisions(name)?)));
    let (versions, aliases, decisions) = match known {
        Ok(known) => known,
        Err(error) => return html! { p.wrong { "The registry is away: " (error) } },
    };
    let of = |version: &Version| -> Vec<&str> {
        aliases.iter().filter(|(_, number)| *number == version.number).map(|(alias, _)| alias.as_str()).collect()
    };
    let path = format!("/admin/models/{}", encode(name));
    html! {
        section {
            h2 { "Versions" }
            div.wide { table {
                tr { th { "version" } th { "alias" } th { "origin" } th { "added" } th { "scores" } th {} }
                @for version in versions.iter().rev().take(VERSIONS) {
                    @let own = of(version);
                    tr {
                        td { (version.number) } td { (own.join(", ")) } td { (version.origin) @if let Some(parent) = version.parent { " of " (parent) } }
                        td { (write_moment(version.added_us)) } td { (scores(version)) }
                        td { @if !own.contains(&CHAMPION) {
                            button.small type="button" data-path={ (path) "/promote" } data-body=(json!({"version": version.number.to_string(), "why": "by hand, on the page"}))
                                data-ask={ "Make version " (version.number) " the champion?" } { "Promote" }
                        } }
                    }
                }
            } }
            p { button.small type="button" data-path={ (path) "/rollback" } data-body=(json!({"why": "by hand, on the page"}))
                data-ask="Go back to the champion before?" { "Roll back" } }
        }
        section {
            h2 { "Decisions" }
            div.wide { table {
                tr { th { "when" } th { "what" } th { "version" } th { "why" } }
                @for decision in decisions.iter().rev().take(DECISIONS) {
                    tr { td.when { (write_moment(decision.at_us)) } td { (kind(decision)) } td { (decision.number.map(|number| number.to_string()).unwrap_or_default()) } td { (why(decision)) } }
                }
            } }
        }
    }
}

fn kind(decision: &Decision) -> String {
    match (&decision.alias, decision.kind.as_str()) {
        (Some(alias), "alias" | "unalias") => format!("{} {alias}", decision.kind),
        (_, kind) => kind.to_owned(),
    }
}

fn why(decision: &Decision) -> String {
    let text = |key: &str| decision.facts[key].as_str().unwrap_or_default().to_owned();
    let by = text("by");
    let why = text("why");
    match (why.is_empty(), by.is_empty()) {
        (_, true) => why,
        (true, false) => format!("by {by}"),
        (false, false) => format!("{why} (by {by})"),
    }
}

/// The first scores of a version's run.
fn scores(version: &Version) -> String {
    let list = version.facts["scores"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told = list.iter().take(2).filter_map(|score| Some(format!("{} {:.3}", score["name"].as_str()?, score["value"].as_f64()?)));
    told.collect::<Vec<_>>().join(", ")
}
