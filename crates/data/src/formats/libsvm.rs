//! libsvm's sparse rows, also called svmlight (<https://www.csie.ntu.edu.tw/~cjlin/libsvm/>): `label index:value index:value ... # comment`, with
//! indices that rise from 1. A value that is not written is 0. `qid:N` behind the label becomes the column `qid`.
//!
//! The columns are `label`, which is to be learned when nothing else is said, and `x1`, `x2` up to the highest index of the file.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let raw = read(&Input::Bytes { name: "a.libsvm".into(), bytes: "+1 1:0.5 3:2\n-1 2:1\n".into() }, &ReadOptions::default())?;
//! assert_eq!(raw.columns.names().collect::<Vec<_>>(), ["label", "x1", "x2", "x3"]);
//! assert_eq!((raw.format, raw.layout.target), ("libsvm", Some("label")));
//! # Ok::<(), cupola_data::Error>(())
//! ```

use super::{FormatDef, LABEL, Layout, Listed, Open, Window, no_rows};
use crate::conform::{number, shown};
use crate::read::{BadRows, Lines, Places, ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_array::{ArrayRef, Float64Array};
use cupola_task::{Column, Columns};
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "libsvm",
    extensions: &["libsvm", "svmlight", "svm"],
    doc: "libsvm and svmlight: sparse rows of label index:value; gz and zst are unpacked",
    sniff,
    open: Open::Text(open),
};

/// The highest index: a larger one is more likely an error than a column.
const INDEX_MAX: u32 = 1 << 20;
/// A dense table of more cells is not made of rows that are sparse.
const CELLS_MAX: usize = 1 << 30;

/// A label and at least one `index:value`.
fn sniff(head: &[u8]) -> bool {
    let lines = head.split(|&byte| byte == b'\n').map(|line| line.trim_ascii());
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(b"#"));
    let Some(Ok(line)) = first.map(std::str::from_utf8) else { return false };
    let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
    let pair = |word: &str| {
        word.split_once(':').is_some_and(|(index, value)| (index == "qid" || index.parse::<u32>().is_ok()) && number(value).is_some())
    };
    words.next().and_then(number).is_some() && words.next().is_some_and(pair) && words.all(pair)
}

struct Row {
    label: f64,
    query: Option<f64>,
    values: Vec<(u32, f64)>,
}

fn open(mut window: Window, options: &ReadOptions) -> super::Opened {
    let name = window.name().clone();
    let max_line = usize::try_from(options.max_line).unwrap_or(usize::MAX);
    let (mut rows, mut lines, mut skipped, mut line) = (Vec::new(), Lines::default(), Skipped::default(), 1);
    while let Some(length) = window.line_length(max_line, line)? {
        let text = String::from_utf8_lossy(&window.bytes()[..length]);
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            match row(text, &format!("{name}:{line}")) {
                Ok(row) => {
                    rows.push(row);
                    lines.push(line);
                }
                Err(error) if options.bad_rows == BadRows::Fail => return Err(error),
                Err(error) => skipped.add(&error),
            }
        }
        window.take(length);
        line += 1;
    }
    if rows.is_empty() {
        return Err(no_rows(&name, &skipped));
    }
    let width = rows.iter().filter_map(|row| row.values.last()).map(|(index, _)| *index as usize).max().unwrap_or(0);
    if width.saturating_mul(rows.len()) > CELLS_MAX {
        let found = format!("{} rows of {width} columns", rows.len());
        return Err(Error::refused(name, found, format!("at most {CELLS_MAX} cells")).with_hint("leave out the indices that few rows have"));
    }
    let array = |values: Vec<f64>| Column::Array(Arc::new(Float64Array::from(values)) as ArrayRef);
    let mut columns = vec![(LABEL.into(), array(rows.iter().map(|row| row.label).collect()))];
    if rows.iter().any(|row| row.query.is_some()) {
        let queries: Float64Array = rows.iter().map(|row| row.query).collect();
        columns.push(("qid".into(), Column::Array(Arc::new(queries))));
    }
    let mut dense = vec![vec![0.0; rows.len()]; width];
    for (at, row) in rows.iter().enumerate() {
        row.values.iter().for_each(|&(index, value)| dense[index as usize - 1][at] = value);
    }
    columns.extend(dense.into_iter().enumerate().map(|(at, values)| (format!("x{}", at + 1).into(), array(values))));
    let layout = Layout { target: Some(LABEL), split: None };
    Ok(Box::new(Listed::new(Columns::new(columns), Places::new(name, lines)).with(layout, skipped)))
}

fn row(text: &str, place: &str) -> Result<Row> {
    let wrong = |found: String, wanted: &str| Error::refused(place, found, wanted);
    let mut words = text.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let label = number(first).filter(|label| label.is_finite()).ok_or_else(|| {
        let error = wrong(format!("the label {}", shown(first)), "a number");
        if first.contains(',') { error.with_hint("rows with several labels are not read") } else { error }
    })?;
    let mut row = Row { label, query: None, values: Vec::new() };
    for word in words {
        let (index, value) = word.split_once(':').ok_or_else(|| wrong(shown(word), "index:value"))?;
        let value =
            number(value).filter(|value| value.is_finite()).ok_or_else(|| wrong(shown(word), "a finite number behind the colon"))?;
        if index == "qid" {
            row.query = Some(value);
            continue;
        }
        let index = index.parse::<u32>().ok().filter(|index| *index <= INDEX_MAX);
        let index = index.ok_or_else(|| wrong(shown(word), "an index of at most 1048576 before the colon"))?;
        if index == 0 {
            return Err(wrong("the index 0".to_owned(), "indices from 1").with_hint("add one to all indices: libsvm counts from 1"));
        }
        match row.values.last() {
            Some((last, _)) if *last >= index => return Err(wrong(format!("index {index} behind {last}"), "indices that rise")),
            _ => row.values.push((index, value)),
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::{options, read_bytes, shown};
    use expect_test::expect;

    #[test]
    fn rows_are_dense_and_faults_have_places() {
        let told = |text: &str, given: &[(&str, &str)]| match read_bytes("a.libsvm", text, &options(given)) {
            Ok(raw) => format!("{} {}", raw.columns.names().collect::<Vec<_>>().join("|"), shown(&raw.columns).join(" ")),
            Err(error) => error.to_string(),
        };
        let cases = [
            told("# two rows\n1 qid:3 1:0.5 3:-2e1 # first\n\n-1 qid:4 2:1\n", &[]),
            told("2.5 1:1\n0\n", &[]),
            told("1 1:2\n1 0:2\n", &[]),
            told("1 1:2\n1 2:1 2:3\n", &[]),
            told("1 1:2\n1,2 2:1\n", &[]),
            told("1 1:2\n1 2:nan\n1 3:x\n1 9999999:1\n1 2\n1 2:5\n", &[("bad_rows", "skip")]),
        ];
        expect![[r#"
            label|qid|x1|x2|x3 1.0|3.0|0.5|0.0|-20.0 -1.0|4.0|0.0|1.0|0.0
            label|x1 2.5|1.0 0.0|0.0
            a.libsvm:2: found the index 0, wanted indices from 1
            a.libsvm:2: found index 2 behind 2, wanted indices that rise
            a.libsvm:2: found the label "1,2", wanted a number
            label|x1|x2 1.0|2.0|0.0 1.0|0.0|5.0"#]]
        .assert_eq(&cases.join("\n"));
    }
}
