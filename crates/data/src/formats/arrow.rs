//! Arrow IPC, file and stream (<https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc>).
//!
//! The file format is the stream format between a magic word and a footer, so both are read in order, message by message, each
//! checked against the bytes that are there before it is decoded. A stream must end with its end marker: without it a stream that was
//! cut off at a message border would pass for whole.
//!
//! Differs: a file whose dictionaries come behind the batches that use them is refused.
//!
//! ```
//! use cupola_data::FORMATS;
//! assert!(FORMATS.iter().any(|format| format.name == "arrow" && format.extensions.contains(&"feather")));
//! ```

use super::parquet::Pending;
use super::{Chunk, FormatDef, Markers, Open, Rows, guarded, no_rows, normal};
use crate::read::{ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::Schema;
use std::fmt::Display;
use std::io::Read;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "arrow",
    extensions: &["arrow", "feather", "ipc", "arrows"],
    doc: "Arrow IPC, file or stream, with columns of numbers, texts, flags, dates and times",
    sniff: |head| head.starts_with(MAGIC) || head.starts_with(&CONTINUATION) && head.get(7).is_some_and(|byte| *byte < 0x80),
    open: Open::Bytes(open),
};

const MAGIC: &[u8] = b"ARROW1";
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Most bytes of a message's description.
const METADATA_MAX: u64 = 64 << 20;
/// Most bytes between the magic word and the first message.
const PADDING_MAX: usize = 128;

struct ArrowRows {
    name: Arc<str>,
    reader: Box<dyn Read + Send>,
    decoder: StreamDecoder,
    is_file: bool,
    is_begun: bool,
    is_done: bool,
    batches: usize,
    limit: u64,
    pending: Pending,
    markers: Markers,
    skipped: Skipped,
}

fn open(mut reader: Box<dyn Read + Send>, name: Arc<str>, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    let start = read_some(&mut reader, &name, 8)?;
    let is_file = start.starts_with(MAGIC);
    if start.len() < 8 || !is_file && !start.starts_with(&CONTINUATION) {
        return Err(damaged(&name, "it does not begin like one"));
    }
    if is_file {
        let first = behind_padding(&mut reader, &name)?;
        reader = Box::new(std::io::Cursor::new(first).chain(reader));
    } else {
        reader = Box::new(std::io::Cursor::new(start).chain(reader));
    }
    let mut rows = ArrowRows {
        name,
        reader,
        decoder: StreamDecoder::new(),
        is_file,
        is_begun: false,
        is_done: false,
        batches: 0,
        limit: options.max_bytes,
        pending: Pending::new(Arc::new(Schema::empty())),
        markers: Markers::new(&options.missing_values),
        skipped: Skipped::default(),
    };
    rows.message()?;
    let schema = rows.decoder.schema().ok_or_else(|| damaged(&rows.name, "no schema at its beginning"))?;
    normal::check_schema(&rows.name, &schema)?;
    rows.pending = Pending::new(schema);
    Ok(Box::new(rows))
}

fn damaged(name: &str, error: impl Display) -> Error {
    Error::refused(name, format!("damaged or cut off Arrow IPC ({error})"), "a whole Arrow file or stream")
        .with_hint("write or copy the file again")
}

/// At most so many bytes; memory grows with what is there, not with what is asked for.
fn read_some(reader: &mut dyn Read, name: &str, count: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(count).read_to_end(&mut bytes).map_err(|error| Error::reading(name, error))?;
    Ok(bytes)
}

/// The first eight bytes behind the magic word that are not all zero: some writers put the first message at a multiple of 64.
fn behind_padding(reader: &mut dyn Read, name: &str) -> Result<Vec<u8>> {
    for _ in 0..PADDING_MAX / 8 {
        let bytes = read_some(reader, name, 8)?;
        if bytes.iter().any(|byte| *byte != 0) || bytes.is_empty() {
            return Ok(bytes);
        }
    }
    Err(damaged(name, "zeros in place of its first message"))
}

fn decode(decoder: &mut StreamDecoder, message: Vec<u8>, name: &str) -> Result<Option<RecordBatch>> {
    guarded(name, || {
        let (mut buffer, mut batch) = (Buffer::from_vec(message), None);
        while !buffer.is_empty() {
            batch = decoder.decode(&mut buffer).map_err(|error| damaged(name, error))?.or(batch);
        }
        Ok(batch)
    })
}

