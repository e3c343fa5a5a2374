//! WebDataset: pictures and labels in tar archives, the shards (<https://github.com/webdataset/webdataset>, "The WebDataset Format").
//!
//! Files of one sample stand one after another and share all of their name up to its first dot behind the last slash, the key: `0001.jpg`
//! is the picture of `0001.cls`, whose text is the class, or of `0001.json`, which holds it under `label`, `class` or `cls`. A shard
//! lies alone, or several in a folder; `shard-{000..009}.tar` and `shard-*.tar` name several. Shards whose names, or whose folders' names,
//! say train, val or test are on that side.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let mut shard = tar::Builder::new(Vec::new());
//! let mut add = |name: &str, bytes: &[u8]| {
//!     let mut header = tar::Header::new_ustar();
//!     header.set_size(bytes.len() as u64);
//!     shard.append_data(&mut header, name, bytes)
//! };
//! let bmp = [&b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0"[..], &[0; 24], &[9, 9, 9, 0]].concat();
//! add("0001.bmp", &bmp)?;
//! add("0001.cls", b"7")?;
//! let shard = shard.into_inner()?;
//! let raw = read(&Input::Bytes { name: "a.tar".into(), bytes: shard.into() }, &ReadOptions::default())?;
//! assert_eq!((raw.format, raw.columns.rows(), raw.place(0)), ("webdataset", 1, "a.tar: 0001.bmp".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::folder::{Contents, Entry, Folder};
use super::images::{self, Item, Listing, Picture, is_named};
use super::{FormatDef, Open, Opened};
use crate::read::ReadOptions;
use crate::source::Store;
use crate::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tar::Archive;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "webdataset",
    extensions: &["tar"],
    doc: "WebDataset: tar archives of KEY.jpg with KEY.cls or KEY.json, one file, a folder, shard-{000..009}.tar or shard-*.tar",
    sniff: |head| head.get(257..262) == Some(b"ustar"),
    open: Open::Folder { claims, open },
};

/// Where archives keep their end: a block of zeros.
const BLOCK: u64 = 512;
/// Labels are read when a shard is looked through; none is longer.
const LABEL_MAX: u64 = 1 << 20;

/// A shard whose pictures can be read in any order.
pub(super) enum Shard {
    /// Unpacked, in memory.
    Memory(bytes::Bytes),
    /// A file.
    File(Mutex<File>),
}

/// A sample of a shard.
#[derive(Default)]
struct Sample {
    /// Name, first byte and bytes of the picture.
    picture: Option<(String, u64, u64)>,
    class: Option<String>,
}

