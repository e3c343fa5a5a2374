//! The log as a table again.

use super::roll::{self, Segment, read_segment, tables};
use super::writer::day_of;
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef};
use cupola_data::{Input, ReadOptions};
use cupola_task::{Column, Columns};
use std::collections::HashSet;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

/// Rows of one model's content.
#[derive(Clone, Debug)]
pub struct Logged {
    /// BLAKE3 of the model file's content.
    pub hash: String,
    /// `id`, `at`, `alias`, `version`, `hash`, `latency_us`, `key`, `input.NAME` and `output.NAME`.
    pub columns: Columns,
}

/// The rows that were answered in a span of time (microseconds since 1970), in pieces in the order in which they were written: done segments and
/// the one that grows. Other rows than those of the wanted hash are left out, when one is wanted.
///
/// # Errors
/// When a file cannot be read.
pub fn read(folder: &Path, span: Range<i64>, hash: Option<&str>) -> Result<Vec<Logged>> {
    let mut pieces = Vec::new();
    visit(folder, &span, hash, Order::Oldest, &mut |piece| {
        pieces.push(piece);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(pieces)
}

/// In which order pieces come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As they were written.
    Oldest,
    /// The other way round.
    Newest,
}

/// The same, piece by piece: one is in memory at a time. Whoever takes them may stop.
///
/// # Errors
/// When a file cannot be read, or as `take` says.
pub fn visit(
    folder: &Path,
    span: &Range<i64>,
    hash: Option<&str>,
    order: Order,
    take: &mut dyn FnMut(Logged) -> Result<ControlFlow<()>>,
) -> Result<()> {
    // Segments first: one that becomes a table meanwhile is then met twice, and known by its name; never not at all.
    let mut segments: Vec<(PathBuf, Segment)> = Vec::new();
    for path in roll::segments(folder)? {
        segments.extend(read_segment(&path)?.map(|segment| (path, segment)));
    }
    let tables = tables(folder)?;
    let known: HashSet<String> = tables.iter().map(|(_, path)| roll::stem(path).to_owned()).collect();
    segments.retain(|(path, segment)| {
        let is_other = hash.is_some_and(|hash| hash != segment.head.hash);
        !is_other && !known.contains(roll::stem(path))
    });
    let is_wanted = |(day, path): &(i64, PathBuf)| {
        let is_other = hash.is_some_and(|hash| !roll::stem(path).ends_with(&hash[..hash.len().min(12)]));
        // A segment begins on its table's day and may reach into the next.
        !is_other && *day <= day_of(span.end) && day + 1 >= day_of(span.start)
    };
    let mut places: Vec<Place> = tables.into_iter().filter(is_wanted).map(|(_, path)| Place::Table(path)).collect();
    places.extend(segments.into_iter().map(|(_, segment)| Place::Segment(segment)));
    if order == Order::Newest {
        places.reverse();
    }
    for place in places {
        let piece = match place {
            Place::Table(path) => table(&path)?,
            Place::Segment(segment) => Logged { hash: segment.head.hash.clone(), columns: segment.columns()? },
        };
        let piece = Logged { columns: within(&piece.columns, span)?, hash: piece.hash };
        if piece.columns.rows() > 0 && take(piece)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Where rows lie.
enum Place {
    Table(PathBuf),
    Segment(Segment),
}

/// Reads one table.
pub(super) fn table(path: &Path) -> Result<Logged> {
    let place = path.display().to_string();
    let columns =
        cupola_data::read(&Input::parse(&place), &ReadOptions { format: Some("parquet".into()), ..ReadOptions::default() })?.columns;
    let hash = columns.array("hash")?.as_string_opt::<i32>().filter(|hash| !hash.is_empty()).map(|hash| hash.value(0).to_owned());
    let hash = hash.ok_or_else(|| Error::refused(&place, "no column hash", "a table of the log"))?;
    Ok(Logged { hash, columns })
}

fn within(columns: &Columns, span: &Range<i64>) -> Result<Columns> {
    let at = columns.array("at")?;
    let times = at.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| Error::refused("column at", at.data_type(), "times"))?;
    let rows: Vec<u64> = (0..times.len()).filter(|&row| span.contains(&times.value(row))).map(|row| row as u64).collect();
    Ok(if rows.len() == times.len() { columns.clone() } else { columns.take(&rows) })
}

impl Logged {
    /// The inputs under their own names.
    pub fn inputs(&self) -> Columns {
        let own = self.columns.iter().filter_map(|(name, column)| Some((name.strip_prefix("input.")?.into(), column.clone())));
        Columns::new(own.collect())
    }

    /// The answers under their own names.
    pub fn outputs(&self) -> Columns {
        let own = self.columns.iter().filter_map(|(name, column)| Some((name.strip_prefix("output.")?.into(), column.clone())));
        Columns::new(own.collect())
    }

    /// The texts of a column; none where a row has none or the column is no text.
    pub fn texts(&self, name: &str) -> Vec<Option<&str>> {
        match self.columns.get(name).and_then(Column::array).and_then(|array: &ArrayRef| array.as_string_opt::<i32>()) {
            Some(texts) => texts.iter().collect(),
            None => vec![None; self.columns.rows()],
        }
    }

    /// When each row was answered.
    pub fn times(&self) -> Vec<i64> {
        let times = self.columns.get("at").and_then(Column::array).and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        times.map(|times| times.values().to_vec()).unwrap_or_default()
    }
}
