//! Raw cells as splits, preparation, leak checks and profiles read them: one borrowed view a column, by kind.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, Float64Array, StringArray, TimestampMicrosecondArray, new_null_array};
use cupola_task::{Batch, Column, Draw, Error, Field, Images, Kind, Result};
use rayon::prelude::*;
use std::borrow::Cow;

/// The code of a missing cell.
pub(crate) const MISSING: u32 = u32::MAX;

/// A raw column of one of the kinds that tables have.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    /// `Kind::Number`.
    Numbers(&'a Float64Array),
    /// `Kind::Date`.
    Dates(&'a TimestampMicrosecondArray),
    /// `Kind::Category` and `Kind::Text`.
    Texts(&'a StringArray),
    /// `Kind::Image`.
    Images(&'a Images),
}

/// A column as whole numbers: equal cells, and only they, have equal codes.
pub(crate) struct Codes {
    /// One a row; [`MISSING`] where the cell is null or not a number.
    pub code: Vec<u32>,
    /// How many distinct values there are; codes are below it.
    pub distinct: usize,
}

impl<'a> Cells<'a> {
    /// The cells of a raw column, which must be of its field's kind.
    pub fn open(field: &Field, column: &'a Column) -> Result<Cells<'a>> {
        let wrong = |found: &str, wanted: &str| Error::input(format!("column {}", field.name), found, wanted);
        let array = match (&field.kind, column) {
            (Kind::Image { .. }, Column::Images(images)) => return Ok(Cells::Images(images)),
            (Kind::Image { .. }, _) => return Err(wrong("scalars", "images")),
            (_, Column::Array(array)) => array,
            _ => return Err(wrong("pixels, sound or objects", "scalars")),
        };
        let cells = match &field.kind {
            Kind::Number => array.as_primitive_opt::<Float64Type>().map(Cells::Numbers),
            Kind::Date => array.as_primitive_opt::<TimestampMicrosecondType>().map(Cells::Dates),
            Kind::Category { .. } | Kind::Text => array.as_string_opt::<i32>().map(Cells::Texts),
            other => return Err(wrong(other.word(), "a number, category, date, text or image")),
        };
        cells.ok_or_else(|| wrong(&array.data_type().to_string(), field.kind.word()))
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Cells::Numbers(array) => array.len(),
            Cells::Dates(array) => array.len(),
            Cells::Texts(array) => array.len(),
            Cells::Images(images) => images.len(),
        }
    }

    /// What stands in the cell, as text; none where it is missing. Equal numbers have equal texts; an image's is its pixels' hash.
    pub fn text(&self, row: usize) -> Option<Cow<'a, str>> {
        match self {
            Cells::Numbers(array) => {
                array.is_valid(row).then(|| array.value(row)).filter(|x| !x.is_nan()).map(|x| (x + 0.0).to_string().into())
            }
            Cells::Dates(array) => array.is_valid(row).then(|| array.value(row).to_string().into()),
            Cells::Texts(array) => array.is_valid(row).then(|| array.value(row).into()),
            Cells::Images(images) => Some(print(images, row).to_hex().to_string().into()),
        }
    }

    /// The column as codes. Those of numbers and dates ascend with the value, those of texts and images come in order of first appearance.
    pub fn codes(&self) -> Codes {
        match self {
            Cells::Numbers(array) => rank(array.len(), array.iter().map(|value| value.filter(|x| !x.is_nan()).map(|x| ordered(x + 0.0)))),
            Cells::Dates(array) => rank(array.len(), array.iter().map(|value| value.map(|x| (x as u64) ^ (1 << 63)))),
            Cells::Texts(array) => number(array.iter()),
            Cells::Images(images) => image_codes(&[images]),
        }
    }

    /// The numbers as `f64`, NaN where missing or infinite; none for other kinds.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let Cells::Numbers(array) = self else { return None };
        let finite = |value: f64| if value.is_finite() { value } else { f64::NAN };
        Some(match array.null_count() {
            0 => array.values().iter().map(|&value| finite(value)).collect(),
            _ => array.iter().map(|value| finite(value.unwrap_or(f64::NAN))).collect(),
        })
    }
}

/// A whole number whose order is the float's.
fn ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn rank(rows: usize, keys: impl Iterator<Item = Option<u64>>) -> Codes {
    let mut sorted: Vec<(u64, u32)> = keys.zip(0u32..).filter_map(|(key, row)| key.map(|key| (key, row))).collect();
    sorted.sort_unstable();
    let mut code = vec![MISSING; rows];
    let mut distinct = 0;
    for (place, &(key, row)) in sorted.iter().enumerate() {
        distinct += usize::from(place == 0 || sorted[place - 1].0 != key);
        code[row as usize] = distinct as u32 - 1;
    }
    Codes { code, distinct }
}

fn number<K: Eq + std::hash::Hash>(keys: impl Iterator<Item = Option<K>>) -> Codes {
    let mut known: foldhash::HashMap<K, u32> = foldhash::HashMap::default();
    let code = keys
        .map(|key| {
            key.map_or(MISSING, |key| {
                let next = known.len() as u32;
                *known.entry(key).or_insert(next)
            })
        })
        .collect();
    Codes { code, distinct: known.len() }
}

/// Codes of the images of several columns, one column below the other.
fn image_codes(columns: &[&Images]) -> Codes {
    let prints = |images: &&Images| (0..images.len()).into_par_iter().map(|row| print(images, row)).collect::<Vec<_>>();
    let prints: Vec<Vec<blake3::Hash>> = columns.iter().map(prints).collect();
    number(prints.iter().flatten().map(|print| Some(print.as_bytes())))
}

/// A hash of an image's shape and pixels.
pub(crate) fn print(images: &Images, row: usize) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    images.shape(row).iter().for_each(|side| {
        hasher.update(&side.to_le_bytes());
    });
    hasher.update(images.pixels(row)).finalize()
}

