//! A model watched while it answers: windows one after another, each held against the reference when it is over.
//!
//! Rows and times go in, reports and events come out: no clock, no thread, no file. All that must outlive a process is [`State`], plain data.
//!
//! Windows of a time begin at whole multiples of it since 1970 (days are days of UTC); windows of rows begin where the last one ended. A window of
//! a time in which nothing came is reported too, several in a row as one. A clock that goes back by less than a window makes that window longer;
//! one that goes back by more ends it, and the next begins where the clock stands now.

use crate::alarm::{AlarmEvent, Alarms};
use crate::examine::examine;
use crate::history::History;
use crate::monitor::{MonitorOptions, WindowLength};
use crate::reference::Reference;
use crate::report::Report;
use crate::window::{SchemaFault, Window};
use crate::{Error, Result};
use cupola_task::{Columns, Predictions};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Clocks of machines that are set now and then go back by less.
const CLOCK_STEP_US: i64 = 1_000_000;

/// A model that is watched.
pub struct Watcher {
    reference: Arc<Reference>,
    options: MonitorOptions,
    state: State,
}

/// What outlives a process.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Where the present window begins; none before the first row.
    begin_us: Option<i64>,
    /// The moment of the last row or of the clock, and the last one of the clock.
    last_us: i64,
    ticked_us: i64,
    /// By how much the clock went back, the last time it did.
    clock_back_us: Option<i64>,
    window: Window,
    alarms: Alarms,
    history: History,
}

/// A window that is over.
#[derive(Clone, PartialEq, Debug)]
pub struct Closed {
    /// What was found.
    pub report: Report,
    /// What somebody should be told.
    pub events: Vec<AlarmEvent>,
}

/// Answered rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// When each was answered, in microseconds since 1970; nothing where that is not known, which windows of rows do not need.
    pub at_us: &'a [i64],
    /// The hash of each one's id ([`crate::row_hash`]).
    pub hashes: &'a [u64],
    /// The raw inputs.
    pub inputs: &'a Columns,
    /// The answers.
    pub predictions: &'a Predictions,
    /// Under each target's name what was true, missing where nobody knows; nothing when no truth is known yet.
    pub truth: Option<&'a Columns>,
    /// Of some targets what a model of losses expects of each answer: absolute and squared error.
    pub losses: &'a [(Arc<str>, Vec<[f64; 2]>)],
}

impl State {
    /// The windows before.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The keys of the alarms that are raised now.
    pub fn raised(&self) -> Vec<String> {
        self.alarms.raised().map(str::to_owned).collect()
    }

    /// The begin of the first of the newest windows that alarm one after another for something that is raised now.
    pub fn moved_us(&self) -> Option<i64> {
        let raised = self.raised();
        let alarming = self.history.windows.iter().rev().take_while(|window| window.alarms.iter().any(|key| raised.contains(key)));
        alarming.last().and_then(|window| window.period).map(|period| period[0])
    }
}

impl Watcher {
    /// Begins with nothing seen.
    pub fn new(reference: Arc<Reference>, options: MonitorOptions) -> Watcher {
        let state = State { window: Window::new(&reference), ..State::default() };
        Watcher { reference, options, state }
    }

    /// Goes on where another process stopped.
    ///
    /// # Errors
    /// When the state is of another reference.
    pub fn resume(reference: Arc<Reference>, options: MonitorOptions, state: State) -> Result<Watcher> {
        state.window.check(&reference)?;
        Ok(Watcher { state, ..Watcher::new(reference, options) })
    }

    /// What must outlive a process.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What windows are held against.
    pub fn reference(&self) -> &Arc<Reference> {
        &self.reference
    }

    /// How it watches.
    pub fn options(&self) -> &MonitorOptions {
        &self.options
    }

