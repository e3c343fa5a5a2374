//! Counterfactuals: the nearest changes of few columns that lead to another answer (Wachter, Mittelstadt, Russell, "Counterfactual explanations
//! without opening the black box", 2018; several that differ, and columns that cannot change: Mothilal, Sharma, Tan, DiCE, 2020).
//!
//! A column is changed to values that training rows had: edges between equal shares of them for numbers and dates, names for categories. So
//! nothing leaves the training range. A beam of the most promising changes grows by a column at a time. What leads to the wanted answer is
//! drawn back towards the row as far as it still does, and asked of the model once more before it is told.
//!
//! A change of a number costs the distance in units of half the distance of the quartiles of the column's distinct values in training, a change
//! of a category 1; fewer columns go before less distance.

use super::cells::{Cell, number, numbers_like, with};
use super::settings::Bound;
use super::subject::Subject;
use crate::Result;
use arrow_array::Array;
use cupola_task::{Answer, Columns};
use cupola_watch::{Axis, Content, Reference};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Values of a column that are tried.
const VALUES_MAX: usize = 24;
/// Changes that grow by another column.
const BEAM: usize = 24;
/// Steps by which a number is drawn back.
const STEPS_BACK: usize = 20;

/// A change of some columns that leads to another answer.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Counterfactual {
    /// What is changed.
    pub changes: Vec<Change>,
    /// What the model answers then.
    pub answer: String,
    /// The probability of that, or nothing for a number.
    pub probability: Option<f64>,
    /// How far it is from the row: the sum over columns, in units of their spread.
    pub distance: f64,
}

/// One column's part of it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// The column.
    pub column: String,
    /// What the row has.
    pub from: serde_json::Value,
    /// What it would have.
    pub to: serde_json::Value,
}

/// What is wanted of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    /// This class.
    Class(usize),
    /// Any class but this one.
    Not(usize),
    /// A number on one side of a bound.
    Bound(Bound),
}

/// What a search may do.
pub(super) struct Search<'a> {
    pub subject: &'a Subject<'a>,
    pub reference: &'a Reference,
    pub goal: Goal,
    /// Columns that stay as they are.
    pub fixed: &'a [String],
    /// Most columns changed.
    pub changes: usize,
    /// How many are wanted.
    pub count: usize,
}

/// A column that may be changed.
struct Movable {
    name: Arc<str>,
    /// What it may be changed to, and what that costs.
    values: Vec<(Cell, f64)>,
    /// For a number its spread, and whether only whole ones stand in it.
    spread: Option<(f64, bool)>,
}

/// Changed columns: their places among the movable ones, and what they are changed to.
#[derive(Clone)]
struct State {
    changes: Vec<(usize, Cell)>,
    cost: f64,
    /// How near the answer is to what is wanted: above 0 it is that.
    progress: f64,
}

impl State {
    /// Which columns are changed.
    fn columns(&self) -> BTreeSet<usize> {
        self.changes.iter().map(|(place, _)| *place).collect()
    }
}

