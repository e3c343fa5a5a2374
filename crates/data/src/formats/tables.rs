//! Several files as one table: those of a folder, of a pattern (`2024-*.csv`, `part-{00..15}.parquet`) or of a list, one below the other in
//! order of names (of a list, in its order). Each is of any format that holds a table; all have the columns of the first, in any order.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("a.csv"), "x,y\n1,2\n")?;
//! std::fs::write(folder.path().join("b.jsonl"), "{\"y\": 4, \"x\": 3}\n")?;
//! let raw = read(&Input::Path(folder.path().join("*")), &ReadOptions::default())?;
//! assert_eq!((raw.format, raw.columns.rows(), raw.place(1)), ("tables", 2, format!("{}:1", folder.path().join("b.jsonl").display())));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::folder::{Content, Contents, Entry, Folder};
use super::{Chunk, FormatDef, Open, Opened, Rows};
use crate::conform::spelled;
use crate::read::{Places, ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_schema::DataType;
use cupola_task::{Column, Columns};
use std::collections::VecDeque;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "tables",
    extensions: &[],
    doc: "several files of one table: a folder of them, a pattern like 2024-*.csv, or a list",
    sniff: |_| false,
    open: Open::Folder { claims, open },
};

/// Endings that also stand on files that hold no table: in a folder they are left out, and said to be.
const VAGUE: [&str; 3] = ["txt", "data", "dat"];

/// A file that is read, by its name.
type Current = (Arc<str>, Box<dyn Rows>);

struct TableRows {
    waiting: VecDeque<Entry>,
    options: ReadOptions,
    /// When all is read and hashed.
    contents: Option<Contents>,
    content: Option<Content>,
    current: Option<Current>,
    /// The first file and its columns.
    first: Option<(Arc<str>, Vec<Arc<str>>)>,
    /// Of files that are read to their end.
    skipped_before: Skipped,
    skipped: Skipped,
    warnings: Vec<String>,
}

fn claims(folder: &Folder, _: &ReadOptions) -> Result<bool> {
    Ok(folder.files.iter().any(|entry| is_table(folder, entry)))
}

/// Whether a file's ending is that of a table.
fn is_table(folder: &Folder, entry: &Entry) -> bool {
    let ending = crate::source::extension(&entry.name);
    let format = FormatDef::of_extension(&ending).filter(|format| !format.is_folder());
    format.is_some() && (folder.is_choice || !VAGUE.contains(&&*ending))
}

/// Opens them all, one after another.
pub(super) fn open(folder: Folder, options: &ReadOptions, is_whole: bool) -> Opened {
    let is_asked = options.format.as_deref().is_some_and(|format| format != FORMAT.name);
    let (files, others): (Vec<Entry>, Vec<Entry>) =
        folder.files.iter().cloned().partition(|entry| folder.is_choice || is_asked || is_table(&folder, entry));
    if files.is_empty() {
        return Err(super::folder::unknown(&folder));
    }
    let mut warnings = Vec::new();
    if !others.is_empty() || !folder.folders.is_empty() {
        let names = others.iter().map(|entry| entry.name.clone()).chain(folder.folders.iter().map(|(name, _)| format!("{name}/")));
        let names: Vec<String> = names.collect();
        let more = if names.len() > 5 { format!(" and {} more", names.len() - 5) } else { String::new() };
        warnings.push(format!("not read from {}: {}{more}, by their names no tables", folder.name, names[..names.len().min(5)].join(", ")));
    }
    let format = options.format.clone().filter(|_| is_asked);
    Ok(Box::new(TableRows {
        waiting: files.into(),
        options: ReadOptions { format, ..options.clone() },
        contents: is_whole.then(Contents::default),
        content: None,
        current: None,
        first: None,
        skipped_before: Skipped::default(),
        skipped: Skipped::default(),
        warnings,
    }))
}

impl TableRows {
    /// The file that is read now, the next one when there is none; nothing after the last.
    fn current(&mut self) -> Result<Option<&mut Current>> {
        if self.current.is_none()
            && let Some(entry) = self.waiting.pop_front()
        {
            let opened = entry.open(&self.options, self.contents.as_mut())?;
            let (_, rows) = super::open(opened.plain, entry.input(), &opened.extension, &self.options, self.contents.is_some())?;
            self.warnings.extend(rows.warnings().iter().cloned());
            self.current = Some((entry.place(), rows));
        }
        Ok(self.current.as_mut())
    }

    /// Columns in the order of the first file's, which has the same ones.
    fn ordered(&mut self, file: &Arc<str>, columns: &Columns) -> Result<Columns> {
        let (first, names) = self.first.get_or_insert_with(|| (file.clone(), columns.iter().map(|(name, _)| name.clone()).collect()));
        let wrong = |found: String, wanted: String| {
            Err(Error::refused(file, found, wanted).with_hint("all files of one table have the same columns"))
        };
        let column = |name: &Arc<str>| columns.get(name).map(|column| (name.clone(), column.clone()));
        let ordered: Option<Vec<_>> = names.iter().map(column).collect();
        if let Some(ordered) = ordered.filter(|ordered| ordered.len() == columns.len()) {
            return Ok(Columns::new(ordered));
        }
        if let Some(strange) = columns.names().find(|name| !names.iter().any(|known| **known == **name)) {
            return wrong(format!("a column {strange}"), format!("the columns of {first}, which has none of that name"));
        }
        let missing = names.iter().find(|name| columns.get(name).is_none()).map_or("", |name| &**name);
        wrong(format!("no column {missing}"), format!("the columns of {first}"))
    }
}

impl Rows for TableRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let (mut parts, mut places, mut count) = (Vec::new(), Vec::new(), 0);
        while count < rows
            && let Some((file, opened)) = self.current()?
        {
            let (file, chunk) = (file.clone(), opened.next(rows - count)?);
            let skipped = opened.skipped().clone();
            self.skipped = self.skipped_before.clone();
            self.skipped.extend(&skipped);
            match chunk {
                Some(chunk) => {
                    places.push((count, chunk.places));
                    count += chunk.columns.rows();
                    parts.push(self.ordered(&file, &chunk.columns)?);
                }
                None => {
                    self.skipped_before = self.skipped.clone();
                    self.current = None;
                }
            }
        }
        if self.waiting.is_empty() && self.current.is_none() {
            self.content = self.contents.as_mut().map(Contents::content);
        }
        if parts.is_empty() {
            return Ok(None);
        }
        Ok(Some(Chunk { columns: Columns::concat(&alike(parts))?, places: Places::of_tables(places) }))
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }
}

/// Brings a column that is text in one part and numbers or points in time in another to text, as a text file has it.
fn alike(parts: Vec<Columns>) -> Vec<Columns> {
    let types =
        |name: &str| parts.iter().filter_map(|part| part.get(name)?.array().map(|array| array.data_type().clone())).collect::<Vec<_>>();
    let mixed: Vec<Arc<str>> = match parts.first() {
        Some(first) => {
            first.iter().map(|(name, _)| name.clone()).filter(|name| types(name).windows(2).any(|pair| pair[0] != pair[1])).collect()
        }
        None => vec![],
    };
    let as_text = |mut part: Columns| {
        for name in &mixed {
            if let Some(array) = part.get(name).and_then(Column::array).filter(|array| *array.data_type() != DataType::Utf8) {
                let text = Arc::new(spelled(array));
                part.insert(name.clone(), Column::Array(text));
            }
        }
        part
    };
    parts.into_iter().map(as_text).collect()
}