impl ArrowRows {
    fn exactly(&mut self, count: u64) -> Result<Vec<u8>> {
        let bytes = read_some(&mut self.reader, &self.name, count)?;
        if (bytes.len() as u64) < count { Err(damaged(&self.name, "it breaks off inside a message")) } else { Ok(bytes) }
    }

    /// Reads one message; gives the batch when it is one.
    fn message(&mut self) -> Result<Option<RecordBatch>> {
        let bytes = self.exactly(8)?;
        let length = u64::from(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]));
        if bytes[..4] != CONTINUATION || length > METADATA_MAX {
            return Err(damaged(&self.name, "a message does not begin like one"));
        }
        if length == 0 {
            self.is_done = true;
            return self.check_end().map(|()| None);
        }
        let metadata = self.exactly(length)?;
        let message = arrow_ipc::root_as_message(&metadata).map_err(|error| damaged(&self.name, error))?;
        let length = u64::try_from(message.bodyLength()).ok().filter(|length| *length <= self.limit);
        let length = length.ok_or_else(|| damaged(&self.name, "a message of impossible length"))?;
        let body = self.exactly(length)?;
        self.check_buffers(&message, &body)?;
        // The decoder finishes a message without a body only when it sees what follows, so it is shown the mark that begins the next one here
        // and not there.
        let mut fed = if self.is_begun { Vec::new() } else { CONTINUATION.to_vec() };
        self.is_begun = true;
        for part in [&bytes[4..], &metadata, &body, &CONTINUATION] {
            fed.extend_from_slice(part);
        }
        let batch = decode(&mut self.decoder, fed, &self.name)?;
        self.batches += usize::from(batch.is_some());
        Ok(batch)
    }

    /// Buffers must lie inside the body, and packed ones must not claim more than is allowed.
    fn check_buffers(&self, message: &arrow_ipc::Message, body: &[u8]) -> Result<()> {
        let batch =
            message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()));
        let Some(batch) = batch else { return Ok(()) };
        let mut total: u64 = 0;
        for buffer in batch.buffers().iter().flatten() {
            let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
            let end = usize::try_from(buffer.length()).map_or(usize::MAX, |length| start.saturating_add(length));
            let bytes = body.get(start..end).ok_or_else(|| damaged(&self.name, "a buffer lies outside its message"))?;
            if let (Some(_), Some(size)) = (batch.compression(), bytes.first_chunk::<8>()) {
                total = total.saturating_add(u64::try_from(i64::from_le_bytes(*size)).unwrap_or(0));
            }
        }
        if total > self.limit.min((body.len() as u64).saturating_mul(10_000).max(64 << 20)) {
            return Err(damaged(&self.name, format!("packed buffers that claim {total} bytes")));
        }
        Ok(())
    }

    /// Behind the end marker a file has its footer, which must know as many batches as were read; a stream has nothing.
    fn check_end(&mut self) -> Result<()> {
        let rest = read_some(&mut self.reader, &self.name, METADATA_MAX)?;
        if !self.is_file {
            return if rest.is_empty() { Ok(()) } else { Err(damaged(&self.name, "bytes behind the end marker")) };
        }
        let footer = rest.strip_suffix(MAGIC).and_then(|rest| rest.split_last_chunk::<4>());
        let (footer, length) = footer.ok_or_else(|| damaged(&self.name, "no magic word at its end"))?;
        if u32::from_le_bytes(*length) as usize != footer.len() {
            return Err(damaged(&self.name, "a footer of wrong length"));
        }
        let footer = arrow_ipc::root_as_footer(footer).map_err(|error| damaged(&self.name, error))?;
        let known = footer.recordBatches().map_or(0, |blocks| blocks.len());
        if known == self.batches { Ok(()) } else { Err(damaged(&self.name, format!("{} batches of {known}", self.batches))) }
    }
}

impl Rows for ArrowRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        while self.pending.rows() < rows && !self.is_done {
            if let Some(batch) = self.message()? {
                self.pending.push(batch);
            }
        }
        let (pending, name, markers) = (&mut self.pending, &self.name, &self.markers);
        let chunk = guarded(name, || pending.take(rows, name, markers))?;
        match chunk {
            None if self.pending.rows_given() == 0 => Err(no_rows(&self.name, &self.skipped)),
            chunk => Ok(chunk),
        }
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}
