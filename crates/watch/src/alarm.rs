//! Who is told, and when: not of every window, but once when something stays wrong, and once when it is over.
//!
//! A state machine that reads no clock: reports go in with their times, events come out. An alarm is raised after `windows_in` windows one after
//! another, and over after `windows_out`; the same is not raised again within the cool-down. A window that says nothing (too few rows) changes
//! nothing. When the clock goes back, what was told in its future counts as told now, so a cool-down is at most longer by the step.

use crate::monitor::MonitorOptions;
use crate::report::{Alarm, Report, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known from the windows before.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Alarms {
    /// By the tests' keys; those that never alarmed are not there.
    states: BTreeMap<String, State>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct State {
    /// How many windows one after another alarmed, or were fine.
    alarming: u32,
    fine: u32,
    /// Whether it is raised now.
    is_raised: bool,
    /// When somebody was told of it last, in microseconds since 1970.
    told_us: Option<i64>,
}

/// What somebody should be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AlarmEvent {
    /// Whether it begins or ends.
    pub kind: AlarmKind,
    /// By which it is known from window to window.
    pub key: String,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// What to make of it; none when it ends.
    pub alarm: Option<Alarm>,
}

/// Whether an alarm begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlarmKind {
    /// It begins.
    Raised,
    /// It ends.
    Over,
}

impl Alarms {
    /// Takes the next window's report; says what somebody should be told.
    pub fn step(&mut self, report: &Report, options: &MonitorOptions, at_us: i64) -> Vec<AlarmEvent> {
        let alarms: BTreeMap<&str, &Alarm> = report.alarms.iter().map(|alarm| (alarm.key.as_str(), alarm)).collect();
        let mut events = Vec::new();
        for test in &report.tests {
            let key = test.key();
            match test.verdict {
                Verdict::Unknown => {}
                // A slice that is worse as the whole is told with it.
                Verdict::Alarm if !alarms.contains_key(key.as_str()) => {}
                Verdict::Alarm => {
                    let state = self.states.entry(key.clone()).or_default();
                    if state.alarm(options, at_us) {
                        let alarm = alarms.get(key.as_str()).map(|alarm| (*alarm).clone());
                        events.push(AlarmEvent { kind: AlarmKind::Raised, key, at_us, alarm });
                    }
                }
                Verdict::Fine => {
                    if let Some(state) = self.states.get_mut(&key) {
                        if state.fine(options) {
                            events.push(AlarmEvent { kind: AlarmKind::Over, key: key.clone(), at_us, alarm: None });
                        }
                        if state.is_forgotten(options, at_us) {
                            self.states.remove(&key);
                        }
                    }
                }
            }
        }
        events
    }

    /// The keys of what is raised now.
    pub fn raised(&self) -> impl Iterator<Item = &str> {
        self.states.iter().filter(|(_, state)| state.is_raised).map(|(key, _)| key.as_str())
    }
}

impl State {
    /// Another window alarmed. True when somebody should be told.
    fn alarm(&mut self, options: &MonitorOptions, at_us: i64) -> bool {
        self.alarming = self.alarming.saturating_add(1);
        self.fine = 0;
        if self.is_raised || self.alarming < options.windows_in || !self.is_cool(options, at_us) {
            return false;
        }
        self.is_raised = true;
        self.told_us = Some(at_us);
        true
    }

    /// Another window was fine. True when somebody should be told.
    fn fine(&mut self, options: &MonitorOptions) -> bool {
        self.fine = self.fine.saturating_add(1);
        self.alarming = 0;
        let is_over = self.is_raised && self.fine >= options.windows_out;
        self.is_raised &= !is_over;
        is_over
    }

    /// Whether so much time went by that the same may be told again.
    fn is_cool(&mut self, options: &MonitorOptions, at_us: i64) -> bool {
        let Some(told_us) = self.told_us.as_mut() else { return true };
        *told_us = (*told_us).min(at_us);
        at_us.saturating_sub(*told_us) >= options.cooldown_us
    }

