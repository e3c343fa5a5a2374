//! Writes tables of scalar columns chunk by chunk, to a pipe or, whole or not at all, to a file.
//!
//! ```
//! use cupola_data::{Input, OutputFormat, ReadOptions, Writer, read};
//! let table = read(&Input::Bytes { name: "a.csv".into(), bytes: "x,y\n1,\"a \"\"b\"\"\"\n".into() }, &ReadOptions::default())?;
//! let mut out = Vec::new();
//! let mut writer = Writer::new(&mut out, OutputFormat::Jsonl);
//! writer.write(&table.columns)?;
//! writer.finish()?;
//! assert_eq!(String::from_utf8_lossy(&out), "{\"x\":\"1\",\"y\":\"a \\\"b\\\"\"}\n");
//! # Ok::<(), cupola_data::Error>(())
//! ```

mod arff;

use crate::{Error, Result, date};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMicrosecondType, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_cast::cast;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use cupola_task::Columns;
use parquet::arrow::ArrowWriter;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use tempfile::{Builder, NamedTempFile};

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutputFormat {
    /// Comma-separated values; a missing value and an empty text are empty cells.
    #[default]
    Csv,
    /// Tab-separated values.
    Tsv,
    /// JSON lines; a missing value is `null`.
    Jsonl,
    /// Parquet, compressed with zstd.
    Parquet,
    /// Arrow's file format, compressed with zstd.
    Arrow,
    /// Weka's text format: numbers, dates in whole seconds and texts; flags are nominal.
    Arff,
}

/// Every format that is written, with its word.
const WRITTEN: &[(&str, OutputFormat)] = &[
    ("csv", OutputFormat::Csv),
    ("tsv", OutputFormat::Tsv),
    ("jsonl", OutputFormat::Jsonl),
    ("parquet", OutputFormat::Parquet),
    ("arrow", OutputFormat::Arrow),
    ("arff", OutputFormat::Arff),
];

impl OutputFormat {
    /// The format that a file name's ending asks for.
    ///
    /// # Errors
    /// An ending that none has.
    pub fn of_path(path: &Path) -> Result<OutputFormat> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        let refused = || Error::setting("out", path.display(), "a file that ends in .csv, .tsv, .jsonl, .parquet, .arrow or .arff");
        let word = match ending.as_str() {
            "ndjson" => "jsonl",
            "pq" => "parquet",
            "feather" | "ipc" => "arrow",
            other => other,
        };
        OutputFormat::from_str(word).map_err(|_| refused())
    }

    /// The word for it, which is also the ending of its files.
    pub fn word(self) -> &'static str {
        WRITTEN.iter().find(|(_, format)| *format == self).map_or("csv", |(word, _)| word)
    }

    /// Whether its cells have types of their own, so that texts that are numbers should be made numbers first.
    pub fn is_typed(self) -> bool {
        !matches!(self, OutputFormat::Csv | OutputFormat::Tsv)
    }
}

impl FromStr for OutputFormat {
    type Err = Error;

    fn from_str(word: &str) -> Result<OutputFormat> {
        let known = WRITTEN.iter().find(|(known, _)| *known == word).map(|(_, format)| *format);
        known.ok_or_else(|| Error::setting("format", format!("{word:?}"), "csv, tsv, jsonl, parquet, arrow or arff"))
    }
}

enum Encoder<W: Write + Send> {
    Csv(csv::Writer<W>),
    Jsonl(BufWriter<W>),
    /// Parquet's header holds the schema, so its encoder comes with the first chunk.
    Parquet(Option<W>, Option<ArrowWriter<W>>),
    /// The same holds for Arrow's.
    Arrow(Option<W>, Option<FileWriter<W>>),
    Arff(BufWriter<W>),
}

/// Writes chunks of equal columns. What is not finished may be incomplete.
pub struct Writer<W: Write + Send> {
    encoder: Encoder<W>,
    schema: Option<SchemaRef>,
}

