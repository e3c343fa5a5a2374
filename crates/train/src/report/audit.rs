//! The facts of an audit: what is done to answers, groups, slices, cross-validation.

use super::report::{Better, Calibration, Measure};
use super::undefined;
use serde::{Deserialize, Serialize};

/// A measure with its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NamedMeasure {
    /// scikit-learn's name.
    pub name: String,
    /// Its value.
    pub measure: Measure,
}

/// What is done to a model's answers before they are given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Postprocessing {
    /// Which rows it was learned from: `validation rows`, `training rows, cross-fitted`.
    pub learned_on: String,
    /// How many; 0 when nothing had to be learned.
    pub rows: u64,
    /// What calibration changed.
    #[serde(default)]
    pub calibration: Option<CalibrationChange>,
    /// How a class is chosen, when it is not the most probable one.
    #[serde(default)]
    pub rule: Option<ChosenRule>,
    /// How often intervals or sets hold the truth.
    #[serde(default)]
    pub coverage: Option<Coverage>,
}

/// What calibration changed on test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationChange {
    /// What the recipe asks for.
    pub asked: String,
    /// What was done: `none` where `auto` found nothing that helps.
    pub method: String,
    /// Measures of the model's own probabilities.
    pub before: Vec<NamedMeasure>,
    /// The same of those that are answered.
    pub after: Vec<NamedMeasure>,
    /// What the model's own probabilities promise against what happens, for the last class.
    pub curve_before: Calibration,
}

/// How a class is chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenRule {
    /// What chose it: `best f1`, `least expected cost`.
    pub asked: String,
    /// The probability from which on the positive class is answered; NaN where costs decide row by row.
    #[serde(with = "undefined")]
    pub threshold: f64,
    /// `costs[truth][answer]`, where anybody said so.
    pub costs: Vec<Vec<f64>>,
}

/// How often intervals or sets hold the truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// How they are made.
    pub method: String,
    /// How often they are to hold it.
    pub promised: f64,
    /// How often they did.
    pub share: Measure,
    /// The mean width of intervals, or size of sets.
    #[serde(with = "undefined")]
    pub width: f64,
    /// Where intervals are made of quantiles: the width of those that have one for all rows (split conformal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_width: Option<f64>,
    /// How many sets have how many classes.
    #[serde(default)]
    pub sizes: Vec<SetSize>,
}

/// How many sets have so many classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetSize {
    /// So many classes.
    pub classes: u64,
    /// How many rows.
    pub rows: u64,
}

/// Whether a quality gate holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// As the recipe writes it: `f1`, `slice.worst.recall`, `group.sex.equalized_odds_difference`.
    pub key: String,
    /// The target; empty when it is about no single one.
    pub target: String,
    /// What was measured.
    pub measured: Measure,
    /// On what, where that is not all rows.
    pub of: String,
    /// What was wanted: `>= 0.7`.
    pub wanted: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether the bound lies outside of the interval, so that more rows would hardly change the verdict.
    pub is_clear: bool,
}

impl GateResult {
    /// Measured, interval and wanted in one sentence.
    pub fn sentence(&self) -> String {
        let of = if self.target.is_empty() { String::new() } else { format!(" of {}", self.target) };
        if !self.measured.is_defined() {
            return format!("{}{of} was not measured, wanted {}", self.key, self.wanted);
        }
        let aside = if self.of.is_empty() { String::new() } else { format!(" ({})", self.of) };
        let interval = match self.measured.has_interval() {
            true => format!(", interval {:.4} to {:.4}", self.measured.low, self.measured.high),
            false => String::new(),
        };
        let unclear = if self.is_clear { "" } else { "; the interval holds the bound, so more rows may say otherwise" };
        format!("{}{of} is {:.4}{aside}{interval}, wanted {}{unclear}", self.key, self.measured.value, self.wanted)
    }
}

