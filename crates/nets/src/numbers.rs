//! Weights as numbers of the host, which several may hold.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// A stretch of numbers.
#[derive(Clone, Debug)]
pub struct Numbers {
    all: Arc<Vec<f32>>,
    range: Range<usize>,
}

impl Numbers {
    /// A part of an arena.
    ///
    /// # Panics
    /// When it does not lie inside.
    pub fn part(arena: &Arc<Vec<f32>>, range: Range<usize>) -> Numbers {
        assert!(range.start <= range.end && range.end <= arena.len(), "{range:?} lies outside of {}", arena.len());
        Numbers { all: arena.clone(), range }
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(all: Vec<f32>) -> Numbers {
        Numbers { range: 0..all.len(), all: Arc::new(all) }
    }
}

impl Deref for Numbers {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.all[self.range.clone()]
    }
}
