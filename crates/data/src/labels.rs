//! Target columns whose cells list labels: `action;comedy`, or the JSON list `["action", "comedy"]`.
//!
//! Such a column becomes one column of `no` and `yes` for each label, under the name `column:label`: binary relevance (Tsoumakas and Katakis,
//! "Multi-label classification: an overview", 2007), as scikit-learn's `MultiLabelBinarizer` and `OneVsRestClassifier` make it. A cell without a
//! label has `no` in all of them.

use crate::conform::{category_text, shown, spelled};
use crate::prepare::Spelling;
use crate::prepare::spelling::{key, merge};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What a label's column says of a row that does not have it, and of one that has.
pub const NO: &str = "no";
/// See [`NO`].
pub const YES: &str = "yes";

/// A column may have no more different labels than this, whatever the rows; a recipe says how many of them are learned.
const DISTINCT_MAX: usize = 2_000;
/// The separators that are sought where the recipe does not name one.
const SEPARATORS: [&str; 3] = [";", "|", ","];
/// At least so large a share of the cells must hold the separator that is found.
const SHARE_MIN: f64 = 0.1;
/// A label stands in so many cells, in the mean, where a separator is found.
const ROWS_MIN: usize = 4;

/// How a cell lists labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListForm {
    /// As a JSON list of texts.
    Json,
    /// One behind the other with this text between.
    Separated(String),
}

/// A target column of lists, and the labels that are learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// The column.
    pub column: Arc<str>,
    /// How its cells list labels.
    pub form: ListForm,
    /// Which spellings of a label are one.
    #[serde(default)]
    pub spelling: Spelling,
    /// The labels, sorted.
    pub names: Vec<Arc<str>>,
}

/// Cells taken apart.
pub struct Expanded {
    /// One column for each label, in their order.
    pub columns: Vec<(Arc<str>, ArrayRef)>,
    /// Labels that are not learned, with the rows that have them.
    pub unknown: BTreeMap<String, u64>,
    /// Rows without any label.
    pub empty: u64,
}

impl ListForm {
    /// What a recipe's word means.
    pub fn open(word: &str) -> ListForm {
        if word == "json" { ListForm::Json } else { ListForm::Separated(word.to_owned()) }
    }

    /// The recipe's word.
    pub fn word(&self) -> &str {
        match self {
            ListForm::Json => "json",
            ListForm::Separated(separator) => separator,
        }
    }

    /// How cells list labels, if they do, and why that is thought.
    pub fn found(array: &ArrayRef) -> Option<(ListForm, String)> {
        let cells: Vec<&str> = array.as_string_opt::<i32>()?.iter().flatten().map(str::trim).filter(|cell| !cell.is_empty()).collect();
        if !cells.is_empty() && cells.iter().all(|cell| cell.starts_with('[') && json(cell).is_some()) {
            return Some((ListForm::Json, format!("all {} values are JSON lists", cells.len())));
        }
        SEPARATORS.iter().find_map(|separator| {
            let reason = separated(&cells, separator)?;
            Some((ListForm::Separated((*separator).to_owned()), reason))
        })
    }

    /// A cell's labels as they are written, or none where the cell is no list.
    fn labels<'a>(&self, cell: &'a str) -> Option<Vec<std::borrow::Cow<'a, str>>> {
        match self {
            ListForm::Json => Some(json(cell)?.into_iter().map(Into::into).collect()),
            ListForm::Separated(separator) => Some(cell.split(separator.as_str()).map(Into::into).collect()),
        }
    }
}

fn json(cell: &str) -> Option<Vec<String>> {
    serde_json::from_str(cell).ok()
}

/// Why cells are lists with this separator, where they are: many hold it, and they are combinations of few labels that come back.
fn separated(cells: &[&str], separator: &str) -> Option<String> {
    let with = cells.iter().filter(|cell| cell.contains(separator)).count();
    if with < 2 || (with as f64) < SHARE_MIN * cells.len() as f64 {
        return None;
    }
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in cells {
        let own: Vec<&str> = cell.split(separator).map(str::trim).collect();
        let distinct: BTreeSet<&str> = own.iter().copied().collect();
        if own.contains(&"") || distinct.len() < own.len() {
            return None;
        }
        distinct.into_iter().for_each(|label| *labels.entry(label).or_default() += 1);
        if labels.len() > DISTINCT_MAX {
            return None;
        }
    }
    let combinations = cells.iter().copied().collect::<BTreeSet<_>>().len();
    let rows: usize = labels.values().sum();
    // Numbers with a decimal comma, and points in time, are no labels.
    let are_words = labels.keys().any(|label| label.contains(char::is_alphabetic));
    let come_back = labels.len() < combinations && rows >= ROWS_MIN * labels.len();
    (are_words && come_back).then(|| {
        format!("{combinations} combinations of {} labels, {with} of {} values with {separator:?} between", labels.len(), cells.len())
    })
}

