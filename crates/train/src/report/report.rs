//! The facts of a run, as `report.json` keeps them.
//!
//! A number that is undefined (no positive row, one class only) is NaN here and `null` in the file.

use super::audit::{CrossValidation, GateResult, GroupReport, Postprocessing, SliceReport};
use super::balance::Balance;
use super::history::History;
use super::mistakes::{MeanShap, Mistakes};
use super::undefined;
use cupola_task::Task;
use serde::{Deserialize, Serialize};

/// Everything a finished run has to tell. Durations live here and never in the model file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The run's name: number, data, model.
    pub name: String,
    /// The version of Cupola that made it.
    pub cupola: String,
    /// The registry name of the model that was kept.
    pub model: String,
    /// Where the model file lies, as commands and code examples are to name it.
    pub model_path: String,
    /// What the user stated about the model; nothing is invented.
    #[serde(default)]
    pub statement: Statement,
    /// What was read.
    pub data: DataSummary,
    /// What the leak check found, the worst first.
    pub findings: Vec<Finding>,
    /// The candidates of `model=auto`; none for a named model.
    pub leaderboard: Option<Leaderboard>,
    /// What was measured, target by target; the first is the one that headlines.
    pub targets: Vec<TargetReport>,
    /// Targets whose cells list labels; each label is one of `targets` as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<super::labels::LabelsReport>,
    /// Whether quality gates hold.
    #[serde(default)]
    pub gates: Vec<GateResult>,
    /// Where the time went, in order.
    pub timings: Vec<Timing>,
    /// Sentences the user should read.
    pub warnings: Vec<String>,
    /// Every setting as it was resolved, with its origin.
    pub settings: Vec<SettingSource>,
    /// What the run wrote.
    pub files: Vec<OutputFile>,
    /// Commands to type next.
    pub next: Vec<Step>,
    /// Commands that make the run again and prove it.
    pub reproduce: Vec<Step>,
    /// One row of inputs as JSON, for examples of use; none where rows must not leave the data.
    #[serde(default)]
    pub example: Option<serde_json::Map<String, serde_json::Value>>,
    /// How the settings were searched; none where they were not.
    #[serde(default)]
    pub tuning: Option<super::tuning::Tuning>,
}

/// What only a person can say. An absent entry prints as "not stated".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// What the model is to be used for.
    pub intended_use: Option<String>,
    /// What it must not be used for.
    pub limits: Option<String>,
    /// The licence of model and data.
    pub licence: Option<String>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// A number with its 95 % interval. Undefined parts are NaN; a number without an interval has NaN bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The number.
    #[serde(with = "undefined")]
    pub value: f64,
    /// Lower end of the interval.
    #[serde(with = "undefined")]
    pub low: f64,
    /// Upper end of the interval.
    #[serde(with = "undefined")]
    pub high: f64,
}

/// A place on a plot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    #[serde(with = "undefined")]
    pub x: f64,
    /// Upwards.
    #[serde(with = "undefined")]
    pub y: f64,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// The files, in order.
    pub files: Vec<DataFile>,
    /// How rows were split, as a phrase: `stratified by income, 80/10/10`.
    pub split: String,
    /// Rows on each side.
    pub rows: SplitRows,
    /// The columns, in the file's order.
    pub columns: Vec<ColumnSummary>,
    /// What was made of columns before they were learned from, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
}

/// One file of data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataFile {
    /// As the user named it.
    pub path: String,
    /// What it was read for: `data` or `test`.
    pub purpose: String,
    /// Rows read.
    pub rows_read: u64,
    /// Rows left out because a recipe key allowed it.
    pub rows_skipped: u64,
    /// Hash of its content, when taken.
    #[serde(default)]
    pub hash: Option<String>,
}

/// Rows on each side of the split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRows {
    /// They taught.
    pub train: u64,
    /// They chose.
    pub valid: u64,
    /// They measured.
    pub test: u64,
    /// They were left out.
    pub out: u64,
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// As in the file.
    pub name: String,
    /// The word for what it holds: `number`, `category`, `text`, `date`, `id`, `constant`.
    pub kind: String,
    /// The word for its purpose: `input`, `target`, `key`, `ignored`.
    pub role: String,
    /// Why it was taken for that.
    pub reason: String,
    /// Rows without a value.
    pub missing: u64,
    /// Different values, when counted.
    pub distinct: Option<u64>,
    /// What preparation does with it, as a sentence; none where no model looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<String>,
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// The scores may be too good.
    Warn,
    /// The scores are too good; the run stops unless `leaks=warn|off`.
    Stop,
}

