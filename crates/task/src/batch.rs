//! Columns of rows on the host: the only thing that flows from files to models to measures.

use crate::{Error, Images, Result, Role, Schema, View};
use arrow_array::{Array, ArrayRef};
use std::collections::HashMap;
use std::sync::Arc;

/// A mask as run lengths, column by column, starting with zeros (COCO's layout).
#[derive(Clone, PartialEq, Debug)]
pub struct Rle {
    /// Height and width in pixels.
    pub size: [u32; 2],
    /// Alternating runs of zeros and ones.
    pub counts: Vec<u32>,
}

/// One thing in a picture. Detection and instance segmentation share it; semantic maps are `Kind::Map`.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    /// Index into the field's classes.
    pub class: u32,
    /// Left, top, width, height in pixels.
    pub rect: [f32; 4],
    /// Confidence of an answer; 1 in a truth.
    pub score: f32,
    /// Its shape, when known.
    pub mask: Option<Rle>,
    /// A crowd region, which matches any number of answers (COCO).
    pub crowd: bool,
}

/// Scalars and lists are Arrow arrays (shared, not copied); only pixels, sound and objects have layouts of their own.
#[derive(Clone, Debug)]
pub enum Column {
    /// Numbers, categories, dates, texts, vectors.
    Array(ArrayRef),
    /// Pixels.
    Images(Images),
    /// Sound, one clip after another.
    Waves {
        /// All clips' samples in -1..1.
        samples: Arc<[f32]>,
        /// Where each clip ends.
        ends: Vec<usize>,
    },
    /// The objects of each image.
    Objects(Vec<Vec<Object>>),
    /// A list in each row.
    List {
        /// Where each row's list ends.
        ends: Arc<[u32]>,
        /// All rows' items.
        items: Box<Column>,
    },
}

/// Named columns of equal length.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    list: Vec<(Arc<str>, Column)>,
    /// Where each name stands, once there are so many that looking for one takes long.
    places: Option<Arc<HashMap<Arc<str>, usize>>>,
}

/// Up to so many columns are found quicker by looking at each.
const COLUMNS_SCANNED: usize = 32;

/// Rows on their way to a model. A CSV, an image folder (image + label), SQuAD (two texts + a span) and COCO
/// (image + objects) are all this.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Each row's number in its data set.
    pub rows: Arc<[u64]>,
    /// What the model may look at.
    pub inputs: Columns,
    /// What it is to answer.
    pub targets: Columns,
    /// Id, group, time, weight, sensitive.
    pub keys: Columns,
}

impl Column {
    /// How many rows.
    pub fn len(&self) -> usize {
        match self {
            Column::Array(array) => array.len(),
            Column::Images(images) => images.len(),
            Column::Waves { ends, .. } => ends.len(),
            Column::Objects(rows) => rows.len(),
            Column::List { ends, .. } => ends.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The Arrow array, where the column is one.
    pub fn array(&self) -> Option<&ArrayRef> {
        match self {
            Column::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The images, where the column holds some.
    pub fn images(&self) -> Option<&Images> {
        match self {
            Column::Images(images) => Some(images),
            _ => None,
        }
    }

    /// The given rows, in the given order; a row may come more than once. Indices must be in range.
    pub fn take(&self, rows: &[u64]) -> Column {
        match self {
            Column::Array(array) => Column::Array(take_array(array, rows)),
            Column::Images(images) => Column::Images(images.take(rows)),
            Column::Waves { samples, ends } => {
                let (samples, ends) = take_runs(samples, ends, rows);
                Column::Waves { samples: samples.into(), ends }
            }
            Column::Objects(objects) => Column::Objects(rows.iter().map(|&row| objects[row as usize].clone()).collect()),
            Column::List { ends, items } => take_lists(ends, items, rows),
        }
    }
}

fn take_array(array: &ArrayRef, rows: &[u64]) -> ArrayRef {
    let rows = arrow_array::UInt64Array::from(rows.to_vec());
    arrow_select::take::take(array, &rows, None).expect("row numbers come from the same data set")
}

fn take_runs<T: Copy>(values: &[T], ends: &[usize], rows: &[u64]) -> (Vec<T>, Vec<usize>) {
    let mut taken = Vec::new();
    let mut taken_ends = Vec::with_capacity(rows.len());
    for &row in rows {
        let row = row as usize;
        let start = if row == 0 { 0 } else { ends[row - 1] };
        taken.extend_from_slice(&values[start..ends[row]]);
        taken_ends.push(taken.len());
    }
    (taken, taken_ends)
}

fn take_lists(ends: &[u32], items: &Column, rows: &[u64]) -> Column {
    let mut wanted = Vec::new();
    let mut taken_ends = Vec::with_capacity(rows.len());
    for &row in rows {
        let row = row as usize;
        let start = if row == 0 { 0 } else { ends[row - 1] };
        wanted.extend((start..ends[row]).map(u64::from));
        taken_ends.push(wanted.len() as u32);
    }
    Column::List { ends: taken_ends.into(), items: Box::new(items.take(&wanted)) }
}

fn concat_columns(name: &str, columns: &[&Column]) -> Result<Column> {
    let wrong =
        |found: &dyn std::fmt::Display| Error::input(format!("column {name}"), found, "columns of one type, of scalars or of images");
    if let Some(images) = columns.iter().map(|column| column.images()).collect::<Option<Vec<_>>>() {
        return Ok(Column::Images(Images::concat(&images)));
    }
    let arrays = columns.iter().map(|column| column.array().map(|array| &**array)).collect::<Option<Vec<&dyn Array>>>();
    let arrays = arrays.ok_or_else(|| wrong(&"others"))?;
    arrow_select::concat::concat(&arrays).map(Column::Array).map_err(|error| wrong(&error))
}

impl Columns {
    /// Columns that must be of equal length under unique names; asserts both, since only our own code builds them.
    pub fn new(columns: Vec<(Arc<str>, Column)>) -> Self {
        if let Some((_, first)) = columns.first() {
            assert!(columns.iter().all(|(_, column)| column.len() == first.len()), "columns are equally long");
        }
        let unique: std::collections::HashSet<&Arc<str>> = columns.iter().map(|(name, _)| name).collect();
        assert_eq!(unique.len(), columns.len(), "column names are unique");
        Columns::indexed(columns)
    }

    fn indexed(list: Vec<(Arc<str>, Column)>) -> Self {
        let place = |(place, (name, _)): (usize, &(Arc<str>, Column))| (name.clone(), place);
        let places = (list.len() > COLUMNS_SCANNED).then(|| Arc::new(list.iter().enumerate().map(place).collect()));
        Columns { list, places }
    }

    fn place(&self, name: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(name).copied(),
            None => self.list.iter().position(|(known, _)| &**known == name),
        }
    }

    /// How many rows; 0 when there is no column.
    pub fn rows(&self) -> usize {
        self.list.first().map_or(0, |(_, column)| column.len())
    }

    /// How many columns.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The column of that name.
    pub fn get(&self, name: &str) -> Option<&Column> {
        self.place(name).map(|place| &self.list[place].1)
    }

    /// The Arrow array of that name.
    ///
    /// # Errors
    /// When there is no such column, or it is not an array.
    pub fn array(&self, name: &str) -> Result<&ArrayRef> {
        let column = self.get(name).ok_or_else(|| self.missing(name))?;
        column.array().ok_or_else(|| Error::input(format!("column {name}"), "pixels, sound or objects", "scalars"))
    }

    fn missing(&self, name: &str) -> Error {
        let error = Error::input("columns", format!("no column {name}"), format!("a column {name}"));
        match crate::nearest(name, self.names()) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error,
        }
    }

    /// Names and columns, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Column)> {
        self.list.iter().map(|(name, column)| (name, column))
    }

    /// Names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| &**name)
    }

