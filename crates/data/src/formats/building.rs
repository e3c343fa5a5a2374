//! Columns of text files while they are built: texts, or numbers without a text for each.
//!
//! Numbers are taken so only where nobody can tell it from the result: every cell is a finite number that means an amount (no code with leading zeros, no
//! digits beyond what a `f64` holds), and its text is not asked for later. Where that does not hold, the column is [`Building::Left`], and who reads
//! makes it again as text.

use super::Markers;
use crate::conform::{number, number_text};
use crate::infer::is_code;
use arrow_array::{ArrayRef, Float64Array, StringArray};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use std::sync::Arc;

/// A column, or a piece of one.
pub(super) enum Building {
    Texts(Texts),
    Numbers(Numbers),
    /// Not wanted, or taken for numbers by mistake.
    Left,
}

/// What a column is built as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    Text,
    Number,
    Nothing,
}

/// Texts one behind the other.
#[derive(Default)]
pub(super) struct Texts {
    texts: String,
    /// Where each ends.
    ends: Vec<i32>,
    /// Rows without one.
    missing: Vec<usize>,
}

/// Numbers, 0 where one is missing.
pub(super) struct Numbers {
    values: Vec<f64>,
    /// Rows without one.
    missing: Vec<usize>,
    alike: Alike,
    /// Whether each is written as a category would be: digits alone, or behind a minus.
    are_plain: bool,
}

/// What the values so far have in common.
enum Alike {
    /// There is none.
    Empty,
    /// Number and text.
    Text(f64, Box<str>),
    /// The number, in several spellings.
    Number(f64),
    Nothing,
}

/// A cell that is a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Amount {
    value: f64,
    /// Whether it is written as a category would be.
    is_plain: bool,
}

impl Building {
    pub(super) fn new(taken: Taken) -> Building {
        match taken {
            Taken::Text => Building::Texts(Texts::default()),
            Taken::Number => Building::Numbers(Numbers::new()),
            Taken::Nothing => Building::Left,
        }
    }

    /// Whether so many bytes of text more would be too many.
    pub(super) fn is_full(&self, more: usize) -> bool {
        matches!(self, Building::Texts(texts) if texts.texts.len() + more > i32::MAX as usize)
    }

    /// Bytes of text.
    pub(super) fn text_bytes(&self) -> usize {
        if let Building::Texts(texts) = self { texts.texts.len() } else { 0 }
    }

    /// Whether there is a number, and nothing else.
    pub(super) fn holds_numbers(&self) -> bool {
        matches!(self, Building::Numbers(numbers) if !matches!(numbers.alike, Alike::Empty))
    }

    /// The column; see [`Numbers::finish`].
    pub(super) fn finish(self, may_name_rows: bool) -> Option<ArrayRef> {
        match self {
            Building::Texts(texts) => Some(Arc::new(texts.finish())),
            Building::Numbers(numbers) => numbers.finish(may_name_rows),
            Building::Left => None,
        }
    }

    /// Makes room for so many rows more, with texts as long as those that are there.
    pub(super) fn reserve(&mut self, rows: usize) {
        match self {
            Building::Texts(texts) => {
                let bytes = texts.texts.len() as f64 / texts.ends.len().max(1) as f64 * rows as f64;
                texts.texts.reserve((bytes as usize).min(i32::MAX as usize));
                texts.ends.reserve(rows);
            }
            Building::Numbers(numbers) => numbers.values.reserve(rows),
            Building::Left => {}
        }
    }

    /// Takes the rows of a piece below its own; there is room for them.
    pub(super) fn extend(&mut self, piece: &Building) {
        match (&mut *self, piece) {
            (Building::Texts(own), Building::Texts(piece)) => own.extend(piece),
            (Building::Numbers(own), Building::Numbers(piece)) => own.extend(piece),
            _ => *self = Building::Left,
        }
    }
}

impl Texts {
    pub(super) fn push(&mut self, text: &str) {
        self.texts.push_str(text);
        self.ends.push(self.texts.len() as i32);
    }

    pub(super) fn push_missing(&mut self) {
        self.missing.push(self.ends.len());
        self.ends.push(self.texts.len() as i32);
    }

