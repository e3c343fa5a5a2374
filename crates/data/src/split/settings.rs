//! What a recipe may say about the split, and the check of it.

use cupola_task::{Error, Key, Range, Result, Setting, Settings, Value};
use serde::{Deserialize, Serialize};

/// What a recipe may say in `[data.split]`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "by",
        alias: &["method"],
        default: "auto",
        range: Range::Choice(&["auto", "random", "stratified", "group", "time", "hash", "column"]),
        doc: "How rows are put on sides. auto: by group or time where such a key exists, stratified for classes, else random.",
    },
    Setting {
        name: "key",
        alias: &[],
        default: "\"\"",
        range: Range::Text,
        doc: "The column that group, time, hash and column look at; by default the column with that role. hash without one takes all inputs.",
    },
    Setting {
        name: "ratio",
        alias: &["shares"],
        default: "[0.8, 0.1, 0.1]",
        range: Range::List(&Range::Real { min: 0.0, max: f64::MAX }),
        doc: "Shares of training, validation and test rows. Two numbers: training and test; with a test file: training and validation.",
    },
    Setting {
        name: "keep",
        alias: &[],
        default: "\"\"",
        range: Range::Text,
        doc: "A data/sides.parquet of an earlier run: rows that stand there keep their side; new rows are dealt out by the rule.",
    },
];

/// How rows are put on sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// By what the schema shows.
    Auto,
    /// A keyed permutation.
    Random,
    /// Random within each class.
    Stratified,
    /// Groups stay whole.
    Group,
    /// The oldest teach, the newest measure.
    Time,
    /// By a hash of the row's key.
    Hash,
    /// As a column says.
    Column,
}

/// Where test rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TestRows {
    /// They are cut from the table.
    Cut,
    /// They are in a file of their own.
    Given,
}

/// A checked `[data.split]`.
#[derive(Clone, PartialEq, Debug)]
pub struct SplitSettings {
    /// How.
    pub by: By,
    /// By which column, when the recipe names one.
    pub key: Option<String>,
    /// Shares of training, validation and test rows; they add up to 1.
    pub shares: [f64; 3],
    /// The path of an earlier run's record of sides, when the recipe names one.
    pub keep: Option<String>,
    /// Where the column was made by the data's format: where test rows come from. Sides that the files lack are made then.
    pub laid_out: Option<TestRows>,
}

impl By {
    /// The word a recipe uses.
    pub fn word(self) -> &'static str {
        match self {
            By::Auto => "auto",
            By::Random => "random",
            By::Stratified => "stratified",
            By::Group => "group",
            By::Time => "time",
            By::Hash => "hash",
            By::Column => "column",
        }
    }

    fn open(word: &str) -> By {
        let all = [By::Random, By::Stratified, By::Group, By::Time, By::Hash, By::Column];
        all.into_iter().find(|by| by.word() == word).unwrap_or(By::Auto)
    }
}

impl SplitSettings {
    /// Reads settings that were checked against [`SETTINGS`].
    ///
    /// # Errors
    /// When the ratio has not two or three numbers, or leaves no row to teach or to measure with; when the column or the record is
    /// given to a rule that does not go by it.
    pub fn open(settings: &Settings, test: TestRows) -> Result<SplitSettings> {
        let ratio: Vec<f64> = settings.list("ratio").iter().filter_map(real).collect();
        let shares = match (ratio[..].first_chunk(), &ratio[..], test) {
            (Some(&[train, other]), [_, _], TestRows::Cut) => [train, 0.0, other],
            (Some(&[train, valid]), [_, _] | [_, _, _], TestRows::Given) => [train, valid, 0.0],
            (Some(&[train, valid]), &[_, _, test], TestRows::Cut) => [train, valid, test],
            _ => return Err(Error::setting("data.split.ratio", format!("{} numbers", ratio.len()), "two or three numbers")),
        };
        let total: f64 = shares.iter().sum();
        if !(shares[0] > 0.0 && total.is_finite()) {
            return Err(Error::setting("data.split.ratio", settings.value("ratio"), "a positive share of training rows"));
        }
        if test == TestRows::Cut && shares[2] == 0.0 {
            let error = Error::setting("data.split.ratio", settings.value("ratio"), "a positive share of test rows");
            return Err(error.with_hint("give a third share, or a test file"));
        }
        let key = Some(settings.text("key").to_owned()).filter(|key| !key.is_empty());
        let by = By::open(settings.text("by"));
        if let (By::Auto | By::Random | By::Stratified, Some(key)) = (by, &key) {
            let error =
                Error::setting("data.split.key", format!("{key} with data.split.by={}", by.word()), "by group, time, hash or column");
            return Err(error.with_hint("say what the column is for: data.split.by=group, time, hash or column"));
        }
        let keep = Some(settings.text("keep").to_owned()).filter(|keep| !keep.is_empty());
        if let (By::Column, Some(keep)) = (by, &keep) {
            let error = Error::setting("data.split.keep", format!("{keep} with data.split.by=column"), "another rule");
            return Err(error.with_hint("the column says every row's side: leave out data.split.keep"));
        }
        Ok(SplitSettings { by, key, shares: shares.map(|share| share / total), keep, laid_out: None })
    }

    /// The same for data whose files say each row's side, in a column that the format has made: `auto` goes by it. Validation rows that
    /// the files lack are cut from their training rows, by the first two numbers of the ratio.
    ///
    /// # Errors
    /// As [`SplitSettings::open`].
    pub fn open_laid_out(settings: &Settings, test: TestRows, column: &str) -> Result<SplitSettings> {
        let said = SplitSettings::open(settings, test)?;
        if said.by != By::Auto {
            return Ok(said);
        }
        let [train, valid, _] = SplitSettings::open(settings, TestRows::Given)?.shares;
        Ok(SplitSettings { by: By::Column, key: Some(column.to_owned()), shares: [train, valid, 0.0], laid_out: Some(test), ..said })
    }

    /// The column that the recipe names, and the role it must be given so that the split can read it and no model does.
    pub fn role(&self) -> Option<(&str, Key)> {
        let key = match self.by {
            By::Group => Key::Group,
            By::Time => Key::Time,
            By::Hash | By::Column => Key::Id,
            By::Auto | By::Random | By::Stratified => return None,
        };
        self.key.as_deref().map(|name| (name, key))
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Real(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}
