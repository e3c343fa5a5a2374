//! What is counted about a column before its type is decided.

use crate::conform::{category_text, number, shown};
use crate::formats::normal::EXACT_MAX;
use crate::formats::trimmed;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use arrow_schema::DataType;
use foldhash::fast::FixedState;
use foldhash::{HashMap, HashSet};
use std::hash::BuildHasher;

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
        self.first = numbers.iter().flatten().next().map(crate::conform::number_text).unwrap_or_default();
        self.amounts(numbers.iter().flatten().collect())
    }

    fn texts(mut self, texts: &StringArray) -> Facts {
        let Some(first) = texts.iter().flatten().next().map(str::trim) else { return self.words(texts) };
        self.first = shown(first);
        let amount = |text: &str| number(text).filter(|_| !is_code(text));
        let amounts = amount(first).and_then(|_| texts.iter().flatten().map(|text| amount(text.trim())).collect::<Option<Vec<f64>>>());
        match amounts {
            Some(amounts) => self.amounts(amounts),
            None => self.words(texts),
        }
    }

    /// Of nothing but numbers that mean amounts.
    fn amounts(mut self, numbers: Vec<f64>) -> Facts {
        self.numbers = self.values;
        self.is_whole = numbers.iter().all(|number| number.fract() == 0.0);
        self.is_rising = numbers.first().is_none_or(|first| *first > f64::NEG_INFINITY) && numbers.windows(2).all(|pair| pair[1] > pair[0]);
        self.distinct = distinct(numbers.into_iter().map(f64::to_bits).collect());
        self
    }

    /// Of texts that are not all numbers: each of the different ones is looked at once.
    fn words(mut self, texts: &StringArray) -> Facts {
        let mut counts = Counts::default();
        for (row, text) in texts.iter().enumerate() {
            let Some(text) = text else { continue };
            count(&mut counts, text, row);
            if counts.len() > DIFFERENT_MAX {
                return self.many_words(texts);
            }
        }
        self.add_words(&counts);
        self.with_odd_text(texts)
    }

    /// Of texts that differ a lot: they are dealt out to heaps first, as numbers are.
    fn many_words(mut self, texts: &StringArray) -> Facts {
        const ROW: u64 = (1 << HEAP_SHIFT) - 1;
        let hasher = FixedState::default();
        let key = |(row, text): (usize, Option<&str>)| Some(hasher.hash_one(category_text(text?)) & !ROW | row as u64);
        let (dealt, bounds) = dealt(texts.iter().enumerate().filter_map(key).collect(), |key| key);
        let mut counts = Counts::default();
        for bounds in bounds.windows(2) {
            counts.clear();
            for key in &dealt[bounds[0]..bounds[1]] {
                let row = (key & ROW) as usize;
                count(&mut counts, texts.value(row), row);
            }
            self.add_words(&counts);
        }
        self.with_odd_text(texts)
    }

    fn add_words(&mut self, counts: &Counts<'_>) {
        let are_first = self.distinct == 0;
        (self.are_uuids, self.are_clock_times) = (self.are_uuids || are_first, self.are_clock_times || are_first);
        for (&text, &(count, row)) in counts {
            match number(text) {
                Some(_) => self.add_amount(text, count, row),
                None => self.add_word(text, count, row),
            }
            self.words += count * text.split_ascii_whitespace().count() as u64;
            self.characters += count * text.len() as u64;
            self.are_uuids &= is_uuid(text);
            self.are_clock_times &= is_clock_time(text);
        }
        let spellings: Vec<&str> = counts.keys().copied().filter(|text| category_text(text) != *text).collect();
        let meant: HashSet<&str> = spellings.iter().map(|text| category_text(text)).filter(|text| !counts.contains_key(text)).collect();
        self.distinct += (counts.len() - spellings.len() + meant.len()) as u64;
    }

    fn with_odd_text(self, texts: &StringArray) -> Facts {
        let odd_text = self.odd.map(|row| shown(texts.value(row).trim())).unwrap_or_default();
        let (are_uuids, are_clock_times) = (self.are_uuids && self.numbers == 0, self.are_clock_times && self.numbers == 0);
        Facts { odd_text, are_uuids, are_clock_times, ..self }
    }

    /// So many values that are the same number, the first of them in that row.
    fn add_amount(&mut self, text: &str, count: u64, row: usize) {
        self.numbers += count;
        if self.code.is_none_or(|code| row < code) && is_code(text) {
            self.code = Some(row);
        }
    }

    /// So many values that are the same text and no number.
    fn add_word(&mut self, text: &str, count: u64, row: usize) {
        self.odd = Some(self.odd.map_or(row, |odd| odd.min(row)));
        self.with_comma += if has_comma(text) { count } else { 0 };
        self.with_decimal_comma += if has_comma(text) && !has_thousands(text) { count } else { 0 };
    }
}