/// Measures of the groups of sensitive columns on test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The columns that tell the groups: one, or all of them together.
    pub columns: Vec<String>,
    /// The groups, the largest first.
    pub groups: Vec<Group>,
    /// How far groups lie apart, by the names of Fairlearn.
    pub gaps: Vec<NamedMeasure>,
    /// Groups beyond those that are listed; they count for no gap.
    #[serde(default)]
    pub left_out: u64,
}

/// One group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What its rows hold, one value a column.
    pub values: Vec<String>,
    /// Test rows.
    pub rows: u64,
    /// Training rows; 0 where they were not counted.
    #[serde(default)]
    pub train_rows: u64,
    /// Of them the share of the positive class, or the mean of a number; NaN where there is none.
    #[serde(with = "undefined", default = "nan")]
    pub train_label: f64,
    /// Its measures.
    pub measures: Vec<NamedMeasure>,
}

/// Slices of the test rows whose loss is larger than that of all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceReport {
    /// The loss that was searched.
    pub loss: String,
    /// The measure that is shown of them.
    pub measure: String,
    /// That measure on all rows.
    pub overall: Measure,
    /// How many slices were tried.
    pub tried: u64,
    /// Rows of a slice at least.
    pub rows_min: u64,
    /// The chance that anything is found where there is nothing.
    pub level: f64,
    /// The p-value of the worst, corrected for the search.
    pub p_value: f64,
    /// Those that stand out, the largest gap first.
    pub slices: Vec<WorstSlice>,
}

/// A slice that stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorstSlice {
    /// Column and what it holds, for one column or two.
    pub parts: Vec<[String; 2]>,
    /// Test rows.
    pub rows: u64,
    /// Mean loss of its rows.
    pub loss: f64,
    /// Mean loss of all others.
    pub rest: f64,
    /// Corrected for the search.
    pub p_value: f64,
    /// Every measure on its rows.
    pub measures: Vec<NamedMeasure>,
}

impl WorstSlice {
    /// `age 17 to 24 and sex = Male`.
    pub fn phrase(&self) -> String {
        self.parts.iter().map(|part| part.join(" ")).collect::<Vec<_>>().join(" and ")
    }

    /// Its measure of that name.
    pub fn measure(&self, name: &str) -> Option<Measure> {
        self.measures.iter().find(|known| known.name == name).map(|known| known.measure)
    }
}

fn nan() -> f64 {
    f64::NAN
}

fn once() -> u64 {
    1
}

/// Cross-validation of the kept model inside the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// How many folds, of all repeats.
    pub folds: u64,
    /// How often rows were dealt out to folds.
    #[serde(default = "once")]
    pub repeats: u64,
    /// Rows that a fold is measured on, for each that its model was made of; the mean over the folds.
    #[serde(with = "undefined", default = "nan")]
    pub ratio: f64,
    /// A hash of which rows each fold was measured on: folds of the same one can be compared one by one.
    #[serde(default)]
    pub dealt: String,
    /// In a nested cross-validation, what was chosen from the other folds' rows, fold by fold; else empty.
    #[serde(default)]
    pub chosen: Vec<String>,
    /// All measures.
    pub measures: Vec<FoldMeasure>,
}

/// One measure over the folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldMeasure {
    /// scikit-learn's name.
    pub name: String,
    /// Its direction.
    pub better: Better,
    /// Mean over the folds.
    #[serde(with = "undefined")]
    pub mean: f64,
    /// Standard deviation over the folds.
    #[serde(with = "undefined")]
    pub deviation: f64,
    /// The mean with its interval by the corrected resampled t-test (Nadeau and Bengio 2003).
    #[serde(default)]
    pub interval: Option<Measure>,
    /// Each fold's value.
    pub folds: Vec<Measure>,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage {
            method: String::new(),
            promised: f64::NAN,
            share: Measure::undefined(),
            width: f64::NAN,
            split_width: None,
            sizes: vec![],
        }
    }
}
