//! Brings as-read columns to the types of a raw schema: in training, at prediction and behind the server, by the same code.
//!
//! | kind | from text | from numbers | from points in time |
//! |---|---|---|---|
//! | number | parsed; infinite is refused | not-a-number is missing; infinite is refused | refused |
//! | category | trimmed, [`category_text`] | shortest digits, `3` for 3.0 | ISO 8601 |
//! | text | as it is | shortest digits | ISO 8601 |
//! | date | parsed in the column's format or ISO 8601 | refused | as it is |
//!
//! An image is pixels as they are, or bytes that are the content of a picture's file. Text is refused: only [`conform_files`] takes it
//! for a path, and the server never calls that, so that no request can open a file.
//!
//! Ignored columns are carried as they are.

use crate::formats::{Markers, normal, trimmed};
use crate::{Error, Result, date, images};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use cupola_task::{Column, Columns, Field, Kind, Role, Schema};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// How cells are written where the schema does not say it. It is kept beside the raw schema, so that rows to answer are read as the rows
/// to learn from were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notation {
    /// The format of each date column that is written as text, in the notation of `strftime`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dates: BTreeMap<String, String>,
    /// The cells that stand for a missing value, whatever format they come from; the empty one always does.
    #[serde(default)]
    pub missing_values: Vec<String>,
    /// Most pixels of the shorter side of a picture: larger ones are made smaller first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shrink: Option<u32>,
}

/// Which of the schema's columns must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All: rows to learn from or to measure with.
    All,
    /// Inputs: rows to answer. Targets and keys come along when they are there, ignored columns do not.
    Inputs,
}

/// Columns of a raw schema's types, in its order.
#[derive(Clone, Debug)]
pub struct Conformed {
    /// The columns.
    pub columns: Columns,
    /// Columns that the schema does not know.
    pub unknown: Vec<String>,
}

/// Up to so many rows one thread is quicker than several.
const ROWS_ALONE: usize = 10_000;

/// Brings as-read columns to the schema's types. `place` tells where a row stands.
///
/// # Errors
/// A column that is wanted and not there; a value that does not fit its column, with its place.
pub fn conform(
    columns: &Columns,
    schema: &Schema,
    notation: &Notation,
    place: &(dyn Fn(usize) -> String + Sync),
    wanted: Wanted,
) -> Result<Conformed> {
    conform_all(columns, schema, notation, place, wanted, None)
}

/// The same for a table whose texts may name pictures: where a column of images is wanted, a text is the path of a file below `base`.
/// Only for rows whose writer may read every picture there.
///
/// # Errors
/// As [`conform`]; a path that leads out of `base`, and a file that cannot be read or is no picture.
pub fn conform_files(
    columns: &Columns,
    schema: &Schema,
    notation: &Notation,
    place: &(dyn Fn(usize) -> String + Sync),
    wanted: Wanted,
    base: &Path,
) -> Result<Conformed> {
    conform_all(columns, schema, notation, place, wanted, Some(base))
}

fn conform_all(
    columns: &Columns,
    schema: &Schema,
    notation: &Notation,
    place: &(dyn Fn(usize) -> String + Sync),
    wanted: Wanted,
    base: Option<&Path>,
) -> Result<Conformed> {
    let markers = Markers::new(&notation.missing_values);
    let given: HashMap<&str, &Column> = columns.iter().map(|(name, column)| (&**name, column)).collect();
    let conform = |field: &Field| {
        let is_wanted = wanted == Wanted::All || field.role == Role::Input;
        match given.get(&*field.name) {
            Some(_) if !is_wanted && field.role == Role::Ignored => Ok(None),
            Some(column) => Ok(Some((field.name.clone(), one(field, column, notation, &markers, place, base)?))),
            None if is_wanted => Err(missing(field, columns, schema)),
            None => Ok(None),
        }
    };
    // A few rows to answer are conformed before another thread is awake. The first error counts, in order of columns.
    let conformed: Vec<Result<_>> = match columns.rows() < ROWS_ALONE {
        true => schema.fields.iter().map(conform).collect(),
        false => schema.fields.par_iter().map(conform).collect(),
    };
    let conformed: Vec<_> = conformed.into_iter().filter_map(Result::transpose).collect::<Result<_>>()?;
    let known: HashSet<&str> = schema.names().collect();
    let unknown = columns.names().filter(|name| !known.contains(name)).map(str::to_owned).collect();
    Ok(Conformed { columns: Columns::new(conformed), unknown })
}

