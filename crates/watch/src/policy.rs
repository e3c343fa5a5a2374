//! When a model is trained again, and what its challenger must show: the recipe's `[retrain]`. Only decisions; what they are made from comes in as
//! numbers.

use crate::{Error, Result};
use cupola_task::{Range, Setting, Settings};
use serde::Serialize;
use std::fmt;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// So many answers were labelled since the champion was added.
    Labels(u64),
    /// So many microseconds have passed since then.
    Every(i64),
}

/// What triggers are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// Answers that were labelled since the champion was added.
    pub labels_new: u64,
    /// Microseconds since the champion was added.
    pub age_us: i64,
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
        doc: "What makes a retraining due, any of: labels > 5000, every 30d, both counted since the champion was added.",
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
    pub fn due(&self, signs: &Signs) -> Option<String> {
        self.when.iter().find_map(|trigger| trigger.fires(signs))
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
            error.with_hint("labels > 5000, every 30d")
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        Ok(match words[..] {
            ["every", time] => Trigger::Every(time_us(time).ok_or_else(wrong)?),
            ["labels", ">", count] => Trigger::Labels(count.parse().map_err(|_| wrong())?),
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
        }
    }
}

impl fmt::Display for Trigger {
    /// As the recipe writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Labels(count) => write!(f, "labels > {count}"),
            Trigger::Every(time) => write!(f, "every {}", days(*time)),
        }
    }
}

/// A time in microseconds.
fn time_us(text: &str) -> Option<i64> {
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
        let signs = Signs { labels_new: 6000, age_us: 31 * 86_400_000_000 };
        for text in ["labels > 5000", "every 30.0d"] {
            let trigger = Trigger::parse(text).unwrap();
            assert_eq!(trigger.to_string(), text);
            assert!(trigger.fires(&signs).is_some() && trigger.fires(&Signs::default()).is_none(), "{text}");
        }
        assert!(Trigger::parse("labels > 6000").unwrap().fires(&signs).is_none());
        for text in ["", "labels", "every day", "alarm", "labels > many"] {
            assert!(Trigger::parse(text).unwrap_err().hint().unwrap().contains("every 30d"), "{text}");
        }
        assert_eq!(Policy::default().due(&signs).as_deref(), Some("6000 labels are new, 1000 were waited for"));
    }
}
