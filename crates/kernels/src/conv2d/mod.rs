//! Convolution in two dimensions (cross-correlation, as everywhere in the field), forwards and backwards.
//!
//! No matrix of patches is made. A tile of the input is copied once into *planes*: zeros around it, and with a stride of s one plane for each
//! of the s x s phases. In planes a place of the kernel (a *tap*) is a distance: output pixel `p` meets tap `t` at plane pixel `p + t`, so
//! sixteen neighbouring outputs load sixteen neighbouring inputs, whatever stride and dilation. Between rows lie a few pixels that belong
//! to no output; they are computed and dropped, 2 of 34 for a 3x3 kernel on 32x32.
//!
//! - forwards: rows of weights times planes, a block of 6 maps x 2 registers at a time;
//! - gradient of the input: the same with taps reversed, once for each phase of the stride;
//! - gradient of the weights: inner products of gradient planes with input planes.

pub(crate) mod columns;
mod depthwise;
mod forward;
mod gradients;
mod planes;
mod pointwise;
mod prepared;
mod product;
mod shape;
mod winograd;

#[cfg(test)]
pub(crate) mod tests;

pub use forward::forward;
pub(crate) use forward::met;
pub(crate) use gradients::{Phase, map_sums, phases};
pub use gradients::{bias_gradient, input_gradient, weight_gradient};
pub use prepared::Prepared;
pub(crate) use prepared::Weights;
pub use shape::Shape;

/// Inputs, weights, a bias for each filter if there is one, and the output.
type Forward = fn(&Shape, &[f32], &[f32], Option<&[f32]>, &mut [f32]);
/// The other operand, the output's gradient, and the gradient that is wanted.
type Gradient = fn(&Shape, &[f32], &[f32], &mut [f32]);

/// The passes of a convolution, which are there in `f32` ([`EXACT`]) and of rounded numbers ([`bf16`](crate::bf16::conv2d::ROUNDED)).
#[derive(Clone, Copy, Debug)]
pub struct Passes {
    /// [`forward`].
    pub forward: Forward,
    /// [`input_gradient`].
    pub input_gradient: Gradient,
    /// [`weight_gradient`].
    pub weight_gradient: Gradient,
}

/// In `f32`.
pub const EXACT: Passes = Passes { forward, input_gradient, weight_gradient };
