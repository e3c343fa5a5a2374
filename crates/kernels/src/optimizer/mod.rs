//! Steps of optimisers, and what is done to gradients and weights around a step. All of it is work of memory: one pass over it each.
//!
//! Where rules are made of single roundings (products, sums, quotients and square roots, no fused multiply-add), so a step gives the same
//! bytes at every level, for any number of threads, and however a tensor is cut. A fused form would not be faster: memory is the limit.

mod average;
mod gradients;
mod rules;

pub use average::average;
pub use gradients::{clamp, norm, scale};
pub use rules::{Move, Rule, Slices};

#[cfg(test)]
mod tests;
