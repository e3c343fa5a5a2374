//! When a model is trained again, and what its challenger must show: the recipe's `[retrain]`. Only decisions; what they are made from comes in as
//! numbers.

use crate::measure::{OF_CLASSES, OF_NUMBERS, Quality};
use crate::report::{Subject, TestRow, Verdict};
use crate::watcher::State;
use crate::{Error, Result};
use cupola_task::{Range, Setting, Settings};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Who promotes a challenger that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing happens unless somebody asks for it.
    Off,
    /// Challengers are trained and tried; people promote.
    Suggest,
    /// Challengers that pass every gate are promoted.
    Auto,
}

/// What makes a retraining due.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// So many answers were labelled since the champion was added.
    Labels(u64),
    /// So many microseconds have passed since then.
    Every(i64),
    /// The monitor has raised an alarm that is not over.
    Alarm,
    /// Of the inputs more than this share drifts in the newest window.
    DriftShare(f64),
    /// A measure on the newest window, labelled or expected, is on this side of a value.
    Quality {
        /// The measure.
        metric: String,
        /// Whether less than the value fires; else more does.
        is_below: bool,
        /// The value.
        value: f64,
    },
}

/// What triggers are held against.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signs {
    /// Answers that were labelled since the champion was added.
    pub labels_new: u64,
    /// Microseconds since the champion was added.
    pub age_us: i64,
    /// The keys of the alarms that are raised.
    pub alarms: Vec<String>,
    /// Since when something alarms that is raised now: the begin of the first such window.
    pub moved_us: Option<i64>,
    /// The share of inputs that drift, where a window was looked at.
    pub drift_share: Option<f64>,
    /// Measures on the newest window: by labels, and after these as they are expected without.
    pub quality: Vec<Quality>,
}

impl Signs {
    /// Adds what the monitor has seen.
    #[must_use]
    pub fn with(self, state: &State) -> Signs {
        let signs = Signs { alarms: state.raised(), moved_us: state.moved_us(), ..self };
        let Some(report) = &state.history().last else { return signs };
        let inputs: Vec<&TestRow> =
            report.tests.iter().filter(|test| test.subject == Subject::Input && test.verdict != Verdict::Unknown).collect();
        let drifting = inputs.iter().filter(|test| test.verdict == Verdict::Alarm).count();
        let live = report.targets.iter().flat_map(|target| &target.live);
        let estimated = report.targets.iter().flat_map(|target| &target.estimated);
        Signs {
            drift_share: (!inputs.is_empty()).then(|| drifting as f64 / inputs.len() as f64),
            quality: live.chain(estimated).cloned().collect(),
            ..signs
        }
    }
}

/// The checked `[retrain]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Who promotes.
    pub mode: Mode,
    /// What makes a retraining due: any of them.
    pub when: Vec<Trigger>,
    /// Rows of the log that are looked at, back from now, in microseconds.
    pub window_us: i64,
    /// Whether the champion's own training rows are learned from, too.
    pub with_train: bool,
    /// Labelled rows that are needed at least.
    pub min_labels: u64,
    /// The newest share of labelled rows, which is never learned from: the backtest.
    pub holdout: f64,
    /// Whether a challenger begins from the champion's weights.
    pub is_warm: bool,
    /// How long a challenger may be trained; none: as its recipe says.
    pub budget: Option<Duration>,
    /// Between two retrainings, in microseconds.
    pub cooldown_us: i64,
    /// The level of every interval and test.
    pub level: f64,
    /// How much a measure may fall on the test rows of the champion's own training.
    pub anchor_drop: f64,
    /// How much a measure may fall on a slice of the rows.
    pub slice_drop: f64,
    /// The share of the skill shown in training that must be reached on the newest rows.
    pub attain: f64,
    /// How many times the champion's time an answer may take.
    pub latency_ratio: f64,
    /// Answers in the shadow before a challenger is decided on.
    pub shadow_rows: u64,
}

