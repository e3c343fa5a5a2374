//! Reads inputs into as-read columns, whole or chunk by chunk.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let input = Input::Bytes { name: "flowers.csv".into(), bytes: "kind,height\nrose,1.5\noak,?\n".into() };
//! let raw = read(&input, &ReadOptions::default())?;
//! assert_eq!((raw.columns.rows(), raw.place(1)), (2, "flowers.csv:3".to_owned()));
//! # Ok::<(), cupola_data::Error>(())
//! ```

pub(crate) use crate::places::Lines;
pub use crate::places::Places;

use crate::formats::{self, Chunk, Content, FormatDef, Layout, Rows, Wish};
use crate::images::ImageOptions;
use crate::{Error, Result};
use crate::{remote, source, sql};
use bytes::Bytes;
use cupola_task::{Column, Columns, Range, Setting, Settings, Value, size};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a table comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file, a folder of files, or a pattern for files.
    Path(PathBuf),
    /// Several files or patterns, whose rows follow one another.
    Paths(Vec<PathBuf>),
    /// A table of a database, or an object or several on a server, by a URL without a password: see [`remote`](crate::remote).
    Url(String),
    /// What a query makes of other inputs.
    Query(Arc<Query>),
    /// Standard input.
    Stdin,
    /// Bytes at hand, under a name for messages and for the format's ending.
    Bytes {
        /// The name.
        name: String,
        /// The content.
        bytes: Bytes,
    },
}

/// A query over tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The query, in SQL.
    pub sql: String,
    /// The tables that it may name.
    pub tables: Vec<(String, Input)>,
}

impl Query {
    /// What the table is called that is learned from or asked about.
    pub const DATA: &str = "data";
}

/// What is done with a row of a text file that is broken: too few or too many fields, text behind a closing quote, a NUL, bytes that are not UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BadRows {
    /// The file is refused.
    #[default]
    Fail,
    /// The row is left out, counted, and the first 20 places are kept.
    Skip,
}

/// How bytes stand for characters. A byte order mark overrides it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16 with a byte order mark.
    Utf16,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// One byte a character: ISO 8859-1 in its usual form, Windows code page 1252.
    Latin1,
}

/// How inputs are read: the recipe's keys under `[data]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadOptions {
    /// A name of [`FORMATS`](crate::FORMATS); found out when not given.
    pub format: Option<String>,
    /// Between fields; found out when not given.
    pub delimiter: Option<u8>,
    /// Around fields, when there is such a character; `"` by default.
    pub quote: Option<u8>,
    /// The sheet of a workbook, or the table of a database, when it is not the first or only one.
    pub sheet: Option<String>,
    /// Whether numbers of text files have a decimal comma.
    pub has_decimal_comma: bool,
    /// What stands between thousands there: `none`, `comma`, `point`, `space` or `apostrophe`.
    pub thousands: String,
    /// Whether the first line names the columns; without it they are `column_1`, `column_2`, ...
    pub header: bool,
    /// How bytes stand for characters.
    pub encoding: Encoding,
    /// Cells that stand for a missing value, compared without blanks around them; the empty cell always does. In typed formats
    /// markers that are numbers apply to numbers.
    pub missing_values: Vec<String>,
    /// What is done with broken rows.
    pub bad_rows: BadRows,
    /// Most bytes of one input, unpacked.
    pub max_bytes: u64,
    /// Most bytes of one record of a text file.
    pub max_line: u64,
    /// Memory that the program may use for itself; what is larger lies in a file. Who owns the program's memory keeps it.
    pub max_memory: Option<u64>,
    /// How pictures are read.
    pub images: ImageOptions,
}

/// Rows that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// How many.
    pub count: u64,
    /// The first 20, each with its place and reason.
    pub places: Vec<String>,
}

/// A whole input as it was read.
#[derive(Clone, Debug)]
pub struct Raw {
    /// As-read columns: `Utf8`, `Float64`, `Timestamp(Microsecond, None)` or images.
    pub columns: Columns,
    /// Columns that the format made, and what they are for.
    pub layout: Layout,
    /// The input's name.
    pub name: String,
    /// The format's name.
    pub format: &'static str,
    /// Rows left out.
    pub skipped: Skipped,
    /// What looked odd but could be read.
    pub warnings: Vec<String>,
    /// BLAKE3 of the bytes as they came, before unpacking, in hexadecimal; of several files over their names and hashes.
    pub hash: String,
    /// How many bytes came.
    pub bytes: u64,
    /// Where the rows stand.
    pub places: Places,
}

