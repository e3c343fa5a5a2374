//! Recurrent networks over whole sequences, forwards and backwards through time: LSTM, GRU and Elman's, with the formulas, the order of
//! gates and the weights of PyTorch.
//!
//! Tensors are `[batch, time, ..]`. A piece of the batch goes through the whole sequence on one thread, for rows of a batch know nothing of
//! one another: threads meet twice a call, not twice a step. Products with the inputs of several steps are one product; weights are copied
//! into panels once a call.

mod gru;
mod lstm;
mod panels;
mod rnn;
mod sequence;

pub use gru::Gru;
pub use lstm::Lstm;
pub use rnn::Rnn;
pub use sequence::{Cell, Direction, Gradients, Saved, Sequence, Weights, backward, forward};

#[cfg(test)]
mod tests;