/// Seconds, or a number with its unit.
const TIME: Range = Range::Any(&[Range::Real { min: 0.0, max: 1e10 }, Range::Text]);

/// The keys of `[retrain]`.
pub const RETRAIN: &[Setting] = &[
    Setting {
        name: "mode",
        alias: &[],
        default: "suggest",
        range: Range::Choice(&["off", "suggest", "auto"]),
        doc: "What `cupola retrain` does by itself: nothing, train and try challengers, or promote those that pass, too.",
    },
    Setting {
        name: "when",
        alias: &[],
        default: "[labels > 1000]",
        range: Range::List(&Range::Text),
        doc: "What makes a retraining due, any of: labels > 5000 and every 30d, both counted since the champion was added; alarm, when the monitor has raised one; drift.share > 0.3, of the inputs; perf.f1 < 0.68, labelled or expected.",
    },
    Setting { name: "window", alias: &[], default: "90d", range: TIME, doc: "How far back the log is learned from, in seconds or as 90d." },
    Setting {
        name: "data",
        alias: &[],
        default: "train+log",
        range: Range::Choice(&["train+log", "log"]),
        doc: "What a challenger learns from: the champion's training data and labelled rows of the log, or these alone.",
    },
    Setting {
        name: "min_labels",
        alias: &[],
        default: "200",
        range: Range::Integer { min: 20, max: i64::MAX },
        doc: "Labelled rows of the log that are needed at least.",
    },
    Setting {
        name: "holdout",
        alias: &[],
        default: "0.3",
        range: Range::Real { min: 0.05, max: 0.9 },
        doc: "The newest share of the labelled rows, which no challenger learns from: champion and challenger are compared on it.",
    },
    Setting {
        name: "start",
        alias: &[],
        default: "cold",
        range: Range::Choice(&["cold", "warm"]),
        doc: "What a challenger begins from: nothing, or the champion: a network from its weights, gbdt behind its trees.",
    },
    Setting {
        name: "budget",
        alias: &[],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), TIME]),
        doc: "How long a challenger may be trained, in seconds or as 10m; auto: as the recipe's time says.",
    },
    Setting { name: "cooldown", alias: &[], default: "1d", range: TIME, doc: "Time between two retrainings, in seconds or as 12h." },
    Setting {
        name: "level",
        alias: &[],
        default: "0.95",
        range: Range::Real { min: 0.5, max: 0.999 },
        doc: "The level at which a challenger must be better.",
    },
    Setting {
        name: "anchor_drop",
        alias: &[],
        default: "0.02",
        range: Range::Real { min: 0.0, max: 10.0 },
        doc: "How much the main measure may fall on the test rows of the first training, as a share of its value.",
    },
    Setting {
        name: "slice_drop",
        alias: &[],
        default: "0.05",
        range: Range::Real { min: 0.0, max: 10.0 },
        doc: "How much accuracy (or the share by which the mean absolute error) may get worse on a slice of the rows.",
    },
    Setting {
        name: "attain",
        alias: &[],
        default: "0.7",
        range: Range::Real { min: 0.0, max: 1.0 },
        doc: "The share of the champion's skill in training that a challenger must reach on the newest rows: labels that are noise cannot be learned.",
    },
    Setting {
        name: "latency_ratio",
        alias: &[],
        default: "2.0",
        range: Range::Real { min: 0.1, max: 1000.0 },
        doc: "How many times the champion's median time a challenger's answer may take.",
    },
    Setting {
        name: "shadow_rows",
        alias: &[],
        default: "200",
        range: Range::Integer { min: 0, max: i64::MAX },
        doc: "Answers in the shadow of live requests before a challenger is decided on; 0: the backtest alone decides.",
    },
];

/// A retraining that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The trigger that is met, with its numbers.
    pub why: String,
    /// What moved did so from here on: who learns from nothing newer learns nothing of it.
    pub since_us: Option<i64>,
}