    fn is_forgotten(&mut self, options: &MonitorOptions, at_us: i64) -> bool {
        !self.is_raised && self.is_cool(options, at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{REPORT_VERSION, Subject, TestRow};

    const HOUR: i64 = 3_600_000_000;

    /// A report with one test.
    fn report(verdict: Verdict) -> Report {
        let test = TestRow {
            subject: Subject::Input,
            column: "age".into(),
            test: "ks".into(),
            statistic: 0.3,
            effect: 0.3,
            threshold: 0.1,
            p: Some(0.0),
            p_corrected: Some(0.0),
            verdict,
            change: "mean 1 -> 2".into(),
        };
        let told = Alarm { key: test.key(), what: "age moved".into(), stake: String::new(), advice: String::new() };
        let alarms = if verdict == Verdict::Alarm { vec![told] } else { vec![] };
        Report {
            version: REPORT_VERSION,
            period: None,
            rows: 1,
            reference_rows: 1,
            alpha: 0.01,
            tests: vec![test],
            targets: vec![],
            alarms,
        }
    }

    /// `A`larm, `f`ine, `u`nknown, one an hour, where each `<` puts the clock back by two; out come `R`aised, `O`ver, and `.`.
    fn check(options: &MonitorOptions, windows: &str, wanted: &str) {
        let mut alarms = Alarms::default();
        let (mut at, mut found) = (0, String::new());
        for window in windows.chars() {
            let verdict = match window {
                'A' => Verdict::Alarm,
                'f' => Verdict::Fine,
                'u' => Verdict::Unknown,
                _ => {
                    at -= 2 * HOUR;
                    continue;
                }
            };
            at += HOUR;
            let events = alarms.step(&report(verdict), options, at);
            assert!(events.iter().all(|event| event.at_us == at && event.key == "input.age.ks"));
            assert!(events.iter().all(|event| event.alarm.is_some() == (event.kind == AlarmKind::Raised)));
            found.push(match events.first().map(|event| event.kind) {
                Some(AlarmKind::Raised) => 'R',
                Some(AlarmKind::Over) => 'O',
                None => '.',
            });
            let text = serde_json::to_string(&alarms).unwrap();
            alarms = serde_json::from_str(&text).unwrap();
        }
        assert_eq!(found, wanted, "{windows}");
    }

    #[test]
    fn alarms_wait_stay_and_cool_down() {
        let options = MonitorOptions { windows_in: 2, windows_out: 3, cooldown_us: 0, ..MonitorOptions::default() };
        check(&options, "fAfAfA", "......");
        check(&options, "AAAAA", ".R...");
        check(&options, "AAfAffAfffAA", ".R.......O.R");
        check(&options, "AuuAuffuf", "...R....O");
        let once = MonitorOptions { windows_in: 1, windows_out: 1, cooldown_us: 5 * HOUR, ..options.clone() };
        check(&once, "AfAfAfAfA", "RO....RO.");
        check(&once, "AAAAAAAAA", "R........");
        let never = MonitorOptions { cooldown_us: i64::MAX, ..once.clone() };
        check(&never, "AfAfAf", "RO....");
    }

    #[test]
    fn a_clock_that_goes_back_makes_a_cool_down_longer_by_as_much() {
        let options = MonitorOptions { windows_in: 1, windows_out: 1, cooldown_us: 4 * HOUR, ..MonitorOptions::default() };
        check(&options, "fAfAAAA", ".RO..R.");
        check(&options, "fAf<<AAAAAA", ".RO....R.");
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let options = MonitorOptions { windows_in: 1, windows_out: 1, cooldown_us: 2 * HOUR, ..MonitorOptions::default() };
        let mut alarms = Alarms::default();
        alarms.step(&report(Verdict::Alarm), &options, 0);
        assert_eq!(alarms.raised().collect::<Vec<_>>(), ["input.age.ks"]);
        alarms.step(&report(Verdict::Fine), &options, HOUR);
        assert_eq!((alarms.raised().count(), alarms.states.len()), (0, 1));
        alarms.step(&report(Verdict::Fine), &options, 3 * HOUR);
        assert!(alarms.states.is_empty());
    }
}
