//! ARFF, as Weka reads it: a head of attributes, then rows with commas between cells (Weka's manual, "ARFF format (stable version)").
//!
//! Texts are attributes of strings: which values a nominal attribute has stands in the head, and only the last row would tell.

use super::spell;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use std::io::{self, Write};

/// Writes the relation and its attributes.
pub(super) fn head(out: &mut impl Write, schema: &Schema) -> io::Result<()> {
    writeln!(out, "@relation table\n")?;
    for field in schema.fields() {
        let kind = match field.data_type() {
            DataType::Boolean => "{false,true}",
            DataType::Timestamp(..) => "date \"yyyy-MM-dd'T'HH:mm:ss\"",
            DataType::Utf8 => "string",
            _ => "numeric",
        };
        writeln!(out, "@attribute {} {kind}", quoted(field.name()))?;
    }
    writeln!(out, "\n@data")
}

/// Writes rows. A missing value is a question mark, and so is a number that is none.
///
/// # Errors
/// When rows cannot be written; a moment that is not one of whole seconds in a year of four digits, which the head promises.
pub(super) fn rows(out: &mut impl Write, batch: &RecordBatch) -> io::Result<()> {
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (at, array) in batch.columns().iter().enumerate() {
            if at > 0 {
                out.write_all(b",")?;
            }
            if array.is_null(row) {
                out.write_all(b"?")?;
                continue;
            }
            match array.data_type() {
                DataType::Utf8 => out.write_all(quoted(array.as_string::<i32>().value(row)).as_bytes())?,
                DataType::Timestamp(..) => {
                    spell(array, row, &mut text);
                    if !text.contains('T') {
                        text.push_str("T00:00:00");
                    }
                    if text.len() != "yyyy-MM-ddTHH:mm:ss".len() {
                        let name = batch.schema_ref().field(at).name();
                        let wanted = "dates in ARFF are written in whole seconds and years of four digits";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("column {name}: found {text}; {wanted}")));
                    }
                    write!(out, "\"{text}\"")?;
                }
                _ => {
                    spell(array, row, &mut text);
                    out.write_all(if text.is_empty() { b"?" } else { text.as_bytes() })?;
                }
            }
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// In single quotes, unless it is a plain word.
fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/');
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("'");
    for letter in text.chars() {
        match letter {
            '\'' => quoted.push_str("\\'"),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}
