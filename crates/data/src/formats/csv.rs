//! Comma-separated values: RFC 4180 and the usual dialects (another delimiter or quote, a byte order mark, any mixture of line
//! ends, blank lines, no line end behind the last record).
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let error = read(&Input::Bytes { name: "a.csv".into(), bytes: "x,y,z\n1,2,3\n4,5\n".into() }, &ReadOptions::default()).unwrap_err();
//! assert_eq!(error.to_string(), "a.csv:3: found 2 fields, wanted 3 fields as in the header");
//! ```

use super::building::{Building, Taken};
use super::bulk::{self, Held, Reading, Writing};
use super::cell::full;
use super::numerals::Numerals;
use super::record::{Broken, Dialect, Scan, Span, rest_of_line};
use super::{Chunk, FormatDef, Markers, Open, Rows, Window, Wish, dialect, no_rows};
use crate::infer::names_rows;
use crate::read::{BadRows, Lines, ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_array::{ArrayRef, NullArray};
use cupola_task::{Column, Columns};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The registry's entry. It comes last: all text that is nothing else is tried as CSV.
pub const FORMAT: FormatDef = FormatDef {
    name: "csv",
    extensions: &["csv", "txt", "data", "dat"],
    doc: "comma-separated values and their dialects; gz and zst are unpacked",
    sniff: |_| true,
    open: Open::Text(|window, options| open_with(window, options, None)),
};

/// How much room is made for the rest of the rows, as a share of what the first ones say they need.
const ROOM: f64 = 1.02;
/// Characters of a bad cell that a message shows.
const SHOWN: usize = 40;
/// How much text shows what the columns hold. In tests so little that it often shows too little.
const SHOWING: usize = if cfg!(test) { 32 } else { super::HEAD };
/// Records that are read one by one where a piece had to end early.
const ALONE: usize = 1000;

struct CsvRows {
    window: Window,
    writing: Writing,
    names: Vec<Arc<str>>,
    /// What each column is taken for.
    taken: Vec<Taken>,
    columns: Vec<Building>,
    /// Whether there is room in them for the rest.
    has_room: bool,
    mistaken: Vec<Arc<str>>,
    has_header: bool,
    bad_rows: BadRows,
    max_line: usize,
    /// Line at which the window begins.
    line: u64,
    /// A blank line that would be a row of the only column, if a row follows.
    blank: Option<u64>,
    rows_seen: bool,
    /// So many records are read one by one before pieces are tried again: where something is odd, more may be.
    alone: usize,
    skipped: Skipped,
    warnings: Vec<String>,
    fields: Vec<Span>,
}

/// What comes next in the window.
enum Step {
    End,
    Record {
        length: usize,
        lines: u64,
    },
    /// A record that cannot be taken; reading can go on behind it.
    Bad {
        error: Error,
        length: usize,
        lines: u64,
    },
}

/// Opens delimited text; `preferred` decides where several delimiters fit.
pub(super) fn open_with(mut window: Window, options: &ReadOptions, preferred: Option<u8>) -> Result<Box<dyn Rows>> {
    window.fill(super::HEAD)?;
    let delimiter = match options.delimiter {
        Some(delimiter) => delimiter,
        None => dialect::sniff(&window, options.quote, preferred)?,
    };
    let mut rows = CsvRows {
        window,
        writing: Writing {
            dialect: Dialect { delimiter, quote: options.quote },
            markers: Markers::new(&options.missing_values),
            numerals: Numerals::open(options),
        },
        names: Vec::new(),
        taken: Vec::new(),
        columns: Vec::new(),
        has_room: false,
        mistaken: Vec::new(),
        has_header: options.header,
        bad_rows: options.bad_rows,
        max_line: usize::try_from(options.max_line).unwrap_or(usize::MAX),
        line: 1,
        blank: None,
        rows_seen: false,
        alone: 0,
        skipped: Skipped::default(),
        warnings: Vec::new(),
        fields: Vec::new(),
    };
    rows.read_names()?;
    rows.taken = vec![Taken::Text; rows.names.len()];
    Ok(Box::new(rows))
}

impl Rows for CsvRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        self.columns = self.taken.iter().map(|&taken| Building::new(taken)).collect();
        let (mut lines, mut count) = (Lines::default(), 0);
        while count < rows {
            count += self.pieces(rows - count, &mut lines)?;
            let (length, ends, bad) = match self.step()? {
                Step::End => break,
                Step::Record { length, lines: ends } => (length, ends, self.row(length)?),
                Step::Bad { error, length, lines } => (length, lines, Some(error)),
            };
            match bad {
                Some(error) if self.bad_rows == BadRows::Fail => return Err(error),
                Some(error) => self.skipped.add(&error),
                None => {
                    lines.push(self.line);
                    count += 1;
                }
            }
            self.alone = self.alone.saturating_sub(1);
            self.advance(length, ends);
        }
        if count == 0 {
            return if self.rows_seen { Ok(None) } else { Err(no_rows(self.window.name(), &self.skipped)) };
        }
        self.rows_seen = true;
        Ok(Some(Chunk::new(self.finish(count), self.window.name().clone(), lines)))
    }

    fn wish(&mut self, wish: &Wish<'_>) -> Result<()> {
        self.taken = match wish {
            Wish::Numbers { texts } => {
                let numbers = self.numbers()?;
                let is_number = |(name, is_number): (&Arc<str>, bool)| is_number && !texts.contains(&**name);
                let taken = self.names.iter().zip(numbers);
                taken.map(|taken| if is_number(taken) { Taken::Number } else { Taken::Text }).collect()
            }
            Wish::Texts { only } => self.names.iter().map(|name| if only.contains(name) { Taken::Text } else { Taken::Nothing }).collect(),
        };
        Ok(())
    }

    fn mistaken(&self) -> &[Arc<str>] {
        &self.mistaken
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl CsvRows {
    fn place(&self, lines: u64) -> String {
        format!("{}:{}", self.window.name(), self.line + lines)
    }

    fn advance(&mut self, length: usize, lines: u64) {
        self.window.take(length);
        self.line += lines;
    }

    /// Which columns hold numbers, as far as the first records show.
    fn numbers(&mut self) -> Result<Vec<bool>> {
        self.window.fill(SHOWING)?;
        let text = self.window.bytes();
        let text = bulk::valid(&text[..text.len().min(SHOWING)]);
        let is_last = self.window.is_done() && text.len() == self.window.bytes().len();
        let taken = vec![Taken::Number; self.names.len()];
        let reading = Reading { writing: &self.writing, taken: &taken, max_line: self.max_line };
        let columns = reading.piece(text, [0, text.len()], is_last).columns;
        Ok(columns.iter().map(Building::holds_numbers).collect())
    }

    /// The columns that were built, of so many rows; nulls where none was wanted, or where one was taken for numbers by mistake.
    fn finish(&mut self, rows: usize) -> Columns {
        let built = std::mem::take(&mut self.columns);
        let arrays: Vec<Option<ArrayRef>> =
            built.into_par_iter().zip(&self.names).map(|(column, name)| column.finish(names_rows(name, true))).collect();
        let mistaken =
            self.names.iter().zip(&self.taken).zip(&arrays).filter(|((_, taken), array)| **taken == Taken::Number && array.is_none());
        self.mistaken = mistaken.map(|((name, _), _)| name.clone()).collect();
        let column = |array: Option<ArrayRef>| Column::Array(array.unwrap_or_else(|| Arc::new(NullArray::new(rows))));
        Columns::new(self.names.iter().cloned().zip(arrays.into_iter().map(column)).collect())
    }

    /// Takes as many records as several threads can cut at once, when so many are wanted; how many there were.
    fn pieces(&mut self, rows: usize, lines: &mut Lines) -> Result<usize> {
        // A record takes two bytes at least. Between rows of one column, blank lines have to be looked at.
        if self.alone > 0 || self.names.len() == 1 || rows < bulk::worth() {
            return Ok(0);
        }
        self.window.fill(bulk::worth())?;
        if self.window.bytes().len() < bulk::worth() {
            return Ok(0);
        }
        let reading = Reading { writing: &self.writing, taken: &self.taken, max_line: self.max_line };
        let pieces = bulk::pieces(self.window.bytes(), self.window.is_done(), &reading);
        let (mut count, mut taken) = (0, 0);
        for piece in &pieces {
            if self.columns.iter().zip(&piece.columns).any(|(column, piece)| column.is_full(piece.text_bytes())) {
                break;
            }
            self.columns.par_iter_mut().zip(&piece.columns).for_each(|(column, piece)| column.extend(piece));
            lines.extend(&piece.lines, self.line);
            self.line += piece.line_ends;
            count += piece.rows;
            taken = piece.end;
        }
        let is_odd = taken < self.window.bytes().len() / 2;
        if !self.has_room && count > 0 {
            // Rows to come are about as long as these. Room that stays empty takes no memory.
            let more = ROOM * count as f64 * (self.window.left() as f64 / taken as f64 - 1.0).max(0.0);
            self.columns.par_iter_mut().for_each(|column| column.reserve((more as usize).min(rows)));
            self.has_room = true;
        }
        self.window.take(taken);
        self.blank = self.blank.take().filter(|_| count == 0);
        self.alone = if is_odd { ALONE } else { 0 };
        Ok(count)
    }

    /// Finds the next record that is no blank line.
    fn step(&mut self) -> Result<Step> {
        loop {
            if self.window.bytes().is_empty() && self.window.is_done() {
                return Ok(Step::End);
            }
            let scan = self.writing.dialect.scan(self.window.bytes(), self.window.is_done(), &mut self.fields);
            match scan {
                Scan::Record { length, lines } if self.fields.is_empty() => {
                    self.blank.get_or_insert(self.line);
                    self.advance(length, lines);
                }
                Scan::Record { length, lines } => {
                    self.check_length(length)?;
                    self.check_blank()?;
                    return Ok(Step::Record { length, lines });
                }
                Scan::Partial { quote } => {
                    if self.window.bytes().len() > self.max_line {
                        return Err(self.too_long(quote));
                    }
                    self.window.more()?;
                }
                Scan::Broken { fault, at, lines } => return self.broken(fault, at, lines),
            }
        }
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length > self.max_line { Err(self.too_long(None)) } else { Ok(()) }
    }

    /// A blank line between rows of one column may be a missing value or nothing at all.
    fn check_blank(&mut self) -> Result<()> {
        match self.blank.take() {
            Some(line) if self.names.len() == 1 => {
                let error = Error::refused(format!("{}:{line}", self.window.name()), "a blank line between rows of one column", "a value");
                Err(error.with_hint("write \"\" for a missing value"))
            }
            _ => Ok(()),
        }
    }

    fn too_long(&self, quote: Option<u64>) -> Error {
        let wanted = "a record within data.max_line";
        match quote {
            Some(line) => {
                let found = format!("a quote that is still open after {} bytes", self.max_line);
                Error::refused(self.place(line), found, wanted).with_hint("close it; a quote inside a quoted field is doubled")
            }
            None => Error::refused(self.place(0), format!("a record of more than {} bytes", self.max_line), wanted)
                .with_hint("is this a table? if so, raise data.max_line"),
        }
    }

    fn broken(&mut self, fault: Broken, at: usize, lines: u64) -> Result<Step> {
        let byte = self.window.taken() + at as u64;
        let error = match fault {
            Broken::Unclosed { line } if self.window.bytes().len() > self.max_line => return Err(self.too_long(Some(line))),
            Broken::Unclosed { line } => {
                let error = Error::refused(self.place(line), "a quote that is never closed", "a closing quote");
                return Err(error.with_hint(
                    "the file may be cut off, or the field holds a quote that is not doubled (data.quote=none reads it as it is)",
                ));
            }
            Broken::BehindQuote { line } => {
                let text = String::from_utf8_lossy(&self.window.bytes()[at..self.window.bytes().len().min(at + SHOWN)]).into_owned();
                let text = text.split(['\n', '\r']).next().unwrap_or_default().to_owned();
                let opened = if line == lines { String::new() } else { format!(" (the quote opened on line {})", self.line + line) };
                Error::refused(self.place(lines), format!("{text:?} behind a closing quote{opened}"), "a delimiter or a line end")
                    .with_hint("a quote inside a quoted field is doubled")
            }
            Broken::Nul => {
                let found = format!("a NUL at byte {byte}");
                Error::refused(self.place(lines), found, "text").with_hint(nul_hint(self.window.bytes(), at))
            }
        };
        loop {
            if let Some(length) = rest_of_line(self.window.bytes(), at, self.window.is_done()) {
                self.check_length(length)?;
                return Ok(Step::Bad { error, length, lines: lines + 1 });
            }
            if self.window.bytes().len() > self.max_line {
                return Err(self.too_long(None));
            }
            self.window.more()?;
        }
    }

    /// Takes the record at the window's start into the columns, or says why not.
    fn row(&mut self, length: usize) -> Result<Option<Error>> {
        if self.fields.len() != self.names.len() {
            return Ok(Some(self.ragged(length)));
        }
        let text = match std::str::from_utf8(&self.window.bytes()[..length]) {
            Ok(text) => text,
            Err(error) => return Ok(Some(self.foreign_byte(error.valid_up_to()))),
        };
        for ((span, column), name) in self.fields.iter().zip(&mut self.columns).zip(&self.names) {
            let cell = &text[span.start..span.end];
            let place = || format!("{}:{}", self.window.name(), self.line);
            if column.is_full(cell.len()) {
                return Err(full(name, place()));
            }
            if self.writing.numerals.is_some()
                && let Held::Odd(cell) = self.writing.held(cell, span)
            {
                let error = Error::column(name, place(), cell.trim(), "a number with a decimal comma, as data.decimal says");
                return Err(error.with_hint("set data.thousands=point if points stand between thousands"));
            }
            self.writing.push(cell, span, column);
        }
        Ok(None)
    }

    fn ragged(&self, length: usize) -> Error {
        let (fields, width) = (self.fields.len(), self.names.len());
        let source = if self.has_header { "the header" } else { "the first line" };
        let counted = |count| format!("{count} field{}", if count == 1 { "" } else { "s" });
        let error = Error::refused(self.place(0), counted(fields), format!("{} as in {source}", counted(width)));
        let ends = matches!(self.window.bytes()[..length].last(), Some(b'\n' | b'\r'));
        if fields < width && !ends {
            return error.with_hint("the file seems to be cut off inside its last line");
        }
        let first = format!("fields are cut at each {}", dialect::word(self.writing.dialect.delimiter));
        error
            .with_hint(format!("{first}; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip"))
    }

    fn foreign_byte(&self, at: usize) -> Error {
        let bytes = self.window.bytes();
        let (byte, place) = (bytes[at], self.window.taken() + at as u64);
        let lines = line_ends(&bytes[..at]);
        Error::refused(self.place(lines), format!("byte 0x{byte:02X} at byte {place}, which is not UTF-8"), "UTF-8 text")
            .with_hint("set data.encoding=latin-1 if the file comes from an older Windows program, or write it as UTF-8")
    }

    /// Reads the header, or counts the columns of the first record and gives them names.
    fn read_names(&mut self) -> Result<()> {
        let (length, lines) = match self.step()? {
            Step::Record { length, lines } => (length, lines),
            Step::Bad { error, .. } => return Err(error),
            Step::End => {
                let error = Error::refused(self.window.name(), "nothing but blank lines", "a header and rows");
                return Err(error.with_hint("check that writing the file had finished"));
            }
        };
        self.blank = None;
        if self.has_header {
            let text = std::str::from_utf8(&self.window.bytes()[..length]).map_err(|error| self.foreign_byte(error.valid_up_to()))?;
            let name = |span: &Span| Arc::from(unescaped(&text[span.start..span.end], span.has_doubled, self.writing.dialect.quote).trim());
            self.names = self.fields.iter().map(name).collect();
            self.check_names()?;
            self.advance(length, lines);
        } else {
            self.names = (1..=self.fields.len()).map(|number| format!("column_{number}").into()).collect();
        }
        if self.names.len() == 1 {
            let text = "one column only: if there should be more, set data.delimiter";
            self.warnings.push(format!("{}: {text}", self.window.name()));
        }
        Ok(())
    }

    fn check_names(&mut self) -> Result<()> {
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for (at, name) in self.names.iter().enumerate() {
            if name.is_empty() {
                let error = Error::refused(self.place(0), format!("no name for column {}", at + 1), "a name for each column");
                return Err(error.with_hint("name it (pandas writes such a column for its index unless told index=False), or set data.header=false if the first line is data"));
            }
            if let Some(first) = seen.insert(name, at) {
                let found = format!("the name {name} for column {} and column {}", first + 1, at + 1);
                let error = Error::refused(self.place(0), found, "names that differ");
                return Err(error.with_hint("rename one, or set data.header=false if the first line is data"));
            }
        }
        if self.names.iter().all(|name| crate::conform::number(name).is_some()) {
            let text =
                format!("every column name is a number (the first is {}): if the first line is data, set data.header=false", self.names[0]);
            let warning = format!("{}: {text}", self.place(0));
            self.warnings.push(warning);
        }
        Ok(())
    }
}

/// UTF-16 text without a mark has a NUL beside every Latin letter.
fn nul_hint(text: &[u8], at: usize) -> &'static str {
    let nuls = |offset: usize| text.iter().skip(offset).step_by(2).take(32).filter(|&&byte| byte == 0).count();
    let half = text.len().min(64) / 2;
    match at {
        1 if nuls(1) * 2 > half => "set data.encoding=utf-16le if this is UTF-16 text",
        0 if nuls(0) * 2 > half => "set data.encoding=utf-16be if this is UTF-16 text",
        _ => "the file is damaged or no text; data.bad_rows=skip leaves such rows out",
    }
}

fn line_ends(text: &[u8]) -> u64 {
    let ends = text.iter().enumerate().filter(|&(at, byte)| *byte == b'\n' || *byte == b'\r' && text.get(at + 1) != Some(&b'\n'));
    ends.count() as u64
}

/// A cell with each doubled quote as one.
pub(super) fn unescaped(cell: &str, has_doubled: bool, quote: Option<u8>) -> Cow<'_, str> {
    match quote {
        Some(quote) if has_doubled => {
            let one = char::from(quote).to_string();
            Cow::Owned(cell.replace(&one.repeat(2), &one))
        }
        _ => Cow::Borrowed(cell),
    }
}
