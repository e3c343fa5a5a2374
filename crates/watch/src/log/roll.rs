//! Segments that are done become tables.

use super::line::{Head, Line};
use super::writer::day_of;
use crate::{Error, Result};
use arrow_array::builder::{Float64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, StringArray};
use cupola_data::{OutputFormat, WholeFile, Writer};
use cupola_task::{Column, Columns};
use serde_json::Value;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are made into columns at once: as values on their way they take some thirty times their text.
const ROWS: usize = 256;

/// What a segment is called while it is written.
const OPEN: &str = "open-";
/// What its table is called.
const PART: &str = "part-";

/// The names in a folder; none when it is not there.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::io(format!("read folder {}", folder.display()), source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(failed(error)),
    };
    let mut names: Vec<String> =
        entries.filter_map(std::result::Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The segments of a folder, oldest first.
pub(super) fn segments(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_segment = |name: &String| name.starts_with(OPEN) && name.ends_with(".jsonl");
    Ok(names(folder)?.iter().filter(|name| is_segment(name)).map(|name| folder.join(name)).collect())
}

/// The tables of a folder with their days, oldest first.
pub(super) fn tables(folder: &Path) -> Result<Vec<(i64, PathBuf)>> {
    let mut tables = Vec::new();
    for name in names(folder)? {
        let Some(day) = name.strip_prefix("date=").and_then(parse_day) else { continue };
        let is_table = |name: &String| name.starts_with(PART) && name.ends_with(".parquet");
        tables.extend(names(&folder.join(&name))?.iter().filter(|part| is_table(part)).map(|part| (day, folder.join(&name).join(part))));
    }
    tables.sort();
    Ok(tables)
}

/// The highest number that a segment or table has.
pub(super) fn last_number(folder: &Path) -> u64 {
    let paths = segments(folder).into_iter().flatten().chain(tables(folder).into_iter().flatten().map(|(_, path)| path));
    paths.filter_map(|path| number(&path)).max().unwrap_or(0)
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.split('-').nth(1)?.parse().ok()
}

/// The part of a name that segment and table share: number and hash.
pub(super) fn stem(path: &Path) -> &str {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    name.split_once('-').map_or(name, |(_, rest)| rest)
}

/// Makes a table of each segment that nobody writes.
///
/// # Errors
/// When a file cannot be read or written; what was made stays.
pub(super) fn roll(folder: &Path) -> Result<()> {
    for path in segments(folder)? {
        let failed = |source| Error::io(format!("open segment {}", path.display()), source);
        let file = match File::open(&path) {
            Ok(file) => file,
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock() {
            Ok(()) => apart(|| one(folder, &path))?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Ok(())
}

/// Works on a thread of its own, which gives its memory back when it ends: one that only waits from then on keeps what it took.
fn apart(work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    std::thread::scope(|scope| match std::thread::Builder::new().name("log table".to_owned()).spawn_scoped(scope, &work) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Err(_) => work(),
    })
}

fn one(folder: &Path, path: &Path) -> Result<()> {
    let segment = read_segment(path)?;
    let failed = |what: &Path, source| Error::io(format!("write {}", what.display()), source);
    let first = match &segment {
        Some(segment) => segment.chunk(1)?.next().transpose()?,
        None => None,
    };
    if let Some((segment, first)) = segment.zip(first) {
        let at = first.array("at")?.as_primitive::<TimestampMicrosecondType>().value(0);
        let day = folder.join(format!("date={}", write_day(day_of(at))));
        fs::create_dir_all(&day).map_err(|source| failed(&day, source))?;
        let table = day.join(format!("{PART}{}.parquet", stem(path)));
        // A crash may have come between the table and the end of its segment.
        if !table.is_file() {
            write_table(&table, segment.chunk(ROWS)?)?;
        }
    }
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(failed(path, source)),
        _ => Ok(()),
    }
}

/// Writes a table whole or not at all; its columns come in chunks.
pub(super) fn write_table(path: &Path, chunks: impl Iterator<Item = Result<Columns>>) -> Result<()> {
    let mut file = WholeFile::create(path)?;
    let mut writer = Writer::new(&mut file, OutputFormat::Parquet);
    for chunk in chunks {
        writer.write(&chunk?)?;
    }
    writer.finish()?;
    Ok(file.commit()?)
}

/// A segment whose head is read.
pub(super) struct Segment {
    place: String,
    pub(super) head: Head,
    file: File,
    /// Where its rows begin.
    start: u64,
}

/// Opens a segment; none when it is gone, or has not even a head.
pub(super) fn read_segment(path: &Path) -> Result<Option<Segment>> {
    let place = path.display().to_string();
    let failed = |source| Error::io(format!("read segment {place}"), source);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let Some(head) = whole_line(&mut BufReader::new(&file)).map_err(failed)? else { return Ok(None) };
    Ok(Some(Segment { head: Head::parse(&place, head.trim_end())?, start: head.len() as u64, place, file }))
}

/// The next line with its end; none after the last. A line that a crash cut short was never said to be logged.
fn whole_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    let line = line.ends_with(b"\n").then_some(line);
    Ok(line.map(|line| String::from_utf8(line).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())))
}

