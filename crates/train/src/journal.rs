//! What happened in a run, in order: `events.jsonl`, the warnings for the report, and the time each stage took.

use crate::report::Timing;
use crate::{Error, Result};
use cupola_task::{Event, Flow, Run};
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Hears every event of a run, passes it on and writes it down.
pub(crate) struct Journal<'a> {
    run: &'a Run<'a>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Lines from before there was a folder.
    early: Vec<u8>,
    file: Option<File>,
    warnings: Vec<String>,
    stages: Vec<(String, Duration)>,
    is_stopped: bool,
}

impl<'a> Journal<'a> {
    /// A journal of that run.
    pub fn new(run: &'a Run<'a>) -> Journal<'a> {
        Journal { run, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the run's listener is to be.
    pub fn hear(&self, event: &Event) -> Flow {
        let elapsed = (self.run.clock)();
        let mut kept = self.kept();
        match event {
            Event::Warning { text } => kept.warnings.push(text.clone()),
            Event::Stage { name } => kept.stages.push((name.clone(), elapsed)),
            Event::Progress { .. } | Event::Resolved { .. } | Event::Note { .. } => {}
        }
        let mut line = serde_json::to_value(event).expect("events are plain data");
        line["seconds"] = json!((elapsed.as_secs_f64() * 1000.0).round() / 1000.0);
        let line = format!("{line}\n");
        match &mut kept.file {
            // A full disk must not end the run here: the model's own writing will say so.
            Some(file) => drop(file.write_all(line.as_bytes())),
            None => kept.early.extend_from_slice(line.as_bytes()),
        }
        let flow = self.run.tell(event.clone());
        kept.is_stopped |= flow == Flow::Stop;
        flow
    }

    /// Writes to `events.jsonl` in that folder from now on, beginning with what was heard before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(&self, folder: &Path) -> Result<()> {
        let path = folder.join("events.jsonl");
        let mut kept = self.kept();
        let opened = OpenOptions::new().create(true).append(true).open(&path).and_then(|mut file| {
            file.write_all(&kept.early)?;
            Ok(file)
        });
        kept.file = Some(opened.map_err(|source| Error::io(format!("write {}", path.display()), source))?);
        Ok(())
    }

    /// The warnings heard so far, and that the run was stopped when it was.
    pub fn warnings(&self) -> Vec<String> {
        let kept = self.kept();
        let stopped = kept.is_stopped.then(|| format!("{}: this is the best model so far", crate::runs::STOPPED));
        kept.warnings.iter().cloned().chain(stopped).collect()
    }

    /// Whether the listener has asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.kept().is_stopped
    }

    /// How long each stage took; the last one until now.
    pub fn timings(&self) -> Vec<Timing> {
        let now = (self.run.clock)();
        let kept = self.kept();
        let ends = kept.stages.iter().skip(1).map(|(_, begin)| *begin).chain([now]);
        let timings = kept.stages.iter().zip(ends);
        timings.map(|((stage, begin), end)| Timing { stage: stage.clone(), seconds: end.saturating_sub(*begin).as_secs_f64() }).collect()
    }
}

/// The same run with another listener.
pub(crate) fn heard_by<'a>(run: &'a Run<'a>, events: &'a (dyn Fn(&Event) -> Flow + Sync)) -> Run<'a> {
    Run {
        seed: run.seed,
        threads: run.threads,
        folder: run.folder,
        clock: run.clock,
        until: run.until,
        memory_max: run.memory_max,
        memory: run.memory,
        collective: run.collective,
        start: run.start.clone(),
        events,
    }
}
