//! Where the rows of a table stand: a line of a file, a row of one, a file.

use std::ops;
use std::sync::Arc;

/// Line numbers of rows, kept as runs of consecutive lines: most files have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    rows: usize,
    /// Row and line where a run of consecutive lines begins.
    runs: Vec<(usize, u64)>,
    /// Number of the first row, for formats without lines.
    first_row: u64,
}

/// Tells where rows stand. Cheap to keep beside the columns.
#[derive(Clone, Debug)]
pub struct Places(Standing);

#[derive(Clone, Debug)]
enum Standing {
    /// In one input.
    Lines(Arc<str>, Lines),
    /// In several files: the row where each begins, the file, and the number there of that row.
    Parts(Arc<[(usize, Arc<str>, u64)]>),
    /// Each in a file of its own.
    Files(Arc<[Arc<str>]>),
    /// Those of a table without its first rows.
    Behind(usize, Arc<Places>),
    /// In several tables, with the row where each begins.
    Tables(Arc<[(usize, Places)]>),
}

impl Lines {
    /// Rows of a format without lines, from that row on, counted from 0.
    pub(crate) fn rows_from(first_row: u64) -> Lines {
        Lines { first_row, ..Lines::default() }
    }

    /// The next row stands on that line; lines never fall.
    pub(crate) fn push(&mut self, line: u64) {
        let expected = self.runs.last().map(|(row, first)| first + (self.rows - row) as u64);
        if expected != Some(line) {
            self.runs.push((self.rows, line));
        }
        self.rows += 1;
    }

    /// The next rows are those of `others`, whose lines are counted from `line`.
    pub(crate) fn extend(&mut self, others: &Lines, line: u64) {
        for (place, (row, first)) in others.runs.iter().enumerate() {
            let end = others.runs.get(place + 1).map_or(others.rows, |(row, _)| *row);
            self.push(line + first);
            self.rows += end - row - 1;
        }
    }
}

impl Places {
    pub(crate) fn new(name: Arc<str>, lines: Lines) -> Places {
        Places(Standing::Lines(name, lines))
    }

    /// Rows of several files, each with a run of them, counted from 0.
    pub(crate) fn of_parts(parts: impl Iterator<Item = (Arc<str>, ops::Range<u64>)>) -> Places {
        let mut row = 0;
        let begin = |(name, rows): (Arc<str>, ops::Range<u64>)| {
            let begin = (row, name, rows.start);
            row += (rows.end - rows.start) as usize;
            begin
        };
        Places(Standing::Parts(parts.map(begin).collect()))
    }

    /// What is left behind so many rows.
    pub(crate) fn behind(&self, rows: usize) -> Places {
        Places(Standing::Behind(rows, Arc::new(self.clone())))
    }

    /// Rows of several tables, with the row where each begins.
    pub(crate) fn of_tables(tables: Vec<(usize, Places)>) -> Places {
        Places(Standing::Tables(tables.into()))
    }

    /// Rows that are files of their own.
    pub(crate) fn of_files(files: impl Iterator<Item = Arc<str>>) -> Places {
        Places(Standing::Files(files.collect()))
    }

    /// `adult.csv:17` for text, `adult.parquet row 17` (counted from 1) for other formats, the path of a picture. A row behind the last gets the place it would have.
    pub fn place(&self, row: usize) -> String {
        match &self.0 {
            Standing::Lines(name, lines) => {
                let runs = &lines.runs;
                match runs.partition_point(|(first, _)| *first <= row).checked_sub(1).map(|run| runs[run]) {
                    Some((first, line)) => format!("{name}:{}", line + (row - first) as u64),
                    None => format!("{name} row {}", lines.first_row + row as u64 + 1),
                }
            }
            Standing::Behind(rows, places) => places.place(row + rows),
            Standing::Tables(tables) => {
                let table = tables.partition_point(|(first, _)| *first <= row).saturating_sub(1);
                tables.get(table).map_or_else(|| format!("row {}", row + 1), |(first, places)| places.place(row - first))
            }
            Standing::Files(files) => files.get(row).map_or_else(|| format!("row {}", row + 1), ToString::to_string),
            Standing::Parts(parts) => {
                let part = parts.partition_point(|(first, ..)| *first <= row).saturating_sub(1);
                let Some((first, name, number)) = parts.get(part) else { return format!("row {}", row + 1) };
                format!("{name} row {}", number + (row - first) as u64 + 1)
            }
        }
    }
}