/// Chunks of an input, one after another. After an error it ends.
pub struct Stream {
    rows: Box<dyn Rows>,
    chunk_rows: usize,
    format: &'static str,
    is_ended: bool,
}

/// The least ceiling of memory.
const MAX_MEMORY_LEAST: u64 = 64 << 20;
/// A bound for [`Skipped::places`].
const PLACES_MAX: usize = 20;

impl Input {
    /// `-` is standard input, a URL of `postgres` or `s3` a table elsewhere, everything else a path.
    pub fn parse(text: &str) -> Input {
        match text {
            "-" => Input::Stdin,
            url if remote::is_url(url) => Input::Url(remote::without_password(url)),
            path => Input::Path(path.into()),
        }
    }

    /// One file, folder or pattern; several as one table.
    pub fn parse_all(texts: &[String]) -> Input {
        match texts {
            [text] => Input::parse(text),
            texts => Input::Paths(texts.iter().map(|text| remote::without_password(text).into()).collect()),
        }
    }

    /// The file, folder or pattern that a value names, or a list of them; nothing when it names none.
    pub fn of(value: &Value) -> Option<Input> {
        let texts: Vec<String> = match value {
            Value::Text(text) => vec![text.clone()],
            Value::List(items) => {
                items.iter().map(|item| if let Value::Text(text) = item { text.clone() } else { item.to_string() }).collect()
            }
            other => vec![other.to_string()],
        };
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        (!texts.is_empty()).then(|| Input::parse_all(&texts))
    }

    /// What a query makes of this input, which it calls `data`, and of further tables; the input itself when the query is empty.
    ///
    /// # Errors
    /// Tables without a query, and a table that is called `data` too.
    pub fn queried(self, sql: &str, tables: Vec<(String, Input)>) -> Result<Input> {
        let first = tables.first().map(|(name, _)| name.clone());
        match first {
            Some(name) if sql.is_empty() => {
                let error = Error::setting(format!("data.tables.{name}"), "a table", "no table without data.sql");
                Err(error.with_hint(format!("sql=\"select ... from data join {name} using (...)\"")))
            }
            None if sql.is_empty() => Ok(self),
            _ if tables.iter().any(|(name, _)| name == Query::DATA) => {
                Err(Error::setting("data.tables.data", "a second table of that name", "another name: data.train is called so"))
            }
            _ => {
                let tables = std::iter::once((Query::DATA.to_owned(), self)).chain(tables).collect();
                Ok(Input::Query(Arc::new(Query { sql: sql.to_owned(), tables })))
            }
        }
    }

