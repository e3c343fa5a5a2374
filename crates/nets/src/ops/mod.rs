//! The way from a network's operation to a kernel.
//!
//! An [`Operation`] computes on slices of the host, forwards and backwards. [`run`] puts it into Burn's graph, on Burn's CPU backend; each
//! function here that layers call takes that way there, and the stock operation on any other device. A new operation is one file: its
//! structure with an `impl Operation`, and the function that layers call.

mod activation;
mod add_relu;
mod answer;
mod attention;
mod batch_norm;
mod conv2d;
mod conv_transpose2d;
mod cross_entropy;
mod dropout;
mod embedding;
mod group_norm;
mod host;
mod layer_norm;
mod linear;
mod pool2d;
mod precision;
mod recurrent;
mod softmax;

#[cfg(test)]
mod tests;

pub use activation::activation;
pub use add_relu::add_relu;
pub use answer::{AnsweringConv, AnsweringDense, answer_conv, answer_dense};
pub use attention::{Attention, attention, self_attention};
pub use batch_norm::{Trained, batch_norm, batch_norm_train};
pub use conv_transpose2d::conv_transpose2d;
pub use conv2d::{conv_shape, conv2d, even};
pub use cross_entropy::cross_entropy;
pub use dropout::dropout;
pub use embedding::embedding;
pub use group_norm::group_norm;
pub(crate) use host::on_host;
use host::{Host, Kept, Operation, filled, run, tensor};
pub use layer_norm::{add_layer_norm, layer_norm, rms_norm};
pub use linear::linear;
pub use pool2d::{avg_pool2d, max_pool2d};
pub use precision::Precision;
pub use recurrent::{Cell, recurrent};
pub use softmax::{log_softmax, softmax};
