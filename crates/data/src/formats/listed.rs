//! Tables of formats that are read whole, handed out piece by piece.

use super::{Chunk, Layout, Rows};
use crate::Result;
use crate::read::{Places, Skipped};
use cupola_task::Columns;

/// A table that is in memory.
pub(crate) struct Listed {
    columns: Columns,
    places: Places,
    given: usize,
    layout: Layout,
    skipped: Skipped,
    warnings: Vec<String>,
}

impl Listed {
    pub(crate) fn new(columns: Columns, places: Places) -> Listed {
        Listed { columns, places, given: 0, layout: Layout::default(), skipped: Skipped::default(), warnings: vec![] }
    }

    /// With the columns that the format made, and the rows that it left out.
    pub(crate) fn with(self, layout: Layout, skipped: Skipped) -> Listed {
        Listed { layout, skipped, ..self }
    }

    /// With what looked odd about it.
    pub(crate) fn warned(self, warnings: Vec<String>) -> Listed {
        Listed { warnings, ..self }
    }
}

impl Rows for Listed {
    fn next(&mut self, rows: usize) -> Result<Option<Chunk>> {
        let (first, all) = (self.given, self.columns.rows());
        if first == all {
            return Ok(None);
        }
        self.given = all.min(first.saturating_add(rows));
        let columns = match self.given - first == all {
            true => self.columns.clone(),
            false => self.columns.take(&(first as u64..self.given as u64).collect::<Vec<_>>()),
        };
        Ok(Some(Chunk { columns, places: if first == 0 { self.places.clone() } else { self.places.behind(first) } }))
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn total(&self) -> Option<u64> {
        Some(self.columns.rows() as u64)
    }
}
