//! ARFF, Weka's format (<https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/>): a header that declares attributes, then rows
//! of comma-separated values, or sparse ones in braces (`{1 5, 3 b}`: the others are 0, or the first of their values).
//!
//! Numbers are `Float64`; nominal values, strings and dates stay text. `?` is missing. A value that its attribute does not declare is refused.
//! An instance's weight (`{2.5}` behind a row) becomes the column `weight`.
//!
//! ```
//! use cupola_data::{Input, ReadOptions, read};
//! let text = "% of a garden\n@relation flowers\n@attribute 'the kind' {rose, 'oak tree'}\n@attribute height numeric\n@data\nrose,1.5\n'oak tree',?\n{1 3}\n";
//! let raw = read(&Input::Bytes { name: "a.arff".into(), bytes: text.into() }, &ReadOptions::default())?;
//! assert_eq!((raw.format, raw.columns.rows(), raw.place(2)), ("arff", 3, "a.arff:8".to_owned()));
//! assert_eq!(raw.columns.names().collect::<Vec<_>>(), ["the kind", "height"]);
//! # Ok::<(), cupola_data::Error>(())
//! ```

use super::{Chunk, FormatDef, Markers, Open, Rows, Window, no_rows};
use crate::conform::{number, shown};
use crate::read::{BadRows, Lines, ReadOptions, Skipped};
use crate::{Error, Result};
use arrow_array::builder::{Float64Builder, StringBuilder};
use cupola_task::{Column, Columns};
use std::collections::HashSet;
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "arff",
    extensions: &["arff"],
    doc: "ARFF, Weka's tables, dense or sparse, with weights of rows; gz and zst are unpacked",
    sniff,
    open: Open::Text(open),
};

/// The column that weights of rows go to.
const WEIGHT: &str = "weight";

/// Comments and blank lines may come before the first keyword.
fn sniff(head: &[u8]) -> bool {
    let lines = head.split(|&byte| byte == b'\n').map(|line| line.trim_ascii());
    let first = lines.into_iter().find(|line| !line.is_empty() && !line.starts_with(b"%"));
    first.is_some_and(|line| line.get(..9).is_some_and(|word| word.eq_ignore_ascii_case(b"@relation")))
}

/// What an attribute's values are.
enum Values {
    Numbers(Float64Builder),
    /// One of these, the first of which stands for itself in sparse rows.
    Nominal(Vec<String>, StringBuilder),
    Texts(StringBuilder),
}

struct Attribute {
    name: Arc<str>,
    values: Values,
}

/// A value as it stands in a row.
enum Cell {
    Missing,
    Number(f64),
    Text(String),
}

struct ArffRows {
    window: Window,
    markers: Markers,
    attributes: Vec<Attribute>,
    weights: Vec<Option<f64>>,
    has_weights: bool,
    /// The line at which the window begins.
    line: u64,
    bad_rows: BadRows,
    max_line: usize,
    rows_seen: bool,
    skipped: Skipped,
}

fn open(window: Window, options: &ReadOptions) -> Result<Box<dyn Rows>> {
    let mut rows = ArffRows {
        window,
        markers: Markers::new(&options.missing_values),
        attributes: Vec::new(),
        weights: Vec::new(),
        has_weights: false,
        line: 1,
        bad_rows: options.bad_rows,
        max_line: usize::try_from(options.max_line).unwrap_or(usize::MAX),
        rows_seen: false,
        skipped: Skipped::default(),
    };
    rows.header()?;
    Ok(Box::new(rows))
}

impl ArffRows {
    fn place(&self) -> String {
        format!("{}:{}", self.window.name(), self.line)
    }

    /// The next line that is neither blank nor a comment, without its end; nothing when no text is left. It is taken by [`ArffRows::taken`].
    fn line(&mut self) -> Result<Option<(usize, String)>> {
        loop {
            let Some(length) = self.window.line_length(self.max_line, self.line)? else { return Ok(None) };
            let bytes = &self.window.bytes()[..length];
            let text = std::str::from_utf8(bytes).map_err(|error| {
                let found = format!("byte 0x{:02X}, which is not UTF-8", bytes[error.valid_up_to()]);
                Error::refused(self.place(), found, "UTF-8 text").with_hint("set data.encoding if this file is not UTF-8")
            })?;
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('%') {
                return Ok(Some((length, text.to_owned())));
            }
            self.taken(length);
        }
    }

