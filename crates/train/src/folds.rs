//! Folds for cross-validation inside the training rows: whole groups, time going forward, or classes in equal shares.

use crate::Result;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use cupola_task::{Batch, Draw, Key, Schema, Side, Task};
use std::collections::BTreeMap;

/// Of the rows a fold learns from, one in so many is held back to stop early on.
const HELD_BACK: u64 = 10;

/// Above this many training rows three folds are enough.
const ROWS_FIVE_FOLDS_MAX: u64 = 10_000;

/// Folds by which models or settings are chosen: as many as were asked for, else by the training rows, of which `rows` are dealt out.
pub fn count(asked: Option<usize>, rows: u64) -> usize {
    asked.unwrap_or(if rows > ROWS_FIVE_FOLDS_MAX { 3 } else { 5 }).min(rows.max(2) as usize)
}

/// For each fold the side of every row: `Test` is held out to score on, `Valid` is held back from the rest to stop early on.
///
/// Rows of one group stay together. With a time key, fold `i` scores the `i + 1`th of `k + 1` stretches of time and learns
/// from all that came before. Otherwise classes are dealt out in equal shares, and numbers at random.
///
/// # Errors
/// When a key column is not an array.
pub fn folds(schema: &Schema, rows: &Batch, k: usize, draw: Draw) -> Result<Vec<Vec<Side>>> {
    let order = draw.stream("folds").permutation(rows.rows.len() as u64);
    if let Some(time) = schema.keys(Key::Time).next() {
        return Ok(forward(rows.keys.array(&time.name)?, k));
    }
    let fold_of = match schema.keys(Key::Group).next() {
        Some(group) => by_group(&labels(rows.keys.array(&group.name)?), &order, k),
        None => match schema.targets().next() {
            Some((field, Task::Classify)) => by_class(&labels(rows.targets.array(&field.name)?), &order, k),
            _ => by_class(&vec![String::new(); order.len()], &order, k),
        },
    };
    let held_back = draw.stream("held back");
    Ok((0..k)
        .map(|fold| {
            let side = |(row, of): (usize, &usize)| match *of == fold {
                true => Side::Test,
                false if held_back.at(fold as u64).below(row as u64, HELD_BACK) == 0 => Side::Valid,
                false => Side::Train,
            };
            fold_of.iter().enumerate().map(side).collect()
        })
        .collect())
}

fn labels(array: &ArrayRef) -> Vec<String> {
    match array.as_string_opt::<i32>() {
        Some(texts) => texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect(),
        None => {
            let numbers = array.as_primitive_opt::<arrow_array::types::Float64Type>();
            (0..array.len()).map(|row| numbers.map_or(String::new(), |numbers| numbers.value(row).to_string())).collect()
        }
    }
}

fn by_class(labels: &[String], order: &[u64], k: usize) -> Vec<usize> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut fold_of = vec![0; labels.len()];
    for &row in order {
        // Each class begins at another fold, so that many rare classes do not all fill the first.
        let next = seen.len();
        let count = seen.entry(&labels[row as usize]).or_insert(next);
        fold_of[row as usize] = *count % k;
        *count += 1;
    }
    fold_of
}

fn by_group(labels: &[String], order: &[u64], k: usize) -> Vec<usize> {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for label in labels {
        *sizes.entry(label).or_default() += 1;
    }
    let mut groups: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    groups.extend(order.iter().map(|&row| labels[row as usize].as_str()).filter(|label| seen.insert(*label)));
    groups.sort_by_key(|group| std::cmp::Reverse(sizes[group]));
    let mut loads = vec![0u64; k];
    let mut fold_of_group: BTreeMap<&str, usize> = BTreeMap::new();
    for group in groups {
        let lightest = (0..k).min_by_key(|&fold| loads[fold]).expect("there is a fold");
        loads[lightest] += sizes[group];
        fold_of_group.insert(group, lightest);
    }
    labels.iter().map(|label| fold_of_group[label.as_str()]).collect()
}

fn forward(times: &ArrayRef, k: usize) -> Vec<Vec<Side>> {
    let micros = times.as_primitive_opt::<arrow_array::types::TimestampMicrosecondType>();
    let numbers = times.as_primitive_opt::<arrow_array::types::Float64Type>();
    let value = |row: usize| match (micros, numbers) {
        (Some(micros), _) => micros.value(row) as f64,
        (None, Some(numbers)) => numbers.value(row),
        (None, None) => row as f64,
    };
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
    let cut = |stretch: usize| order.len() * stretch / (k + 1);
    (0..k)
        .map(|fold| {
            let (start, end) = (cut(fold + 1), cut(fold + 2));
            let held_back = start - start / HELD_BACK as usize;
            let mut sides = vec![Side::Out; order.len()];
            for (place, &row) in order.iter().enumerate().take(end) {
                sides[row] = if place >= start {
                    Side::Test
                } else if place >= held_back {
                    Side::Valid
                } else {
                    Side::Train
                };
            }
            sides
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Float64Array, StringArray};
    use cupola_task::{Column, Columns, Field, Kind, Role};
    use std::sync::Arc;

    fn batch(key: Option<Key>) -> (Schema, Batch) {
        let field = |name: &str, kind, role| Field { name: name.into(), kind, role };
        let role = key.map_or(Role::Input, Role::Key);
        let schema = Schema {
            fields: vec![field("k", Kind::Number, role), field("y", Kind::Category { classes: [].into() }, Role::Target(Task::Classify))],
        };
        let columns = Columns::new(vec![
            ("k".into(), Column::Array(Arc::new(Float64Array::from_iter_values((0..100).map(|row| f64::from(row / 5)))))),
            ("y".into(), Column::Array(Arc::new(StringArray::from_iter_values((0..100).map(|row| if row % 4 == 0 { "a" } else { "b" }))))),
        ]);
        let batch = Batch::new((0..100).collect(), &columns, &schema);
        (schema, batch)
    }

    fn count(sides: &[Side], side: Side) -> usize {
        sides.iter().filter(|known| **known == side).count()
    }

    #[test]
    fn every_row_is_tested_once_and_classes_are_shared_out() {
        let (schema, batch) = batch(None);
        let folds = folds(&schema, &batch, 5, Draw::new(1)).unwrap();
        for row in 0..100 {
            assert_eq!(folds.iter().filter(|sides| sides[row] == Side::Test).count(), 1);
        }
        for sides in &folds {
            let rare = sides.iter().enumerate().filter(|(row, side)| **side == Side::Test && row % 4 == 0).count();
            assert_eq!((count(sides, Side::Test), rare), (20, 5));
        }
    }

    #[test]
    fn groups_stay_whole_and_time_goes_forward() {
        let (schema, batch) = batch(Some(Key::Group));
        for sides in folds(&schema, &batch, 4, Draw::new(1)).unwrap() {
            assert!(sides.chunks(5).all(|group| group.iter().all(|side| (*side == Side::Test) == (group[0] == Side::Test))));
        }
        let (schema, batch) = self::batch(Some(Key::Time));
        for sides in folds(&schema, &batch, 4, Draw::new(1)).unwrap() {
            let last_learned = sides.iter().rposition(|side| matches!(side, Side::Train | Side::Valid)).unwrap();
            let first_tested = sides.iter().position(|side| *side == Side::Test).unwrap();
            assert!(last_learned < first_tested && count(&sides, Side::Train) > 0);
        }
    }
}
