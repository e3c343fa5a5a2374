//! SHAP interaction values: what pairs of raw columns add together, beyond what each adds by itself (Lundberg et al., "From local explanations to
//! global understanding with explainable AI for trees", 2020). Trees tell them exactly, against what training saw.
//!
//! Rows times the square of the columns is more than memory holds, so pieces of rows are asked for, told and forgotten; what is kept is a sum
//! for each pair.

use super::contributions::output_of;
use super::given::Given;
use super::subject::Subject;
use crate::{Error, Pipeline, Result};
use arrow_array::{ArrayRef, Float64Array, StringArray};
use cupola_task::{Column, Columns, Event, Flow, Interactions, Run, Unit};
use serde::Serialize;
use std::sync::Arc;

/// Bytes of values that a piece of rows takes, where a row does not take more.
const PIECE_BYTES: usize = 32 << 20;
/// Most rows of a piece: of deep forests a row takes a tenth of a second, and between pieces is heard whether to stop.
const PIECE_ROWS: usize = 64;
/// What a row may take where the run sets no ceiling: some fifteen thousand columns.
const ROW_BYTES_MAX: u64 = 4 << 30;
/// Bytes of a cell on its way to a file: two names, a place and the value.
const WRITTEN_BYTES: usize = 64;

/// SHAP interaction values over rows.
#[derive(Clone, Debug, Serialize)]
pub struct ShapInteractions {
    /// The scale on which they add up.
    pub unit: Unit,
    /// How many rows.
    pub rows: usize,
    /// The strongest pairs, the strongest first.
    pub pairs: Vec<ShapPair>,
}

/// What two columns add together, both orders of the pair counted.
#[derive(Clone, Debug, Serialize)]
pub struct ShapPair {
    /// The columns.
    pub columns: [String; 2],
    /// The mean size of it.
    pub mean_abs: f64,
    /// Its mean, which for one row is the value itself.
    pub mean: f64,
}

/// Takes tables of the values of one row after another: `row`, `first`, `second`, `shap`, a line for each cell of the row's matrix.
pub type TakeValues<'a> = &'a mut dyn FnMut(&Columns) -> Result<()>;

impl Pipeline {
    /// What pairs of raw inputs added to one score of raw rows; none where the model cannot tell. What the parts do that a column is prepared into
    /// is that column's own.
    ///
    /// # Errors
    /// As [`Pipeline::explain`].
    pub fn interactions(&self, inputs: &Columns, output: usize) -> Option<Result<Interactions>> {
        let told = || -> Result<Option<Interactions>> {
            let (prepared, trail) = self.fitted.apply(inputs)?;
            if !trail.row_of.is_empty() {
                return Ok(None);
            }
            let Some(told) = self.predictor.interactions(&prepared, output) else { return Ok(None) };
            let names = self.fitted.raw().inputs().map(|field| field.name.clone()).collect();
            Ok(Some(told?.brought_back(names, &self.fitted.sources())))
        };
        told().transpose()
    }
}

/// The pairs of columns that add most together over the rows, at most `top` of them; each value goes to `take`, where there is one.
///
/// # Errors
/// When the model cannot tell, a row's values take more than the run's ceiling, or the run is stopped.
pub(super) fn shap_interactions(
    subject: &Subject<'_>,
    looked: &Given,
    top: usize,
    mut take: Option<TakeValues<'_>>,
    run: &Run<'_>,
) -> Result<ShapInteractions> {
    let pipeline = subject.pipeline;
    let names: Vec<Arc<str>> = pipeline.fitted.raw().inputs().map(|field| field.name.clone()).collect();
    let row_bytes = row_bytes(pipeline, names.len(), take.is_some());
    within(row_bytes, run.memory_max.unwrap_or(ROW_BYTES_MAX))?;
    let inputs = &looked.batch.inputs;
    let told = pipeline.explain(&inputs.take(&[0]), None).ok_or_else(|| cannot(pipeline))??;
    let output = output_of(subject, &told)?;
    let mut sums = Sums::new(names.len());
    let (rows, at_once) = (looked.rows(), (PIECE_BYTES / row_bytes.max(1) as usize).clamp(1, PIECE_ROWS));
    for first in (0..rows).step_by(at_once) {
        let piece: Vec<u64> = (first..(first + at_once).min(rows)).map(|row| row as u64).collect();
        let told = pipeline.interactions(&inputs.take(&piece), output).ok_or_else(|| cannot(pipeline))??;
        for row in 0..told.rows() {
            sums.add(told.row(row));
            if let Some(take) = &mut take {
                take(&table(&looked.places[first + row], &names, told.row(row)))?;
            }
        }
        let done = (first + piece.len()) as u64;
        if run.tell(Event::Progress { done, total: Some(rows as u64), unit: "rows".into(), score: None }) == Flow::Stop {
            return Err(cupola_task::Error::Interrupted.into());
        }
    }
    Ok(ShapInteractions { unit: told.unit, rows, pairs: sums.strongest(&names, top) })
}