    fn taken(&mut self, length: usize) {
        self.window.take(length);
        self.line += 1;
    }

    fn header(&mut self) -> Result<()> {
        loop {
            let Some((length, line)) = self.line()? else {
                let error = Error::refused(self.window.name(), "a header without @data", "a header, @data and rows");
                return Err(error.with_hint("check that writing the file had finished"));
            };
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((&line, ""));
            match word.to_ascii_lowercase().as_str() {
                "@relation" => {}
                "@attribute" => {
                    let attribute = self.attribute(rest.trim())?;
                    if self.attributes.iter().any(|known| known.name == attribute.name) {
                        let error =
                            Error::refused(self.place(), format!("two attributes of the name {}", attribute.name), "names that differ");
                        return Err(error.with_hint("rename one"));
                    }
                    self.attributes.push(attribute);
                }
                "@data" if self.attributes.is_empty() => {
                    return Err(Error::refused(self.place(), "@data before any @attribute", "attributes"));
                }
                "@data" => {
                    self.taken(length);
                    return Ok(());
                }
                _ => return Err(Error::refused(self.place(), shown(&line), "@relation, @attribute or @data")),
            }
            self.taken(length);
        }
    }

    fn attribute(&self, text: &str) -> Result<Attribute> {
        let wrong = |found: String, wanted: &str| Error::refused(self.place(), found, wanted);
        let (name, rest) = word(text, &[]).map_err(|found| wrong(found, "a name and a type"))?;
        let rest = rest.trim();
        if name.is_empty() || rest.is_empty() {
            return Err(wrong(shown(text), "a name and a type: @attribute height numeric"));
        }
        let values = match rest.strip_prefix('{') {
            Some(list) => {
                let cells = list.strip_suffix('}').ok_or_else(|| wrong(shown(rest), "values in braces: {red, green}"))?;
                let values = split(cells).map_err(|found| wrong(found, "values in braces: {red, green}"))?;
                let values: Vec<String> = values.into_iter().map(|(text, _)| text).collect();
                let mut seen = HashSet::new();
                match values.iter().find(|value| !seen.insert(*value)) {
                    _ if values.iter().all(String::is_empty) => return Err(wrong("no value in braces".to_owned(), "at least one value")),
                    Some(twice) => return Err(wrong(format!("the value {} twice", shown(twice)), "values that differ")),
                    None => Values::Nominal(values, StringBuilder::new()),
                }
            }
            None => match rest.split_whitespace().next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "numeric" | "real" | "integer" => Values::Numbers(Float64Builder::new()),
                "string" | "date" => Values::Texts(StringBuilder::new()),
                "relational" => {
                    let error = wrong(format!("a relational attribute {name}"), "numeric, {values}, string or date");
                    return Err(error.with_hint("tables inside of cells are not read: write one row for each of theirs"));
                }
                _ => return Err(wrong(format!("the type {}", shown(rest)), "numeric, {values}, string or date")),
            },
        };
        Ok(Attribute { name: name.into(), values })
    }

    /// A row's cells and its weight.
    fn row(&self, line: &str) -> Result<(Vec<Cell>, Option<f64>)> {
        let wrong = |found: String, wanted: String| Error::refused(self.place(), found, wanted);
        let is_sparse = line.starts_with('{');
        let (inside, weight) = match is_sparse {
            true => {
                let end = unquoted(line)
                    .find(|(_, letter)| *letter == '}')
                    .map(|(at, _)| at)
                    .ok_or_else(|| wrong("a brace that is not closed".to_owned(), "{index value, ...}".to_owned()))?;
                (&line[1..end], line[end + 1..].trim().trim_start_matches(',').trim())
            }
            false => {
                let brace = unquoted(line).filter(|(_, letter)| *letter == '{').last().map(|(at, _)| at);
                let before = brace.and_then(|at| Some((line[..at].trim_end().strip_suffix(',')?, &line[at..])));
                before.unwrap_or((line, ""))
            }
        };
        let weight = match weight {
            "" => None,
            text => {
                let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
                let weight = inside.and_then(number).filter(|weight| weight.is_finite() && *weight >= 0.0);
                Some(weight.ok_or_else(|| wrong(shown(text), "a weight in braces: {2.5}".to_owned()))?)
            }
        };
        let values = split(inside).map_err(|found| wrong(found, "values between commas".to_owned()))?;
        let count = self.attributes.len();
        if !is_sparse {
            if values.len() != count {
                let fields = if values.len() == 1 { "1 value".to_owned() } else { format!("{} values", values.len()) };
                return Err(wrong(fields, format!("{count} values, as many as attributes")));
            }
            let cells = self.attributes.iter().zip(values).map(|(attribute, (text, is_quoted))| self.cell(attribute, text, is_quoted));
            return Ok((cells.collect::<Result<_>>()?, weight));
        }
        let mut cells: Vec<Option<Cell>> = (0..count).map(|_| None).collect();
        for pair in entries(inside) {
            let (index, text) = pair.split_once(char::is_whitespace).unwrap_or((pair, ""));
            let place = index.parse::<usize>().ok().filter(|&place| place < count);
            let place = place.ok_or_else(|| wrong(format!("the index {}", shown(index)), format!("an index below {count}")))?;
            if cells[place].is_some() {
                return Err(wrong(format!("the index {place} twice"), "each index once".to_owned()));
            }
            let (text, is_quoted) = match split(text.trim()).map_err(|found| wrong(found, "one value".to_owned()))?.as_slice() {
                [(text, is_quoted)] => (text.clone(), *is_quoted),
                _ => return Err(wrong(shown(pair), "an index and a value".to_owned())),
            };
            cells[place] = Some(self.cell(&self.attributes[place], text, is_quoted)?);
        }
        let absent = |attribute: &Attribute| match &attribute.values {
            Values::Numbers(_) => Cell::Number(0.0),
            Values::Nominal(values, _) => Cell::Text(values[0].clone()),
            Values::Texts(_) => Cell::Missing,
        };
        Ok((cells.into_iter().zip(&self.attributes).map(|(cell, attribute)| cell.unwrap_or_else(|| absent(attribute))).collect(), weight))
    }

    fn cell(&self, attribute: &Attribute, text: String, is_quoted: bool) -> Result<Cell> {
        if !is_quoted && (text == "?" || text.is_empty()) {
            return Ok(Cell::Missing);
        }
        let wrong = |wanted: String| Error::column(&attribute.name, self.place(), shown(&text), wanted);
        match &attribute.values {
            Values::Numbers(_) => match number(&text) {
                Some(number) if self.markers.contain_number(number) => Ok(Cell::Missing),
                Some(number) => Ok(Cell::Number(number)),
                None if self.markers.contain(&text) => Ok(Cell::Missing),
                None => Err(wrong("a number".to_owned())),
            },
            Values::Nominal(values, _) if values.contains(&text) => match self.markers.contain(&text) {
                true => Ok(Cell::Missing),
                false => Ok(Cell::Text(text)),
            },
            Values::Nominal(values, _) => Err(match cupola_task::nearest(&text, values.iter().map(String::as_str)) {
                Some(near) => wrong("a value that the attribute declares".to_owned()).with_hint(format!("did you mean {near}?")),
                None => wrong("a value that the attribute declares".to_owned()),
            }),
            Values::Texts(_) if self.markers.contain(&text) => Ok(Cell::Missing),
            Values::Texts(_) => Ok(Cell::Text(text)),
        }
    }

    fn push(&mut self, cells: Vec<Cell>, weight: Option<f64>) {
        for (attribute, cell) in self.attributes.iter_mut().zip(cells) {
            match (&mut attribute.values, cell) {
                (Values::Numbers(numbers), Cell::Number(number)) => numbers.append_value(number),
                (Values::Numbers(numbers), _) => numbers.append_null(),
                (Values::Nominal(_, texts) | Values::Texts(texts), Cell::Text(text)) => texts.append_value(text),
                (Values::Nominal(_, texts) | Values::Texts(texts), _) => texts.append_null(),
            }
        }
        self.has_weights |= weight.is_some();
        self.weights.push(weight);
    }
}

