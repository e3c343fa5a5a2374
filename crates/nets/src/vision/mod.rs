//! Networks that look at images, one file each; families that differ in a number share one.

mod feedforward;
mod image_column;
pub(crate) mod layers;
pub(crate) mod lenet5;
pub(crate) mod lenet5_modern;

pub use feedforward::{Architecture, Build, Feedforward, Packed};
pub use image_column::{ImageColumn, NORMALIZE};