impl<W: Write + Send> Writer<W> {
    /// A writer onto that pipe or buffer.
    pub fn new(out: W, format: OutputFormat) -> Writer<W> {
        let csv = |delimiter, out| Encoder::Csv(csv::WriterBuilder::new().delimiter(delimiter).from_writer(out));
        let encoder = match format {
            OutputFormat::Csv => csv(b',', out),
            OutputFormat::Tsv => csv(b'\t', out),
            OutputFormat::Jsonl => Encoder::Jsonl(BufWriter::new(out)),
            OutputFormat::Parquet => Encoder::Parquet(Some(out), None),
            OutputFormat::Arrow => Encoder::Arrow(Some(out), None),
            OutputFormat::Arff => Encoder::Arff(BufWriter::new(out)),
        };
        Writer { encoder, schema: None }
    }

    /// Writes rows. Every chunk has the columns of the first, in type and order; this asserts it.
    ///
    /// # Errors
    /// A full disk or a closed pipe; an infinite number in JSON, which cannot hold one; a column that is no scalar.
    pub fn write(&mut self, columns: &Columns) -> Result<()> {
        let batch = batch(columns)?;
        let is_first = self.schema.is_none();
        let schema = self.schema.get_or_insert_with(|| batch.schema());
        assert_eq!(*schema, batch.schema(), "chunks have equal columns");
        match &mut self.encoder {
            Encoder::Csv(writer) => {
                if is_first {
                    writer.write_record(schema.fields().iter().map(|field| field.name())).map_err(csv_failed)?;
                }
                write_csv(writer, &batch)
            }
            Encoder::Jsonl(writer) => write_jsonl(writer, &batch),
            Encoder::Parquet(out, writer) => {
                if let Some(out) = out.take() {
                    *writer = Some(parquet_writer(out, batch.schema())?);
                }
                let writer = writer.as_mut().expect("the first chunk makes the encoder");
                writer.write(&batch).map_err(parquet_failed)
            }
            Encoder::Arrow(out, writer) => {
                if let Some(out) = out.take() {
                    *writer = Some(arrow_writer(out, &batch.schema())?);
                }
                writer.as_mut().expect("the first chunk makes the encoder").write(&batch).map_err(arrow_failed)
            }
            Encoder::Arff(writer) => {
                if is_first {
                    arff::head(writer, schema).map_err(failed)?;
                }
                arff::rows(writer, &batch).map_err(failed)
            }
        }
    }

    /// Makes rows written so far visible to a reader of the pipe, where the format can.
    ///
    /// # Errors
    /// A full disk or a closed pipe.
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.encoder {
            Encoder::Csv(writer) => writer.flush().map_err(failed),
            Encoder::Jsonl(writer) => writer.flush().map_err(failed),
            Encoder::Arff(writer) => writer.flush().map_err(failed),
            Encoder::Parquet(..) | Encoder::Arrow(..) => Ok(()),
        }
    }

    /// Writes what is still held back and gives the pipe back. Parquet without a chunk is an empty table.
    ///
    /// # Errors
    /// A full disk or a closed pipe.
    pub fn finish(self) -> Result<W> {
        match self.encoder {
            Encoder::Csv(writer) => {
                writer.into_inner().map_err(|error| failed(io::Error::new(error.error().kind(), error.error().to_string())))
            }
            Encoder::Jsonl(writer) => writer.into_inner().map_err(|error| failed(error.into_error())),
            Encoder::Parquet(None, Some(writer)) => writer.into_inner().map_err(parquet_failed),
            Encoder::Parquet(out, _) => {
                let out = out.expect("without a chunk there is still the pipe");
                parquet_writer(out, Arc::new(Schema::empty()))?.into_inner().map_err(parquet_failed)
            }
            Encoder::Arff(writer) => writer.into_inner().map_err(|error| failed(error.into_error())),
            Encoder::Arrow(None, Some(writer)) => writer.into_inner().map_err(arrow_failed),
            Encoder::Arrow(out, _) => {
                let out = out.expect("without a chunk there is still the pipe");
                arrow_writer(out, &Schema::empty())?.into_inner().map_err(arrow_failed)
            }
        }
    }
}

fn failed(source: io::Error) -> Error {
    Error::Write { action: "write the table".to_owned(), source }
}

