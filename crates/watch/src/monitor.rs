//! How to watch: the settings of `[monitor]`.

use crate::drift;
use crate::policy::time_us;
use crate::{Error, Result};
use cupola_task::{Range, Setting, Settings, Value};

/// The keys of `[monitor]`.
pub const MONITOR: &[Setting] = &[
    Setting {
        name: "window",
        alias: &["chunk"],
        default: "1d",
        range: Range::Any(&[Range::Integer { min: 1, max: 1 << 40 }, Range::Text]),
        doc: "how long a window is: a time (30m, 6h, 1d, 2w), or a number of rows",
    },
    Setting {
        name: "drift",
        alias: &["test"],
        default: "auto",
        range: Range::Choice(&["auto", "off", "ks", "chi2", "psi", "wasserstein", "jensen_shannon"]),
        doc: "the statistic of each column: auto is ks for numbers, dates, texts and images, chi2 for categories; where it does not suit, auto",
    },
    Setting {
        name: "alpha",
        alias: &[],
        default: "0.01",
        range: Range::Real { min: 1e-9, max: 0.5 },
        doc: "at most this share of windows alarms when nothing changed, all tests together",
    },
    Setting {
        name: "threshold",
        alias: &[],
        default: "0.0",
        range: Range::Real { min: 0.0, max: 1e9 },
        doc: "the smallest drift that matters, in the statistic's own terms; 0: the statistic's default",
    },
    Setting {
        name: "quality_loss",
        alias: &[],
        default: "0.05",
        range: Range::Real { min: 0.0, max: 1e9 },
        doc: "the smallest loss of quality that matters, as a share of the quality when the model was made",
    },
    Setting {
        name: "rows",
        alias: &[],
        default: "true",
        range: Range::Flag,
        doc: "whether the model file keeps 1,000 training rows as cells (32 an input at most): the domain classifier needs them; golden=off leaves them out, too",
    },
    Setting {
        name: "min_rows",
        alias: &[],
        default: "100",
        range: Range::Integer { min: 1, max: 1 << 40 },
        doc: "of fewer rows nothing is said",
    },
    Setting {
        name: "correction",
        alias: &[],
        default: "holm",
        range: Range::Choice(&["holm", "bh", "none"]),
        doc: "for many tests: holm (any false alarm), bh (Benjamini-Hochberg: the share of false alarms), none",
    },
    Setting {
        name: "windows_in",
        alias: &[],
        default: "2",
        range: Range::Integer { min: 1, max: 1000 },
        doc: "so many windows one after another must alarm before anybody is told",
    },
    Setting {
        name: "windows_out",
        alias: &[],
        default: "2",
        range: Range::Integer { min: 1, max: 1000 },
        doc: "so many windows one after another must be fine before an alarm is over",
    },
    Setting {
        name: "cooldown",
        alias: &[],
        default: "1d",
        range: Range::Any(&[Range::Integer { min: 0, max: 0 }, Range::Text]),
        doc: "how long after somebody was told of something nobody is told of the same again",
    },
];

/// How long a window is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowLength {
    /// So many rows.
    Rows(u64),
    /// So many microseconds.
    Time(i64),
}

/// How many tests are made up for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Correction {
    /// Holm's: the chance of any false alarm is at most alpha ("A simple sequentially rejective multiple test procedure", 1979).
    Holm,
    /// Benjamini and Hochberg's: of the alarms at most this share is false, on average ("Controlling the false discovery rate", 1995).
    BenjaminiHochberg,
    /// Each test alone.
    None,
}

/// How to watch.
#[derive(Clone, Debug)]
pub struct MonitorOptions {
    /// How long a window is.
    pub window: WindowLength,
    /// The statistic of each column; none: what suits it.
    pub drift: Option<drift::DriftDef>,
    /// Whether drift is looked for.
    pub is_drift_on: bool,
    /// At most this share of windows alarms when nothing changed.
    pub alpha: f64,
    /// The smallest drift that matters; none: the statistic's own.
    pub threshold: Option<f64>,
    /// The smallest loss of quality that matters, as a share.
    pub quality_loss: f64,
    /// Of fewer rows nothing is said.
    pub min_rows: u64,
    /// How many tests are made up for.
    pub correction: Correction,
    /// After how many windows an alarm is raised.
    pub windows_in: u32,
    /// After how many windows it is over.
    pub windows_out: u32,
    /// How many microseconds nobody is told of the same again.
    pub cooldown_us: i64,
}

