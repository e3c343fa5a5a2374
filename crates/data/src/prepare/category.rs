//! Categories: rare and unseen classes, missing ones, and their codes as categories, one-hot, ranks or target means.

use super::choice::{Choice, Encode, Missing, Spelling};
use super::classes;
use super::hashing;
use super::means::{self, Means, Truth};
use super::number::NumberStep;
use super::spelling;
use crate::cells::Cells;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, StringArray, UInt32Array};
use arrow_schema::{DataType, Field as ArrowField};
use cupola_task::{Error, Kind, Result, Value};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// The class of rare and unseen values.
pub(crate) const OTHER: &str = "(other)";
/// The class of missing values.
pub(crate) const ABSENT: &str = "(missing)";
/// Above how many classes `rare=auto` merges the rarest, and `encode=auto` gives up one-hot.
const MANY: usize = 1000;
/// No vector is wider.
const WIDTH_MAX: usize = 65_536;
/// Up to how many classes of the target `encode=auto` takes target means, of which each gives a column.
const TARGETS_MAX: usize = 16;

/// What is done to one column of categories.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoryStep {
    /// In fixed order, with [`OTHER`] and [`ABSENT`] at the end where there are such.
    classes: Arc<[Arc<str>]>,
    /// The code of unseen values.
    other: Option<u32>,
    missing: Missing,
    /// The code of missing values.
    fill: Option<u32>,
    rare: u64,
    encoding: Encoding,
    #[serde(default = "keep", skip_serializing_if = "is_kept")]
    spelling: Spelling,
    /// Training cells that were spelled otherwise than their class, and spellings that were given up, to tell.
    #[serde(skip)]
    respelled: (u64, u64),
    /// By the key of each class.
    #[serde(skip)]
    codes: HashMap<Arc<str>, u32>,
    /// Names of the elements that classes are hashed to.
    #[serde(skip)]
    hashed: Arc<[Arc<str>]>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Codes,
    Onehot,
    Ordinal(NumberStep),
    Target(Vec<Means>),
    /// Among so many elements by their hash.
    Hash(usize),
}

const ALLOWED: &[Missing] = &[Missing::None, Missing::Mode, Missing::Constant, Missing::Class];

impl CategoryStep {
    /// Learns from training cells. Target means need the truth; without one `auto` falls back to one-hot.
    pub fn fit(array: &StringArray, truth: Option<&Truth>, choice: &Choice) -> Result<CategoryStep> {
        let spelled = classes::count(array.iter());
        let merged = spelling::merge(&spelled, choice.spelling);
        let (counts, respelled) = (merged.counts, (merged.cells, merged.spellings));
        let encode = encode(counts.len(), truth, choice)?;
        // No class is kept where all are hashed, so none is rare.
        let rare = if encode == Encode::Hash { 1 } else { choice.rare.unwrap_or(if counts.len() > MANY { 5 } else { 1 }) };
        let mut names: Vec<Arc<str>> = counts.iter().filter(|(_, count)| **count >= rare).map(|(name, _)| Arc::from(*name)).collect();
        classes::sort(&mut names);
        if encode == Encode::Hash {
            names.clear();
        }
        let other = (encode != Encode::Hash && names.len() < counts.len()).then(|| place(&mut names, OTHER));
        let (missing, fill) = fill(array, &counts, encode, &mut names, choice)?;
        let mut step = CategoryStep {
            codes: codes(&names, choice.spelling),
            classes: names.into(),
            other,
            missing,
            fill,
            rare,
            encoding: Encoding::Codes,
            spelling: choice.spelling,
            respelled,
            hashed: Arc::from([]),
        };
        step.encoding = match (encode, truth) {
            (Encode::Codes, _) => Encoding::Codes,
            (Encode::Ordinal, _) => Encoding::Ordinal(NumberStep::fit_part(&step.ranks(array), choice)?),
            (Encode::Target, Some(truth)) => Encoding::Target(means::fit(&step.codes_of(array), step.classes.len(), truth, choice)),
            (Encode::Hash, _) => Encoding::Hash(choice.n_features),
            (Encode::Onehot | Encode::Target, _) => Encoding::Onehot,
        };
        step.name_hashed();
        Ok(step)
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        self.codes = codes(&self.classes, self.spelling);
        self.name_hashed();
        let codes = self.classes.len();
        classes::is_sound(&self.classes)
            && [self.other, self.fill].into_iter().flatten().all(|code| (code as usize) < codes)
            && match &mut self.encoding {
                Encoding::Codes | Encoding::Onehot => true,
                Encoding::Hash(width) => (1..=WIDTH_MAX).contains(width),
                Encoding::Ordinal(step) => step.open(),
                Encoding::Target(means) => !means.is_empty() && means.iter_mut().all(|means| means.open(codes)),
            }
    }

