//! Prepared rows as the models of this crate read them: plain vectors, column by column.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef};
use cupola_task::{Answer, Batch, Columns, Dataset, Draw, Error, Field, Key, Kind, Result, Schema, Task};
use std::sync::Arc;

/// The code of a missing category.
pub const MISSING: u32 = u32::MAX;

/// One input of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// The prepared column; a vector's elements are named `column[0]`, `column[1]`, ...
    pub name: Arc<str>,
    /// Its values, one a row.
    pub values: Values,
}

/// A feature's values.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers, NaN where missing.
    Numbers(Vec<f64>),
    /// Codes below `classes`, [`MISSING`] where missing.
    Codes {
        /// One a row.
        codes: Vec<u32>,
        /// How many classes there are.
        classes: usize,
    },
}

/// What is to be learned.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A class a row, as a code below `classes.len()`.
    Classes {
        /// One a row.
        codes: Vec<u32>,
        /// Their names.
        classes: Arc<[Arc<str>]>,
    },
    /// A finite number a row.
    Numbers(Vec<f64>),
}

/// Rows to learn from.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The inputs, in the schema's order.
    pub features: Vec<Feature>,
    /// The name of the one target.
    pub target_name: Arc<str>,
    /// The target's values.
    pub target: Target,
    /// One weight a row; none means 1 each.
    pub weight: Option<Vec<f64>>,
}

