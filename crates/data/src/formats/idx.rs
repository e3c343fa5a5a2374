//! IDX: images and labels as MNIST and its relatives come (LeCun, Cortes and Burges, "The MNIST database", part "File formats").
//!
//! A file begins with two zero bytes, the type of its items (8: unsigned bytes), the number of dimensions and each dimension as a
//! 32-bit number, high byte first. Images have the dimensions rows, height and width, and channels if there are four. Labels stand in a
//! file of their own, named `labels-idx1` where that of the images is named `images-idx3`.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let bytes = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2][..], &[10, 20, 30, 40]].concat();
//! let raw = read(&Input::Bytes { name: "two-images-idx3-ubyte".into(), bytes: bytes.into() }, &ReadOptions::default())?;
//! let images = raw.columns.get("image").and_then(|column| column.images()).expect("a column of images");
//! assert_eq!((raw.format, images.shape(1), images.pixels(1)), ("idx", [1, 2, 1], &[30, 40][..]));
//! # Ok::<(), cupola_data::Error>(())
//! ```

use super::folder::{Content, Contents, Entry, Folder};
use super::{Chunk, FormatDef, IMAGE, LABEL, Layout, Open, Rows, SPLIT, no_rows};
use crate::read::{Places, ReadOptions, Skipped};
use crate::source::Opened;
use crate::{Error, Result};
use arrow_array::StringArray;
use cupola_task::{Column, Columns, Images};
use std::io::Read;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "idx",
    extensions: &["idx", "idx3-ubyte"],
    doc: "IDX, as MNIST: a folder of train-images-idx3-ubyte, train-labels-idx1-ubyte and the same for t10k, or one file of images",
    sniff: |head| matches!(head, [0, 0, 0x08 | 0x09 | 0x0b..=0x0e, 1..=4, ..]),
    open: Open::Folder { claims, open },
};

/// The most files whose beginnings are looked at.
const FILES_MAX: usize = 64;
/// The largest height or width.
const SIDE_MAX: u32 = 1 << 16;

/// A file of images with its labels, being read.
struct Part {
    /// The images' file, for messages.
    name: Arc<str>,
    reader: Box<dyn Read + Send>,
    shape: [u32; 3],
    rows: u64,
    rows_read: u64,
    labels: Option<Vec<u8>>,
    side: Option<&'static str>,
}

struct IdxRows {
    name: Arc<str>,
    parts: Vec<Part>,
    /// The part that is being read.
    at: usize,
    layout: Layout,
    content: Option<Content>,
    warnings: Vec<String>,
    skipped: Skipped,
}

/// What a file says about itself.
struct Header {
    items: u64,
    /// Height, width and channels; none for labels.
    shape: Option<[u32; 3]>,
}

fn claims(folder: &Folder, options: &ReadOptions) -> Result<bool> {
    Ok(folder.files.len() <= FILES_MAX && !image_files(folder, options)?.is_empty())
}

/// The files of images, each once though it lie there packed and unpacked.
fn image_files(folder: &Folder, options: &ReadOptions) -> Result<Vec<Entry>> {
    let mut found: Vec<Entry> = Vec::new();
    for entry in folder.files.iter().take(FILES_MAX) {
        let is_known = found.iter().any(|known| stem(&known.name) == stem(&entry.name));
        if !is_known && matches!(entry.head(options)?[..], [0, 0, 8, 3 | 4, ..]) {
            found.push(entry.clone());
        }
    }
    Ok(found)
}

/// A name without the ending of its packing.
fn stem(name: &str) -> &str {
    [".gz", ".zst"].iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(name)
}

fn open(folder: Folder, options: &ReadOptions, is_whole: bool) -> super::Opened {
    let entries = if folder.is_one_file { folder.files.clone() } else { image_files(&folder, options)? };
    if entries.is_empty() {
        return Err(
            Error::refused(&folder.name, "no IDX file of images", "train-images-idx3-ubyte or the like").with_hint("leave out data.format")
        );
    }
    let sides = sides(&folder.name, &entries)?;
    let mut contents = is_whole.then(Contents::default);
    let mut warnings = Vec::new();
    let mut parts = Vec::with_capacity(entries.len());
    for (entry, side) in entries.iter().zip(sides) {
        let (mut part, labels) = (open_images(entry, side, options, contents.as_mut())?, labels_of(&folder, &entry.name));
        match labels {
            Some(labels) => part.labels = Some(read_labels(&labels, part.rows, options, contents.as_mut())?),
            None => warnings.push(format!("{} has no file of labels beside it ({})", part.name, label_name(stem(&entry.name)))),
        }
        parts.push(part);
    }
    parts.sort_by_key(|part| ["train", "valid", "test"].iter().position(|side| part.side == Some(side)));
    let layout = Layout {
        target: parts.iter().any(|part| part.labels.is_some()).then_some(LABEL),
        split: parts.iter().any(|part| part.side.is_some()).then_some(SPLIT),
    };
    let content = contents.map(|mut contents| contents.content());
    Ok(Box::new(IdxRows { name: folder.name, parts, at: 0, layout, content, warnings, skipped: Skipped::default() }))
}