    /// Whether every value it gives is a finite number.
    pub fn is_finite(&self) -> bool {
        match &self.encoding {
            Encoding::Codes => false,
            Encoding::Onehot | Encoding::Target(_) | Encoding::Hash(_) => true,
            Encoding::Ordinal(step) => step.fills(),
        }
    }

    /// The classes training rows had, the common ones where rare ones are merged.
    pub fn seen(&self) -> Arc<[Arc<str>]> {
        if let Encoding::Hash(_) = self.encoding {
            return Arc::from([]);
        }
        let own = |code: u32| Some(code) == self.other || &*self.classes[code as usize] == ABSENT;
        if self.other.is_none() && self.classes.last().is_none_or(|last| &**last != ABSENT) {
            return self.classes.clone();
        }
        self.classes.iter().zip(0..).filter(|(_, code)| !own(*code)).map(|(name, _)| name.clone()).collect()
    }

    /// Suffixes and kinds of the prepared columns.
    pub fn outputs(&self) -> Vec<(String, Kind)> {
        match &self.encoding {
            Encoding::Codes | Encoding::Onehot if self.classes.is_empty() => vec![],
            Encoding::Codes => vec![(String::new(), Kind::Category { classes: self.classes.clone() })],
            Encoding::Onehot => vec![(String::new(), Kind::Vector { width: self.classes.len() })],
            Encoding::Hash(width) => vec![(String::new(), Kind::Vector { width: *width })],
            Encoding::Ordinal(step) => super::step::number_outputs(step),
            Encoding::Target(means) => {
                means.iter().map(|means| (means.class.as_ref().map_or(String::new(), |class| format!(":{class}")), Kind::Number)).collect()
            }
        }
    }

    /// The prepared columns.
    pub fn apply(&self, array: &StringArray) -> Vec<ArrayRef> {
        match &self.encoding {
            Encoding::Codes | Encoding::Onehot if self.classes.is_empty() => vec![],
            Encoding::Codes => vec![Arc::new(array.iter().map(|text| self.code(text)).collect::<UInt32Array>())],
            Encoding::Onehot => vec![self.one_hot(array)],
            Encoding::Hash(width) => vec![self.hash(array, *width)],
            Encoding::Ordinal(step) => super::step::apply_number(step, &self.ranks(array), None),
            Encoding::Target(means) => {
                let codes = self.codes_of(array);
                let encode =
                    |means: &Means| -> ArrayRef { Arc::new(codes.iter().map(|&code| Some(means.value(code))).collect::<Float64Array>()) };
                means.iter().map(encode).collect()
            }
        }
    }

    /// The training rows' columns, where they differ from what [`CategoryStep::apply`] gives: each row by the others' means.
    pub fn cross_fit(&self, array: &StringArray, truth: Option<&Truth>, folds: &[u64]) -> Option<Vec<ArrayRef>> {
        let (Encoding::Target(fitted), Some(truth)) = (&self.encoding, truth) else { return None };
        let encoded = means::cross_fit(&self.codes_of(array), truth, fitted, folds);
        Some(encoded.into_iter().map(|values| -> ArrayRef { Arc::new(Float64Array::from(values)) }).collect())
    }

    fn code(&self, text: Option<&str>) -> Option<u32> {
        match text {
            None => self.fill,
            Some(text) => match spelling::key(text, self.spelling) {
                // What is nothing but white space says nothing.
                key if key.is_empty() && self.spelling != Spelling::Keep => self.fill,
                key => self.codes.get(&*key).copied().or(self.other),
            },
        }
    }

    fn codes_of(&self, array: &StringArray) -> Vec<Option<u32>> {
        array.iter().map(|text| self.code(text)).collect()
    }

