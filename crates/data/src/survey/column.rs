//! One column: what is counted about it as rows pass, and what that says in the end.

use super::sketch::{Values, hash_number, hash_text, shown};
use crate::conform::{category_text, number, number_text};
use crate::infer::{is_code, names_rows};
use crate::profile::SHARES;
use crate::{ColumnType, Inferred, Places, date, infer};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use cupola_task::{Column, Columns, Images};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bins of a histogram.
const BINS: usize = 20;
/// Frequent values that are told.
const FREQUENT: usize = 20;
/// A share of one value from which on a column is nearly constant.
const NEARLY: f64 = 0.99;
/// Shares of missing cells, of zeros and of outliers that are worth a word.
const MISSING_MANY: f64 = 0.2;
const ZEROS_MANY: f64 = 0.5;
const OUTLIERS_MANY: f64 = 0.01;
/// A category of more distinct values, and of more than this share of its rows, is hard to learn from.
const NAMES_MANY: u64 = 50;
const NAMES_SHARE: f64 = 0.05;
/// Letters that one name may be written with and without.
const SPELLING: [char; 6] = [' ', '-', '_', '.', '\'', '/'];
/// Absolute skewness from which on it is worth a word.
const SKEWED: f64 = 3.0;

/// What a column holds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ColumnSurvey {
    /// Its name.
    pub name: Arc<str>,
    /// Its type: a word of the recipe, or `mixed`.
    #[serde(rename = "type")]
    pub column_type: String,
    /// Why.
    pub reason: String,
    /// Cells that are there.
    pub values: u64,
    /// Cells that are not.
    pub missing: u64,
    /// Distinct values.
    pub distinct: u64,
    /// Whether that was counted; else it is an estimate with a standard error of 1.1 %.
    pub is_distinct_exact: bool,
    /// The most frequent values.
    pub frequent: Vec<Frequent>,
    /// Numbers, dates among them (as microseconds since 1970).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Numbers>,
    /// Texts and categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// Pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<Pictures>,
    /// What deserves a look.
    pub hints: Vec<Hint>,
}

impl ColumnSurvey {
    /// One of its numbers as people write it: a date as its day, a number in few digits.
    pub fn told(&self, number: f64) -> String {
        let size = number.abs();
        match self.column_type.as_str() {
            "date" => date::iso(number.round() as i64),
            _ if number.fract() == 0.0 && size < 1e15 => format!("{number:.0}"),
            _ if !(1e-4..1e7).contains(&size) => format!("{number:.4e}"),
            _ => number_text(short(number)),
        }
    }
}

/// Five significant digits, more before the point.
fn short(number: f64) -> f64 {
    let scale = 10f64.powf(4.0 - number.abs().log10().floor()).max(1.0);
    (number * scale).round() / scale
}

/// A value that comes often.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Frequent {
    /// As it is written, cut when long.
    pub value: String,
    /// How often; of a column with very many distinct values too small by at most a thousandth of the rows.
    pub count: u64,
}

/// How numbers lie.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Numbers {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation (of the rows, not of a population behind them).
    pub std: f64,
    /// Third standardised moment.
    pub skewness: f64,
    /// At 1, 5, 10, 25, 50, 75, 90, 95 and 99 %.
    pub quantiles: Vec<f64>,
    /// Rows in each of 20 bins of equal width from `min` to `max`.
    pub histogram: Vec<u64>,
    /// Whether quantiles and histogram are counted, not sketched.
    pub is_exact: bool,
    /// Zeros.
    pub zeros: u64,
    /// Numbers below zero.
    pub negative: u64,
    /// Infinite ones, which are not in the other figures.
    pub infinite: u64,
    /// Rows farther than three quartile distances outside of the quartiles.
    pub outliers: u64,
    /// Whether all are whole.
    pub is_whole: bool,
}

/// How texts are.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Texts {
    /// Fewest characters.
    pub min: u64,
    /// Most characters.
    pub max: u64,
    /// Characters in the mean.
    pub mean: f64,
    /// Words in the mean.
    pub words: f64,
    /// Values with blanks at their ends.
    pub padded: u64,
}

/// How pictures are.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pictures {
    /// Smallest height and width.
    pub min: [u32; 2],
    /// Largest height and width.
    pub max: [u32; 2],
    /// How many are in colour.
    pub colour: u64,
}

