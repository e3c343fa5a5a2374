//! What is made of raw columns when rows come in, before they have types: a column a label out of lists of labels, and one spelling for each
//! class of a target. It is settled in training and kept in the model file, so that rows that come later are taken in the same way.

use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, StringArray};
use cupola_data::Notation;
use cupola_data::labels::{Labels, ListForm, NO, YES};
use cupola_data::lags::{Lagged, Lags};
use cupola_data::prepare::{Spelling, respelled};
use cupola_task::{Column, Columns, Schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is made of columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Target columns that list labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Labels>,
    /// Targets whose classes have more than one spelling, and which spellings are one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spellings: BTreeMap<Arc<str>, Spelling>,
    /// Columns of what rows before a row held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lags: Option<Lags>,
}

impl Made {
    /// Whether columns stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Made::default()
    }

    /// The list that a target is a label of, and the label.
    pub fn label_of(&self, target: &str) -> Option<(&Labels, &Arc<str>)> {
        self.labels.iter().find_map(|labels| labels.names.iter().find(|name| *labels.target(name) == *target).map(|name| (labels, name)))
    }

    /// What a truth that is told of a list says of each of its labels, `yes` or `no`, and how many of its labels are not learned. `text` lists labels as
    /// the column does, or as a JSON list.
    ///
    /// # Errors
    /// When the text is no list.
    pub fn told(&self, list: &Labels, text: &str) -> Result<(Vec<LabelSaid>, usize)> {
        let form = if text.trim_start().starts_with('[') { ListForm::Json } else { list.form.clone() };
        let cell: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let expanded = Labels { form, ..list.clone() }.expand(&cell, &|_| "label".to_owned())?;
        let is_on = |array: &ArrayRef| array.as_string_opt::<i32>().is_some_and(|texts| texts.iter().next() == Some(Some(YES)));
        let said = expanded.columns.into_iter().map(|(target, array)| (target, if is_on(&array) { YES } else { NO }));
        Ok((said.collect(), expanded.unknown.len()))
    }

    /// The spelling of a class that training saw, for one that is told later.
    pub fn class(&self, raw: &Schema, target: &str, text: &str) -> String {
        let known = self.spellings.get(target).zip(raw.field(target).and_then(|field| field.kind.classes()));
        let one = |(spelling, classes): (&Spelling, &Arc<[Arc<str>]>)| {
            let (texts, _) = respelled(&StringArray::from(vec![text]), classes, *spelling);
            texts.value(0).to_owned()
        };
        known.map_or_else(|| text.to_owned(), one)
    }

    /// Rows with what rows before them held, where the model looks at that; columns that came with them stay. With them come sentences about rows
    /// without anything before them.
    ///
    /// # Errors
    /// When the rows do not say in which order they come.
    pub fn lagged<'a>(
        &self,
        columns: &'a Columns,
        notation: &Notation,
        place: &(dyn Fn(usize) -> String + Sync),
    ) -> Result<(Cow<'a, Columns>, Vec<String>)> {
        let Some(lags) = self.lags.as_ref().filter(|lags| lags.names().any(|name| columns.get(&name).is_none())) else {
            return Ok((Cow::Borrowed(columns), vec![]));
        };
        let lagged = lags.apply(columns, notation, place)?;
        let warnings = lag_warnings(lags, &lagged);
        let mut made = columns.clone();
        let missing = lagged.columns.into_iter().filter(|(name, _)| columns.get(name).is_none());
        missing.for_each(|(name, array)| made.insert(name, Column::Array(array)));
        Ok((Cow::Owned(made), warnings))
    }

    /// Rows with all that is made of them, and their truth as the model takes it: lists of labels taken apart, classes in the spelling that training saw. A target that is not
    /// there stays away. With them comes what was left out or read otherwise, as sentences.
    ///
    /// # Errors
    /// A cell that is no list of labels, with its place.
    pub fn rows(
        &self,
        columns: &Columns,
        raw: &Schema,
        notation: &Notation,
        place: &(dyn Fn(usize) -> String + Sync),
    ) -> Result<(Columns, Vec<String>)> {
        let (made, mut notes) = self.lagged(columns, notation, place)?;
        let mut made = made.into_owned();
        for labels in &self.labels {
            let Some(array) = columns.get(&labels.column).and_then(Column::array) else { continue };
            let expanded = labels.expand(array, place)?;
            notes.extend(unknown(labels, &expanded.unknown));
            for (name, array) in expanded.columns {
                made.insert(name, Column::Array(array));
            }
        }
        for (target, spelling) in &self.spellings {
            let texts = columns.get(target).and_then(Column::array).and_then(|array| array.as_string_opt::<i32>().cloned());
            let classes = raw.field(target).and_then(|field| field.kind.classes());
            if let (Some(texts), Some(classes)) = (texts, classes) {
                let (texts, cells) = respelled(&texts, classes, *spelling);
                notes.extend(spelled(target, cells));
                made.insert(target.clone(), Column::Array(Arc::new(texts)));
            }
        }
        Ok((made, notes))
    }

    /// The same, where rows must have their truth.
    ///
    /// # Errors
    /// As [`Made::rows`], and, with the hint given, when a list of labels is not there.
    pub fn whole_rows(
        &self,
        columns: &Columns,
        raw: &Schema,
        notation: &Notation,
        place: &(dyn Fn(usize) -> String + Sync),
        hint: &str,
    ) -> Result<(Columns, Vec<String>)> {
        let is_missing =
            |labels: &&Labels| columns.get(&labels.column).is_none() && labels.targets().any(|name| columns.get(&name).is_none());
        match self.labels.iter().find(is_missing) {
            Some(labels) => {
                let text = format!("columns: found no column {}, wanted its lists of labels", labels.column);
                Err(Error::Data(text, Some(hint.into())))
            }
            None => self.rows(columns, raw, notation, place),
        }
    }

    /// Whether a column of the raw schema is made here, and not read.
    pub fn makes(&self, column: &str) -> bool {
        self.label_of(column).is_some() || self.lags.as_ref().is_some_and(|lags| lags.names().any(|name| *name == *column))
    }

    /// Whether what was read from outside is whole.
    pub(crate) fn is_sound(&self) -> bool {
        self.lags.as_ref().is_none_or(Lags::is_sound) && self.labels.iter().all(|labels| !labels.names.is_empty())
    }
}