    fn ranks(&self, array: &StringArray) -> Vec<f64> {
        array.iter().map(|text| self.code(text).map_or(f64::NAN, f64::from)).collect()
    }

    fn one_hot(&self, array: &StringArray) -> ArrayRef {
        let width = self.classes.len();
        let mut values = vec![0f32; array.len() * width];
        for (text, row) in array.iter().zip(values.chunks_exact_mut(width)) {
            if let Some(code) = self.code(text) {
                row[code as usize] = 1.0;
            }
        }
        vectors(width, values)
    }

    /// A 1 or a -1 where each cell's class is hashed to.
    fn hash(&self, array: &StringArray, width: usize) -> ArrayRef {
        let mut values = vec![0f32; array.len() * width];
        for (text, row) in array.iter().zip(values.chunks_exact_mut(width)) {
            let key = text.map(|text| spelling::key(text, self.spelling)).filter(|key| !key.is_empty() || self.spelling == Spelling::Keep);
            let filled = self.fill.map(|code| Cow::from(&*self.classes[code as usize]));
            if let Some(text) = key.or(filled) {
                let (place, sign) = hashing::place(&text, width);
                row[place] = sign as f32;
            }
        }
        vectors(width, values)
    }

    fn name_hashed(&mut self) {
        if let Encoding::Hash(width @ 1..=WIDTH_MAX) = self.encoding {
            self.hashed = hashing::names(width);
        }
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        if let Encoding::Hash(width) = self.encoding {
            let missing = self.fill.map_or("all zeros", |code| &*self.classes[code as usize]);
            return format!("hashed to {width} elements; missing become {missing}");
        }
        if self.classes.is_empty() {
            return "left out: training rows have no class".into();
        }
        let encoded = match &self.encoding {
            Encoding::Codes => "as categories".to_owned(),
            Encoding::Onehot | Encoding::Hash(_) => "one-hot".to_owned(),
            Encoding::Ordinal(step) => format!("as ranks, {}", step.describe()),
            Encoding::Target(means) => {
                format!(
                    "as cross-fitted target means ({}), {} scale",
                    means.len(),
                    means.first().map_or("none", |means| means.step.scaling())
                )
            }
        };
        let unseen = match (self.other, &self.encoding) {
            (Some(_), _) => format!("those seen fewer than {} times and unseen ones become {OTHER}", self.rare),
            (None, Encoding::Codes | Encoding::Ordinal(_)) => "unseen ones become missing".to_owned(),
            (None, Encoding::Onehot | Encoding::Hash(_)) => "unseen ones become all zeros".to_owned(),
            (None, Encoding::Target(_)) => "unseen ones become the overall mean".to_owned(),
        };
        let missing = self.fill.map_or(String::new(), |code| format!("; missing become {}", self.classes[code as usize]));
        let spelled = match self.spelling {
            Spelling::Keep => "",
            Spelling::Trim => ", whatever their white space",
            Spelling::Fold => ", whatever their case and white space",
        };
        format!("{} classes{spelled} {encoded}; {unseen}{missing}", self.classes.len())
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let (encode, mut settings) = match &self.encoding {
            Encoding::Codes => (Encode::Codes, vec![]),
            Encoding::Onehot => (Encode::Onehot, vec![]),
            Encoding::Hash(width) => (Encode::Hash, vec![("n_features", Value::Integer(*width as i64))]),
            Encoding::Ordinal(step) => (Encode::Ordinal, step.resolved()),
            Encoding::Target(means) => {
                (Encode::Target, means.first().map(|means| ("scale", Value::Text(means.step.scaling().into()))).into_iter().collect())
            }
        };
        if encode != Encode::Ordinal {
            settings.push(("missing", Value::Text(self.missing.word().into())));
        }
        if let (Missing::Constant, Some(fill)) = (self.missing, self.fill) {
            settings.push(("fill", Value::Text(self.classes[fill as usize].to_string())));
        }
        settings.push(("encode", Value::Text(encode.word().into())));
        if encode != Encode::Hash {
            settings.push(("rare", Value::Integer(i64::try_from(self.rare).unwrap_or(i64::MAX))));
        }
        if self.spelling != Spelling::Keep {
            settings.push(("categories", Value::Text(self.spelling.word().into())));
        }
        settings
    }