/// What a hint is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HintKind {
    /// One value, or none.
    Constant,
    /// One value nearly everywhere.
    NearConstant,
    /// A category of very many values.
    HighCardinality,
    /// Numbers and texts.
    MixedTypes,
    /// Many cells are missing.
    Missing,
    /// A long tail.
    Skewed,
    /// Values far from all others.
    Outliers,
    /// Mostly zero.
    Zeros,
    /// Infinite numbers.
    Infinite,
    /// One name written in several ways.
    InconsistentLabels,
    /// Blanks around values.
    Padded,
    /// Names the rows.
    Identifier,
}

/// Something that deserves a look.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Hint {
    /// What it is about.
    pub kind: HintKind,
    /// As a sentence without its full stop.
    pub sentence: String,
}

/// What a chunk of the column gives to what looks at rows: a number for each value (0 where it is missing), and numbers (NaN where there is none).
pub(super) struct Seen {
    pub keys: Vec<u64>,
    pub numbers: Vec<f64>,
}

/// The column as it passes.
pub(super) struct Passing {
    pub name: Arc<str>,
    pub inferred: Option<Inferred>,
    /// What was wrong with the type, when nothing could be inferred.
    doubt: Option<String>,
    pub is_target: bool,
    pub values: Values,
    rows: u64,
    missing: u64,
    numbers: Moments,
    /// Values that are no number, and the first of them with its place.
    odd: u64,
    first_odd: Option<String>,
    /// Texts that do not fit the date's format.
    undated: u64,
    codes: u64,
    is_rising: bool,
    last: f64,
    texts: Lengths,
    pictures: Option<Pictures>,
    /// A sampled row's number, as bits, or its key.
    pub sample: Vec<u64>,
}

#[derive(Default)]
struct Moments {
    count: u64,
    mean: f64,
    m2: f64,
    m3: f64,
    min: f64,
    max: f64,
    zeros: u64,
    negative: u64,
    infinite: u64,
    fractional: u64,
}

#[derive(Default)]
struct Lengths {
    count: u64,
    min: u64,
    max: u64,
    characters: u64,
    words: u64,
    padded: u64,
}

impl Moments {
    /// Pébay's update ("Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical moments", 2008).
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.infinite += 1;
            return;
        }
        let before = self.count as f64;
        (self.min, self.max) = if self.count == 0 { (value, value) } else { (self.min.min(value), self.max.max(value)) };
        self.count += 1;
        let n = self.count as f64;
        let delta = value - self.mean;
        let part = delta / n;
        let term = delta * part * before;
        self.m3 += term * part * (n - 2.0) - 3.0 * part * self.m2;
        self.m2 += term;
        self.mean += part;
        self.zeros += u64::from(value == 0.0);
        self.negative += u64::from(value < 0.0);
        self.fractional += u64::from(value.fract() != 0.0);
    }
}

impl Lengths {
    fn add(&mut self, text: &str, trimmed: &str) {
        let characters = text.chars().count() as u64;
        self.min = if self.count == 0 { characters } else { self.min.min(characters) };
        self.max = self.max.max(characters);
        self.count += 1;
        self.characters += characters;
        self.words += trimmed.split_whitespace().count() as u64;
        self.padded += u64::from(trimmed.len() != text.len());
    }
}

