//! The way from a network's operation to a kernel.
//!
//! An [`Operation`] computes on slices of the host, forwards and backwards. [`run`] puts it into Burn's graph, on Burn's CPU backend; each
//! function here that layers call takes that way there, and the stock operation on any other device. A new operation is one file: its
//! structure with an `impl Operation`, and the function that layers call.

mod activation;
mod add_relu;
mod batch_norm;
mod conv2d;
mod cross_entropy;
mod host;
mod linear;
mod pool2d;

#[cfg(test)]
mod tests;

pub(crate) use activation::activation;
pub(crate) use add_relu::add_relu;
pub(crate) use batch_norm::{batch_norm, batch_norm_train};
pub(crate) use conv2d::conv2d;
pub(crate) use cross_entropy::cross_entropy;
use host::{Host, Kept, Operation, filled, on_host, run};
pub(crate) use linear::linear;
pub(crate) use pool2d::{avg_pool2d, max_pool2d};
