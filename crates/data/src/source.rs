//! From an input to plain bytes: opening, unpacking gzip and zstd, decoding to UTF-8, all within limits.

use crate::formats::Window;
use crate::read::{Encoding, Input, ReadOptions};
use crate::{Error, Result, remote};
use bytes::Bytes;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// Unpacked content may be this many times its packed size before it counts as a bomb; gzip cannot exceed 1032.
const RATIO_MAX: u64 = 1100;
/// Content below this size is never a bomb.
const RATIO_FREE: u64 = 64 << 20;

/// Bytes of a source after unpacking.
pub(crate) enum Plain {
    /// All of them.
    Memory(Bytes),
    /// A file that can be read anywhere.
    File(File),
    /// What can be read once, in order.
    Pipe(Box<dyn Read + Send>),
}

/// Bytes that can be read in any order.
pub(crate) enum Store {
    /// All of them.
    Memory(Bytes),
    /// A file.
    File(File),
}

impl Store {
    /// All of them in memory.
    pub(crate) fn into_bytes(self, name: &str) -> Result<Bytes> {
        match self {
            Store::Memory(bytes) => Ok(bytes),
            Store::File(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes).map_err(|error| Error::reading(name, error))?;
                Ok(bytes.into())
            }
        }
    }
}

/// An opened input.
pub(crate) struct Opened {
    /// Its content.
    pub(crate) plain: Plain,
    /// How many came, when known.
    pub(crate) bytes: u64,
    /// The bytes as they came, when they are at hand.
    pub(crate) memory: Option<Bytes>,
    /// File name ending that tells the format, in lower case.
    pub(crate) extension: String,
}

/// BLAKE3 of bytes as they came, in hexadecimal; nothing when they are not at hand.
pub(crate) fn hash(memory: Option<&Bytes>) -> String {
    memory.map(|bytes| blake3::hash(bytes).to_hex().to_string()).unwrap_or_default()
}

impl Plain {
    /// The first bytes, which stay to be read.
    pub(crate) fn head(&mut self, name: &str) -> Result<Vec<u8>> {
        let limit = crate::formats::HEAD;
        let mut head = Vec::new();
        match self {
            Plain::Memory(bytes) => head.extend_from_slice(&bytes[..bytes.len().min(limit)]),
            Plain::File(file) => {
                let read = file.take(limit as u64).read_to_end(&mut head).and_then(|_| file.seek(SeekFrom::Start(0)));
                read.map_err(|error| Error::reading(name, error))?;
            }
            Plain::Pipe(pipe) => {
                pipe.take(limit as u64).read_to_end(&mut head).map_err(|error| Error::reading(name, error))?;
                let rest = std::mem::replace(pipe, Box::new(io::empty()));
                *pipe = Box::new(Cursor::new(head.clone()).chain(rest));
            }
        }
        Ok(head)
    }

    /// In order.
    pub(crate) fn into_read(self) -> Box<dyn Read + Send> {
        match self {
            Plain::Memory(bytes) => Box::new(Cursor::new(bytes)),
            Plain::File(file) => Box::new(file),
            Plain::Pipe(pipe) => pipe,
        }
    }

    /// In any order: a pipe is read to its end.
    pub(crate) fn into_store(self, name: &str) -> Result<Store> {
        match self {
            Plain::Memory(bytes) => Ok(Store::Memory(bytes)),
            Plain::File(file) => Ok(Store::File(file)),
            Plain::Pipe(mut pipe) => {
                let mut bytes = Vec::new();
                pipe.read_to_end(&mut bytes).map_err(|error| Error::reading(name, error))?;
                Ok(Store::Memory(bytes.into()))
            }
        }
    }
}

/// Opens an input; `whole` reads it to its end at once and hashes it.
pub(crate) fn open(input: &Input, options: &ReadOptions, whole: bool) -> Result<Opened> {
    let name: Arc<str> = input.name().into();
    let plain = match input {
        Input::Bytes { bytes, .. } => Plain::Memory(bytes.clone()),
        Input::Stdin => Plain::Pipe(Box::new(io::stdin())),
        Input::Path(path) => open_file(path)?,
        // The copy of an object is a file; messages go on to name the object.
        Input::Url(url) => open_file(&remote::fetch(url, remote::granted(url)?, options)?)?,
        Input::Paths(_) | Input::Query(_) => unreachable!("several files are opened one by one"),
    };
    let plain = if whole { read_whole(plain, &name, options)? } else { plain };
    let bytes = match &plain {
        Plain::Memory(bytes) => bytes.len() as u64,
        Plain::File(file) => file.metadata().map_or(0, |data| data.len()),
        Plain::Pipe(_) => 0,
    };
    let memory = if let Plain::Memory(bytes) = &plain { Some(bytes.clone()) } else { None };
    let plain = unpack(plain, name, bytes, options)?;
    Ok(Opened { plain, bytes, memory, extension: extension(&input.name()) })
}

