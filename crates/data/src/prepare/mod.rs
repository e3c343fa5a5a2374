//! What is learned from training rows to make all rows ready for a model: missing values, encodings, scales, dates into
//! parts, short texts into TF-IDF, images of one size, classes of the target.
//!
//! One file a kind of step. A [`TablePreparation`] learns from a [`TrainSplit`](cupola_task::TrainSplit), which only the
//! split can make, and gives a [`FittedTable`], which training, `predict` and the server all run.

mod category;
mod classes;
mod date;
mod fitted;
mod image;
mod means;
mod number;
mod settings;
mod step;
mod table;
mod target;
mod text;
mod weight;

pub use fitted::{FittedTable, open};
pub(crate) use image::luma_of;
pub(crate) use number::quantile;
pub use settings::{COLUMN_SETTINGS, SETTINGS};
pub use table::TablePreparation;

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