/// The side of each file of images by its name, when there are several.
fn sides(folder: &str, entries: &[Entry]) -> Result<Vec<Option<&'static str>>> {
    if entries.len() < 2 {
        return Ok(vec![None; entries.len()]);
    }
    let mut sides = Vec::new();
    for entry in entries {
        let side = ["train", "valid", "test"].into_iter().find(|side| is_of(side, &entry.name));
        if side.is_none() || sides.contains(&side) {
            let found = match side {
                Some(side) => format!("several files of {side} images, the second {}", entry.name),
                None => format!("{}, which is neither train nor test (t10k)", entry.name),
            };
            let error = Error::refused(folder, found, "one file of images for each of train, valid and test");
            return Err(error.with_hint("name one file of images, and with test= another"));
        }
        sides.push(side);
    }
    Ok(sides)
}

fn is_of(side: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    match side {
        "train" => name.contains("train"),
        "valid" => name.contains("val"),
        _ => name.contains("test") || name.contains("t10k"),
    }
}

/// `train-labels-idx1-ubyte` for `train-images-idx3-ubyte`.
fn label_name(stem: &str) -> String {
    stem.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
}

fn labels_of(folder: &Folder, images: &str) -> Option<Entry> {
    let name = label_name(stem(images));
    let packed = [String::new(), ".gz".to_owned(), ".zst".to_owned()];
    packed.iter().filter(|_| name != stem(images)).find_map(|packed| folder.find(&format!("{name}{packed}")))
}

fn open_images(entry: &Entry, side: Option<&'static str>, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<Part> {
    let (name, Opened { plain, .. }) = (entry.place(), entry.open(options, contents)?);
    let mut reader = plain.into_read();
    let Header { items: rows, shape } = header(&name, &mut reader)?;
    let Some(shape) = shape else {
        let error = Error::refused(&name, "labels", "images");
        return Err(error.with_hint("name the file of images, as train-images-idx3-ubyte; its labels are found beside it"));
    };
    let pixels = u64::from(shape[0]) * u64::from(shape[1]);
    if shape.iter().any(|&side| side == 0 || side > SIDE_MAX) || pixels > options.images.max_pixels {
        let found = format!("images of {} x {} pixels", shape[1], shape[0]);
        let error = Error::refused(&name, found, format!("1 to {} pixels (data.images.max_pixels)", options.images.max_pixels));
        return Err(error.with_hint("write or copy the file again"));
    }
    let bytes = rows.saturating_mul(pixels * u64::from(shape[2]));
    if bytes > options.max_bytes {
        let error = Error::refused(&name, format!("{bytes} bytes of pixels"), "content within data.max_bytes");
        return Err(error.with_hint("raise data.max_bytes, or give a part of the images"));
    }
    Ok(Part { name, reader, shape, rows, rows_read: 0, labels: None, side })
}

fn read_labels(entry: &Entry, rows: u64, options: &ReadOptions, contents: Option<&mut Contents>) -> Result<Vec<u8>> {
    let (name, Opened { plain, .. }) = (entry.place(), entry.open(options, contents)?);
    let mut reader = plain.into_read();
    let header = header(&name, &mut reader)?;
    if header.shape.is_some() {
        return Err(Error::refused(name, "images", "labels, of one dimension").with_hint("check the names of the files"));
    }
    let mut labels = Vec::new();
    read_exactly(&name, &mut reader, header.items, &mut labels)?;
    refuse_more(&name, &mut reader, header.items)?;
    if header.items != rows {
        let error = Error::refused(name, format!("{} labels", header.items), format!("one for each of {rows} images"));
        return Err(error.with_hint("check that images and labels come from the same data"));
    }
    Ok(labels)
}

