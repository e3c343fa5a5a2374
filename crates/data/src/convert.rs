//! A table from one format to another, in chunks: `cupola data convert`.
//!
//! Formats whose cells have types get them: a first pass finds the plainest type that all values of a column have, a second one writes. CSV and TSV
//! get what stood in the file, cell by cell.

use crate::conform::number;
use crate::date::{self, Guess};
use crate::infer::is_code;
use crate::{Error, Input, OutputFormat, ReadOptions, Result, WholeFile, Writer, stream};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::DataType;
use cupola_task::{Column, Columns};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// Rows that are read at once.
const CHUNK: usize = 16_384;
/// A `f64` holds every whole number up to here.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// What a column is written as.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Plain {
    /// Nothing was there.
    Missing,
    /// Whole numbers of 64 bits.
    Whole,
    /// Numbers.
    Number,
    /// `true` and `false`.
    Flag,
    /// Points in time; written in that format where they come as text.
    Date(Option<String>),
    /// Texts as they are.
    Text,
}

impl Plain {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Plain::Missing | Plain::Text => "text",
            Plain::Whole => "whole number",
            Plain::Number => "number",
            Plain::Flag => "flag",
            Plain::Date(_) => "date",
        }
    }

    fn of(array: &ArrayRef) -> Plain {
        if array.null_count() == array.len() {
            return Plain::Missing;
        }
        if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
            let is_whole = |value: f64| value.fract() == 0.0 && value.abs() <= WHOLE_MAX && (value != 0.0 || value.is_sign_positive());
            let mut values = numbers.iter().flatten().filter(|value| !value.is_nan());
            let Some(first) = values.next() else { return Plain::Missing };
            return if is_whole(first) && values.all(is_whole) { Plain::Whole } else { Plain::Number };
        }
        match array.as_string_opt::<i32>() {
            Some(texts) => Plain::of_texts(texts),
            None => Plain::Date(None),
        }
    }

    fn of_texts(texts: &StringArray) -> Plain {
        let values = || texts.iter().flatten().map(str::trim);
        if values().all(|text| matches!(text, "true" | "false")) {
            return Plain::Flag;
        }
        if values().all(|text| number(text).is_some() && !is_code(text)) {
            let is_whole =
                |text: &str| text.bytes().enumerate().all(|(at, byte)| byte.is_ascii_digit() || at == 0 && byte == b'-') && text != "-0";
            return if values().all(is_whole) { Plain::Whole } else { Plain::Number };
        }
        match date::guess(texts, false) {
            Guess::Format(format) => Plain::Date(Some(format)),
            _ => Plain::Text,
        }
    }

    /// The plainest type of two stretches of a column.
    fn and(self, other: Plain) -> Plain {
        match (self, other) {
            (Plain::Missing, other) | (other, Plain::Missing) => other,
            (one, other) if one == other => one,
            (Plain::Whole | Plain::Number, Plain::Whole | Plain::Number) => Plain::Number,
            _ => Plain::Text,
        }
    }

    fn apply(&self, array: &ArrayRef) -> ArrayRef {
        let texts = array.as_string_opt::<i32>();
        let floats = || -> Float64Array {
            match (texts, array.as_primitive_opt::<Float64Type>()) {
                (Some(texts), _) => texts.iter().map(|text| number(text?)).collect(),
                (None, Some(numbers)) => numbers.iter().map(|value| value.filter(|value| !value.is_nan())).collect(),
                (None, None) => Float64Array::new_null(array.len()),
            }
        };
        match self {
            Plain::Whole => Arc::new(floats().iter().map(|value| value.map(|value| value as i64)).collect::<Int64Array>()),
            Plain::Number => Arc::new(floats()),
            Plain::Flag => {
                let flags = texts.map(|texts| texts.iter().map(|text| Some(text?.trim() == "true")).collect::<BooleanArray>());
                flags.map_or_else(|| array.clone(), |flags| Arc::new(flags) as ArrayRef)
            }
            Plain::Date(Some(format)) => match texts {
                Some(texts) => Arc::new(texts.iter().map(|text| date::parse(text?, format)).collect::<TimestampMicrosecondArray>()),
                None if array.as_primitive_opt::<TimestampMicrosecondType>().is_some() => array.clone(),
                None => Arc::new(TimestampMicrosecondArray::new_null(array.len())),
            },
            Plain::Date(None) if array.as_primitive_opt::<TimestampMicrosecondType>().is_some() => array.clone(),
            Plain::Date(None) => Arc::new(TimestampMicrosecondArray::new_null(array.len())),
            Plain::Missing | Plain::Text => Arc::new(as_texts(array)),
        }
    }
}