    /// Adds answered rows, in the order of time. Gives the windows that they closed.
    ///
    /// # Errors
    /// As [`Window::push`].
    pub fn push(&mut self, rows: &Rows<'_>) -> Result<Vec<Closed>> {
        let has_times = !rows.at_us.is_empty();
        let needs_times = matches!(self.options.window, WindowLength::Time(_));
        if rows.at_us.len() != rows.hashes.len() && (has_times || needs_times) {
            return Err(Error::refused("window", format!("{} times", rows.at_us.len()), format!("{}, as ids", rows.hashes.len())));
        }
        let mut closed = Vec::new();
        let mut from = 0;
        while from < rows.hashes.len() {
            if has_times {
                closed.extend(self.advance(rows.at_us[from])?);
                self.begin(rows.at_us[from]);
            }
            let to = self.fitting(rows, from);
            self.add(rows, from, to)?;
            from = to;
            if self.is_full() {
                closed.extend(self.finish()?);
            }
        }
        Ok(closed)
    }

    /// Says what time it is: a window whose time is over is closed, also when nothing came.
    ///
    /// # Errors
    /// As [`examine`].
    pub fn tick(&mut self, now_us: i64) -> Result<Vec<Closed>> {
        if now_us + CLOCK_STEP_US < self.state.ticked_us {
            self.state.clock_back_us = Some(self.state.ticked_us - now_us);
        }
        self.state.ticked_us = now_us;
        self.advance(now_us)
    }

    /// Closes the windows that are over at a moment: now, or when a row was answered, which may be a while ago.
    fn advance(&mut self, now_us: i64) -> Result<Vec<Closed>> {
        self.state.last_us = now_us;
        let mut closed = Vec::new();
        while let (Some(begin), WindowLength::Time(length)) = (self.state.begin_us, self.options.window) {
            if (begin - length..begin + length).contains(&now_us) {
                break;
            }
            let is_empty = self.state.window.rows == 0;
            let next = if is_empty || now_us < begin { aligned(now_us, length) } else { begin + length };
            let end = if now_us < begin { begin } else { next };
            if is_empty {
                self.state.window.period = Some([begin, end]);
            }
            self.state.begin_us = Some(next);
            closed.push(self.close(end)?);
        }
        Ok(closed)
    }

    /// The present window as it is now.
    ///
    /// # Errors
    /// As [`examine`].
    pub fn present(&self) -> Result<Report> {
        examine(&self.reference, &self.state.window, &self.options)
    }

    /// Ends the present window before its time, when something came in it.
    ///
    /// # Errors
    /// As [`examine`].
    pub fn finish(&mut self) -> Result<Option<Closed>> {
        self.state.begin_us = None;
        if self.state.window.rows == 0 { Ok(None) } else { self.close(self.state.last_us).map(Some) }
    }

    /// Adds labels of rows that came earlier: they count in the present window.
    ///
    /// # Errors
    /// As [`Window::push_labels`].
    pub fn push_labels(&mut self, hashes: &[u64], inputs: &Columns, predictions: &Predictions, truth: &Columns) -> Result<()> {
        self.state.window.push_labels(&self.reference, hashes, inputs, predictions, truth)
    }

    /// Adds rows that were refused for a column: they were not answered, and are in no [`Watcher::push`].
    pub fn push_faults(&mut self, now_us: i64, column: &str, fault: SchemaFault, rows: u64) {
        self.begin(now_us);
        self.state.window.push_faults(&self.reference, column, fault, rows);
    }

    /// The keys of the alarms that are raised now.
    pub fn raised(&self) -> Vec<String> {
        self.state.raised()
    }

    /// The windows before.
    pub fn history(&self) -> &History {
        self.state.history()
    }

    /// By how much the clock went back, the last time it did, in microseconds.
    pub fn clock_back_us(&self) -> Option<i64> {
        self.state.clock_back_us
    }

    fn begin(&mut self, at_us: i64) {
        let begin = match self.options.window {
            WindowLength::Time(length) => aligned(at_us, length),
            WindowLength::Rows(_) => at_us,
        };
        self.state.begin_us.get_or_insert(begin);
    }

    /// Up to which row the present window takes them.
    fn fitting(&self, rows: &Rows<'_>, from: usize) -> usize {
        let begin = self.state.begin_us.unwrap_or_default();
        match self.options.window {
            WindowLength::Rows(limit) => {
                from + limit.saturating_sub(self.state.window.rows).min((rows.hashes.len() - from) as u64) as usize
            }
            WindowLength::Time(length) => {
                let is_in = |at: &i64| (begin - length..begin + length).contains(at);
                from + rows.at_us[from..].iter().take_while(|at| is_in(at)).count().max(1)
            }
        }
    }

