//! Finds out what columns hold, and says why.
//!
//! The order of the rules: nothing or one value, numbers, numbers with a few odd cells (an error: to call such a column a category would
//! hide a fault), dates, two values, identifiers, texts, categories. A column that looks like numbers but means names stays a
//! category: codes with leading zeros, whole numbers that a `f64` cannot hold.
//!
//! A category's class names are given for targets only. What an input can be is for the preparation to learn, from training rows alone.

mod facts;

use crate::conform::{Notation, category_text, number, number_text, shown};
use crate::date::{self, Guess};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, TimestampMicrosecondArray};
use arrow_schema::DataType;
use cupola_task::{Column, Columns, Field, Images, Key, Kind, Role, Schema, Task};
use facts::{Facts, grouped};
pub(crate) use facts::{is_code, names_rows};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The types of columns, in the words of the recipe's `inputs.NAME.type` and `outputs.NAME.type`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Numbers.
    Number,
    /// One of a set of names.
    Category,
    /// Two values. As an input it stays a number when both are.
    Binary,
    /// Points in time.
    Date,
    /// Free text.
    Text,
    /// Names the row; no model sees it.
    Id,
    /// Pictures.
    Image,
    /// Says nothing; it is ignored.
    Constant,
}

/// What was found out about a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inferred {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// Its kind in the raw schema.
    pub kind: Kind,
    /// What it is for.
    pub role: Role,
    /// Why: `all 32,561 values are numbers, 73 distinct`.
    pub reason: String,
    /// How many different values, missing ones aside; 0 for images, which are not compared here.
    pub distinct: u64,
    /// How many rows have none.
    pub missing: u64,
    /// How its dates are written, when it is text that holds dates.
    pub date_format: Option<String>,
}

/// A number target with more distinct values than this is to be estimated, with fewer it is a class.
const CLASSES_MAX: u64 = 20;
/// Up to so many distinct words are a category at any number of rows.
const NAMES_MAX: u64 = 50;
/// Unique words make identifiers only from so many rows on.
const ID_ROWS_MIN: u64 = 20;

impl ColumnType {
    /// All, in the order of the docs.
    pub const ALL: [ColumnType; 8] = [
        ColumnType::Number,
        ColumnType::Category,
        ColumnType::Binary,
        ColumnType::Date,
        ColumnType::Text,
        ColumnType::Id,
        ColumnType::Image,
        ColumnType::Constant,
    ];