/// A number of trimmed text: decimal or exponential, infinities by word or by size; nothing else, and not "nan".
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = trimmed(text);
    match text.as_bytes().first()? {
        b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I' => text.parse().ok().filter(|number: &f64| !number.is_nan()),
        _ => None,
    }
}

/// A number's text as a category: the shortest digits that give it back, `3` for 3.0.
pub(crate) fn number_text(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { number.to_string() }
}

/// How a category is written everywhere, whatever format it came from: without blanks around it, `3` for `3.0` (which programs write once a value is
/// missing), `true` for `True` and `TRUE`.
pub fn category_text(text: &str) -> &str {
    let text = trimmed(text);
    match text {
        "True" | "TRUE" => return "true",
        "False" | "FALSE" => return "false",
        "-0" | "-0.0" => return "0",
        _ => {}
    }
    let Some(whole) = text.strip_suffix(".0") else { return text };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_plain = digits == "0" || !digits.starts_with('0') && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { whole } else { text }
}

fn missing(field: &Field, columns: &Columns, schema: &Schema) -> Error {
    let free = columns.names().filter(|name| schema.field(name).is_none());
    let error = Error::refused("columns", format!("no column {}", field.name), format!("a column {} ({})", field.name, field.kind.word()));
    match cupola_task::nearest(&field.name, free) {
        Some(near) => error.with_hint(format!("is {near} the one? rename it to {}", field.name)),
        None => error.with_hint("give every column that the model was trained on; leave cells empty where a value is missing"),
    }
}

fn one(
    field: &Field,
    column: &Column,
    notation: &Notation,
    markers: &Markers,
    place: &dyn Fn(usize) -> String,
    base: Option<&Path>,
) -> Result<Column> {
    if field.role == Role::Ignored {
        return Ok(column.clone());
    }
    if let Kind::Image { .. } = field.kind {
        return Ok(Column::Images(images::cells(&field.name, column, notation.shrink, place, base)?));
    }
    let array = match column {
        Column::Array(array) => array,
        Column::Images(_) => return Err(Error::column(&field.name, place(0), "images", format!("a {}", field.kind.word()))),
        _ => return Ok(column.clone()),
    };
    let array = &normal::without_markers(array, markers);
    let format = notation.dates.get(&*field.name).map(String::as_str);
    let array = match &field.kind {
        Kind::Number => numbers(&field.name, array, place)?,
        Kind::Category { .. } => categories(&field.name, array, place)?,
        Kind::Text => texts(&field.name, array, place)?,
        Kind::Date => dates(&field.name, array, format, place)?,
        _ => array.clone(),
    };
    Ok(Column::Array(array))
}

/// The array in one of the as-read types, which what comes from a server or another program need not have.
fn as_read(name: &str, array: &ArrayRef, place: &dyn Fn(usize) -> String) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Utf8 | DataType::Float64 | DataType::Timestamp(TimeUnit::Microsecond, None) => Ok(array.clone()),
        _ => normal::array_as_read(name, &place(0), array),
    }
}

fn numbers(name: &str, array: &ArrayRef, place: &dyn Fn(usize) -> String) -> Result<ArrayRef> {
    let array = as_read(name, array, place)?;
    match array.data_type() {
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>();
            if numbers.values().iter().all(|number| number.is_finite()) {
                return Ok(array);
            }
            if let Some(row) = numbers.iter().position(|number| number.is_some_and(f64::is_infinite)) {
                return Err(infinite(name, place(row), &numbers.value(row).to_string()));
            }
            if numbers.values().iter().any(|number| number.is_nan()) {
                return Ok(Arc::new(numbers.iter().map(|number| number.filter(|number| !number.is_nan())).collect::<Float64Array>()));
            }
            Ok(array)
        }
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let parse = |(row, text): (usize, Option<&str>)| match text.map(|text| (text, number(text))) {
                None => Ok(None),
                Some((_, Some(number))) if number.is_finite() => Ok(Some(number)),
                Some((text, Some(_))) => Err(infinite(name, place(row), text)),
                Some((text, None)) => Err(no_number(name, place(row), text)),
            };
            Ok(Arc::new(texts.iter().enumerate().map(parse).collect::<Result<Float64Array>>()?))
        }
        _ => Err(Error::column(name, place(0), "a point in time", "a number").with_hint("the column was a number in training")),
    }
}

