//! Pictures of a folder, decoded by all threads, in order.

use super::walk::{self, Item, Listing, Picture};
use crate::formats::folder::{Content, Contents, Folder};
use crate::formats::{Chunk, IMAGE, LABEL, Layout, Opened, Rows, SPLIT, no_rows};
use crate::images::{Changes, Decoded, Store, decode};
use crate::read::{BadRows, Places, ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_array::StringArray;
use cupola_task::{Column, Columns, Fault};
use rayon::prelude::*;
use std::sync::Arc;

/// Pictures that are decoded together, for each thread.
const BATCH: usize = 8;
/// Bytes of pixels after which a chunk of a stream ends.
const CHUNK_BYTES: u64 = 256 << 20;
/// How many pictures a look at the folder decodes.
const SAMPLE: usize = 64;

struct ImageRows {
    name: Arc<str>,
    items: Vec<Item>,
    classes: Vec<Arc<str>>,
    layout: Layout,
    options: ReadOptions,
    at: usize,
    contents: Option<Contents>,
    content: Option<Content>,
    changes: Changes,
    warnings: Vec<String>,
    skipped: Skipped,
}

/// A picture, and the hash and size of its file where they are wanted.
type Read = (Result<Decoded>, Option<(String, u64)>);

pub(super) fn open(folder: Folder, options: &ReadOptions, is_whole: bool) -> Opened {
    let mut contents = is_whole.then(Contents::default);
    let listing = walk::list(&folder, options, contents.as_mut())?;
    open_listing(folder.name, listing, options, contents)
}

/// Opens pictures that were found. With `contents` they are all read, and files of their own are hashed.
pub(in crate::formats) fn open_listing(name: Arc<str>, listing: Listing, options: &ReadOptions, contents: Option<Contents>) -> Opened {
    let layout = Layout {
        target: listing.items.iter().any(|item| item.class.is_some()).then_some(LABEL),
        split: listing.has_sides.then_some(SPLIT),
    };
    Ok(Box::new(ImageRows {
        name,
        items: listing.items,
        classes: listing.classes,
        layout,
        options: options.clone(),
        at: 0,
        contents,
        content: None,
        changes: Changes::default(),
        warnings: listing.warnings,
        skipped: Skipped::default(),
    }))
}

impl ImageRows {
    /// Decodes some of the pictures into a store, and gives the numbers of those that are pictures.
    fn decode(&mut self, items: &[usize], store: &mut Store) -> Result<Vec<usize>> {
        let is_hashed = self.contents.is_some();
        let read: Vec<Read> = items.par_iter().map(|&item| read(&self.items[item], &self.options, is_hashed)).collect();
        let mut good = Vec::with_capacity(items.len());
        for (&item, (decoded, hash)) in items.iter().zip(read) {
            if let (Some((hash, bytes)), Some(contents)) = (hash, &mut self.contents) {
                contents.add(&self.items[item].name, &hash, bytes);
            }
            match decoded {
                Ok(decoded) => {
                    self.changes += decoded.changes;
                    store.push(decoded)?;
                    good.push(item);
                }
                Err(error @ (Error::Refused { .. } | Error::Unreadable { .. })) if self.options.bad_rows == BadRows::Skip => {
                    self.skipped.add(&error);
                }
                Err(error) => {
                    let hint = error.hint().unwrap_or_else(|| "mend or remove the file".to_owned());
                    return Err(error.with_hint(format!("{hint}; data.bad_rows=skip leaves such pictures out")));
                }
            }
        }
        Ok(good)
    }

    fn chunk(&self, store: Store, items: &[usize]) -> Result<Option<Chunk>> {
        if items.is_empty() {
            return Ok(None);
        }
        let mut columns = vec![(IMAGE.into(), Column::Images(store.finish()?))];
        if let Some(name) = self.layout.target {
            let class = |item: &usize| self.items[*item].class.map(|class| &*self.classes[class]);
            columns.push((name.into(), texts(items.iter().map(class))));
        }
        if let Some(name) = self.layout.split {
            columns.push((name.into(), texts(items.iter().map(|&item| self.items[item].side))));
        }
        let places = Places::of_files(items.iter().map(|&item| self.items[item].place.clone()));
        Ok(Some(Chunk { columns: Columns::new(columns), places }))
    }
}

fn texts<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> Column {
    Column::Array(Arc::new(texts.collect::<StringArray>()))
}

fn read(item: &Item, options: &ReadOptions, is_hashed: bool) -> Read {
    let unreadable = |source| Error::Unreadable { place: item.place.to_string(), source, hint: None };
    let (bytes, is_file) = match &item.picture {
        Picture::File(entry) => (entry.read(options.max_bytes), true),
        Picture::Part { shard, start, size } => (shard.read(*start, *size).map(Into::into).map_err(unreadable), false),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return (Err(error), None),
    };
    let hash = (is_hashed && is_file).then(|| (blake3::hash(&bytes).to_hex().to_string(), bytes.len() as u64));
    (decode(&item.place, &bytes, &options.images), hash)
}

impl Rows for ImageRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let is_stream = rows < usize::MAX;
        let mut store = Store::new(&self.options.images);
        let mut good = Vec::new();
        while self.at < self.items.len() && good.len() < rows && !(is_stream && store.bytes() >= CHUNK_BYTES) {
            let count = (BATCH * rayon::current_num_threads()).min(rows - good.len()).min(self.items.len() - self.at);
            let batch: Vec<usize> = (self.at..self.at + count).collect();
            self.at += count;
            good.extend(self.decode(&batch, &mut store)?);
        }
        if self.at == self.items.len() {
            self.content = self.contents.as_mut().map(Contents::content);
            self.warnings.extend(std::mem::take(&mut self.changes).sentences());
        }
        if good.is_empty() && self.skipped.count == self.items.len() as u64 {
            return Err(no_rows(&self.name, &self.skipped));
        }
        self.chunk(store, &good)
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn total(&self) -> Option<u64> {
        Some(self.items.len() as u64)
    }

    fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// Pictures from all over the folder.
    fn sample(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let count = self.items.len().min(rows).min(SAMPLE);
        let spread: Vec<usize> = (0..count).map(|place| place * self.items.len() / count).collect();
        let mut store = Store::new(&self.options.images);
        let good = self.decode(&spread, &mut store)?;
        self.chunk(store, &good)
    }
}