    /// Adds a column, replacing one of the same name. Asserts equal length.
    pub fn insert(&mut self, name: Arc<str>, column: Column) {
        assert!(self.list.is_empty() || self.rows() == column.len(), "columns are equally long");
        match self.place(&name) {
            Some(place) => self.list[place].1 = column,
            None => {
                if let Some(places) = &mut self.places {
                    Arc::make_mut(places).insert(name.clone(), self.list.len());
                }
                self.list.push((name, column));
                if self.places.is_none() && self.list.len() > COLUMNS_SCANNED {
                    *self = Columns::indexed(std::mem::take(&mut self.list));
                }
            }
        }
    }

    /// The given rows of every column.
    pub fn take(&self, rows: &[u64]) -> Columns {
        let list = self.list.iter().map(|(name, column)| (name.clone(), column.take(rows))).collect();
        Columns { list, places: self.places.clone() }
    }

    /// The rows of the first, then those of the next, and so on. Scalars and images only.
    ///
    /// # Errors
    /// When one lacks a column of the first, has it with another type, or it is neither scalars nor images.
    pub fn concat(parts: &[Columns]) -> Result<Columns> {
        let Some(first) = parts.first() else { return Ok(Columns::default()) };
        let column = |name: &Arc<str>| {
            let columns = parts.iter().map(|part| part.get(name).ok_or_else(|| part.missing(name))).collect::<Result<Vec<_>>>()?;
            Ok((name.clone(), concat_columns(name, &columns)?))
        };
        Ok(Columns::indexed(first.list.iter().map(|(name, _)| column(name)).collect::<Result<_>>()?))
    }

    /// The columns whose names the filter accepts, in order.
    pub fn select(&self, mut keep: impl FnMut(&str) -> bool) -> Columns {
        Columns::indexed(self.list.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }
}

impl IntoIterator for Columns {
    type Item = (Arc<str>, Column);
    type IntoIter = std::vec::IntoIter<Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl Batch {
    /// Sorts columns into inputs, targets and keys by the schema's roles; columns that the schema ignores or does not know are left out.
    pub fn new(rows: Arc<[u64]>, columns: &Columns, schema: &Schema) -> Batch {
        let roles: HashMap<&str, Role> = schema.fields.iter().map(|field| (&*field.name, field.role)).collect();
        let of = |wanted: fn(&Role) -> bool| columns.select(|name| roles.get(name).is_some_and(wanted));
        Batch {
            rows,
            inputs: of(|role| matches!(role, Role::Input)),
            targets: of(|role| matches!(role, Role::Target(_))),
            keys: of(|role| matches!(role, Role::Key(_))),
        }
    }

    /// The given rows, in the given order; a row may come more than once. Indices must be in range.
    pub fn take(&self, rows: &[u64]) -> Batch {
        Batch {
            rows: rows.iter().map(|&row| self.rows[row as usize]).collect(),
            inputs: self.inputs.take(rows),
            targets: self.targets.take(rows),
            keys: self.keys.take(rows),
        }
    }

    /// What a measure of one target sees of the rows.
    pub fn view<'a>(&'a self, target: &str, weight: Option<&'a [f64]>) -> View<'a> {
        View { truth: self.targets.get(target), weight, inputs: &self.inputs, keys: &self.keys }
    }
}
