//! Spreadsheets: XLSX, XLSM, XLSB and XLS, read by the `calamine` crate. The first row that is not empty names the columns; formulas count
//! by the value that was saved with them. Which sheet is read: the first, or the one that `data.sheet` names.
//!
//! Numbers are `Float64`, dates `Timestamp(Microsecond, None)` where all values of a column are dates; times of day and spans stay text.

use super::cell::{Cell, Cells};
use super::{FormatDef, Listed, Markers, Open, check_names, guarded, no_rows};
use crate::read::{Lines, Places, ReadOptions, Skipped};
use crate::source::Store;
use crate::{Error, Result};
use arrow_array::{ArrayRef, TimestampMicrosecondArray};
use bytes::Bytes;
use calamine::{Data, Range, Reader, Xls, Xlsb, Xlsx, open_workbook_from_rs};
use cupola_task::{Column, Columns};
use std::io::{self, Cursor, Read};
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "sheet",
    extensions: &["xlsx", "xlsm", "xlsb", "xls"],
    doc: "spreadsheets: XLSX, XLSM, XLSB, XLS; the first sheet, or data.sheet",
    // A zip may hold other things, an archive or a NumPy file; what it holds is told by the name of its first file.
    sniff,
    open: Open::Random(open),
};

/// How an archive begins.
const ZIP: &[u8] = b"PK\x03\x04";
/// The most cells between the first and the last.
const CELLS_MAX: usize = 1 << 26;

fn sniff(head: &[u8]) -> bool {
    let is_compound = head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1");
    let holds = |name: &[u8]| head.windows(name.len()).take(4096).any(|window| window == name);
    is_compound || head.starts_with(ZIP) && (holds(b"[Content_Types].xml") || holds(b"xl/") || holds(b"_rels/.rels"))
}

fn open(store: Store, name: Arc<str>, options: &ReadOptions) -> super::Opened {
    let bytes = store.into_bytes(&name)?;
    let (sheet, range) = guarded(&name, || sheet(&name, bytes, options))?;
    let (columns, places) = table(&name, &sheet, &range, options)?;
    Ok(Box::new(Listed::new(columns, places)))
}

fn damaged(name: &str, error: &calamine::Error) -> Error {
    Error::refused(name, format!("a spreadsheet that cannot be read ({error})"), "a whole XLSX, XLSB or XLS file")
        .with_hint("save it again, or save the sheet as CSV; sheets with a password are not opened")
}

/// The sheet that was asked for, and its name.
fn sheet(name: &str, bytes: Bytes, options: &ReadOptions) -> Result<(String, Range<Data>)> {
    let failed = |error: calamine::Error| damaged(name, &error);
    let asked = |sheets: &[String]| match (&options.sheet, sheets) {
        (Some(asked), sheets) => super::chosen(name, "sheet", asked, sheets),
        (None, [first, ..]) => Ok(first.clone()),
        (None, []) => Err(Error::refused(name, "a workbook without a sheet", "a sheet with a header and rows")),
    };
    if !bytes.starts_with(ZIP) {
        // Such a sheet has 65,536 rows of 256 cells at most.
        let mut book: Xls<_> = open_workbook_from_rs(Cursor::new(bytes)).map_err(|error| failed(calamine::Error::Xls(error)))?;
        let sheet = asked(&book.sheet_names())?;
        let range = book.worksheet_range(&sheet).map_err(|error| failed(calamine::Error::Xls(error)))?;
        return Ok((sheet, range));
    }
    check_unpacked(name, &bytes, options.max_bytes)?;
    let mut cells = Vec::new();
    let sheet = match open_workbook_from_rs::<Xlsx<_>, _>(Cursor::new(bytes.clone())) {
        Ok(mut book) => {
            let failed = |error| failed(calamine::Error::Xlsx(error));
            let sheet = asked(&book.sheet_names())?;
            let mut reader = book.worksheet_cells_reader(&sheet).map_err(failed)?;
            while let Some(cell) = reader.next_cell().map_err(failed)? {
                cells.push((cell.get_position(), Data::from(cell.get_value().clone())));
            }
            sheet
        }
        Err(error) => {
            let book: Result<Xlsb<_>, _> = open_workbook_from_rs(Cursor::new(bytes));
            let mut book = book.map_err(|_| failed(calamine::Error::Xlsx(error)))?;
            let failed = |error| failed(calamine::Error::Xlsb(error));
            let sheet = asked(&book.sheet_names())?;
            let mut reader = book.worksheet_cells_reader(&sheet).map_err(failed)?;
            while let Some(cell) = reader.next_cell().map_err(failed)? {
                cells.push((cell.get_position(), Data::from(cell.get_value().clone())));
            }
            sheet
        }
    };
    let range = dense(&format!("{name} sheet {sheet}"), cells)?;
    Ok((sheet, range))
}

