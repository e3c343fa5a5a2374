//! Forward fill: a missing cell of a training row becomes the last value before it.
//!
//! Before means earlier in time and of the same group, where the table has such keys; else further up. Only training rows
//! are looked at. A row that is answered, in a test as in the server, stands alone: it has no row before it, so it gets the
//! training median, and test rows measure what the server will do.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef};
use cupola_task::{Columns, Key, Schema};
use std::collections::HashMap;

/// In what order rows follow each other, and which of them belong together.
pub(crate) struct Order {
    rows: Vec<usize>,
    group: Vec<u32>,
}

impl Order {
    /// By the table's time and group keys. Rows without a time come in no order, so they are left out.
    pub fn of(schema: &Schema, columns: &Columns) -> Order {
        let key = |key| schema.keys(key).next().and_then(|field| columns.array(&field.name).ok());
        let count = columns.rows();
        let mut rows: Vec<usize> = (0..count).collect();
        if let Some(times) = key(Key::Time).and_then(moments) {
            rows.retain(|&row| times[row].is_some());
            rows.sort_by(|&a, &b| times[a].partial_cmp(&times[b]).unwrap_or(std::cmp::Ordering::Equal));
        }
        Order { rows, group: key(Key::Group).map_or_else(|| vec![0; count], groups) }
    }

    /// The values with every gap filled that has a value before it.
    pub fn fill(&self, values: &[f64]) -> Vec<f64> {
        let mut last: HashMap<u32, f64> = HashMap::new();
        let mut filled = values.to_vec();
        for &row in &self.rows {
            match values[row].is_nan() {
                true => filled[row] = last.get(&self.group[row]).copied().unwrap_or(f64::NAN),
                false => _ = last.insert(self.group[row], values[row]),
            }
        }
        filled
    }
}

/// Times that can be compared; none for a column that holds no such.
fn moments(array: &ArrayRef) -> Option<Vec<Option<f64>>> {
    if let Some(times) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        // Microseconds of all years that tables hold are whole numbers of less than 54 bits.
        return Some(times.iter().map(|time| time.map(|time| time as f64)).collect());
    }
    let numbers = array.as_primitive_opt::<Float64Type>()?;
    Some(numbers.iter().map(|number| number.filter(|number| !number.is_nan())).collect())
}

fn groups(array: &ArrayRef) -> Vec<u32> {
    let mut known: HashMap<Option<String>, u32> = HashMap::new();
    let texts = array.as_string_opt::<i32>();
    let numbers = array.as_primitive_opt::<Float64Type>();
    let name = |row: usize| match (texts, numbers) {
        _ if array.is_null(row) => None,
        (Some(texts), _) => Some(texts.value(row).to_owned()),
        (_, Some(numbers)) => Some(numbers.value(row).to_string()),
        _ => None,
    };
    (0..array.len())
        .map(|row| {
            let next = known.len() as u32;
            *known.entry(name(row)).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::tests::{classes, dates, numbers, table};
    use cupola_task::Role;

    #[test]
    fn gaps_take_the_last_value_of_their_group() {
        let gap = f64::NAN;
        let values = [gap, 1.0, gap, gap, 4.0, gap];
        let x = ("x", Role::Input, numbers([0.0; 6]));
        let time = ("t", Role::Key(Key::Time), dates([Some(6), Some(5), Some(4), Some(3), Some(2), None]));
        let group = ("g", Role::Key(Key::Group), classes(["a", "b", "a", "b", "a", "a"]));
        for (columns, wanted) in [
            (vec![x.clone()], [gap, 1.0, 1.0, 1.0, 4.0, 4.0]),
            (vec![x.clone(), time.clone()], [1.0, 1.0, 4.0, 4.0, 4.0, gap]),
            (vec![x.clone(), group.clone()], [gap, 1.0, gap, 1.0, 4.0, 4.0]),
            (vec![x, time, group], [4.0, 1.0, 4.0, gap, 4.0, gap]),
        ] {
            let table = table(columns);
            let filled = Order::of(cupola_task::Dataset::schema(&table), table.columns()).fill(&values);
            assert!(filled.iter().zip(&wanted).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())), "{filled:?} is not {wanted:?}");
        }
    }
}
