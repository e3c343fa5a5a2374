//! `cupola retrain` and `cupola backtest`: the way back from answers to training.

use super::train::{program_hash, with_run};
use super::{aligned, log_folder, now_us, open_labels, open_registry, runs_folder};
use crate::arguments::{BacktestArguments, RetrainArguments};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_serve::learn::{Comparison, Decided, Gate, Loop, Sources, Step, backtest};
use cupola_task::{Draw, Exit, duration};
use cupola_watch::registry::{CHALLENGER, CHAMPION};
use cupola_watch::write_moment;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Does something with the loop of a model.
fn with_loop<T>(name: &str, folder: Option<&PathBuf>, work: impl FnOnce(&Loop<'_>) -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let registry = open_registry()?;
    let labels = open_labels(&registry)?;
    let log = log_folder(name, folder.cloned());
    work(&Loop { registry: &registry, labels: &labels, name, log, now_us: now_us(), clock: &|| began.elapsed() })
}

pub fn run(arguments: &RetrainArguments, screen: &Screen) -> Result<ExitCode> {
    with_loop(&arguments.name, arguments.folder.as_ref(), |work| {
        let decided = match work.begin(arguments.now, &arguments.pairs).context("failed to retrain")? {
            Step::Train(sources) => train(work, &sources, screen)?,
            Step::End(decided) => decided,
        };
        Ok(tell(&arguments.name, &decided, screen))
    })
}

fn train(work: &Loop<'_>, sources: &Sources, screen: &Screen) -> Result<Decided> {
    let (outcome, anchor) = with_run(&sources.plan, screen, |run| {
        let outcome = cupola_train::train(&sources.plan, run, &runs_folder(), &program_hash());
        let anchor = sources.keeps_sides.then(|| cupola_train::test_rows(&sources.champion_plan, run));
        (outcome, anchor)
    })?;
    screen.finish();
    let outcome = outcome.context("failed to train a challenger")?;
    let anchor = anchor.transpose().context("failed to read the test rows of the champion's training")?;
    work.judge(sources, &outcome, anchor.as_ref()).context("failed to judge the challenger")
}

fn tell(name: &str, decided: &Decided, screen: &Screen) -> ExitCode {
    let (kind, number, said, gates): (&str, Option<i64>, String, &[Gate]) = match decided {
        Decided::Idle(why) => ("idle", None, format!("{name}: nothing to do: {why}"), &[]),
        Decided::Tried(version, gates) => {
            let number = version.number;
            let next = "it answers in the shadow of live requests now; `cupola retrain` decides once it has answered enough";
            ("tried", Some(number), format!("{name}: version {number} is the challenger: {next}"), gates)
        }
        Decided::Refused(number, gates) => {
            let what = number.map_or_else(|| "the challenger".to_owned(), |number| format!("version {number}"));
            ("refused", *number, format!("{name}: {what} is refused; the champion stays"), gates)
        }
        Decided::Suggested(number, gates) => {
            ("suggested", Some(*number), format!("{name}: version {number} passes; promote it with: cupola registry promote {name}"), gates)
        }
        Decided::Promoted(number, gates) => ("promoted", Some(*number), format!("{name}: version {number} is the champion now"), gates),
    };
    screen.object(&json!({ "event": kind, "name": name, "version": number, "said": said, "gates": gates }));
    let lines: Vec<String> =
        gates.iter().map(|gate| format!("  {} {:8} {}", if gate.holds { "open" } else { "SHUT" }, gate.name, gate.says)).collect();
    screen.text(&std::iter::once(said).chain(lines).collect::<Vec<_>>().join("\n"));
    match decided {
        Decided::Refused(..) => ExitCode::from(Exit::Quality as u8),
        _ => ExitCode::SUCCESS,
    }
}

/// Compares two versions on the labelled rows of the log.
pub fn compare(arguments: &BacktestArguments, screen: &Screen) -> Result<ExitCode> {
    with_loop(&arguments.name, arguments.folder.as_ref(), |work| compare_in(work, arguments, screen))
}

fn compare_in(work: &Loop<'_>, arguments: &BacktestArguments, screen: &Screen) -> Result<ExitCode> {
    let name = work.name;
    let find = |alias: &str| work.registry.find(name, alias).context("failed to find the version");
    let versions = [find(arguments.first.as_deref().unwrap_or(CHAMPION))?, find(arguments.second.as_deref().unwrap_or(CHALLENGER))?];
    let models = [work.open(&versions[0]), work.open(&versions[1])].map(|model| model.context("failed to open the model"));
    let [first, second] = models;
    let (first, second) = (first?, second?);
    let since = match &arguments.window {
        None => i64::MIN,
        Some(text) => {
            let wrong = || cupola_train::Error::recipe("command line", format!("found {text:?}, wanted a time, as 30d"));
            work.now_us - duration(text).ok_or_else(wrong)?.as_micros() as i64
        }
    };
    let rows = work.joined(&first, since).context("failed to read the log")?;
    let draw = Draw::new(7).stream("backtest");
    let compared = backtest([&first, &second], &rows, 0.95, 1000, draw, work.clock).context("failed to compare")?;
    screen.object(&json!({ "name": name, "versions": versions.each_ref().map(|version| version.number), "answered": rows.rows(), "comparison": compared }));
    screen.text(&table(name, versions.each_ref().map(|version| version.number), &compared));
    Ok(ExitCode::SUCCESS)
}

fn table(name: &str, [first, second]: [i64; 2], compared: &Comparison) -> String {
    let value = |[value, low, high]: [f64; 3]| format!("{value:.4} ({low:.4} to {high:.4})");
    let signed = |[value, low, high]: [f64; 3]| format!("{value:+.4} ({low:+.4} to {high:+.4})");
    let verdict = |is_score: bool, [_, low, high]: [f64; 3]| match (low > 0.0, high < 0.0) {
        (true, _) => {
            if is_score {
                "better"
            } else {
                "worse"
            }
        }
        (_, true) => {
            if is_score {
                "worse"
            } else {
                "better"
            }
        }
        _ => "not distinguishable",
    };
    let measures: Vec<Vec<String>> = compared
        .measures
        .iter()
        .map(|measure| {
            vec![
                measure.name.clone(),
                value(measure.champion),
                value(measure.challenger),
                signed(measure.difference),
                verdict(measure.is_score, measure.difference).to_owned(),
            ]
        })
        .collect();
    let slices: Vec<Vec<String>> = compared
        .slices
        .iter()
        .take(5)
        .map(|slice| {
            let (measure, difference) = (&slice.compared, slice.compared.difference);
            vec![
                slice.name.clone(),
                slice.rows.to_string(),
                format!("{:.4}", measure.champion[0]),
                format!("{:.4}", measure.challenger[0]),
                signed(difference),
            ]
        })
        .collect();
    let heads = [format!("version {first}"), format!("version {second}")];
    let measured = compared.slices.first().map_or("", |slice| slice.compared.name.as_str());
    let [from, to] = compared.span_us.map(write_moment);
    let mut text = format!("{name}: {} labelled answers of {} from {from} to {to}\n\n", compared.rows, compared.target);
    text += &aligned(&["measure", &heads[0], &heads[1], "difference", "verdict"], &measures);
    if !slices.is_empty() {
        text += &format!("\n\nslices where version {second} loses most, of {}, by {measured}:\n", compared.slices.len());
        text += &aligned(&["slice", "rows", &heads[0], &heads[1], "difference"], &slices);
    }
    let [old, new] = [compared.latency.champion, compared.latency.challenger];
    text + &format!("\n\none row takes {:.0} us against {:.0} us (99th percentile {:.0} against {:.0})", new[0], old[0], new[1], old[1])
}