impl Policy {
    /// Takes what the recipe says; the settings were checked against [`RETRAIN`].
    ///
    /// # Errors
    /// When a time or a trigger cannot be read.
    pub fn from_settings(settings: &Settings) -> Result<Policy> {
        let time = |name: &str| {
            let found = settings.value(name);
            let time = settings.try_real(name).map(|seconds| (seconds * 1e6) as i64).or_else(|| time_us(settings.try_text(name)?));
            time.ok_or_else(|| Error::refused(format!("setting retrain.{name}"), found, "a time, as 12h or 90d"))
        };
        Ok(Policy {
            mode: match settings.text("mode") {
                "off" => Mode::Off,
                "auto" => Mode::Auto,
                _ => Mode::Suggest,
            },
            when: settings.texts("when").iter().map(|text| Trigger::parse(text)).collect::<Result<_>>()?,
            window_us: time("window")?,
            with_train: settings.text("data") != "log",
            min_labels: settings.integer("min_labels").unsigned_abs(),
            holdout: settings.real("holdout"),
            is_warm: settings.text("start") == "warm",
            budget: match settings.try_text("budget") {
                Some("auto") => None,
                _ => Some(Duration::from_micros(time("budget")?.unsigned_abs())),
            },
            cooldown_us: time("cooldown")?,
            level: settings.real("level"),
            anchor_drop: settings.real("anchor_drop"),
            slice_drop: settings.real("slice_drop"),
            attain: settings.real("attain"),
            latency_ratio: settings.real("latency_ratio"),
            shadow_rows: settings.integer("shadow_rows").unsigned_abs(),
        })
    }

    /// Why a retraining is due; none when it is not.
    pub fn due(&self, signs: &Signs) -> Option<Due> {
        self.when.iter().find_map(|trigger| {
            let is_of_monitor = matches!(trigger, Trigger::Alarm | Trigger::DriftShare(_));
            let since_us = signs.moved_us.filter(|_| is_of_monitor);
            trigger.fires(signs).map(|why| Due { why, since_us })
        })
    }
}

impl Default for Policy {
    fn default() -> Self {
        let settings = Settings::check("retrain", RETRAIN, []).expect("defaults are in range");
        Policy::from_settings(&settings).expect("defaults make a policy")
    }
}

impl Trigger {
    /// Reads one trigger.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Trigger> {
        let wrong = || {
            let error = Error::refused("setting retrain.when", format!("{text:?}"), "a trigger");
            error.with_hint("labels > 5000, every 30d, alarm, drift.share > 0.3, perf.f1 < 0.68")
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["every", time] => Trigger::Every(time_us(time).ok_or_else(wrong)?),
            ["alarm"] => Trigger::Alarm,
            ["labels" | "labels.new", ">", count] => Trigger::Labels(count.parse().map_err(|_| wrong())?),
            ["drift.share", ">", share] => Trigger::DriftShare(number(share).ok_or_else(wrong)?),
            [perf, sign @ ("<" | ">"), value] => {
                let metric = perf.strip_prefix("perf.").ok_or_else(wrong)?;
                let value = number(value).ok_or_else(wrong)?;
                Trigger::Quality { metric: measured(metric)?.to_owned(), is_below: sign == "<", value }
            }
            _ => return Err(wrong()),
        })
    }

    fn fires(&self, signs: &Signs) -> Option<String> {
        match self {
            Trigger::Labels(count) => {
                (signs.labels_new > *count).then(|| format!("{} labels are new, {count} were waited for", signs.labels_new))
            }
            Trigger::Every(time) => {
                (signs.age_us >= *time).then(|| format!("the champion is {} old, {} were allowed", days(signs.age_us), days(*time)))
            }
            Trigger::Alarm => (!signs.alarms.is_empty()).then(|| format!("raised is {}", signs.alarms.join(", "))),
            Trigger::DriftShare(share) => signs
                .drift_share
                .filter(|found| found > share)
                .map(|found| format!("{:.0} % of the inputs drift, {:.0} % were allowed", found * 100.0, share * 100.0)),
            Trigger::Quality { metric, is_below, value } => {
                let found = signs.quality.iter().find(|quality| quality.metric == *metric)?;
                let fires = if *is_below { found.value < *value } else { found.value > *value };
                fires
                    .then(|| format!("{} on the newest window, {} {value} was waited for", found.text(), if *is_below { "<" } else { ">" }))
            }
        }
    }
}

