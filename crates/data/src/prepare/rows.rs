//! Training rows that are left out, if the recipe asks for it: those with an outlier, and those that contradict each other.
//! Nothing is left out without a word, and only training rows are: rows that measure stay as they are.

use super::choice::{Choice, Outliers};
use super::notes::Note;
use super::numbers;
use super::outliers::Bounds;
use crate::cells::{Cells, Codes, fingerprints};
use cupola_task::{Columns, Error, Field, Result, Schema, TrainSplit};
use rayon::prelude::*;
use std::collections::HashMap;

/// Rows that share all inputs and differ in a target of classes.
pub(crate) struct Conflicts {
    /// The rows, in order.
    pub rows: Vec<usize>,
    /// How many different inputs they have.
    pub groups: usize,
}

/// What contradicts itself in training rows.
pub struct Contradictions {
    /// The rows, among those of the training split.
    pub rows: Vec<u64>,
    /// What was found, as a sentence without a final full stop.
    pub sentence: String,
}

/// Training rows of equal inputs and different classes of a target; none where there are none.
///
/// # Errors
/// When rows cannot be read, or a column is not of its kind.
pub fn contradictions(train: &TrainSplit, target: &Field) -> Result<Option<Contradictions>> {
    let raw = super::table::raw(train)?;
    let conflicts = conflicts(train.data().schema(), &raw, target)?;
    let sentence = conflicts.sentence(&target.name, raw.rows());
    Ok(sentence.map(|sentence| Contradictions { rows: conflicts.rows.iter().map(|row| *row as u64).collect(), sentence }))
}

/// Finds rows of equal inputs and different classes of the target; rows that lack the target say nothing.
pub(crate) fn conflicts(schema: &Schema, raw: &Columns, target: &Field) -> Result<Conflicts> {
    let inputs: Vec<&Field> = schema.inputs().collect();
    let codes = |field: &Field| -> Result<Codes> {
        Ok(Cells::open(field, raw.get(&field.name).expect("a table has all columns of its schema"))?.codes())
    };
    let columns: Vec<Codes> = inputs.par_iter().map(|field| codes(field)).collect::<Result<_>>()?;
    let classes = codes(target)?.code;
    let prints = fingerprints(raw.rows(), columns.iter());
    let mut seen: HashMap<u128, (u32, bool)> = HashMap::new();
    let taught = |row: &usize| classes[*row] != crate::cells::MISSING;
    for row in (0..prints.len()).filter(taught) {
        let entry = seen.entry(prints[row]).or_insert((classes[row], false));
        entry.1 |= entry.0 != classes[row];
    }
    let rows = (0..prints.len()).filter(taught).filter(|row| seen[&prints[*row]].1).collect();
    Ok(Conflicts { rows, groups: seen.values().filter(|(_, differs)| *differs).count() })
}

impl Conflicts {
    /// A sentence about them; none where there are none.
    pub fn sentence(&self, target: &str, total: usize) -> Option<String> {
        let groups = if self.groups == 1 { "one group".to_owned() } else { format!("{} groups", self.groups) };
        let all = format!("{} of {total} training rows contradict each other: {groups} of equal inputs", self.rows.len());
        (!self.rows.is_empty()).then(|| format!("{all} with different classes of {target}"))
    }
}

/// The training rows without those that hold an outlier of a column that leaves its out, or none where all stay.
///
/// # Errors
/// When a setting does not suit its column, or no row would be left.
pub(crate) fn without_outliers(
    schema: &Schema,
    raw: &Columns,
    choice: impl Fn(&Field) -> Choice,
    notes: &mut Vec<Note>,
) -> Result<Option<Vec<u64>>> {
    let rows = raw.rows();
    let mut kept = vec![true; rows];
    let mut told = Vec::new();
    for (_, field) in numbers::fields(schema) {
        let choice = choice(field);
        if choice.outliers != Some(Outliers::Drop) {
            continue;
        }
        let values = numbers::cells(field, raw)?;
        let Some(bounds) = Bounds::fit(&values, &choice)? else { continue };
        let Some(count) = bounds.count(&values) else { continue };
        values.iter().zip(&mut kept).for_each(|(value, kept)| *kept &= !bounds.is_beyond(*value));
        told.push(format!("{}: {count}", choice.name));
    }
    let left: Vec<u64> = (0..rows as u64).filter(|row| kept[*row as usize]).collect();
    if left.is_empty() && rows > 0 {
        let error = Error::setting("data.clean.outliers", "drop, which leaves no training row", "clip or flag, or a larger outlier_factor");
        return Err(error.with_hint(format!("rows with an outlier by column: {}", told.join(", "))));
    }
    if left.len() == rows {
        return Ok(None);
    }
    notes.push(Note::warning(format!(
        "{} of {rows} training rows left out: they hold outliers ({}; outliers=drop)",
        rows - left.len(),
        told.join(", ")
    )));
    Ok(Some(left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::tests::{classes, numbers, table};
    use cupola_task::{Dataset, Role, Task};

    #[test]
    fn rows_of_equal_inputs_and_different_classes_contradict_each_other() {
        let table = table(vec![
            ("x", Role::Input, numbers([1.0, 1.0, 2.0, 2.0, f64::NAN, f64::NAN, 1.0])),
            ("y", Role::Target(Task::Classify), classes(["a", "b", "a", "a", "b", "a", ""])),
        ]);
        let schema = table.schema();
        let (target, _) = schema.targets().next().unwrap();
        let found = conflicts(schema, table.columns(), target).unwrap();
        assert_eq!((&found.rows[..], found.groups), (&[0, 1, 4, 5][..], 2));
        let sentence = "4 of 7 training rows contradict each other: 2 groups of equal inputs with different classes of y";
        assert_eq!(found.sentence("y", 7).as_deref(), Some(sentence));
    }
}
