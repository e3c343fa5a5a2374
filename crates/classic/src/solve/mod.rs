//! The mathematics that the linear models share: a design matrix that skips zeros, least squares, coordinate descent,
//! Newton's method for the logistic loss, and the fitted affine map.
//!
//! All sums run over blocks of rows that depend on the number of rows and columns only, and are added in a fixed order:
//! the result is the same for any number of threads.

mod affine;
mod cholesky;
mod columns;
mod descent;
mod design;
mod newton;
mod regression;
mod squares;
mod task;

#[cfg(test)]
mod tests;

pub use affine::{Affine, Link, means, open_classes, open_numbers, width};
pub use columns::{Input, Taken, inputs_of, take};
pub use descent::{Descent, elastic};
pub use design::Design;
pub use newton::{Logistic, is_factored, logistic};
pub use regression::{Regression, cost, regression};
pub use squares::least_squares;
pub use task::{FIT_INTERCEPT, Memory, Watch, check_target, rows_of, rows_with_inputs, within_memory};
