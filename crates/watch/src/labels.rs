//! Labels: what turned out to be true, days after the answer, in any order, more than once, sometimes against each other.
//!
//! All that is said is kept. What counts for an answer is the label that was true last (`at`), and of those the one that came last; how often an
//! answer was labelled otherwise is counted, so that a source that contradicts itself is seen.

use crate::store::{Durability, Row, Store, StoreAt, Value};
use crate::{Error, Result};
use serde::Serialize;
use std::collections::HashMap;

/// Longest id and label that are kept.
pub const ID_MAX: usize = 256;
/// Longest label that is kept.
pub const LABEL_MAX: usize = 4096;

/// One label as it comes.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLabel {
    /// The id that came with the answer.
    pub id: String,
    /// The target it is a label of.
    pub target: String,
    /// What was true: a class, or a number as text.
    pub label: String,
    /// When it was true, in microseconds since 1970.
    pub at_us: i64,
}

/// Labels that came together.
#[derive(Clone, Debug, PartialEq)]
pub struct NewLabels {
    /// The model's name.
    pub name: String,
    /// When they came, in microseconds since 1970.
    pub received_us: i64,
    /// How: `http`, `file`.
    pub source: String,
    /// What they say.
    pub labels: Vec<NewLabel>,
}

impl NewLabels {
    /// Whether they can be kept.
    ///
    /// # Errors
    /// When an id or label is too long or empty, or holds a zero byte.
    pub fn check(&self) -> Result<()> {
        self.labels.iter().try_for_each(check)
    }
}

/// The label that counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// What was true.
    pub label: String,
    /// When.
    pub at_us: i64,
    /// When it came.
    pub received_us: i64,
    /// How many labels said something else.
    pub contradictions: u32,
}

/// Labels by answer's id and target.
pub type ByAnswer = HashMap<(String, String), Label>;

/// The labels of all models in a store.
pub struct Labels {
    store: Store,
}

impl Labels {
    /// Opens the labels of a store.
    ///
    /// # Errors
    /// When it cannot be made or reached.
    pub fn open(at: &StoreAt, durability: Durability) -> Result<Labels> {
        Ok(Labels { store: Store::open(at, durability)? })
    }

    /// Keeps labels, all of all batches or none. When this returns they outlive what the durability says.
    ///
    /// # Errors
    /// When an id or label is too long or empty, or the store is away.
    pub fn add(&self, batches: &[NewLabels]) -> Result<()> {
        batches.iter().try_for_each(NewLabels::check)?;
        let statement = "INSERT INTO labels (name, id, target, label, at_us, received_us, source) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        self.store.transaction(|transaction| {
            for (batch, label) in batches.iter().flat_map(|batch| batch.labels.iter().map(move |label| (batch, label))) {
                let values: [Value; 7] = [
                    batch.name.as_str().into(),
                    label.id.as_str().into(),
                    label.target.as_str().into(),
                    label.label.as_str().into(),
                    label.at_us.into(),
                    batch.received_us.into(),
                    batch.source.as_str().into(),
                ];
                transaction.execute(statement, &values)?;
            }
            Ok(())
        })
    }

    /// The labels that count, of all that came from that moment on.
    ///
    /// # Errors
    /// When the store is away.
    pub fn since(&self, name: &str, received_us: i64) -> Result<ByAnswer> {
        let statement =
            "SELECT id, target, label, at_us, received_us FROM labels WHERE name = $1 AND received_us >= $2 ORDER BY at_us, seq";
        Ok(settle(&self.store.query(statement, &[name.into(), received_us.into()])?))
    }

    /// Removes the labels of answers: a person asked for it. Gives how many there were.
    ///
    /// # Errors
    /// When the store is away.
    pub fn forget(&self, name: &str, ids: &[String]) -> Result<u64> {
        self.store.transaction(|transaction| {
            let mut removed = 0;
            for id in ids {
                removed += transaction.execute("DELETE FROM labels WHERE name = $1 AND id = $2", &[name.into(), id.as_str().into()])?;
            }
            Ok(removed)
        })
    }
}