impl Labels {
    /// All labels of a column's cells. `place` tells where a row stands. With them comes how many cells spelled a label otherwise.
    ///
    /// # Errors
    /// A cell that is no list, no label at all, or too many.
    pub fn learn(
        column: &str,
        array: &ArrayRef,
        form: ListForm,
        spelling: Spelling,
        place: &dyn Fn(usize) -> String,
    ) -> Result<(Labels, u64)> {
        let labels = Labels { column: column.into(), form, spelling: Spelling::Keep, names: vec![] };
        let mut counts: HashMap<String, u64> = HashMap::new();
        labels.each(array, place, |_, names| names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1))?;
        let borrowed: HashMap<&str, u64> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let merged = merge(&borrowed, spelling);
        let mut names: Vec<Arc<str>> = merged.counts.keys().map(|name| Arc::from(*name)).collect();
        names.sort();
        match names.len() {
            0 => Err(Error::refused(format!("target {column}"), "no label in any row", "labels in its lists")),
            1..=DISTINCT_MAX => Ok((Labels { spelling, names, ..labels }, merged.cells)),
            count => {
                let error = Error::refused(format!("target {column}"), format!("{count} labels"), format!("at most {DISTINCT_MAX}"));
                Err(error.with_hint(format!("outputs.{column}.type=category takes each cell as one class")))
            }
        }
    }

    /// The name of a label's own column.
    pub fn target(&self, label: &str) -> Arc<str> {
        format!("{}:{label}", self.column).into()
    }

    /// The names of all labels' columns, in their order.
    pub fn targets(&self) -> impl Iterator<Item = Arc<str>> {
        self.names.iter().map(|name| self.target(name))
    }

    /// A column's cells taken apart.
    ///
    /// # Errors
    /// A cell that is no list.
    pub fn expand(&self, array: &ArrayRef, place: &dyn Fn(usize) -> String) -> Result<Expanded> {
        let places: HashMap<String, usize> =
            self.names.iter().enumerate().map(|(at, name)| (key(name, self.spelling).into_owned(), at)).collect();
        let mut cells = vec![vec![Some(NO); array.len()]; self.names.len()];
        let (mut unknown, mut empty, mut said) = (BTreeMap::new(), 0, vec![false; array.len()]);
        self.each(array, place, |row, names| {
            said[row] = true;
            empty += u64::from(names.is_empty());
            for name in names {
                match places.get(&*key(&name, self.spelling)) {
                    Some(at) => cells[*at][row] = Some(YES),
                    None => *unknown.entry(name).or_default() += 1,
                }
            }
        })?;
        let nothing = |row: usize| !said[row];
        for column in &mut cells {
            column.iter_mut().enumerate().filter(|(row, _)| nothing(*row)).for_each(|(_, cell)| *cell = None);
        }
        let columns = self.targets().zip(cells).map(|(name, cells)| (name, Arc::new(StringArray::from(cells)) as ArrayRef));
        Ok(Expanded { columns: columns.collect(), unknown, empty })
    }

    /// Hands on each row's labels without repeats. A row whose list is not known is left out: an empty cell between separators is the empty
    /// list, where lists are JSON it is unknown.
    fn each(&self, array: &ArrayRef, place: &dyn Fn(usize) -> String, mut take: impl FnMut(usize, BTreeSet<String>)) -> Result<()> {
        let texts = match array.as_string_opt::<i32>() {
            Some(texts) => texts.clone(),
            None => spelled(array),
        };
        for (row, cell) in texts.iter().enumerate() {
            let cell = cell.map(str::trim).unwrap_or_default();
            if cell.is_empty() && self.form == ListForm::Json {
                continue;
            }
            let Some(labels) = self.form.labels(cell) else {
                let error = Error::column(&self.column, place(row), shown(cell), "a JSON list of texts, as [\"a\", \"b\"]");
                return Err(error.with_hint("an empty list [] says that the row has no label"));
            };
            let names = labels.iter().map(|label| category_text(label)).filter(|label| !label.is_empty()).map(str::to_owned);
            take(row, names.collect());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cells: &[&str]) -> ArrayRef {
        Arc::new(cells.iter().map(|cell| Some(*cell).filter(|cell| *cell != "?")).collect::<StringArray>())
    }

    fn place(row: usize) -> String {
        format!("a.csv:{}", row + 2)
    }

    fn learned(cells: &[&str], form: ListForm, spelling: Spelling) -> (Labels, Expanded) {
        let (labels, _) = Labels::learn("g", &texts(cells), form, spelling, &place).unwrap();
        let expanded = labels.expand(&texts(cells), &place).unwrap();
        (labels, expanded)
    }

    fn cells(expanded: &Expanded) -> Vec<String> {
        let word = |cell: Option<&str>| cell.map_or("?", |cell| &cell[..1]).to_owned();
        expanded
            .columns
            .iter()
            .map(|(name, array)| format!("{name} {}", array.as_string::<i32>().iter().map(word).collect::<String>()))
            .collect()
    }

    #[test]
    fn cells_become_a_column_a_label() {
        let (labels, expanded) = learned(&["b; a", "", "a;a", " c "], ListForm::open(";"), Spelling::Keep);
        assert_eq!(cells(&expanded), ["g:a ynyn", "g:b ynnn", "g:c nnny"]);
        assert_eq!((expanded.empty, expanded.unknown.len()), (1, 0));
        let few = Labels { names: vec!["a".into()], ..labels };
        assert_eq!(few.expand(&texts(&["b;c;a", "c"]), &place).unwrap().unknown, BTreeMap::from([("b".into(), 1), ("c".into(), 2)]));
        let (_, expanded) = learned(&[r#"["x, y", "z"]"#, "[]", "?"], ListForm::open("json"), Spelling::Keep);
        assert_eq!(cells(&expanded), ["g:x, y yn?", "g:z yn?"]);
    }

    #[test]
    fn spellings_of_a_label_are_one_label() {
        let (labels, expanded) = learned(&["Drama;War", "drama", "DRAMA |war", "Drama"], ListForm::open(";"), Spelling::Fold);
        assert_eq!(labels.names.iter().map(|name| &**name).collect::<Vec<_>>(), ["DRAMA |war", "Drama", "War"]);
        assert_eq!(cells(&expanded), ["g:DRAMA |war nnyn", "g:Drama yyny", "g:War ynnn"]);
    }

    #[test]
    fn what_is_no_list_is_told_with_its_place() {
        let error = Labels::learn("g", &texts(&["[]", "a"]), ListForm::Json, Spelling::Keep, &place).unwrap_err();
        assert_eq!(error.to_string(), r#"a.csv:3: column g: found "a", wanted a JSON list of texts, as ["a", "b"]"#);
        let error = Labels::learn("g", &texts(&["", "?"]), ListForm::open(";"), Spelling::Keep, &place).unwrap_err();
        assert_eq!(error.to_string(), "target g: found no label in any row, wanted labels in its lists");
    }

    #[test]
    fn lists_are_found_where_labels_come_back() {
        let genres = ["a;b", "b", "a;c", "c;b", "a", "b;a", "c", "a;b;c"].repeat(4);
        let found = |cells: &[&str]| ListForm::found(&texts(cells)).map(|(form, reason)| format!("{}: {reason}", form.word()));
        let reason = ";: 8 combinations of 3 labels, 20 of 32 values with \";\" between";
        assert_eq!(found(&genres).as_deref(), Some(reason));
        assert_eq!(found(&[r#"["a"]"#, "[]"]).as_deref(), Some("json: all 2 values are JSON lists"));
        for cells in [&["yes", "no"][..], &["1,5", "2,5", "1,2"], &["Smith, John", "Doe, Jane"], &["a;b", "c;d", "a;b", "c;d"]] {
            assert_eq!(found(&cells.repeat(8)), None, "{cells:?}");
        }
    }
}