/// A fingerprint of 128 bits, word by word: of other words it is another one but for odds of 2^-128. Fingerprints stand in files, so they must
/// never change.
#[derive(Clone, Copy)]
pub(crate) struct Fingerprint(u64, u64);

impl Fingerprint {
    /// Of nothing yet.
    pub const EMPTY: Fingerprint = Fingerprint(1, 2);

    /// Takes a word in.
    pub fn stir(&mut self, word: u64) {
        *self = Fingerprint(Draw::value(self.0, word), Draw::value(self.1, word));
    }

    /// Takes bytes in, whose number the caller takes in.
    pub fn stir_bytes(&mut self, bytes: &[u8]) {
        words(bytes).for_each(|word| self.stir(word));
    }

    /// The fingerprint.
    pub fn value(self) -> u128 {
        u128::from(self.0) << 64 | u128::from(self.1)
    }
}

/// A hash of 64 bits; never 0, which is free to stand for a missing cell.
pub(crate) fn hash(key: u64, bytes: &[u8]) -> u64 {
    words(bytes).fold(Draw::value(key, bytes.len() as u64), Draw::value).max(1)
}

/// Eight bytes a word, the last one filled up with zeros.
fn words(bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    bytes.chunks(8).map(|bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    })
}

/// Fingerprints of rows: equal where all codes are equal.
pub(crate) fn fingerprints<'c>(rows: usize, columns: impl Iterator<Item = &'c Codes>) -> Vec<u128> {
    let mut prints = vec![Fingerprint::EMPTY; rows];
    for column in columns {
        prints.iter_mut().zip(&column.code).for_each(|(print, &code)| print.stir(u64::from(code)));
    }
    prints.into_iter().map(Fingerprint::value).collect()
}

/// A column of the batch, whatever its role.
pub(crate) fn column<'b>(batch: &'b Batch, name: &str) -> Option<&'b Column> {
    batch.inputs.get(name).or_else(|| batch.keys.get(name)).or_else(|| batch.targets.get(name))
}

