//! The largest number and the mean under a window, forwards and backwards.
//!
//! Rows under a window are joined first, a register of columns at a time. What comes of it is parted into *lines*, one for each phase of
//! the stride across: then neighbouring windows load neighbouring numbers of a line, whatever the stride. Gradients of means go the same
//! way back. For those of largest numbers the way forwards finds the pixel that won each window, and the way back adds to these, one by
//! one.

mod backward;
mod forward;
mod lines;
mod shape;
mod winners;

#[cfg(test)]
mod tests;

pub use backward::{backward_average, backward_max};
pub use forward::forward;
pub use shape::{Pooling, Shape};
pub use winners::forward_max;
