//! Random changes of training images that do not change what they show, declared in a recipe's `[augment]` table.
//!
//! One file an operation, each with its settings. All numbers drawn for a row are a function of seed, epoch and row number, so a row
//! looks the same in whatever batch, thread and order it comes. What moves pixels (crops, flips, affine maps) is composed into one map
//! and sampled once.

mod affine;
mod apply;
mod colour;
mod crop;
mod cutout;
mod dice;
mod flip;
mod jitter;
mod mix;
mod operation;
mod policy;
mod randaugment;
mod random_erasing;
mod random_resized_crop;
mod warp;

pub use apply::{Augment, Augmented, STREAM};
pub use operation::{OPERATIONS, Operation};

#[cfg(test)]
mod parity;
#[cfg(test)]
mod tests;
