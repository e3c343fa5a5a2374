//! A sliding view of text that is read piece by piece.

use crate::{Error, Result};
use std::io::Read;
use std::sync::Arc;

/// Bytes still to be taken of a reader, as far as they have been read.
pub(crate) struct Window {
    name: Arc<str>,
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    taken: u64,
    /// Bytes of the whole source, 0 when not known.
    total: u64,
    is_done: bool,
}

/// What one read asks for at least.
const STEP: usize = 256 * 1024;

impl Window {
    /// `skipped` bytes of the source are already gone (a byte order mark).
    pub(crate) fn new(name: Arc<str>, source: Box<dyn Read + Send>, skipped: u64) -> Window {
        Window { name, source, buffer: Vec::new(), start: 0, end: 0, taken: skipped, total: 0, is_done: false }
    }

    /// Of a source of so many bytes.
    pub(crate) fn of_bytes(self, total: u64) -> Window {
        Window { total, ..self }
    }

    /// How many bytes are still to be taken, 0 when not known.
    pub(crate) fn left(&self) -> u64 {
        self.total.saturating_sub(self.taken)
    }

    /// The source's name.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What has been read and not taken.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether the source has no more than [`Window::bytes`].
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// How many bytes were taken, that is, where [`Window::bytes`] begins in the source.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Moves on.
    pub(crate) fn take(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "only what was read can be taken");
        self.start += count;
        self.taken += count as u64;
    }

    /// Reads until at least `count` bytes are there or the source ends.
    pub(crate) fn fill(&mut self, count: usize) -> Result<()> {
        while self.end - self.start < count && !self.is_done {
            self.more()?;
        }
        Ok(())
    }

    /// Length of the next line with its end; nothing when no text is left.
    pub(crate) fn line_length(&mut self, max: usize, line: u64) -> Result<Option<usize>> {
        let mut searched = 0;
        loop {
            let bytes = self.bytes();
            let found = bytes[searched..].iter().position(|&byte| byte == b'\n').map(|length| searched + length + 1);
            let length = found.or(self.is_done.then_some(bytes.len()));
            if length.unwrap_or(bytes.len()) > max {
                let place = format!("{}:{line}", self.name);
                let error = Error::refused(place, format!("a line of more than {max} bytes"), "a line within data.max_line");
                return Err(error.with_hint("one row a line; if a line is meant to be so long, raise data.max_line"));
            }
            match length {
                Some(0) => return Ok(None),
                Some(length) => return Ok(Some(length)),
                None => searched = bytes.len(),
            }
            self.more()?;
        }
    }

    /// Reads on, at least doubling what is there, so that looking again at a long line stays cheap.
    pub(crate) fn more(&mut self) -> Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = self.end + self.end.max(STEP);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.end < wanted && !self.is_done {
            match self.source.read(&mut self.buffer[self.end..wanted]) {
                Ok(0) => self.is_done = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::reading(&self.name, error)),
            }
        }
        Ok(())
    }
}