impl Search<'_> {
    /// The nearest ways to another answer from a row, whose columns are typed; none when there are none within what may be changed.
    pub fn find(&self, row: &Columns) -> Result<Vec<Counterfactual>> {
        let columns = self.movable(row)?;
        let mut beam = vec![State { changes: vec![], cost: 0.0, progress: f64::NEG_INFINITY }];
        let mut found: Vec<State> = Vec::new();
        for _ in 0..self.changes {
            let grown = self.grown(row, &columns, &beam)?;
            let (there, mut under_way): (Vec<State>, Vec<State>) = grown.into_iter().partition(|state| state.progress > 0.0);
            found.extend(there);
            // Once there are enough ways of so few columns, longer ones are no better.
            if distinct(&columns, &mut found, self.count).len() >= self.count {
                break;
            }
            under_way.sort_by(|a, b| b.progress.total_cmp(&a.progress).then(a.cost.total_cmp(&b.cost)));
            beam = varied(under_way, BEAM);
        }
        let mut told = Vec::new();
        for state in distinct(&columns, &mut found, self.count) {
            told.extend(self.told(row, &columns, self.drawn_back(row, &columns, state)?)?);
        }
        told.sort_by(|a, b| a.changes.len().cmp(&b.changes.len()).then(a.distance.total_cmp(&b.distance)));
        Ok(told)
    }

    /// The columns that may be changed, and to what.
    fn movable(&self, row: &Columns) -> Result<Vec<Movable>> {
        let free = self.reference.columns.iter().filter(|column| !self.fixed.iter().any(|fixed| **fixed == *column.name));
        let mut movable = Vec::new();
        for column in free {
            let Some(own) = Cell::at(row, &column.name, 0) else { continue };
            let (values, spread) = match (&column.axes[..], column.content) {
                ([Axis::Numbers { edges }], content @ (Content::Number | Content::Date)) if edges.len() > 1 => {
                    let (spread, is_whole) = (spread(edges), edges.iter().all(|edge| edge.fract() == 0.0));
                    let cell = |value: f64| if content == Content::Date { Cell::Date(value as i64) } else { Cell::Number(value) };
                    let from = own.position();
                    let cost = |value: f64| from.map_or(1.0, |from| (value - from).abs() / spread);
                    let values: Vec<(Cell, f64)> =
                        thinned(edges).into_iter().filter(|value| Some(*value) != from).map(|value| (cell(value), cost(value))).collect();
                    (values, Some((spread, is_whole)))
                }
                ([Axis::Names { names }], Content::Category) => {
                    let other = names.iter().map(|name| Cell::Text(name.clone())).filter(|cell| *cell != own);
                    (other.take(VALUES_MAX).map(|cell| (cell, 1.0)).collect(), None)
                }
                _ => continue,
            };
            movable.push(Movable { name: column.name.clone(), values, spread });
        }
        Ok(movable)
    }

    /// Every state with one more column changed.
    fn grown(&self, row: &Columns, columns: &[Movable], beam: &[State]) -> Result<Vec<State>> {
        let mut grown = Vec::new();
        for state in beam {
            for (place, column) in columns.iter().enumerate() {
                if state.changes.iter().any(|(changed, _)| *changed == place) {
                    continue;
                }
                for (cell, cost) in &column.values {
                    let changes = state.changes.iter().cloned().chain([(place, cell.clone())]).collect();
                    grown.push(State { changes, cost: state.cost + cost, progress: 0.0 });
                }
            }
        }
        let progress = self.progress(row, columns, &grown)?;
        grown.iter_mut().zip(progress).for_each(|(state, progress)| state.progress = progress);
        Ok(grown)
    }

    /// How near each state's answer is to what is wanted.
    fn progress(&self, row: &Columns, columns: &[Movable], states: &[State]) -> Result<Vec<f64>> {
        let mut progress = Vec::with_capacity(states.len());
        for states in states.chunks(8192) {
            let answer = self.subject.pipeline.answer(&self.changed(row, columns, states))?;
            progress.extend(match (&answer, self.goal) {
                (Answer::Scores { classes, values }, goal) => {
                    values.chunks_exact(classes.len()).map(|scores| ahead(scores, goal, classes.choose(scores))).collect::<Vec<_>>()
                }
                (Answer::Numbers { values, .. }, Goal::Bound(bound)) => values
                    .iter()
                    .map(|value| {
                        let gap = if bound.at_least { value - bound.value } else { bound.value - value };
                        // Equal is enough.
                        if gap == 0.0 { f64::MIN_POSITIVE } else { gap }
                    })
                    .collect(),
                _ => vec![f64::NEG_INFINITY; states.len()],
            });
        }
        Ok(progress)
    }

    /// The row once for each state, changed so.
    fn changed(&self, row: &Columns, columns: &[Movable], states: &[State]) -> Columns {
        let mut table = row.take(&vec![0; states.len()]);
        for (place, column) in columns.iter().enumerate() {
            let cells: Vec<Option<&Cell>> =
                states.iter().map(|state| state.changes.iter().find(|(changed, _)| *changed == place).map(|(_, cell)| cell)).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            let array = table.array(&column.name).expect("a movable column is an array").clone();
            let own = Cell::of(&array, 0).expect("a movable column has cells");
            let cells = cells.into_iter().map(|cell| cell.unwrap_or(&own));
            let changed = match column.spread {
                Some(_) => numbers_like(&array, &cells.map(|cell| cell.position().unwrap_or(f64::NAN)).collect::<Vec<_>>()),
                None => {
                    let text = |cell: &Cell| if let Cell::Text(text) = cell { Some(text.clone()) } else { None };
                    Arc::new(cells.map(text).collect::<arrow_array::StringArray>()) as arrow_array::ArrayRef
                }
            };
            debug_assert_eq!(changed.len(), states.len());
            table = with(&table, &column.name, changed);
        }
        table
    }

    /// The same with each number as near to the row's as still leads to what is wanted.
    fn drawn_back(&self, row: &Columns, columns: &[Movable], mut state: State) -> Result<State> {
        for place in 0..state.changes.len() {
            let column = &columns[state.changes[place].0];
            let (Some((spread, is_whole)), Some(to)) = (column.spread, state.changes[place].1.position()) else { continue };
            let Some(from) = Cell::at(row, &column.name, 0).and_then(|cell| cell.position()) else { continue };
            let (mut near, mut far) = (from, to);
            for _ in 0..STEPS_BACK {
                let middle = near / 2.0 + far / 2.0;
                let middle = if is_whole { if far > near { middle.ceil() } else { middle.floor() } } else { middle };
                if middle == far || middle == near || (!is_whole && (far - near).abs() < spread * 1e-3) {
                    break;
                }
                let mut tried = state.clone();
                tried.changes[place].1 = state.changes[place].1.moved(middle);
                let is_there = self.progress(row, columns, std::slice::from_ref(&tried))?[0] > 0.0;
                if is_there { far = middle } else { near = middle }
            }
            let mut told = state.clone();
            told.changes[place].1 = state.changes[place].1.moved(rounded(near, far));
            if self.progress(row, columns, std::slice::from_ref(&told))?[0] <= 0.0 {
                told.changes[place].1 = state.changes[place].1.moved(far);
            }
            let reached = told.changes[place].1.position().unwrap_or(far);
            told.cost += ((reached - from).abs() - (to - from).abs()) / spread;
            state = told;
        }
        Ok(state)
    }

    /// A state as it is told, when the model says so once more.
    fn told(&self, row: &Columns, columns: &[Movable], state: State) -> Result<Option<Counterfactual>> {
        if self.progress(row, columns, std::slice::from_ref(&state))?[0] <= 0.0 {
            return Ok(None);
        }
        let (answer, probability) = match self.subject.pipeline.answer(&self.changed(row, columns, std::slice::from_ref(&state)))? {
            Answer::Scores { classes, values } => {
                let best = classes.choose(&values);
                (classes[best].to_string(), Some(values[best]))
            }
            Answer::Numbers { values, .. } => (number(values[0]), None),
            _ => return Ok(None),
        };
        let change = |(place, cell): &(usize, Cell)| {
            let name = &columns[*place].name;
            let from = Cell::at(row, name, 0).unwrap_or(Cell::Missing);
            Change { column: name.to_string(), from: from.json(), to: cell.json() }
        };
        Ok(Some(Counterfactual { changes: state.changes.iter().map(change).collect(), answer, probability, distance: state.cost }))
    }
}