fn csv_failed(error: csv::Error) -> Error {
    failed(error.into())
}

fn parquet_failed(error: parquet::errors::ParquetError) -> Error {
    failed(error.into())
}

fn arrow_failed(error: ArrowError) -> Error {
    failed(match error {
        ArrowError::IoError(_, source) => source,
        error => io::Error::other(error),
    })
}

fn arrow_writer<W: Write>(out: W, schema: &Schema) -> Result<FileWriter<W>> {
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).map_err(arrow_failed)?;
    FileWriter::try_new_with_options(out, schema, options).map_err(arrow_failed)
}

/// Rows of a Parquet page at most, which its writer holds as they came, each column for itself.
const PAGE_ROWS: usize = 8192;
/// Bytes of a Parquet column's dictionary at most. What has more distinct values gains little by one, and its writer holds it whole.
const DICTIONARY_BYTES: usize = 128 << 10;

fn parquet_writer<W: Write + Send>(out: W, schema: SchemaRef) -> Result<ArrowWriter<W>> {
    let compression = parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::default());
    // The library's name and version would tie the bytes to a release.
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(compression)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_created_by("cupola".to_owned());
    ArrowWriter::try_new(out, schema, Some(properties.build())).map_err(parquet_failed)
}

/// Scalar columns in the few types that are written: `Float64`, `Float32`, `Int64`, `UInt64`, `Boolean`, `Utf8`, `Timestamp(Microsecond)`.
pub(crate) fn batch(columns: &Columns) -> Result<RecordBatch> {
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays = Vec::with_capacity(columns.len());
    for (name, column) in columns.iter() {
        let array = column.array().filter(|array| !array.data_type().is_nested());
        let array = array.ok_or_else(|| Error::column(name, "table", "pixels, sound, objects or lists", "scalars"))?;
        let array = plain(name, array)?;
        fields.push(Field::new(&**name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(columns.rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).expect("columns are equally long"))
}

fn plain(name: &str, array: &ArrayRef) -> Result<ArrayRef> {
    use DataType::{
        Boolean, Dictionary, Float16, Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let wanted = match array.data_type() {
        Float64 | Float32 | Int64 | UInt64 | Boolean | Utf8 => return Ok(array.clone()),
        Float16 => Float32,
        Int8 | Int16 | Int32 => Int64,
        UInt8 | UInt16 | UInt32 => UInt64,
        LargeUtf8 | Utf8View | Dictionary(..) => Utf8,
        _ => return crate::formats::normal::array_as_read(name, "table", array),
    };
    cast(array, &wanted).map_err(|error| Error::column(name, "table", error, wanted))
}

/// One cell as text: shortest digits that give the number back, ISO 8601 in UTC.
fn spell(array: &ArrayRef, row: usize, text: &mut String) {
    use std::fmt::Write as _;
    text.clear();
    let done = match array.data_type() {
        DataType::Float64 => spell_float(array.as_primitive::<Float64Type>().value(row), text),
        DataType::Float32 => write!(text, "{}", array.as_primitive::<Float32Type>().value(row)),
        DataType::Int64 => write!(text, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => write!(text, "{}", array.as_primitive::<UInt64Type>().value(row)),
        DataType::Boolean => write!(text, "{}", array.as_boolean().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            text.write_str(&date::iso(array.as_primitive::<TimestampMicrosecondType>().value(row)))
        }
        _ => text.write_str(array.as_string::<i32>().value(row)),
    };
    done.expect("writing to a string does not fail");
}

fn spell_float(number: f64, text: &mut String) -> std::fmt::Result {
    use std::fmt::Write as _;
    match number.abs() {
        0.0 | 1e-5..1e16 => write!(text, "{number}"),
        _ if number.is_nan() => Ok(()),
        _ => write!(text, "{number:e}"),
    }
}

fn write_csv<W: Write>(writer: &mut csv::Writer<W>, batch: &RecordBatch) -> Result<()> {
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for array in batch.columns() {
            match array.is_null(row) {
                true => text.clear(),
                false => spell(array, row, &mut text),
            }
            writer.write_field(&text).map_err(csv_failed)?;
        }
        writer.write_record(None::<&[u8]>).map_err(csv_failed)?;
    }
    Ok(())
}

fn write_jsonl(writer: &mut impl Write, batch: &RecordBatch) -> Result<()> {
    let schema = batch.schema();
    let keys: Vec<String> = schema.fields().iter().map(|field| serde_json::Value::from(field.name().as_str()).to_string()).collect();
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (at, (key, array)) in keys.iter().zip(batch.columns()).enumerate() {
            let start = if at == 0 { "{" } else { "," };
            let value = json(array, row, &mut text, schema.field(at).name())?;
            write!(writer, "{start}{key}:{value}").map_err(failed)?;
        }
        writer.write_all(if keys.is_empty() { b"{}\n" } else { b"}\n" }).map_err(failed)?;
    }
    Ok(())
}

fn json<'a>(array: &ArrayRef, row: usize, text: &'a mut String, name: &str) -> Result<&'a str> {
    if array.is_null(row) {
        return Ok("null");
    }
    spell(array, row, text);
    match array.data_type() {
        DataType::Float64 | DataType::Float32 => match text.as_str() {
            "" | "NaN" => return Ok("null"),
            "inf" | "-inf" => return Err(Error::column(name, format!("row {}", row + 1), &text, "a number that JSON can hold")),
            _ => {}
        },
        DataType::Int64 | DataType::UInt64 | DataType::Boolean => {}
        _ => *text = serde_json::Value::from(text.as_str()).to_string(),
    }
    Ok(text)
}