fn open_file(path: &Path) -> Result<Plain> {
    let refused = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => Error::Unreadable { place: path.display().to_string(), source: error, hint: None },
    };
    let data = std::fs::metadata(path).map_err(refused)?;
    if data.is_dir() {
        return Err(Error::refused(path.display(), "a folder", "a file").with_hint("name one file of it"));
    }
    let file = File::open(path).map_err(refused)?;
    Ok(if data.is_file() { Plain::File(file) } else { Plain::Pipe(Box::new(file)) })
}

/// The error for a file that is not there, with the nearest that is.
fn missing(path: &Path) -> Error {
    if let Some(error) = path.to_str().and_then(remote::foreign) {
        return error;
    }
    let error = Error::refused(path.display(), "no such file", "a file");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return error.with_hint(format!("there is no folder {} either", folder.display()));
    };
    let mut names: Vec<String> = entries.flatten().take(10_000).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let typed = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
    let near = cupola_task::nearest(&typed, names.iter().map(String::as_str));
    let near = near.or_else(|| names.iter().map(String::as_str).find(|name| !stem(name).is_empty() && stem(name) == stem(&typed)));
    match near {
        Some(near) => error.with_hint(format!("did you mean {}?", path.with_file_name(near).display())),
        None => error,
    }
}

fn read_whole(plain: Plain, name: &Arc<str>, options: &ReadOptions) -> Result<Plain> {
    let (size, reader) = match plain {
        Plain::Memory(bytes) => return Ok(Plain::Memory(bytes)),
        Plain::File(file) => (file.metadata().map_or(0, |data| data.len()), Box::new(file) as Box<dyn Read + Send>),
        Plain::Pipe(pipe) => (0, pipe),
    };
    let mut bytes = Vec::with_capacity(size.min(options.max_bytes) as usize + 1);
    let mut reader = Capped { reader, name: name.clone(), read: 0, limit: options.max_bytes, bomb: u64::MAX };
    reader.read_to_end(&mut bytes).map_err(|error| Error::reading(name, error))?;
    Ok(Plain::Memory(bytes.into()))
}

/// The file name's ending below those of packers: `csv` of `a.CSV.gz`.
pub(crate) fn extension(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name).to_lowercase();
    let below = [".gz", ".zst", ".zstd"].iter().find_map(|packed| file.strip_suffix(packed)).unwrap_or(&file);
    below.rsplit_once('.').map(|(_, extension)| extension.to_owned()).unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip,
    Zstd,
}

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        _ => None,
    }
}

fn unpack(mut plain: Plain, name: Arc<str>, packed_bytes: u64, options: &ReadOptions) -> Result<Plain> {
    let Some(packing) = packing(&plain.head(&name)?) else { return Ok(plain) };
    let reader = BufReader::with_capacity(128 * 1024, plain.into_read());
    let reader: Box<dyn Read + Send> = match packing {
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(reader).map_err(|error| Error::reading(&name, error))?),
    };
    let reader = Box::new(Unpacked { reader, name: name.clone(), packing });
    let bomb = if packed_bytes == 0 { u64::MAX } else { packed_bytes.saturating_mul(RATIO_MAX).max(RATIO_FREE) };
    let mut unpacked = Plain::Pipe(Box::new(Capped { reader, name: name.clone(), read: 0, limit: options.max_bytes, bomb }));
    if self::packing(&unpacked.head(&name)?).is_some() {
        return Err(Error::refused(name, "a packed file inside a packed file", "one layer of gzip or zstd").with_hint("unpack it once"));
    }
    Ok(unpacked)
}

/// Says what is wrong with a packed file in our words.
struct Unpacked {
    reader: Box<dyn Read + Send>,
    name: Arc<str>,
    packing: Packing,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::Interrupted || error.get_ref().is_some_and(|inner| inner.is::<Error>()) {
                return error;
            }
            let word = if self.packing == Packing::Gzip { "gzip" } else { "zstd" };
            let found = match error.kind() {
                io::ErrorKind::UnexpectedEof => format!("{word} data that breaks off"),
                _ => format!("damaged {word} data ({error})"),
            };
            let refused = Error::refused(&self.name, found, format!("a whole {word} file"));
            io::Error::other(refused.with_hint("copy the file again; a whole one unpacks without complaint"))
        })
    }
}