impl fmt::Display for Trigger {
    /// As the recipe writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Labels(count) => write!(f, "labels > {count}"),
            Trigger::Every(time) => write!(f, "every {}", days(*time)),
            Trigger::Alarm => f.write_str("alarm"),
            Trigger::DriftShare(share) => write!(f, "drift.share > {share}"),
            Trigger::Quality { metric, is_below, value } => write!(f, "perf.{metric} {} {value}", if *is_below { "<" } else { ">" }),
        }
    }
}

/// A measure of the monitor, by its name or another that the field has for it.
fn measured(name: &str) -> Result<&'static str> {
    let all = || OF_CLASSES.into_iter().chain(OF_NUMBERS);
    let known = cupola_metrics::find(name).map_or(name, |def| def.name);
    all().find(|measure| *measure == known).ok_or_else(|| {
        let error = Error::refused("setting retrain.when", format!("the measure {name}"), "a measure of the monitor");
        error.with_hint(
            cupola_task::nearest(name, all()).map_or_else(|| all().collect::<Vec<_>>().join(", "), |near| format!("did you mean {near}?")),
        )
    })
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A time in microseconds.
pub(crate) fn time_us(text: &str) -> Option<i64> {
    cupola_task::duration(text).map(|time| time.as_micros() as i64)
}

fn days(time_us: i64) -> String {
    let days = time_us as f64 / 86_400e6;
    if days >= 1.0 { format!("{days:.1}d") } else { format!("{:.1}h", days * 24.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Fault;

    #[test]
    fn triggers_are_read_and_fire() {
        let quality = |metric: &str| Quality { metric: metric.into(), is_score: true, value: 0.6, low: 0.5, high: 0.7, rows: 100 };
        let signs = Signs {
            labels_new: 6000,
            age_us: 31 * 86_400_000_000,
            alarms: vec!["input.age.ks".into()],
            moved_us: Some(7),
            drift_share: Some(0.5),
            quality: vec![quality("f1"), quality("mae")],
        };
        for text in ["labels > 5000", "every 30.0d", "alarm", "drift.share > 0.3", "perf.f1 < 0.68", "perf.mae > 0.5"] {
            let trigger = Trigger::parse(text).unwrap();
            assert_eq!(trigger.to_string(), text);
            assert!(trigger.fires(&signs).is_some() && trigger.fires(&Signs::default()).is_none(), "{text}");
        }
        assert!(Trigger::parse("labels > 6000").unwrap().fires(&signs).is_none());
        assert!(Trigger::parse("perf.f1 < 0.5").unwrap().fires(&signs).is_none());
        assert_eq!(Trigger::parse("perf.f2 < 0.5").unwrap_err().hint().unwrap(), "did you mean f1?");
        for text in ["", "labels", "every day", "alarms", "labels > many", "perf.f1 < none"] {
            assert!(Trigger::parse(text).unwrap_err().hint().unwrap().contains("every 30d"), "{text}");
        }
        let due = |when: Vec<Trigger>| Policy { when, ..Policy::default() }.due(&signs).unwrap();
        assert_eq!(due(Policy::default().when), Due { why: "6000 labels are new, 1000 were waited for".into(), since_us: None });
        assert_eq!(due(vec![Trigger::Alarm]), Due { why: "raised is input.age.ks".into(), since_us: Some(7) });
    }
}