fn as_texts(array: &ArrayRef) -> StringArray {
    if let Some(texts) = array.as_string_opt::<i32>() {
        return texts.clone();
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return numbers.iter().map(|value| value.filter(|value| !value.is_nan()).map(crate::conform::number_text)).collect();
    }
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(moments) => moments.iter().map(|moment| moment.map(date::iso)).collect(),
        None => StringArray::new_null(array.len()),
    }
}

/// The plainest types of a table's columns, found from all of its rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Types(Vec<(Arc<str>, Plain)>);

impl Types {
    /// Reads all rows once.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn of(input: &Input, options: &ReadOptions) -> Result<Types> {
        let mut types: Option<Vec<(Arc<str>, Plain)>> = None;
        for chunk in stream(input, options, CHUNK)? {
            let columns = chunk?.columns;
            let found: Vec<(Arc<str>, Plain)> = columns
                .iter()
                .collect::<Vec<_>>()
                .par_iter()
                .map(|(name, column)| ((*name).clone(), column.array().map_or(Plain::Text, Plain::of)))
                .collect();
            types = Some(match types.take() {
                None => found,
                Some(known) => known.into_iter().zip(found).map(|((name, one), (_, other))| (name, one.and(other))).collect(),
            });
        }
        types.map(Types).ok_or_else(|| crate::formats::no_rows(&input.name(), &crate::Skipped::default()))
    }

    /// Names and types.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Plain)> {
        self.0.iter().map(|(name, plain)| (name, plain))
    }

    /// Rows of that table in those types.
    pub fn apply(&self, columns: &Columns) -> Columns {
        let typed = |(name, plain): &(Arc<str>, Plain)| {
            let column = columns.get(name)?;
            Some((name.clone(), column.array().map_or_else(|| column.clone(), |array| Column::Array(plain.apply(array)))))
        };
        Columns::new(self.0.par_iter().filter_map(typed).collect())
    }
}

/// What was written.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Converted {
    /// The format that was read.
    pub from: String,
    /// The format that was written.
    pub to: String,
    /// Rows.
    pub rows: u64,
    /// Broken rows that were left out.
    pub skipped: u64,
    /// Columns and what they were written as.
    pub columns: Vec<(Arc<str>, String)>,
}

/// Writes the table to a file that appears whole or not at all. `progress` hears how many rows are written.
///
/// # Errors
/// When the table cannot be read or written; columns of pictures, which no table file holds.
pub fn convert(input: &Input, options: &ReadOptions, out: &Path, format: OutputFormat, progress: &mut dyn FnMut(u64)) -> Result<Converted> {
    let types = if format.is_typed() { Some(Types::of(input, options)?) } else { None };
    let mut stream = stream(input, options, CHUNK)?;
    let mut file = WholeFile::create(out)?;
    let mut writer = Writer::new(std::io::BufWriter::new(&mut file), format);
    let (mut rows, mut columns) = (0, Vec::new());
    for chunk in stream.by_ref() {
        let chunk = chunk?.columns;
        check_scalars(&chunk)?;
        let chunk = match &types {
            Some(types) => types.apply(&chunk),
            // A key of JSON lines may hold a number here and a text there.
            None => Columns::new(chunk.iter().map(|(name, column)| (name.clone(), texts(column))).collect()),
        };
        if columns.is_empty() {
            columns = match &types {
                Some(types) => types.iter().map(|(name, plain)| (name.clone(), plain.word().to_owned())).collect(),
                None => chunk.iter().map(|(name, _)| (name.clone(), "as it stood".to_owned())).collect(),
            };
        }
        rows += chunk.rows() as u64;
        writer.write(&chunk)?;
        progress(rows);
    }
    let buffer = writer.finish()?;
    buffer.into_inner().map_err(|error| Error::Write { action: format!("write {}", out.display()), source: error.into_error() })?;
    file.commit()?;
    Ok(Converted { from: stream.format().to_owned(), to: format.word().to_owned(), rows, skipped: stream.skipped().count, columns })
}

