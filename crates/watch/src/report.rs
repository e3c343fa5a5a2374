//! What watching found: every test with its numbers, and for people what moved, whether quality is at stake, and what to do.

use crate::measure::Quality;
use crate::write_moment;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The version of what is written.
pub const REPORT_VERSION: u32 = 1;

/// What watching a window found; `cupola monitor --json` prints it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The version of this layout.
    pub version: u32,
    /// The first and the last moment of the window, in microseconds since 1970, where they are known.
    pub period: Option<[i64; 2]>,
    /// How many rows the window has.
    pub rows: u64,
    /// How many rows the reference has.
    pub reference_rows: u64,
    /// At most this share of windows alarms when nothing changed.
    pub alpha: f64,
    /// All tests.
    pub tests: Vec<TestRow>,
    /// What is known of quality, target by target.
    pub targets: Vec<TargetReport>,
    /// For each test that alarms what to make of it, what weighs most first.
    pub alarms: Vec<Alarm>,
}

/// What a test is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Quality on labelled rows.
    Live,
    /// Quality without labels.
    Estimated,
    /// Quality of a slice of labelled rows.
    Slice,
    /// Quality of a group that must be treated alike.
    Group,
    /// Whether a column holds what it should.
    Data,
    /// How an input is spread.
    Input,
    /// How answers are spread.
    Answer,
    /// How the truth is spread.
    Label,
    /// All inputs together.
    Rows,
}

/// What a test says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing that matters, or nothing that chance does not do.
    Fine,
    /// More than the threshold, and more than chance.
    Alarm,
    /// Too few rows to say.
    Unknown,
}

/// A test.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TestRow {
    /// What it is about.
    pub subject: Subject,
    /// The column, the target, or the slice.
    pub column: String,
    /// The test's name.
    pub test: String,
    /// Its statistic.
    pub statistic: f64,
    /// What is held against the threshold.
    pub effect: f64,
    /// From which effect on it matters.
    pub threshold: f64,
    /// The chance of this when nothing changed; none where it is not known.
    pub p: Option<f64>,
    /// The same, corrected for how many tests there are: this is held against alpha.
    pub p_corrected: Option<f64>,
    /// What it says.
    pub verdict: Verdict,
    /// What it was and what it is.
    pub change: String,
}

/// What is known of a target's quality.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TargetReport {
    /// Its name.
    pub target: String,
    /// On rows the model never learned from, when it was made.
    pub reference: Vec<Quality>,
    /// On the window's labelled rows.
    pub live: Vec<Quality>,
    /// On all of the window's rows, without labels.
    pub estimated: Vec<Quality>,
}

/// What to make of a test that alarms.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alarm {
    /// `subject.column.test`, by which an alarm is known again.
    pub key: String,
    /// What moved, and how much.
    pub what: String,
    /// Whether quality is at stake.
    pub stake: String,
    /// What to do.
    pub advice: String,
}

impl TestRow {
    /// By which the test is known from window to window.
    pub fn key(&self) -> String {
        format!("{}.{}.{}", self.subject.word(), self.column, self.test)
    }
}

impl Subject {
    /// What the test of that key is about; none of no test.
    pub fn of_key(key: &str) -> Option<Subject> {
        let word = key.split('.').next()?;
        let all = [
            Subject::Live,
            Subject::Estimated,
            Subject::Slice,
            Subject::Group,
            Subject::Data,
            Subject::Input,
            Subject::Answer,
            Subject::Label,
            Subject::Rows,
        ];
        all.into_iter().find(|subject| subject.word() == word)
    }

    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Subject::Live => "live",
            Subject::Estimated => "estimated",
            Subject::Slice => "slice",
            Subject::Group => "group",
            Subject::Data => "data",
            Subject::Input => "input",
            Subject::Answer => "answer",
            Subject::Label => "label",
            Subject::Rows => "rows",
        }
    }
}

impl Verdict {
    /// Its word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Fine => "fine",
            Verdict::Alarm => "ALARM",
            Verdict::Unknown => "too few rows",
        }
    }
}

impl Report {
    /// How many tests alarm.
    pub fn alarms(&self) -> usize {
        self.alarms.len()
    }

    /// As lines for people: what alarms, then quality, then all tests in a table.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let period = self.period.map(|[from, to]| format!(" from {} to {}", write_moment(from), write_moment(to))).unwrap_or_default();
        let fine = if self.alarms.is_empty() { "nothing alarms" } else { "alarms:" };
        let _ = writeln!(text, "{} rows{period}, held against {} training rows: {fine}", self.rows, self.reference_rows);
        for alarm in &self.alarms {
            let _ = writeln!(text, "\n- {}\n  {}\n  {}", alarm.what, alarm.stake, alarm.advice);
        }
        for target in &self.targets {
            target.write(&mut text);
        }
        // Slices are many: those that are fine are told by their number.
        let is_shown = |test: &&TestRow| test.verdict == Verdict::Alarm || !matches!(test.subject, Subject::Slice | Subject::Group);
        let shown: Vec<&TestRow> = self.tests.iter().filter(is_shown).collect();
        if !shown.is_empty() {
            text.push('\n');
            text.push_str(&table(&shown));
        }
        let rest = self.tests.len() - shown.len();
        if rest > 0 {
            let _ = writeln!(text, "and {rest} slices and groups without an alarm");
        }
        text
    }
}

impl TargetReport {
    fn write(&self, text: &mut String) {
        for (name, qualities) in [("when made", &self.reference), ("labelled now", &self.live), ("estimated now", &self.estimated)] {
            if let Some(first) = qualities.first() {
                let all: Vec<String> = qualities.iter().map(Quality::text).collect();
                let _ = write!(text, "\n{} {name}, {} rows: {}", self.target, first.rows, all.join(", "));
            }
        }
        text.push('\n');
    }
}

impl Quality {
    /// `accuracy 0.861 (0.845 to 0.876)`.
    pub fn text(&self) -> String {
        format!("{} {} ({} to {})", self.metric, short(self.value), short(self.low), short(self.high))
    }
}

/// A number with the three digits that say something, as reports write it.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".into()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.1e}")
    } else {
        let digits = (2 - size.log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    }
}

fn table(tests: &[&TestRow]) -> String {
    let head = ["about", "column", "test", "effect", "threshold", "p", "verdict", "change"].map(str::to_owned);
    let cells = |test: &TestRow| {
        let p = test.p_corrected.or(test.p).map_or_else(|| "-".into(), short);
        let column = test.column.clone();
        let numbers = [short(test.effect), short(test.threshold), p];
        let [effect, threshold, p] = numbers;
        [test.subject.word().into(), column, test.test.clone(), effect, threshold, p, test.verdict.word().into(), test.change.clone()]
    };
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(tests.iter().copied().map(cells)).collect();
    let widths: Vec<usize> = (0..8).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    let line = |row: &[String; 8]| {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}
