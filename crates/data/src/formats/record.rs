//! Cuts delimited text into records and fields, after RFC 4180 and its usual dialects.
//!
//! Differs: the `csv` crate takes an unclosed quote and text behind a closing quote without a word; here both are
//! faults with a place, because the table they make is silently wrong. A property test holds this splitter against that
//! crate on text that both take.

/// How fields are told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dialect {
    /// Between fields.
    pub(crate) delimiter: u8,
    /// Around fields that hold delimiters or line ends, when there is such a character.
    pub(crate) quote: Option<u8>,
}

/// Where a field's content stands in the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The content has doubled quotes, each of which stands for one.
    pub(crate) has_doubled: bool,
}

/// What a look at the text found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// A record; no field means a blank line.
    Record {
        /// Bytes, line end included.
        length: usize,
        /// Line ends, its own included.
        lines: u64,
    },
    /// The record may go on in text that is not here yet. `quote` is the line, counted from the record's, of a quote still open.
    Partial { quote: Option<u64> },
    /// The record is broken.
    Broken {
        /// How.
        fault: Broken,
        /// Byte of the fault.
        at: usize,
        /// Lines from the record's start to the fault.
        lines: u64,
    },
}

/// How a record can be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// A quote opened that many lines below the record's start and never closed.
    Unclosed { line: u64 },
    /// Text between a closing quote and the next delimiter.
    BehindQuote { line: u64 },
    /// A NUL byte.
    Nul,
}

impl Dialect {
    /// Looks for one record at the start of `text`; `is_last` says that no text follows. `fields` is overwritten.
    pub(crate) fn scan(&self, text: &[u8], is_last: bool, fields: &mut Vec<Span>) -> Scan {
        fields.clear();
        let (mut at, mut lines) = (0, 0);
        if let Some((length, line)) = line_end(text, 0, is_last) {
            return Scan::Record { length, lines: line };
        }
        loop {
            let field = match self.opening(text, at) {
                Some(open) => self.quoted(text, open, lines, is_last),
                None => self.plain(text, at),
            };
            let (span, next, inner) = match field {
                Field::Cut { span, next, lines } => (span, next, lines),
                Field::Open { quote } if !is_last => return Scan::Partial { quote },
                Field::Open { quote } => {
                    let line = quote.unwrap_or(lines);
                    return Scan::Broken { fault: Broken::Unclosed { line }, at: text.len(), lines: line };
                }
                Field::Broken { fault, at, lines } => return Scan::Broken { fault, at, lines },
            };
            fields.push(span);
            lines += inner;
            if text.get(next) == Some(&self.delimiter) {
                at = next + 1;
                continue;
            }
            return match line_end(text, next, is_last) {
                Some((end, line)) => Scan::Record { length: next + end, lines: lines + line },
                None if is_last => Scan::Record { length: next, lines },
                None => Scan::Partial { quote: None },
            };
        }
    }

    /// The length of the record at the start of `text`, of one line, as [`Dialect::scan`] finds it, but eight bytes at a time. Nothing where something is rare:
    /// a quote, a NUL, a carriage return alone, a blank line, the end of the text within the next eight bytes. `fields` is overwritten.
    #[inline]
    pub(crate) fn quick(&self, text: &[u8], fields: &mut Vec<Span>) -> Option<usize> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        let each = |byte: u8| ONES * u64::from(byte);
        let (delimiter, quote) = (each(self.delimiter), each(self.quote.unwrap_or(self.delimiter)));
        // The lowest bit that is set is that of a zero byte, or of one below: others may be set by mistake, but only above it.
        let below = |word: u64, bound: u8| word.wrapping_sub(each(bound)) & !word;
        let (mut start, mut at) = (0, 0);
        fields.clear();
        loop {
            let word = u64::from_le_bytes(*text.get(at..)?.first_chunk()?);
            let hits = (below(word ^ delimiter, 1) | below(word ^ quote, 1) | below(word, b'\r' + 1)) & each(0x80);
            if hits == 0 {
                at += 8;
                continue;
            }
            at += (hits.trailing_zeros() / 8) as usize;
            let byte = text[at];
            let length = match byte {
                _ if byte == self.delimiter => {
                    fields.push(Span { start, end: at, has_doubled: false });
                    start = at + 1;
                    None
                }
                b'\n' => Some(at + 1),
                b'\r' if text[at + 1..].first() == Some(&b'\n') => Some(at + 2),
                b'\r' | 0 => return None,
                _ if Some(byte) == self.quote => return None,
                _ => None,
            };
            if let Some(length) = length {
                fields.push(Span { start, end: at, has_doubled: false });
                return (at > 0).then_some(length);
            }
            at += 1;
        }
    }

    /// Where the field's quote stands, when it has one: blanks before it do not count.
    fn opening(&self, text: &[u8], at: usize) -> Option<usize> {
        let quote = self.quote?;
        let blanks = match self.delimiter {
            b' ' => 0,
            _ => text[at..].iter().take_while(|&&byte| byte == b' ').count(),
        };
        (text.get(at + blanks) == Some(&quote)).then_some(at + blanks)
    }

    fn plain(&self, text: &[u8], start: usize) -> Field {
        let stop = |byte: &u8| *byte == self.delimiter || matches!(*byte, b'\n' | b'\r' | 0);
        let end = text[start..].iter().position(stop).map_or(text.len(), |length| start + length);
        match text.get(end) {
            Some(0) => Field::Broken { fault: Broken::Nul, at: end, lines: 0 },
            _ => Field::Cut { span: Span { start, end, has_doubled: false }, next: end, lines: 0 },
        }
    }

    /// `before` lines of the record precede the field.
    fn quoted(&self, text: &[u8], open: usize, before: u64, is_last: bool) -> Field {
        let quote = self.quote.expect("a quoted field has a quote");
        let start = open + 1;
        let (mut at, mut lines, mut has_doubled) = (start, 0, false);
        let end = loop {
            match text.get(at) {
                None => return Field::Open { quote: Some(before) },
                Some(0) => return Field::Broken { fault: Broken::Nul, at, lines: before + lines },
                Some(byte) if *byte == quote => match text.get(at + 1) {
                    Some(next) if *next == quote => {
                        has_doubled = true;
                        at += 1;
                    }
                    None if !is_last => return Field::Open { quote: Some(before) },
                    _ => break at,
                },
                Some(b'\n') => lines += 1,
                Some(b'\r') if text.get(at + 1) != Some(&b'\n') => lines += 1,
                Some(_) => {}
            }
            at += 1;
        };
        let blanks = match self.delimiter {
            b' ' => 0,
            _ => text[end + 1..].iter().take_while(|&&byte| byte == b' ').count(),
        };
        let next = end + 1 + blanks;
        match text.get(next) {
            Some(byte) if *byte != self.delimiter && !matches!(byte, b'\n' | b'\r') => {
                Field::Broken { fault: Broken::BehindQuote { line: before }, at: next, lines: before + lines }
            }
            None if !is_last => Field::Open { quote: None },
            _ => Field::Cut { span: Span { start, end, has_doubled }, next, lines },
        }
    }
}