/// What one row takes: the matrices of prepared and of raw columns, what a file is written from, and the sums of all rows.
fn row_bytes(pipeline: &Pipeline, raw: usize, is_written: bool) -> u64 {
    let square = |width: usize| (width as u64).saturating_mul(width as u64);
    let prepared = pipeline.fitted.schema().inputs().count();
    let cell = 24 + if is_written { WRITTEN_BYTES as u64 } else { 0 };
    square(prepared).saturating_mul(8).saturating_add(square(raw).saturating_mul(cell))
}

fn within(needs: u64, has: u64) -> Result<()> {
    if needs <= has {
        return Ok(());
    }
    let what = "the interactions of all pairs of columns in one row".to_owned();
    Err(cupola_task::Error::Budget { what, needs: format!("{} MB", needs >> 20), has: format!("{} MB", has >> 20) }.into())
}

fn cannot(pipeline: &Pipeline) -> Error {
    cupola_task::Error::Unsupported {
        what: "SHAP interaction values".into(),
        by: format!("model {}", pipeline.model.name),
        hint: Some("trees tell them; interactions=6 measures Friedman's H, for any model".into()),
    }
    .into()
}

/// Sums over rows for each pair, the smaller place first.
struct Sums {
    width: usize,
    /// What both orders add together, and its size.
    cells: Vec<[f64; 2]>,
    rows: usize,
}

impl Sums {
    fn new(width: usize) -> Sums {
        Sums { width, cells: vec![[0.0; 2]; width * width], rows: 0 }
    }

    fn add(&mut self, row: &[f64]) {
        for first in 0..self.width {
            for second in first + 1..self.width {
                let both = row[first * self.width + second] + row[second * self.width + first];
                let cell = &mut self.cells[first * self.width + second];
                *cell = [cell[0] + both, cell[1] + both.abs()];
            }
        }
        self.rows += 1;
    }

    fn strongest(&self, names: &[Arc<str>], top: usize) -> Vec<ShapPair> {
        let pairs = (0..self.width).flat_map(|first| (first + 1..self.width).map(move |second| (first, second)));
        let mut sizes: Vec<(usize, usize)> = pairs.filter(|&(first, second)| self.cells[first * self.width + second][1] > 0.0).collect();
        sizes.sort_by(|a, b| self.cells[b.0 * self.width + b.1][1].total_cmp(&self.cells[a.0 * self.width + a.1][1]));
        let pair = |(first, second): (usize, usize)| {
            let [sum, size] = self.cells[first * self.width + second].map(|sum| sum / self.rows as f64);
            ShapPair { columns: [names[first].to_string(), names[second].to_string()], mean_abs: size, mean: sum }
        };
        sizes.into_iter().take(top).map(pair).collect()
    }
}

/// A row's matrix as a table.
fn table(place: &str, names: &[Arc<str>], values: &[f64]) -> Columns {
    let name = |cell: usize| names[cell].as_ref();
    let texts =
        |of: &dyn Fn(usize) -> String| Column::Array(Arc::new(StringArray::from_iter_values((0..values.len()).map(of))) as ArrayRef);
    Columns::new(vec![
        ("row".into(), texts(&|_| place.to_owned())),
        ("first".into(), texts(&|cell| name(cell / names.len()).to_owned())),
        ("second".into(), texts(&|cell| name(cell % names.len()).to_owned())),
        ("shap".into(), Column::Array(Arc::new(Float64Array::from(values.to_vec())))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_tell_the_strongest_pairs_and_the_ceiling_is_looked_at_first() {
        let mut sums = Sums::new(3);
        sums.add(&[1.0, 0.5, 0.0, 0.5, 2.0, -2.0, 0.0, -2.0, 3.0]);
        sums.add(&[1.0, -0.5, 0.0, -0.5, 2.0, -1.0, 0.0, -1.0, 3.0]);
        let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
        let told: Vec<_> = sums.strongest(&names, 5).into_iter().map(|pair| (pair.columns.concat(), pair.mean_abs, pair.mean)).collect();
        assert_eq!(told, [("bc".to_owned(), 3.0, -3.0), ("ab".to_owned(), 1.0, 0.0)]);
        assert_eq!(sums.strongest(&names, 1).len(), 1);
        let error = within(3 << 30, 2 << 30).unwrap_err();
        assert!(error.to_string().contains("3072 MB") && error.to_string().contains("2048 MB"), "{error}");
    }
}
