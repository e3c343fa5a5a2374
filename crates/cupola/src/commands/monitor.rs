//! `cupola monitor`: what moved since training, from the log or a table.

use super::{aligned, log_folder, now_us, open, open_labels, open_registry, predict, use_threads};
use crate::arguments::MonitorArguments;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::Wanted;
use cupola_serve::monitor::{Page, Replay, page, reference_of};
use cupola_task::{Columns, Exit, Value, duration};
use cupola_train::Artifact;
use cupola_watch::registry::{CHAMPION, Registry};
use cupola_watch::{AlarmKind, Brief, Closed, MonitorOptions, Quality, Watcher, WindowLength, monitor_setting, post, write_moment};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Rows of a table in memory at a time.
const CHUNK_ROWS: usize = 8192;
/// Windows that are shown as lines.
const LINES: usize = 12;

pub fn run(arguments: &MonitorArguments, screen: &Screen) -> Result<ExitCode> {
    use_threads(None);
    let is_table = !super::paths_and_pairs(&arguments.arguments).0.is_empty();
    // Of a table some keys say how it is read.
    let is_own = |word: &String| !is_table || key(word).is_some_and(|key| monitor_setting(key).is_some());
    let (own, data): (Vec<String>, Vec<String>) = arguments.arguments.iter().cloned().partition(is_own);
    let (name, artifact) = model(&arguments.named, is_table)?;
    let options = options(&artifact, &own, is_table)?;
    let reference = arguments.reference.as_ref().map(|path| {
        let mut parts = Vec::new();
        rows(&artifact, &[std::slice::from_ref(path), super::paths_and_pairs(&data).1].concat(), screen, &mut |part| {
            parts.push(part.clone());
            Ok(())
        })?;
        let columns = Columns::concat(&parts).context("failed to read the reference")?;
        reference_of(&artifact, &columns).context("failed to count the reference")
    });
    let mut replay = Replay::new(&artifact, reference.transpose()?, options).context("failed to monitor")?;
    let tell = |closed: &Closed| screen.object(&json!({ "event": "window", "report": closed.report, "events": closed.events }));
    let present = if is_table {
        rows(&artifact, &data, screen, &mut |part| {
            replay.table(part).context("failed to monitor")?.iter().for_each(tell);
            Ok(())
        })?;
        replay.finish().context("failed to monitor")?.iter().for_each(tell);
        None
    } else {
        log(&mut replay, &name, arguments, screen, &tell)?;
        Some(replay.watcher().present().context("failed to monitor")?).filter(|report| report.rows > 0)
    };
    let watcher = replay.watcher();
    let raised = watcher.raised();
    screen.object(&json!({ "event": "monitor", "model": name, "hash": artifact.hash(), "windows": watcher.history().windows.len(), "present": present, "raised": raised }));
    screen.text(&told(&name, watcher, present.as_ref()));
    if let Some(path) = &arguments.html {
        let about = Page { name: &name, hash: artifact.hash(), watcher, present: present.as_ref(), notes: &[] };
        std::fs::write(path, page(&about)).with_context(|| format!("failed to write {}", path.display()))?;
        screen.note(&format!("page in {}", path.display()));
    }
    if let Some(url) = &arguments.webhook {
        let events: Vec<_> = watcher
            .history()
            .events
            .iter()
            .filter(|event| event.kind == AlarmKind::Raised && raised.contains(&event.key))
            .cloned()
            .collect();
        if !events.is_empty() {
            post(url, &name, artifact.hash(), &events).context("failed to post the alarms")?;
        }
    }
    Ok(if raised.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(Exit::Quality as u8) })
}

fn key(word: &str) -> Option<&str> {
    word.split_once('=').map(|(key, _)| key.trim_start_matches("monitor."))
}

/// The model, and what it is called.
fn model(named: &str, is_table: bool) -> Result<(String, Artifact)> {
    let is_known = (super::store_at().is_some() || Registry::is_in(&super::deploy_folder())) && !Path::new(named).exists();
    if is_known || !is_table {
        let registry = open_registry()?;
        match registry.find(named, CHAMPION) {
            Ok(version) => return Ok((named.to_owned(), open(&registry.model_file(&version))?.1)),
            Err(_) if is_table => {}
            Err(error) => return Err(anyhow::Error::from(error).context("failed to find the model")),
        }
    }
    let (path, artifact) = open(Path::new(named))?;
    Ok((path.display().to_string(), artifact))
}

