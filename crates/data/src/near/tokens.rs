//! As-read rows as sets of values.

use crate::as_read::AsRead;
use crate::cells::{Fingerprint, hash, print};
use crate::conform::category_text;
use crate::{ColumnType, infer};
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
            let (mut tokens, mut whole) = (Vec::with_capacity(cells.len()), Fingerprint::EMPTY);
            for (key, column) in &cells {
                whole.stir(column.map_or(0, |column| add(*key, column, row, &mut tokens)));
            }
            tokens.sort_unstable();
            tokens.dedup();
            (tokens, whole.value())
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
        Column::Array(array) => match AsRead::of(array, row) {
            AsRead::Missing => return 0,
            AsRead::Number(number) => Draw::value(key, number.to_bits()),
            AsRead::Moment(moment) => Draw::value(key, moment as u64),
            AsRead::Text(text) => {
                let whole = hash(key, category_text(text).as_bytes());
                if text.split_whitespace().nth(RUN).is_some() {
                    runs(key, text, tokens);
                    return whole;
                }
                whole
            }
        },
        Column::Images(images) => hash(key, print(images, row).as_bytes()),
        _ => return 0,
    };
    tokens.push(own);
    own
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
