//! As-read rows as sets of values.

use crate::conform::category_text;
use crate::{ColumnType, infer};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use cupola_task::{Column, Columns, Draw};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Words of a run, and of a cell that is one value.
pub(crate) const RUN: usize = 3;

/// Which columns count.
pub(super) struct Counted {
    names: Vec<Arc<str>>,
}

impl Counted {
    /// All but those that are ignored, and but those that name rows, as far as the first rows show it.
    pub fn of(columns: &Columns, ignore: &[String]) -> Counted {
        let is_kept = |(name, column): &(&Arc<str>, &Column)| {
            if ignore.iter().any(|ignored| ignored == &***name) {
                return false;
            }
            let one = Columns::new(vec![((*name).clone(), (*column).clone())]);
            let inferred = infer(&one, &BTreeMap::new(), &[], &|row| row.to_string());
            !inferred.is_ok_and(|inferred| inferred.iter().any(|column| column.column_type == ColumnType::Id))
        };
        let all: Vec<(&Arc<str>, &Column)> = columns.iter().collect();
        Counted { names: all.into_par_iter().filter(is_kept).map(|(name, _)| name.clone()).collect() }
    }

    /// The columns.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// For each row the hashes of its values, sorted, each once; and a fingerprint of the row as it stands.
    pub fn rows(&self, columns: &Columns) -> Vec<(Vec<u64>, u128)> {
        let cells: Vec<(u64, Option<&Column>)> = self.names.iter().map(|name| (column_key(name), columns.get(name))).collect();
        let row = |row: usize| {
            let (mut tokens, mut whole) = (Vec::with_capacity(cells.len()), (1u64, 2u64));
            for (key, column) in &cells {
                let own = column.map_or(0, |column| add(*key, column, row, &mut tokens));
                whole = (Draw::value(whole.0, own), Draw::value(whole.1, own));
            }
            tokens.sort_unstable();
            tokens.dedup();
            (tokens, u128::from(whole.0) << 64 | u128::from(whole.1))
        };
        (0..columns.rows()).into_par_iter().map(row).collect()
    }
}

fn column_key(name: &str) -> u64 {
    hash(0x636f_6c75, name.as_bytes())
}

/// Adds a cell's values, and gives a hash of the whole cell; 0 where it is missing.
fn add(key: u64, column: &Column, row: usize, tokens: &mut Vec<u64>) -> u64 {
    let own = match column {
        Column::Array(array) => match cell(array, row) {
            Cell::Missing => return 0,
            Cell::Number(bits) => Draw::value(key, bits),
            Cell::Text(text) => {
                let whole = hash(key, category_text(text).as_bytes());
                if text.split_whitespace().nth(RUN).is_some() {
                    runs(key, text, tokens);
                    return whole;
                }
                whole
            }
        },
        Column::Images(images) => {
            let print = crate::cells::print(images, row);
            hash(key, print.as_bytes())
        }
        _ => return 0,
    };
    tokens.push(own);
    own
}

enum Cell<'a> {
    Missing,
    Number(u64),
    Text(&'a str),
}

fn cell(array: &ArrayRef, row: usize) -> Cell<'_> {
    if array.is_null(row) {
        return Cell::Missing;
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        let text = texts.value(row).trim();
        return match crate::conform::number(text) {
            Some(number) => Cell::Number((number + 0.0).to_bits()),
            None => Cell::Text(text),
        };
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        let number = numbers.value(row);
        return if number.is_nan() { Cell::Missing } else { Cell::Number((number + 0.0).to_bits()) };
    }
    array.as_primitive_opt::<TimestampMicrosecondType>().map_or(Cell::Missing, |moments| Cell::Number(moments.value(row) as u64))
}

/// Runs of three words, without capitals and punctuation.
pub(crate) fn runs(key: u64, text: &str, tokens: &mut Vec<u64>) {
    let plain = |word: &str| -> u64 {
        let letters: String = word.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if letters.is_empty() { 0 } else { hash(key, letters.as_bytes()) }
    };
    let words: Vec<u64> = text.split_whitespace().map(plain).filter(|word| *word != 0).collect();
    let run = |words: &[u64]| words.iter().fold(key ^ 1, |run, word| Draw::value(run, *word));
    match words.len() {
        0 => {}
        1..=RUN => tokens.push(run(&words)),
        _ => tokens.extend(words.windows(RUN).map(run)),
    }
}

fn hash(key: u64, bytes: &[u8]) -> u64 {
    let mut state = Draw::value(key, bytes.len() as u64);
    for bytes in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        state = Draw::value(state, u64::from_le_bytes(word));
    }
    state.max(1)
}
