//! File formats. One file each; the registry is [`FORMATS`].
//!
//! A format turns bytes into chunks of *as-read* columns:
//! - text stays the text that stood in the file, with null where the trimmed cell is one of the markers for missing;
//! - numbers of typed formats are `Float64`; whole numbers that a `f64` cannot hold keep their digits as `Utf8`;
//! - flags are the `Utf8` words `true` and `false`, times of day `Utf8`, points in time `Timestamp(Microsecond, None)` in UTC;
//! - pictures are `Column::Images`, in the column `image`; beside it the format may make the columns `label` and `split`, and says so in
//!   its [`Layout`].

mod archive;
mod arff;
mod arrow;
mod building;
mod bulk;
pub(crate) mod cell;
mod cifar;
mod csv;
mod dialect;
mod folder;
mod idx;
pub(crate) mod images;
mod jsonl;
mod libsvm;
mod listed;
mod markers;
pub(crate) mod normal;
mod numerals;
mod numpy;
mod parquet;
mod record;
mod sheet;
mod sqlite;
mod tables;
mod tsv;
mod webdataset;
mod window;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use folder::{Content, Contents, is_pattern};
pub(crate) use listed::Listed;
pub(crate) use markers::{Markers, trimmed};
pub(crate) use parquet::{BATCH, Pending};
pub(crate) use window::Window;

use crate::read::{Input, Lines, Places, ReadOptions, Skipped};
use crate::remote::{self, Scheme};
use crate::source::{Plain, Store};
use crate::{Error, Result};
use cupola_task::Columns;
use folder::Folder;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Every format that can be read, in the order in which content is tried.
pub const FORMATS: &[FormatDef] = &[
    parquet::FORMAT,
    arrow::FORMAT,
    numpy::FORMAT,
    sheet::FORMAT,
    sqlite::FORMAT,
    jsonl::FORMAT,
    arff::FORMAT,
    libsvm::FORMAT,
    tsv::FORMAT,
    csv::FORMAT,
    idx::FORMAT,
    cifar::FORMAT,
    webdataset::FORMAT,
    images::FORMAT,
    tables::FORMAT,
];

/// The column of pictures that a format makes.
pub(crate) const IMAGE: &str = "image";
/// The column of what each picture shows.
pub(crate) const LABEL: &str = "label";
/// The column of the side each row is on: `train`, `valid` or `test`.
pub(crate) const SPLIT: &str = "split";

/// How much of a file's beginning decides what it is.
pub(crate) const HEAD: usize = 64 * 1024;

/// A format of the registry.
#[derive(Clone, Copy, Debug)]
pub struct FormatDef {
    /// The word in `data.format`.
    pub name: &'static str,
    /// File name endings, without the dot and without `.gz` or `.zst`.
    pub extensions: &'static [&'static str],
    /// One sentence.
    pub doc: &'static str,
    /// Whether content that begins so is of this format. Text comes decoded and without its byte order mark.
    pub sniff: fn(&[u8]) -> bool,
    /// How it is opened.
    pub(crate) open: Open,
}

/// What opening gives.
pub(crate) type Opened = Result<Box<dyn Rows>>;

/// What a format needs of its source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Open {
    /// Decoded text.
    Text(fn(Window, &ReadOptions) -> Opened),
    /// Bytes in order; the name is for messages.
    Bytes(fn(Box<dyn Read + Send>, Arc<str>, &ReadOptions) -> Opened),
    /// Bytes in any order; the name is for messages.
    Random(fn(Store, Arc<str>, &ReadOptions) -> Opened),
    /// Several files: those of a folder, or one file with what stands beside it.
    Folder {
        /// Whether the folder is laid out so.
        claims: fn(&Folder, &ReadOptions) -> Result<bool>,
        /// Opens it. The last argument says that all is to be read and hashed.
        open: fn(Folder, &ReadOptions, bool) -> Opened,
    },
}

/// Columns that a format made from how files are laid out, and what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// What is to be learned when nothing else is said.
    pub target: Option<&'static str>,
    /// Says each row's side: `train`, `valid` or `test`.
    pub split: Option<&'static str>,
}

/// Rows that were read together.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// As-read columns, at least one row.
    pub columns: Columns,
    /// Where the rows stand.
    pub places: Places,
}

/// What a reader of a whole table wants of the formats whose cells are all text.
pub(crate) enum Wish<'a> {
    /// Columns of numbers as numbers, but for those: see [`Rows::mistaken`].
    Numbers {
        /// They stay text.
        texts: &'a BTreeSet<&'a str>,
    },
    /// Nothing but those columns, as text.
    Texts {
        /// Their names.
        only: &'a [Arc<str>],
    },
}