impl Rows {
    /// How many rows.
    pub fn len(&self) -> usize {
        match &self.target {
            Target::Classes { codes, .. } => codes.len(),
            Target::Numbers(values) => values.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows of a prepared data set that has exactly one target. Rows whose target is null (a class that training did not see) are left out.
    ///
    /// # Errors
    /// When the data set has no target or several, or a column is not of its kind.
    pub fn read(data: &dyn Dataset) -> Result<Rows> {
        let schema = data.schema();
        let (field, task) = the_target(schema)?;
        let rows: Vec<u64> = (0..data.len()).collect();
        let mut batch = data.read(&rows, Draw::default())?;
        let truth = batch.targets.array(&field.name)?;
        if truth.null_count() > 0 {
            let known: Vec<u64> = rows.into_iter().filter(|&row| truth.is_valid(row as usize)).collect();
            batch = data.read(&known, Draw::default())?;
        }
        Ok(Rows {
            features: features(schema, &batch.inputs)?,
            target_name: field.name.clone(),
            target: target(field, task, batch.targets.array(&field.name)?)?,
            weight: weight(schema, &batch)?,
        })
    }
}

/// The one target of a schema.
///
/// # Errors
/// When there is none or several.
pub fn the_target(schema: &Schema) -> Result<(&Field, Task)> {
    let mut targets = schema.targets();
    match (targets.next(), targets.next()) {
        (Some(target), None) => Ok(target),
        (None, _) => Err(Error::input("schema", "no target", "one target")),
        (Some(_), Some((second, _))) => Err(Error::input("schema", format!("a second target {}", second.name), "one target a model")),
    }
}

/// All classes, those of the kept rows, and each kept row's place among those.
///
/// # Errors
/// When the target has none.
#[expect(clippy::type_complexity, reason = "three results of one pass, taken apart at once")]
pub(crate) fn seen_classes(rows: &Rows, keep: &[usize]) -> Result<(Arc<[Arc<str>]>, Vec<u32>, Vec<u32>)> {
    let Target::Classes { codes, classes } = &rows.target else {
        return Err(Error::input(format!("target {}", rows.target_name), "numbers", "classes"));
    };
    let mut place = vec![u32::MAX; classes.len()];
    keep.iter().for_each(|&row| place[codes[row] as usize] = 0);
    let seen: Vec<u32> = (0..classes.len() as u32).filter(|&class| place[class as usize] == 0).collect();
    seen.iter().zip(0..).for_each(|(&class, number)| place[class as usize] = number);
    Ok((classes.clone(), seen, keep.iter().map(|&row| place[codes[row] as usize]).collect()))
}

/// Whether these are the codes of one class or more out of so many, ascending, as [`seen_classes`] gives them; a saved model may claim others.
pub(crate) fn are_seen(seen: &[u32], classes: usize) -> bool {
    seen.windows(2).all(|pair| pair[0] < pair[1]) && seen.last().is_some_and(|&last| (last as usize) < classes)
}

/// A target's answers, row-major: probabilities where it has classes, else numbers.
pub(crate) fn answer_of(classes: Option<&Arc<[Arc<str>]>>, values: Vec<f64>) -> Answer {
    match classes {
        Some(classes) => Answer::Scores { classes: classes.into(), values },
        None => Answer::Numbers { values, range: None },
    }
}

/// The inputs of prepared columns, in the schema's order; a vector becomes one feature an element.
///
/// # Errors
/// When a column is missing or not of its kind.
pub fn features(schema: &Schema, inputs: &Columns) -> Result<Vec<Feature>> {
    let mut features = Vec::new();
    for field in schema.inputs() {
        let array = inputs.array(&field.name)?;
        match &field.kind {
            Kind::Number => features.push(Feature { name: field.name.clone(), values: Values::Numbers(numbers(field, array)?) }),
            Kind::Category { classes } => features.push(Feature {
                name: field.name.clone(),
                values: Values::Codes { codes: codes(field, array, classes.len())?, classes: classes.len() },
            }),
            Kind::Vector { width } => features.extend(elements(field, array, *width)?),
            other => {
                return Err(Error::input(format!("column {}", field.name), other.word(), "a number, category or vector column"));
            }
        }
    }
    Ok(features)
}

fn wrong(field: &Field, array: &ArrayRef, wanted: &str) -> Error {
    Error::input(format!("column {}", field.name), format!("{}", array.data_type()), wanted)
}

fn numbers(field: &Field, array: &ArrayRef) -> Result<Vec<f64>> {
    let array = array.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(field, array, "Float64 numbers"))?;
    if array.null_count() == 0 {
        return Ok(array.values().to_vec());
    }
    Ok(array.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

fn codes(field: &Field, array: &ArrayRef, classes: usize) -> Result<Vec<u32>> {
    let codes = array.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong(field, array, "UInt32 codes"))?;
    codes
        .iter()
        .map(|code| match code {
            None => Ok(MISSING),
            Some(code) if (code as usize) < classes => Ok(code),
            Some(code) => Err(Error::input(format!("column {}", field.name), format!("code {code}"), format!("codes below {classes}"))),
        })
        .collect()
}

fn elements(field: &Field, array: &ArrayRef, width: usize) -> Result<Vec<Feature>> {
    let wanted = || wrong(field, array, &format!("vectors of {width} Float32"));
    let list = array.as_fixed_size_list_opt().filter(|list| list.value_length() as usize == width).ok_or_else(wanted)?;
    let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(wanted)?;
    let start = list.value_offset(0) as usize;
    let flat = &values.values()[start..start + list.len() * width];
    Ok((0..width)
        .map(|element| Feature {
            name: format!("{}[{element}]", field.name).into(),
            values: Values::Numbers(flat.iter().skip(element).step_by(width).map(|&value| f64::from(value)).collect()),
        })
        .collect())
}

fn target(field: &Field, task: Task, array: &ArrayRef) -> Result<Target> {
    match (&field.kind, task) {
        (Kind::Category { classes }, Task::Classify) => {
            Ok(Target::Classes { codes: codes(field, array, classes.len())?, classes: classes.clone() })
        }
        (Kind::Number, Task::Regress) => {
            let values = numbers(field, array)?;
            match values.iter().position(|value| !value.is_finite()) {
                Some(row) => Err(Error::input(format!("target {} in row {row}", field.name), values[row], "a finite number")),
                None => Ok(Target::Numbers(values)),
            }
        }
        (kind, task) => Err(Error::Unsupported {
            what: format!("task {task:?} on target {} of kind {}", field.name, kind.word()).to_lowercase(),
            by: "classic models".into(),
            hint: Some("they classify categories and regress numbers".into()),
        }),
    }
}

fn weight(schema: &Schema, batch: &Batch) -> Result<Option<Vec<f64>>> {
    let Some(field) = schema.keys(Key::Weight).next() else { return Ok(None) };
    let weights = numbers(field, batch.keys.array(&field.name)?)?;
    match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        Some(row) => Err(Error::input(format!("weight {} in row {row}", field.name), weights[row], "a finite number >= 0")),
        None => Ok(Some(weights)),
    }
}