impl Shard {
    /// The bytes of one picture.
    pub(super) fn read(&self, start: u64, size: u64) -> std::io::Result<Vec<u8>> {
        match self {
            Shard::Memory(bytes) => Ok(bytes[start as usize..(start + size) as usize].to_vec()),
            Shard::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = vec![0; size as usize];
                file.seek(SeekFrom::Start(start))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}

fn claims(folder: &Folder, _: &ReadOptions) -> Result<bool> {
    Ok(!shards(folder)?.is_empty())
}

fn is_shard(name: &str) -> bool {
    [".tar", ".tar.gz", ".tgz", ".tar.zst"].iter().any(|ending| name.to_lowercase().ends_with(ending))
}

/// The shards with their sides: those of the folder, or those of the folders of sides in it.
fn shards(folder: &Folder) -> Result<Vec<(Entry, Option<&'static str>)>> {
    if folder.is_one_file {
        return Ok(folder.files.iter().map(|entry| (entry.clone(), None)).collect());
    }
    let own: Vec<_> =
        folder.files.iter().filter(|entry| is_shard(&entry.name)).map(|entry| (entry.clone(), named_side(&entry.name))).collect();
    if !own.is_empty() {
        return Ok(own);
    }
    let mut below = Vec::new();
    let sides = folder.folders.iter().filter_map(|(name, path)| Some((images::side_of(name)?, path)));
    for (side, path) in sides.collect::<Vec<(&'static str, &PathBuf)>>() {
        let shards = Folder::open(path)?.files.into_iter().filter(|entry| is_shard(&entry.name));
        below.extend(shards.map(|entry| (entry, Some(side))));
    }
    Ok(below)
}

/// The side that a word of the shard's name means.
fn named_side(name: &str) -> Option<&'static str> {
    name.split(|c: char| !c.is_ascii_alphabetic()).find_map(images::side_of)
}

fn open(folder: Folder, options: &ReadOptions, is_whole: bool) -> Opened {
    let mut shards = shards(&folder)?;
    if shards.is_empty() {
        return Err(super::folder::unknown(&folder));
    }
    shards.sort_by_key(|(_, side)| ["train", "valid", "test"].iter().position(|known| *side == Some(known)));
    let mut contents = is_whole.then(Contents::default);
    let mut rows: Vec<(Item, Option<String>)> = Vec::new();
    let (mut others, has_sides) = (0, shards.iter().all(|(_, side)| side.is_some()));
    for (entry, side) in &shards {
        let place = entry.place();
        let (shard, samples) = look_through(entry, options, contents.as_mut())?;
        for (key, sample) in samples {
            let Some((name, start, size)) = sample.picture else {
                others += u64::from(!key.is_empty());
                continue;
            };
            let (place, picture) = (format!("{place}: {name}").into(), Picture::Part { shard: shard.clone(), start, size });
            let item = Item { place, picture, name: format!("{}/{name}", entry.name), class: None, side: side.filter(|_| has_sides) };
            rows.push((item, sample.class));
        }
    }
    if rows.is_empty() {
        return Err(Error::refused(
            &folder.name,
            "shards without a picture",
            "samples of KEY.jpg (or png, webp, ...) with KEY.cls or KEY.json",
        ));
    }
    let mut listing = Listing::of(rows);
    if others > 0 {
        listing.warnings.push(format!("{others} samples without a picture left out"));
    }
    images::open_listing(folder.name, listing, options, contents)
}

/// A shard, and its samples by their keys.
type LookedThrough = (Arc<Shard>, Vec<(String, Sample)>);

/// The samples of a shard, in order, and what reads their pictures.
fn look_through(entry: &Entry, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<LookedThrough> {
    let name = entry.place();
    let store = entry.open_store(options, contents)?;
    let samples = match &store {
        Store::Memory(bytes) => samples(&name, Cursor::new(bytes.as_ref()), bytes.len() as u64)?,
        Store::File(file) => {
            let size = file.metadata().map_err(|error| Error::reading(&name, error))?.len();
            samples(&name, file, size)?
        }
    };
    let shard = match store {
        Store::Memory(bytes) => Shard::Memory(bytes),
        Store::File(file) => Shard::File(Mutex::new(file)),
    };
    Ok((Arc::new(shard), samples))
}

fn samples(name: &str, reader: impl Read + Seek, bytes: u64) -> Result<Vec<(String, Sample)>> {
    let damaged = |error: std::io::Error| cut_off(name, &format!("a damaged or cut off archive ({error})"));
    let mut archive = Archive::new(reader);
    let mut samples: Vec<(String, Sample)> = Vec::new();
    let mut end = 0;
    for file in archive.entries_with_seek().map_err(damaged)? {
        let mut file = file.map_err(damaged)?;
        let (start, size) = (file.raw_file_position(), file.size());
        end = start.saturating_add(size).div_ceil(BLOCK) * BLOCK;
        if end > bytes {
            return Err(cut_off(name, "an archive that ends within a file"));
        }
        if !file.header().entry_type().is_file() {
            continue;
        }
        let path = file.path().map_err(damaged)?.to_string_lossy().into_owned();
        let (key, suffix) = key_of(&path);
        if samples.last().is_none_or(|(last, _)| last != key) {
            samples.push((key.to_owned(), Sample::default()));
        }
        let (_, sample) = samples.last_mut().expect("a sample was begun");
        if is_named(&path) {
            sample.picture = Some((path.clone(), start, size));
        } else if matches!(suffix, "cls" | "json") && size <= LABEL_MAX {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(damaged)?;
            sample.class = class(&format!("{name}: {path}"), suffix, &text)?.or(sample.class.take());
        }
    }
    if end + BLOCK > bytes {
        return Err(cut_off(name, "an archive without its end"));
    }
    Ok(samples)
}

fn cut_off(name: &str, found: &str) -> Error {
    Error::refused(name, found, "a whole tar archive").with_hint("copy the file again")
}

/// `a.b/0001` and `seg.png` of `a.b/0001.seg.png`.
fn key_of(path: &str) -> (&str, &str) {
    let file = path.rfind('/').map_or(0, |slash| slash + 1);
    match path[file..].find('.') {
        Some(dot) => (&path[..file + dot], &path[file + dot + 1..]),
        None => (path, ""),
    }
}

fn class(place: &str, suffix: &str, text: &str) -> Result<Option<String>> {
    if suffix == "cls" {
        let word = text.trim();
        return match word.is_empty() {
            true => Err(Error::refused(place, "nothing", "the number or the name of a class")),
            false => Ok(Some(word.to_owned())),
        };
    }
    let json: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|error| Error::refused(place, error, "a JSON object"))?;
    Ok(["label", "class", "cls"].iter().find_map(|name| match json.get(*name)? {
        Value::String(word) => Some(word.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }))
}
