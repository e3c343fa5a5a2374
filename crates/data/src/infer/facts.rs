//! What is counted about a column before its type is decided.

use crate::conform::{category_text, number, shown};
use crate::formats::normal::EXACT_MAX;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use arrow_schema::DataType;
use foldhash::HashSet;

/// Counts over a column's values, missing ones aside.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) values: u64,
    pub(super) missing: u64,
    pub(super) distinct: u64,
    /// Values that are numbers.
    pub(super) numbers: u64,
    /// The first row whose value is no number.
    pub(super) odd: Option<usize>,
    /// The first row with a code: digits behind a leading zero, or more of them than a `f64` can hold.
    pub(super) code: Option<usize>,
    /// Values like `1,234` or `1,5`.
    pub(super) with_comma: u64,
    /// Those of them whose comma stands before other than three digits.
    pub(super) with_decimal_comma: u64,
    pub(super) is_whole: bool,
    pub(super) is_rising: bool,
    pub(super) is_time: bool,
    pub(super) are_uuids: bool,
    /// Times of day: `8:30`, `08:30:15`.
    pub(super) are_clock_times: bool,
    pub(super) words: u64,
    pub(super) characters: u64,
    /// The first value, for messages.
    pub(super) first: String,
    /// The first value that is no number, for messages.
    odd_text: String,
}

impl Facts {
    pub(super) fn of(array: &ArrayRef) -> Facts {
        let missing = array.null_count() as u64;
        let facts = Facts { values: array.len() as u64 - missing, missing, ..Facts::default() };
        match array.data_type() {
            DataType::Utf8 => facts.texts(array.as_string::<i32>()),
            DataType::Float64 => facts.floats(array.as_primitive::<Float64Type>()),
            _ => {
                let micros = array.as_primitive::<TimestampMicrosecondType>();
                let distinct: HashSet<i64> = micros.iter().flatten().collect();
                let first = micros.iter().flatten().next().map(crate::date::iso).unwrap_or_default();
                Facts { distinct: distinct.len() as u64, is_time: true, first, ..facts }
            }
        }
    }

    /// Whether every value is a number that means an amount.
    pub(super) fn are_numbers(&self) -> bool {
        self.numbers == self.values && self.code.is_none() && !self.is_time
    }

    fn are_numbers_so_far(&self) -> bool {
        self.odd.is_none() && self.code.is_none()
    }

    pub(super) fn is_unique(&self) -> bool {
        self.distinct == self.values && self.missing == 0
    }

    /// What a reader of the reason may stumble over.
    pub(super) fn doubt(&self, place: &(dyn Fn(usize) -> String + Sync)) -> String {
        match (self.code, self.odd) {
            (Some(row), None) => format!(", digits that are no amount (leading zeros or too many digits, as at {})", place(row)),
            (_, Some(row)) if self.numbers * 2 > self.values => {
                format!(", {} of them numbers, but not {} at {}", grouped(self.numbers), self.odd_text, place(row))
            }
            _ => String::new(),
        }
    }

    fn floats(mut self, numbers: &Float64Array) -> Facts {
        let mut last = f64::NEG_INFINITY;
        (self.is_whole, self.is_rising) = (true, true);
        numbers.iter().flatten().for_each(|number| self.add_number(number, &mut last));
        self.numbers = self.values;
        self.distinct = distinct(numbers.iter().flatten().map(f64::to_bits).collect());
        self.first = numbers.iter().flatten().next().map(crate::conform::number_text).unwrap_or_default();
        self
    }

    fn add_number(&mut self, number: f64, last: &mut f64) {
        self.is_whole &= number.fract() == 0.0;
        self.is_rising &= number > *last;
        *last = number;
    }

    fn texts(mut self, texts: &StringArray) -> Facts {
        let (mut last, mut sizes) = (f64::NEG_INFINITY, Vec::new());
        (self.is_whole, self.is_rising, self.are_uuids, self.are_clock_times) = (true, true, self.values > 0, self.values > 0);
        let values = || texts.iter().enumerate().filter_map(|(row, text)| Some((row, text?.trim())));
        for (row, text) in values() {
            match number(text) {
                Some(number) => {
                    self.numbers += 1;
                    self.add_number(number, &mut last);
                    if self.code.is_none() && is_code(text) {
                        self.code = Some(row);
                    }
                    if self.are_numbers_so_far() {
                        sizes.push(number.to_bits());
                    }
                }
                None => {
                    if self.odd.is_none() {
                        (self.odd, self.odd_text) = (Some(row), shown(text));
                    }
                    self.with_comma += u64::from(has_comma(text));
                    self.with_decimal_comma += u64::from(has_comma(text) && !has_thousands(text));
                }
            }
        }
        self.first = values().next().map(|(_, text)| shown(text)).unwrap_or_default();
        self.distinct = match self.are_numbers() {
            true => distinct(sizes),
            false => values().map(|(_, text)| category_text(text)).collect::<HashSet<&str>>().len() as u64,
        };
        if !self.are_numbers() {
            self.count_words(values().map(|(_, text)| text));
        }
        self.are_uuids &= self.numbers == 0;
        self.are_clock_times &= self.numbers == 0;
        self
    }

