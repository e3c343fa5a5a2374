//! Prepared columns as a linear model reads them at answering time: in place, without a copy and without an allocation a
//! column, because a one-row answer has to take microseconds.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use cupola_task::{Columns, Error, Kind, Result, Schema};
use std::sync::Arc;

/// A column the model was trained on.
#[derive(Clone, Debug)]
pub struct Input {
    name: Arc<str>,
    /// The length of a vector; none for a number.
    width: Option<usize>,
}

/// One element of the inputs, in place.
pub struct Taken<'a> {
    /// Which input, and which element of a vector.
    place: (usize, usize),
    values: Values<'a>,
}

enum Values<'a> {
    Numbers(&'a [f64]),
    /// Every `stride`-th value from the first.
    Strided(&'a [f32], usize),
}

/// The rows that sums are wanted of.
#[derive(Clone, Copy)]
pub struct Block {
    /// The first row.
    pub start: usize,
    /// How many sums a row has.
    pub outputs: usize,
}

/// The inputs of a prepared schema.
///
/// # Errors
/// When one is neither number nor vector.
pub fn inputs_of(schema: &Schema) -> Result<Vec<Input>> {
    schema
        .inputs()
        .map(|field| match field.kind {
            Kind::Number => Ok(Input { name: field.name.clone(), width: None }),
            Kind::Vector { width } => Ok(Input { name: field.name.clone(), width: Some(width) }),
            ref other => Err(Error::input(format!("column {}", field.name), other.word(), "a number or vector column")),
        })
        .collect()
}

/// Finds every input among the columns; elements in order.
///
/// # Errors
/// When a column is missing, of another type, or has a missing value.
pub fn take<'a>(inputs: &[Input], columns: &'a Columns) -> Result<Vec<Taken<'a>>> {
    let mut taken = Vec::with_capacity(inputs.len());
    // Columns mostly come in the schema's order, and then no name has to be looked for.
    let mut in_order = columns.iter();
    for (place, input) in inputs.iter().enumerate() {
        let array = match in_order.next() {
            Some((name, column)) if *name == input.name && column.array().is_some() => column.array().expect("was just seen"),
            _ => columns.array(&input.name)?,
        };
        if array.null_count() > 0 {
            return Err(missing(input, array));
        }
        take_elements(input, place, array, &mut taken)?;
    }
    Ok(taken)
}

fn take_elements<'a>(input: &Input, place: usize, array: &'a ArrayRef, taken: &mut Vec<Taken<'a>>) -> Result<()> {
    let Some(width) = input.width else {
        let numbers = array.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(input, array, "Float64 numbers"))?;
        taken.push(Taken { place: (place, 0), values: Values::Numbers(numbers.values()) });
        return Ok(());
    };
    let other = || wrong(input, array, &format!("vectors of {width} Float32"));
    let list = array.as_fixed_size_list_opt().filter(|list| list.value_length() as usize == width).ok_or_else(other)?;
    let values = list.values().as_primitive_opt::<Float32Type>().ok_or_else(other)?;
    if values.null_count() > 0 {
        return Err(Error::input(format!("column {}", input.name), "a missing element", "finite numbers"));
    }
    let start = list.value_offset(0) as usize;
    let flat = &values.values()[start..start + list.len() * width];
    let element = |element| Taken { place: (place, element), values: Values::Strided(flat.get(element..).unwrap_or_default(), width) };
    taken.extend((0..width).map(element));
    Ok(())
}

fn wrong(input: &Input, array: &ArrayRef, wanted: &str) -> Error {
    Error::input(format!("column {}", input.name), array.data_type(), wanted)
}

fn missing(input: &Input, array: &ArrayRef) -> Error {
    let row = (0..array.len()).find(|&row| array.is_null(row)).unwrap_or_default();
    Error::input(format!("column {} in row {row}", input.name), "a missing value", "a finite number")
}

impl Input {
    /// The column's name.
    pub fn name(&self) -> Arc<str> {
        self.name.clone()
    }
}

impl Taken<'_> {
    /// Which input it is of.
    pub fn input(&self) -> usize {
        self.place.0
    }

    /// The value in a row.
    pub fn value(&self, row: usize) -> f64 {
        match self.values {
            Values::Numbers(values) => values[row],
            Values::Strided(values, stride) => f64::from(values[row * stride]),
        }
    }

    /// The column, with the element for a vector.
    pub fn name(&self, inputs: &[Input]) -> String {
        let (place, element) = self.place;
        let input = &inputs[place];
        if input.width.is_some() { format!("{}[{element}]", input.name) } else { input.name.to_string() }
    }

    /// `sums[row] += value * coefficients` for a block of rows.
    pub fn add(&self, block: Block, coefficients: &[f64], sums: &mut [f64]) {
        let rows = sums.len() / block.outputs;
        match self.values {
            Values::Numbers(values) => add(values[block.start..block.start + rows].iter().copied(), coefficients, sums),
            Values::Strided(values, stride) => {
                add(values[block.start * stride..].iter().step_by(stride).map(|&value| f64::from(value)), coefficients, sums);
            }
        }
    }
}

fn add(values: impl Iterator<Item = f64>, coefficients: &[f64], sums: &mut [f64]) {
    if let [coefficient] = coefficients {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * coefficient);
        return;
    }
    for (sums, value) in sums.chunks_exact_mut(coefficients.len()).zip(values) {
        sums.iter_mut().zip(coefficients).for_each(|(sum, coefficient)| *sum += value * coefficient);
    }
}