fn texts(column: &Column) -> Column {
    column.array().map_or_else(|| column.clone(), |array| Column::Array(Arc::new(as_texts(array))))
}

fn check_scalars(columns: &Columns) -> Result<()> {
    let is_scalar = |column: &Column| column.array().is_some_and(|array| !matches!(array.data_type(), DataType::List(_)));
    match columns.iter().find(|(_, column)| !is_scalar(column)) {
        Some((name, _)) => {
            let error = Error::column(name, "table", "pictures", "numbers, texts, flags or dates");
            Err(error.with_hint("tables of pictures cannot be written; `cupola data preview` shows them"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn written(name: &str, text: &str, format: OutputFormat) -> (Vec<u8>, Converted) {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let input = Input::Bytes { name: name.into(), bytes: text.to_owned().into() };
        let converted = convert(&input, &ReadOptions::default(), &out, format, &mut |_| {}).unwrap();
        (std::fs::read(&out).unwrap(), converted)
    }

    const TABLE: &str =
        "id,share,ok,day,note,code,none\n1,0.5,true,2024-01-05,\"a, b\",007,\n-2,3,false,2024-02-01,it's,010,\n3,,true,,?,012,\n";

    #[test]
    fn types_are_the_plainest_that_hold() {
        let (text, converted) = written("a.csv", TABLE, OutputFormat::Jsonl);
        expect![[r#"
            {"id":1,"share":0.5,"ok":true,"day":"2024-01-05","note":"a, b","code":"007","none":null}
            {"id":-2,"share":3,"ok":false,"day":"2024-02-01","note":"it's","code":"010","none":null}
            {"id":3,"share":null,"ok":true,"day":null,"note":null,"code":"012","none":null}
        "#]]
        .assert_eq(&String::from_utf8(text).unwrap());
        let words: Vec<&str> = converted.columns.iter().map(|(_, word)| word.as_str()).collect();
        assert_eq!(words, ["whole number", "number", "flag", "date", "text", "text", "text"]);
        let (text, _) = written("a.csv", TABLE, OutputFormat::Arff);
        expect![[r#"
            @relation table

            @attribute id numeric
            @attribute share numeric
            @attribute ok {false,true}
            @attribute day date "yyyy-MM-dd'T'HH:mm:ss"
            @attribute note string
            @attribute code string
            @attribute none string

            @data
            1,0.5,true,"2024-01-05T00:00:00",'a, b',007,?
            -2,3,false,"2024-02-01T00:00:00",'it\'s',010,?
            3,?,true,?,?,012,?
        "#]]
        .assert_eq(&String::from_utf8(text).unwrap());
    }

    #[test]
    fn what_a_format_does_not_hold_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a.arff");
        let bytes = "when,x\n2024-01-05T10:00:00.5,1\n2024-01-06T11:00:00,2\n".to_owned().into();
        let input = Input::Bytes { name: "a.csv".into(), bytes };
        let error = convert(&input, &ReadOptions::default(), &out, OutputFormat::Arff, &mut |_| {}).unwrap_err();
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert!(said.starts_with("column when: found 2024-01-05T10:00:00.500; "), "{said}");
        assert!(!out.exists());
    }

    #[test]
    fn every_format_gives_the_table_back() {
        let (plain, _) = written("a.csv", TABLE, OutputFormat::Csv);
        for format in [OutputFormat::Tsv, OutputFormat::Jsonl, OutputFormat::Parquet, OutputFormat::Arrow, OutputFormat::Arff] {
            let (bytes, _) = written("a.csv", TABLE, format);
            let folder = tempfile::tempdir().unwrap();
            let (there, back) = (folder.path().join(format!("a.{}", format.word())), folder.path().join("b.csv"));
            std::fs::write(&there, bytes).unwrap();
            convert(&Input::Path(there), &ReadOptions::default(), &back, OutputFormat::Csv, &mut |_| {}).unwrap();
            // ARFF has one format for all dates of a column, and that has a time.
            let back = std::fs::read_to_string(&back).unwrap().replace("T00:00:00", "");
            assert_eq!(back, String::from_utf8(plain.clone()).unwrap(), "{format:?}");
        }
    }
}
