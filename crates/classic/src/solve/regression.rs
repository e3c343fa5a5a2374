//! From training rows to a fitted linear regression; the entries differ in how they find the coefficients.

use super::affine::{Affine, Link, means};
use super::design::Design;
use super::squares::Squares;
use super::task::{Memory, Watch, rows_of};
use crate::rows::Target;
use cupola_task::{Cost, Error, Predictor, Result, Run, Schema, Source};

/// What all linear regressions are told.
#[derive(Clone, Copy, Debug)]
pub struct Regression {
    /// The model's name, for messages.
    pub model: &'static str,
    /// Whether the line may miss the origin.
    pub fit_intercept: bool,
    /// Most iterations.
    pub max_iter: usize,
}

/// Fits with the given solver, which answers coefficients in the design's order.
///
/// # Errors
/// When the rows do not suit a linear regression, memory would not suffice, or the run is stopped before anything is learned.
pub fn regression(
    settings: &Regression,
    source: &Source<'_>,
    run: &Run<'_>,
    solve: impl FnOnce(&Squares<'_>, &Watch<'_, '_>) -> Result<Vec<f64>>,
) -> Result<Box<dyn Predictor>> {
    let (rows, keep, weights) = rows_of(settings.model, source)?;
    let Target::Numbers(target) = &rows.target else {
        return Err(Error::input(format!("target {}", rows.target_name), "classes", "numbers"));
    };
    Memory::new(keep.len(), rows.features.len(), true).check(run)?;
    let target: Vec<f64> = keep.iter().map(|&row| target[row]).collect();
    let design = Design::new(&rows.features, &keep, &weights, settings.fit_intercept)?;
    let squares = Squares { design: &design, target: &target, weights: &weights };
    let coefficients = solve(&squares, &Watch { run, total: settings.max_iter })?;
    let (coefficients, intercept) = design.original(&coefficients, 1);
    let Source::Data { train, .. } = source else { unreachable!("rows were read from data") };
    let affine = Affine::new(train.data().schema(), coefficients, intercept, Link::Identity)?;
    Ok(Box::new(affine.with_means(means(&rows.features, &keep, &weights))))
}

/// What a direct solution of a regression takes.
pub fn cost(schema: &Schema, rows: u64) -> Cost {
    let width = super::affine::width(schema);
    let flops = (width as f64).powi(2) * (rows as f64 + width as f64 / 3.0);
    Cost { flops, memory_bytes: Memory::new(rows as usize, width, true).bytes() }
}