    fn extend(&mut self, piece: &Texts) {
        let (rows, bytes) = (self.ends.len(), self.texts.len() as i32);
        self.texts.push_str(&piece.texts);
        self.ends.extend(piece.ends.iter().map(|end| end + bytes));
        self.missing.extend(piece.missing.iter().map(|row| row + rows));
    }

    fn finish(self) -> StringArray {
        let nulls = nulls(&self.missing, self.ends.len());
        let mut ends = self.ends;
        ends.insert(0, 0);
        StringArray::new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from(self.texts.into_bytes()), nulls)
    }
}

impl Numbers {
    fn new() -> Numbers {
        Numbers { values: Vec::new(), missing: Vec::new(), alike: Alike::Empty, are_plain: true }
    }

    pub(super) fn push_missing(&mut self) {
        self.missing.push(self.values.len());
        self.values.push(0.0);
    }

    /// `text` is how the file writes it.
    #[inline]
    pub(super) fn push(&mut self, amount: Amount, text: &str) {
        if !matches!(self.alike, Alike::Nothing) {
            self.alike(amount.value, text);
        }
        self.are_plain &= amount.is_plain;
        self.values.push(amount.value);
    }

    #[inline(never)]
    fn alike(&mut self, value: f64, text: &str) {
        self.alike = std::mem::replace(&mut self.alike, Alike::Nothing).with(value, text);
    }

    fn extend(&mut self, piece: &Numbers) {
        let rows = self.values.len();
        self.values.extend_from_slice(&piece.values);
        self.missing.extend(piece.missing.iter().map(|row| row + rows));
        self.are_plain &= piece.are_plain;
        self.alike = match (std::mem::replace(&mut self.alike, Alike::Nothing), &piece.alike) {
            (own, Alike::Empty) => own,
            (own, Alike::Text(value, text)) => own.with(*value, text),
            (Alike::Empty, Alike::Number(value)) => Alike::Number(*value),
            (Alike::Text(own, _) | Alike::Number(own), Alike::Number(value)) if own.to_bits() == value.to_bits() => Alike::Number(own),
            _ => Alike::Nothing,
        };
    }

    /// The column; nothing where its texts are asked for after all and cannot be told from its numbers. A column that `may_name_rows` may become one of
    /// identifiers, which are texts.
    fn finish(self, may_name_rows: bool) -> Option<ArrayRef> {
        let rows = self.values.len();
        match &self.alike {
            Alike::Empty => return Some(Arc::new(StringArray::new_null(rows))),
            // Who reads it as text tells where it is too much.
            Alike::Text(_, text) if self.missing.is_empty() && text.len().saturating_mul(rows) > i32::MAX as usize => return None,
            // A column of one value is left out and carried as it is.
            Alike::Text(_, text) if self.missing.is_empty() => {
                return Some(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))));
            }
            Alike::Number(_) if self.missing.is_empty() => return None,
            _ => {}
        }
        if may_name_rows && !self.are_plain && self.values.iter().all(|value| value.fract() == 0.0) {
            return None;
        }
        let nulls = nulls(&self.missing, rows);
        Some(Arc::new(Float64Array::new(ScalarBuffer::from(self.values), nulls)))
    }
}

impl Alike {
    fn with(self, value: f64, text: &str) -> Alike {
        match self {
            Alike::Empty => Alike::Text(value, text.into()),
            Alike::Text(own, known) if own.to_bits() == value.to_bits() && *known == *text => Alike::Text(own, known),
            Alike::Text(own, _) | Alike::Number(own) if own.to_bits() == value.to_bits() => Alike::Number(own),
            _ => Alike::Nothing,
        }
    }
}

fn nulls(missing: &[usize], rows: usize) -> Option<NullBuffer> {
    if missing.is_empty() {
        return None;
    }
    let mut valid = BooleanBufferBuilder::new(rows);
    valid.append_n(rows, true);
    missing.iter().for_each(|&row| valid.set_bit(row, false));
    Some(NullBuffer::new(valid.finish()))
}

