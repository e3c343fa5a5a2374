//! What a model was made for: its training rows and its answers to rows it never learned from, counted, in a size that does not depend on how many
//! there were. It is made once, lies in the model file, and every later window is held against it.

use crate::axis::{Axis, Tally};
use crate::content::{Cells, Content};
use crate::target::TargetReference;
use crate::{Error, Result};
use cupola_task::{Columns, Draw, Field, Key, Kind, Predictions, Role, Schema};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version of what is written.
const VERSION: u32 = 1;
/// How many training rows are kept as cells, and how many cells of them, when they may be kept.
const ROWS_KEPT: usize = 1000;
const CELLS_KEPT: usize = 32_768;
/// A column with more names gives no slices: they would be too small to say anything.
const SLICES_MAX: usize = 20;
/// A missing cell of a kept row; the others are below [`CODES`].
pub(crate) const MISSING: u8 = u8::MAX;
/// How many codes cells have in kept rows.
pub(crate) const CODES: usize = 32;

/// What a model was made for.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    version: u32,
    /// How many training rows.
    pub rows: u64,
    /// The inputs, in the schema's order; kinds that are not watched are left out.
    pub columns: Vec<ColumnReference>,
    /// The columns whose names cut rows into slices, and groups that must be treated alike.
    pub slices: Vec<SliceColumn>,
    /// The targets, in the schema's order.
    pub targets: Vec<TargetReference>,
    /// Training rows as cells, one code a cell (`Reference::codes`), where they may be kept.
    pub kept: Option<Vec<Vec<u8>>>,
}

/// A column of the reference.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnReference {
    /// Its name.
    pub name: Arc<str>,
    /// What it holds.
    pub content: Content,
    /// The bins; one axis, or one for each number of an embedding.
    pub axes: Vec<Axis>,
    /// What fell into them.
    pub tallies: Vec<Tally>,
    /// How much it counts for the model, in any unit, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub importance: Option<f64>,
}

/// A column of few names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceColumn {
    /// Its name.
    pub name: Arc<str>,
    /// Whether members of its groups must be treated alike.
    pub is_sensitive: bool,
    /// Its names.
    pub axis: Axis,
}

/// Rows that the model never learned from, with its answers to them.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The raw inputs, and the columns of sensitive groups where there are any.
    pub inputs: &'a Columns,
    /// The model's answers.
    pub predictions: &'a Predictions,
    /// Under each target's name what is true: class names, or numbers.
    pub truth: &'a Columns,
}

/// Whether training rows may lie in the model file. They are never there as they were: numbers and names are cells, 32 at most a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Keep {
    /// Only counts. There is no domain classifier then, which needs rows.
    #[default]
    Counts,
    /// At most 1,000 rows, which the draw chooses.
    Rows(Draw),
}

impl Reference {
    /// Counts training rows and answers. `schema` is the raw one, with the classes that training saw; `train` holds the raw inputs of the rows
    /// the model learned from, and columns of sensitive groups where there are any. Without held rows nothing is known of answers and quality:
    /// those to training rows are better than they will ever be again.
    ///
    /// # Errors
    /// When a column is not there or not of its kind, or answers do not fit their truth.
    pub fn new(schema: &Schema, train: &Columns, held: Option<Held<'_>>, keep: Keep) -> Result<Reference> {
        let watched: Vec<(&Field, Content)> =
            schema.inputs().filter_map(|field| Content::of(&field.kind).map(|content| (field, content))).collect();
        let column = |(field, content): &(&Field, Content)| {
            let cells = cells(train, field, *content)?;
            Ok((ColumnReference::new(field.name.clone(), *content, &cells), cells))
        };
        let counted: Vec<(ColumnReference, Cells)> = watched.par_iter().map(column).collect::<Result<_>>()?;
        let kept = match keep {
            Keep::Counts => None,
            Keep::Rows(draw) => Some(kept(&counted, train.rows(), draw)),
        };
        let slices = slices(schema, train)?;
        let targets = match held {
            None => vec![],
            Some(held) => {
                schema.targets().map(|(field, task)| TargetReference::new(field, task, held, &slices)).collect::<Result<Vec<_>>>()?
            }
        };
        Ok(Reference {
            version: VERSION,
            rows: train.rows() as u64,
            columns: counted.into_iter().map(|(column, _)| column).collect(),
            slices,
            targets: targets.into_iter().flatten().collect(),
            kept,
        })
    }

    /// Reads what was written as JSON.
    ///
    /// # Errors
    /// When it is not whole, or a newer version wrote it.
    pub fn open(json: serde_json::Value) -> Result<Reference> {
        let wrong = |found: String| Error::refused("reference", found, "what training counted");
        let reference: Reference = serde_json::from_value(json).map_err(|error| wrong(error.to_string()))?;
        if reference.version != VERSION {
            let hint = "train again, or take the version of cupola that made the model";
            return Err(Error::refused("reference: version", reference.version, VERSION).with_hint(hint));
        }
        let codes: usize = reference.columns.iter().map(ColumnReference::codes).sum();
        let is_kept = reference.kept.iter().flatten().all(|row| row.len() == codes);
        let is_sound = is_kept
            && reference.columns.iter().all(ColumnReference::is_sound)
            && reference.targets.iter().all(TargetReference::is_sound)
            && reference.slices.iter().all(|slice| slice.axis.is_sound() && matches!(slice.axis, Axis::Names { .. }));
        if is_sound { Ok(reference) } else { Err(wrong("bins that do not fit".into())) }
    }

