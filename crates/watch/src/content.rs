//! A column as what is counted of it: one or more rows of numbers, or names.

use crate::axis::{Axis, EDGES_MAX, Tally};
use crate::embedding;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, StringArray};
use cupola_task::{Column, Kind};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How many edges each number of an embedding has.
const EMBEDDING_EDGES: usize = 33;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Numbers.
    Number,
    /// Names.
    Category,
    /// Points in time, counted as microseconds since 1970.
    Date,
    /// Texts, counted as 33 numbers each (`embedding.rs`).
    Text,
    /// Images, counted as 67 numbers each (`embedding.rs`).
    Image,
}

/// A column's cells, ready to be counted.
pub(crate) enum Cells {
    /// Numbers, one list for each dimension; NaN where missing.
    Numbers(Vec<Vec<f64>>),
    /// Names.
    Names(ArrayRef),
}

impl Content {
    /// What is counted of a kind; none of what is not watched: vectors, sound, lists.
    pub fn of(kind: &Kind) -> Option<Content> {
        Some(match kind {
            Kind::Number => Content::Number,
            Kind::Category { .. } => Content::Category,
            Kind::Date => Content::Date,
            Kind::Text => Content::Text,
            Kind::Image { .. } => Content::Image,
            _ => return None,
        })
    }

    /// How many axes a column has.
    pub(crate) fn width(self) -> usize {
        match self {
            Content::Number | Content::Category | Content::Date => 1,
            Content::Text => embedding::TEXT_WIDTH,
            Content::Image => embedding::IMAGE_WIDTH,
        }
    }

    /// The cells of a raw column; none when it holds something else.
    pub(crate) fn cells(self, column: &Column) -> Option<Cells> {
        Some(match (self, column) {
            (Content::Image, Column::Images(images)) => {
                Cells::Numbers(turned((0..images.len()).map(|row| Some(embedding::image(images, row)))))
            }
            (Content::Number, Column::Array(array)) => {
                let numbers = array.as_primitive_opt::<Float64Type>()?;
                Cells::Numbers(vec![numbers.iter().map(|value| value.unwrap_or(f64::NAN)).collect()])
            }
            (Content::Date, Column::Array(array)) => {
                let dates = array.as_primitive_opt::<TimestampMicrosecondType>()?;
                Cells::Numbers(vec![dates.iter().map(|value| value.map_or(f64::NAN, |value| value as f64)).collect()])
            }
            (Content::Category, Column::Array(array)) => Cells::Names(array.as_string_opt::<i32>().map(|_| array.clone())?),
            (Content::Text, Column::Array(array)) => {
                Cells::Numbers(turned(array.as_string_opt::<i32>()?.iter().map(|text| text.map(embedding::text))))
            }
            _ => return None,
        })
    }

    /// The axes that the training rows' cells give.
    pub(crate) fn axes(self, cells: &Cells) -> Vec<Axis> {
        let edges_max = if self.width() > 1 { EMBEDDING_EDGES } else { EDGES_MAX };
        match cells {
            Cells::Numbers(lists) => lists.iter().map(|values| Axis::of_numbers(values, edges_max)).collect(),
            Cells::Names(array) => vec![Axis::of_names(names(array).iter().flatten())],
        }
    }
}

impl Cells {
    pub(crate) fn of_numbers(values: Vec<f64>) -> Cells {
        Cells::Numbers(vec![values])
    }

    pub(crate) fn of_names<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Cells {
        Cells::Names(Arc::new(values.collect::<StringArray>()))
    }

    /// Counts them all.
    pub(crate) fn add_to(&self, axes: &[Axis], tallies: &mut [Tally]) {
        match self {
            Cells::Numbers(lists) => {
                axes.iter().zip(tallies).zip(lists).for_each(|((axis, tally), values)| tally.add_numbers(axis, values.iter().copied()));
            }
            Cells::Names(array) => axes.iter().zip(tallies).for_each(|(axis, tally)| tally.add_names(axis, names(array).iter())),
        }
    }

    /// The cell of each row on one of the axes; none where it is missing.
    pub(crate) fn places(&self, axis: &Axis, dimension: usize) -> Vec<Option<usize>> {
        match self {
            Cells::Numbers(lists) => lists[dimension].iter().map(|value| value.is_finite().then(|| axis.cell(*value))).collect(),
            Cells::Names(array) => names(array).iter().map(|name| name.map(|name| axis.cell_of(name))).collect(),
        }
    }
}

/// The names of a column that [`Content::cells`] or [`Cells::of_names`] made.
fn names(array: &ArrayRef) -> &StringArray {
    array.as_string::<i32>()
}

/// Rows of numbers as lists by dimension.
fn turned<const WIDTH: usize>(rows: impl Iterator<Item = Option<[f64; WIDTH]>>) -> Vec<Vec<f64>> {
    let mut lists = vec![Vec::with_capacity(rows.size_hint().0); WIDTH];
    rows.for_each(|row| lists.iter_mut().zip(row.unwrap_or([f64::NAN; WIDTH])).for_each(|(list, value)| list.push(value)));
    lists
}