    /// The folder that paths in a table are relative to: the one it lies in. Nowhere for what is no single file.
    pub fn folder(&self) -> Option<PathBuf> {
        let Input::Path(path) = self else { return None };
        if path.is_dir() {
            return Some(path.clone());
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Some(parent.map_or_else(|| PathBuf::from("."), PathBuf::from))
    }

    /// Bytes of its files as they lie on the disk, as far as they are named one by one: those of folders and patterns are not counted.
    pub fn file_bytes(&self) -> u64 {
        let length = |path: &PathBuf| path.metadata().ok().filter(|entry| entry.is_file()).map_or(0, |entry| entry.len());
        match self {
            Input::Path(path) => length(path),
            Input::Paths(paths) => paths.iter().map(length).sum(),
            Input::Query(query) => query.tables.iter().map(|(_, input)| input.file_bytes()).sum(),
            Input::Stdin | Input::Url(_) => 0,
            Input::Bytes { bytes, .. } => bytes.len() as u64,
        }
    }

    /// The name for messages.
    pub fn name(&self) -> String {
        match self {
            Input::Path(path) => path.display().to_string(),
            Input::Paths(paths) => match paths.as_slice() {
                [] => "no file".to_owned(),
                [first, others @ ..] => format!("{} and {} more", first.display(), others.len()),
            },
            Input::Query(_) => "data.sql".to_owned(),
            Input::Url(url) => url.clone(),
            Input::Stdin => "standard input".to_owned(),
            Input::Bytes { name, .. } => name.clone(),
        }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        let settings = Settings::check("data", ReadOptions::SETTINGS, []).expect("defaults are in range");
        ReadOptions::from_settings(&settings).expect("defaults make options")
    }
}

impl ReadOptions {
    /// The recipe's keys, with their defaults.
    pub const SETTINGS: &[Setting] = &[
        Setting {
            name: "format",
            alias: &[],
            default: "auto",
            range: Range::Choice(&[
                "auto",
                "csv",
                "tsv",
                "jsonl",
                "parquet",
                "arrow",
                "sheet",
                "sqlite",
                "arff",
                "libsvm",
                "numpy",
                "idx",
                "cifar",
                "webdataset",
                "images",
                "tables",
            ]),
            doc: "what the file is; auto goes by its content, then by its name",
        },
        Setting {
            name: "delimiter",
            alias: &["sep"],
            default: "auto",
            range: Range::Text,
            doc: "what stands between fields: auto, comma, semicolon, tab, pipe, space or one ASCII character",
        },
        Setting {
            name: "quote",
            alias: &["quotechar"],
            default: "\"double\"",
            range: Range::Text,
            doc: "what stands around fields: double, single, none or one ASCII character",
        },
        Setting {
            name: "decimal",
            alias: &[],
            default: "point",
            range: Range::Choice(&["point", "comma"]),
            doc: "what stands before the fraction of numbers in CSV and TSV",
        },
        Setting {
            name: "thousands",
            alias: &[],
            default: "none",
            range: Range::Choice(&["none", "comma", "point", "space", "apostrophe"]),
            doc: "what stands between thousands of numbers in CSV and TSV",
        },
        Setting {
            name: "sheet",
            alias: &["sheet_name", "table"],
            default: "\"\"",
            range: Range::Text,
            doc: "which sheet of a workbook, or table or view of a database, is read; empty: the first sheet, the only table",
        },
        Setting { name: "header", alias: &[], default: "true", range: Range::Flag, doc: "whether the first line names the columns" },
        Setting {
            name: "encoding",
            alias: &[],
            default: "utf-8",
            range: Range::Choice(&["utf-8", "utf-16", "utf-16le", "utf-16be", "latin-1"]),
            doc: "how bytes stand for characters; a byte order mark overrides it",
        },
        Setting {
            name: "missing_values",
            alias: &["na_values"],
            default: r##"["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "#N/A"]"##,
            range: Range::List(&Range::Any(&[
                Range::Text,
                Range::Integer { min: i64::MIN, max: i64::MAX },
                Range::Real { min: f64::MIN, max: f64::MAX },
            ])),
            doc: "cells that stand for a missing value; the empty cell always does",
        },
        Setting {
            name: "bad_rows",
            alias: &["on_bad_lines"],
            default: "fail",
            range: Range::Choice(&["fail", "skip"]),
            doc: "whether a broken row of a text file, or a broken picture, stops the reading or is left out and counted",
        },
        Setting {
            name: "max_bytes",
            alias: &[],
            default: "8589934592",
            range: Range::Integer { min: 1, max: i64::MAX },
            doc: "most bytes of one input, unpacked",
        },
        Setting {
            name: "max_line",
            alias: &[],
            default: "67108864",
            range: Range::Integer { min: 16, max: 1 << 30 },
            doc: "most bytes of one record of a text file",
        },
        Setting {
            name: "max_memory",
            alias: &["memory_limit"],
            default: "none",
            range: Range::Any(&[Range::Choice(&["none"]), Range::Integer { min: 1, max: i64::MAX }, Range::Text]),
            doc: "memory that may be used, as 2G or 500M, at least 64M: what a larger table needs lies in a file without a name in the folder of runs, which the system pages in; results stay the same",
        },
    ];

