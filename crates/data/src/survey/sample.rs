//! A bounded random sample of whole rows: those whose number, hashed, is smallest. It depends on how many rows there are, not on how they were read.

use cupola_task::Draw;
use std::collections::BinaryHeap;

/// Which rows are kept, and in which slot.
pub(super) struct Sample {
    key: u64,
    size: usize,
    /// The largest hash on top, with its slot.
    kept: BinaryHeap<(u64, usize)>,
    rows: u64,
}

impl Sample {
    pub fn new(size: usize) -> Sample {
        Sample { key: Draw::new(0).stream("survey").key(), size, kept: BinaryHeap::new(), rows: 0 }
    }

    /// The slots that rows of the next chunk take, in order; a later row may take the slot of an earlier one.
    pub fn take(&mut self, rows: usize) -> Vec<(usize, usize)> {
        let mut taken = Vec::new();
        for row in 0..rows {
            let hash = Draw::value(self.key, self.rows + row as u64);
            if self.kept.len() < self.size {
                let slot = self.kept.len();
                self.kept.push((hash, slot));
                taken.push((slot, row));
            } else if self.kept.peek().is_some_and(|(largest, _)| hash < *largest)
                && let Some((_, slot)) = self.kept.pop()
            {
                self.kept.push((hash, slot));
                taken.push((slot, row));
            }
        }
        self.rows += rows as u64;
        taken
    }

    /// How many rows are kept.
    pub fn len(&self) -> usize {
        self.kept.len()
    }
}