/// A cell as messages show it.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{:?} and more", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn infinite(name: &str, place: String, text: &str) -> Error {
    let error = Error::column(name, place, shown(text), "a finite number");
    error.with_hint(format!("leave the cell empty if its value is missing, or, when training, add {text} to data.missing_values"))
}

fn no_number(name: &str, place: String, text: &str) -> Error {
    let error = Error::column(name, place, shown(text), "a number");
    let text = shown(text);
    error.with_hint(format!(
        "correct the cell or leave it empty, or, when training, add {text} to data.missing_values or set the column's type to category"
    ))
}

fn categories(name: &str, array: &ArrayRef, place: &dyn Fn(usize) -> String) -> Result<ArrayRef> {
    let array = as_read(name, array, place)?;
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let is_canonical = texts.iter().flatten().all(|text| category_text(text) == text && !text.is_empty());
            if is_canonical {
                return Ok(array);
            }
            let canonical = texts.iter().map(|text| text.map(category_text).filter(|text| !text.is_empty()));
            Ok(Arc::new(canonical.collect::<StringArray>()))
        }
        _ => Ok(Arc::new(spelled(&array))),
    }
}

fn texts(name: &str, array: &ArrayRef, place: &dyn Fn(usize) -> String) -> Result<ArrayRef> {
    let array = as_read(name, array, place)?;
    Ok(if *array.data_type() == DataType::Utf8 { array } else { Arc::new(spelled(&array)) })
}

/// Numbers and points in time as text.
pub(crate) fn spelled(array: &ArrayRef) -> StringArray {
    match array.data_type() {
        DataType::Float64 => {
            array.as_primitive::<Float64Type>().iter().map(|number| number.filter(|number| !number.is_nan()).map(number_text)).collect()
        }
        _ => array.as_primitive::<TimestampMicrosecondType>().iter().map(|micros| micros.map(date::iso)).collect(),
    }
}

fn dates(name: &str, array: &ArrayRef, format: Option<&str>, place: &dyn Fn(usize) -> String) -> Result<ArrayRef> {
    let array = as_read(name, array, place)?;
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let parse = |(row, text): (usize, Option<&str>)| match text {
                None => Ok(None),
                Some(text) => match date::parse_known(text, format) {
                    Some(micros) => Ok(Some(micros)),
                    None => Err(no_date(name, place(row), text, format)),
                },
            };
            Ok(Arc::new(texts.iter().enumerate().map(parse).collect::<Result<TimestampMicrosecondArray>>()?))
        }
        DataType::Float64 if array.null_count() == array.len() => Ok(Arc::new(TimestampMicrosecondArray::new_null(array.len()))),
        DataType::Float64 => Err(no_date(name, place(0), "a number", format)),
        _ => Ok(array),
    }
}

