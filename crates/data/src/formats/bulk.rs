//! Delimited text by the megabyte: pieces of it are cut into records on several threads at once.
//!
//! Where a piece begins is guessed: behind a line end. A guess holds when the piece before it ends there, record by record; a line end inside of quotes
//! shows, for then it does not. What is odd (a broken record, a blank line, a cell that is no number where one is wanted) ends a piece: who reads record
//! by record tells what is wrong, and where.

use super::Markers;
use super::csv::unescaped;
use super::numerals::Numerals;
use super::record::{Dialect, Scan};
use crate::read::Lines;
use arrow_array::StringArray;
use arrow_array::builder::StringBuilder;
use rayon::prelude::*;

/// Text that one thread takes at a time. In tests so little that the small files of the suites are read in pieces, too.
const PIECE: usize = if cfg!(test) { 24 } else { 1 << 20 };

/// How cells are read.
pub(super) struct Reading<'a> {
    pub(super) dialect: Dialect,
    pub(super) markers: &'a Markers,
    pub(super) numerals: Option<&'a Numerals>,
    /// How many columns there are.
    pub(super) width: usize,
    pub(super) max_line: usize,
}

/// Records that follow one another, as columns.
pub(super) struct Piece {
    pub(super) columns: Vec<StringArray>,
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
    let valid = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).expect("so far it is text"),
    };
    let is_last = is_last && valid.len() == text.len();
    let mut pieces: Vec<Piece> = begins.par_windows(2).map(|bounds| reading.piece(valid, [bounds[0], bounds[1]], is_last)).collect();
    let good = 1 + pieces.windows(2).take_while(|pair| pair[0].end == pair[1].begin).count();
    pieces.truncate(good);
    pieces
}

impl Reading<'_> {
    /// Records that begin within the bounds.
    fn piece(&self, text: &str, [begin, stop]: [usize; 2], is_last: bool) -> Piece {
        let mut columns: Vec<StringBuilder> = Vec::new();
        columns.resize_with(self.width, StringBuilder::new);
        let (mut fields, mut lines, mut line_ends, mut end) = (Vec::new(), Lines::default(), 0, begin);
        while end < stop.min(text.len()) {
            let rest = &text[end..];
            let Scan::Record { length, lines: ends } = self.dialect.scan(rest.as_bytes(), is_last, &mut fields) else { break };
            if fields.len() != self.width || length > self.max_line {
                break;
            }
            let cell =
                |place: usize| unescaped(&rest[fields[place].start..fields[place].end], fields[place].has_doubled, self.dialect.quote);
            if let Some(numerals) = self.numerals
                && (0..self.width).any(|place| !self.markers.contain(&cell(place)) && numerals.plain(&cell(place)).is_none())
            {
                break;
            }
            for (place, column) in columns.iter_mut().enumerate() {
                let span = &fields[place];
                if self.markers.contain(&rest[span.start..span.end]) {
                    column.append_null();
                } else if let Some(numerals) = self.numerals {
                    column.append_option(numerals.plain(&cell(place)));
                } else {
                    column.append_value(cell(place));
                }
            }
            lines.push(line_ends);
            line_ends += ends;
            end += length;
        }
        let columns = columns.iter_mut().map(StringBuilder::finish).collect();
        Piece { columns, lines, line_ends, begin, end }
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