enum Field {
    Cut { span: Span, next: usize, lines: u64 },
    Open { quote: Option<u64> },
    Broken { fault: Broken, at: usize, lines: u64 },
}

/// Length of the line end at that place and how many lines it ends; a carriage return at the very end of text that goes on may have
/// its line feed still to come.
fn line_end(text: &[u8], at: usize, is_last: bool) -> Option<(usize, u64)> {
    match (text.get(at), text.get(at + 1)) {
        (Some(b'\n'), _) => Some((1, 1)),
        (Some(b'\r'), Some(b'\n')) => Some((2, 1)),
        (Some(b'\r'), None) if !is_last => None,
        (Some(b'\r'), _) => Some((1, 1)),
        _ => None,
    }
}

/// The bytes up to and with the next line end: where reading goes on behind a broken record.
pub(crate) fn rest_of_line(text: &[u8], at: usize, is_last: bool) -> Option<usize> {
    let end = text[at.min(text.len())..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).map(|length| at + length);
    match end {
        Some(end) => line_end(text, end, is_last).map(|(length, _)| end + length),
        None => is_last.then_some(text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMA: Dialect = Dialect { delimiter: b',', quote: Some(b'"') };

    fn split(text: &[u8], pieces: bool) -> Option<Vec<Vec<String>>> {
        let (mut at, mut end, mut records, mut fields) = (0, if pieces { 0 } else { text.len() }, Vec::new(), Vec::new());
        while at < text.len() {
            match COMMA.scan(&text[at..end], end == text.len(), &mut fields) {
                Scan::Record { length, .. } if length > 0 => {
                    if !fields.is_empty() {
                        let cell = |span: &Span| {
                            let cell = String::from_utf8_lossy(&text[at..end][span.start..span.end]);
                            if span.has_doubled { cell.replace("\"\"", "\"") } else { cell.into_owned() }
                        };
                        records.push(fields.iter().map(cell).collect());
                    }
                    at += length;
                }
                Scan::Broken { .. } => return None,
                Scan::Partial { .. } | Scan::Record { .. } => end += 1,
            }
        }
        Some(records)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        /// What is cut quickly is cut the same.
        #[test]
        fn quick_records_are_those_of_a_scan(text in "([a-c]{0,9}|\"|,|;|\t|\n|\r|\r\n|\0|\u{1}|\u{e9}){0,30}", delimiter in prop::sample::select(vec![b',', b';', b'\t'])) {
            for dialect in [Dialect { delimiter, quote: Some(b'"') }, Dialect { delimiter, quote: None }] {
                let (mut quick, mut slow) = (Vec::new(), Vec::new());
                if let Some(length) = dialect.quick(text.as_bytes(), &mut quick) {
                    prop_assert_eq!(dialect.scan(text.as_bytes(), false, &mut slow), Scan::Record { length, lines: 1 });
                    prop_assert_eq!(&quick, &slow);
                }
            }
        }

        /// Whole or byte by byte, the same records; and the `csv` crate's, where nothing is broken and no blank meets a quote.
        #[test]
        fn records_agree_with_the_csv_crate(text in "([a-c]|\"|\"\"|,|\n|\r|\r\n|,\"x\",|\"a\nb\"){0,24}") {
            let whole = split(text.as_bytes(), false);
            prop_assert_eq!(&whole, &split(text.as_bytes(), true));
            if let Some(records) = whole {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
                let theirs: Vec<Vec<String>> = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
                prop_assert_eq!(records, theirs);
            }
        }
    }
}
