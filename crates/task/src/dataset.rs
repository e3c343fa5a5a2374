//! Data sets, and the split that keeps what may teach apart from what must not.

use crate::{Batch, Columns, Draw, Error, Result, Schema};
use std::sync::Arc;

/// Batches one after another.
pub type Chunks<'a> = Box<dyn Iterator<Item = Result<Batch>> + Send + 'a>;

/// Rows under a schema: `read` for shuffled training, `scan` for what streams (larger than memory, standard input, tar shards).
pub trait Dataset: Send + Sync {
    /// The columns, with their kinds and roles.
    fn schema(&self) -> &Schema;
    /// How many rows.
    fn len(&self) -> u64;
    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The given rows in the given order; `draw` seeds what is random in decoding (augmentation).
    ///
    /// # Errors
    /// When a row cannot be decoded.
    fn read(&self, rows: &[u64], draw: Draw) -> Result<Batch>;
    /// All rows in order, `rows` at a time, only the named columns.
    ///
    /// # Errors
    /// When the source cannot be opened or a name is unknown.
    fn scan(&self, columns: &[&str], rows: usize) -> Result<Chunks<'_>>;
}

/// A data set whose columns are in memory. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Table {
    schema: Arc<Schema>,
    columns: Columns,
}

/// Some rows of another data set.
#[derive(Clone)]
pub struct Subset {
    data: Arc<dyn Dataset>,
    rows: Arc<[u64]>,
}

/// The side of a split that a row is on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Teaches.
    Train,
    /// Chooses: early stopping, thresholds, leaderboards.
    Valid,
    /// Measures, once, at the end.
    Test,
    /// Left out.
    Out,
}

/// Only [`Splits`] makes one, and everything that learns takes one: other rows cannot teach.
#[derive(Clone)]
pub struct TrainSplit(Arc<dyn Dataset>);

/// A data set cut into training, validation and test rows.
#[derive(Clone)]
pub struct Splits {
    train: TrainSplit,
    valid: Arc<dyn Dataset>,
    test: Arc<dyn Dataset>,
}

/// What a learner learns from. It never sees the test split.
pub enum Source<'a> {
    /// Rows.
    Data {
        /// They teach.
        train: &'a TrainSplit,
        /// They choose; may be empty.
        valid: &'a dyn Dataset,
    },
    /// An environment of the registry, by name.
    World(&'a str),
}

impl Table {
    /// A table of columns that all stand in the schema.
    ///
    /// # Errors
    /// When a column of the schema is missing.
    pub fn new(schema: impl Into<Arc<Schema>>, columns: Columns) -> Result<Table> {
        let schema = schema.into();
        if let Some(name) = schema.names().find(|name| columns.get(name).is_none()) {
            return Err(Error::input("table", format!("no column {name}"), "every column of its schema"));
        }
        Ok(Table { schema, columns })
    }

    /// All columns.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }
}

impl Dataset for Table {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> u64 {
        self.columns.rows() as u64
    }

    fn read(&self, rows: &[u64], _draw: Draw) -> Result<Batch> {
        let is_whole = rows.len() as u64 == self.len() && rows.iter().enumerate().all(|(place, &row)| place as u64 == row);
        let columns = if is_whole { self.columns.clone() } else { self.columns.take(rows) };
        Ok(Batch::new(rows.into(), &columns, &self.schema))
    }

    fn scan(&self, columns: &[&str], rows: usize) -> Result<Chunks<'_>> {
        for name in columns {
            self.columns.array(name).map(|_| ()).or_else(|error| if self.columns.get(name).is_some() { Ok(()) } else { Err(error) })?;
        }
        let kept = self.columns.select(|name| columns.contains(&name));
        let rows = rows.max(1) as u64;
        Ok(Box::new((0..self.len()).step_by(rows as usize).map(move |start| {
            let numbers: Arc<[u64]> = (start..(start + rows).min(self.len())).collect();
            Ok(Batch::new(numbers.clone(), &kept.take(&numbers), &self.schema))
        })))
    }
}

impl Subset {
    /// Those rows of that data set, which must have them.
    pub fn new(data: Arc<dyn Dataset>, rows: Arc<[u64]>) -> Subset {
        assert!(rows.iter().all(|&row| row < data.len()), "rows of a subset are in range");
        Subset { data, rows }
    }

    /// The rows' numbers in the data set below.
    pub fn rows(&self) -> &Arc<[u64]> {
        &self.rows
    }
}

impl Dataset for Subset {
    fn schema(&self) -> &Schema {
        self.data.schema()
    }

    fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    fn read(&self, rows: &[u64], draw: Draw) -> Result<Batch> {
        let below: Vec<u64> = rows.iter().map(|&row| self.rows[row as usize]).collect();
        self.data.read(&below, draw)
    }

    fn scan(&self, columns: &[&str], rows: usize) -> Result<Chunks<'_>> {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        Ok(Box::new(self.rows.chunks(rows.max(1)).map(move |rows| {
            let keep = |batch: Columns| batch.select(|name| columns.iter().any(|wanted| wanted == name));
            let batch = self.data.read(rows, Draw::default())?;
            Ok(Batch { rows: batch.rows, inputs: keep(batch.inputs), targets: keep(batch.targets), keys: keep(batch.keys) })
        })))
    }
}

impl TrainSplit {
    /// The rows that teach.
    pub fn data(&self) -> &dyn Dataset {
        &*self.0
    }

    /// All rows that teach, as one batch.
    ///
    /// # Errors
    /// When a row cannot be decoded.
    pub fn read_all(&self) -> Result<Batch> {
        let rows: Vec<u64> = (0..self.0.len()).collect();
        self.0.read(&rows, Draw::default())
    }

    /// What a preparation makes of the rows: encoded, resampled, cross-fitted. It is handed these rows and no others.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn map(&self, change: impl FnOnce(&dyn Dataset) -> Result<Arc<dyn Dataset>>) -> Result<TrainSplit> {
        change(&*self.0).map(TrainSplit)
    }

    /// Cuts these rows again, for cross-validation and for holding out rows to stop early on.
    pub fn split(&self, sides: &[Side]) -> Splits {
        Splits::new(self.0.clone(), sides)
    }
}

impl Splits {
    /// Cuts a data set; `sides` says for each row where it goes.
    pub fn new(data: Arc<dyn Dataset>, sides: &[Side]) -> Splits {
        assert_eq!(sides.len() as u64, data.len(), "every row has a side");
        let of = |wanted: Side| -> Arc<dyn Dataset> {
            let rows = sides.iter().enumerate().filter(|(_, side)| **side == wanted).map(|(row, _)| row as u64).collect();
            Arc::new(Subset::new(data.clone(), rows))
        };
        Splits { train: TrainSplit(of(Side::Train)), valid: of(Side::Valid), test: of(Side::Test) }
    }

    /// The same training and validation rows with a test set of their own.
    #[must_use]
    pub fn with_test(self, test: Arc<dyn Dataset>) -> Splits {
        Splits { test, ..self }
    }

    /// The same training and test rows with validation rows of their own.
    #[must_use]
    pub fn with_valid(self, valid: Arc<dyn Dataset>) -> Splits {
        Splits { valid, ..self }
    }

    /// The rows that teach.
    pub fn train(&self) -> &TrainSplit {
        &self.train
    }

    /// The rows that choose.
    pub fn valid(&self) -> &Arc<dyn Dataset> {
        &self.valid
    }

    /// The rows that measure.
    pub fn test(&self) -> &Arc<dyn Dataset> {
        &self.test
    }
}
