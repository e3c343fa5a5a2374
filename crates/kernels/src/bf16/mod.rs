//! Products and convolutions of numbers rounded to `bf16` (eight bits of exponent, seven of fraction), with sums of `f32`: what automatic mixed
//! precision computes with (Micikevicius et al., "Mixed Precision Training", ICLR 2018; Kalamkar et al., "A Study of BFLOAT16 for Deep
//! Learning Training", 2019). Operands and results stay `f32` in memory; they are rounded where they are copied into tiles anyway.
//!
//! With AMX a tile of 16 x 16 sums takes 16 steps of the depth in the time of one register of `f32`; with AVX512_BF16 alone little is won;
//! other processors compute the same numbers slower than `f32` ([`is_fast`]).

pub mod conv2d;
pub(crate) mod matmul;
mod panels;
mod round;
mod tiles;
mod unit;
mod weight_gradient;

pub use matmul::matmul;
pub(crate) use unit::Unit;

/// Whether this processor has instructions for it.
pub fn is_fast() -> bool {
    Unit::current() != Unit::Plain
}

#[cfg(test)]
mod tests;