    /// The recipe's word.
    pub fn word(self) -> &'static str {
        match self {
            ColumnType::Number => "number",
            ColumnType::Category => "category",
            ColumnType::Binary => "binary",
            ColumnType::Date => "date",
            ColumnType::Text => "text",
            ColumnType::Id => "id",
            ColumnType::Image => "image",
            ColumnType::Constant => "constant",
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for ColumnType {
    type Err = Error;

    fn from_str(word: &str) -> Result<ColumnType> {
        ColumnType::ALL.into_iter().find(|known| known.word() == word).ok_or_else(|| {
            let words = ColumnType::ALL.map(ColumnType::word);
            let error = Error::setting("type", format!("{word:?}"), words.join("|"));
            match cupola_task::nearest(word, words) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            }
        })
    }
}

/// Finds out the type of every column. `overrides` settles types by name, `targets` are to be answered, `place` tells where a row stands.
///
/// # Errors
/// An override or target that names no column; an override that does not hold, with the first value against it; a column of
/// numbers with a few cells that are none, with the first of them and the remedies; a target without a value.
pub fn infer(
    columns: &Columns,
    overrides: &BTreeMap<String, ColumnType>,
    targets: &[&str],
    place: &(dyn Fn(usize) -> String + Sync),
) -> Result<Vec<Inferred>> {
    let names = overrides.keys().map(|name| ("inputs", name.as_str())).chain(targets.iter().map(|name| ("outputs", *name)));
    for (table, name) in names {
        if columns.get(name).is_none() {
            return Err(unknown(table, name, columns));
        }
    }
    let list: Vec<(&Arc<str>, &Column)> = columns.iter().collect();
    let results: Vec<Result<Inferred>> = list
        .par_iter()
        .map(|(name, column)| {
            let (asked, is_target) = (overrides.get(&***name).copied(), targets.contains(&&***name));
            match column {
                Column::Array(array) => Asked { name, array, asked, is_target, place }.infer(),
                Column::Images(images) => pictures(name, images, asked, is_target),
                _ => Ok(carried(name)),
            }
        })
        .collect();
    results.into_iter().collect()
}

/// An as-read column with the plainest type that all its values have: `Float64` for amounts, `Timestamp` for dates in one format, else text.
pub(crate) fn plain(array: &ArrayRef) -> ArrayRef {
    let Some(texts) = array.as_string_opt::<i32>() else { return array.clone() };
    let facts = Facts::of(array);
    if facts.values > 0 && facts.are_numbers() {
        return Arc::new(texts.iter().map(|text| text.and_then(number)).collect::<Float64Array>());
    }
    match date::guess(texts, false) {
        Guess::Format(format) => {
            Arc::new(texts.iter().map(|text| text.and_then(|text| date::parse(text, &format))).collect::<TimestampMicrosecondArray>())
        }
        _ => array.clone(),
    }
}

/// The raw schema of what was inferred, and the formats of its dates.
pub fn schema(inferred: &[Inferred]) -> (Schema, Notation) {
    let field = |column: &Inferred| Field { name: column.name.as_str().into(), kind: column.kind.clone(), role: column.role };
    let formats = inferred.iter().filter_map(|column| Some((column.name.clone(), column.date_format.clone()?)));
    (Schema { fields: inferred.iter().map(field).collect() }, Notation { dates: formats.collect(), ..Notation::default() })
}

fn unknown(table: &str, name: &str, columns: &Columns) -> Error {
    let error = Error::setting(format!("{table}.{name}"), "no column of that name", "a column of the table");
    match cupola_task::nearest(name, columns.names()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("columns: {}", columns.names().take(30).collect::<Vec<_>>().join(", "))),
    }
}

/// Of pictures the kind is how many channels most have, and the size that all have.
fn pictures(name: &str, images: &Images, asked: Option<ColumnType>, is_target: bool) -> Result<Inferred> {
    if let Some(asked) = asked.filter(|asked| !matches!(asked, ColumnType::Image | ColumnType::Constant)) {
        return Err(Error::setting(format!("inputs.{name}.type"), format!("{asked} for a column of images"), "image or constant"));
    }
    if is_target {
        let error = Error::setting("target", format!("{name}, a column of images"), "a column of classes or numbers");
        return Err(error.with_hint("give the pictures labels: a folder for each class, or a table that names them"));
    }
    let colour = images.shapes().filter(|shape| shape[2] > 1).count();
    let channels = if colour * 2 > images.len() { 3 } else { 1 };
    let first = images.shapes().next().unwrap_or([0; 3]);
    let size = images.shapes().all(|shape| shape[..2] == first[..2]).then_some([first[0], first[1]]).filter(|_| !images.is_empty());
    let sizes = size.map_or("many sizes".to_owned(), |[height, width]| format!("{width} x {height}"));
    let count = grouped(images.len() as u64);
    let reason = match colour {
        0 => format!("{count} grey images of {sizes}"),
        colour if colour == images.len() => format!("{count} colour images of {sizes}"),
        colour => format!("{count} images of {sizes}, {} of them in colour", grouped(colour as u64)),
    };
    let is_used = asked != Some(ColumnType::Constant);
    Ok(Inferred {
        name: name.to_owned(),
        column_type: if is_used { ColumnType::Image } else { ColumnType::Constant },
        kind: Kind::Image { channels, size },
        role: if is_used { Role::Input } else { Role::Ignored },
        reason: if is_used { reason } else { "set by the recipe".to_owned() },
        distinct: 0,
        missing: 0,
        date_format: None,
    })
}

