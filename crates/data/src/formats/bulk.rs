//! Delimited text by the megabyte: pieces of it are cut into records on several threads at once.
//!
//! Where a piece begins is guessed: behind a line end. A guess holds when the piece before it ends there, record by record; a line end inside of quotes
//! shows, for then it does not. What is odd (a broken record, a blank line, a cell that is no number where one is wanted) ends a piece: who reads record
//! by record tells what is wrong, and where.

use super::Markers;
use super::building::{Amount, Building, Taken};
use super::csv::unescaped;
use super::numerals::Numerals;
use super::record::{Dialect, Scan, Span};
use crate::read::Lines;
use rayon::prelude::*;
use std::borrow::Cow;

/// Text that one thread takes at a time. In tests so little that the small files of the suites are read in pieces, too.
const PIECE: usize = if cfg!(test) { 24 } else { 1 << 20 };

/// How cells are written.
pub(super) struct Writing {
    pub(super) dialect: Dialect,
    pub(super) markers: Markers,
    /// How numbers are written, when not as programs write them.
    pub(super) numerals: Option<Numerals>,
}

/// How text is cut.
pub(super) struct Reading<'a> {
    pub(super) writing: &'a Writing,
    /// What each column is taken for.
    pub(super) taken: &'a [Taken],
    pub(super) max_line: usize,
}

/// What a cell holds.
pub(super) enum Held<'a> {
    Missing,
    /// Without quotes, numbers as programs write them.
    Text(Cow<'a, str>),
    /// It would be a number, but for another way of writing them.
    Odd(Cow<'a, str>),
}

/// Records that follow one another, as columns.
pub(super) struct Piece {
    pub(super) columns: Vec<Building>,
    pub(super) rows: usize,
    /// Lines are counted from the piece's first.
    pub(super) lines: Lines,
    /// Line ends.
    pub(super) line_ends: u64,
    /// Where it begins and what is behind its last record, in the text.
    begin: usize,
    pub(super) end: usize,
}

/// How much text is worth several threads.
pub(super) fn worth() -> usize {
    PIECE * rayon::current_num_threads()
}

/// Records from the beginning of `text` on, as far as all is plain; `is_last` says that no text follows.
pub(super) fn pieces(text: &[u8], is_last: bool, reading: &Reading<'_>) -> Vec<Piece> {
    let count = rayon::current_num_threads();
    let behind_line = |from: usize| text[from..].iter().position(|&byte| byte == b'\n').map_or(text.len(), |place| from + place + 1);
    let mut begins: Vec<usize> = (0..count).map(|piece| if piece == 0 { 0 } else { behind_line(piece * text.len() / count) }).collect();
    begins.push(text.len());
    begins.dedup();
    // Records behind a byte that is no text are left to who can tell its place.
    let valid = valid(text);
    let is_last = is_last && valid.len() == text.len();
    let mut pieces: Vec<Piece> = begins.par_windows(2).map(|bounds| reading.piece(valid, [bounds[0], bounds[1]], is_last)).collect();
    let good = 1 + pieces.windows(2).take_while(|pair| pair[0].end == pair[1].begin).count();
    pieces.truncate(good);
    pieces
}

/// The text before the first byte that is none.
pub(super) fn valid(text: &[u8]) -> &str {
    match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).expect("so far it is text"),
    }
}

impl Writing {
    /// What a cell holds, as it stands in the text.
    pub(super) fn held<'a>(&self, cell: &'a str, span: &Span) -> Held<'a> {
        if self.markers.contain(cell) {
            return Held::Missing;
        }
        let cell = unescaped(cell, span.has_doubled, self.dialect.quote);
        let Some(numerals) = &self.numerals else { return Held::Text(cell) };
        match numerals.plain(&cell) {
            Some(Cow::Owned(plain)) => Held::Text(plain.into()),
            Some(Cow::Borrowed(_)) => Held::Text(cell),
            None => Held::Odd(cell),
        }
    }

    /// Takes a cell into its column. An odd one is not looked for.
    pub(super) fn push(&self, cell: &str, span: &Span, column: &mut Building) {
        match column {
            Building::Left => {}
            Building::Texts(texts) => match self.held(cell, span) {
                Held::Missing => texts.push_missing(),
                Held::Text(text) | Held::Odd(text) => texts.push(&text),
            },
            Building::Numbers(numbers) => {
                if cell.is_empty() {
                    return numbers.push_missing();
                }
                let quick = if self.numerals.is_none() { Amount::quick(cell.as_bytes()) } else { None };
                if let Some(amount) = quick.filter(|amount| amount.is_none_of(&self.markers)) {
                    return numbers.push(amount, cell);
                }
                match self.held(cell, span) {
                    Held::Missing => numbers.push_missing(),
                    Held::Text(text) | Held::Odd(text) => match Amount::of(&text, &self.markers) {
                        Some(amount) => numbers.push(amount, &text),
                        None => *column = Building::Left,
                    },
                }
            }
        }
    }
}