/// Different texts: how many cells have each, and the first row of them.
type Counts<'a> = HashMap<&'a str, (u64, usize)>;

fn count<'a>(counts: &mut Counts<'a>, text: &'a str, row: usize) {
    counts.entry(trimmed(text)).or_insert((0, row)).0 += 1;
}

/// Up to so many different texts are counted at once.
const DIFFERENT_MAX: usize = if cfg!(test) { 16 } else { 1 << 15 };
/// How many heaps there are, as a power of two.
const HEAP_BITS: u32 = 10;
const HEAP_SHIFT: u32 = 64 - HEAP_BITS;

/// Values dealt out to heaps by the highest bits of a hash, and where each heap begins and the last ends: what is counted then lies within the cache. A hash
/// table of millions waits for memory at every value.
fn dealt(values: Vec<u64>, hash: impl Fn(u64) -> u64) -> (Vec<u64>, Vec<usize>) {
    let heap = |value: u64| (hash(value) >> HEAP_SHIFT) as usize;
    let mut bounds = vec![0; (1 << HEAP_BITS) + 1];
    values.iter().for_each(|&value| bounds[heap(value) + 1] += 1);
    let mut begin = 0;
    for bound in &mut bounds[1..] {
        begin += *bound;
        *bound = begin - *bound;
    }
    let mut dealt = vec![0; values.len()];
    for value in values {
        let place = &mut bounds[heap(value) + 1];
        dealt[*place] = value;
        *place += 1;
    }
    (dealt, bounds)
}

/// How many different values there are.
fn distinct(values: Vec<u64>) -> u64 {
    let mut table = Vec::new();
    if values.len() < 16 << HEAP_BITS {
        return distinct_in(&values, &mut table);
    }
    let (dealt, bounds) = dealt(values, hashed);
    bounds.windows(2).map(|bounds| distinct_in(&dealt[bounds[0]..bounds[1]], &mut table)).sum()
}

fn hashed(value: u64) -> u64 {
    value.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// How many different values there are among a few. `table` is room to work in.
fn distinct_in(values: &[u64], table: &mut Vec<u64>) -> u64 {
    // Counted aside, so that it can stand for a free slot.
    const FREE: u64 = 0;
    let bits = (2 * values.len()).next_power_of_two().trailing_zeros().max(1);
    table.clear();
    table.resize(1 << bits, FREE);
    let mut count = u64::from(values.contains(&FREE));
    for &value in values.iter().filter(|&&value| value != FREE) {
        // The highest bits chose the heap. Lower ones are worth less: those of whole numbers end in zeros.
        let mut slot = (hashed(value) << HEAP_BITS >> (64 - bits)) as usize;
        while table[slot] != FREE && table[slot] != value {
            slot = (slot + 1) & (table.len() - 1);
        }
        count += u64::from(table[slot] == FREE);
        table[slot] = value;
    }
    count
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
        let whole: Vec<u64> = (0..200_000).map(|number| f64::from(number % 70_000).to_bits()).collect();
        assert_eq!(distinct(whole), 70_000);
        for (rows, different) in [(0, 0), (5, 3), (16_383, 100), (16_384, 1), (50_000, 20_000), (50_000, 50_000)] {
            let values: Vec<u64> = (0..rows).map(|row: u64| (row % different.max(1) as u64).wrapping_mul(0x5851_F42D_4C95_7F2D)).collect();
            assert_eq!(distinct(values), different as u64, "{rows} rows");
        }
    }
}
