//! Golden rows: raw rows with the answers they got when the file was written.

use super::exact::Exact;
use super::pictures::{self, Picture};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, PrimitiveArray, StringArray};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};
use cupola_task::{Answer, Column, Columns, Draw, Math};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// How many golden rows a file keeps at most.
pub const GOLDEN_ROWS: usize = 64;

/// A wide table keeps fewer rows, so that opening stays quick. Every value of a pixel counts as a cell.
const CELLS_MAX: usize = 200_000;

/// Beyond this a model would not be the one that was saved.
const TOLERANCE_MAX: f64 = 0.1;

/// Which rows become golden.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GoldenMode {
    /// Rows of the data, as they are.
    #[default]
    Real,
    /// Values of the data, each column shuffled on its own; rows that happen to be real are left out, so that none is in the file.
    Shuffled,
    /// None.
    Off,
}

/// What a replay of golden rows found.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Verified {
    /// How many rows gave the answers they gave before.
    pub rows: usize,
    /// How many golden rows the file has.
    pub of: usize,
    /// The largest difference, relative to the largest golden answer; 0 where all were the same bit for bit.
    pub difference_max: f64,
}

/// Typed raw inputs and their answers.
#[derive(Clone, Debug, Default)]
pub(super) struct Golden {
    pub(super) mode: GoldenMode,
    pub(super) inputs: Columns,
    pub(super) answers: Vec<GoldenAnswer>,
}

/// One target's answers, and how equal they must be when they are asked for again.
#[derive(Clone, Debug)]
pub(super) struct GoldenAnswer {
    pub(super) target: Arc<str>,
    pub(super) math: Math,
    pub(super) answer: Answer,
}

#[derive(Serialize, Deserialize)]
struct GoldenRecord {
    mode: GoldenMode,
    inputs: Vec<(Arc<str>, Cells)>,
    answers: Vec<AnswerRecord>,
}