    fn count_words<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        for text in texts {
            self.words += text.split_ascii_whitespace().count() as u64;
            self.characters += text.len() as u64;
            self.are_uuids &= is_uuid(text);
            self.are_clock_times &= is_clock_time(text);
        }
    }
}

/// How many different values there are. Values are dealt out to heaps by a hash first, so that each heap is sorted within the cache: a hash table of millions
/// waits for memory at every value.
fn distinct(mut values: Vec<u64>) -> u64 {
    const HEAPS: usize = 1024;
    let heap = |value: u64| (value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54) as usize;
    let count = |values: &mut [u64]| {
        values.sort_unstable();
        values.chunk_by(|a, b| a == b).count() as u64
    };
    if values.len() < 16 * HEAPS {
        return count(&mut values);
    }
    let mut ends = vec![0; HEAPS];
    values.iter().for_each(|&value| ends[heap(value)] += 1);
    let mut begin = 0;
    for end in &mut ends {
        begin += *end;
        *end = begin - *end;
    }
    let mut dealt = vec![0; values.len()];
    for value in values {
        let place = &mut ends[heap(value)];
        dealt[*place] = value;
        *place += 1;
    }
    let begins = std::iter::once(0).chain(ends.iter().copied());
    begins.zip(&ends).map(|(begin, &end)| count(&mut dealt[begin..end])).sum()
}

/// Postal codes, account numbers: not amounts.
pub(crate) fn is_code(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // 0.5 is an amount, 00.5 is none.
        return digits.len() > 2 && digits.starts_with("00");
    }
    digits.len() > 1 && digits.starts_with('0') || digits.len() > 15 && digits.parse::<u64>().map_or(true, |number| number > EXACT_MAX)
}

/// Numbers as `1,234`, `1,234.5` and `1,5`: a comma may mean either, so it is never taken for a number's part.
fn has_comma(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, rest) = digits.split_once(',').unwrap_or(("", ""));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && rest.split([',', '.']).all(is_digits)
}

/// Whether each comma of a number with commas stands before three digits.
fn has_thousands(text: &str) -> bool {
    let whole = text.split('.').next().unwrap_or_default();
    whole.split(',').skip(1).all(|digits| digits.len() == 3)
}

/// `8:30`, `08:30` and `08:30:15`.
fn is_clock_time(text: &str) -> bool {
    let mut parts = text.split(':');
    let mut next = |digits: std::ops::RangeInclusive<usize>, below: u8| {
        let part = parts.next()?;
        let is_number = digits.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        Some(is_number && part.parse::<u8>().is_ok_and(|number| number < below))
    };
    next(1..=2, 24) == Some(true) && next(2..=2, 60) == Some(true) && next(2..=2, 60) != Some(false) && parts.next().is_none()
}

fn is_uuid(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| if dashes.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Whether a column of that name numbers or names the rows. A name that only ends in "id" needs rising values beside.
pub(crate) fn names_rows(name: &str, is_rising: bool) -> bool {
    const SURE: [&str; 6] = ["id", "uuid", "guid", "rowid", "pk", "identifier"];
    const LIKELY: [&str; 9] = ["index", "idx", "key", "row", "number", "no", "nr", "unnamed", "sno"];
    let mut spaced = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        if letter.is_uppercase() && before.is_lowercase() || !letter.is_alphanumeric() {
            spaced.push(' ');
        }
        spaced.extend(letter.to_lowercase().filter(|letter| letter.is_alphanumeric()));
        before = letter;
    }
    let has = |words: &[&str]| spaced.split_whitespace().any(|word| words.contains(&word));
    has(&SURE) || is_rising && (has(&LIKELY) || spaced.ends_with("id"))
}

/// `32,561`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_counted_in_heaps_as_at_once() {
        for (rows, different) in [(0, 0), (5, 3), (16_383, 100), (16_384, 1), (50_000, 20_000), (50_000, 50_000)] {
            let values: Vec<u64> = (0..rows).map(|row: u64| (row % different.max(1) as u64).wrapping_mul(0x5851_F42D_4C95_7F2D)).collect();
            assert_eq!(distinct(values), different as u64, "{rows} rows");
        }
    }
}
