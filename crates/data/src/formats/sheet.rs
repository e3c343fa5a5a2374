//! Spreadsheets: XLSX, XLSM, XLSB and XLS, read by the `calamine` crate. The first row that is not empty names the columns; formulas count
//! by the value that was saved with them. Which sheet is read: the first, or the one that `data.sheet` names.
//!
//! Numbers are `Float64`, dates `Timestamp(Microsecond, None)` where all values of a column are dates; times of day and spans stay text.

use super::archive::{ZIP, unpack};
use super::cell::{Cell, Cells, full};
use super::{FormatDef, Listed, Markers, Open, check_names, guarded, no_rows};
use crate::read::{Lines, Places, ReadOptions, Skipped};
use crate::source::Store;
use crate::{Error, Result};
use bytes::Bytes;
use calamine::{Data, DataRef, Range, Reader, Xls, Xlsb, Xlsx, open_workbook_from_rs};
use cupola_task::{Column, Columns};
use std::io::{self, Cursor};
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "sheet",
    extensions: &["xlsx", "xlsm", "xlsb", "xls"],
    doc: "spreadsheets: XLSX, XLSM, XLSB, XLS; the first sheet, or data.sheet",
    sniff,
    open: Open::Random(open),
};

/// The most cells between the first and the last.
const CELLS_MAX: usize = 1 << 26;

/// An old workbook, or an archive whose first files are those of a new one.
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
    // So large it may get in memory.
    unpack(name, &bytes, options.max_bytes, |_, file| io::copy(file, &mut io::sink()))?;
    let (sheet, cells) = match open_workbook_from_rs::<Xlsx<_>, _>(Cursor::new(bytes.clone())) {
        Ok(mut book) => {
            let failed = |error| failed(calamine::Error::Xlsx(error));
            let sheet = asked(&book.sheet_names())?;
            let mut reader = book.worksheet_cells_reader(&sheet).map_err(failed)?;
            let cells = taken(|| reader.next_cell()).map_err(failed)?;
            (sheet, cells)
        }
        Err(error) => {
            let book: Result<Xlsb<_>, _> = open_workbook_from_rs(Cursor::new(bytes));
            let mut book = book.map_err(|_| failed(calamine::Error::Xlsx(error)))?;
            let failed = |error| failed(calamine::Error::Xlsb(error));
            let sheet = asked(&book.sheet_names())?;
            let mut reader = book.worksheet_cells_reader(&sheet).map_err(failed)?;
            let cells = taken(|| reader.next_cell()).map_err(failed)?;
            (sheet, cells)
        }
    };
    let range = dense(&format!("{name} sheet {sheet}"), cells)?;
    Ok((sheet, range))
}

/// A cell with its row and column, from 0.
type Placed = ((u32, u32), Data);

fn taken<'a, E>(mut next: impl FnMut() -> Result<Option<calamine::Cell<DataRef<'a>>>, E>) -> Result<Vec<Placed>, E> {
    let mut cells = Vec::new();
    while let Some(cell) = next()? {
        cells.push((cell.get_position(), Data::from(cell.get_value().clone())));
    }
    Ok(cells)
}

/// Cells of rows and columns: two far apart would span billions.
fn dense(place: &str, mut cells: Vec<Placed>) -> Result<Range<Data>> {
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

fn table(name: &str, sheet: &str, range: &Range<Data>, options: &ReadOptions) -> Result<(Columns, Places)> {
    let place: Arc<str> = format!("{name} sheet {sheet}").into();
    let first_line = range.start().map_or(0, |(row, _)| u64::from(row)) + 1;
    let is_blank =
        |row: &[Data]| row.iter().all(|cell| matches!(cell, Data::Empty) || matches!(cell, Data::String(text) if text.trim().is_empty()));
    let mut rows = range.rows().zip(first_line..).filter(|(row, _)| !is_blank(row));
    let names: Vec<Arc<str>> = match options.header {
        true => {
            let (row, line) = rows.next().ok_or_else(|| Error::refused(&*place, "an empty sheet", "a header and rows"))?;
            header(&place, row, line)?
        }
        false => (1..=range.width()).map(|column| format!("column_{column}").into()).collect(),
    };
    let markers = Markers::new(&options.missing_values);
    let mut columns: Vec<Cells> = names.iter().map(|_| Cells::new()).collect();
    let mut lines = Lines::default();
    let mut count = 0;
    for (row, line) in rows {
        for (at, cell) in row.iter().enumerate() {
            let place = || format!("{place}:{line}");
            let cell = cell_of(cell)
                .map_err(|found| Error::refused(place(), found, "a value").with_hint("mend the formula, or clear the cell"))?
                .unless_marked(&markers);
            match (columns.get_mut(at), cell) {
                (None, Cell::Missing) => {}
                (None, _) => {
                    let found = format!("a value in column {}, which has no name", at + 1);
                    return Err(Error::refused(place(), found, "a name in the header for each column with values"));
                }
                (Some(column), cell) => {
                    column.fill(count);
                    if !column.push(cell) {
                        return Err(full(&names[at], place()));
                    }
                }
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

/// A cell's value; an error says what was found.
fn cell_of(cell: &Data) -> Result<Cell, String> {
    Ok(match cell {
        Data::Empty => Cell::Missing,
        Data::Int(number) => Cell::whole(*number),
        Data::Float(number) => Cell::Number(*number),
        Data::String(text) => Cell::Text(text.clone()),
        Data::Bool(flag) => Cell::Text(flag.to_string()),
        Data::DateTime(moment) if moment.is_duration() || moment.as_f64() < 1.0 => Cell::Text(clock(moment.as_f64())),
        Data::DateTime(moment) => {
            let (year, month, day, hour, minute, second, milli) = moment.to_ymd_hms_milli();
            let date = chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day));
            let time =
                date.and_then(|date| date.and_hms_milli_opt(u32::from(hour), u32::from(minute), u32::from(second), u32::from(milli)));
            Cell::Moment(time.ok_or_else(|| format!("the date number {}", moment.as_f64()))?.and_utc().timestamp_micros())
        }
        Data::DateTimeIso(text) => crate::date::parse_known(text, None).map_or_else(|| Cell::Text(text.clone()), Cell::Moment),
        Data::DurationIso(text) => Cell::Text(text.clone()),
        Data::Error(error) => return Err(format!("the error {error}")),
    })
}

/// A part of a day, or more of them, as `8:30:00`.
fn clock(days: f64) -> String {
    let seconds = (days * 86_400.0).round() as i64;
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
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