    /// How many training cells were spelled otherwise, as a sentence.
    pub fn told(&self) -> Option<String> {
        let (cells, spellings) = self.respelled;
        let plural = |count: u64, what: &str| if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") };
        let taken = format!("{} in {}", plural(cells, "training cell"), plural(spellings, "spelling"));
        (cells > 0).then(|| format!("{taken} taken as the class that is spelled so most often (categories={})", self.spelling.word()))
    }

    /// Names of a vector's elements.
    pub fn elements(&self) -> &[Arc<str>] {
        match self.encoding {
            Encoding::Hash(_) => &self.hashed,
            _ => &self.classes,
        }
    }
}

fn keep() -> Spelling {
    Spelling::Keep
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_kept(spelling: &Spelling) -> bool {
    *spelling == Spelling::Keep
}

/// Each class's place, by what its spellings have in common.
fn codes(classes: &[Arc<str>], spelling: Spelling) -> HashMap<Arc<str>, u32> {
    classes.iter().map(|class| Arc::from(&*spelling::key(class, spelling))).zip(0..).collect()
}

fn encode(distinct: usize, truth: Option<&Truth>, choice: &Choice) -> Result<Encode> {
    let refuse = |found: &str, wanted: &str| Err(Error::setting(choice.key("encode"), found, wanted));
    match choice.encode {
        Some(Encode::Codes) if choice.is_dense() => refuse("codes", "onehot|ordinal|target|hash, for the model takes numbers only"),
        Some(Encode::Target) if truth.is_none() => refuse("target", "codes|onehot|ordinal|hash, for there is no target"),
        Some(Encode::Onehot) if distinct > WIDTH_MAX => {
            refuse("onehot", &format!("codes|ordinal|target|hash, for there are {distinct} classes"))
        }
        Some(encode) => Ok(encode),
        None if !choice.is_dense() => Ok(Encode::Codes),
        None if distinct > choice.max_classes && truth.is_some_and(|truth| truth.columns.len() <= TARGETS_MAX) => Ok(Encode::Target),
        None if distinct > MANY => Ok(Encode::Ordinal),
        None => Ok(Encode::Onehot),
    }
}

/// The way with missing cells and the code they get.
fn fill(
    array: &StringArray,
    counts: &HashMap<&str, u64>,
    encode: Encode,
    names: &mut Vec<Arc<str>>,
    choice: &Choice,
) -> Result<(Missing, Option<u32>)> {
    if encode == Encode::Ordinal {
        return Ok((Missing::None, None));
    }
    let own_class = encode != Encode::Codes && array.null_count() > 0;
    let missing = choice.missing(ALLOWED)?.unwrap_or(if own_class { Missing::Class } else { Missing::None });
    let name: Arc<str> = match (missing, &choice.fill) {
        (Missing::Mode, _) => match counts.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0))) {
            Some((name, _)) => Arc::from(*name),
            None => return Ok((missing, None)),
        },
        (Missing::Constant, Some(Value::Text(text))) => Arc::from(&**text),
        (Missing::Constant, Some(other)) => other.to_string().into(),
        (Missing::Class | Missing::Constant, _) => ABSENT.into(),
        _ => return Ok((missing, None)),
    };
    Ok((missing, Some(place(names, &name))))
}

/// The place of a name, which is added at the end where it is not known.
fn place(names: &mut Vec<Arc<str>>, name: &str) -> u32 {
    let place = names.iter().position(|known| &**known == name).unwrap_or_else(|| {
        names.push(name.into());
        names.len() - 1
    });
    place as u32
}

/// Row-major `f32` as a column of vectors.
pub(crate) fn vectors(width: usize, values: Vec<f32>) -> ArrayRef {
    let item = Arc::new(ArrowField::new("item", DataType::Float32, false));
    Arc::new(FixedSizeListArray::new(item, width as i32, Arc::new(Float32Array::from(values)), None))
}

/// The texts of a category or text column.
pub(crate) fn texts<'a>(cells: Cells<'a>) -> &'a StringArray {
    match cells {
        Cells::Texts(array) => array,
        Cells::Numbers(_) | Cells::Dates(_) | Cells::Images(_) => unreachable!("categories and texts are opened as texts"),
    }
}
