//! What models answer.

use crate::{Classes, Object};
use std::sync::Arc;

/// One target's answers for a batch of rows. Classes travel with their scores, so that a metric needs no model and never guesses an order.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Class probabilities, row by row: `values[row * classes.len() + class]`. `f64`, because log loss and ties need it.
    Scores {
        /// The classes, in the order of the values, and how one of them is chosen.
        classes: Classes,
        /// Row-major probabilities.
        values: Vec<f64>,
    },
    /// Numbers, and for each the interval it lies in when the model knows one.
    Numbers {
        /// One number a row.
        values: Vec<f64>,
        /// Low and high for each row.
        range: Option<Vec<[f64; 2]>>,
    },
    /// One text a row.
    Texts(Vec<String>),
    /// Objects found in each image.
    Objects(Vec<Vec<Object>>),
    /// The log likelihood of each text, and its length.
    LogLikelihood {
        /// Sum over the text's tokens, natural logarithm.
        sum: Vec<f64>,
        /// How many tokens.
        tokens: Vec<u32>,
    },
    /// Vectors, row by row: `values[row * width + i]`.
    Vectors {
        /// Length of each vector.
        width: usize,
        /// Row-major values.
        values: Vec<f32>,
    },
    /// Several answers a row.
    List {
        /// Where each row's list ends.
        ends: Vec<u32>,
        /// All rows' answers.
        items: Box<Answer>,
    },
}

/// One answer per target, by the target's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions(pub Vec<(Arc<str>, Answer)>);

impl Answer {
    /// How many rows are answered.
    pub fn len(&self) -> usize {
        match self {
            Answer::Scores { classes, values } => values.len() / classes.len().max(1),
            Answer::Numbers { values, .. } => values.len(),
            Answer::Texts(texts) => texts.len(),
            Answer::Objects(rows) => rows.len(),
            Answer::LogLikelihood { sum, .. } => sum.len(),
            Answer::Vectors { width, values } => values.len() / (*width).max(1),
            Answer::List { ends, .. } => ends.len(),
        }
    }

    /// Whether no row is answered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answers to the given rows, in that order; none for kinds that are not cut (objects, likelihoods, lists), and where a row is not there.
    pub fn take(&self, rows: &[u64]) -> Option<Answer> {
        fn pick<T: Clone>(values: &[T], width: usize, rows: &[u64]) -> Option<Vec<T>> {
            let mut picked = Vec::with_capacity(rows.len() * width);
            for &row in rows {
                let start = row as usize * width;
                picked.extend_from_slice(values.get(start..start + width)?);
            }
            Some(picked)
        }
        Some(match self {
            Answer::Scores { classes, values } => Answer::Scores { classes: classes.clone(), values: pick(values, classes.len(), rows)? },
            Answer::Numbers { values, range } => Answer::Numbers {
                values: pick(values, 1, rows)?,
                range: match range {
                    Some(range) => Some(pick(range, 1, rows)?),
                    None => None,
                },
            },
            Answer::Texts(texts) => Answer::Texts(pick(texts, 1, rows)?),
            Answer::Vectors { width, values } => Answer::Vectors { width: *width, values: pick(values, *width, rows)? },
            Answer::Objects(_) | Answer::LogLikelihood { .. } | Answer::List { .. } => return None,
        })
    }
}

impl Predictions {
    /// The answers for that target.
    pub fn get(&self, target: &str) -> Option<&Answer> {
        self.0.iter().find(|(name, _)| &**name == target).map(|(_, answer)| answer)
    }

    /// The answers to the given rows, as [`Answer::take`].
    pub fn take(&self, rows: &[u64]) -> Option<Predictions> {
        self.0.iter().map(|(target, answer)| Some((target.clone(), answer.take(rows)?))).collect::<Option<_>>().map(Predictions)
    }

    /// How many rows are answered.
    pub fn rows(&self) -> usize {
        self.0.first().map_or(0, |(_, answer)| answer.len())
    }
}

/// The row-wise most probable class of `Scores`, ties to the first class.
///
/// `values` is row-major with `classes` columns.
pub fn argmax(values: &[f64], classes: usize) -> impl Iterator<Item = usize> + '_ {
    values.chunks_exact(classes.max(1)).map(|row| {
        let mut best = 0;
        for (class, value) in row.iter().enumerate() {
            if *value > row[best] {
                best = class;
            }
        }
        best
    })
}
