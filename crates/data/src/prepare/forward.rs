//! Forward fill: a missing cell of a training row becomes the last value before it.
//!
//! Before means earlier in time and of the same group, where the table has such keys; else further up. Only training rows
//! are looked at. A row that is answered, in a test as in the server, stands alone: it has no row before it, so it gets the
//! training median, and test rows measure what the server will do.

use crate::cells::{Cells, Codes, MISSING};
use cupola_task::{Columns, Field, Key, Kind, Result, Schema};
use std::collections::HashMap;

/// In what order rows follow each other, and which of them belong together.
pub(crate) struct Order {
    rows: Vec<usize>,
    /// Rows without a group belong together, too.
    group: Vec<u32>,
}

impl Order {
    /// By the table's time and group keys. Rows without a time come in no order, so they are left out.
    ///
    /// # Errors
    /// When a key is not of its kind.
    pub fn of(schema: &Schema, raw: &Columns) -> Result<Order> {
        let codes = |key: Key, suits: fn(&Field) -> bool| -> Result<Option<Codes>> {
            let known = schema.keys(key).next().filter(|field| suits(field)).and_then(|field| Some((field, raw.get(&field.name)?)));
            known.map(|(field, column)| Ok(Cells::open(field, column)?.codes())).transpose()
        };
        let mut rows: Vec<usize> = (0..raw.rows()).collect();
        // Codes of numbers and dates ascend with them; others come in no order.
        if let Some(times) = codes(Key::Time, |field| matches!(field.kind, Kind::Number | Kind::Date))? {
            rows.retain(|&row| times.code[row] != MISSING);
            rows.sort_by_key(|&row| times.code[row]);
        }
        let group = codes(Key::Group, |_| true)?;
        Ok(Order { rows, group: group.map_or_else(|| vec![0; raw.rows()], |group| group.code) })
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
        let days = ("g", Role::Key(Key::Group), dates([1, 2, 1, 2, 1, 1].map(Some)));
        for (columns, wanted) in [
            (vec![x.clone()], [gap, 1.0, 1.0, 1.0, 4.0, 4.0]),
            (vec![x.clone(), time.clone()], [1.0, 1.0, 4.0, 4.0, 4.0, gap]),
            (vec![x.clone(), group.clone()], [gap, 1.0, gap, 1.0, 4.0, 4.0]),
            (vec![x.clone(), time, group], [4.0, 1.0, 4.0, gap, 4.0, gap]),
            (vec![x, days], [gap, 1.0, gap, 1.0, 4.0, 4.0]),
        ] {
            let table = table(columns);
            let filled = Order::of(cupola_task::Dataset::schema(&table), table.columns()).unwrap().fill(&values);
            assert!(filled.iter().zip(&wanted).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())), "{filled:?} is not {wanted:?}");
        }
    }
}