impl Rows for ArffRows {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let mut lines = Lines::default();
        while self.weights.len() < rows {
            let Some((length, line)) = self.line()? else { break };
            match self.row(&line) {
                Ok((cells, weight)) => {
                    self.push(cells, weight);
                    lines.push(self.line);
                }
                Err(error) if self.bad_rows == BadRows::Fail => return Err(error),
                Err(error) => self.skipped.add(&error),
            }
            self.taken(length);
        }
        if self.weights.is_empty() {
            return if self.rows_seen { Ok(None) } else { Err(no_rows(self.window.name(), &self.skipped)) };
        }
        self.rows_seen = true;
        let column = |attribute: &mut Attribute| {
            let array: arrow_array::ArrayRef = match &mut attribute.values {
                Values::Numbers(numbers) => Arc::new(numbers.finish()),
                Values::Nominal(_, texts) | Values::Texts(texts) => Arc::new(texts.finish()),
            };
            (attribute.name.clone(), Column::Array(array))
        };
        let mut columns = Columns::new(self.attributes.iter_mut().map(column).collect());
        let weights = std::mem::take(&mut self.weights);
        if self.has_weights {
            if columns.get(WEIGHT).is_some() {
                let error = Error::refused(self.window.name(), "weights of rows beside an attribute weight", "one of both");
                return Err(error.with_hint("rename the attribute"));
            }
            // A row without a weight counts once.
            let weights: arrow_array::Float64Array = weights.into_iter().map(|weight| Some(weight.unwrap_or(1.0))).collect();
            columns.insert(WEIGHT.into(), Column::Array(Arc::new(weights)));
        }
        Ok(Some(Chunk::new(columns, self.window.name().clone(), lines)))
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

/// The first value of a text, quoted or up to a blank or one of `ends`, and what follows it. An error says what was found.
fn word<'a>(text: &'a str, ends: &[char]) -> Result<(String, &'a str), String> {
    let mut letters = text.char_indices();
    let Some(quote) = text.chars().next().filter(|letter| matches!(letter, '\'' | '"')) else {
        let is_end = |letter: char| ends.contains(&letter) || ends.is_empty() && (letter.is_whitespace() || letter == '{');
        let end = text.find(is_end).unwrap_or(text.len());
        return Ok((text[..end].trim().to_owned(), &text[end..]));
    };
    letters.next();
    let mut value = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, letter)) => value.push(letter),
                None => break,
            },
            letter if letter == quote => return Ok((value, &text[at + 1..])),
            letter => value.push(letter),
        }
    }
    Err("a quote that is not closed".to_owned())
}

