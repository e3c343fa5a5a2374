//! Pictures that a table names: a column of paths, relative to the table's folder, becomes a column of images.

use super::cells::below;
use super::decode::{Changes, Decoded, decode};
use super::settings::ImageOptions;
use super::store::Store;
use crate::conform::shown;
use crate::formats::{Chunk, Contents, Layout, images::is_named};
use crate::read::{BadRows, Raw, ReadOptions, Skipped};
use crate::{ColumnType, Error, Places, Result};
use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use cupola_task::{Column, Columns, Fault};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// How many of a column's files must be there for it to be taken for paths without being told.
const FILES_LOOKED_AT: usize = 3;
/// Pictures that are decoded together, for each thread.
const BATCH: usize = 8;

/// The names of a table's columns that hold paths of pictures: those of type image, and those of texts that all end as the names of
/// pictures do, when the first files are there. Columns of another type and targets are none.
pub fn picture_columns(columns: &Columns, asked: &BTreeMap<String, ColumnType>, targets: &[&str], base: &Path) -> Vec<String> {
    let texts = |column: &Column| column.array().and_then(|array| array.as_string_opt::<i32>()).cloned();
    let holds = |(name, column): (&std::sync::Arc<str>, &Column)| match asked.get(&**name) {
        Some(asked) => (*asked == ColumnType::Image && texts(column).is_some()).then(|| name.to_string()),
        None if targets.contains(&&**name) => None,
        None => texts(column).filter(|texts| are_paths(texts, base)).map(|_| name.to_string()),
    };
    columns.iter().filter_map(holds).collect()
}

fn are_paths(texts: &StringArray, base: &Path) -> bool {
    let mut values = texts.iter().flatten();
    let is_there = |text: &str| below(base, text).is_some_and(|path| path.is_file());
    texts.null_count() < texts.len() && values.clone().all(is_named) && values.by_ref().take(FILES_LOOKED_AT).all(is_there)
}

impl Raw {
    /// The same table with the pictures that its columns of paths name. Rows whose picture is broken are left out when the options say so.
    ///
    /// # Errors
    /// A path that leads out of `base`, and a file that cannot be read or is no picture, unless broken rows are to be skipped.
    pub fn with_pictures(mut self, names: &[String], base: &Path, options: &ReadOptions) -> Result<Raw> {
        let (mut contents, mut changes, mut broken) = (Contents::default(), Changes::default(), HashSet::new());
        contents.add("", &self.hash, self.bytes);
        for name in names {
            let mut reader = Reader { name, base, options, contents: &mut contents, changes: &mut changes, skipped: &mut self.skipped };
            let places = &self.places;
            let Some(texts) = self.columns.array(name)?.as_string_opt::<i32>().cloned() else { continue };
            let (images, bad) = reader.read(&texts, &|row| places.place(row))?;
            broken.extend(bad);
            self.columns.insert(name.as_str().into(), Column::Images(images));
        }
        if !names.is_empty() {
            let content = contents.content();
            (self.hash, self.bytes) = (content.hash, content.bytes);
        }
        if !broken.is_empty() {
            let good: Vec<u64> = (0..self.columns.rows() as u64).filter(|row| !broken.contains(row)).collect();
            if good.is_empty() {
                return Err(crate::formats::no_rows(&self.name, &self.skipped));
            }
            self.places = Places::of_files(good.iter().map(|&row| self.places.place(row as usize).into()));
            self.columns = self.columns.take(&good);
        }
        self.warnings.extend(changes.sentences());
        Ok(self)
    }
}

impl Chunk {
    /// The same for rows of a stream.
    ///
    /// # Errors
    /// As [`Raw::with_pictures`].
    pub fn with_pictures(self, names: &[String], base: &Path, options: &ReadOptions) -> Result<Chunk> {
        let raw = Raw {
            columns: self.columns,
            places: self.places,
            layout: Layout::default(),
            name: String::new(),
            format: "",
            skipped: Skipped::default(),
            warnings: vec![],
            hash: String::new(),
            bytes: 0,
        };
        raw.with_pictures(names, base, options).map(|raw| Chunk { columns: raw.columns, places: raw.places })
    }
}

/// Reads one column.
struct Reader<'a> {
    name: &'a str,
    base: &'a Path,
    options: &'a ReadOptions,
    contents: &'a mut Contents,
    changes: &'a mut Changes,
    skipped: &'a mut Skipped,
}

/// A picture with its file's hash and size.
type Read = Result<(Decoded, String, u64)>;

impl Reader<'_> {
    /// The column's pictures, and the rows that have none; an empty picture stands there.
    fn read(&mut self, texts: &StringArray, place: &(dyn Fn(usize) -> String + Sync)) -> Result<(cupola_task::Images, Vec<u64>)> {
        let (mut store, mut bad) = (Store::new(&self.options.images), Vec::new());
        let rows: Vec<usize> = (0..texts.len()).collect();
        for batch in rows.chunks(BATCH * rayon::current_num_threads()) {
            let (name, base, options) = (self.name, self.base, self.options);
            let read: Vec<Read> = batch.par_iter().map(|&row| one(name, texts, row, &place(row), base, options)).collect();
            for (&row, read) in batch.iter().zip(read) {
                match read {
                    Ok((decoded, hash, bytes)) => {
                        self.contents.add(texts.value(row), &hash, bytes);
                        *self.changes += decoded.changes;
                        store.push(decoded)?;
                    }
                    Err(error) if self.options.bad_rows == BadRows::Skip => {
                        self.skipped.add(&error);
                        store.push(Decoded { pixels: vec![0], shape: [1, 1, 1], changes: Changes::default() })?;
                        bad.push(row as u64);
                    }
                    Err(error) => {
                        let hint = error.hint().unwrap_or_else(|| "mend or remove the file".to_owned());
                        return Err(error.with_hint(format!("{hint}; data.bad_rows=skip leaves such rows out")));
                    }
                }
            }
        }
        Ok((store.finish()?, bad))
    }
}

fn one(name: &str, texts: &StringArray, row: usize, place: &str, base: &Path, options: &ReadOptions) -> Read {
    if texts.is_null(row) {
        return Err(Error::column(name, place, "nothing", "the path of a picture"));
    }
    let (bytes, at) = bytes_of(name, place, texts.value(row), base, options.max_bytes)?;
    let decoded = decode(&at, &bytes, &options.images)?;
    Ok((decoded, blake3::hash(&bytes).to_hex().to_string(), bytes.len() as u64))
}

/// The content of a file below `base` that a cell names, and where that is for messages.
pub(super) fn bytes_of(name: &str, place: &str, text: &str, base: &Path, bytes_max: u64) -> Result<(Vec<u8>, String)> {
    let path = below(base, text).ok_or_else(|| {
        let error = Error::column(name, place, shown(text), "a path below the table's folder");
        error.with_hint("name pictures by paths relative to the table, without ..")
    })?;
    let at = format!("{place}: column {name}: {}", path.display());
    let unreadable =
        |source| Error::Unreadable { place: at.clone(), source, hint: Some(format!("paths are relative to {}", base.display())) };
    let size = std::fs::metadata(&path).map_err(unreadable)?.len();
    if size > bytes_max {
        return Err(Error::refused(at, format!("{size} bytes"), "a file within data.max_bytes"));
    }
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    Ok((bytes, at))
}

/// A picture that a cell names, decoded.
pub(super) fn file(name: &str, place: &str, text: &str, base: &Path, options: &ImageOptions) -> Result<Decoded> {
    let (bytes, at) = bytes_of(name, place, text, base, ReadOptions::default().max_bytes)?;
    decode(&at, &bytes, options)
}