/// A file that appears under its name whole or not at all: written beside it, synced, renamed. What is dropped before [`WholeFile::commit`] leaves
/// the old file as it was.
pub struct WholeFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl WholeFile {
    /// Begins a file that is to appear under that path.
    ///
    /// # Errors
    /// A folder that is missing or cannot be written.
    pub fn create(path: &Path) -> Result<WholeFile> {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let prefix = format!(".{name}.");
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".tmp");
        // Temporary files are private by default; this one is as readable as any file of its user (the mask still applies).
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder_of(path)).map_err(|error| failed_at(path, system_word(error)))?;
        Ok(WholeFile { path: path.to_owned(), file })
    }

    /// Makes it appear.
    ///
    /// # Errors
    /// A full disk; the old file is then as it was.
    pub fn commit(self) -> Result<()> {
        let WholeFile { path, file } = self;
        let synced = file.as_file().sync_all();
        let committed = synced.and_then(|()| file.persist(&path).map_err(|error| error.error)).and_then(|_| sync_folder(&path));
        committed.map_err(|source| failed_at(&path, source))
    }
}

fn failed_at(path: &Path, source: io::Error) -> Error {
    Error::Write { action: format!("write {}", path.display()), source }
}

/// The system's own word, without the temporary name that is put around it.
fn system_word(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((word, _)) => io::Error::new(error.kind(), word.to_owned()),
        None => error,
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Without this a power cut may undo the rename.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

impl Write for WholeFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let content = || std::fs::read_to_string(&path).unwrap();
        for (text, is_kept, expected) in [("old", true, "old"), ("new", false, "old"), ("newer", true, "newer")] {
            let mut file = WholeFile::create(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            if is_kept {
                file.commit().unwrap();
            } else {
                drop(file);
            }
            assert_eq!(content(), expected);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(WholeFile::create(&folder.path().join("no/such.csv")).is_err());
    }

    /// A pipe whose reader is gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        let numbers: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![1.0; 100]));
        let columns = Columns::new(vec![("x".into(), cupola_task::Column::Array(numbers))]);
        for format in
            [OutputFormat::Csv, OutputFormat::Tsv, OutputFormat::Jsonl, OutputFormat::Parquet, OutputFormat::Arrow, OutputFormat::Arff]
        {
            let mut writer = Writer::new(Closed, format);
            let written = writer.write(&columns).and_then(|()| writer.finish().map(|_| ()));
            assert!(matches!(written, Err(Error::Write { .. })), "{format:?}");
        }
    }
}
