//! Numbers to bytes and back, little-endian. What is read may be hostile: counts are bounded by the bytes that are there.

use cupola_task::{Error, Result};
use std::fmt::Display;

/// Writes what [`Reader`] reads.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// With a mark of four letters and a version.
    pub(crate) fn new(mark: [u8; 4], version: u16) -> Writer {
        Writer([&mark[..], &version.to_le_bytes()].concat())
    }

    pub(crate) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn whole(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn real(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.whole(u32::try_from(count).expect("a model has less than 2^32 of anything"));
    }

    /// Their count and then they.
    pub(crate) fn wholes(&mut self, values: &[u32]) {
        self.count(values.len());
        self.0.reserve(values.len() * 4);
        values.iter().for_each(|&value| self.whole(value));
    }

    /// Their count and then they.
    pub(crate) fn reals(&mut self, values: &[f64]) {
        self.count(values.len());
        self.0.reserve(values.len() * 8);
        values.iter().for_each(|&value| self.real(value));
    }
}

/// Reads what [`Writer`] writes.
pub(crate) struct Reader<'a> {
    part: &'static str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A part's bytes.
    pub(crate) fn new(part: &'static str, bytes: &'a [u8]) -> Reader<'a> {
        Reader { part, bytes, at: 0 }
    }

    /// A part of this mark and of a version from 1 to `newest`, and which that is.
    ///
    /// # Errors
    /// When it has another.
    pub(crate) fn open(part: &'static str, bytes: &'a [u8], mark: [u8; 4], newest: u16) -> Result<(Reader<'a>, u16)> {
        let mut reader = Reader::new(part, bytes);
        if reader.take(4, "the mark")? != mark {
            return Err(reader.wrong("another mark", String::from_utf8_lossy(&mark)));
        }
        match u16::from_le_bytes(reader.array("the version")?) {
            version if (1..=newest).contains(&version) => Ok((reader, version)),
            version => Err(reader.wrong(format!("version {version}"), format!("version {newest} at most"))),
        }
    }

    /// What is wrong at this place.
    pub(crate) fn wrong(&self, found: impl Display, wanted: impl Display) -> Error {
        Error::input(format!("{} at byte {}", self.part, self.at), found, wanted)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// When there are fewer.
    pub(crate) fn take(&mut self, size: usize, what: &str) -> Result<&'a [u8]> {
        let left = self.bytes.len() - self.at;
        if size > left {
            return Err(self.wrong(format!("{left} bytes"), format!("{size} for {what}")));
        }
        self.at += size;
        Ok(&self.bytes[self.at - size..self.at])
    }

    /// The same as an array.
    pub(crate) fn array<const SIZE: usize>(&mut self, what: &str) -> Result<[u8; SIZE]> {
        Ok(part(self.take(SIZE, what)?, 0))
    }

    pub(crate) fn byte(&mut self, what: &str) -> Result<u8> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn whole(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A finite number.
    pub(crate) fn real(&mut self, what: &str) -> Result<f64> {
        match f64::from_le_bytes(self.array(what)?) {
            value if value.is_finite() => Ok(value),
            value => Err(self.wrong(value, format!("a finite {what}"))),
        }
    }

    /// A count of things that take at least `size` bytes each, which must be there.
    pub(crate) fn count(&mut self, size: usize, what: &str) -> Result<usize> {
        let count = self.whole(what)? as usize;
        let room = (self.bytes.len() - self.at) / size;
        if count > room {
            Err(self.wrong(format!("{count} {what}"), format!("at most {room}, as many as the bytes hold")))
        } else {
            Ok(count)
        }
    }

    pub(crate) fn items<T>(&mut self, count: usize, size: usize, what: &str, read: impl Fn(&[u8]) -> T) -> Result<Vec<T>> {
        Ok(self.take(count.saturating_mul(size), what)?.chunks_exact(size).map(read).collect())
    }

    pub(crate) fn many<T>(&mut self, size: usize, what: &str, read: impl Fn(&[u8]) -> T) -> Result<Vec<T>> {
        let count = self.count(size, what)?;
        self.items(count, size, what, read)
    }

    pub(crate) fn wholes(&mut self, what: &str) -> Result<Vec<u32>> {
        self.many(4, what, |bytes| u32::from_le_bytes(part(bytes, 0)))
    }

    /// Finite numbers.
    pub(crate) fn reals(&mut self, what: &str) -> Result<Vec<f64>> {
        let values = self.many(8, what, |bytes| f64::from_le_bytes(part(bytes, 0)))?;
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(self.wrong(value, format!("finite {what}"))),
            None => Ok(values),
        }
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// When something is.
    pub(crate) fn end(&self) -> Result<()> {
        match self.bytes.len() - self.at {
            0 => Ok(()),
            more => Err(self.wrong(format!("{more} more bytes"), "the end")),
        }
    }
}

/// Some of the bytes as an array.
pub(crate) fn part<const SIZE: usize>(bytes: &[u8], start: usize) -> [u8; SIZE] {
    bytes[start..start + SIZE].try_into().expect("the slice has that size")
}