/// A column of scalars of one batch with, below it, the same column of a test file of so many rows, which may come without it.
pub(crate) fn joined(field: &Field, own: &Batch, test: Option<(&Batch, usize)>) -> Result<Column> {
    let wrong = |found: &str| Error::input(format!("column {}", field.name), found, "scalars in every row");
    let array = |batch: &Batch| column(batch, &field.name).and_then(Column::array).cloned();
    let own = array(own).ok_or_else(|| wrong("nothing"))?;
    let Some((test, rows)) = test else { return Ok(Column::Array(own)) };
    let other = array(test).unwrap_or_else(|| new_null_array(own.data_type(), rows));
    let all = arrow_select::concat::concat(&[&*own, &*other]);
    all.map(Column::Array).map_err(|error| wrong(&format!("another type in the test file ({error})")))
}

/// The codes of a [`joined`] column. Pixels are compared where they lie.
pub(crate) fn joined_codes(field: &Field, own: &Batch, test: Option<(&Batch, usize)>) -> Result<Codes> {
    let images = |batch| column(batch, &field.name).and_then(Column::images);
    match (images(own), test) {
        (Some(images), None) => Ok(image_codes(&[images])),
        (Some(own), Some((test, _))) => {
            let missing =
                || Error::input(format!("column {}", field.name), "no images in the test file", "images, as in the training file");
            Ok(image_codes(&[own, images(test).ok_or_else(missing)?]))
        }
        (None, test) => Ok(Cells::open(field, &joined(field, own, test)?)?.codes()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use cupola_task::{Columns, Role, Schema, Table};
    use std::sync::Arc;

    /// A column of numbers, NaN standing for null.
    pub(crate) fn numbers(values: impl IntoIterator<Item = f64>) -> (Kind, Column) {
        let array: Float64Array = values.into_iter().map(|value| (!value.is_nan()).then_some(value)).collect();
        (Kind::Number, Column::Array(Arc::new(array)))
    }

    /// A column of classes, the empty text standing for null.
    pub(crate) fn classes<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> (Kind, Column) {
        let array: StringArray =
            values.into_iter().map(|value| Some(value.as_ref().to_owned()).filter(|value| !value.is_empty())).collect();
        (Kind::Category { classes: Arc::from([]) }, Column::Array(Arc::new(array)))
    }

    /// A column of texts, the empty text standing for null.
    pub(crate) fn texts<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> (Kind, Column) {
        (Kind::Text, classes(values).1)
    }

    /// A column of dates in microseconds.
    pub(crate) fn dates(values: impl IntoIterator<Item = Option<i64>>) -> (Kind, Column) {
        let array: TimestampMicrosecondArray = values.into_iter().collect();
        (Kind::Date, Column::Array(Arc::new(array)))
    }

    /// A raw table of those columns.
    pub(crate) fn table(columns: Vec<(&str, Role, (Kind, Column))>) -> Table {
        let field = |name: &str, role, kind| Field { name: name.into(), role, kind };
        let schema = Schema { fields: columns.iter().map(|(name, role, (kind, _))| field(name, *role, kind.clone())).collect() };
        let columns = columns.into_iter().map(|(name, _, (_, column))| (name.into(), column)).collect();
        Table::new(schema, Columns::new(columns)).unwrap()
    }

    #[test]
    fn codes_are_equal_where_cells_are() {
        let (kind, column) = numbers([3.0, f64::NAN, -0.0, -1.5, 0.0, f64::INFINITY, 3.0]);
        let field = Field { name: "x".into(), kind, role: Role::Input };
        let cells = Cells::open(&field, &column).unwrap();
        let codes = cells.codes();
        assert_eq!((codes.code, codes.distinct), (vec![2, MISSING, 1, 0, 1, 3, 2], 4));
        assert_eq!((cells.text(2), cells.text(1)), (Some("0".into()), None));
        let (_, texts) = classes(["b", "", "a", "b"]);
        let error = Cells::open(&field, &texts).map(|cells| cells.len()).unwrap_err();
        assert_eq!(error.to_string(), "column x: found Utf8, wanted number");
        let field = Field { kind: Kind::Text, ..field };
        assert_eq!(Cells::open(&field, &texts).unwrap().codes().code, [0, MISSING, 1, 0]);
    }
}
