//! Columns of a prepared table as one flat row: numbers as they come, vectors element by element, categories by embeddings.
//!
//! Source of embeddings for categories: Guo and Berkhahn, "Entity embeddings of categorical variables", 2016.

use crate::layout::{Builder, Fill, Param};
use crate::pass::Pass;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use arrow_array::{Array, ArrayRef};
use burn::tensor::{Int, Tensor, TensorData};
use cupola_task::{Columns, Error, Field, Kind, Result, Schema};
use std::sync::Arc;

/// Prepared numbers are scaled; what lies further out than this counts as this, so that no sum becomes infinite.
const LARGEST: f32 = 1e6;

/// Columns may together be as many numbers a row.
const WIDTH_MAX: usize = 1 << 22;

/// What embeddings begin with: fastai's deviation, small beside scaled numbers, so that a class that training never shows says little.
const DEVIATION: f32 = 0.01;

/// The inputs of a network on tables.
#[derive(Clone, Debug)]
pub struct TableColumns {
    numbers: Vec<Numbers>,
    categories: Vec<Embedding>,
    /// Of all numbers and vectors together.
    width: usize,
}

#[derive(Clone, Debug)]
struct Numbers {
    name: Arc<str>,
    /// Where its own numbers begin in the row.
    start: usize,
    /// None for a single number, or how wide the vector is.
    width: Option<usize>,
}

/// A table of vectors, one for each class and one more, the first, for what is missing or was never seen.
#[derive(Clone, Debug)]
struct Embedding {
    name: Arc<str>,
    classes: usize,
    weight: Param,
    width: usize,
    layer: usize,
}

/// Rows on the host.
#[derive(Clone, PartialEq, Debug)]
pub struct PackedColumns {
    rows: usize,
    /// `[rows, numbers]`
    numbers: Vec<f32>,
    /// For each category one place in its embedding a row.
    places: Vec<Vec<i32>>,
}

impl TableColumns {
    /// The columns of a schema; `embedding` is the width of every embedding, chosen by its number of classes when there is none.
    ///
    /// # Errors
    /// When there is no input, or one that is neither number, category nor vector.
    pub fn new(schema: &Schema, embedding: Option<usize>, builder: &mut Builder) -> Result<TableColumns> {
        let mut columns = TableColumns { numbers: Vec::new(), categories: Vec::new(), width: 0 };
        for Field { name, kind, .. } in schema.inputs() {
            match kind {
                Kind::Number => columns.add_numbers(name, None),
                Kind::Vector { width: width @ 1..=WIDTH_MAX } => columns.add_numbers(name, Some(*width)),
                Kind::Category { classes } => {
                    let width = embedding.unwrap_or_else(|| usual_width(classes.len()));
                    columns.categories.push(Embedding::new(name, classes.len(), width, builder));
                }
                kind => return Err(Error::input(format!("column {name}"), kind.word(), "a number, a category or a vector")),
            }
        }
        match columns.out() {
            1..=WIDTH_MAX => Ok(columns),
            width => Err(Error::input("network", format!("columns of {width} numbers together"), format!("1 to {WIDTH_MAX}"))),
        }
    }

    fn add_numbers(&mut self, name: &Arc<str>, width: Option<usize>) {
        self.numbers.push(Numbers { name: name.clone(), start: self.width, width });
        self.width += width.unwrap_or(1);
    }

    /// How many numbers a row becomes.
    pub fn out(&self) -> usize {
        self.width + self.categories.iter().map(|embedding| embedding.width).sum::<usize>()
    }

    /// Rows of prepared columns.
    ///
    /// # Errors
    /// When a column is missing, or holds something else than its kind.
    pub fn pack(&self, columns: &Columns) -> Result<PackedColumns> {
        let rows = columns.rows();
        let mut numbers = vec![0.0; rows * self.width];
        for column in &self.numbers {
            column.pack(columns.array(&column.name)?, self.width, &mut numbers)?;
        }
        let places = |embedding: &Embedding| embedding.places(columns.array(&embedding.name)?);
        Ok(PackedColumns { rows, numbers, places: self.categories.iter().map(places).collect::<Result<_>>()? })
    }