/// Stops a reader that gives more than is allowed.
struct Capped {
    reader: Box<dyn Read + Send>,
    name: Arc<str>,
    read: u64,
    limit: u64,
    bomb: u64,
}

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read += count as u64;
        if self.read > self.limit {
            let error = Error::refused(&self.name, format!("more than {} bytes", self.limit), "content within data.max_bytes");
            return Err(io::Error::other(error.with_hint("raise data.max_bytes, or give a part of the file")));
        }
        if self.read > self.bomb {
            let error = Error::refused(&self.name, format!("packed data that grows more than {RATIO_MAX}-fold"), "a table");
            return Err(io::Error::other(error.with_hint("unpack the file first if it is meant to be so")));
        }
        Ok(count)
    }
}

/// The source as UTF-8 text. A byte order mark decides; otherwise what was asked for.
pub(crate) fn text(mut plain: Plain, name: Arc<str>, options: &ReadOptions) -> Result<Window> {
    let head = plain.head(&name)?;
    let (mark, encoding) = match head.as_slice() {
        [0xef, 0xbb, 0xbf, ..] => (3, Encoding::Utf8),
        [0xff, 0xfe, ..] => (2, Encoding::Utf16Le),
        [0xfe, 0xff, ..] => (2, Encoding::Utf16Be),
        _ => (0, options.encoding),
    };
    let bytes = if let Plain::Memory(bytes) = &plain { bytes.len() as u64 } else { 0 };
    let mut reader = plain.into_read();
    io::copy(&mut (&mut reader).take(mark), &mut io::sink()).map_err(|error| Error::reading(&name, error))?;
    let decoder = match encoding {
        Encoding::Utf8 => return Ok(Window::new(name, reader, mark).of_bytes(bytes)),
        Encoding::Utf16 => {
            let error = Error::refused(name, "UTF-16 without a byte order mark", "a byte order mark");
            return Err(error.with_hint("set data.encoding=utf-16le, or utf-16be"));
        }
        Encoding::Utf16Le => encoding_rs::UTF_16LE,
        Encoding::Utf16Be => encoding_rs::UTF_16BE,
        Encoding::Latin1 => encoding_rs::WINDOWS_1252,
    };
    let decoder = Decoded {
        reader,
        name: name.clone(),
        decoder: decoder.new_decoder_without_bom_handling(),
        raw: vec![0; 64 * 1024],
        text: Vec::new(),
        at: 0,
        read: mark,
        is_done: false,
    };
    Ok(Window::new(name, Box::new(decoder), 0))
}

/// Decodes to UTF-8 piece by piece; a malformed sequence is an error with its byte.
struct Decoded {
    reader: Box<dyn Read + Send>,
    name: Arc<str>,
    decoder: encoding_rs::Decoder,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    read: u64,
    is_done: bool,
}

impl Decoded {
    fn refill(&mut self) -> io::Result<()> {
        let count = self.reader.read(&mut self.raw)?;
        self.is_done = count == 0;
        self.at = 0;
        let raw = &self.raw[..count];
        let room = self.decoder.max_utf8_buffer_length_without_replacement(count).unwrap_or(4 * count + 16);
        self.text.resize(room, 0);
        let (result, consumed, written) = self.decoder.decode_to_utf8_without_replacement(raw, &mut self.text, self.is_done);
        self.text.truncate(written);
        if let encoding_rs::DecoderResult::Malformed(length, behind) = result {
            let byte = (self.read + consumed as u64).saturating_sub(u64::from(length) + u64::from(behind));
            let error =
                Error::refused(format!("{} at byte {byte}", self.name), "bytes that are no character", self.decoder.encoding().name());
            return Err(io::Error::other(error.with_hint("set data.encoding, or write the file as UTF-8")));
        }
        self.read += count as u64;
        Ok(())
    }
}

impl Read for Decoded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.is_done {
            self.refill()?;
        }
        let count = buffer.len().min(self.text.len() - self.at);
        buffer[..count].copy_from_slice(&self.text[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl Error {
    /// A read that failed: with our own error inside, that one.
    pub(crate) fn reading(name: &str, error: io::Error) -> Error {
        let kind = error.kind();
        match error.into_inner() {
            Some(inner) => match inner.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(other) => Error::Unreadable { place: name.to_owned(), source: io::Error::new(kind, other), hint: None },
            },
            None => Error::Unreadable { place: name.to_owned(), source: kind.into(), hint: None },
        }
    }
}
