//! Imputation by regressions in turn, as scikit-learn's `IterativeImputer` at its defaults: missing cells begin as their
//! column's mean; then each column, those with the fewest missing cells first, is regressed on all others
//! ([ridge](super::ridge)) and its missing cells become what the regression says; in rounds, until nothing moves any more.
//! van Buuren, Groothuis-Oudshoorn, "mice: Multivariate Imputation by Chained Equations in R" (J. Stat. Softw. 45(3), 2011).
//!
//! Differs: of many training rows a bounded number teaches, drawn at random.

use super::ridge::{self, Ridge};
use serde::{Deserialize, Serialize};

/// No more columns of numbers: the work grows with their fourth power.
pub(super) const COLUMNS_MAX: usize = 64;
/// No more training rows teach.
pub(super) const ROWS_MAX: usize = 10_000;
const ROUNDS_MAX: usize = 10;
/// Of the largest cell: a round that moves no row by more is the last.
const TOLERANCE: f64 = 1e-3;

/// The regressions of all rounds, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Iterative {
    turns: Vec<Turn>,
    rounds: usize,
}

/// One column's turn in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    column: usize,
    ridge: Ridge,
}

impl Iterative {
    /// Learns from rows of scaled training cells.
    pub fn fit(cells: Vec<f64>, width: usize) -> Iterative {
        let columns: Vec<Vec<f64>> = (0..width).map(|place| cells.iter().skip(place).step_by(width).copied().collect()).collect();
        let missing: Vec<Vec<usize>> = columns.iter().map(|column| gaps(column)).collect();
        let rows = columns.first().map_or(0, Vec::len);
        let mut order: Vec<usize> = (0..width).filter(|&place| missing[place].len() < rows).collect();
        order.sort_by_key(|&place| missing[place].len());
        let mut state = Iterative { turns: vec![], rounds: 0 };
        if order.len() < 2 {
            return state;
        }
        let largest = cells.iter().filter(|cell| !cell.is_nan()).fold(0.0, |most: f64, cell| most.max(cell.abs()));
        let mut filled: Vec<Vec<f64>> = columns.into_iter().map(begin).collect();
        while state.rounds < ROUNDS_MAX {
            let before = filled.clone();
            for &column in &order {
                let turn = Turn { column, ridge: ridge::fit(&filled, column, &missing[column]) };
                let answers: Vec<f64> = missing[column].iter().map(|&row| turn.ridge.answer(&filled, column, row)).collect();
                missing[column].iter().zip(answers).for_each(|(&row, answer)| filled[column][row] = answer);
                state.turns.push(turn);
            }
            state.rounds += 1;
            if moved(&before, &filled) < TOLERANCE * largest {
                break;
            }
        }
        state
    }

    /// Whether what was read from outside fits so many columns.
    pub fn is_sound(&self, width: usize) -> bool {
        self.turns.len() <= ROUNDS_MAX * COLUMNS_MAX && self.turns.iter().all(|turn| turn.column < width && turn.ridge.is_sound(width))
    }

    pub fn describe(&self, width: usize) -> String {
        format!("iterative: {} rounds over {width} columns of numbers", self.rounds)
    }

    /// Fills a row of scaled cells.
    pub fn fill(&self, cells: &mut [f64]) {
        let is_missing: Vec<bool> = cells.iter().map(|cell| cell.is_nan()).collect();
        cells.iter_mut().filter(|cell| cell.is_nan()).for_each(|cell| *cell = 0.0);
        for turn in self.turns.iter().filter(|turn| is_missing[turn.column]) {
            cells[turn.column] = turn.ridge.answer_row(cells, turn.column).clamp(-1e100, 1e100);
        }
    }
}

fn gaps(column: &[f64]) -> Vec<usize> {
    (0..column.len()).filter(|&row| column[row].is_nan()).collect()
}

/// The column with its mean where cells are missing.
fn begin(mut column: Vec<f64>) -> Vec<f64> {
    let (sum, count) = column.iter().filter(|cell| !cell.is_nan()).fold((0.0, 0.0), |(sum, count), cell| (sum + cell, count + 1.0));
    let mean = if count > 0.0 { sum / count } else { 0.0 };
    column.iter_mut().filter(|cell| cell.is_nan()).for_each(|cell| *cell = mean);
    column
}

/// How far the row moved that moved furthest: the sum of its cells' ways.
fn moved(before: &[Vec<f64>], after: &[Vec<f64>]) -> f64 {
    let rows = before.first().map_or(0, Vec::len);
    let way = |row: usize| before.iter().zip(after).map(|(before, after)| (before[row] - after[row]).abs()).sum::<f64>();
    (0..rows).map(way).fold(0.0, f64::max)
}
