//! Answers and the labels that found them: what the log and the labels are together, a table again.

use crate::labels::ByAnswer;
use crate::log::Logged;
use crate::{Error, Result};
use arrow_array::StringArray;
use cupola_task::{Column, Columns};
use std::collections::HashSet;
use std::sync::Arc;

/// Rows that were answered, in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    /// By which the rows were labelled.
    pub ids: Vec<String>,
    /// When each was answered.
    pub at_us: Vec<i64>,
    /// What was asked.
    pub inputs: Columns,
    /// Under each target's name what turned out to be true, as text; none where nobody said it yet.
    pub labels: Columns,
}

/// What was answered to anybody, labelled as far as that is known. An id that was answered twice stands there once, as it was asked first. Pieces of
/// models with other inputs are left out, and so are pieces that the log forgot inputs of.
///
/// # Errors
/// When pieces hold columns of another kind under one name.
pub fn join(pieces: &[Logged], labels: &ByAnswer, inputs: &[Arc<str>], targets: &[Arc<str>]) -> Result<Joined> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut rows: Vec<(i64, String, usize, u64)> = Vec::new();
    let mut parts: Vec<Columns> = Vec::new();
    for piece in pieces {
        let own = piece.inputs();
        if inputs.iter().any(|name| own.get(name).is_none()) {
            continue;
        }
        let (ids, aliases, times) = (piece.texts("id"), piece.texts("alias"), piece.times());
        for (row, id) in ids.iter().enumerate() {
            let Some(id) = id.filter(|_| aliases[row] != Some("shadow")) else { continue };
            if seen.insert(id.to_owned()) {
                rows.push((times[row], id.to_owned(), parts.len(), row as u64));
            }
        }
        let ordered = inputs.iter().filter_map(|name| Some((name.clone(), own.get(name)?.clone())));
        parts.push(Columns::new(ordered.collect()));
    }
    rows.sort();
    let starts: Vec<u64> = parts
        .iter()
        .scan(0, |end, part| {
            let start = *end;
            *end += part.rows() as u64;
            Some(start)
        })
        .collect();
    let places: Vec<u64> = rows.iter().map(|(_, _, part, row)| starts[*part] + row).collect();
    let inputs = match parts.is_empty() {
        true => Columns::default(),
        false => Columns::concat(&parts).map_err(Error::Task)?.take(&places),
    };
    let label = |target: &Arc<str>| {
        let of = |id: &String| labels.get(&(id.clone(), target.to_string())).map(|label| label.label.as_str());
        let texts: StringArray = rows.iter().map(|(_, id, _, _)| of(id)).collect();
        (target.clone(), Column::Array(Arc::new(texts)))
    };
    Ok(Joined {
        labels: Columns::new(targets.iter().map(label).collect()),
        at_us: rows.iter().map(|row| row.0).collect(),
        ids: rows.into_iter().map(|row| row.1).collect(),
        inputs,
    })
}

impl Joined {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// The given rows, in that order.
    #[must_use]
    pub fn take(&self, rows: &[u64]) -> Joined {
        Joined {
            ids: rows.iter().map(|&row| self.ids[row as usize].clone()).collect(),
            at_us: rows.iter().map(|&row| self.at_us[row as usize]).collect(),
            inputs: self.inputs.take(rows),
            labels: self.labels.take(rows),
        }
    }

    /// The rows whose targets are all known.
    #[must_use]
    pub fn labelled(&self) -> Joined {
        let is_known = |row: &u64| {
            let mut arrays = self.labels.iter().filter_map(|(_, column)| column.array());
            arrays.all(|array| arrow_array::Array::is_valid(array, *row as usize))
        };
        self.take(&(0..self.rows() as u64).filter(is_known).collect::<Vec<_>>())
    }

    /// Inputs and targets side by side, as a table to learn from.
    pub fn table(&self) -> Columns {
        Columns::new(self.inputs.iter().chain(self.labels.iter()).map(|(name, column)| (name.clone(), column.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::Label;
    use arrow_array::{Float64Array, TimestampMicrosecondArray};

    fn piece(hash: &str, rows: &[(&str, i64, &str, f64)]) -> Logged {
        let text = |values: Vec<&str>| Column::Array(Arc::new(StringArray::from(values)));
        let numbers = |values: Vec<f64>| Column::Array(Arc::new(Float64Array::from(values)));
        let columns = Columns::new(vec![
            ("id".into(), text(rows.iter().map(|row| row.0).collect())),
            ("at".into(), Column::Array(Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.1))))),
            ("alias".into(), text(rows.iter().map(|row| row.2).collect())),
            ("input.x".into(), numbers(rows.iter().map(|row| row.3).collect())),
        ]);
        Logged { hash: hash.into(), columns }
    }

    #[test]
    fn answers_meet_their_labels_once_each_in_order() {
        let pieces = [
            piece("a", &[("r3", 30, "champion", 3.0), ("r1", 10, "champion", 1.0)]),
            piece("b", &[("r1", 11, "shadow", 1.0), ("r2", 20, "challenger", 2.0), ("r3", 35, "champion", 9.0)]),
        ];
        let label = |text: &str| Label { label: text.into(), at_us: 1, received_us: 2, contradictions: 0 };
        let labels: ByAnswer = [(("r2".into(), "y".into()), label("no")), (("r9".into(), "y".into()), label("yes"))].into();
        let joined = join(&pieces, &labels, &["x".into()], &["y".into()]).unwrap();
        assert_eq!((&joined.ids[..], &joined.at_us[..]), (&["r1".to_owned(), "r2".into(), "r3".into()][..], &[10, 20, 30][..]));
        let known = joined.labelled();
        assert_eq!(known.table().names().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!((known.ids, known.inputs.array("x").unwrap().len()), (vec!["r2".to_owned()], 1));
        assert_eq!(join(&pieces, &labels, &["z".into()], &["y".into()]).unwrap().rows(), 0);
    }
}
