//! Apache Parquet (<https://parquet.apache.org/docs/file-format/>), read by the `parquet` crate.
//!
//! ```
//! use cupola_data::{Input, OutputFormat, ReadOptions, Writer, read};
//! let table = read(&Input::Bytes { name: "a.csv".into(), bytes: "x\n1\n".into() }, &ReadOptions::default())?;
//! let mut file = Vec::new();
//! let mut writer = Writer::new(&mut file, OutputFormat::Parquet);
//! writer.write(&table.columns)?;
//! writer.finish()?;
//! let again = read(&Input::Bytes { name: "a.parquet".into(), bytes: file.into() }, &ReadOptions::default())?;
//! assert_eq!((again.format, again.columns.rows()), ("parquet", 1));
//! # Ok::<(), cupola_data::Error>(())
//! ```

use super::{Chunk, FormatDef, Markers, Open, Rows, guarded, no_rows, normal};
use crate::read::{Lines, ReadOptions, Skipped};
use crate::source::Store;
use crate::{Error, Result};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;
use std::fmt::Display;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "parquet",
    extensions: &["parquet", "pq"],
    doc: "Apache Parquet with columns of numbers, texts, flags, dates and times",
    sniff: |head| head.starts_with(b"PAR1"),
    open: Open::Random(open),
};

/// Rows decoded at a time.
pub(crate) const BATCH: usize = 8192;

struct ParquetRows {
    name: Arc<str>,
    reader: ParquetRecordBatchReader,
    pending: Pending,
    markers: Markers,
    rows_wanted: u64,
    skipped: Skipped,
}

/// Decoded batches waiting to be handed on; shared with the Arrow format.
pub(crate) struct Pending {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
    rows: usize,
    rows_given: u64,
}

impl Pending {
    pub(crate) fn new(schema: SchemaRef) -> Pending {
        Pending { schema, batches: Vec::new(), rows: 0, rows_given: 0 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn rows_given(&self) -> u64 {
        self.rows_given
    }

    pub(crate) fn push(&mut self, batch: RecordBatch) {
        self.rows += batch.num_rows();
        self.batches.push(batch);
    }

    /// Takes at most that many rows as one chunk.
    pub(crate) fn take(&mut self, rows: usize, name: &Arc<str>, markers: &Markers) -> Result<Option<Chunk>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let whole = arrow_select::concat::concat_batches(&self.schema, &self.batches).map_err(|error| {
            Error::refused(name, format!("batches that do not fit together ({error})"), "a table").with_hint("read it in parts")
        })?;
        let count = rows.min(whole.num_rows());
        self.batches = vec![whole.slice(count, whole.num_rows() - count)];
        self.rows = whole.num_rows() - count;
        let columns = normal::columns(name, &whole.slice(0, count), markers)?;
        let lines = Lines::rows_from(self.rows_given);
        self.rows_given += count as u64;
        Ok(Some(Chunk::new(columns, name.clone(), lines)))
    }
}

fn open(store: Store, name: Arc<str>, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    match store {
        Store::Memory(bytes) => open_reader(bytes, name, options),
        Store::File(file) => open_reader(file, name, options),
    }
}

fn open_reader<R: ChunkReader + 'static>(reader: R, name: Arc<str>, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    let bytes = reader.len();
    let (reader, rows_wanted) = guarded(&name, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(reader).map_err(|error| damaged(&name, error))?;
        normal::check_schema(&name, builder.schema())?;
        let metadata = builder.metadata().clone();
        check_sizes(&name, &metadata, bytes, options)?;
        let rows = u64::try_from(metadata.file_metadata().num_rows()).map_err(|error| damaged(&name, error))?;
        let reader = builder.with_batch_size(BATCH).build().map_err(|error| damaged(&name, error))?;
        Ok((reader, rows))
    })?;
    let pending = Pending::new(arrow_array::RecordBatchReader::schema(&reader));
    let markers = Markers::new(&options.missing_values);
    Ok(Box::new(ParquetRows { name, reader, pending, markers, rows_wanted, skipped: Skipped::default() }))
}

/// The footer's sizes are believed only within limits.
fn check_sizes(name: &str, metadata: &parquet::file::metadata::ParquetMetaData, bytes: u64, options: &ReadOptions) -> Result<()> {
    let mut total: u64 = 0;
    for column in metadata.row_groups().iter().flat_map(|group| group.columns()) {
        let (start, length) = column.byte_range();
        if start.saturating_add(length) > bytes {
            return Err(damaged(name, "a column lies outside the file"));
        }
        total = total.saturating_add(column.uncompressed_size().unsigned_abs());
    }
    if total > options.max_bytes {
        let error = Error::refused(name, format!("{total} bytes unpacked"), "content within data.max_bytes");
        return Err(error.with_hint("raise data.max_bytes, or give a part of the file"));
    }
    Ok(())
}

fn damaged(name: &str, error: impl Display) -> Error {
    Error::refused(name, format!("damaged or cut off Parquet ({error})"), "a whole Parquet file").with_hint("write or copy the file again")
}

impl Rows for ParquetRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        while self.pending.rows() < rows {
            let (reader, name) = (&mut self.reader, &self.name);
            let batch = guarded(name, || reader.next().transpose().map_err(|error| damaged(name, error)))?;
            match batch {
                Some(batch) => self.pending.push(batch),
                None => break,
            }
        }
        let chunk = self.pending.take(rows, &self.name, &self.markers)?;
        match (&chunk, self.pending.rows_given()) {
            (None, 0) if self.rows_wanted == 0 => Err(no_rows(&self.name, &self.skipped)),
            (None, given) if given != self.rows_wanted => Err(damaged(&self.name, format!("{given} rows of {}", self.rows_wanted))),
            _ => Ok(chunk),
        }
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}