/// By how much what is wanted is ahead of the others; above 0 where the class that is chosen is what is wanted, whatever rule chooses it.
fn ahead(scores: &[f64], goal: Goal, chosen: usize) -> f64 {
    let most = |keep: &dyn Fn(usize) -> bool| {
        (0..scores.len()).filter(|&class| keep(class)).map(|class| scores[class]).fold(f64::NEG_INFINITY, f64::max)
    };
    let (own, wanted, is_there) = match goal {
        Goal::Class(class) => (most(&|other| other != class), scores[class], chosen == class),
        Goal::Not(class) => (scores[class], most(&|other| other != class), chosen != class),
        Goal::Bound(_) => return f64::NEG_INFINITY,
    };
    if is_there { (wanted - own).max(f64::MIN_POSITIVE) } else { (wanted - own).min(0.0) }
}

/// The best of each set of columns, fewest columns and least cost first.
fn distinct(columns: &[Movable], found: &mut [State], count: usize) -> Vec<State> {
    found.sort_by(|a, b| a.changes.len().cmp(&b.changes.len()).then(a.cost.total_cmp(&b.cost)));
    let mut kept: Vec<State> = Vec::new();
    for state in found.iter() {
        // A way that holds a shorter one changes something for nothing.
        let own = state.columns();
        if kept.len() < count && !kept.iter().any(|other| other.columns().is_subset(&own)) {
            kept.push(state.clone());
        }
    }
    debug_assert!(kept.iter().all(|state| state.changes.iter().all(|(place, _)| *place < columns.len())));
    kept
}

/// The best states, at most a few of the same columns, so that the search does not go one way alone.
fn varied(states: Vec<State>, most: usize) -> Vec<State> {
    const ALIKE_MAX: usize = 3;
    let mut kept: Vec<State> = Vec::new();
    for state in states {
        let own = state.columns();
        if kept.len() < most && kept.iter().filter(|other| other.columns() == own).count() < ALIKE_MAX {
            kept.push(state);
        }
    }
    kept
}

/// Half the distance between the quartiles, and where they are one, an eighth of the whole range.
fn spread(edges: &[f64]) -> f64 {
    let at = |share: usize| edges[(edges.len() - 1) * share / 4];
    let quartiles = (at(3) - at(1)) / 2.0;
    let whole = (edges[edges.len() - 1] - edges[0]) / 8.0;
    if quartiles > 0.0 { quartiles } else { whole }
}

/// At most so many of the edges, both ends among them.
fn thinned(edges: &[f64]) -> Vec<f64> {
    let count = edges.len().min(VALUES_MAX);
    (0..count).map(|place| edges[place * (edges.len() - 1) / (count - 1).max(1)]).collect()
}

/// The shortest number beyond `near` and not beyond `far`: people read it better, and it leads there, too, where answers are in order.
fn rounded(near: f64, far: f64) -> f64 {
    for digits in 0..12 {
        let unit = 10f64.powi(digits - (far.abs().max(1e-300).log10().floor() as i32) - 1);
        let scaled = far * unit;
        let value = if far > near { scaled.floor() } else { scaled.ceil() } / unit;
        let is_between = if far > near { value > near && value <= far } else { value < near && value >= far };
        if is_between && value.is_finite() {
            return value;
        }
    }
    far
}
