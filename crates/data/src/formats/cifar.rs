//! CIFAR-10 and CIFAR-100 in their binary version (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009;
//! <https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! A record is one byte with the class (CIFAR-100: two, the coarse class and the fine one, of which the fine one is the label) and
//! 3072 bytes of pixels, 32 by 32, first all red values, then green, then blue. What classes are called stands in a text file beside.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("data_batch_1.bin"), [&[1][..], &[200; 1024], &[100; 1024], &[50; 1024]].concat())?;
//! std::fs::write(folder.path().join("batches.meta.txt"), "airplane\nautomobile\n")?;
//! let raw = read(&Input::Path(folder.path().to_owned()), &ReadOptions::default())?;
//! let images = raw.columns.get("image").and_then(|column| column.images()).expect("a column of images");
//! assert_eq!((raw.format, &images.pixels(0)[..3]), ("cifar", &[200, 100, 50][..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::folder::{Content, Contents, Entry, Folder};
use super::{Chunk, FormatDef, IMAGE, LABEL, Layout, Open, Opened, Rows, SPLIT, no_rows};
use crate::read::{Places, ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_array::StringArray;
use cupola_task::{Column, Columns, Images};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "cifar",
    extensions: &[],
    doc: "CIFAR-10 or CIFAR-100, binary version: a folder of data_batch_1.bin ... test_batch.bin, or of train.bin and test.bin",
    sniff: |_| false,
    open: Open::Folder { claims: |folder, _| Ok(!batches(folder).is_empty()), open },
};

/// Bytes of a picture's pixels.
const PIXELS: usize = 3 * 32 * 32;
const SHAPE: [u32; 3] = [32, 32, 3];

/// A file of records, being read.
struct Part {
    name: Arc<str>,
    reader: Box<dyn Read + Send>,
    rows: u64,
    side: &'static str,
}

struct CifarRows {
    name: Arc<str>,
    parts: Vec<Part>,
    at: usize,
    /// Bytes of a record before its pixels; the last of them is the label.
    labels: usize,
    /// What classes are called; numbers where no file says it.
    classes: Vec<String>,
    layout: Layout,
    content: Option<Content>,
    skipped: Skipped,
}

/// The files of records, those of CIFAR-10 before those of CIFAR-100.
fn batches(folder: &Folder) -> Vec<Entry> {
    let of = |wanted: fn(&str) -> bool| -> Vec<Entry> { folder.files.iter().filter(|entry| wanted(&entry.name)).cloned().collect() };
    let ten = of(|name| name == "test_batch.bin" || name.starts_with("data_batch_") && name.ends_with(".bin"));
    let hundred = of(|name| matches!(name, "train.bin" | "test.bin"));
    match ten.is_empty() && folder.find("fine_label_names.txt").is_some() {
        true => hundred,
        false => ten,
    }
}

fn open(folder: Folder, options: &ReadOptions, is_whole: bool) -> Opened {
    let is_hundred = folder.find("fine_label_names.txt").is_some();
    let mut entries = if folder.is_one_file { folder.files.clone() } else { batches(&folder) };
    if entries.is_empty() {
        return Err(super::folder::unknown(&folder));
    }
    entries.sort_by_key(|entry| entry.name.starts_with("test"));
    let mut contents = is_whole.then(Contents::default);
    let mut parts = Vec::with_capacity(entries.len());
    for entry in &entries {
        let side = if entry.name.starts_with("test") { "test" } else { "train" };
        let reader = entry.open(options, contents.as_mut())?.plain.into_read();
        parts.push(Part { name: entry.place(), reader, rows: 0, side });
    }
    let classes = classes(&folder, if is_hundred { "fine_label_names.txt" } else { "batches.meta.txt" }, options, contents.as_mut())?;
    let has_sides = parts.iter().any(|part| part.side == "test") && parts.iter().any(|part| part.side == "train");
    Ok(Box::new(CifarRows {
        name: folder.name,
        parts,
        at: 0,
        labels: if is_hundred { 2 } else { 1 },
        classes,
        layout: Layout { target: Some(LABEL), split: has_sides.then_some(SPLIT) },
        content: contents.map(|mut contents| contents.content()),
        skipped: Skipped::default(),
    }))
}

fn classes(folder: &Folder, name: &str, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<Vec<String>> {
    let Some(entry) = folder.find(name) else { return Ok(vec![]) };
    let mut text = String::new();
    let reader = entry.open(options, contents)?.plain.into_read();
    reader.take(1 << 20).read_to_string(&mut text).map_err(|error| Error::reading(&entry.place(), error))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

impl CifarRows {
    /// Reads one record; nothing at the end of the last file.
    fn record(&mut self, record: &mut [u8]) -> Result<Option<usize>> {
        while let Some(part) = self.parts.get_mut(self.at) {
            let read = read_fully(&mut *part.reader, record).map_err(|error| Error::reading(&part.name, error))?;
            if read == record.len() {
                part.rows += 1;
                return Ok(Some(self.at));
            }
            if read > 0 {
                let found = format!("{read} bytes behind {} records of {}", part.rows, record.len());
                return Err(
                    Error::refused(&part.name, found, "whole records").with_hint("the file is cut off or no CIFAR file: copy it again")
                );
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn class(&self, part: usize, number: u8) -> Result<String> {
        match self.classes.get(usize::from(number)) {
            Some(class) => Ok(class.clone()),
            None if self.classes.is_empty() => Ok(number.to_string()),
            None => {
                let part = &self.parts[part];
                let place = format!("{} row {}", part.name, part.rows);
                let error =
                    Error::refused(place, format!("class {number}"), format!("one of the {} classes that are named", self.classes.len()));
                Err(error.with_hint("the file is damaged, or belongs to another list of classes"))
            }
        }
    }
}

/// As many bytes as there are, up to the buffer's.
fn read_fully(reader: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

impl Rows for CifarRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let mut record = vec![0; self.labels + PIXELS];
        let (mut pixels, mut labels, mut runs) = (Vec::new(), Vec::new(), Vec::<(usize, Range<u64>)>::new());
        while labels.len() < rows {
            let Some(part) = self.record(&mut record)? else { break };
            labels.push(self.class(part, record[self.labels - 1])?);
            let planes = &record[self.labels..];
            pixels.extend((0..1024).flat_map(|place| [planes[place], planes[1024 + place], planes[2048 + place]]));
            let row = self.parts[part].rows;
            match runs.last_mut().filter(|(last, _)| *last == part) {
                Some((_, run)) => run.end = row,
                None => runs.push((part, row - 1..row)),
            }
        }
        if labels.is_empty() {
            return if self.parts.iter().all(|part| part.rows == 0) { Err(no_rows(&self.name, &self.skipped)) } else { Ok(None) };
        }
        let images = Images::packed(pixels, std::iter::repeat_n(SHAPE, labels.len()));
        let texts = |texts: StringArray| Column::Array(Arc::new(texts));
        let mut columns = vec![(IMAGE.into(), Column::Images(images)), (LABEL.into(), texts(StringArray::from_iter_values(&labels)))];
        if let Some(name) = self.layout.split {
            let sides = runs.iter().flat_map(|(part, rows)| rows.clone().map(|_| self.parts[*part].side));
            columns.push((name.into(), texts(sides.map(Some).collect())));
        }
        let places = runs.iter().map(|(part, rows)| (self.parts[*part].name.clone(), rows.clone()));
        Ok(Some(Chunk { columns: Columns::new(columns), places: Places::of_parts(places) }))
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }
}