/// What is odd about rows that look at rows before them.
pub(crate) fn lag_warnings(lags: &Lags, lagged: &Lagged) -> Vec<String> {
    let said = |count: usize, what: String| (count > 0).then(|| format!("data.lag: {} {what}", counted(count as u64, "row")));
    [
        said(lagged.timeless, format!("without {}: nothing is known to come before", lags.time().name)),
        said(lagged.tied, format!("at the same {} as another of the series: they follow each other as in the file", lags.time().name)),
        said(lagged.short, format!("with fewer than {} rows before: what is not known is missing", lags.reach())),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A label's target, and whether a row has it: `yes` or `no`.
pub type LabelSaid = (Arc<str>, &'static str);

/// How many labels a sentence names.
const NAMED: usize = 5;

/// That rows have labels that are not learned.
pub(crate) fn unknown(labels: &Labels, unknown: &BTreeMap<String, u64>) -> Option<String> {
    let mut named: Vec<(&String, &u64)> = unknown.iter().collect();
    named.sort_by_key(|(name, rows)| (std::cmp::Reverse(**rows), (*name).clone()));
    let first: Vec<String> = named.iter().take(NAMED).map(|(name, rows)| format!("{name} in {}", counted(**rows, "row"))).collect();
    let more = if named.len() > NAMED { format!(" and {} more", named.len() - NAMED) } else { String::new() };
    let what = if named.len() == 1 {
        "1 label that was not learned is".to_owned()
    } else {
        format!("{} labels that were not learned are", named.len())
    };
    (!named.is_empty()).then(|| format!("{}: {what} left out of what is measured: {}{more}", labels.column, first.join(", ")))
}

/// That cells of a target were read as the class of another spelling.
pub(crate) fn spelled(target: &str, cells: u64) -> Option<String> {
    (cells > 0).then(|| format!("target {target}: {} taken as the class that is spelled otherwise", counted(cells, "cell")))
}

pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::{Field, Kind, Role, Task};

    #[test]
    fn truth_is_taken_as_in_training() {
        let classes = Kind::Category { classes: ["No".into(), "Yes".into()].into() };
        let raw = Schema { fields: vec![Field { name: "y".into(), kind: classes, role: Role::Target(Task::Classify) }] };
        let labels =
            Labels { column: "g".into(), form: ListForm::open(";"), spelling: Spelling::Keep, names: vec!["a".into(), "b".into()] };
        let made = Made { labels: vec![labels], spellings: [("y".into(), Spelling::Fold)].into(), lags: None };
        let text = |cells: [&str; 3]| Column::Array(Arc::new(StringArray::from(cells.to_vec())));
        let columns = Columns::new(vec![("g".into(), text(["a;c", "", "b;d"])), ("y".into(), text(["YES", "no ", "perhaps"]))]);
        let (found, notes) = made.rows(&columns, &raw, &Notation::default(), &|row| row.to_string()).unwrap();
        let cells = |name: &str| found.array(name).unwrap().as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(" ");
        assert_eq!((cells("g:a"), cells("g:b"), cells("y")), ("yes no no".into(), "no no yes".into(), "Yes No perhaps".into()));
        assert_eq!(
            notes,
            [
                "g: 2 labels that were not learned are left out of what is measured: c in 1 row, d in 1 row",
                "target y: 2 cells taken as the class that is spelled otherwise",
            ]
        );
        assert_eq!(made.label_of("g:b").map(|(_, name)| &**name), Some("b"));
        let told = |text: &str| {
            made.told(&made.labels[0], text).map(|(said, unknown)| (said.iter().map(|(_, is)| *is).collect::<Vec<_>>(), unknown)).unwrap()
        };
        assert_eq!((told("b;x"), told(r#"["a","b"]"#), told("")), ((vec!["no", "yes"], 1), (vec!["yes", "yes"], 0), (vec!["no", "no"], 0)));
        assert_eq!([made.class(&raw, "y", "yES "), made.class(&raw, "y", "other")], ["Yes", "other"]);
        let kept = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Made>(&kept).unwrap(), made);
        let error = made
            .whole_rows(&columns.select(|name| name == "y"), &raw, &Notation::default(), &|row| row.to_string(), "give it")
            .unwrap_err();
        assert_eq!(error.to_string(), "columns: found no column g, wanted its lists of labels");
    }
}