#[derive(Serialize, Deserialize)]
struct AnswerRecord {
    target: Arc<str>,
    /// The largest difference relative to the largest answer; none where answers must be the same bit for bit.
    tolerance: Option<f64>,
    answer: Answered,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Cells {
    Numbers(Vec<Option<Exact>>),
    Wholes(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
    /// Microseconds since 1970 in UTC.
    Moments(Vec<Option<i64>>),
    Images(Vec<Picture>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answered {
    Scores { classes: Arc<[Arc<str>]>, values: Vec<Exact> },
    Numbers { values: Vec<Exact>, range: Option<Vec<[Exact; 2]>> },
    Texts(Vec<String>),
    Vectors { width: usize, values: Vec<Exact> },
}

/// The input rows that become golden: the first of the given ones, shuffled if asked for.
pub(super) fn choose(inputs: &Columns, mode: GoldenMode, draw: Draw) -> Columns {
    let inputs = &pictures::few(inputs, CELLS_MAX);
    let limit = (CELLS_MAX / cells_of_row(inputs).max(1)).clamp(1, GOLDEN_ROWS);
    match mode {
        GoldenMode::Off => Columns::default(),
        GoldenMode::Real => inputs.take(&(0..inputs.rows().min(limit) as u64).collect::<Vec<_>>()),
        GoldenMode::Shuffled => shuffle(inputs, limit, draw.stream("golden")),
    }
}

/// The cells of the largest of the first rows.
fn cells_of_row(inputs: &Columns) -> usize {
    let cells = |column: &Column| match column.images() {
        Some(images) => images.shapes().take(GOLDEN_ROWS).map(|shape| shape.iter().product::<u32>() as usize).max().unwrap_or(0),
        None => 1,
    };
    inputs.iter().map(|(_, column)| cells(column)).sum()
}

fn shuffle(inputs: &Columns, limit: usize, draw: Draw) -> Columns {
    let order = |place: usize| draw.at(place as u64).permutation(inputs.rows() as u64);
    let has_images = inputs.iter().any(|(_, column)| column.images().is_some());
    let mix = |(place, (name, column)): (usize, (&Arc<str>, &Column))| match column.images() {
        Some(images) => (name.clone(), Column::Images(pictures::mixed(images, limit, draw.at(place as u64)))),
        None if has_images => (name.clone(), column.take(&order(place)[..inputs.rows().min(limit)])),
        None => (name.clone(), column.take(&order(place))),
    };
    if has_images && inputs.rows() < pictures::MIXED_MIN {
        return inputs.take(&[]);
    }
    let mixed = Columns::new(inputs.iter().enumerate().map(mix).collect());
    if has_images {
        // Mixed pictures are nobody's, so no row of theirs is real.
        return mixed;
    }
    let real: HashSet<u64> = (0..inputs.rows()).map(|row| row_hash(inputs, row)).collect();
    let kept: Vec<u64> =
        (0..mixed.rows()).filter(|&row| !real.contains(&row_hash(&mixed, row))).take(limit).map(|row| row as u64).collect();
    mixed.take(&kept)
}

/// Equal for rows of equal cells. Tables of millions of rows come here, so cells are not made texts.
fn row_hash(columns: &Columns, row: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    for array in columns.iter().filter_map(|(_, column)| column.array()) {
        array.is_null(row).hash(&mut hasher);
        match array.data_type() {
            _ if array.is_null(row) => {}
            DataType::Utf8 => array.as_string::<i32>().value(row).hash(&mut hasher),
            DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_bits().hash(&mut hasher),
            DataType::Timestamp(TimeUnit::Microsecond, _) => array.as_primitive::<TimestampMicrosecondType>().value(row).hash(&mut hasher),
            _ => format!("{:?}", array.slice(row, 1)).hash(&mut hasher),
        }
    }
    hasher.finish()
}

impl Golden {
    /// The JSON that a file keeps.
    pub(super) fn record(&self) -> Result<impl Serialize + use<>> {
        let inputs = self.inputs.iter().map(|(name, column)| Ok((name.clone(), Cells::from_column(name, column)?)));
        let answers = self.answers.iter().map(GoldenAnswer::record);
        Ok(GoldenRecord { mode: self.mode, inputs: inputs.collect::<Result<_>>()?, answers: answers.collect::<Result<_>>()? })
    }

    /// Reads it back. Columns must be equally long and answers complete.
    pub(super) fn read(place: &str, bytes: &[u8]) -> Result<Golden> {
        let record: GoldenRecord = super::manifest::from_json(place, bytes)?;
        let rows = record.inputs.first().map_or(0, |(_, cells)| cells.len());
        let mut names = HashSet::new();
        let ragged = record.inputs.iter().find(|(name, cells)| cells.len() != rows || !names.insert(name.clone()));
        if let Some((name, cells)) = ragged {
            return Err(Error::artifact(place, format!("{} cells of {name}", cells.len()), format!("{rows} cells of each column, once")));
        }
        let answers = record.answers.into_iter().map(|answer| answer.read(place, rows)).collect::<Result<_>>()?;
        let inputs = record.inputs.into_iter().map(|(name, cells)| Ok((name, cells.into_column(place)?)));
        Ok(Golden { mode: record.mode, inputs: Columns::new(inputs.collect::<Result<_>>()?), answers })
    }

    /// Holds answers to these golden rows against what they were; the largest relative difference.
    pub(super) fn compare(&self, target: &str, rows: Range<usize>, found: &Answer) -> Result<f64> {
        let place = format!("golden rows {}..{} of {target}", rows.start, rows.end);
        let kept = self.answers.iter().find(|kept| &*kept.target == target);
        let GoldenAnswer { math, answer: wanted, .. } =
            kept.ok_or_else(|| Error::artifact(&place, "no answers kept", "an answer for each row"))?;
        if !alike(found, wanted) {
            return Err(Error::artifact(&place, "answers of another shape", "the answers kept in the file"));
        }
        let (width, wanted) = flat(wanted)?;
        let (_, found) = flat(found)?;
        let largest = wanted.cells().iter().map(|value| value.abs()).filter(|value| value.is_finite()).fold(0.0, f64::max);
        found.compare(&wanted.rows(rows, width), largest, *math).map_err(|(found, wanted)| {
            Error::artifact(place, found, wanted)
                .with_hint("the model does not answer as it did when it was saved: train it again on this machine")
        })
    }
}

impl GoldenAnswer {
    fn record(&self) -> Result<AnswerRecord> {
        let tolerance = match self.math {
            Math::Exact => None,
            Math::Rounded(limit) => Some(limit),
        };
        Ok(AnswerRecord { target: self.target.clone(), tolerance, answer: Answered::from_answer(&self.target, &self.answer)? })
    }
}

impl AnswerRecord {
    fn read(self, place: &str, rows: usize) -> Result<GoldenAnswer> {
        let wrong = |found: String, wanted: &str| Error::artifact(format!("{place}: answers of {}", self.target), found, wanted);
        let math = match self.tolerance {
            None => Math::Exact,
            Some(limit) if (0.0..=TOLERANCE_MAX).contains(&limit) => Math::Rounded(limit),
            Some(limit) => return Err(wrong(format!("tolerance {limit}"), "0..0.1")),
        };
        let answer = self.answer.into_answer();
        match flat(&answer)?.1.len() {
            found if found == rows => Ok(GoldenAnswer { target: self.target, math, answer }),
            found => Err(wrong(format!("{found} answers"), "one for each golden row")),
        }
    }
}

impl Cells {
    fn from_column(name: &str, column: &Column) -> Result<Cells> {
        if let Some(images) = column.images() {
            return Ok(Cells::Images(pictures::kept(images)));
        }
        let array = column.array().ok_or_else(|| unsupported(name, "no scalars"))?;
        let unit = DataType::Timestamp(TimeUnit::Microsecond, None);
        let (as_type, wrap): (DataType, fn(&ArrayRef) -> Cells) = match array.data_type() {
            DataType::Float64 | DataType::Float32 => {
                (DataType::Float64, |array| Cells::Numbers(cells(array.as_ref(), |a: &Float64Array, i| Exact(a.value(i)))))
            }
            kind if kind.is_integer() => (DataType::Int64, |array| Cells::Wholes(cells(array.as_ref(), |a: &Int64Array, i| a.value(i)))),
            DataType::Boolean => (DataType::Boolean, |array| Cells::Flags(cells(array.as_ref(), |a: &BooleanArray, i| a.value(i)))),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
                (unit, |array| Cells::Moments(cells(array.as_ref(), |a: &PrimitiveArray<TimestampMicrosecondType>, i| a.value(i))))
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                (DataType::Utf8, |array| Cells::Texts(cells(array.as_ref(), |a: &StringArray, i| a.value(i).to_owned())))
            }
            DataType::Null => (DataType::Utf8, |array| Cells::Texts(vec![None; array.len()])),
            other => return Err(unsupported(name, &other.to_string())),
        };
        cast(array, &as_type).map(|array| wrap(&array)).map_err(|error| unsupported(name, &error.to_string()))
    }

    fn len(&self) -> usize {
        match self {
            Cells::Numbers(cells) => cells.len(),
            Cells::Wholes(cells) | Cells::Moments(cells) => cells.len(),
            Cells::Flags(cells) => cells.len(),
            Cells::Texts(cells) => cells.len(),
            Cells::Images(cells) => cells.len(),
        }
    }

    fn into_column(self, place: &str) -> Result<Column> {
        let array: ArrayRef = match self {
            Cells::Images(cells) => return Ok(Column::Images(pictures::read(place, cells)?)),
            Cells::Numbers(cells) => Arc::new(cells.into_iter().map(|cell| cell.map(|exact| exact.0)).collect::<Float64Array>()),
            Cells::Wholes(cells) => Arc::new(cells.into_iter().collect::<Int64Array>()),
            Cells::Flags(cells) => Arc::new(cells.into_iter().collect::<BooleanArray>()),
            Cells::Texts(cells) => Arc::new(cells.into_iter().collect::<StringArray>()),
            Cells::Moments(cells) => Arc::new(cells.into_iter().collect::<PrimitiveArray<TimestampMicrosecondType>>()),
        };
        Ok(Column::Array(array))
    }
}

fn cells<A: Array + 'static, T>(array: &dyn Array, value: impl Fn(&A, usize) -> T) -> Vec<Option<T>> {
    let array = array.as_any().downcast_ref::<A>().expect("the array was cast to this type");
    (0..array.len()).map(|row| array.is_valid(row).then(|| value(array, row))).collect()
}

fn unsupported(name: &str, what: &str) -> Error {
    let hint = Some("golden=off keeps none".to_owned());
    cupola_task::Error::Unsupported { what: format!("column {name} ({what})"), by: "golden rows".to_owned(), hint }.into()
}

impl Answered {
    fn from_answer(name: &str, answer: &Answer) -> Result<Answered> {
        let exact = |values: &[f64]| values.iter().copied().map(Exact).collect();
        match answer {
            Answer::Scores { classes, values } => Ok(Answered::Scores { classes: classes.names().clone(), values: exact(values) }),
            Answer::Numbers { values, range } => {
                let range = range.as_ref().map(|range| range.iter().map(|ends| ends.map(Exact)).collect());
                Ok(Answered::Numbers { values: exact(values), range })
            }
            Answer::Texts(texts) => Ok(Answered::Texts(texts.clone())),
            Answer::Vectors { width, values } => {
                Ok(Answered::Vectors { width: *width, values: values.iter().map(|&value| Exact(f64::from(value))).collect() })
            }
            _ => Err(unsupported(name, "an answer that is neither scores, numbers, texts nor vectors")),
        }
    }

    fn into_answer(self) -> Answer {
        let plain = |values: Vec<Exact>| values.into_iter().map(|exact| exact.0).collect();
        match self {
            Answered::Scores { classes, values } => Answer::Scores { classes: classes.into(), values: plain(values) },
            Answered::Numbers { values, range } => {
                let range = range.map(|range| range.into_iter().map(|ends| ends.map(|exact| exact.0)).collect());
                Answer::Numbers { values: plain(values), range }
            }
            Answered::Texts(texts) => Answer::Texts(texts),
            Answered::Vectors { width, values } => {
                Answer::Vectors { width, values: values.into_iter().map(|exact| exact.0 as f32).collect() }
            }
        }
    }
}

/// Answers as cells in row order, whatever they are made of.
enum Flat {
    Numbers(Vec<f64>, usize),
    Texts(Vec<String>),
}

impl Flat {
    fn len(&self) -> usize {
        match self {
            Flat::Numbers(values, width) => values.len() / width,
            Flat::Texts(texts) => texts.len(),
        }
    }

    fn cells(&self) -> &[f64] {
        match self {
            Flat::Numbers(values, _) => values,
            Flat::Texts(_) => &[],
        }
    }

    fn rows(&self, rows: Range<usize>, width: usize) -> Flat {
        match self {
            Flat::Numbers(values, _) => Flat::Numbers(values[rows.start * width..rows.end * width].to_vec(), width),
            Flat::Texts(texts) => Flat::Texts(texts[rows].to_vec()),
        }
    }

    /// The largest difference relative to `largest`, or the first pair that differs too much.
    fn compare(&self, wanted: &Flat, largest: f64, math: Math) -> Result<f64, (String, String)> {
        if self.len() != wanted.len() {
            return Err((format!("{} answers", self.len()), format!("{}", wanted.len())));
        }
        if let (Flat::Texts(found), Flat::Texts(wanted)) = (self, wanted) {
            return found.iter().zip(wanted).find(|(a, b)| a != b).map_or(Ok(0.0), |(a, b)| Err((a.clone(), b.clone())));
        }
        let mut difference_max = 0.0f64;
        for (&found, &wanted) in self.cells().iter().zip(wanted.cells()) {
            let same = found.to_bits() == wanted.to_bits() || (found.is_nan() && wanted.is_nan());
            let difference = if same { 0.0 } else { (found - wanted).abs() / largest.max(f64::MIN_POSITIVE) };
            let near = matches!(math, Math::Rounded(limit) if difference <= limit);
            if !same && !near {
                return Err((found.to_string(), wanted.to_string()));
            }
            difference_max = difference_max.max(difference);
        }
        Ok(difference_max)
    }
}

fn flat(answer: &Answer) -> Result<(usize, Flat)> {
    let (width, values) = match answer {
        Answer::Scores { classes, values } => (classes.len(), values.clone()),
        Answer::Numbers { values, range: None } => (1, values.clone()),
        Answer::Numbers { values, range: Some(range) } if range.len() == values.len() => {
            (3, values.iter().zip(range).flat_map(|(&value, &[low, high])| [value, low, high]).collect())
        }
        Answer::Vectors { width, values } => (*width, values.iter().map(|&value| f64::from(value)).collect()),
        Answer::Texts(texts) => return Ok((1, Flat::Texts(texts.clone()))),
        _ => return Err(unsupported("answer", "an answer of another kind")),
    };
    if width == 0 || values.len() % width != 0 {
        return Err(Error::artifact("golden answers", format!("{} values in rows of {width}", values.len()), "whole rows"));
    }
    Ok((width, Flat::Numbers(values, width)))
}

fn alike(found: &Answer, wanted: &Answer) -> bool {
    match (found, wanted) {
        (Answer::Scores { classes: a, .. }, Answer::Scores { classes: b, .. }) => a.names() == b.names(),
        (Answer::Numbers { range: a, .. }, Answer::Numbers { range: b, .. }) => a.is_some() == b.is_some(),
        (Answer::Vectors { width: a, .. }, Answer::Vectors { width: b, .. }) => a == b,
        (Answer::Texts(_), Answer::Texts(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Columns {
        let moments = PrimitiveArray::<TimestampMicrosecondType>::from(vec![Some(1), None, Some(-5)]);
        let arrays: [(&str, ArrayRef); 4] = [
            ("x", Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0)]))),
            ("word", Arc::new(StringArray::from(vec![Some("a"), None, Some("")]))),
            ("when", Arc::new(moments)),
            ("whole", Arc::new(Int64Array::from(vec![i64::MAX, 0, i64::MIN]))),
        ];
        Columns::new(arrays.into_iter().map(|(name, array)| (name.into(), Column::Array(array))).collect())
    }

    fn golden(answer: Answer, math: Math) -> Golden {
        Golden { mode: GoldenMode::Real, inputs: columns(), answers: vec![GoldenAnswer { target: "y".into(), math, answer }] }
    }

    #[test]
    fn read_gives_back_what_record_keeps() {
        let range = Some(vec![[0.1, f64::INFINITY]; 3]);
        let golden = golden(Answer::Numbers { values: vec![0.1 + 0.2, f64::NAN, -0.0], range }, Math::Exact);
        let bytes = serde_json::to_vec(&golden.record().unwrap()).unwrap();
        let back = Golden::read("m", &bytes).unwrap();
        assert_eq!(format!("{:?}", back.inputs), format!("{:?}", golden.inputs));
        assert_eq!(back.compare("y", 0..3, &golden.answers[0].answer).unwrap(), 0.0);
    }

    #[test]
    fn compare_is_exact_or_to_a_tolerance() {
        let answers = Answer::Numbers { values: vec![100.0, 0.0, 1.0], range: None };
        let near = Answer::Numbers { values: vec![1e-8], range: None };
        let rounded = golden(answers.clone(), Math::Rounded(1e-9));
        assert_eq!(rounded.compare("y", 1..2, &near).unwrap(), 1e-10);
        assert!(rounded.compare("y", 0..2, &near).is_err(), "one answer for two rows");
        let error = golden(answers, Math::Exact).compare("y", 1..2, &near).unwrap_err();
        assert_eq!(error.to_string(), "golden rows 1..2 of y: found 0.00000001, wanted 0");
    }

    #[test]
    fn shuffled_rows_are_no_real_rows() {
        let number = |scale: f64| Column::Array(Arc::new((0..80).map(|i| Some(f64::from(i % 40) * scale)).collect::<Float64Array>()));
        let real = Columns::new(vec![("a".into(), number(1.0)), ("b".into(), number(2.0))]);
        let mixed = choose(&real, GoldenMode::Shuffled, Draw::new(5));
        let rows: HashSet<u64> = (0..80).map(|row| row_hash(&real, row)).collect();
        assert!(rows.len() == 40 && mixed.rows() > 50 && (0..mixed.rows()).all(|row| !rows.contains(&row_hash(&mixed, row))));
        assert_eq!(choose(&real, GoldenMode::Off, Draw::new(5)).len(), 0);
        assert_eq!(choose(&real, GoldenMode::Real, Draw::new(5)).rows(), GOLDEN_ROWS);
    }

    #[test]
    fn pictures_are_few_and_small() {
        let images = |rows: u32, side: u32| {
            let pixels = (0..rows * side * side).map(|place| (place % 251) as u8).collect();
            Column::Images(cupola_task::Images::packed(pixels, (0..rows).map(|_| [side, side, 1])))
        };
        let ages = |rows: u32| Column::Array(Arc::new((0..rows).map(|row| Some(f64::from(row))).collect::<Float64Array>()));
        let inputs = |rows, side| Columns::new(vec![("image".into(), images(rows, side)), ("age".into(), ages(rows))]);
        for (rows, side, real, shuffled) in [(300, 28, 64, 64), (300, 100, 19, 19), (2, 28, 2, 0), (5, 1000, 1, 1)] {
            let count = |mode| choose(&inputs(rows, side), mode, Draw::new(5)).rows();
            assert_eq!((count(GoldenMode::Real), count(GoldenMode::Shuffled)), (real, shuffled), "{rows} of {side}");
        }
        let inputs = choose(&inputs(300, 28), GoldenMode::Real, Draw::new(5));
        let golden = Golden { mode: GoldenMode::Real, inputs, answers: vec![] };
        let bytes = serde_json::to_vec(&golden.record().unwrap()).unwrap();
        let back = Golden::read("m", &bytes).unwrap();
        assert_eq!(back.inputs.get("image").and_then(Column::images), golden.inputs.get("image").and_then(Column::images));
        assert!(bytes.len() < 80_000, "{} bytes", bytes.len());
    }
}
