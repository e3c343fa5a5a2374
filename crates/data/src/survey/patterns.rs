//! Which columns are missing together, and how often.

use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;

/// Patterns that are counted each; rows of others are counted together.
const PATTERNS_MAX: usize = 4096;
/// Columns of a pattern that are named.
const COLUMNS_MAX: usize = 64;

/// Columns that are missing in the same rows, all others being there.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Pattern {
    /// The first 64 of them.
    pub columns: Vec<Arc<str>>,
    /// How many they are.
    pub count: u64,
    /// In how many rows.
    pub rows: u64,
}

#[derive(Default)]
pub(super) struct Patterns {
    known: HashMap<u64, (Vec<u32>, u64, u64)>,
    others: u64,
}

impl Patterns {
    /// Counts a row. `hash` stands for the set of missing columns; `columns` lists them, when nobody has before.
    pub fn add(&mut self, hash: u64, columns: impl FnOnce() -> Vec<u32>) {
        if let Some((_, _, rows)) = self.known.get_mut(&hash) {
            *rows += 1;
        } else if self.known.len() < PATTERNS_MAX {
            let mut columns = columns();
            let count = columns.len() as u64;
            columns.truncate(COLUMNS_MAX);
            self.known.insert(hash, (columns, count, 1));
        } else {
            self.others += 1;
        }
    }

    /// The most frequent patterns with a missing column, and how many rows with one have none of them.
    pub fn most(&self, count: usize, names: &[Arc<str>]) -> (Vec<Pattern>, u64) {
        let mut all: Vec<&(Vec<u32>, u64, u64)> = self.known.values().filter(|(columns, ..)| !columns.is_empty()).collect();
        all.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        let others = self.others + all.iter().skip(count).map(|(.., rows)| rows).sum::<u64>();
        let named = |(columns, count, rows): &&(Vec<u32>, u64, u64)| Pattern {
            columns: columns.iter().map(|&column| names[column as usize].clone()).collect(),
            count: *count,
            rows: *rows,
        };
        (all.iter().take(count).map(named).collect(), others)
    }
}