impl Segment {
    /// Its rows as columns, so many at once: a whole segment is never in memory.
    ///
    /// # Errors
    /// When a line is none of the log, or cannot be read.
    pub(super) fn chunk(&self, rows: usize) -> Result<impl Iterator<Item = Result<Columns>>> {
        let failed = |source| Error::io(format!("read segment {}", self.place), source);
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(self.start)).map_err(failed)?;
        let mut lines = std::iter::from_fn(move || whole_line(&mut reader).map_err(failed).transpose()).enumerate();
        Ok(std::iter::from_fn(move || {
            let lines = lines.by_ref().take(rows).map(|(row, line)| self.line(row + 2, &line?)).collect::<Result<Vec<Line>>>();
            lines.map(|lines| (!lines.is_empty()).then(|| columns(&self.head, &lines))).transpose()
        }))
    }

    /// All its rows as columns.
    ///
    /// # Errors
    /// As [`Segment::chunk`].
    pub(super) fn columns(&self) -> Result<Columns> {
        let parts = self.chunk(ROWS)?.collect::<Result<Vec<_>>>()?;
        Ok(if parts.is_empty() { columns(&self.head, &[]) } else { Columns::concat(&parts)? })
    }

    fn line(&self, number: usize, line: &str) -> Result<Line> {
        let wrong = |found: String| Error::refused(format!("{}: line {number}", self.place), found, "a line of the log");
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        match (line.6.len(), line.7.len()) == (self.head.inputs.len(), self.head.outputs.len()) {
            true => Ok(line),
            false => Err(wrong(format!("{} inputs and {} outputs", line.6.len(), line.7.len()))),
        }
    }
}

/// Lines as columns: `id`, `at`, `alias`, `version`, `hash`, `latency_us`, `key`, `input.NAME` and `output.NAME`.
fn columns(head: &Head, lines: &[Line]) -> Columns {
    let texts = |text: fn(&Line) -> Option<&str>| Arc::new(lines.iter().map(text).collect::<StringArray>()) as ArrayRef;
    let mut at = TimestampMicrosecondBuilder::new();
    let mut latency = Float64Builder::new();
    for line in lines {
        at.append_value(line.1);
        latency.append_value(line.4);
    }
    let hash = StringArray::from_iter_values(lines.iter().map(|_| &head.hash));
    let mut all: Vec<(Arc<str>, ArrayRef)> = vec![
        ("id".into(), texts(|line| Some(&line.0))),
        ("at".into(), Arc::new(at.finish())),
        ("alias".into(), texts(|line| Some(&line.2))),
        ("version".into(), texts(|line| Some(&line.3))),
        ("hash".into(), Arc::new(hash)),
        ("latency_us".into(), Arc::new(latency.finish())),
        ("key".into(), texts(|line| line.5.as_deref())),
    ];
    for (place, (name, kind)) in head.inputs.iter().enumerate() {
        all.push((format!("input.{name}").into(), cells(kind, lines.iter().map(|line| &line.6[place]))));
    }
    for (place, (name, is_number)) in head.outputs.iter().enumerate() {
        let kind = if *is_number { "number" } else { "text" };
        all.push((format!("output.{name}").into(), cells(kind, lines.iter().map(|line| &line.7[place]))));
    }
    Columns::new(all.into_iter().map(|(name, array)| (name, Column::Array(array))).collect())
}

fn cells<'a>(kind: &str, values: impl Iterator<Item = &'a Value>) -> ArrayRef {
    match kind {
        "number" => {
            let mut numbers = Float64Builder::new();
            values.for_each(|value| numbers.append_option(value.as_f64()));
            Arc::new(numbers.finish())
        }
        "date" => {
            let mut dates = TimestampMicrosecondBuilder::new();
            values.for_each(|value| dates.append_option(value.as_i64()));
            Arc::new(dates.finish())
        }
        _ => {
            let mut texts = StringBuilder::new();
            values.for_each(|value| texts.append_option(value.as_str()));
            Arc::new(texts.finish())
        }
    }
}

pub(super) fn write_day(day: i64) -> String {
    chrono::DateTime::from_timestamp(day * 86_400, 0).map_or_else(|| day.to_string(), |at| at.format("%Y-%m-%d").to_string())
}

pub(super) fn parse_day(text: &str) -> Option<i64> {
    let date = chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp().div_euclid(86_400))
}
