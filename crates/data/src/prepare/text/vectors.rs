//! Vectors of words from a file of text: GloVe's, a word and its numbers in each line, or word2vec's, the same below a line
//! with the number of words and of numbers.

use crate::Error;
use cupola_task::Result;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

/// No vector is longer.
pub(super) const WIDTH_MAX: usize = 4096;
/// No line is longer, in bytes: what has no line breaks is no such file, and is not read to its end.
const LINE_MAX: u64 = 1 << 20;

/// The vectors of the wanted words that the file has, and how many numbers each has. Where the file has a word in several cases, the
/// lower case counts, else the first.
///
/// # Errors
/// When the file cannot be read, or a line of a wanted word is not of the length that the first one has.
pub(super) fn read(path: &str, wanted: &HashSet<&str>) -> Result<(usize, HashMap<String, Vec<f32>>)> {
    let file = File::open(path).map_err(|source| unreadable(path, source))?;
    read_from(path, BufReader::with_capacity(1 << 16, file), wanted)
}

fn unreadable(path: &str, source: io::Error) -> Error {
    Error::Unreadable { place: path.to_owned(), source, hint: Some("inputs.NAME.vectors names the file".into()) }
}

fn read_from(path: &str, mut lines: impl BufRead, wanted: &HashSet<&str>) -> Result<(usize, HashMap<String, Vec<f32>>)> {
    let mut found: HashMap<String, Vec<f32>> = HashMap::new();
    let (mut width, mut number, mut line) = (None, 0u64, Vec::new());
    loop {
        line.clear();
        number += 1;
        if lines.by_ref().take(LINE_MAX).read_until(b'\n', &mut line).map_err(|source| unreadable(path, source))? == 0 {
            break;
        }
        let place = || format!("{path} line {number}");
        if line.len() as u64 == LINE_MAX && line.last() != Some(&b'\n') {
            return Err(Error::refused(place(), format!("more than {LINE_MAX} bytes"), "a word and its numbers").into());
        }
        let text = std::str::from_utf8(&line).map_err(|_| Error::refused(place(), "bytes that are no UTF-8", "a word and its numbers"))?;
        let mut cells = text.trim_end().split(' ');
        let word = cells.next().unwrap_or_default();
        let numbers: Vec<&str> = cells.collect();
        if number == 1 && numbers.len() == 1 && word.parse::<u64>().is_ok() {
            width = numbers[0].parse().ok();
            continue;
        }
        let width = *width.get_or_insert(numbers.len());
        if width == 0 || width > WIDTH_MAX {
            let wanted = format!("a word and 1 to {WIDTH_MAX} numbers");
            return Err(Error::refused(place(), format!("a word and {width} numbers"), wanted).into());
        }
        let lower = word.to_lowercase();
        if !wanted.contains(lower.as_str()) || (found.contains_key(&lower) && word != lower) {
            continue;
        }
        let parsed: Option<Vec<f32>> = numbers.iter().map(|cell| cell.parse().ok().filter(|value: &f32| value.is_finite())).collect();
        match parsed {
            Some(vector) if vector.len() == width => _ = found.insert(lower, vector),
            _ => {
                let seen = format!("{word} and {} cells", numbers.len());
                return Err(Error::refused(place(), seen, format!("a word and {width} numbers")).into());
            }
        }
    }
    match width {
        Some(width) => Ok((width, found)),
        None => Err(Error::refused(path, "no line", "words and their vectors").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_lines_is_refused_at_once() {
        let endless = BufReader::new(io::repeat(b'a'));
        let error = read_from("words.txt", endless, &HashSet::new()).unwrap_err();
        assert_eq!(error.to_string(), "words.txt line 1: found more than 1048576 bytes, wanted a word and its numbers");
    }
}
