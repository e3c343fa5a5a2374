//! What came in a stretch of time, counted with the reference's own bins: its size does not depend on how much came.
//!
//! In which pieces and in which order rows come does not matter: counts are the same exactly, sums up to rounding. Rows that are kept are those
//! whose ids have the smallest hashes (a bottom-k sample: Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007), so which they are
//! does not depend on the order either.

use crate::axis::Tally;
use crate::content::Cells;
use crate::estimate::Expected;
use crate::reference::{ColumnReference, Reference};
use crate::target::{self, Rows, TargetReference, places, truths};
use crate::{Error, Result};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_task::{Column, Columns, Draw, Predictions, Task};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many rows are kept as codes for the domain classifier.
const ROWS_KEPT: usize = 1000;
/// How many labelled rows of a target are kept.
const LABELLED_KEPT: usize = 20_000;

/// What came.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// How many rows.
    pub rows: u64,
    /// The first and the last moment, in microseconds since 1970, when the caller said it.
    pub period: Option<[i64; 2]>,
    /// The inputs, in the reference's order.
    pub columns: Vec<ColumnWindow>,
    /// The targets, in the reference's order.
    pub targets: Vec<TargetWindow>,
    /// Some rows as codes, by the hash of their ids; none when the reference has none to compare them with.
    kept: BTreeMap<u64, Vec<u8>>,
}

/// What came in a column.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ColumnWindow {
    /// What fell into the reference's bins, an axis each.
    pub tallies: Vec<Tally>,
    /// Rows without the column.
    pub absent: u64,
    /// Rows where it held something of another kind.
    pub mistyped: u64,
}

/// What came of a target.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct TargetWindow {
    /// How many rows were answered.
    pub rows: u64,
    /// The answers, as `TargetReference::answers` has them.
    pub answers: Vec<Tally>,
    /// The most probable class; none of numbers.
    pub said: Option<Tally>,
    /// What was true, as far as anybody said it.
    pub truth: Tally,
    /// What quality to expect without labels.
    pub expected: Expected,
    /// Labelled rows, by the hash of their ids.
    pub(crate) labelled: BTreeMap<u64, Labelled>,
}

/// A row whose truth is known.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Labelled {
    /// The answer: probabilities, or one number.
    pub(crate) answer: Vec<f64>,
    /// What was true.
    pub(crate) truth: Truth,
    /// The row's cell in each slice column; none where it is missing.
    pub(crate) groups: Vec<Option<u16>>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Truth {
    Number(f64),
    Class(String),
}

/// What the schema check found wrong with a column before it came here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SchemaFault {
    /// The column was not there.
    Absent,
    /// It could not be read as what it should be.
    Mistyped,
}

/// The hash of a row's id, by which rows are chosen and told from each other.
pub fn row_hash(id: &str) -> u64 {
    Draw::new(0).stream(id).bits(0)
}

impl Window {
    /// Nothing yet.
    pub fn new(reference: &Reference) -> Window {
        let column = |column: &ColumnReference| ColumnWindow { tallies: column.empty(), absent: 0, mistyped: 0 };
        Window {
            columns: reference.columns.iter().map(column).collect(),
            targets: reference.targets.iter().map(TargetWindow::new).collect(),
            ..Window::default()
        }
    }

    /// Adds answered rows: their ids' hashes ([`row_hash`]), raw inputs, and answers. A column that is not there, or holds something else, is
    /// counted and not refused; so is a target without answers.
    ///
    /// # Errors
    /// When the window is of another reference, hashes are not as many as rows, or an answer is of another kind than the target.
    pub fn push(&mut self, reference: &Reference, hashes: &[u64], inputs: &Columns, predictions: &Predictions) -> Result<()> {
        self.check(reference)?;
        let rows = hashes.len();
        if [inputs.rows(), predictions.rows()].iter().any(|found| *found != rows && *found != 0) {
            let found = format!("{} rows of inputs and {} answers", inputs.rows(), predictions.rows());
            return Err(Error::refused("window", found, format!("{rows}, as ids")));
        }
        let answers =
            reference.targets.iter().map(|target| predictions.get(&target.name).map(|answer| target::rows(&target.classes, answer)));
        let answers = answers.map(Option::transpose).collect::<Result<Vec<_>>>()?;
        self.rows += rows as u64;
        let cells = self.push_inputs(reference, inputs, rows as u64);
        self.keep(reference, hashes, &cells);
        for ((target, own), answer) in reference.targets.iter().zip(&mut self.targets).zip(answers) {
            if let Some(answer) = answer {
                own.push(target, &answer);
            }
        }
        Ok(())
    }