/// An opened source of rows.
pub(crate) trait Rows: Send {
    /// At most `rows` more rows; nothing at the end.
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>>;
    /// What was left out so far.
    fn skipped(&self) -> &Skipped;
    /// What looked odd when it was opened.
    fn warnings(&self) -> &[String] {
        &[]
    }
    /// Columns that the format made.
    fn layout(&self) -> Layout {
        Layout::default()
    }
    /// How many rows there are, where a header or a listing tells before they are read.
    fn total(&self) -> Option<u64> {
        None
    }
    /// What was read, where the format opens files by itself and has read them whole.
    fn content(&self) -> Option<&Content> {
        None
    }
    /// Says before the first row how columns are wanted. Formats that say the types of their cells do not listen.
    fn wish(&mut self, _: &Wish<'_>) -> Result<()> {
        Ok(())
    }
    /// Columns that are missing because they were taken for numbers and are something else as well.
    fn mistaken(&self) -> &[Arc<str>] {
        &[]
    }
    /// At most `rows` rows that show what is there: the first, unless they say little about the rest.
    fn sample(&mut self, rows: usize) -> Result<Option<Chunk>> {
        self.next(rows)
    }
}

impl FormatDef {
    fn is_text(&self) -> bool {
        matches!(self.open, Open::Text(_))
    }

    fn is_folder(&self) -> bool {
        matches!(self.open, Open::Folder { .. })
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<&'static FormatDef> {
        FORMATS.iter().find(|format| format.name == name)
    }

    fn of_extension(extension: &str) -> Option<&'static FormatDef> {
        FORMATS.iter().find(|format| format.extensions.contains(&extension))
    }
}

/// Opens a folder, or the files of a pattern, as the first format that knows its layout, or as the one asked for.
pub(crate) fn open_folder(path: &Path, options: &ReadOptions, is_whole: bool) -> Result<(&'static FormatDef, Box<dyn Rows>)> {
    open_files(if path.is_dir() { Folder::open(path)? } else { Folder::matching(path)? }, options, is_whole)
}

/// Opens what a URL names that is no single object: a table of a database, or the objects of a folder or a pattern, as the files of one.
pub(crate) fn open_url(url: &str, options: &ReadOptions, is_whole: bool) -> Result<Option<(&'static str, Box<dyn Rows>)>> {
    match Scheme::of(url) {
        Some((Scheme::Postgresql, _)) => Ok(Some(("postgresql", remote::open_table(url, remote::granted(url)?, options)?))),
        _ if url.ends_with('/') || is_pattern(url.as_ref()) => {
            let (format, rows) = open_files(Folder::objects(url)?, options, is_whole)?;
            Ok(Some((format.name, rows)))
        }
        _ => Ok(None),
    }
}

fn open_files(folder: Folder, options: &ReadOptions, is_whole: bool) -> Result<(&'static FormatDef, Box<dyn Rows>)> {
    let asked = options.format.as_deref().and_then(FormatDef::named);
    // A format of single files is then that of each.
    if asked.is_some_and(|format| !format.is_folder()) {
        return Ok((&tables::FORMAT, tables::open(folder, options, is_whole)?));
    }
    for format in FORMATS {
        if let Open::Folder { claims, open } = format.open
            && asked.map_or_else(|| claims(&folder, options), |asked| Ok(asked.name == format.name))?
        {
            return Ok((format, open(folder, options, is_whole)?));
        }
    }
    Err(folder::unknown(&folder))
}

/// Opens files and patterns of files, one below the other.
pub(crate) fn open_list(paths: &[PathBuf], options: &ReadOptions, is_whole: bool) -> Result<(&'static FormatDef, Box<dyn Rows>)> {
    Ok((&tables::FORMAT, tables::open(Folder::list(paths)?, options, is_whole)?))
}

/// Finds out what the source is and opens it. Asked for by name, a format is taken at its word; otherwise content
/// decides, and the file name where content cannot.
pub(crate) fn open(
    mut plain: Plain,
    input: &Input,
    extension: &str,
    options: &ReadOptions,
    is_whole: bool,
) -> Result<(&'static FormatDef, Box<dyn Rows>)> {
    let name: Arc<str> = input.name().into();
    let head = plain.head(&name)?;
    if head.is_empty() {
        return Err(Error::refused(&name, "an empty file", "a header and rows").with_hint("check that writing the file had finished"));
    }
    let asked = options.format.as_deref().and_then(FormatDef::named);
    let by_name = FormatDef::of_extension(extension);
    let binary = FORMATS.iter().find(|format| !format.is_text() && (format.sniff)(&head));
    let binary = asked.or(binary).or(by_name.filter(|format| !format.is_text()));
    if let Some(format) = binary {
        let rows = match format.open {
            Open::Text(open) => open(crate::source::text(plain, name, options)?, options)?,
            Open::Bytes(open) => open(plain.into_read(), name, options)?,
            Open::Random(open) => open(plain.into_store(&name)?, name, options)?,
            Open::Folder { .. } if *input == Input::Stdin => {
                return Err(Error::refused(name, format!("{} from a pipe", format.name), "a path").with_hint("name the file or folder"));
            }
            Open::Folder { open, .. } => open(Folder::around(input), options, is_whole)?,
        };
        return Ok((format, rows));
    }
    refuse_foreign(&name, &head)?;
    let mut window = crate::source::text(plain, name, options)?;
    window.fill(HEAD)?;
    let format = sniff_text(&window, by_name);
    match format.open {
        Open::Text(open) => Ok((format, open(window, options)?)),
        Open::Bytes(_) | Open::Random(_) | Open::Folder { .. } => unreachable!("only text formats are tried on text"),
    }
}