    /// The rows as a network takes them, `[rows, out]`.
    pub fn forward(&self, input: &PackedColumns, pass: &Pass<'_>) -> Tensor<2> {
        let mut parts = Vec::new();
        if self.width > 0 {
            let data = TensorData::new(input.numbers.clone(), [input.rows, self.width]);
            parts.push(Tensor::<2>::from_data(data, pass.device()));
        }
        parts.extend(self.categories.iter().zip(&input.places).map(|(embedding, places)| embedding.forward(places, pass)));
        Tensor::cat(parts, 1)
    }
}

impl PackedColumns {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

impl Numbers {
    fn pack(&self, array: &ArrayRef, width: usize, numbers: &mut [f32]) -> Result<()> {
        let wrong = |found: String, wanted: &str| Error::input(format!("column {}", self.name), found, wanted);
        let values: Vec<f32> = match self.width {
            None => {
                let array = array.as_primitive_opt::<Float64Type>().ok_or_else(|| wrong(array.data_type().to_string(), "numbers"))?;
                array.iter().map(|value| value.map_or(f32::NAN, |value| value as f32)).collect()
            }
            Some(width) => {
                let vectors = array.as_fixed_size_list_opt().filter(|list| list.value_length() as usize == width && list.null_count() == 0);
                let values = vectors.and_then(|list| list.values().as_primitive_opt::<Float32Type>().map(|values| (list, values)));
                let (list, values) = values.ok_or_else(|| wrong(array.data_type().to_string(), "vectors of one width"))?;
                // A slice of a list still carries all values.
                let start = list.value_offset(0) as usize;
                values.values()[start..start + list.len() * width].to_vec()
            }
        };
        if values.iter().any(|value| value.is_nan()) {
            return Err(wrong("missing values".into(), "values in every row"));
        }
        let own = self.width.unwrap_or(1);
        for (row, values) in numbers.chunks_exact_mut(width).zip(values.chunks_exact(own.max(1))) {
            row[self.start..self.start + own].iter_mut().zip(values).for_each(|(to, value)| *to = value.clamp(-LARGEST, LARGEST));
        }
        Ok(())
    }
}

/// Half as many numbers as classes, 50 at most.
fn usual_width(classes: usize) -> usize {
    classes.div_ceil(2).clamp(1, 50)
}

impl Embedding {
    fn new(name: &Arc<str>, classes: usize, width: usize, builder: &mut Builder) -> Embedding {
        builder.at("embeddings", |builder| {
            builder.at(name, |builder| {
                let weight = builder.param("weight", &[classes + 1, width], Fill::Normal(DEVIATION));
                let layer = builder.layer(format!("embedding {} {width}", classes + 1), &[width], 0);
                Embedding { name: name.clone(), classes, weight, width, layer }
            })
        })
    }

    fn places(&self, array: &ArrayRef) -> Result<Vec<i32>> {
        let wrong = |found: String| Error::input(format!("column {}", self.name), found, "codes of its classes");
        let codes = array.as_primitive_opt::<UInt32Type>().ok_or_else(|| wrong(array.data_type().to_string()))?;
        let place = |code: Option<u32>| match code {
            None => Ok(0),
            Some(code) if (code as usize) < self.classes => Ok(code as i32 + 1),
            Some(code) => Err(wrong(format!("code {code} of {} classes", self.classes))),
        };
        codes.iter().map(place).collect()
    }

    fn forward(&self, places: &[i32], pass: &Pass<'_>) -> Tensor<2> {
        pass.layer(self.layer, || {
            let places = Tensor::<1, Int>::from_data(TensorData::new(places.to_vec(), [places.len()]), pass.device());
            pass.get::<2>(self.weight).select(0, places)
        })
    }
}