/// Something the leak check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's name.
    pub check: String,
    /// How grave.
    pub severity: Severity,
    /// The column, where one is meant.
    pub column: Option<String>,
    /// A few of the rows, where rows are meant.
    pub rows: Vec<u64>,
    /// How many rows there are of that sort; 0 where rows are not meant.
    pub rows_total: u64,
    /// What was found.
    pub sentence: String,
    /// What to do.
    pub remedy: String,
}

/// Whether more of a measure is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// More is better: accuracy.
    Higher,
    /// Less is better: an error or a loss.
    Lower,
}

/// The candidates that `model=auto` compared, the best first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaderboard {
    /// The measure's name.
    pub measure: String,
    /// Its direction.
    pub better: Better,
    /// Folds of the cross-validation.
    pub folds: u32,
    /// One line each.
    pub candidates: Vec<Candidate>,
}

/// One model with one choice of settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Registry name.
    pub model: String,
    /// The settings that differ from the defaults, as `key=value key=value`.
    pub settings: String,
    /// Mean over the folds.
    #[serde(with = "undefined")]
    pub mean: f64,
    /// Standard deviation over the folds.
    #[serde(with = "undefined")]
    pub deviation: f64,
    /// Seconds for all folds.
    pub seconds: f64,
    /// Whether it was kept.
    pub chosen: bool,
    /// Why it has no score or fewer folds.
    pub note: Option<String>,
}

/// What was measured about one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// The column.
    pub name: String,
    /// What was learned about it.
    pub task: Task,
    /// The measure that headlines; one of `scores`.
    pub main: String,
    /// What the baseline does, as a phrase: `always <=50K`, `the mean`.
    pub baseline: String,
    /// Classes in their fixed order; empty for numbers.
    pub classes: Vec<String>,
    /// The positive class of a binary target.
    pub positive: Option<String>,
    /// Training rows of each class, in that order.
    pub class_rows: Vec<u64>,
    /// All measures.
    pub scores: Vec<Score>,
    /// Precision, recall and F1 of each class on test rows.
    pub per_class: Vec<ClassScore>,
    /// Truth against answer on test rows.
    pub confusion: Option<Confusion>,
    /// Receiver operating characteristic: one curve, or one against the rest for each class.
    pub roc: Vec<Curve>,
    /// Precision over recall, likewise.
    pub precision_recall: Vec<Curve>,
    /// What probabilities promise against what happens.
    pub calibration: Vec<Calibration>,
    /// Truth minus answer, for numbers.
    pub residuals: Option<Residuals>,
    /// What measures lose when a column is shuffled.
    pub permutation: Option<Permutation>,
    /// Where a probability becomes a yes.
    pub thresholds: Vec<Threshold>,
    /// How training went, for a model that learns in epochs.
    #[serde(default)]
    pub history: Option<History>,
    /// Test rows as pictures, where an input holds images.
    #[serde(default)]
    pub pictures: Option<Pictures>,
    /// How training rows of rare classes were balanced.
    #[serde(default)]
    pub balance: Option<Balance>,
    /// The mean size of SHAP values, where the model can tell them exactly and cheaply.
    #[serde(default)]
    pub shap: Option<MeanShap>,
    /// The worst test rows with their inputs, where they may be shown.
    #[serde(default)]
    pub mistakes: Option<Mistakes>,
    /// What is done to the model's answers before they are given.
    #[serde(default)]
    pub postprocessing: Option<Postprocessing>,
    /// Cross-validation inside the training rows, when it was asked for.
    #[serde(default)]
    pub cross_validation: Option<CrossValidation>,
    /// Cross-validation of the whole choice of model or settings, when it was asked for.
    #[serde(default)]
    pub nested: Option<CrossValidation>,
    /// How the groups of sensitive columns are treated on test rows.
    #[serde(default)]
    pub groups: Vec<GroupReport>,
    /// Where the model is worst.
    #[serde(default)]
    pub slices: Option<SliceReport>,
}

