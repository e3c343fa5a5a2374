//! Answers that were given, watched afterwards: from the log with what labels say today, or from a table.

use crate::learn::truth;
use crate::{Error, Result};
use arrow_array::{Array, StringArray};
use cupola_task::{Column, Columns, Draw, Predictions};
use cupola_train::{Artifact, Watched, answers_of};
use cupola_watch::labels::ByAnswer;
use cupola_watch::log::{Logged, Order, visit};
use cupola_watch::registry::CHAMPION;
use cupola_watch::{Closed, Held, Keep, MonitorOptions, Reference, Rows, Watcher, row_hash};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

/// So many rows of a column that are all missing say that the log does not keep it.
const ROWS_UNKEPT: usize = 50;
/// A column of which more was missing in training may be missing.
const MISSING_MAX: f64 = 0.5;

/// Rows on their way to a watcher.
pub struct Replay<'a> {
    artifact: &'a Artifact,
    watched: &'a Watched,
    watcher: Watcher,
    /// Rows of tables so far.
    rows: u64,
}

impl<'a> Replay<'a> {
    /// Watches a model's answers, held against `reference`, or what training counted.
    ///
    /// # Errors
    /// When the model file holds nothing to watch with.
    pub fn new(artifact: &'a Artifact, reference: Option<Reference>, options: MonitorOptions) -> Result<Replay<'a>> {
        let watched = artifact.watched().ok_or(Error::Unwatched)?;
        let reference = reference.map_or_else(|| watched.reference.clone(), Arc::new);
        Ok(Replay { artifact, watched, watcher: Watcher::new(reference, options), rows: 0 })
    }

    /// What was found.
    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// Ends the present window, when something came in it.
    ///
    /// # Errors
    /// When it cannot be examined.
    pub fn finish(&mut self) -> Result<Option<Closed>> {
        Ok(self.watcher.finish()?)
    }

    /// Takes typed rows of a table with their targets, where those are there; there are no times.
    ///
    /// # Errors
    /// When the model does not answer them.
    pub fn table(&mut self, columns: &Columns) -> Result<Vec<Closed>> {
        let predictions = self.artifact.answer(columns)?;
        let hashes: Vec<u64> = (self.rows..).take(predictions.rows()).map(|row| row_hash(&row.to_string())).collect();
        self.rows += predictions.rows() as u64;
        let truth = columns.select(|name| self.artifact.raw().targets().any(|(field, _)| *field.name == *name));
        self.push(&[], &hashes, columns, &predictions, Some(&truth))
    }

    /// Takes what the champion's model answered in a span of time, with its labels. Gives the inputs that the log does not keep: they are not watched.
    ///
    /// # Errors
    /// When the log cannot be read, or does not fit the model.
    pub fn log(&mut self, folder: &Path, span: &Range<i64>, labels: &ByAnswer, closed: &mut dyn FnMut(&Closed)) -> Result<Vec<Arc<str>>> {
        let mut unkept: Option<Vec<Arc<str>>> = None;
        let mut failed = None;
        visit(folder, span, Some(self.artifact.hash()), Order::Oldest, &mut |piece| {
            if unkept.is_none() {
                let names = unkept_inputs(&piece, self.watcher.reference());
                if !names.is_empty() {
                    let reference = (**self.watcher.reference()).clone().without(|name| names.iter().any(|other| **other == *name));
                    self.watcher = Watcher::new(Arc::new(reference), self.watcher.options().clone());
                }
                unkept = Some(names);
            }
            let pushed = self.piece(&piece, labels).map(|windows| windows.iter().for_each(&mut *closed));
            Ok(match pushed {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        failed.map_or(Ok(unkept.unwrap_or_default()), Err)
    }

    fn piece(&mut self, piece: &Logged, labels: &ByAnswer) -> Result<Vec<Closed>> {
        let (ids, aliases, times) = (piece.texts("id"), piece.texts("alias"), piece.times());
        let mut rows: Vec<usize> = (0..times.len()).filter(|&row| aliases[row] == Some(CHAMPION) && ids[row].is_some()).collect();
        rows.sort_by_key(|&row| times[row]);
        let taken: Vec<u64> = rows.iter().map(|&row| row as u64).collect();
        let ids: Vec<&str> = rows.iter().filter_map(|&row| ids[row]).collect();
        let times: Vec<i64> = rows.iter().map(|&row| times[row]).collect();
        let hashes: Vec<u64> = ids.iter().map(|id| row_hash(id)).collect();
        let predictions = answers_of(self.artifact, &piece.outputs().take(&taken));
        let truth = known_labels(self.artifact, &ids, labels);
        self.push(&times, &hashes, &piece.inputs().take(&taken), &predictions, Some(&truth))
    }

    fn push(
        &mut self,
        at_us: &[i64],
        hashes: &[u64],
        inputs: &Columns,
        predictions: &Predictions,
        truth: Option<&Columns>,
    ) -> Result<Vec<Closed>> {
        // What the log lost of a row cannot be asked what its loss may be.
        let is_whole = self.artifact.raw().inputs().all(|field| inputs.get(&field.name).is_some());
        let losses = if is_whole { self.watched.expect(inputs, predictions)? } else { vec![] };
        Ok(self.watcher.push(&Rows { at_us, hashes, inputs, predictions, truth, losses: &losses })?)
    }
}

/// Under each target's name what labels say of answers, typed; missing where they say nothing.
pub fn known_labels(artifact: &Artifact, ids: &[&str], labels: &ByAnswer) -> Columns {
    let column = |field: &cupola_task::Field| {
        let of = |id: &&str| labels.get(&((*id).to_owned(), field.name.to_string())).map(|label| label.label.as_str());
        let texts: StringArray = ids.iter().map(of).collect();
        (field.name.clone(), Column::Array(truth(field, &(Arc::new(texts) as arrow_array::ArrayRef))))
    };
    Columns::new(artifact.raw().targets().map(|(field, _)| column(field)).collect())
}

/// A reference from typed rows of a table, with their targets where those are there.
///
/// # Errors
/// When the model does not answer them, or columns do not fit.
pub fn reference_of(artifact: &Artifact, columns: &Columns) -> Result<Reference> {
    let predictions = artifact.answer(columns)?;
    let has_truth = artifact.raw().targets().all(|(field, _)| columns.get(&field.name).is_some());
    let held = has_truth.then_some(Held { inputs: columns, predictions: &predictions, truth: columns });
    let importance = artifact.watched().map(|watched| watched.reference.importance()).unwrap_or_default();
    Ok(Reference::new(artifact.raw(), columns, held, Keep::Rows(Draw::new(0)))?.with_importance(&importance))
}

/// Inputs that are missing in every row, though training had them.
fn unkept_inputs(piece: &Logged, reference: &Reference) -> Vec<Arc<str>> {
    let inputs = piece.inputs();
    let is_unkept = |name: &str| {
        inputs.get(name).is_none_or(|column| {
            let array = column.array();
            array.is_some_and(|array| array.len() >= ROWS_UNKEPT && array.null_count() == array.len())
        })
    };
    let columns = reference.columns.iter().filter(|column| is_unkept(&column.name));
    let had = columns.filter(|column| column.tallies.iter().all(|tally| (tally.missing as f64) < MISSING_MAX * tally.rows() as f64));
    had.map(|column| column.name.clone()).collect()
}