/// Sound and objects are no scalars: nothing to find out.
fn carried(name: &str) -> Inferred {
    Inferred {
        name: name.to_owned(),
        column_type: ColumnType::Constant,
        kind: Kind::Text,
        role: Role::Ignored,
        reason: "no scalar column".to_owned(),
        distinct: 0,
        missing: 0,
        date_format: None,
    }
}

/// One column and what is asked about it.
struct Asked<'a> {
    name: &'a str,
    array: &'a ArrayRef,
    asked: Option<ColumnType>,
    is_target: bool,
    place: &'a (dyn Fn(usize) -> String + Sync),
}

/// A type with its reason, and a date format where it has one.
type Verdict = (ColumnType, String, Option<String>);

impl Asked<'_> {
    fn infer(&self) -> Result<Inferred> {
        let array = crate::formats::normal::array_as_read(self.name, &(self.place)(0), self.array)?;
        let facts = Facts::of(&array);
        let (column_type, reason, date_format) = match self.asked {
            Some(asked) => self.check(asked, &array, &facts)?,
            None => self.decide(&array, &facts)?,
        };
        let (kind, role) = self.kind_and_role(column_type, &array, &facts)?;
        let (distinct, missing) = (facts.distinct, facts.missing);
        Ok(Inferred { name: self.name.to_owned(), column_type, kind, role, reason, distinct, missing, date_format })
    }

    fn decide(&self, array: &ArrayRef, facts: &Facts) -> Result<Verdict> {
        let plain = |column_type, reason: String| Ok((column_type, reason, None));
        let values = grouped(facts.values);
        if facts.values == 0 {
            return plain(ColumnType::Constant, "all values are missing".to_owned());
        }
        if facts.distinct == 1 && facts.missing == 0 && !self.is_target {
            return plain(ColumnType::Constant, format!("all {values} values are {}", facts.first));
        }
        if *array.data_type() != DataType::Utf8 && *array.data_type() != DataType::Float64 {
            return plain(ColumnType::Date, format!("all {values} values are points in time"));
        }
        if facts.are_numbers() {
            let (column_type, reason) = self.number(facts);
            return plain(column_type, reason);
        }
        self.refuse_dirty(array, facts)?;
        let distinct = grouped(facts.distinct);
        let format = match self.is_target {
            true => Guess::None(0),
            false => array.as_string_opt::<i32>().map_or(Guess::None(0), |texts| date::guess(texts, false)),
        };
        if let Guess::Format(format) = format {
            return Ok((ColumnType::Date, format!("all {values} values are dates like {format}"), Some(format)));
        }
        let (column_type, why) = self.words(facts);
        let doubt = match format {
            Guess::Ambiguous(one, other) => format!("; they fit both {one} and {other}: write them as YYYY-MM-DD to make them dates"),
            _ => facts.doubt(self.place),
        };
        plain(column_type, format!("{distinct} distinct texts in {values} values{why}{doubt}"))
    }

    /// The type of a column all of whose values are numbers.
    fn number(&self, facts: &Facts) -> (ColumnType, String) {
        let counts = format!("all {} values are numbers, {} distinct", grouped(facts.values), grouped(facts.distinct));
        if self.is_target {
            let is_amount = facts.distinct > CLASSES_MAX || !facts.is_whole && facts.distinct * 2 > facts.values;
            return match (is_amount, facts.distinct) {
                (true, _) => (ColumnType::Number, counts),
                (false, 2) => (ColumnType::Binary, format!("{counts}, so it is a class")),
                (false, _) => (ColumnType::Category, format!("{counts}, so it is a class")),
            };
        }
        if facts.is_unique() && facts.is_whole && facts.values > 2 && names_rows(self.name, facts.is_rising) {
            return (ColumnType::Id, format!("{counts}, whole and all different under this name"));
        }
        if facts.distinct == 2 { (ColumnType::Binary, counts) } else { (ColumnType::Number, counts) }
    }

    /// The type of a column of words.
    fn words(&self, facts: &Facts) -> (ColumnType, &'static str) {
        if facts.distinct == 2 {
            return (ColumnType::Binary, "");
        }
        if self.is_target {
            return (ColumnType::Category, "");
        }
        let is_varied =
            facts.distinct > NAMES_MAX.max(facts.values / 5) || facts.values >= ID_ROWS_MIN && facts.distinct * 2 > facts.values;
        if facts.are_clock_times && is_varied {
            return (ColumnType::Constant, ", times of day, which are not understood yet; type=category makes them names");
        }
        let is_wordy = facts.words > 3 * facts.values || facts.characters > 50 * facts.values;
        if facts.are_uuids || facts.is_unique() && facts.values >= ID_ROWS_MIN && facts.words == facts.values {
            return (ColumnType::Id, ", all different");
        }
        if is_varied && is_wordy || facts.characters > 200 * facts.values {
            return (ColumnType::Text, ", of several words");
        }
        (ColumnType::Category, "")
    }

    /// A few cells against many numbers are a fault of the data until the user says otherwise.
    fn refuse_dirty(&self, array: &ArrayRef, facts: &Facts) -> Result<()> {
        let Some(row) = facts.odd else { return Ok(()) };
        let odd = facts.values - facts.numbers;
        let has_commas = facts.with_comma > 0 && facts.with_comma + facts.numbers == facts.values;
        if !has_commas && (facts.numbers < 3 || odd > 1 && odd * 20 > facts.values) {
            return Ok(());
        }
        let text = shown(text_at(array, row));
        let table = if self.is_target { "outputs" } else { "inputs" };
        let are = if facts.numbers == 1 { "is a number" } else { "are numbers" };
        let cause = match (has_commas, facts.with_decimal_comma) {
            (false, _) => "",
            (true, 0) => ", with a thousands separator",
            (true, _) => ", with a decimal comma",
        };
        let found = format!("{text}{cause}, while {} of {} values {are}", grouped(facts.numbers), grouped(facts.values));
        let category = format!("set {table}.{}.type=category if it holds names", self.name);
        let hint = match (has_commas, facts.with_decimal_comma) {
            (true, 0) => format!("set data.thousands=comma, or data.decimal=comma if it stands before fractions, or {category}"),
            (true, _) => format!("set data.decimal=comma, or {category}"),
            (false, _) => format!("correct the cell, add {text} to data.missing_values if it stands for a missing value, or {category}"),
        };
        Err(Error::column(self.name, (self.place)(row), found, "a number").with_hint(hint))
    }

    /// Whether the asked type holds.
    fn check(&self, asked: ColumnType, array: &ArrayRef, facts: &Facts) -> Result<Verdict> {
        let reason = "set by the recipe".to_owned();
        let against = |row: usize, wanted: &str| {
            Error::column(self.name, (self.place)(row), shown(text_at(array, row)), wanted)
                .with_hint(format!("correct the cell, add it to data.missing_values, or leave out type={asked}"))
        };
        match (asked, facts.odd) {
            (ColumnType::Number, Some(row)) => Err(against(row, "a number")),
            (ColumnType::Number, None) if facts.is_time => Err(Error::column(self.name, (self.place)(0), "a point in time", "a number")),
            (ColumnType::Image, _) => {
                let found = shown(if array.is_empty() { "" } else { text_at(array, 0) });
                Err(Error::column(self.name, (self.place)(0), found, "a picture")
                    .with_hint("a table names pictures by paths relative to it"))
            }
            (ColumnType::Binary, _) if facts.distinct > 2 => {
                let found = format!("{} distinct values", grouped(facts.distinct));
                Err(Error::setting(format!("{}.type", self.name), found, "two for type=binary").with_hint("set type=category"))
            }
            (ColumnType::Date, _) if facts.is_time => Ok((asked, reason, None)),
            (ColumnType::Date, _) => match array.as_string_opt::<i32>().map(|texts| date::guess(texts, true)) {
                Some(Guess::Format(format)) => Ok((asked, reason, Some(format))),
                Some(Guess::Ambiguous(one, other)) => {
                    let found = format!("dates that fit both {one} and {other}");
                    Err(Error::column(self.name, (self.place)(0), found, "dates with one meaning").with_hint("write dates as YYYY-MM-DD"))
                }
                Some(Guess::None(row)) if facts.values > 0 => Err(against(row, "a date in the format of the rows before it")),
                _ if facts.values == 0 => Ok((asked, reason, None)),
                _ => Err(Error::column(self.name, (self.place)(0), "numbers", "dates").with_hint("write dates as YYYY-MM-DD")),
            },
            _ => Ok((asked, reason, None)),
        }
    }

    fn kind_and_role(&self, column_type: ColumnType, array: &ArrayRef, facts: &Facts) -> Result<(Kind, Role)> {
        if self.is_target {
            return self.target(column_type, array, facts);
        }
        let category = || Kind::Category { classes: [].into() };
        let number_or_category = || if facts.are_numbers() && facts.values > 0 { Kind::Number } else { category() };
        Ok(match column_type {
            ColumnType::Number => (Kind::Number, Role::Input),
            ColumnType::Category => (category(), Role::Input),
            ColumnType::Binary => (number_or_category(), Role::Input),
            ColumnType::Date => (Kind::Date, Role::Input),
            ColumnType::Text => (Kind::Text, Role::Input),
            ColumnType::Id => (category(), Role::Key(Key::Id)),
            ColumnType::Constant | ColumnType::Image => (number_or_category(), Role::Ignored),
        })
    }

    fn target(&self, column_type: ColumnType, array: &ArrayRef, facts: &Facts) -> Result<(Kind, Role)> {
        if facts.values == 0 {
            let error = Error::column(self.name, (self.place)(0), "a target without any value", "values to learn");
            return Err(error.with_hint("choose another target, or check data.missing_values"));
        }
        match column_type {
            ColumnType::Number => Ok((Kind::Number, Role::Target(Task::Regress))),
            ColumnType::Category | ColumnType::Binary => Ok((Kind::Category { classes: classes(array) }, Role::Target(Task::Classify))),
            other => {
                let error = Error::setting(format!("outputs.{}.type", self.name), other, "number, category or binary for a target");
                Err(error.with_hint("choose another target, or set its type"))
            }
        }
    }
}

fn text_at(array: &ArrayRef, row: usize) -> &str {
    array.as_string_opt::<i32>().map_or("a value that is no text", |texts| texts.value(row))
}

/// All class names: numbers by size, other names by their letters. A binary target's positive class is the last.
fn classes(array: &ArrayRef) -> Arc<[Arc<str>]> {
    let names: BTreeSet<String> = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().flatten().map(|text| category_text(text).to_owned()).collect(),
        DataType::Float64 => {
            let numbers: BTreeSet<u64> = array.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits).collect();
            numbers.into_iter().map(|bits| number_text(f64::from_bits(bits))).collect()
        }
        _ => array.as_primitive::<TimestampMicrosecondType>().iter().flatten().map(date::iso).collect(),
    };
    let mut names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    if names.iter().all(|name| number(name).is_some()) {
        let size = |name: &String| number(name).expect("all names are numbers");
        names.sort_by(|a, b| size(a).total_cmp(&size(b)).then(a.cmp(b)));
    }
    names.into_iter().map(Arc::from).collect()
}

#[cfg(test)]
mod tests;