impl Passing {
    /// A column whose type is that of its first rows.
    pub fn begin(name: &Arc<str>, first: &Column, is_target: bool, places: &Places, slots: usize) -> Passing {
        let columns = Columns::new(vec![(name.clone(), first.clone())]);
        let targets: Vec<&str> = if is_target { vec![name] } else { vec![] };
        let place = |row: usize| places.place(row);
        let (inferred, doubt) = match infer(&columns, &BTreeMap::new(), &targets, &place) {
            Ok(mut inferred) => (inferred.pop(), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Passing {
            name: name.clone(),
            inferred,
            doubt,
            is_target,
            values: Values::default(),
            rows: 0,
            missing: 0,
            numbers: Moments::default(),
            odd: 0,
            first_odd: None,
            undated: 0,
            codes: 0,
            is_rising: true,
            last: f64::NEG_INFINITY,
            texts: Lengths::default(),
            pictures: None,
            sample: Vec::with_capacity(slots),
        }
    }

    /// Cells that are not there.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    fn date_format(&self) -> Option<String> {
        self.inferred.as_ref().filter(|inferred| inferred.column_type == ColumnType::Date)?.date_format.clone()
    }

    /// Whether sampled rows keep numbers.
    pub fn is_numeric(&self) -> bool {
        let is_number = |inferred: &Inferred| matches!(inferred.column_type, ColumnType::Number | ColumnType::Date);
        self.inferred.as_ref().is_some_and(is_number)
    }

    /// Counts the rows of a chunk.
    pub fn absorb(&mut self, column: &Column, places: &Places, taken: &[(usize, usize)]) -> Seen {
        let seen = match column {
            Column::Array(array) => self.array(array, places),
            Column::Images(images) => self.images(images),
            _ => Seen { keys: vec![0; column.len()], numbers: vec![f64::NAN; column.len()] },
        };
        self.rows += column.len() as u64;
        self.missing += seen.keys.iter().filter(|key| **key == 0).count() as u64;
        for &(slot, row) in taken {
            let value = if self.is_numeric() { seen.numbers[row].to_bits() } else { seen.keys[row] };
            match self.sample.get_mut(slot) {
                Some(kept) => *kept = value,
                None => self.sample.push(value),
            }
        }
        seen
    }

    fn array(&mut self, array: &ArrayRef, places: &Places) -> Seen {
        let mut seen = Seen { keys: vec![0; array.len()], numbers: vec![f64::NAN; array.len()] };
        match array.data_type() {
            DataType::Utf8 => {
                let format = self.date_format();
                for (row, text) in array.as_string::<i32>().iter().enumerate() {
                    if let Some(text) = text {
                        (seen.keys[row], seen.numbers[row]) = self.text(text, format.as_deref(), || places.place(row));
                    }
                }
            }
            DataType::Float64 => {
                for (row, value) in array.as_primitive::<Float64Type>().iter().enumerate() {
                    if let Some(value) = value.filter(|value| !value.is_nan()) {
                        self.number(value);
                        let key = hash_number(value);
                        self.values.add(key, || number_text(value), value);
                        (seen.keys[row], seen.numbers[row]) = (key, finite(value));
                    }
                }
            }
            DataType::Timestamp(..) => {
                for (row, value) in array.as_primitive::<TimestampMicrosecondType>().iter().enumerate() {
                    if let Some(value) = value {
                        let number = value as f64;
                        self.numbers.add(number);
                        let key = hash_number(number);
                        self.values.add(key, || date::iso(value), number);
                        (seen.keys[row], seen.numbers[row]) = (key, number);
                    }
                }
            }
            _ => {}
        }
        seen
    }

    fn number(&mut self, value: f64) {
        self.numbers.add(value);
        self.is_rising &= value > self.last;
        self.last = value;
    }

    fn text(&mut self, text: &str, format: Option<&str>, place: impl Fn() -> String) -> (u64, f64) {
        let trimmed = text.trim();
        if let Some(format) = format {
            let Some(micros) = date::parse(trimmed, format) else {
                self.undated += 1;
                self.first_odd.get_or_insert_with(|| format!("{:?} at {}", shown(trimmed), place()));
                let key = hash_text(trimmed);
                self.values.add(key, || shown(trimmed), f64::NAN);
                return (key, f64::NAN);
            };
            self.numbers.add(micros as f64);
            let key = hash_number(micros as f64);
            self.values.add(key, || date::iso(micros), micros as f64);
            return (key, micros as f64);
        }
        match number(trimmed) {
            Some(value) if !is_code(trimmed) => {
                self.number(value);
                let key = hash_number(value);
                self.values.add(key, || shown(category_text(trimmed)), value);
                (key, finite(value))
            }
            code => {
                self.codes += u64::from(code.is_some());
                if code.is_none() {
                    self.odd += 1;
                    self.first_odd.get_or_insert_with(|| format!("{:?} at {}", shown(trimmed), place()));
                }
                self.texts.add(text, trimmed);
                let name = category_text(trimmed);
                let key = hash_text(name);
                self.values.add(key, || shown(name), f64::NAN);
                (key, f64::NAN)
            }
        }
    }

    fn images(&mut self, images: &Images) -> Seen {
        for shape in images.shapes() {
            let sides = [shape[0], shape[1]];
            let known = self.pictures.get_or_insert(Pictures { min: sides, max: sides, colour: 0 });
            (0..2).for_each(|side| {
                known.min[side] = known.min[side].min(sides[side]);
                known.max[side] = known.max[side].max(sides[side]);
            });
            known.colour += u64::from(shape[2] > 1);
        }
        let keys = (0..images.len()).map(|row| {
            let print = crate::cells::print(images, row);
            print.as_bytes().first_chunk().map_or(1, |head| u64::from_le_bytes(*head)).max(1)
        });
        Seen { keys: keys.collect(), numbers: vec![f64::NAN; images.len()] }
    }

    /// What all rows say. `sampled` is how many rows the type was inferred from.
    pub fn end(mut self, sampled: u64) -> ColumnSurvey {
        let (column_type, reason) = self.verdict(sampled);
        let (distinct, is_distinct_exact) = self.values.distinct();
        let are_values = !matches!(column_type.as_str(), "image");
        let frequent = self.values.frequent(FREQUENT);
        let is_number = matches!(column_type.as_str(), "number" | "date" | "binary" | "id" | "constant") || self.is_target;
        let numbers = if is_number && self.odd + self.codes == 0 { self.spread() } else { None };
        let texts = self.lengths();
        let mut survey = ColumnSurvey {
            name: self.name.clone(),
            column_type,
            reason,
            values: self.rows - self.missing,
            missing: self.missing,
            // An estimate may lie above what there is.
            distinct: if are_values { distinct.min(self.rows - self.missing) } else { 0 },
            is_distinct_exact,
            // Values of which none repeats are no frequent ones.
            frequent: frequent
                .iter()
                .filter(|_| frequent.first().is_some_and(|(_, first)| first.count > 1))
                .map(|(_, known)| Frequent { value: known.text.clone(), count: known.count })
                .collect(),
            numbers,
            texts,
            pictures: self.pictures.clone(),
            hints: vec![],
        };
        survey.hints = self.hints(&survey);
        survey
    }

    fn lengths(&self) -> Option<Texts> {
        let Lengths { count, min, max, characters, words, padded } = self.texts;
        (count > 0).then(|| Texts { min, max, mean: characters as f64 / count as f64, words: words as f64 / count as f64, padded })
    }

    /// The type that holds for all rows, and why.
    fn verdict(&self, sampled: u64) -> (String, String) {
        let values = self.rows - self.missing;
        let (distinct, _) = self.values.distinct();
        let odd = |odd: u64, what: &str| {
            let first = self.first_odd.as_deref().unwrap_or("somewhere");
            format!("{odd} of {values} values are no {what}, the first {first}")
        };
        let Some(inferred) = &self.inferred else {
            return ("mixed".into(), self.doubt.clone().unwrap_or_else(|| odd(self.odd, "numbers")));
        };
        let is_all = self.rows <= sampled;
        let words = |kind: &str| (kind.to_owned(), format!("{distinct} distinct values in {values}"));
        match inferred.column_type {
            _ if is_all => (inferred.column_type.to_string(), inferred.reason.clone()),
            ColumnType::Number | ColumnType::Binary if self.numbers.count > 0 && self.odd > 0 && self.odd * 20 <= values => {
                ("mixed".into(), odd(self.odd, "numbers"))
            }
            ColumnType::Date if self.undated > 0 => ("mixed".into(), odd(self.undated, "dates")),
            ColumnType::Number if self.odd > 0 => words("category"),
            ColumnType::Constant | ColumnType::Binary if distinct > 2 => match self.odd {
                0 => ("number".into(), format!("all {values} values are numbers, {distinct} distinct")),
                _ => words("category"),
            },
            ColumnType::Constant if distinct == 2 => words("binary"),
            ColumnType::Number => ("number".into(), format!("all {values} values are numbers, about {distinct} distinct")),
            known => (known.to_string(), format!("of the first {sampled} rows: {}", inferred.reason)),
        }
    }

    fn spread(&mut self) -> Option<Numbers> {
        let moments = &self.numbers;
        if moments.count == 0 {
            return None;
        }
        let n = moments.count as f64;
        let (min, max) = (moments.min, moments.max);
        // Halves, so that the distance of the extremes is finite.
        let width = max / 2.0 - min / 2.0;
        let edge = |bin: usize| if bin == BINS { max } else { min + 2.0 * width * (bin as f64 / BINS as f64) };
        let edges: Vec<f64> = (1..=BINS).map(edge).collect();
        let (quantiles, below) = self.values.spread(&SHARES, &edges)?;
        let mut histogram = Vec::with_capacity(BINS);
        let mut before = 0;
        for below in below {
            histogram.push(below.saturating_sub(before));
            before = before.max(below);
        }
        let (low, high) = (quantiles[3], quantiles[5]);
        let far = 3.0 * (high - low);
        let outliers = match far > 0.0 {
            true => self
                .values
                .spread(&[0.5], &[low - far, high + far])
                .map_or(0, |(_, below)| below[0] + moments.count.saturating_sub(below[1])),
            false => 0,
        };
        let std = (moments.m2 / n).sqrt();
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        Some(Numbers {
            min,
            max,
            mean: finite(moments.mean),
            std: finite(std),
            skewness: finite(moments.m3 / n / std.powi(3)),
            quantiles,
            histogram,
            is_exact: self.values.exact().is_some(),
            zeros: moments.zeros,
            negative: moments.negative,
            infinite: moments.infinite,
            outliers,
            is_whole: moments.fractional == 0,
        })
    }

    fn hints(&self, survey: &ColumnSurvey) -> Vec<Hint> {
        let mut hints = Vec::new();
        let mut say = |kind: HintKind, sentence: String| hints.push(Hint { kind, sentence });
        let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
        let percent = |share: f64| if share > 0.9995 && share < 1.0 { "over 99.9 %".to_owned() } else { format!("{:.1} %", 100.0 * share) };
        if survey.column_type == "mixed" {
            say(HintKind::MixedTypes, survey.reason.clone());
        }
        let missing = share(self.missing, self.rows);
        if missing >= MISSING_MANY && survey.values > 0 {
            say(HintKind::Missing, format!("{} of the cells are missing", percent(missing)));
        }
        let top = survey.frequent.first();
        match top {
            _ if survey.values == 0 => say(HintKind::Constant, "all cells are missing".into()),
            _ if survey.column_type == "image" => {}
            Some(top) if survey.distinct == 1 => say(HintKind::Constant, format!("every value is {}", top.value)),
            Some(top) if share(top.count, survey.values) >= NEARLY => {
                say(HintKind::NearConstant, format!("{} is {} of the values", top.value, percent(share(top.count, survey.values))));
            }
            _ => {}
        }
        let is_varied = survey.distinct > NAMES_MANY && share(survey.distinct, survey.values) > NAMES_SHARE;
        if survey.column_type == "category" && is_varied && !self.is_target {
            say(HintKind::HighCardinality, format!("{} distinct names in {} values", survey.distinct, survey.values));
        }
        if survey.column_type == "number" && self.numbers.fractional == 0 && self.odd == 0 && self.is_identifier(survey) {
            say(HintKind::Identifier, "whole numbers that are all different, as those that name rows".into());
        }
        if let Some(numbers) = survey.numbers.as_ref().filter(|_| survey.column_type == "number") {
            if numbers.skewness.abs() >= SKEWED {
                let side = if numbers.skewness > 0.0 { "right" } else { "left" };
                say(HintKind::Skewed, format!("a long tail to the {side} (skewness {:.1})", numbers.skewness));
            }
            let far = share(numbers.outliers, survey.values);
            if numbers.outliers > 0 && far < OUTLIERS_MANY {
                let count = numbers.outliers;
                say(HintKind::Outliers, format!("{count} values lie more than three quartile distances outside of the quartiles"));
            }
            if share(numbers.zeros, survey.values) >= ZEROS_MANY && survey.distinct > 2 {
                say(HintKind::Zeros, format!("{} of the values are 0", percent(share(numbers.zeros, survey.values))));
            }
        }
        if self.numbers.infinite > 0 {
            say(HintKind::Infinite, format!("{} values are infinite", self.numbers.infinite));
        }
        if self.texts.padded > 0 {
            say(HintKind::Padded, format!("{} values have blanks around them, which are taken away", self.texts.padded));
        }
        if let Some(sentence) = self.inconsistent().filter(|_| survey.column_type != "text" && survey.column_type != "id") {
            say(HintKind::InconsistentLabels, sentence);
        }
        hints
    }

    fn is_identifier(&self, survey: &ColumnSurvey) -> bool {
        survey.is_distinct_exact && survey.distinct == survey.values && survey.values > 20 && names_rows(&self.name, self.is_rising)
    }

    /// Names that are the same but for capitals, blanks and dashes.
    fn inconsistent(&self) -> Option<String> {
        let known = self.values.exact()?;
        let mut alike: BTreeMap<String, Vec<(&str, u64)>> = BTreeMap::new();
        for known in known.values().filter(|known| known.number.is_nan()) {
            let plain: String = known.text.chars().filter(|letter| !SPELLING.contains(letter)).flat_map(char::to_lowercase).collect();
            if !plain.is_empty() {
                alike.entry(plain).or_default().push((&known.text, known.count));
            }
        }
        let mut groups: Vec<Vec<(&str, u64)>> = alike.into_values().filter(|names| names.len() > 1).collect();
        groups.iter_mut().for_each(|names| names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0))));
        groups.sort_by(|a, b| b[0].1.cmp(&a[0].1).then_with(|| a[0].0.cmp(b[0].0)));
        let told = |names: &Vec<(&str, u64)>| {
            let names: Vec<String> = names.iter().take(4).map(|(name, count)| format!("{name} ({count})")).collect();
            names.join(", ")
        };
        let shown: Vec<String> = groups.iter().take(3).map(told).collect();
        (!groups.is_empty()).then(|| format!("one name in several spellings: {}", shown.join("; ")))
    }
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
}
