//! What networks are built of, one file a layer.
//!
//! A [`Stack`] builds layers one after another: each method checks that its layer fits what comes before it, registers parameters and
//! cost with the [`Builder`](crate::Builder), and allocates nothing. [`Stack::finish`] gives the [`Sequence`] that computes.

mod activation;
mod adaptive_avg_pool;
mod avg_pool;
mod batch_norm;
mod conv2d;
mod conv_transpose2d;
mod dropout;
mod features;
mod flatten;
mod init;
mod layer;
mod linear;
mod max_pool;
mod partial_conv2d;
mod residual;
mod scale;
mod sequence;
mod stack;
mod subsample;
mod thin_pad;

#[cfg(test)]
mod tests;

pub use activation::Activation;
pub use avg_pool::AvgPool;
pub use batch_norm::BatchNorm;
pub use conv_transpose2d::ConvTranspose;
pub use conv2d::{Conv, Padding};
pub use features::{Features, Shape};
pub use init::{Bias, Init};
pub use layer::Layer;
pub use linear::Dense;
pub use max_pool::Pool;
pub use sequence::Sequence;
pub use stack::Stack;