/// Test rows as pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pictures {
    /// The column of images.
    pub column: String,
    /// Test rows that were answered wrongly; for numbers, all.
    pub wrong: u64,
    /// Some test rows, evenly from all.
    pub samples: Vec<Picture>,
    /// The wrong answers of the highest loss, the worst first.
    pub mistakes: Vec<Picture>,
}

/// One test row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Where it stands.
    pub place: String,
    /// What is true.
    pub truth: String,
    /// What the model answered.
    pub answer: String,
    /// The probability of that answer; NaN for numbers.
    #[serde(with = "undefined")]
    pub probability: f64,
    /// Minus the natural logarithm of the truth's probability, or the squared error.
    #[serde(with = "undefined")]
    pub loss: f64,
    /// The picture as a PNG file; in the page only.
    #[serde(skip)]
    pub png: Vec<u8>,
}

/// One measure everywhere it was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// scikit-learn's name.
    pub name: String,
    /// Its direction.
    pub better: Better,
    /// The best value there is; NaN when there is none.
    #[serde(with = "undefined")]
    pub best: f64,
    /// On test rows.
    pub test: Measure,
    /// On training rows, to see overfitting.
    pub train: Option<Measure>,
    /// On validation rows.
    pub valid: Option<Measure>,
    /// The baseline on test rows.
    pub baseline: Option<Measure>,
    /// Model minus baseline on the same test rows, the interval from paired draws.
    pub difference: Option<Measure>,
}

/// One class on test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// Its name.
    pub class: String,
    /// Test rows that are of it.
    pub rows: u64,
    /// Of those called so, the share that are.
    pub precision: Measure,
    /// Of those that are, the share called so.
    pub recall: Measure,
    /// Harmonic mean of both.
    pub f1: Measure,
}

/// Counts (or weights) of truth, row, against answer, column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Names of rows and columns.
    pub classes: Vec<String>,
    /// `counts[truth][answer]`, square.
    pub counts: Vec<Vec<f64>>,
}

/// A curve with the area under it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// The class it is about.
    pub class: String,
    /// Area under it.
    pub area: Measure,
    /// From left to right; thinned where it is drawn.
    pub points: Vec<Point>,
}

/// What probabilities promise against what happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Whose probability: a class, or `most probable class`.
    pub class: String,
    /// Bins of predicted probability, from low to high; empty ones left out.
    pub bins: Vec<Bin>,
}

/// Rows whose predicted probability is alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Mean predicted probability.
    #[serde(with = "undefined")]
    pub predicted: f64,
    /// Share for which it came true.
    #[serde(with = "undefined")]
    pub observed: f64,
    /// How many rows.
    pub rows: u64,
}

/// Truth minus answer on test rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    /// Mean; far from 0 is a bias.
    #[serde(with = "undefined")]
    pub mean: f64,
    /// Standard deviation.
    #[serde(with = "undefined")]
    pub deviation: f64,
    /// At 0, 5, 25, 50, 75, 95 and 100 %.
    pub quantiles: Vec<Quantile>,
    /// Answer against residual for some rows.
    pub points: Vec<Point>,
    /// How many rows lie where.
    pub histogram: Vec<Bucket>,
}

/// A value with the share of rows below it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// 0 to 1.
    pub share: f64,
    /// The value.
    #[serde(with = "undefined")]
    pub value: f64,
}

/// One bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// From, included.
    #[serde(with = "undefined")]
    pub low: f64,
    /// To, excluded but for the last.
    #[serde(with = "undefined")]
    pub high: f64,
    /// How many rows.
    pub rows: u64,
}

/// Permutation importance: what a measure loses on test or validation rows when one raw column is shuffled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Permutation {
    /// The measure that drops.
    pub measure: String,
    /// How often each column was shuffled.
    pub repeats: u32,
    /// The side it was measured on: `valid` or `test`.
    pub side: String,
    /// Columns, the most important first.
    pub columns: Vec<Importance>,
    /// Columns that were not shuffled, for they hold images.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// One column's importance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The raw column.
    pub column: String,
    /// Mean loss of quality, positive when shuffling hurts, whatever the measure's direction.
    pub drop: Measure,
}