    /// Takes what the recipe says; the settings were checked against a list that holds [`ReadOptions::SETTINGS`].
    ///
    /// # Errors
    /// A delimiter or quote that is no single ASCII character, or the same for both.
    pub fn from_settings(settings: &Settings) -> Result<ReadOptions> {
        let delimiter = delimiter(settings.text("delimiter"))?;
        let quote = quote(settings.text("quote"))?;
        if delimiter.is_some() && delimiter == quote {
            return Err(Error::setting("data.quote", settings.text("quote"), "another character than data.delimiter"));
        }
        if settings.text("decimal") == settings.text("thousands") {
            return Err(Error::setting("data.thousands", settings.text("thousands"), "another character than data.decimal"));
        }
        let word = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(ReadOptions {
            format: Some(settings.text("format")).filter(|format| *format != "auto").map(str::to_owned),
            delimiter,
            quote,
            sheet: Some(settings.text("sheet")).filter(|sheet| !sheet.is_empty()).map(str::to_owned),
            has_decimal_comma: settings.text("decimal") == "comma",
            thousands: settings.text("thousands").to_owned(),
            header: settings.flag("header"),
            encoding: match settings.text("encoding") {
                "utf-16" => Encoding::Utf16,
                "utf-16le" => Encoding::Utf16Le,
                "utf-16be" => Encoding::Utf16Be,
                "latin-1" => Encoding::Latin1,
                _ => Encoding::Utf8,
            },
            missing_values: settings.list("missing_values").iter().map(word).collect(),
            bad_rows: if settings.text("bad_rows") == "skip" { BadRows::Skip } else { BadRows::Fail },
            max_bytes: settings.integer("max_bytes").unsigned_abs(),
            max_line: settings.integer("max_line").unsigned_abs(),
            max_memory: max_memory(settings.value("max_memory"))?,
            images: ImageOptions::default(),
        })
    }
}

fn max_memory(value: &Value) -> Result<Option<u64>> {
    let bytes = match value {
        Value::Text(text) if text == "none" => return Ok(None),
        Value::Text(text) => size(text),
        Value::Integer(bytes) => u64::try_from(*bytes).ok(),
        _ => None,
    };
    match bytes {
        Some(bytes) if bytes >= MAX_MEMORY_LEAST => Ok(Some(bytes)),
        _ => Err(Error::setting(
            "data.max_memory",
            value,
            "a size of at least 64M, such as 500M or 2G; less would not hold the program itself",
        )),
    }
}

fn delimiter(word: &str) -> Result<Option<u8>> {
    match word {
        "auto" => Ok(None),
        "comma" => Ok(Some(b',')),
        "semicolon" => Ok(Some(b';')),
        "tab" | "\\t" => Ok(Some(b'\t')),
        "pipe" => Ok(Some(b'|')),
        "space" => Ok(Some(b' ')),
        other => single("data.delimiter", other, "auto, comma, semicolon, tab, pipe, space or one ASCII character").map(Some),
    }
}

fn quote(word: &str) -> Result<Option<u8>> {
    match word {
        "double" => Ok(Some(b'"')),
        "single" => Ok(Some(b'\'')),
        "none" => Ok(None),
        other => single("data.quote", other, "double, single, none or one ASCII character").map(Some),
    }
}

fn single(name: &str, word: &str, wanted: &str) -> Result<u8> {
    match word.as_bytes() {
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\n' | b'\r' | 0 | b'.' | b'-' | b'+') => Ok(*byte),
        _ => Err(Error::setting(name, format!("{word:?}"), wanted)),
    }
}

impl Skipped {
    pub(crate) fn add(&mut self, error: &Error) {
        self.count += 1;
        if self.places.len() < PLACES_MAX {
            self.places.push(error.to_string());
        }
    }