/// What the model's recipe says of watching, and before it what was typed.
fn options(artifact: &Artifact, typed: &[String], is_table: bool) -> Result<MonitorOptions> {
    let given: Vec<(String, Value)> =
        typed.iter().filter_map(|word| Some((key(word)?.to_owned(), Value::parse(word.split_once('=')?.1)))).collect();
    let said = |name: &str| given.iter().any(|(key, _)| monitor_setting(key).is_some_and(|setting| setting.name == name));
    let of_recipe = artifact.watched().map(|watched| watched.settings.clone()).unwrap_or_default();
    let mut options = MonitorOptions::over(&of_recipe, &given).context("failed to read the command line")?;
    if is_table {
        // A table has no times: it is one window unless rows are said, and one window is enough to tell.
        options.window = match options.window {
            WindowLength::Rows(rows) if said("window") => WindowLength::Rows(rows),
            WindowLength::Time(_) if said("window") => {
                let error = cupola_task::Error::setting("monitor.window", "a time", "a number of rows: a table has no times");
                return Err(anyhow::Error::from(error).context("failed to read the command line"));
            }
            _ => WindowLength::Rows(u64::MAX),
        };
        options.windows_in = if said("windows_in") { options.windows_in } else { 1 };
    }
    Ok(options)
}

/// Typed rows of a table, part by part.
fn rows(artifact: &Artifact, words: &[String], screen: &Screen, take: &mut dyn FnMut(&Columns) -> Result<()>) -> Result<()> {
    let (input, mut options) = predict::data(words)?;
    options.images.shrink = artifact.notation().shrink;
    let base = input.folder();
    let mut stream = predict::stream(artifact, &input, &options, CHUNK_ROWS)?;
    for chunk in stream.by_ref() {
        let chunk = chunk.context("failed to read the data")?;
        let place = |row: usize| chunk.places.place(row);
        let (schema, notation) = (artifact.raw(), artifact.notation());
        let (columns, _) = artifact.made().rows(&chunk.columns, schema, notation, &place).context("failed to read the data")?;
        let conformed = match &base {
            Some(base) => cupola_data::conform_files(&columns, schema, notation, &place, Wanted::Inputs, base),
            None => cupola_data::conform(&columns, schema, notation, &place, Wanted::Inputs),
        };
        take(&conformed.context("failed to read the data")?.columns)?;
    }
    stream.warnings().iter().for_each(|warning| screen.note(&format!("warning: {warning}")));
    Ok(())
}

/// Everything that was answered, with what is known of it today.
fn log(replay: &mut Replay<'_>, name: &str, arguments: &MonitorArguments, screen: &Screen, tell: &dyn Fn(&Closed)) -> Result<()> {
    let now = now_us();
    let from = match &arguments.last {
        None => i64::MIN,
        Some(text) => {
            let wrong = || cupola_train::Error::recipe("command line", format!("found {text:?}, wanted a time, as 30d"));
            now - duration(text).ok_or_else(wrong)?.as_micros() as i64
        }
    };
    let registry = open_registry()?;
    let labels = open_labels(&registry)?.since(name, i64::MIN).context("failed to read labels")?;
    let folder = log_folder(name, arguments.folder.clone());
    let unkept = replay.log(&folder, &(from..i64::MAX), &labels, &mut |closed| tell(closed));
    for column in unkept.context("failed to read the log")? {
        screen.note(&format!("{column} is not watched: the log does not keep it"));
    }
    if replay.watcher().history().windows.is_empty() && replay.watcher().present().context("failed to monitor")?.rows == 0 {
        screen.note(&format!("the log in {} holds no answer of the champion: `cupola serve {name} log=on` keeps them", folder.display()));
    }
    Ok(())
}

fn told(name: &str, watcher: &Watcher, present: Option<&cupola_watch::Report>) -> String {
    let history = watcher.history();
    let mut text = String::new();
    if history.windows.len() + usize::from(present.is_some()) > 1 {
        let brief = present.map(Brief::new);
        let lines: Vec<Vec<String>> = history.windows.iter().chain(&brief).map(line).collect();
        let shown = &lines[lines.len().saturating_sub(LINES)..];
        text += &format!("{name}: {} windows, the newest last\n\n", lines.len());
        text += &aligned(&["from", "to", "rows", "labelled", "expected", "most drift", "alarms"], shown);
        text += "\n\n";
    }
    match present.or(history.last.as_ref()) {
        Some(report) => text += &report.text(),
        None => text += &format!("{name}: nothing was answered yet"),
    }
    let raised = watcher.raised();
    if !raised.is_empty() {
        text += &format!("\nraised: {}", raised.join(", "));
    }
    text.trim_end().to_owned()
}

fn line(brief: &Brief) -> Vec<String> {
    let moment = |place: usize| brief.period.map_or_else(String::new, |period| write_moment(period[place]));
    let quality = |quality: &Option<Quality>| quality.as_ref().map_or_else(|| "-".to_owned(), Quality::text);
    let drift = brief.drift.first().map_or_else(|| "-".to_owned(), |(column, drift)| format!("{column} {drift:.1}x"));
    let alarms = if brief.alarms.is_empty() { "-".to_owned() } else { brief.alarms.len().to_string() };
    vec![moment(0), moment(1), brief.rows.to_string(), quality(&brief.live), quality(&brief.estimated), drift, alarms]
}
