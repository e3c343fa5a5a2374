//! Depthwise convolution: each filter sees one map (Sifre: "Rigid-motion scattering for image classification", 2014, section 6.2; in
//! networks Howard et al.: "MobileNets", 2017).
//!
//! There is no product of matrices to make of it: a number is read once for each of the nine or so weights of one kernel, so what counts is
//! how often it is loaded. Maps are read where they lie. A stretch of columns, one register wide, is walked down row by row; a register of
//! input is used for all output rows that it serves while their sums wait in registers, which are handed on from row to row. Columns
//! beside the map are masked, rows above and below it left out. With a stride of 2 two neighbouring registers are parted into even and odd
//! columns, and the way back weaves even and odd columns on its way to memory.
//!
//! Square kernels of 3, 5 and 7, strides 1 and 2 and no dilation are done here; [`fits`] says so, and all else is left to
//! products over planes.

mod motion;
mod narrow;
mod passes;
mod weights;

#[cfg(test)]
mod tests;

pub(super) use passes::{fits, forward, input_gradient, weight_gradient};