/// Values between commas, with whether they stood in quotes.
fn split(text: &str) -> Result<Vec<(String, bool)>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim();
    loop {
        let is_quoted = rest.starts_with(['\'', '"']);
        let (value, after) = word(rest, &[','])?;
        let after = after.trim_start();
        values.push((value, is_quoted));
        match after.strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None if after.is_empty() => return Ok(values),
            None => return Err(format!("{} behind a closing quote", shown(after))),
        }
    }
}

/// Letters that stand outside of quotes, with their places.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut is_escaped) = (None, false);
    text.char_indices().filter(move |&(_, letter)| {
        match (letter, quote) {
            _ if is_escaped => is_escaped = false,
            ('\\', Some(_)) => is_escaped = true,
            ('\'' | '"', None) => quote = Some(letter),
            (letter, Some(open)) if letter == open => quote = None,
            _ => return quote.is_none(),
        }
        false
    })
}

/// `index value` pairs between commas.
fn entries(text: &str) -> Vec<&str> {
    let mut begin = 0;
    let mut pairs: Vec<&str> = Vec::new();
    for (at, _) in unquoted(text).filter(|(_, letter)| *letter == ',') {
        pairs.push(text[begin..at].trim());
        begin = at + 1;
    }
    pairs.push(text[begin..].trim());
    if pairs == [""] { vec![] } else { pairs }
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::{options, read_bytes, shown};
    use expect_test::expect;

    fn told(text: &str, given: &[(&str, &str)]) -> String {
        match read_bytes("a.arff", text, &options(given)) {
            Ok(raw) => format!("{} {}", raw.columns.names().collect::<Vec<_>>().join("|"), shown(&raw.columns).join(" ")),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn quotes_sparse_rows_and_weights_are_read() {
        let head = "@relation r\n@attribute 'a b' {x, 'y z', \"it's\"}\n@attribute n numeric\n@attribute \"t\" string\n@data\n";
        let rows = [
            "'y z', 1.5, 'don\\'t, ever'\n",
            "\"it's\",?,\"say \\\"a\\\"\",{2}\n",
            "{0 'y z', 2 'a, b'}\n{}\n{1 7}, {0.5}\n",
            "% no row\n\n?, -3e2, ?\n",
        ];
        expect![[r#"
            a b|n|t y z|1.5|don't, ever
            a b|n|t|weight it's|.|say "a"|2.0
            a b|n|t|weight y z|0.0|a, b|1.0 x|0.0|.|1.0 x|7.0|.|0.5
            a b|n|t .|-300.0|."#]]
        .assert_eq(&rows.map(|rows| told(&format!("{head}{rows}"), &[])).join("\n"));
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let cases = [
            "@relation r\n@attribute a numeric\n",
            "@relation r\n@data\n1\n",
            "@relation r\n@attribute a numeric\n@attribute a string\n@data\n1,2\n",
            "@relation r\n@attribute a {x, x}\n@data\nx\n",
            "@relation r\n@attribute a relational\n@data\n",
            "@relation r\n@attribute a strange\n@data\n",
            "@relation r\n@attribute a {red, green}\n@data\nred\ngren\n",
            "@relation r\n@attribute a numeric\n@attribute b numeric\n@data\n1,2\n3\n",
            "@relation r\n@attribute a numeric\n@data\n1\n'open\n",
            "@relation r\n@attribute a numeric\n@data\n{0 1, 0 2}\n",
            "@relation r\n@attribute a numeric\n@data\n{5 1}\n",
            "@relation r\n@attribute a numeric\n@data\n{0 1\n",
            "@relation r\n@attribute a numeric\n@data\n",
            "@relation r\n@attribute a numeric\n@data\n1\nx\n2\n",
        ];
        let mut lines: Vec<String> = cases.iter().map(|text| told(text, &[])).collect();
        lines.push(told(cases[13], &[("bad_rows", "skip")]));
        expect![[r#"
            a.arff: found a header without @data, wanted a header, @data and rows
            a.arff:2: found @data before any @attribute, wanted attributes
            a.arff:3: found two attributes of the name a, wanted names that differ
            a.arff:2: found the value "x" twice, wanted values that differ
            a.arff:2: found a relational attribute a, wanted numeric, {values}, string or date
            a.arff:2: found the type "strange", wanted numeric, {values}, string or date
            a.arff:5: column a: found "gren", wanted a value that the attribute declares
            a.arff:6: found 1 value, wanted 2 values, as many as attributes
            a.arff:5: found a quote that is not closed, wanted values between commas
            a.arff:4: found the index 0 twice, wanted each index once
            a.arff:4: found the index "5", wanted an index below 1
            a.arff:4: found a brace that is not closed, wanted {index value, ...}
            a.arff: found a header and no row, wanted at least one row
            a.arff:5: column a: found "x", wanted a number
            a 1.0 2.0"#]]
        .assert_eq(&lines.join("\n"));
    }
}