fn no_date(name: &str, place: String, text: &str, format: Option<&str>) -> Error {
    let wanted = format.map_or("a date".to_owned(), |format| format!("a date like {format}"));
    Error::column(name, place, shown(text), wanted).with_hint("write dates as YYYY-MM-DD, with a time as YYYY-MM-DDTHH:MM:SS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{BooleanArray, Int64Array};
    use expect_test::expect;

    fn field(name: &str, kind: Kind, role: Role) -> Field {
        Field { name: name.into(), kind, role }
    }

    fn schema() -> Schema {
        let category = || Kind::Category { classes: [].into() };
        Schema {
            fields: vec![
                field("age", Kind::Number, Role::Input),
                field("job", category(), Role::Input),
                field("day", Kind::Date, Role::Input),
                field("paid", category(), Role::Target(cupola_task::Task::Classify)),
            ],
        }
    }

    fn columns(list: Vec<(&str, ArrayRef)>) -> Columns {
        Columns::new(list.into_iter().map(|(name, array)| (name.into(), Column::Array(array))).collect())
    }

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(values.iter().map(|value| Some(*value).filter(|value| !value.is_empty())).collect::<StringArray>())
    }

    fn shown(columns: Columns, wanted: Wanted) -> String {
        let formats = Notation {
            dates: [("day".to_owned(), "%d.%m.%Y".to_owned())].into(),
            missing_values: vec!["-999".to_owned()],
            ..Notation::default()
        };
        match conform(&columns, &schema(), &formats, &|row| format!("a.csv:{}", row + 2), wanted) {
            Ok(conformed) => {
                let cell = |array: &ArrayRef, row| arrow_cast::display::array_value_to_string(array, row).unwrap();
                let rows = (0..conformed.columns.rows()).map(|row| {
                    conformed.columns.iter().map(|(_, column)| cell(column.array().unwrap(), row)).collect::<Vec<_>>().join("|")
                });
                format!("{} unknown {:?}", rows.collect::<Vec<_>>().join(" / "), conformed.unknown)
            }
            Err(error) => format!("{error}; {}", cupola_task::Fault::hint(&error).unwrap_or_default()),
        }
    }

    #[test]
    fn every_source_of_a_value_gives_the_same_column() {
        let typed = columns(vec![
            ("age", Arc::new(Int64Array::from(vec![Some(39), None]))),
            ("job", Arc::new(Float64Array::from(vec![3.0, -0.0]))),
            ("day", texts(&["2021-12-31", ""])),
            ("paid", Arc::new(BooleanArray::from(vec![true, false]))),
        ]);
        let text = columns(vec![
            ("paid", texts(&["True", "false"])),
            ("age", texts(&[" 39.0", ""])),
            ("job", texts(&["3.0 ", "0"])),
            ("day", texts(&["31.12.2021", ""])),
        ]);
        expect!["39.0|3|2021-12-31T00:00:00|true / |0||false unknown []"].assert_eq(&shown(typed, Wanted::All));
        expect!["39.0|3|2021-12-31T00:00:00|true / |0||false unknown []"].assert_eq(&shown(text, Wanted::All));
        let extra = columns(vec![("age", texts(&["1"])), ("job", texts(&["a"])), ("day", texts(&[""])), ("x", texts(&["1"]))]);
        expect![[r#"1.0|a| unknown ["x"]"#]].assert_eq(&shown(extra, Wanted::Inputs));
    }

    #[test]
    fn refusals_name_column_place_and_remedy() {
        let one = |name: &str, array: ArrayRef| {
            let base = [("age", texts(&["1"])), ("job", texts(&["a"])), ("day", texts(&[""]))];
            shown(
                columns(base.into_iter().map(|(known, old)| (known, if known == name { array.clone() } else { old })).collect()),
                Wanted::Inputs,
            )
        };
        expect![[r#"a.csv:2: column age: found "many", wanted a number; correct the cell or leave it empty, or, when training, add "many" to data.missing_values or set the column's type to category"#]].assert_eq(&one("age", texts(&["many"])));
        expect![[r#"a.csv:2: column age: found "1e999", wanted a finite number; leave the cell empty if its value is missing, or, when training, add 1e999 to data.missing_values"#]].assert_eq(&one("age", texts(&["1e999"])));
        expect![[r#"a.csv:2: column day: found "12/31/2021", wanted a date like %d.%m.%Y; write dates as YYYY-MM-DD, with a time as YYYY-MM-DDTHH:MM:SS"#]].assert_eq(&one("day", texts(&["12/31/2021"])));
        expect!["columns: found no column age, wanted a column age (number); is Age the one? rename it to age"]
            .assert_eq(&shown(columns(vec![("Age", texts(&["1"]))]), Wanted::Inputs));
    }
}
