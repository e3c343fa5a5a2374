//! What was found in the windows before, in a size that does not grow: a line for each window, the last report whole.

use crate::alarm::AlarmEvent;
use crate::measure::Quality;
use crate::report::{Report, Subject};
use crate::watcher::Closed;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many windows and events are remembered, and how many columns of a window.
const WINDOWS: usize = 200;
const EVENTS: usize = 100;
const COLUMNS: usize = 50;

/// What was found before.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// Windows that are over, oldest first.
    pub windows: VecDeque<Brief>,
    /// What somebody was told, oldest first.
    pub events: VecDeque<AlarmEvent>,
    /// The newest window's report.
    pub last: Option<Report>,
}

/// A window in a line.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Brief {
    /// Its first and last moment, in microseconds since 1970, where they are known.
    pub period: Option<[i64; 2]>,
    /// How many rows.
    pub rows: u64,
    /// The tests that alarmed, by their keys.
    pub alarms: Vec<String>,
    /// Quality on labelled rows, of the first target by its first measure.
    pub live: Option<Quality>,
    /// The same as it is expected without labels.
    pub estimated: Option<Quality>,
    /// The inputs with the most drift: how much, as a multiple of what matters.
    pub drift: Vec<(String, f64)>,
}

impl History {
    /// Adds a window.
    pub fn push(&mut self, closed: &Closed) {
        push(&mut self.windows, Brief::new(&closed.report), WINDOWS);
        closed.events.iter().for_each(|event| push(&mut self.events, event.clone(), EVENTS));
        self.last = Some(closed.report.clone());
    }

    /// The newest window that was measured, and by which measure: live where labels came, else estimated.
    pub fn quality(&self) -> Option<&Quality> {
        self.windows.iter().rev().find_map(|window| window.live.as_ref().or(window.estimated.as_ref()))
    }
}

impl Brief {
    /// What a report says, in a line.
    pub fn new(report: &Report) -> Brief {
        let target = report.targets.first();
        let main = target.and_then(|target| target.reference.first()).map(|quality| quality.metric.as_str());
        let of = |qualities: &[Quality]| qualities.iter().find(|quality| Some(quality.metric.as_str()) == main).cloned();
        let mut drift: Vec<(String, f64)> = report
            .tests
            .iter()
            .filter(|test| test.subject == Subject::Input && test.threshold > 0.0)
            .map(|test| (test.column.clone(), test.effect / test.threshold))
            .collect();
        drift.sort_by(|a, b| b.1.total_cmp(&a.1));
        drift.truncate(COLUMNS);
        Brief {
            period: report.period,
            rows: report.rows,
            alarms: report.alarms.iter().map(|alarm| alarm.key.clone()).collect(),
            live: target.and_then(|target| of(&target.live)),
            estimated: target.and_then(|target| of(&target.estimated)),
            drift,
        }
    }
}

fn push<T>(list: &mut VecDeque<T>, item: T, limit: usize) {
    list.push_back(item);
    while list.len() > limit {
        list.pop_front();
    }
}