    pub(crate) fn extend(&mut self, other: &Skipped) {
        self.count += other.count;
        let room = PLACES_MAX.saturating_sub(self.places.len());
        self.places.extend(other.places.iter().take(room).cloned());
    }
}

impl Raw {
    /// Where a row stands: see [`Places::place`].
    pub fn place(&self, row: usize) -> String {
        self.places.place(row)
    }
}

/// Reads a whole input.
///
/// # Errors
/// Whatever makes the table other than what the file says, with place, found, wanted and a hint: see the crate's
/// documentation.
pub fn read(input: &Input, options: &ReadOptions) -> Result<Raw> {
    read_whole(input, options, None)
}

/// Reads a whole input as [`read`] does, but columns of numbers as numbers at once, without a text for each: [`infer`](crate::infer()) and
/// [`conform`](crate::conform()) make the same of both, as long as a type that is asked for, or a role, asks for the text of `texts` only. Those are the
/// targets, and columns that are ignored or whose type is set.
///
/// # Errors
/// As [`read`].
pub fn read_numbers(input: &Input, options: &ReadOptions, texts: &BTreeSet<&str>) -> Result<Raw> {
    read_whole(input, options, Some(texts))
}

fn read_whole(input: &Input, options: &ReadOptions, texts: Option<&BTreeSet<&str>>) -> Result<Raw> {
    let Opening { format, mut rows, bytes, memory } = open(input, options, true)?;
    let name = input.name();
    if let Some(texts) = texts {
        rows.wish(&Wish::Numbers { texts })?;
    }
    let (chunk, hash) = rayon::join(|| rows.next(usize::MAX), || source::hash(memory.as_ref()));
    let mut chunk = chunk?.ok_or_else(|| formats::no_rows(&name, rows.skipped()))?;
    if !rows.mistaken().is_empty() {
        let again = memory.map_or_else(|| input.clone(), |bytes| Input::Bytes { name: name.clone(), bytes });
        for (name, texts) in texts_of(&again, options, rows.mistaken())? {
            chunk.columns.insert(name, texts);
        }
    }
    let Content { hash, bytes } = rows.content().cloned().unwrap_or(Content { hash, bytes });
    Ok(Raw {
        columns: chunk.columns,
        layout: rows.layout(),
        name,
        format,
        skipped: rows.skipped().clone(),
        warnings: rows.warnings().to_vec(),
        hash,
        bytes,
        places: chunk.places,
    })
}

/// Those columns of an input that was read before, as text.
fn texts_of(input: &Input, options: &ReadOptions, names: &[Arc<str>]) -> Result<Vec<(Arc<str>, Column)>> {
    let mut rows = open(input, options, true)?.rows;
    rows.wish(&Wish::Texts { only: names })?;
    let chunk = rows.next(usize::MAX)?.ok_or_else(|| formats::no_rows(&input.name(), rows.skipped()))?;
    Ok(chunk.columns.iter().filter(|(name, _)| names.contains(name)).map(|(name, column)| (name.clone(), column.clone())).collect())
}

/// An opened input.
struct Opening {
    format: &'static str,
    rows: Box<dyn Rows>,
    /// How many bytes came, when known.
    bytes: u64,
    /// Its bytes, when they are at hand.
    memory: Option<Bytes>,
}

impl Opening {
    fn of((format, rows): (&'static FormatDef, Box<dyn Rows>)) -> Opening {
        Opening { format: format.name, rows, bytes: 0, memory: None }
    }
}

fn open(input: &Input, options: &ReadOptions, is_whole: bool) -> Result<Opening> {
    match input {
        Input::Paths(paths) => return Ok(Opening::of(formats::open_list(paths, options, is_whole)?)),
        Input::Query(query) => {
            let rows = sql::open(query, options)?;
            return Ok(Opening { format: "sql", rows, bytes: 0, memory: None });
        }
        Input::Url(url) => {
            if let Some((format, rows)) = formats::open_url(url, options, is_whole)? {
                return Ok(Opening { format, rows, bytes: 0, memory: None });
            }
        }
        _ => {}
    }
    if let Input::Path(path) = input
        && (path.is_dir() || formats::is_pattern(path) && !path.exists() && path.to_str().and_then(remote::foreign).is_none())
    {
        return Ok(Opening::of(formats::open_folder(path, options, is_whole)?));
    }
    let opened = source::open(input, options, is_whole)?;
    let opening = Opening::of(formats::open(opened.plain, input, &opened.extension, options, is_whole)?);
    Ok(Opening { bytes: opened.bytes, memory: opened.memory, ..opening })
}

/// Opens an input to be read `rows` rows at a time, in memory that does not grow with the input.
///
/// A column's as-read type may differ from chunk to chunk where a format does not declare it (JSON lines);
/// [`conform`](crate::conform()) evens that out. A JSON key that no line of the first chunk has is missing there.
///
/// # Errors
/// As [`read`], for what can be seen at the beginning; the rest comes from the iterator.
pub fn stream(input: &Input, options: &ReadOptions, rows: usize) -> Result<Stream> {
    let opened = open(input, options, false)?;
    Ok(Stream { rows: opened.rows, chunk_rows: rows.max(1), format: opened.format, is_ended: false })
}

/// Opens an input to be read in one piece, for who looks at rows beside each other.
///
/// # Errors
/// As [`read`].
pub fn whole(input: &Input, options: &ReadOptions) -> Result<Stream> {
    let Raw { columns, places, layout, skipped, warnings, format, .. } = read(input, options)?;
    let chunk_rows = columns.rows().max(1);
    let rows = formats::Listed::new(columns, places).with(layout, skipped).warned(warnings);
    Ok(Stream { rows: Box::new(rows), chunk_rows, format, is_ended: false })
}

impl Stream {
    /// The format's name.
    pub fn format(&self) -> &'static str {
        self.format
    }

    /// Columns that the format made, and what they are for.
    pub fn layout(&self) -> Layout {
        self.rows.layout()
    }

    /// How many rows there are, where a header or a listing tells before they are read.
    pub fn total(&self) -> Option<u64> {
        self.rows.total()
    }

    /// At most `rows` rows that show what is there, instead of all of them one after another.
    ///
    /// # Errors
    /// As the iterator.
    pub fn sample(mut self, rows: usize) -> Result<Option<Chunk>> {
        self.rows.sample(rows)
    }

    /// What was left out so far.
    pub fn skipped(&self) -> &Skipped {
        self.rows.skipped()
    }

    /// What looked odd when it was opened.
    pub fn warnings(&self) -> &[String] {
        self.rows.warnings()
    }
}

impl Iterator for Stream {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Result<Chunk>> {
        if self.is_ended {
            return None;
        }
        let next = self.rows.next(self.chunk_rows).transpose();
        self.is_ended = !matches!(next, Some(Ok(_)));
        next
    }
}