impl Amount {
    /// The amount that a cell is, without quotes and in the notation of programs; nothing for everything else.
    pub(super) fn of(text: &str, markers: &Markers) -> Option<Amount> {
        let text = text.trim();
        let value = number(text)?;
        let is_plain = || number_text(value) == text;
        let amount = || Amount { value, is_plain: is_plain() };
        (value.is_finite() && !is_code(text)).then(amount).filter(|amount| amount.is_none_of(markers))
    }

    /// Whether it is none of the numbers that stand for a missing value.
    #[inline]
    pub(super) fn is_none_of(&self, markers: &Markers) -> bool {
        !markers.contain_number(self.value)
    }

    /// The same for most amounts, quickly: eight bytes at most behind the sign, digits with a point or without. A whole number of so few digits is
    /// exact, and so is the power of ten it is divided by: the quotient is rounded once, as the nearest `f64` is.
    ///
    /// Nothing says nothing: [`Amount::of`] decides.
    #[inline]
    pub(super) fn quick(cell: &[u8]) -> Option<Amount> {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const TENS: [f64; 8] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
        let (is_negative, digits) = if let [b'-', digits @ ..] = cell { (true, digits) } else { (false, cell) };
        // A leading zero may be that of a code.
        if matches!(digits, [] | [_, _, _, _, _, _, _, _, _, ..] | [b'0', b'0'..=b'9', ..] | [b'.']) {
            return None;
        }
        // The last character stands in the highest byte; below the first there are zeros.
        let zeros = ONES * u64::from(b'0');
        let mut word = match (digits.first_chunk(), digits.last_chunk()) {
            (Some(first), Some(last)) => {
                let free = 64 - 8 * digits.len() as u32;
                let (first, last) = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
                last << 32 | first << free | zeros & ((1 << free) - 1)
            }
            _ => digits.iter().fold(zeros, |word, &byte| word >> 8 | u64::from(byte) << 56),
        };
        let points = word ^ (ONES * u64::from(b'.'));
        let points = points.wrapping_sub(ONES) & !points & (ONES << 7);
        let mut decimals = 0;
        if points != 0 {
            let bit = points.trailing_zeros() & !7;
            decimals = 7 - (bit / 8) as usize;
            let below = word & ((1 << bit) - 1);
            let above = word & u64::MAX.checked_shl(bit + 8).unwrap_or(0);
            word = above | below << 8 | u64::from(b'0');
        }
        // After Daniel Lemire and Wojciech Mula, "Number parsing at a gigabyte per second" (2021).
        let are_digits = word & (ONES * 0xF0) | (word.wrapping_add(ONES * 6) & (ONES * 0xF0)) >> 4;
        if are_digits != ONES * 0x33 {
            return None;
        }
        let pairs = word.wrapping_sub(zeros);
        let pairs = pairs.wrapping_mul(10).wrapping_add(pairs >> 8);
        let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
        let low = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
        let whole = high.wrapping_add(low) >> 32;
        let value = whole as u32 as f64 / TENS[decimals];
        Some(Amount { value: if is_negative { -value } else { value }, is_plain: points == 0 && !(is_negative && whole == 0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        /// Quickly, the same number to the bit.
        #[test]
        fn quick_amounts_are_those_of_the_standard_library(text in "-?[0-9]{0,6}\\.?[0-9]{0,6}|[-+0-9.e/:,]{0,9}") {
            if let Some(quick) = Amount::quick(text.as_bytes()) {
                let slow = Amount::of(&text, &Markers::default()).unwrap();
                prop_assert_eq!(quick.value.to_bits(), slow.value.to_bits(), "{}", text);
                prop_assert!(quick.value.fract() != 0.0 || quick.is_plain == slow.is_plain, "{}", text);
            }
        }
    }

    #[test]
    fn usual_amounts_are_quick() {
        for text in ["0", "7", "-12", "1.5", "-1.23450", "0.5", "12345678", "-1234567.", ".25"] {
            assert!(Amount::quick(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "-", ".", "-.", "01", "1.2.3", "1e3", "+1", " 1", "123456789", "1/2", "1:2"] {
            assert_eq!(Amount::quick(text.as_bytes()), None, "{text}");
        }
    }
}