    fn push_inputs(&mut self, reference: &Reference, inputs: &Columns, rows: u64) -> Vec<Option<Cells>> {
        let pairs = reference.columns.iter().zip(&mut self.columns);
        let push = |(column, own): (&ColumnReference, &mut ColumnWindow)| {
            let Some(found) = inputs.get(&column.name) else {
                own.absent += rows;
                return None;
            };
            let cells = column.content.cells(found);
            match &cells {
                Some(cells) => cells.add_to(&column.axes, &mut own.tallies),
                None => own.mistyped += rows,
            }
            cells
        };
        pairs.map(push).collect()
    }

    fn keep(&mut self, reference: &Reference, hashes: &[u64], cells: &[Option<Cells>]) {
        if reference.kept.is_none() {
            return;
        }
        let limit = if self.kept.len() < ROWS_KEPT { u64::MAX } else { self.kept.last_key_value().map_or(u64::MAX, |(last, _)| *last) };
        let chosen: Vec<usize> = (0..hashes.len()).filter(|row| hashes[*row] <= limit).collect();
        for (&row, codes) in chosen.iter().zip(reference.codes(cells, &chosen)) {
            self.kept.entry(hashes[row]).or_insert(codes);
        }
        shrink(&mut self.kept, ROWS_KEPT);
    }

    /// Adds labels that came, with the rows they are of: ids' hashes, inputs (for slices), the answers that were given, and under each target's
    /// name what was true; missing where nobody knows. A row that was labelled before keeps what was said last.
    ///
    /// # Errors
    /// As [`Window::push`], and when a truth is of another kind than its target.
    pub fn push_labels(
        &mut self,
        reference: &Reference,
        hashes: &[u64],
        inputs: &Columns,
        predictions: &Predictions,
        truth: &Columns,
    ) -> Result<()> {
        self.check(reference)?;
        let groups: Vec<Vec<Option<usize>>> =
            reference.slices.iter().map(|slice| places(slice, inputs.get(&slice.name), hashes.len())).collect();
        for (target, own) in reference.targets.iter().zip(&mut self.targets) {
            let (Some(answer), Some(column)) = (predictions.get(&target.name), truth.get(&target.name)) else { continue };
            let answer = target::rows(&target.classes, answer)?;
            let array = truths(&target.name, target.task, column)?;
            if array.len() != hashes.len() || answer.values.len() != hashes.len() * answer.width {
                let found = format!("{} labels and {} answers", array.len(), answer.values.len() / answer.width.max(1));
                return Err(Error::refused(format!("target {}", target.name), found, format!("{}, as ids", hashes.len())));
            }
            own.push_labels(target, hashes, &groups, &answer, &Column::Array(array));
        }
        Ok(())
    }

    /// Adds rows that the schema check found wrong, when it did not let their columns through as they were.
    pub fn push_faults(&mut self, reference: &Reference, column: &str, fault: SchemaFault, rows: u64) {
        let place = reference.columns.iter().position(|known| &*known.name == column);
        if let Some(own) = place.and_then(|place| self.columns.get_mut(place)) {
            match fault {
                SchemaFault::Absent => own.absent += rows,
                SchemaFault::Mistyped => own.mistyped += rows,
            }
        }
    }

    /// Adds what a model of losses expects of a target's answers: absolute and squared error of each row.
    pub fn push_losses(&mut self, reference: &Reference, target: &str, losses: &[[f64; 2]]) {
        let place = reference.targets.iter().position(|known| &*known.name == target);
        if let Some(own) = place.and_then(|place| self.targets.get_mut(place)) {
            own.expected.push_losses(losses);
        }
    }

    /// Rows as codes, in the order of their hashes.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &[u8]> {
        self.kept.values().map(Vec::as_slice)
    }

    /// Refuses a reference that the window was not made for.
    pub(crate) fn check(&self, reference: &Reference) -> Result<()> {
        let same = |column: &ColumnReference, tallies: &[Tally]| {
            column.axes.len() == tallies.len() && column.axes.iter().zip(tallies).all(|(axis, tally)| axis.cells() == tally.counts.len())
        };
        let fits = |target: &TargetReference, own: &TargetWindow| {
            target.answers.len() == own.answers.len() && same(&target.truth, std::slice::from_ref(&own.truth))
        };
        let is_alike = self.columns.len() == reference.columns.len()
            && self.targets.len() == reference.targets.len()
            && reference.columns.iter().zip(&self.columns).all(|(column, own)| same(column, &own.tallies))
            && reference.targets.iter().zip(&self.targets).all(|(target, own)| fits(target, own));
        if is_alike { Ok(()) } else { Err(Error::refused("window", "one of another reference", "one of this reference")) }
    }
}