/// JSON is known by its content even under another name; whether the fields are tabs or commas may follow the name.
fn sniff_text(window: &Window, by_name: Option<&'static FormatDef>) -> &'static FormatDef {
    let sniffed = FORMATS.iter().find(|format| format.is_text() && (format.sniff)(window.bytes())).unwrap_or(&csv::FORMAT);
    match by_name {
        Some(named) if sniffed.name != jsonl::FORMAT.name && (named.name == tsv::FORMAT.name || sniffed.name == csv::FORMAT.name) => named,
        _ => sniffed,
    }
}

/// Whether content that begins so is a picture of a kind that is read.
pub(crate) fn is_picture(head: &[u8]) -> bool {
    match image::guess_format(head) {
        // Two letters begin many a text; behind them and the size a BMP has four bytes of zero.
        Ok(image::ImageFormat::Bmp) => head.get(6..10) == Some(&[0; 4]),
        Ok(format) => format.reading_enabled(),
        Err(_) => false,
    }
}

/// Files that people hand over by mistake, by their first bytes.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\x89HDF", "an HDF5 file", "export the table as Parquet or CSV"),
    (b"%PDF", "a PDF document", "export the table as CSV"),
    (b"BZh", "a bzip2 archive", "unpack it; gzip and zstd are read as they are"),
    (b"\xfd7zXZ", "an xz archive", "unpack it; gzip and zstd are read as they are"),
    (b"ORC", "an ORC file", "export the table as Parquet"),
    (b"Obj\x01", "an Avro file", "export the table as Parquet"),
    (b"FEA1", "a Feather file of version 1", "write it again as Arrow IPC or Parquet"),
    (b"\x80\x04\x95", "a Python pickle", "export the table as Parquet or CSV; pickles are never opened"),
    (b"<!DOCTYPE", "an HTML page", "the download may have answered with an error page"),
    (b"<!doctype", "an HTML page", "the download may have answered with an error page"),
    (b"<html", "an HTML page", "the download may have answered with an error page"),
];

fn refuse_foreign(name: &str, head: &[u8]) -> Result<()> {
    if is_picture(head) {
        let error = Error::refused(name, "one picture", "a table, or a folder of pictures");
        return Err(error.with_hint("name the folder it lies in"));
    }
    match FOREIGN.iter().find(|(magic, ..)| head.starts_with(magic)) {
        Some((_, found, hint)) => {
            let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
            Err(Error::refused(name, found, names.join(", ")).with_hint(hint))
        }
        None => Ok(()),
    }
}

/// The table or sheet that was asked for, of those that are there.
pub(crate) fn chosen(name: &str, what: &str, asked: &str, known: &[String]) -> Result<String> {
    if let Some(found) = known.iter().find(|name| *name == asked) {
        return Ok(found.clone());
    }
    let error = Error::refused(name, format!("no {what} {asked}"), format!("a {what} of the file, as data.sheet says"));
    Err(match cupola_task::nearest(asked, known.iter().map(String::as_str)) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("there are: {}", known.join(", "))),
    })
}

/// Names of columns that a file gives in one place.
pub(crate) fn check_names<'a>(place: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for (at, name) in names.enumerate() {
        if name.trim().is_empty() {
            return Err(Error::refused(place, format!("no name for column {}", at + 1), "a name for each column"));
        }
        if !seen.insert(name) {
            return Err(Error::refused(place, format!("two columns of the name {name}"), "names that differ").with_hint("rename one"));
        }
    }
    Ok(())
}

/// A table with nothing in it is refused: what would be learned from it would be nothing, silently.
pub(crate) fn no_rows(name: &str, skipped: &Skipped) -> Error {
    match skipped.places.first() {
        Some(first) => {
            Error::refused(name, format!("{} bad rows and no good one, the first at {first}", skipped.count), "at least one row")
                .with_hint("read it with bad_rows=fail to see what is wrong")
        }
        None => {
            Error::refused(name, "a header and no row", "at least one row").with_hint("if the first line is data, set data.header=false")
        }
    }
}

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a decoder of another crate whose panics become refusals. The panic hook of a program asks it, to stay
/// silent then.
pub fn is_guarded() -> bool {
    IS_GUARDED.get()
}

/// Runs a decoder of another crate on bytes that may be hostile: a panic in it (Arrow and Parquet have several, as the test that damages every byte
/// shows) becomes a refusal.
pub(crate) fn guarded<T>(name: &str, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = IS_GUARDED.replace(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode));
    IS_GUARDED.set(before);
    result.unwrap_or_else(|_| {
        Err(Error::refused(name, "content that contradicts itself", "a whole file").with_hint("write or copy the file again"))
    })
}

impl Chunk {
    pub(crate) fn new(columns: Columns, name: Arc<str>, lines: Lines) -> Chunk {
        Chunk { columns, places: Places::new(name, lines) }
    }
}
