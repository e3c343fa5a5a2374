//! `cupola data`: look at a table, keep it in order, turn it into another. One file a verb.

mod convert;
mod diff;
mod dup;
mod leaks;
mod lock;
mod noise;
mod preview;
mod profile;
mod split;

use super::{is_among, paths_and_pairs, recipe};
use crate::arguments::DataCommand;
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::{Input, OutputFormat, WholeFile, Writer};
use cupola_task::{Columns, Event, Setting, Settings, Value};
use cupola_train::Plan;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

pub fn run(command: &DataCommand, screen: &Screen) -> Result<ExitCode> {
    let done = match command {
        DataCommand::Profile(arguments) => profile::run(arguments, screen),
        DataCommand::Leaks(arguments) => leaks::run(arguments, screen),
        DataCommand::Noise(arguments) => noise::run(arguments, screen),
        DataCommand::Dup(arguments) => dup::run(arguments, screen),
        DataCommand::Split(arguments) => split::run(arguments, screen),
        DataCommand::Convert(arguments) => convert::run(arguments, screen),
        DataCommand::Lock(arguments) => lock::run(arguments, screen),
        DataCommand::Diff(arguments) => diff::run(arguments, screen),
        DataCommand::Preview(arguments) => preview::run(arguments, screen),
    };
    screen.finish();
    done
}

/// The plan of what was typed, and the verb's own settings, which are taken out first.
fn plan(arguments: &[String], own: &[Setting], verb: &str) -> Result<(Plan, Settings)> {
    let (paths, pairs) = paths_and_pairs(arguments);
    let is_own = |pair: &&String| is_among(own, pair.split('=').next().unwrap_or_default());
    let (taken, left): (Vec<&String>, Vec<&String>) = pairs.iter().partition(is_own);
    let given: Vec<(&str, Value)> =
        taken.iter().filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key, Value::parse(value))).collect();
    let settings = Settings::check(verb, own, given.iter().map(|(key, value)| (*key, value))).context("failed to read the command line")?;
    let words: Vec<String> = paths.iter().chain(left).cloned().collect();
    let plan = Plan::check(recipe(&words, false)?).context("failed to read the command line")?;
    Ok((plan, settings))
}

/// An input that can be read more than once: standard input is read into memory.
fn again(input: &mut Input, most: u64) -> Result<()> {
    if *input == Input::Stdin {
        let mut bytes = Vec::new();
        // One byte more than is allowed, so that too much is refused and not cut off.
        std::io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes).context("failed to read standard input")?;
        *input = Input::Bytes { name: "standard input".into(), bytes: bytes.into() };
    }
    Ok(())
}

/// Shows how many rows were read.
struct Progress<'s> {
    screen: &'s Screen,
    began: Instant,
    stage: String,
}

impl Progress<'_> {
    fn begin<'s>(screen: &'s Screen, stage: &str) -> Progress<'s> {
        screen.event(&Event::Stage { name: stage.to_owned() }, std::time::Duration::ZERO);
        Progress { screen, began: Instant::now(), stage: stage.to_owned() }
    }

    fn at(&mut self, stage: &str, done: u64, total: Option<u64>) {
        if self.stage != stage {
            *self = Progress { began: self.began, ..Progress::begin(self.screen, stage) };
        }
        self.screen.event(&Event::Progress { done, total, unit: "rows".into(), score: None }, self.began.elapsed());
    }
}

/// Refuses to replace a file unless that was asked for.
fn check_free(path: &Path, is_forced: bool) -> Result<()> {
    if path.exists() && !is_forced {
        let error = cupola_train::Error::recipe("command line", format!("{} is there already", path.display()));
        return Err(error.with_hint("write it elsewhere, or replace it with --force").into());
    }
    Ok(())
}

/// Writes a table whole, in the format of the path's ending.
fn write_table(path: &Path, columns: &Columns) -> Result<()> {
    let format = OutputFormat::of_path(path).context("failed to read the command line")?;
    let write = || -> cupola_data::Result<()> {
        let mut file = WholeFile::create(path)?;
        let mut writer = Writer::new(&mut file, format);
        writer.write(columns)?;
        writer.finish()?;
        file.commit()
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}

/// A share as people read it.
fn percent(part: u64, of: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / of.max(1) as f64)
}