fn shrink<T>(kept: &mut BTreeMap<u64, T>, most: usize) {
    while kept.len() > most {
        kept.pop_last();
    }
}

impl TargetWindow {
    fn new(target: &TargetReference) -> TargetWindow {
        TargetWindow {
            rows: 0,
            answers: target::empty(&target.answers),
            said: target.said.as_ref().map(|said| Tally::new(&said.axes[0])),
            truth: Tally::new(&target.truth.axes[0]),
            expected: Expected::new(target.classes.len()),
            labelled: BTreeMap::new(),
        }
    }

    fn push(&mut self, target: &TargetReference, answer: &Rows) {
        self.rows += (answer.values.len() / answer.width) as u64;
        for (column, (tally, (place, _))) in target.answers.iter().zip(self.answers.iter_mut().zip(target.watched())) {
            answer.cells(place).add_to(&column.axes, std::slice::from_mut(tally));
        }
        if let (Some(said), Some(own)) = (&target.said, &mut self.said) {
            target.said_cells(answer).add_to(&said.axes, std::slice::from_mut(own));
            answer.values.chunks_exact(answer.width).for_each(|scores| self.expected.push(target, scores));
        }
    }

    fn push_labels(&mut self, target: &TargetReference, hashes: &[u64], groups: &[Vec<Option<usize>>], answer: &Rows, truth: &Column) {
        let Some(array) = truth.array() else { return };
        let known: Vec<u64> = (0..hashes.len()).filter(|row| array.is_valid(*row)).map(|row| row as u64).collect();
        if let Some(cells) = target.truth.content.cells(&truth.take(&known)) {
            cells.add_to(&target.truth.axes, std::slice::from_mut(&mut self.truth));
        }
        for row in known.into_iter().map(|row| row as usize) {
            let truth = match target.task {
                Task::Classify => Truth::Class(array.as_string::<i32>().value(row).to_owned()),
                _ => Truth::Number(array.as_primitive::<Float64Type>().value(row)),
            };
            let answer = answer.values[row * answer.width..(row + 1) * answer.width].to_vec();
            let groups = groups.iter().map(|places| places[row].map(|place| place as u16)).collect();
            self.labelled.insert(hashes[row], Labelled { answer, truth, groups });
            shrink(&mut self.labelled, LABELLED_KEPT);
        }
    }

    /// How many labelled rows are kept.
    pub fn labelled(&self) -> usize {
        self.labelled.len()
    }

    /// Answers and truths of the labelled rows that the filter accepts.
    pub(crate) fn labelled_rows(&self, target: &TargetReference, keep: impl Fn(&Labelled) -> bool) -> (Rows, Column) {
        let kept: Vec<&Labelled> = self.labelled.values().filter(|row| keep(row)).collect();
        let values = kept.iter().flat_map(|row| row.answer.iter().copied()).collect();
        let truth: arrow_array::ArrayRef = match target.task {
            Task::Classify => Arc::new(kept.iter().map(|row| row.truth.class()).collect::<arrow_array::StringArray>()),
            _ => Arc::new(kept.iter().map(|row| row.truth.number()).collect::<arrow_array::Float64Array>()),
        };
        (Rows { values, width: target.classes.len().max(1) }, Column::Array(truth))
    }
}

impl Truth {
    fn class(&self) -> Option<&str> {
        if let Truth::Class(name) = self { Some(name) } else { None }
    }