    fn is_full(&self) -> bool {
        matches!(self.options.window, WindowLength::Rows(rows) if self.state.window.rows >= rows)
    }

    fn add(&mut self, rows: &Rows<'_>, from: usize, to: usize) -> Result<()> {
        let is_all = from == 0 && to == rows.hashes.len();
        let taken: Vec<u64> = (from as u64..to as u64).collect();
        let take = |columns: &Columns| if is_all { columns.clone() } else { columns.take(&taken) };
        let (inputs, hashes) = (take(rows.inputs), &rows.hashes[from..to]);
        let predictions = if is_all { Some(rows.predictions.clone()) } else { rows.predictions.take(&taken) };
        let predictions = predictions.ok_or_else(|| Error::refused("window", "answers without rows", "one for each row"))?;
        let window = &mut self.state.window;
        window.push(&self.reference, hashes, &inputs, &predictions)?;
        if let Some(truth) = rows.truth {
            window.push_labels(&self.reference, hashes, &inputs, &predictions, &take(truth))?;
        }
        for (target, losses) in rows.losses {
            window.push_losses(&self.reference, target, &losses[from..to]);
        }
        let times = rows.at_us.get(from..to).unwrap_or_default();
        let (first, last) = (times.iter().copied().min(), times.iter().copied().max());
        if let (Some(first), Some(last)) = (first, last) {
            let [begin, end] = window.period.unwrap_or([first, last]);
            window.period = Some([begin.min(first), end.max(last)]);
            self.state.last_us = last;
        }
        Ok(())
    }

    fn close(&mut self, at_us: i64) -> Result<Closed> {
        let report = self.present()?;
        let events = self.state.alarms.step(&report, &self.options, at_us);
        self.state.window = Window::new(&self.reference);
        let closed = Closed { report, events };
        self.state.history.push(&closed);
        Ok(closed)
    }
}