fn header(name: &str, reader: &mut dyn Read) -> Result<Header> {
    let mut start = [0; 4];
    fill(name, reader, &mut start)?;
    let [0, 0, kind, dimensions] = start else {
        return Err(Error::refused(name, "another beginning", "an IDX file, which begins with two zero bytes"));
    };
    if kind != 0x08 {
        let error = Error::refused(name, format!("items of type 0x{kind:02x}"), "unsigned bytes (0x08)");
        return Err(error.with_hint("write pixels and labels as unsigned bytes"));
    }
    let mut sizes = Vec::new();
    for _ in 0..dimensions {
        let mut size = [0; 4];
        fill(name, reader, &mut size)?;
        sizes.push(u32::from_be_bytes(size));
    }
    let shape = match sizes[..] {
        [_] => None,
        [_, height, width] => Some([height, width, 1]),
        [_, height, width, channels @ (1 | 3)] => Some([height, width, channels]),
        _ => {
            let wanted = "one (labels), three (rows, height, width) or four (with 1 or 3 channels)";
            return Err(Error::refused(name, format!("dimensions {sizes:?}"), wanted));
        }
    };
    Ok(Header { items: u64::from(sizes[0]), shape })
}

fn fill(name: &str, reader: &mut dyn Read, buffer: &mut [u8]) -> Result<()> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => cut_off(name, "a file that ends in its header", "a whole IDX file"),
        _ => Error::reading(name, error),
    })
}

fn cut_off(name: &str, found: impl std::fmt::Display, wanted: impl std::fmt::Display) -> Error {
    Error::refused(name, found, wanted).with_hint("the file is cut off: copy it again")
}

/// Reads so many bytes behind what is there. Memory grows with what comes, not with what a header promises.
fn read_exactly(name: &str, reader: &mut dyn Read, bytes: u64, to: &mut Vec<u8>) -> Result<()> {
    let before = to.len();
    reader.take(bytes).read_to_end(to).map_err(|error| Error::reading(name, error))?;
    let found = (to.len() - before) as u64;
    if found == bytes { Ok(()) } else { Err(cut_off(name, format!("{found} bytes where its header promises {bytes}"), "a whole IDX file")) }
}

/// Nothing may follow; asked for more, a packed file also proves its checksum.
fn refuse_more(name: &str, reader: &mut dyn Read, items: u64) -> Result<()> {
    let mut more = [0];
    match reader.read(&mut more).map_err(|error| Error::reading(name, error))? {
        0 => Ok(()),
        _ => Err(Error::refused(name, format!("more than the {items} items of its header"), "a whole IDX file and nothing behind it")),
    }
}

impl Part {
    fn left(&self) -> u64 {
        self.rows - self.rows_read
    }
}

/// Which part, and which of its rows.
type PartRows = (usize, std::ops::Range<u64>);

impl IdxRows {
    /// At most so many rows: the pixels, and which rows of which parts they are.
    fn gather(&mut self, rows: u64) -> Result<(Vec<u8>, Vec<PartRows>)> {
        let (mut pixels, mut runs, mut wanted) = (Vec::new(), Vec::new(), rows);
        while let Some(part) = self.parts.get_mut(self.at).filter(|_| wanted > 0) {
            let count = part.left().min(wanted);
            let bytes = part.shape.iter().map(|&side| u64::from(side)).product::<u64>();
            read_exactly(&part.name, &mut part.reader, count * bytes, &mut pixels)?;
            if count > 0 {
                runs.push((self.at, part.rows_read..part.rows_read + count));
            }
            part.rows_read += count;
            wanted -= count;
            if part.left() == 0 {
                refuse_more(&part.name, &mut part.reader, part.rows)?;
                self.at += 1;
            }
        }
        Ok((pixels, runs))
    }

    fn texts<'a>(&'a self, runs: &'a [(usize, std::ops::Range<u64>)], text: impl Fn(&Part, u64) -> Option<String> + 'a) -> Column {
        let texts = runs.iter().flat_map(|(part, rows)| rows.clone().map(|row| text(&self.parts[*part], row)));
        Column::Array(Arc::new(texts.collect::<StringArray>()))
    }
}

impl Rows for IdxRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let (pixels, runs) = self.gather(rows as u64)?;
        if runs.is_empty() {
            return if self.parts.iter().all(|part| part.rows == 0) { Err(no_rows(&self.name, &self.skipped)) } else { Ok(None) };
        }
        let shapes = runs.iter().flat_map(|(part, rows)| rows.clone().map(|_| self.parts[*part].shape));
        let mut columns = vec![(IMAGE.into(), Column::Images(Images::packed(pixels, shapes)))];
        if let Some(name) = self.layout.target {
            let label = |part: &Part, row| part.labels.as_ref().map(|labels| labels[row as usize].to_string());
            columns.push((name.into(), self.texts(&runs, label)));
        }
        if let Some(name) = self.layout.split {
            columns.push((name.into(), self.texts(&runs, |part, _| part.side.map(str::to_owned))));
        }
        let places = runs.iter().map(|(part, rows)| (self.parts[*part].name.clone(), rows.clone()));
        Ok(Some(Chunk { columns: Columns::new(columns), places: Places::of_parts(places) }))
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
        Some(self.parts.iter().map(|part| part.rows).sum())
    }

    fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }
}
