//! What networks compute on a processor, over plain slices of `f32`: no tensor type, no gradient engine, nothing of ours.
//!
//! Every kernel is written once, generic over [`lanes::Lanes`], and compiled for each [`Level`] of instructions; which one runs is decided
//! when the program runs. Work is cut into pieces whose borders depend on shapes alone, and what pieces add up is added in the order of
//! the pieces: results are the same bytes for any number of threads. They differ between levels, within rounding.
//!
//! This is the one crate that may hold `unsafe`.

pub mod activation;
pub mod add_relu;
pub mod attention;
pub mod batch_norm;
pub mod bf16;
pub mod conv2d;
pub mod conv_transpose2d;
pub mod cross_entropy;
pub mod dense;
pub mod dropout;
pub mod embedding;
pub mod group_norm;
pub mod layer_norm;
pub mod matmul;
pub mod memory;
pub mod optimizer;
pub mod pool2d;
pub mod recurrent;
pub mod softmax;

mod end;
mod functions;
mod kernel;
mod lanes;
mod level;
mod pieces;
mod scratch;
mod shared;
mod sums;
mod team;
#[cfg(test)]
mod testing;
mod turned;

pub use level::{Level, with};
pub use sums::{add, copied, copy, sum, unwritten};