/// The multiple of a length at or before a moment.
fn aligned(at_us: i64, length: i64) -> i64 {
    at_us.div_euclid(length) * length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::AlarmKind;
    use crate::fixtures::{answers, full, hashes, table};

    const HOUR: i64 = 3_600_000_000;

    fn watcher(window: WindowLength) -> Watcher {
        Watcher::new(Arc::new(full(2000)), MonitorOptions { window, cooldown_us: 0, ..MonitorOptions::default() })
    }

    /// Gives rows with these times to a watcher, all labelled.
    fn push(watcher: &mut Watcher, seed: u64, at_us: &[i64], rows: u64, shift: f64) -> Vec<Closed> {
        let (predictions, truth) = answers(seed, rows);
        let (inputs, hashes) = (table(seed, rows, shift), hashes(seed, rows));
        let rows = Rows { at_us, hashes: &hashes, inputs: &inputs, predictions: &predictions, truth: Some(&truth), losses: &[] };
        watcher.push(&rows).unwrap()
    }

    fn shape(closed: &[Closed]) -> Vec<(u64, Option<[i64; 2]>)> {
        closed.iter().map(|closed| (closed.report.rows, closed.report.period.map(|period| period.map(|at| at / HOUR)))).collect()
    }

    #[test]
    fn windows_of_rows_are_full_however_the_rows_come() {
        let (mut whole, mut parts) = (watcher(WindowLength::Rows(200)), watcher(WindowLength::Rows(200)));
        let closed = push(&mut whole, 3, &[], 500, 0.0);
        assert_eq!(shape(&closed), [(200, None), (200, None)]);
        assert_eq!(shape(&whole.finish().unwrap().into_iter().collect::<Vec<_>>()), [(100, None)]);
        assert!(whole.finish().unwrap().is_none());
        let (predictions, truth) = answers(3, 500);
        let (inputs, hashes) = (table(3, 500, 0.0), hashes(3, 500));
        let mut found = Vec::new();
        for from in (0..500u64).step_by(7) {
            let taken: Vec<u64> = (from..500.min(from + 7)).collect();
            let (inputs, predictions, truth) = (inputs.take(&taken), predictions.take(&taken).unwrap(), truth.take(&taken));
            let hashes: Vec<u64> = taken.iter().map(|row| hashes[*row as usize]).collect();
            let rows = Rows { at_us: &[], hashes: &hashes, inputs: &inputs, predictions: &predictions, truth: Some(&truth), losses: &[] };
            found.extend(parts.push(&rows).unwrap());
        }
        assert_eq!(
            found.iter().map(|closed| &closed.report.tests[0]).collect::<Vec<_>>(),
            closed.iter().map(|closed| &closed.report.tests[0]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn windows_of_time_begin_at_whole_ones_and_gaps_are_told_once() {
        let mut watcher = watcher(WindowLength::Time(HOUR));
        let times: Vec<i64> = (0..120).map(|row| 10 * HOUR + row * HOUR / 60).collect();
        assert_eq!(shape(&push(&mut watcher, 3, &times, 120, 0.0)), [(60, Some([10, 10]))]);
        assert_eq!(shape(&watcher.tick(11 * HOUR + HOUR / 2).unwrap()), []);
        // Nothing comes for hours: the window ends in its time, then there is one gap, however long.
        assert_eq!(shape(&watcher.tick(12 * HOUR + 1).unwrap()), [(60, Some([11, 11]))]);
        assert_eq!(shape(&push(&mut watcher, 4, &[20 * HOUR + 5], 1, 0.0)), [(0, Some([12, 20]))]);
        assert_eq!(shape(&watcher.tick(21 * HOUR).unwrap()), [(1, Some([20, 20]))]);
        assert!(watcher.history().windows.iter().all(|window| window.alarms.is_empty()));
    }

    #[test]
    fn a_clock_that_goes_back_stops_nothing() {
        let mut watcher = watcher(WindowLength::Time(2 * HOUR));
        watcher.tick(10 * HOUR).unwrap();
        push(&mut watcher, 3, &[10 * HOUR], 1, 0.0);
        assert_eq!(watcher.clock_back_us(), None);
        // An hour back: the window goes on and is as much longer.
        assert!(watcher.tick(9 * HOUR).unwrap().is_empty());
        assert_eq!(shape(&push(&mut watcher, 4, &[9 * HOUR], 1, 0.0)), []);
        assert_eq!(watcher.clock_back_us(), Some(HOUR));
        assert_eq!(shape(&watcher.tick(12 * HOUR).unwrap()), [(2, Some([9, 10]))]);
        // It was years ahead: what it counted there is closed, and it begins again.
        push(&mut watcher, 5, &[900_000 * HOUR], 1, 0.0);
        assert_eq!(shape(&push(&mut watcher, 6, &[13 * HOUR], 1, 0.0)), [(1, Some([900_000, 900_000]))]);
        assert_eq!(shape(&watcher.tick(14 * HOUR).unwrap()), [(1, Some([13, 13]))]);
    }

    #[test]
    fn a_watcher_goes_on_where_its_state_was_written() {
        let mut one = watcher(WindowLength::Rows(300));
        let mut told = Vec::new();
        for seed in 10..14 {
            let shift = if seed < 12 { 0.0 } else { 0.8 };
            let times: Vec<i64> = (0..250).map(|row| seed as i64 * HOUR + row).collect();
            told.extend(push(&mut one, seed, &times, 250, shift));
            let text = serde_json::to_string(one.state()).unwrap();
            let state: State = serde_json::from_str(&text).unwrap();
            let (reference, options) = (one.reference().clone(), one.options().clone());
            one = Watcher::resume(reference, options, state).unwrap();
            assert_eq!(serde_json::to_string(one.state()).unwrap(), text);
        }
        told.extend(push(&mut one, 14, &[14 * HOUR; 250], 250, 0.8));
        let raised: Vec<&str> = told
            .iter()
            .flat_map(|closed| &closed.events)
            .filter(|event| event.kind == AlarmKind::Raised)
            .map(|event| event.key.as_str())
            .collect();
        assert!(raised.contains(&"input.number.ks"), "{raised:?}");
        assert_eq!(one.state().moved_us(), Some(11 * HOUR + 50), "the first window that holds moved rows");
        let other = Arc::new(crate::fixtures::reference(100));
        assert!(Watcher::resume(other, one.options().clone(), one.state().clone()).is_err());
    }
}
