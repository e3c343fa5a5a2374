//! What linear models, and others that read rows as they do, do around their mathematics: read rows, check the target, tell the run, mind memory.

use crate::rows::{Rows, the_target};
use cupola_task::{Cost, Dataset, Error, Event, Flow, Range, Result, Run, Schema, Setting, Source, Task};

/// The setting that all linear models have.
pub const FIT_INTERCEPT: Setting = Setting {
    name: "fit_intercept",
    alias: &[],
    default: "true",
    range: Range::Flag,
    doc: "Whether to add a constant to the weighted sum; it bears no penalty.",
};

/// Tells the run of each iteration and says when to stop.
pub struct Watch<'a, 'r> {
    /// The run.
    pub run: &'a Run<'r>,
    /// Most iterations.
    pub total: usize,
}

impl Watch<'_, '_> {
    /// Tells that nothing is done yet.
    ///
    /// # Errors
    /// When the listener wants to stop: nothing was learned.
    pub fn begin(&self) -> Result<()> {
        if self.progress(0, None) == Flow::Stop { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// Tells of an iteration with a measure of it; whether to go on. A fit that is ended here is had again by asking for as many
    /// iterations.
    pub fn tell(&self, done: usize, score: Option<(&str, f64)>) -> bool {
        let reason = match self.progress(done, score) {
            Flow::Stop => "stopped on request",
            Flow::Go if self.run.is_late() => "the time was up",
            Flow::Go => return true,
        };
        let key = "model.max_iter".to_owned();
        // The answer is known: the fit is over.
        let _ = self.run.tell(Event::Resolved { key, value: done.to_string(), reason: reason.to_owned() });
        false
    }

    /// Warns that the iterations ended before the tolerance was met.
    pub fn warn_unfinished(&self, model: &str) {
        let text = format!("{model} stopped after {} iterations before its tolerance was met: raise max_iter or the penalty", self.total);
        // The fit is over, so there is nothing left to stop.
        let _ = self.run.tell(Event::Warning { text });
    }

    fn progress(&self, done: usize, score: Option<(&str, f64)>) -> Flow {
        let score = score.filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.to_owned(), value));
        self.run.tell(Event::Progress { done: done as u64, total: Some(self.total as u64), unit: "iterations".into(), score })
    }
}

/// Refuses a schema whose target has another task.
///
/// # Errors
/// When there is not exactly one target, or its task is not among `tasks`.
pub fn check_target(model: &str, schema: &Schema, tasks: &[Task], hint: &str) -> Result<()> {
    let (field, task) = the_target(schema)?;
    if tasks.contains(&task) {
        return Ok(());
    }
    let what = format!("task {task:?} on target {}", field.name).to_lowercase();
    Err(Error::Unsupported { what, by: model.into(), hint: Some(hint.into()) })
}

/// The training rows, and the numbers and weights of those that count.
///
/// # Errors
/// When the source is a world, no row counts, the weights overflow, or the columns do not fit.
pub fn rows_of(model: &str, source: &Source<'_>) -> Result<(Rows, Vec<usize>, Vec<f64>)> {
    let Source::Data { train, .. } = source else {
        return Err(Error::Unsupported { what: "learning by acting".into(), by: model.into(), hint: None });
    };
    let data: &dyn Dataset = train.data();
    let rows = Rows::read(data)?;
    let weight_of = |row: usize| rows.weight.as_ref().map_or(1.0, |weights| weights[row]);
    let keep: Vec<usize> = (0..rows.len()).filter(|&row| weight_of(row) > 0.0).collect();
    if keep.is_empty() {
        return Err(Error::input("training rows", "no row with a target and a weight above 0", "at least one"));
    }
    let weights: Vec<f64> = keep.iter().map(|&row| weight_of(row)).collect();
    let total: f64 = weights.iter().sum();
    if !total.is_normal() {
        return Err(Error::input("weights of the training rows", format!("a sum of {total}"), "a sum that f64 can hold"));
    }
    Ok((rows, keep, weights))
}

/// The same for a model that is nothing without inputs.
///
/// # Errors
/// As [`rows_of`], and when there is no input.
pub fn rows_with_inputs(model: &str, source: &Source<'_>) -> Result<(Rows, Vec<usize>, Vec<f64>)> {
    let rows = rows_of(model, source)?;
    if rows.0.features.is_empty() {
        return Err(Error::input("training rows", "no input", "at least one"));
    }
    Ok(rows)
}

/// Whether what a fit costs stays below the run's memory ceiling; `what` it is that takes the memory.
///
/// # Errors
/// When it would not.
pub fn within_memory(what: &str, cost: Option<Cost>, run: &Run<'_>) -> Result<()> {
    match (cost, run.memory_max) {
        (Some(cost), Some(most)) if cost.memory_bytes > most => Err(Error::Budget {
            what: what.into(),
            needs: format!("about {} MB", cost.memory_bytes >> 20),
            has: format!("{} MB", most >> 20),
        }),
        _ => Ok(()),
    }
}

/// Most bytes of square matrices where the run sets no ceiling: some fourteen thousand columns.
const SQUARE_BYTES_MAX: u64 = 8 << 30;

/// What a fit holds at once.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Bytes that grow with the rows.
    pub rows_bytes: u64,
    /// Bytes that grow with the square of the columns.
    pub square_bytes: u64,
}

impl Memory {
    /// The columns, the design, and with `is_squared` five square matrices (the Gram matrix, its copies, its partial sums).
    pub fn new(rows: usize, width: usize, is_squared: bool) -> Memory {
        let [rows, width] = [rows as u64, width as u64];
        let square_bytes = if is_squared { width.saturating_mul(width).saturating_mul(5 * 8) } else { 0 };
        Memory { rows_bytes: rows.saturating_mul(width).saturating_mul(2 * 8), square_bytes }
    }

    /// The sum.
    pub fn bytes(self) -> u64 {
        self.rows_bytes.saturating_add(self.square_bytes)
    }

    /// Refuses a fit that would not fit.
    ///
    /// # Errors
    /// When it takes more than the run may use, or square matrices of more than some gigabytes where the run sets no ceiling.
    pub fn check(self, run: &Run<'_>) -> Result<()> {
        let (needs, has) = match run.memory_max {
            Some(most) => (self.bytes(), most),
            None => (self.square_bytes, SQUARE_BYTES_MAX),
        };
        if needs <= has {
            return Ok(());
        }
        Err(Error::Budget { what: "memory of a linear model".into(), needs: format!("{needs} bytes"), has: format!("{has} bytes") })
    }
}
