//! The rules by which a gradient changes weights.

use super::muon;
pub(super) use cupola_kernels::optimizer::{Move, Slices};

/// What is done to an entry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Rule {
    /// Each weight is moved by itself.
    Elementwise(cupola_kernels::optimizer::Rule),
    /// Decoupled decay; the entry is a matrix of that size.
    Muon { momentum: f64, nesterov: bool, rows: usize, columns: usize },
}

impl Rule {
    /// Whether it has a first and a second state.
    pub fn states(&self) -> [bool; 2] {
        match self {
            Rule::Elementwise(rule) => rule.states(),
            Rule::Muon { .. } => [true, false],
        }
    }

    /// Moves an entry.
    pub fn step(&self, by: Move, slices: Slices<'_>) {
        match *self {
            Rule::Elementwise(rule) => rule.step(by, slices),
            Rule::Muon { momentum, nesterov, rows, columns } => muon::step(momentum, nesterov, [rows, columns], by, slices),
        }
    }
}