/// Cells of rows and columns: two far apart would span billions.
fn dense(place: &str, mut cells: Vec<((u32, u32), Data)>) -> Result<Range<Data>> {
    cells.retain(|(_, value)| *value != Data::Empty);
    let span = |side: fn(&(u32, u32)) -> u32| {
        let sides = || cells.iter().map(|(position, _)| side(position));
        sides().max().unwrap_or(0).abs_diff(sides().min().unwrap_or(0)) as usize + 1
    };
    let (rows, columns) = (span(|position| position.0), span(|position| position.1));
    if rows * columns > CELLS_MAX {
        let error =
            Error::refused(place, format!("cells spread over {rows} rows and {columns} columns"), format!("at most {CELLS_MAX} cells"));
        return Err(error.with_hint("clear the cells that stand far from the table, or save the sheet as CSV"));
    }
    Ok(Range::from_sparse(cells.into_iter().map(|(position, value)| calamine::Cell::new(position, value)).collect()))
}

/// What a workbook holds unpacked is bounded, whatever it says of itself.
fn check_unpacked(name: &str, bytes: &[u8], bytes_max: u64) -> Result<()> {
    let failed = |error: String| {
        Error::refused(name, format!("a spreadsheet that cannot be read ({error})"), "a whole XLSX, XLSB or XLS file")
            .with_hint("save it again")
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| failed(error.to_string()))?;
    let mut left = bytes_max;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(|error| failed(error.to_string()))?;
        let unpacked = io::copy(&mut file.take(left.saturating_add(1)), &mut io::sink()).map_err(|error| failed(error.to_string()))?;
        left = left.checked_sub(unpacked).ok_or_else(|| {
            let error = Error::refused(name, format!("more than {bytes_max} bytes unpacked"), "content within data.max_bytes");
            error.with_hint("raise data.max_bytes, or save the sheet as CSV")
        })?;
    }
    Ok(())
}

fn table(name: &str, sheet: &str, range: &Range<Data>, options: &ReadOptions) -> Result<(Columns, Places)> {
    let place: Arc<str> = format!("{name} sheet {sheet}").into();
    let first_line = range.start().map_or(0, |(row, _)| u64::from(row)) + 1;
    let is_blank =
        |row: &[Data]| row.iter().all(|cell| matches!(cell, Data::Empty) || matches!(cell, Data::String(text) if text.trim().is_empty()));
    let mut rows = range.rows().zip(first_line..).filter(|(row, _)| !is_blank(row)).peekable();
    let width = range.width();
    let names: Vec<Arc<str>> = match options.header {
        true => {
            let (row, line) = rows.next().ok_or_else(|| Error::refused(&*place, "an empty sheet", "a header and rows"))?;
            header(&place, row, line)?
        }
        false => (1..=width).map(|column| format!("column_{column}").into()).collect(),
    };
    let markers = Markers::new(&options.missing_values);
    let mut columns: Vec<SheetColumn> = names.iter().map(|_| SheetColumn::new()).collect();
    let mut lines = Lines::default();
    let mut count = 0;
    for (row, line) in rows {
        for (at, cell) in row.iter().enumerate() {
            let taken = cell_of(cell).map_err(|found| Error::refused(format!("{place}:{line}"), found, "a value"));
            let cell = taken.map_err(|error| error.with_hint("mend the formula, or clear the cell"))?;
            match (columns.get_mut(at), cell) {
                (None, Value::Missing) => {}
                (None, _) => {
                    let found = format!("a value in column {}, which has no name", at + 1);
                    return Err(Error::refused(format!("{place}:{line}"), found, "a name in the header for each column with values"));
                }
                (Some(column), value) => column.push(count, value.unless_marked(&markers)),
            }
        }
        lines.push(line);
        count += 1;
    }
    if count == 0 {
        return Err(no_rows(&place, &Skipped::default()));
    }
    let columns = names.into_iter().zip(&mut columns).map(|(name, column)| (name, Column::Array(column.finish(count)))).collect();
    Ok((Columns::new(columns), Places::new(place, lines)))
}

/// Names of the columns; columns without name or value behind the last name are no columns.
fn header(place: &str, row: &[Data], line: u64) -> Result<Vec<Arc<str>>> {
    let names: Vec<String> = row.iter().map(|cell| cell.to_string().trim().to_owned()).collect();
    let width = names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
    check_names(&format!("{place}:{line}"), names[..width].iter().map(String::as_str))?;
    Ok(names[..width].iter().map(|name| name.as_str().into()).collect())
}

enum Value {
    Missing,
    Number(f64),
    Text(String),
    Moment(i64),
}

impl Value {
    fn unless_marked(self, markers: &Markers) -> Value {
        match &self {
            Value::Number(number) if markers.contain_number(*number) => Value::Missing,
            Value::Text(text) if markers.contain(text) => Value::Missing,
            _ => self,
        }
    }
}

/// Microseconds of a day.
const DAY: f64 = 86_400e6;