/// A place where a probability becomes a yes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Why that place: `default`, `best f1 on validation rows`.
    pub purpose: String,
    /// The probability.
    #[serde(with = "undefined")]
    pub threshold: f64,
    /// Of those called positive, the share that are, on test rows.
    #[serde(with = "undefined")]
    pub precision: f64,
    /// Of the positives, the share called so.
    #[serde(with = "undefined")]
    pub recall: f64,
    /// Harmonic mean of both.
    #[serde(with = "undefined")]
    pub f1: f64,
    /// Whether the model answers with it.
    pub used: bool,
}

/// How long a stage took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The stage.
    pub stage: String,
    /// Its wall time in seconds.
    pub seconds: f64,
}

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nothing was said.
    Default,
    /// The recipe file.
    File,
    /// The command line.
    Flag,
    /// Seen in the data.
    Inferred,
    /// Settled by `auto`, early stopping or a time limit.
    Auto,
}

/// One resolved setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingSource {
    /// Dotted recipe key.
    pub key: String,
    /// Its value as recipe text.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Why, where something settled it.
    pub reason: Option<String>,
}

/// A file the run wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputFile {
    /// Its path.
    pub path: String,
    /// What it is.
    pub what: String,
    /// Its size, when known.
    pub bytes: Option<u64>,
}

/// A command and what it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What to type.
    pub command: String,
    /// What it does.
    pub purpose: String,
}

impl Measure {
    /// A number with its interval.
    pub fn new(value: f64, low: f64, high: f64) -> Measure {
        Measure { value, low, high }
    }

    /// A number whose interval is not known.
    pub fn exact(value: f64) -> Measure {
        Measure::new(value, f64::NAN, f64::NAN)
    }

    /// A number that has no value here.
    pub fn undefined() -> Measure {
        Measure::exact(f64::NAN)
    }

    /// Whether there is a number.
    pub fn is_defined(&self) -> bool {
        self.value.is_finite()
    }

    /// Whether there is an interval.
    pub fn has_interval(&self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }
}

impl Better {
    /// A difference turned so that positive is good.
    pub fn gain(self, difference: Measure) -> Measure {
        match self {
            Better::Higher => difference,
            Better::Lower => Measure::new(-difference.value, -difference.high, -difference.low),
        }
    }
}

impl Origin {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File => "file",
            Origin::Flag => "flag",
            Origin::Inferred => "inferred",
            Origin::Auto => "auto",
        }
    }
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warn => "warning",
            Severity::Stop => "leak",
        }
    }
}

impl TargetReport {
    /// A target about which nothing has been measured yet.
    pub fn new(name: impl Into<String>, task: Task) -> TargetReport {
        TargetReport {
            name: name.into(),
            task,
            main: String::new(),
            baseline: String::new(),
            classes: Vec::new(),
            positive: None,
            class_rows: Vec::new(),
            scores: Vec::new(),
            per_class: Vec::new(),
            confusion: None,
            roc: Vec::new(),
            precision_recall: Vec::new(),
            calibration: Vec::new(),
            residuals: None,
            permutation: None,
            thresholds: Vec::new(),
            history: None,
            pictures: None,
            postprocessing: None,
            cross_validation: None,
            nested: None,
            groups: Vec::new(),
            slices: None,
            shap: None,
            mistakes: None,
            balance: None,
        }
    }

    /// The measure of that name.
    pub fn score(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }

    /// The measure that headlines.
    pub fn main_score(&self) -> Option<&Score> {
        self.score(&self.main)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undefined_number_is_null_in_the_file() {
        let text = serde_json::to_string(&Measure::new(0.5, f64::NAN, f64::INFINITY)).unwrap();
        assert_eq!(text, r#"{"value":0.5,"low":null,"high":null}"#);
        let read: Measure = serde_json::from_str(&text).unwrap();
        assert!(read.value == 0.5 && read.low.is_nan() && read.high.is_nan());
    }

    #[test]
    fn a_report_reads_back_what_it_wrote() {
        for report in
            super::super::fixtures::all().into_iter().chain([super::super::fixtures::pictures(), super::super::fixtures::audited()])
        {
            let text = serde_json::to_string(&report).unwrap();
            let read: Report = serde_json::from_str(&text).unwrap();
            // NaN is unequal to itself, so the texts are compared.
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
