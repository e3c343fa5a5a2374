//! The sides of an earlier run, so that old rows keep theirs when a table has grown.
//!
//! A row is known by a key of 128 bits over what stands in it, not by its place. Rows that are equal are one row to the record: where
//! it has them on several sides, they teach if one of them did, and else choose if one of them did, since what has taught must
//! not measure.

use super::settings::By;
use super::sides::{Cut, count, side_of_word, word_of_side};
use crate::cells::{Cells, Fingerprint, MISSING, column, print};
use crate::{Input, ReadOptions};
use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use cupola_task::{Column, Columns, Dataset, Draw, Error, Field, Result, Role, Side};
use std::collections::HashMap;
use std::sync::Arc;

/// A key for each row over its inputs, targets and keys: equal where all names and cells are, whatever the columns' order and
/// the rows beside, and otherwise different but for odds of about 2^-128. The keys stand in files, so they must never change.
///
/// # Errors
/// When a column is not of its kind, or holds no scalars.
pub fn row_keys(table: &dyn Dataset) -> Result<Vec<u128>> {
    let rows: Vec<u64> = (0..table.len()).collect();
    let batch = table.read(&rows, Draw::default())?;
    let mut fields: Vec<&Field> = table.schema().fields.iter().filter(|field| field.role != Role::Ignored).collect();
    fields.sort_by(|one, other| one.name.cmp(&other.name));
    let mut keys = vec![Fingerprint::EMPTY; rows.len()];
    for field in fields {
        if let Some(cells) = column(&batch, &field.name) {
            absorb(&mut keys, &field.name, Cells::open(field, cells)?);
        }
    }
    Ok(keys.into_iter().map(Fingerprint::value).collect())
}

/// Takes a column in: a word that stands for its name and type, another where the cell is missing, then the cell's own words.
fn absorb(keys: &mut [Fingerprint], name: &str, cells: Cells<'_>) {
    let variant = match cells {
        Cells::Numbers(_) => "number",
        Cells::Dates(_) => "date",
        Cells::Texts(_) => "text",
        Cells::Images(_) => "image",
    };
    let hash = blake3::hash(format!("{variant} {name}").as_bytes());
    let present = hash.as_bytes().first_chunk().map_or(0, |head| u64::from_le_bytes(*head));
    let text = |key: &mut Fingerprint, text: &[u8]| {
        key.stir(present.wrapping_add(text.len() as u64));
        key.stir_bytes(text);
    };
    for (row, key) in keys.iter_mut().enumerate() {
        match cells {
            Cells::Numbers(array) if array.is_valid(row) && !array.value(row).is_nan() => {
                key.stir(present);
                key.stir((array.value(row) + 0.0).to_bits());
            }
            Cells::Dates(array) if array.is_valid(row) => {
                key.stir(present);
                key.stir(array.value(row) as u64);
            }
            Cells::Texts(array) if array.is_valid(row) => text(key, array.value(row).as_bytes()),
            Cells::Images(images) => text(key, print(images, row).as_bytes()),
            _ => key.stir(!present),
        }
    }
}

/// Puts rows that the record knows back on their old side, and returns how many there are.
pub fn keep(sides: &mut [Side], keys: &[u128], old: &HashMap<u128, Side>) -> u64 {
    assert_eq!(sides.len(), keys.len(), "every row has a key");
    let mut known = 0;
    for (side, key) in sides.iter_mut().zip(keys) {
        if let Some(old) = old.get(key) {
            *side = *old;
            known += 1;
        }
    }
    known
}

impl Cut {
    /// Puts the table's rows that the record knows back on their old side, and returns how many there are. Where groups stay
    /// whole, new rows of an old group follow it. `keys` are the table's [`row_keys`].
    ///
    /// # Errors
    /// When the group's column is not of its kind, or no row would teach.
    pub fn keep(&mut self, table: &dyn Dataset, keys: &[u128], old: &HashMap<u128, Side>) -> Result<u64> {
        let known = keep(&mut self.sides, keys, old);
        if let (By::Group, Some(group), true) = (self.by, &self.key, known > 0) {
            follow(&mut self.sides, table, group, |row| old.contains_key(&keys[row]))?;
        }
        self.counts = count(&self.sides)?;
        Ok(known)
    }
}

/// Puts the other rows of each group on the side of its first row that is known.
fn follow(sides: &mut [Side], table: &dyn Dataset, group: &str, is_known: impl Fn(usize) -> bool) -> Result<()> {
    let rows: Vec<u64> = (0..table.len()).collect();
    let batch = table.read(&rows, Draw::default())?;
    let (Some(field), Some(cells)) = (table.schema().field(group), column(&batch, group)) else { return Ok(()) };
    let codes = Cells::open(field, cells)?.codes();
    let mut leader = vec![None; codes.distinct];
    for (row, &code) in codes.code.iter().enumerate().filter(|(row, code)| **code != MISSING && is_known(*row)) {
        leader[code as usize].get_or_insert(sides[row]);
    }
    for (row, &code) in codes.code.iter().enumerate().filter(|(row, code)| **code != MISSING && !is_known(*row)) {
        sides[row] = leader[code as usize].unwrap_or(sides[row]);
    }
    Ok(())
}

/// What a run writes for later ones: the column `row`, the keys in 32 hexadecimal digits, and `side`, the word of each.
pub fn record_columns(keys: &[u128], sides: &[Side]) -> Columns {
    let texts = |texts: StringArray| Column::Array(Arc::new(texts));
    let hex: StringArray = keys.iter().map(|key| Some(format!("{key:032x}"))).collect();
    let words: StringArray = sides.iter().map(|side| Some(word_of_side(*side))).collect();
    Columns::new(vec![("row".into(), texts(hex)), ("side".into(), texts(words))])
}

/// Reads back what [`record_columns`] made, from any format that tables are read from.
///
/// # Errors
/// A file that cannot be read or has no columns of that kind; a cell that is no key or no side, with its place.
pub fn read_record(input: &Input) -> Result<HashMap<u128, Side>> {
    let raw = crate::read(input, &ReadOptions::default())?;
    let texts = |name: &str| {
        raw.columns.get(name).and_then(Column::array).and_then(|array| array.as_string_opt::<i32>()).ok_or_else(|| {
            let error = Error::input(&raw.name, format!("no column {name} of texts"), "a record of sides, with the columns row and side");
            error.with_hint("name the data/sides.parquet of an earlier run")
        })
    };
    let (keys, words) = (texts("row")?, texts("side")?);
    let mut old = HashMap::with_capacity(keys.len());
    for (row, (key, word)) in keys.iter().zip(words).enumerate() {
        let wrong = |column: &str, cell: Option<&str>, wanted: &str| {
            Error::input(format!("{}: column {column}", raw.place(row)), cell.map_or("nothing".to_owned(), crate::conform::shown), wanted)
        };
        let known = key.and_then(parse).ok_or_else(|| wrong("row", key, "32 hexadecimal digits"))?;
        let side = word.and_then(side_of_word).ok_or_else(|| wrong("side", word, "train, valid, test or out"))?;
        old.entry(known).and_modify(|other| *other = first(*other, side)).or_insert(side);
    }
    Ok(old)
}

fn parse(hex: &str) -> Option<u128> {
    let is_key = hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key.then(|| u128::from_str_radix(hex, 16).ok()).flatten()
}

/// The side on which a row does most with what it knows.
fn first(one: Side, other: Side) -> Side {
    let order = [Side::Train, Side::Valid, Side::Test];
    order.into_iter().find(|side| [one, other].contains(side)).unwrap_or(Side::Out)
}
