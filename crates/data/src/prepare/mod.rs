//! What is learned from training rows to make all rows ready for a model: missing values, encodings, scales, dates into
//! parts, short texts into TF-IDF, images of one size, classes of the target.
//!
//! One file a kind of step. A [`TablePreparation`] learns from a [`TrainSplit`](cupola_task::TrainSplit), which only the
//! split can make, and gives a [`FittedTable`], which training, `predict` and the server all run.

mod balance;
mod category;
mod choice;
mod classes;
mod date;
mod differences;
mod fitted;
mod forward;
mod gaps;
mod hashing;
mod image;
mod impute;
mod means;
mod notes;
mod number;
mod numbers;
mod outliers;
mod products;
mod rows;
mod select;
mod settings;
mod shape;
pub(crate) mod spelling;
mod step;
mod table;
mod target;
mod text;
mod weight;

pub use choice::Spelling;
pub use fitted::{FittedTable, open};
pub(crate) use image::luma_of;
pub use notes::Note;
pub(crate) use number::quantile;
pub use rows::{Contradictions, contradictions};
pub use settings::{COLUMN_SETTINGS, SETTINGS};
pub use spelling::{respelled, unified};
pub use table::TablePreparation;

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