impl MonitorOptions {
    /// Takes what was said; the settings were checked against [`MONITOR`].
    ///
    /// # Errors
    /// When a time is none.
    pub fn from_settings(settings: &Settings) -> Result<MonitorOptions> {
        let time = |name: &str, text: &str| {
            let wrong = || Error::refused(format!("setting monitor.{name}"), format!("{text:?}"), "a time such as 30m, 6h or 1d");
            time_us(text).ok_or_else(wrong)
        };
        let window = match settings.value("window") {
            Value::Integer(rows) => WindowLength::Rows(rows.unsigned_abs()),
            other => match time("window", &text(other))? {
                0 => return Err(Error::refused("setting monitor.window", 0, "a time that is not nothing")),
                length => WindowLength::Time(length),
            },
        };
        let cooldown_us = match settings.value("cooldown") {
            Value::Integer(_) => 0,
            other => time("cooldown", &text(other))?,
        };
        let windows = |name: &str| u32::try_from(settings.integer(name)).unwrap_or(u32::MAX);
        Ok(MonitorOptions {
            window,
            drift: drift::find(settings.text("drift")),
            is_drift_on: settings.text("drift") != "off",
            alpha: settings.real("alpha"),
            threshold: Some(settings.real("threshold")).filter(|threshold| *threshold > 0.0),
            quality_loss: settings.real("quality_loss"),
            min_rows: settings.integer("min_rows").unsigned_abs(),
            correction: match settings.text("correction") {
                "holm" => Correction::Holm,
                "bh" => Correction::BenjaminiHochberg,
                _ => Correction::None,
            },
            windows_in: windows("windows_in"),
            windows_out: windows("windows_out"),
            cooldown_us,
        })
    }
}

impl MonitorOptions {
    /// What a model's recipe says of watching, and before it what somebody said now.
    ///
    /// # Errors
    /// When a key is none, or its value is out of range.
    pub fn over(recipe: &Settings, said: &[(String, Value)]) -> Result<MonitorOptions> {
        let is_said = |name: &str| said.iter().any(|(key, _)| setting(key).is_some_and(|setting| setting.name == name));
        let rest = recipe.iter().filter(|(name, _)| !is_said(name));
        let all = rest.chain(said.iter().map(|(key, value)| (key.as_str(), value)));
        MonitorOptions::from_settings(&Settings::check("monitor", MONITOR, all)?)
    }
}

/// The key of `[monitor]` that is called so.
pub fn setting(name: &str) -> Option<&'static Setting> {
    MONITOR.iter().find(|setting| setting.name == name || setting.alias.contains(&name))
}

impl Default for MonitorOptions {
    fn default() -> Self {
        let settings = Settings::check("monitor", MONITOR, []).expect("defaults are in range");
        MonitorOptions::from_settings(&settings).expect("defaults make options")
    }
}

fn text(value: &Value) -> String {
    if let Value::Text(text) = value { text.clone() } else { value.to_string() }
}

impl Correction {
    /// P-values that may be held against alpha, in the order given.
    pub fn apply(self, ps: &[f64]) -> Vec<f64> {
        let mut order: Vec<usize> = (0..ps.len()).collect();
        order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
        let count = ps.len() as f64;
        let mut corrected = ps.to_vec();
        match self {
            Correction::None => {}
            Correction::Holm => {
                let mut most = 0f64;
                for (place, &at) in order.iter().enumerate() {
                    most = most.max(ps[at] * (count - place as f64)).min(1.0);
                    corrected[at] = most;
                }
            }
            Correction::BenjaminiHochberg => {
                let mut least = 1f64;
                for (place, &at) in order.iter().enumerate().rev() {
                    least = least.min(ps[at] * count / (place + 1) as f64);
                    corrected[at] = least;
                }
            }
        }
        corrected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `statsmodels.stats.multitest.multipletests`.
    #[test]
    fn corrections_equal_statsmodels() {
        let ps = [0.01, 0.04, 0.03, 0.005];
        let close = |a: Vec<f64>, b: [f64; 4]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(Correction::Holm.apply(&ps), [0.03, 0.06, 0.06, 0.02]));
        assert!(close(Correction::BenjaminiHochberg.apply(&ps), [0.02, 0.04, 0.04, 0.02]));
        assert_eq!(Correction::None.apply(&ps), ps);
        assert!(Correction::Holm.apply(&[]).is_empty());
    }

    #[test]
    fn settings_become_options() {
        let check = |given: &[(&str, &str)]| {
            let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
            let settings = Settings::check("monitor", MONITOR, values.iter().map(|(name, value)| (*name, value)))?;
            MonitorOptions::from_settings(&settings)
        };
        let options = check(&[("window", "500"), ("drift", "psi"), ("cooldown", "0"), ("threshold", "0.2")]).unwrap();
        assert_eq!((options.window, options.cooldown_us, options.threshold), (WindowLength::Rows(500), 0, Some(0.2)));
        assert_eq!(options.drift.map(|def| def.name), Some("psi"));
        assert_eq!(MonitorOptions::default().window, WindowLength::Time(86_400_000_000));
        for (name, value) in [("window", "soon"), ("window", "0h"), ("cooldown", "never"), ("drift", "rows")] {
            assert!(check(&[(name, value)]).is_err(), "{name} = {value}");
        }
    }
}