    fn number(&self) -> Option<f64> {
        if let Truth::Number(value) = self { Some(*value) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NAMES, answers, full, hashes, names, reference, table};
    use cupola_task::Answer;
    use proptest::prelude::*;

    fn part(predictions: &Predictions, rows: &[u64]) -> Predictions {
        let take = |answer: &Answer| match answer {
            Answer::Scores { classes, values } => Answer::Scores {
                classes: classes.clone(),
                values: rows.iter().flat_map(|row| values[*row as usize * 2..][..2].to_vec()).collect(),
            },
            Answer::Numbers { values, .. } => {
                Answer::Numbers { values: rows.iter().map(|row| values[*row as usize]).collect(), range: None }
            }
            other => other.clone(),
        };
        Predictions(predictions.0.iter().map(|(name, answer)| (name.clone(), take(answer))).collect())
    }

    fn of(reference: &Reference, rows: &[u64], all: u64) -> Window {
        let mut window = Window::new(reference);
        push(&mut window, reference, rows, all);
        window
    }

    fn push(window: &mut Window, reference: &Reference, rows: &[u64], all: u64) {
        let (predictions, truth) = answers(9, all);
        let (inputs, hashes) = (table(9, all, 0.3).take(rows), hashes(9, all));
        let hashes: Vec<u64> = rows.iter().map(|row| hashes[*row as usize]).collect();
        let predictions = part(&predictions, rows);
        window.push(reference, &hashes, &inputs, &predictions).unwrap();
        window.push_labels(reference, &hashes, &inputs, &predictions, &truth.take(rows)).unwrap();
        window.push_losses(reference, "price", &vec![[1.0, 2.0]; rows.len()]);
        window.push_faults(reference, "name", SchemaFault::Mistyped, rows.len() as u64);
    }

    /// All numbers of both, which are equal up to rounding.
    fn assert_alike(a: &serde_json::Value, b: &serde_json::Value, place: &str) {
        use serde_json::Value;
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{place}: {a} is not {b}");
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                a.iter().zip(b).enumerate().for_each(|(at, (a, b))| assert_alike(a, b, &format!("{place}/{at}")));
            }
            (Value::Object(a), Value::Object(b)) if a.len() == b.len() => {
                a.iter().for_each(|(key, a)| assert_alike(a, &b[key], &format!("{place}/{key}")));
            }
            _ => assert_eq!(a, b, "{place}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn a_window_of_pieces_is_the_window_of_the_whole(cuts in prop::collection::vec(0u64..1500, 0..4), is_left in any::<bool>()) {
            let reference = full(300);
            let mut ends = cuts;
            ends.extend([0, 1500]);
            ends.sort_unstable();
            let mut pieces: Vec<Vec<u64>> = ends.windows(2).map(|ends| (ends[0]..ends[1]).collect()).collect();
            if !is_left {
                pieces.reverse();
            }
            let mut sum = Window::new(&reference);
            pieces.iter().for_each(|rows| push(&mut sum, &reference, rows, 1500));
            let whole = of(&reference, &(0..1500).collect::<Vec<_>>(), 1500);
            assert_alike(&serde_json::to_value(&sum).unwrap(), &serde_json::to_value(&whole).unwrap(), "");
        }
    }

    #[test]
    fn reference_and_window_are_read_as_they_were_written_and_stay_small() {
        let reference = full(2000);
        let json = serde_json::to_string(&reference).unwrap();
        assert!(Reference::open(serde_json::from_str(&json).unwrap()).unwrap() == reference);
        let window = of(&reference, &(0..1500).collect::<Vec<_>>(), 1500);
        let text = serde_json::to_string(&window).unwrap();
        assert!(serde_json::from_str::<Window>(&text).unwrap() == window);
        println!("reference of {} bytes, window of {}", json.len(), text.len());
        let mut counts = reference;
        counts.kept = None;
        assert!(serde_json::to_string(&counts).unwrap().len() < 100_000);
    }

    #[test]
    fn what_does_not_fit_is_counted_or_refused() {
        let reference = full(100);
        let mut window = Window::new(&reference);
        let inputs = Columns::new(vec![("number".into(), names(vec![Some(NAMES[0]); 3]))]);
        window.push(&reference, &[1, 2, 3], &inputs, &Predictions::default()).unwrap();
        assert_eq!((window.rows, window.columns[0].mistyped, window.columns[1].absent), (3, 3, 3));
        assert!(window.push(&reference, &[1], &inputs, &Predictions::default()).is_err());
        assert!(window.push(&crate::fixtures::reference(100), &[], &Columns::default(), &Predictions::default()).is_err());
        let text = Predictions(vec![("price".into(), Answer::Texts(vec![String::new(); 3]))]);
        assert!(window.push(&reference, &[1, 2, 3], &inputs, &text).is_err());
    }

    #[test]
    fn a_reference_that_was_changed_is_refused() {
        let mut json = serde_json::to_value(full(100)).unwrap();
        json["columns"][0]["tallies"][0]["counts"] = serde_json::json!([1]);
        assert!(Reference::open(json).unwrap_err().to_string().contains("bins that do not fit"));
        assert!(Reference::open(serde_json::json!({})).is_err());
        let mut json = serde_json::to_value(reference(10)).unwrap();
        json["version"] = 2.into();
        assert!(Reference::open(json).unwrap_err().to_string().contains("version"));
    }
}
