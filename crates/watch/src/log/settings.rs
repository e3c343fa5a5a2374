//! What may be said about the log.

use crate::{Durability, Error, Result};
use cupola_task::{Range, Setting, Settings, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Nowhere.
    Off,
    /// Beside the model in the registry.
    Own,
    /// Into a folder, below the model's name.
    Folder(PathBuf),
}

impl LogTo {
    /// The folder of a model's log; `deploy` is that of deployed models.
    pub fn folder(&self, deploy: &Path, name: &str) -> Option<PathBuf> {
        match self {
            LogTo::Off => None,
            LogTo::Own => Some(deploy.join(name).join("log")),
            LogTo::Folder(folder) => Some(folder.join(name)),
        }
    }
}

/// How to log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogOptions {
    /// Where to.
    pub to: LogTo,
    /// Which share of requests is kept; the request's id decides.
    pub sample: f64,
    /// Inputs whose values are not kept.
    pub redact: Vec<String>,
    /// What a logged answer outlives.
    pub durability: Durability,
    /// How many bytes may wait to be written.
    pub buffer_bytes: usize,
    /// How long an answer waits for its line to be kept.
    pub wait: Duration,
    /// After how many bytes a segment is done.
    pub segment_bytes: u64,
    /// After how long a segment is done.
    pub segment_time: Duration,
    /// After how many days a day is removed; 0: never.
    pub retain_days: i64,
    /// After how many days single inputs are removed.
    pub retain: BTreeMap<String, i64>,
}

/// The keys of `[serve.log]`.
pub const LOG: &[Setting] = &[
    Setting {
        name: "to",
        alias: &["dir"],
        default: "off",
        range: Range::Any(&[Range::Flag, Range::Text]),
        doc: "where predictions are logged: off, on (beside the model in deploy/), or a folder",
    },
    Setting {
        name: "sample",
        alias: &[],
        default: "1.0",
        range: Range::Real { min: 0.0, max: 1.0 },
        doc: "the share of requests that is logged; the request's id decides",
    },
    Setting { name: "redact", alias: &[], default: "[]", range: Range::List(&Range::Text), doc: "inputs whose values are never written" },
    Setting {
        name: "durability",
        alias: &[],
        default: "process",
        range: Range::Choice(&["process", "power"]),
        doc: "what a logged answer outlives: the end of the process, or a loss of power too (answers wait for the disk together)",
    },
    Setting {
        name: "buffer_bytes",
        alias: &[],
        default: "16777216",
        range: Range::Integer { min: 1024, max: 1 << 36 },
        doc: "how many bytes may wait to be written; what does not fit is answered and not logged",
    },
    Setting {
        name: "wait_ms",
        alias: &[],
        default: "100",
        range: Range::Real { min: 0.1, max: 60_000.0 },
        doc: "milliseconds an answer waits for its line to be kept before it says logged: false",
    },
    Setting {
        name: "segment_bytes",
        alias: &[],
        default: "33554432",
        range: Range::Integer { min: 1024, max: 1 << 36 },
        doc: "after how many bytes a segment becomes a Parquet file",
    },
    Setting {
        name: "segment_s",
        alias: &[],
        default: "3600",
        range: Range::Real { min: 0.05, max: 86_400.0 },
        doc: "after how many seconds a segment becomes a Parquet file; it does so at midnight (UTC), too",
    },
    Setting {
        name: "retain_days",
        alias: &[],
        default: "0",
        range: Range::Integer { min: 0, max: 36_500 },
        doc: "after how many days a day's rows are removed; 0: never",
    },
    Setting {
        name: "retain",
        alias: &[],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "inputs whose values are removed sooner, as [\"note=7\", \"age=30\"] (days)",
    },
];

impl LogOptions {
    /// Takes what was said; the settings were checked against [`LOG`].
    ///
    /// # Errors
    /// When an entry of `retain` is not a column and days.
    pub fn from_settings(settings: &Settings) -> Result<LogOptions> {
        let wrong = |entry: &str| Error::refused("setting log.retain", format!("{entry:?}"), "COLUMN=DAYS");
        let retain = settings.texts("retain").into_iter().map(|entry| {
            let days = entry.rsplit_once('=').and_then(|(column, days)| Some((column.to_owned(), days.trim().parse().ok()?)));
            days.filter(|(_, days): &(String, i64)| *days >= 0).ok_or_else(|| wrong(&entry))
        });
        Ok(LogOptions {
            to: match settings.value("to") {
                Value::Flag(true) => LogTo::Own,
                Value::Text(text) if text == "on" => LogTo::Own,
                Value::Text(text) if text != "off" && !text.is_empty() => LogTo::Folder(text.into()),
                _ => LogTo::Off,
            },
            sample: settings.real("sample"),
            redact: settings.texts("redact"),
            durability: if settings.text("durability") == "power" { Durability::Power } else { Durability::Process },
            buffer_bytes: settings.integer("buffer_bytes").unsigned_abs() as usize,
            wait: Duration::from_secs_f64(settings.real("wait_ms") / 1000.0),
            segment_bytes: settings.integer("segment_bytes").unsigned_abs(),
            segment_time: Duration::from_secs_f64(settings.real("segment_s")),
            retain_days: settings.integer("retain_days"),
            retain: retain.collect::<Result<_>>()?,
        })
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        let settings = Settings::check("log", LOG, []).expect("defaults are in range");
        LogOptions::from_settings(&settings).expect("defaults make options")
    }
}