fn cell_of(cell: &Data) -> Result<Value, String> {
    Ok(match cell {
        Data::Empty => Value::Missing,
        Data::Int(number) => match Cell::whole(*number) {
            Cell::Number(number) => Value::Number(number),
            Cell::Text(text) => Value::Text(text),
            Cell::Missing => Value::Missing,
        },
        Data::Float(number) => Value::Number(*number),
        Data::String(text) => Value::Text(text.clone()),
        Data::Bool(flag) => Value::Text(flag.to_string()),
        Data::DateTime(moment) if moment.is_duration() || moment.as_f64() < 1.0 => Value::Text(clock(moment.as_f64())),
        Data::DateTime(moment) => {
            let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
            let date = chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day));
            let time =
                date.and_then(|date| date.and_hms_milli_opt(u32::from(hour), u32::from(minute), u32::from(second), u32::from(milli)));
            Value::Moment(time.ok_or_else(|| format!("the date number {}", moment.as_f64()))?.and_utc().timestamp_micros())
        }
        Data::DateTimeIso(text) => crate::date::parse_known(text, None).map_or_else(|| Value::Text(text.clone()), Value::Moment),
        Data::DurationIso(text) => Value::Text(text.clone()),
        Data::Error(error) => return Err(format!("the error {error}")),
    })
}

/// A part of a day, or more of them, as `8:30:00`.
fn clock(days: f64) -> String {
    let seconds = (days * DAY / 1e6).round() as i64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Moments as long as there is nothing else, then what they are as text.
struct SheetColumn {
    moments: Vec<Option<i64>>,
    cells: Cells,
    is_time: bool,
    has_other: bool,
}

impl SheetColumn {
    fn new() -> SheetColumn {
        SheetColumn { moments: Vec::new(), cells: Cells::new(), is_time: false, has_other: false }
    }

    fn push(&mut self, row: usize, value: Value) {
        self.moments.resize(row, None);
        self.cells.fill(row);
        let (moment, cell) = match value {
            Value::Missing => (None, Cell::Missing),
            Value::Number(number) => (None, Cell::Number(number)),
            Value::Text(text) => (None, Cell::Text(text)),
            Value::Moment(micros) => (Some(micros), Cell::Text(crate::date::iso(micros))),
        };
        self.is_time |= moment.is_some();
        self.has_other |= moment.is_none() && !matches!(cell, Cell::Missing);
        self.moments.push(moment);
        self.cells.append(cell);
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.moments.resize(rows, None);
        match self.is_time && !self.has_other {
            true => Arc::new(std::mem::take(&mut self.moments).into_iter().collect::<TimestampMicrosecondArray>()),
            false => self.cells.finish(rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::{options, shown};
    use crate::{Input, read};
    use cupola_task::Fault;
    use expect_test::expect;
    use std::path::Path;

    #[test]
    fn what_is_small_packed_and_large_unpacked_is_refused() {
        let far = |text: &str| ((1_000_000, 10_000), calamine::Data::String(text.to_owned()));
        let error = super::dense("a.xlsx sheet 1", vec![((0, 0), calamine::Data::Int(1)), far("x")]).unwrap_err();
        assert!(error.to_string().contains("cells spread over 1000001 rows and 10001 columns"), "{error}");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sheets.xlsx");
        let error = read(&Input::Path(file), &options(&[("max_bytes", "20000")])).unwrap_err();
        assert!(error.to_string().contains("more than 20000 bytes unpacked"), "{error}");
    }

    #[test]
    fn cells_are_what_they_mean_and_faults_have_places() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sheets.xlsx");
        let told = |sheet: &str| match read(&Input::Path(file.clone()), &options(&[("sheet", sheet)])) {
            Ok(raw) => format!("{} {} {}", raw.columns.names().collect::<Vec<_>>().join("|"), shown(&raw.columns).join(" "), raw.place(1)),
            Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
        };
        let sheets = ["\"\"", "errors", "unnamed", "twice", "gap", "header", "empty", "frist"];
        let lines = sheets.map(told).join("\n").replace(&file.display().to_string(), "sheets.xlsx");
        expect![[r#"
            when|clock|span|mixed|yes 2024-02-29T13:45:30|8:30:00|30:00:00|2024-02-29T13:45:30|true 1900-03-01T00:00:00|.|.|2.5|false .|0:00:00|0:01:00|.|. sheets.xlsx sheet first:5
            sheets.xlsx sheet errors:3: found the error #DIV/0!, wanted a value; mend the formula, or clear the cell
            sheets.xlsx sheet unnamed:2: found a value in column 2, which has no name, wanted a name in the header for each column with values; 
            sheets.xlsx sheet twice:1: found two columns of the name a, wanted names that differ; rename one
            sheets.xlsx sheet gap:1: found no name for column 2, wanted a name for each column; 
            sheets.xlsx sheet header: found a header and no row, wanted at least one row; if the first line is data, set data.header=false
            sheets.xlsx sheet empty: found an empty sheet, wanted a header and rows; 
            sheets.xlsx: found no sheet frist, wanted a sheet of the file, as data.sheet says; did you mean first?"#]].assert_eq(&lines);
    }
}
