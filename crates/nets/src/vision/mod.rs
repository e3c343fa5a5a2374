//! Networks that look at images, one file each; families that differ in a number share one.

mod entry;
mod feedforward;
mod image_column;
pub(crate) mod layers;
pub(crate) mod lenet5;
pub(crate) mod lenet5_modern;
pub(crate) mod mobilenet_v2;
pub(crate) mod resnet;
pub(crate) mod resnet9;
pub(crate) mod small_resnet;
pub(crate) mod vgg;

#[cfg(test)]
mod parity;

pub use feedforward::{Architecture, Build, Feedforward, Packed};
pub use image_column::{ImageColumn, NORMALIZE};
