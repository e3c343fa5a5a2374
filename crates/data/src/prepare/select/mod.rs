//! Choice of features: which prepared columns, and which elements of vectors, a model gets to see.
//!
//! A feature is a number, an element of a vector, or a column of categories as a whole, which stands for its one-hot columns:
//! its score is the best of theirs. Scores are learned from training rows whose cell and target are there; the features of
//! the highest scores are kept, of equals the later ones, as scikit-learn's `SelectKBest` and `VarianceThreshold` do.
//! Images are always kept.

mod mutual;
mod scores;

use super::category::vectors;
use super::choice::Select;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, UInt32Type};
use cupola_task::{Column, Draw, Error, Kind, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What was chosen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Selection {
    method: Select,
    /// For each prepared column the elements that are kept, ascending; none for all of them. A column of one feature has element 0.
    pub kept: Vec<Option<Vec<usize>>>,
}

/// A column's place, an element of it, and its score.
pub(crate) type Scored = (usize, usize, f64);

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    pub method: Select,
    /// How many features are kept.
    pub k: usize,
    /// What the variance must be above.
    pub threshold: f64,
    /// Breaks ties of numbers for mutual information, and chooses the rows that it looks at where there are many.
    pub draw: Draw,
}

/// The target as scores look at it.
pub(crate) enum Aim {
    /// A class a row, and how many there are.
    Classes(Vec<u32>, usize),
    Numbers(Vec<f64>),
}

/// A feature of training rows.
pub(crate) enum Feature {
    Numbers(Vec<f64>),
    /// Codes, [`MISSING`](crate::cells::MISSING) where there is none, and how many there are.
    Codes(Vec<u32>, usize),
}

impl Selection {
    /// Scores features and chooses. Gives the score of each feature beside the choice: column, element, score.
    ///
    /// # Errors
    /// When the score does not suit the target or a feature.
    pub fn fit(columns: &[(Arc<str>, Kind, Column)], aim: &Aim, ask: &Ask) -> Result<(Selection, Vec<Scored>)> {
        let known = aim.known();
        let places: Vec<(usize, usize)> = columns
            .iter()
            .enumerate()
            .flat_map(|(column, (_, kind, _))| (0..features(kind)).map(move |element| (column, element)))
            .collect();
        let score = |&(column, element): &(usize, usize)| -> Result<Scored> {
            let (name, _, cells) = &columns[column];
            let feature = feature(&columns[column].1, cells, element);
            Ok((column, element, scores::score(name, &feature, aim, &known, ask)?))
        };
        // Of several errors the first is told, whichever was found first.
        let scored: Vec<Result<Scored>> = places.par_iter().map(score).collect();
        let scored: Vec<Scored> = scored.into_iter().collect::<Result<_>>()?;
        let mut order: Vec<usize> = (0..scored.len()).collect();
        // Of what has no score, nothing is kept before what has one.
        let worth = |place: usize| if scored[place].2.is_nan() { f64::NEG_INFINITY } else { scored[place].2 };
        order.sort_by(|&a, &b| worth(a).total_cmp(&worth(b)));
        let best: Vec<usize> = match ask.method {
            Select::Variance => order.into_iter().filter(|&place| scored[place].2 > ask.threshold).collect(),
            _ => order.split_off(order.len().saturating_sub(ask.k)),
        };
        let mut kept: Vec<Option<Vec<usize>>> = columns.iter().map(|(_, kind, _)| (features(kind) > 0).then(Vec::new)).collect();
        best.into_iter().for_each(|place| kept[scored[place].0].as_mut().expect("it has features").push(scored[place].1));
        for (own, (_, kind, _)) in kept.iter_mut().zip(columns) {
            if let Some(elements) = own {
                elements.sort_unstable();
                if elements.len() == features(kind) {
                    *own = None;
                }
            }
        }
        Ok((Selection { method: ask.method, kept }, scored))
    }

    /// Whether what was read from outside fits such columns.
    pub fn is_sound(&self, kinds: &[&Kind]) -> bool {
        let fits = |(kept, kind): (&Option<Vec<usize>>, &&Kind)| {
            kept.as_ref()
                .is_none_or(|kept| kept.windows(2).all(|pair| pair[0] < pair[1]) && kept.iter().all(|&place| place < features(kind)))
        };
        self.kept.len() == kinds.len() && self.kept.iter().zip(kinds).all(fits)
    }

    /// The word of its method.
    pub fn word(&self) -> &'static str {
        self.method.word()
    }

    /// The kind of a column after it; none where nothing of it is left.
    pub fn kind(&self, column: usize, kind: &Kind) -> Option<Kind> {
        match (&self.kept[column], kind) {
            (None, kind) => Some(kind.clone()),
            (Some(kept), _) if kept.is_empty() => None,
            (Some(kept), Kind::Vector { .. }) => Some(Kind::Vector { width: kept.len() }),
            (Some(_), kind) => Some(kind.clone()),
        }
    }

    /// What is left of a column.
    pub fn apply(&self, place: usize, column: Column) -> Option<Column> {
        let Some(kept) = &self.kept[place] else { return Some(column) };
        let list = column.array().and_then(|array| array.as_fixed_size_list_opt());
        match list {
            _ if kept.is_empty() => None,
            None => Some(column),
            Some(list) => {
                let width = list.value_length() as usize;
                let flat = list.values().as_primitive::<Float32Type>().values();
                let start = list.value_offset(0) as usize;
                let rows = flat[start..start + list.len() * width].chunks_exact(width);
                let values = rows.flat_map(|row| kept.iter().map(|&element| row[element])).collect();
                Some(Column::Array(vectors(kept.len(), values)))
            }
        }
    }
}

/// How many features a column has; none for what is always kept.
pub(crate) fn features(kind: &Kind) -> usize {
    match kind {
        Kind::Number | Kind::Category { .. } => 1,
        Kind::Vector { width } => *width,
        _ => 0,
    }
}

fn feature(kind: &Kind, column: &Column, element: usize) -> Feature {
    let array = column.array().expect("features are scalars or vectors");
    match kind {
        Kind::Category { classes } => {
            let codes = array.as_primitive::<UInt32Type>();
            Feature::Codes(codes.iter().map(|code| code.unwrap_or(crate::cells::MISSING)).collect(), classes.len())
        }
        Kind::Vector { width } => {
            let list = array.as_fixed_size_list();
            let flat = list.values().as_primitive::<Float32Type>().values();
            Feature::Numbers(flat.iter().skip(element).step_by(*width).map(|&value| f64::from(value)).collect())
        }
        _ => Feature::Numbers(array.as_primitive::<Float64Type>().values().to_vec()),
    }
}

impl Aim {
    /// Rows whose target is there.
    fn known(&self) -> Vec<bool> {
        match self {
            Aim::Classes(codes, _) => codes.iter().map(|code| *code != crate::cells::MISSING).collect(),
            Aim::Numbers(values) => values.iter().map(|value| value.is_finite()).collect(),
        }
    }
}

/// Refuses a score for a target or a feature that it does not suit.
fn refuse(method: Select, found: String, wanted: &str) -> Error {
    Error::setting("data.clean.select", format!("{} {found}", method.word()), wanted)
}