    /// Notes how much each input counts for the model.
    #[must_use]
    pub fn with_importance(mut self, importance: &BTreeMap<String, f64>) -> Reference {
        self.columns.iter_mut().for_each(|column| column.importance = importance.get(&*column.name).copied());
        self
    }

    /// How much each input counts for the model, where that was measured.
    pub fn importance(&self) -> BTreeMap<String, f64> {
        self.columns.iter().filter_map(|column| Some((column.name.to_string(), column.importance?))).collect()
    }

    /// The same without some inputs, and without kept rows, which hold them all.
    #[must_use]
    pub fn without(mut self, is_out: impl Fn(&str) -> bool) -> Reference {
        let before = self.columns.len();
        self.columns.retain(|column| !is_out(&column.name));
        self.kept = self.kept.filter(|_| before == self.columns.len());
        self
    }

    /// The target of that name.
    pub fn target(&self, name: &str) -> Option<&TargetReference> {
        self.targets.iter().find(|target| &*target.name == name)
    }

    /// Rows as codes, one for each axis of each column, as they are kept.
    pub(crate) fn codes(&self, cells: &[Option<Cells>], rows: &[usize]) -> Vec<Vec<u8>> {
        let mut coded = vec![Vec::new(); rows.len()];
        for (column, cells) in self.columns.iter().zip(cells) {
            push_codes(column, cells.as_ref(), rows, &mut coded);
        }
        coded
    }
}

/// The cells of a field's column.
pub(crate) fn cells(columns: &Columns, field: &Field, content: Content) -> Result<Cells> {
    let wrong = |found: &str| Error::refused(format!("column {}", field.name), found, field.kind.word());
    let column = columns.get(&field.name).ok_or_else(|| wrong("no such column"))?;
    content.cells(column).ok_or_else(|| wrong("another kind"))
}

fn kept(counted: &[(ColumnReference, Cells)], rows: usize, draw: Draw) -> Vec<Vec<u8>> {
    let width: usize = counted.iter().map(|(column, _)| column.codes()).sum();
    let mut chosen = draw.stream("reference").permutation(rows as u64);
    chosen.truncate(ROWS_KEPT.min(CELLS_KEPT / width.max(1)));
    let chosen: Vec<usize> = chosen.into_iter().map(|row| row as usize).collect();
    let mut coded = vec![Vec::new(); chosen.len()];
    counted.iter().for_each(|(column, cells)| push_codes(column, Some(cells), &chosen, &mut coded));
    coded
}

/// Cells are many, codes are few: neighbouring cells share one.
fn push_codes(column: &ColumnReference, cells: Option<&Cells>, rows: &[usize], coded: &mut [Vec<u8>]) {
    for (dimension, axis) in column.axes.iter().enumerate().take(column.codes()) {
        let places = cells.map(|cells| cells.places(axis, dimension));
        let code = |cell: usize| if axis.cells() <= CODES { cell } else { cell * CODES / axis.cells() } as u8;
        for (&row, codes) in rows.iter().zip(&mut *coded) {
            codes.push(places.as_ref().and_then(|places| places[row]).map_or(MISSING, code));
        }
    }
}

fn slices(schema: &Schema, train: &Columns) -> Result<Vec<SliceColumn>> {
    let mut slices = Vec::new();
    for field in &schema.fields {
        let is_sensitive = field.role == Role::Key(Key::Sensitive);
        let is_category = matches!(field.kind, Kind::Category { .. });
        if !is_category || !(is_sensitive || field.role == Role::Input) || train.get(&field.name).is_none() {
            continue;
        }
        let axis = Content::Category.axes(&cells(train, field, Content::Category)?).remove(0);
        if (3..=SLICES_MAX + 1).contains(&axis.cells()) {
            slices.push(SliceColumn { name: field.name.clone(), is_sensitive, axis });
        }
    }
    Ok(slices)
}

impl ColumnReference {
    pub(crate) fn new(name: Arc<str>, content: Content, cells: &Cells) -> ColumnReference {
        let axes = content.axes(cells);
        let mut tallies: Vec<Tally> = axes.iter().map(Tally::new).collect();
        cells.add_to(&axes, &mut tallies);
        tallies.iter_mut().for_each(|tally| tally.unseen.clear());
        ColumnReference { name, content, axes, tallies, importance: None }
    }

    /// How many codes it has in kept rows. Dates have none: time goes on, so they would tell every window from training.
    fn codes(&self) -> usize {
        if self.content == Content::Date { 0 } else { self.axes.len() }
    }

    /// Empty counts of the same bins.
    pub(crate) fn empty(&self) -> Vec<Tally> {
        self.axes.iter().map(Tally::new).collect()
    }

    pub(crate) fn is_sound(&self) -> bool {
        let fits = |(axis, tally): (&Axis, &Tally)| {
            axis.is_sound()
                && tally.counts.len() == axis.cells()
                && matches!(axis, Axis::Names { .. }) == (self.content == Content::Category)
        };
        self.axes.len() == self.content.width() && self.tallies.len() == self.axes.len() && self.axes.iter().zip(&self.tallies).all(fits)
    }
}