fn check(label: &NewLabel) -> Result<()> {
    let place = || format!("label of {:?}", label.id.chars().take(40).collect::<String>());
    if label.id.is_empty() || label.id.len() > ID_MAX {
        return Err(Error::refused(place(), format!("an id of {} bytes", label.id.len()), format!("1 to {ID_MAX}")));
    }
    if label.label.is_empty() || label.label.len() > LABEL_MAX {
        return Err(Error::refused(place(), format!("a label of {} bytes", label.label.len()), format!("1 to {LABEL_MAX}")));
    }
    // PostgreSQL keeps no such text, and what one store keeps the other must keep.
    match label.id.contains('\0') || label.label.contains('\0') {
        true => Err(Error::refused(place(), "a zero byte", "text")),
        false => Ok(()),
    }
}

/// A label, when it was true, and when it came.
type Word<'a> = (&'a str, i64, i64);

/// Rows in the order of their truth become the last word about each answer.
fn settle(rows: &[Row]) -> ByAnswer {
    let mut said: HashMap<(String, String), Vec<Word<'_>>> = HashMap::new();
    for row in rows {
        let text = |place: usize| row[place].text().unwrap_or_default();
        let times = (row[3].integer().unwrap_or_default(), row[4].integer().unwrap_or_default());
        said.entry((text(0).to_owned(), text(1).to_owned())).or_default().push((text(2), times.0, times.1));
    }
    let last = |all: Vec<Word<'_>>| {
        let (label, at_us, received_us) = *all.last()?;
        let contradictions = all.iter().filter(|other| other.0 != label).count() as u32;
        Some(Label { label: label.to_owned(), at_us, received_us, contradictions })
    };
    said.into_iter().filter_map(|(key, all)| Some((key, last(all)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures;

    fn label(id: &str, label: &str, at_us: i64) -> NewLabel {
        NewLabel { id: id.into(), target: "y".into(), label: label.into(), at_us }
    }

    fn batch(labels: &[NewLabel], received_us: i64) -> [NewLabels; 1] {
        [NewLabels { name: "m".into(), received_us, source: "http".into(), labels: labels.to_vec() }]
    }

    #[test]
    fn late_repeated_and_contradictory_labels_settle() {
        for (_folder, at) in fixtures() {
            let labels = Labels::open(&at, Durability::Process).unwrap();
            labels.add(&batch(&[label("b", "no", 50), label("a", "yes", 20)], 100)).unwrap();
            // What was true earlier comes later, and does not count; what is said again changes nothing.
            labels.add(&batch(&[label("a", "no", 10), label("a", "yes", 20)], 200)).unwrap();
            // Of two that were true at once the one that came last counts.
            labels.add(&batch(&[label("b", "yes", 50)], 300)).unwrap();
            let all = labels.since("m", 0).unwrap();
            let of = |id: &str| &all[&(id.to_owned(), "y".to_owned())];
            assert_eq!((of("a").label.as_str(), of("a").contradictions), ("yes", 1));
            assert_eq!((of("b").label.as_str(), of("b").received_us, of("b").contradictions), ("yes", 300, 1));
            assert_eq!(labels.since("m", 250).unwrap().len(), 1);
            assert!(labels.since("other", 0).unwrap().is_empty());
            assert_eq!(labels.forget("m", &["a".into(), "zz".into()]).unwrap(), 3);
            assert_eq!(labels.since("m", 0).unwrap().keys().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b"]);
            assert_eq!(labels.forget("m", &["b".into()]).unwrap(), 2);
        }
    }

    #[test]
    fn labels_that_cannot_be_kept_are_refused_whole() {
        let (folder, at) = fixtures().remove(0);
        let labels = Labels::open(&at, Durability::Process).unwrap();
        for bad in
            [label("", "a", 1), label("a", "", 1), label(&"x".repeat(257), "a", 1), label("a", &"x".repeat(4097), 1), label("a", "\0", 1)]
        {
            assert!(labels.add(&batch(&[label("good", "a", 1), bad], 1)).is_err());
        }
        assert!(labels.since("m", 0).unwrap().is_empty());
        drop(folder);
    }
}