impl Reading<'_> {
    /// Records that begin within the bounds.
    pub(super) fn piece(&self, text: &str, [begin, stop]: [usize; 2], is_last: bool) -> Piece {
        let columns: Vec<Building> = self.taken.iter().map(|&taken| Building::new(taken)).collect();
        let mut piece = Piece { columns, rows: 0, lines: Lines::default(), line_ends: 0, begin, end: begin };
        let mut fields = Vec::new();
        while piece.end < stop.min(text.len()) {
            let rest = &text[piece.end..];
            let Some((length, ends)) = self.record(rest.as_bytes(), is_last, &mut fields) else { break };
            if self.is_odd(rest, &fields) {
                break;
            }
            for (span, column) in fields.iter().zip(&mut piece.columns) {
                self.writing.push(&rest[span.start..span.end], span, column);
            }
            piece.lines.push(piece.line_ends);
            piece.rows += 1;
            piece.line_ends += ends;
            piece.end += length;
        }
        piece
    }

    /// Length and lines of the record that the text begins with, when it has a field for each column.
    fn record(&self, text: &[u8], is_last: bool, fields: &mut Vec<Span>) -> Option<(usize, u64)> {
        let dialect = &self.writing.dialect;
        let found = match dialect.quick(text, fields) {
            Some(length) => (length, 1),
            None => match dialect.scan(text, is_last, fields) {
                Scan::Record { length, lines } => (length, lines),
                Scan::Partial { .. } | Scan::Broken { .. } => return None,
            },
        };
        (fields.len() == self.taken.len() && found.0 <= self.max_line).then_some(found)
    }

    /// Whether a cell is written in another way than its numbers are.
    fn is_odd(&self, text: &str, fields: &[Span]) -> bool {
        let is_odd = |span: &Span| matches!(self.writing.held(&text[span.start..span.end], span), Held::Odd(_));
        self.writing.numerals.is_some() && fields.iter().any(is_odd)
    }
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::shown;
    use crate::{Input, ReadOptions, read, stream};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        /// In pieces, on several threads, the same rows, places and refusals as record by record.
        #[test]
        fn pieces_give_what_single_records_give(lines in prop::collection::vec("([a-c]{0,3}|\"[a,\n\"\"]{0,4}\"|\"a|NA|[0-9]{1,2}),([a-c]{0,3}|\"x\ny\"|)(,z)?", 0..40), skips in any::<bool>()) {
            let text = format!("x,y\n{}\n", lines.join("\n"));
            let input = || Input::Bytes { name: "t.csv".into(), bytes: text.clone().into() };
            let mut options = ReadOptions::default();
            if skips {
                options.bad_rows = crate::BadRows::Skip;
            }
            let whole = read(&input(), &options);
            let mut single = stream(&input(), &options, 1).unwrap();
            let chunks: Result<Vec<_>, _> = single.by_ref().collect();
            match (whole, chunks) {
                (Ok(whole), Ok(chunks)) => {
                    let rows: Vec<String> = chunks.iter().flat_map(|chunk| shown(&chunk.columns)).collect();
                    prop_assert_eq!(shown(&whole.columns), rows);
                    let places: Vec<String> = chunks.iter().map(|chunk| chunk.places.place(0)).collect();
                    prop_assert_eq!((0..whole.columns.rows()).map(|row| whole.place(row)).collect::<Vec<_>>(), places);
                    prop_assert_eq!(&whole.skipped, single.skipped());
                }
                (Err(whole), Err(single)) => prop_assert_eq!(whole.to_string(), single.to_string()),
                (whole, single) => prop_assert!(false, "{:?} and {:?}", whole.map(|raw| raw.columns.rows()), single.map(|chunks| chunks.len())),
            }
        }
    }
}
