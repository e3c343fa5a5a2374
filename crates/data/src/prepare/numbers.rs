//! Columns of numbers on their way from raw cells to steps: clipped, and filled from other rows or other columns.

use super::choice::{Choice, Missing};
use super::forward::Order;
use super::impute::{Ask, Imputer};
use super::number;
use super::outliers::Bounds;
use super::step::Step;
use crate::cells::Cells;
use cupola_task::{Columns, Draw, Field, Kind, Result, Schema};
use std::collections::BTreeMap;

/// What is learned about a training column of numbers before its step is.
pub(crate) struct Numbers {
    /// Where its outliers begin.
    pub bounds: Option<Bounds>,
    /// Its cells, clipped and filled, where other cells have a say.
    pub filled: Option<Vec<f64>>,
}

/// Cells that are clipped and filled, where other cells have a say: one a place among the inputs.
pub(crate) type Filled = Vec<Option<Vec<f64>>>;

/// The inputs that are columns of numbers.
pub(crate) fn fields(schema: &Schema) -> impl Iterator<Item = (usize, &Field)> {
    schema.inputs().enumerate().filter(|(_, field)| field.kind == Kind::Number)
}

/// The raw cells of a column of numbers, NaN where missing.
///
/// # Errors
/// When the column is not of its kind.
pub(crate) fn cells(field: &Field, raw: &Columns) -> Result<Vec<f64>> {
    let column = raw.get(&field.name).expect("a table has all columns of its schema");
    Ok(Cells::open(field, column)?.numbers().unwrap_or_default())
}

/// What training teaches about clipping, and about filling cells from other cells: one a column of numbers, by its place among the inputs,
/// and the imputers they need. Cells are copied only where something is done to them.
///
/// # Errors
/// When a setting does not suit its column.
pub(crate) fn fit(
    schema: &Schema,
    raw: &Columns,
    choice: impl Fn(&Field) -> Choice + Sync,
    n_neighbors: usize,
    draw: Draw,
) -> Result<(BTreeMap<usize, Numbers>, Vec<Imputer>)> {
    let mut numbers: BTreeMap<usize, Numbers> = BTreeMap::new();
    let mut ways: BTreeMap<usize, Missing> = BTreeMap::new();
    for (place, field) in fields(schema) {
        let choice = choice(field);
        ways.insert(place, number::missing(&choice)?);
        let bounds = if Bounds::are_asked(&choice) { Bounds::fit(&cells(field, raw)?, &choice)? } else { None };
        numbers.insert(place, Numbers { bounds, filled: None });
    }
    let inputs: Vec<&Field> = schema.inputs().collect();
    let clipped = |place: usize| -> Result<Vec<f64>> {
        let clip = |value: f64| numbers[&place].bounds.as_ref().map_or(value, |bounds| bounds.clip(value));
        Ok(cells(inputs[place], raw)?.into_iter().map(clip).collect())
    };
    let mut filled: Vec<(usize, Vec<f64>)> = Vec::new();
    let mut imputers = Vec::new();
    let asked = [Missing::Neighbours, Missing::Iterative].into_iter().filter(|way| ways.values().any(|own| own == way));
    for missing in asked {
        let columns: Vec<Vec<f64>> = ways.keys().map(|&place| clipped(place)).collect::<Result<_>>()?;
        let columns: Vec<&[f64]> = columns.iter().map(Vec::as_slice).collect();
        let imputer = Imputer::fit(Ask { missing, n_neighbors, draw }, ways.keys().copied().collect(), &columns)?;
        let own = ways.iter().zip(imputer.fill(&columns)).filter(|((_, way), _)| **way == missing);
        filled.extend(own.map(|((place, _), column)| (*place, column)));
        imputers.push(imputer);
    }
    let forward: Vec<usize> = ways.iter().filter(|(_, way)| **way == Missing::Forward).map(|(place, _)| *place).collect();
    if !forward.is_empty() {
        let order = Order::of(schema, raw)?;
        for place in forward {
            filled.push((place, order.fill(&clipped(place)?)));
        }
    }
    for (place, column) in filled {
        numbers.get_mut(&place).expect("it is a column of numbers").filled = Some(column);
    }
    Ok((numbers, imputers))
}

/// The numbers of columns whose missing cells other columns fill: one a place among the inputs.
///
/// # Errors
/// When a column is missing or not of its kind.
pub(crate) fn filled(imputers: &[Imputer], steps: &[Step], cells: impl Fn(usize) -> Result<Vec<f64>>) -> Result<Filled> {
    let mut filled: Filled = vec![None; steps.len()];
    for imputer in imputers {
        let clip = |&place: &usize| -> Result<Vec<f64>> { Ok(clipped(&steps[place], cells(place)?)) };
        let clipped: Vec<Vec<f64>> = imputer.inputs.iter().map(clip).collect::<Result<_>>()?;
        let columns = imputer.fill(&clipped.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for (&place, column) in imputer.inputs.iter().zip(columns) {
            if is_of(&steps[place], imputer.missing()) {
                filled[place] = Some(column);
            }
        }
    }
    Ok(filled)
}

/// The cells of a column of numbers, clipped.
pub(crate) fn clipped(step: &Step, cells: Vec<f64>) -> Vec<f64> {
    let Step::Number(step) = step else { unreachable!("other cells fill numbers alone: checked when it was opened") };
    cells.into_iter().map(|value| step.clip(value)).collect()
}

/// Whether the step is of a column of numbers that goes so about missing cells.
pub(crate) fn is_of(step: &Step, missing: Missing) -> bool {
    matches!(step, Step::Number(step) if step.missing() == missing)
}
