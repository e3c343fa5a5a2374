//! What multiplies with weights that are copied once: `f32`, or numbers rounded to `bf16`.

use crate::Level;
use crate::bf16::{self, Unit};
use crate::end::End;
use crate::matmul::{self, Matrix, Start};

/// Products of one call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Multiply {
    Exact(Level),
    Rounded(Unit),
}

/// Weights, copied.
#[derive(Clone, Copy, Debug)]
pub(super) enum Panels<'a> {
    Exact(matmul::Packed<'a>),
    Rounded(bf16::matmul::Packed<'a>),
}

impl Multiply {
    pub fn new(is_rounded: bool) -> Multiply {
        if is_rounded { Multiply::Rounded(Unit::current()) } else { Multiply::Exact(Level::current()) }
    }

    /// Copies weights and lends the copy.
    pub fn lend<T>(self, weights: Matrix<'_>, work: impl FnOnce(Panels<'_>) -> T) -> T {
        match self {
            Multiply::Exact(level) => matmul::Packed::lend(level, weights, |packed| work(Panels::Exact(packed))),
            Multiply::Rounded(unit) => bf16::matmul::Packed::lend(unit, weights, |packed| work(Panels::Rounded(packed))),
        }
    }

    /// `c` = `a b` on all threads.
    pub fn threaded(self, a: Matrix<'_>, b: Matrix<'_>, c: &mut [f32]) {
        match self {
            Multiply::Exact(level) => matmul::threaded(level, a, b, Start::Zero, c),
            Multiply::Rounded(unit) => bf16::matmul::threaded(unit, a, b, Start::Zero, c),
        }
    }
}

impl Panels<'_> {
    /// `c` = what it starts with + `a` times the weights on the calling thread, rows of `c` `stride` numbers apart.
    pub fn product(self, a: Matrix<'_>, start: Start<'_>, c: &mut [f32], stride: usize) {
        match self {
            Panels::Exact(packed) => matmul::serial_packed(a, packed, start, c, stride, End::NOTHING),
            Panels::Rounded(packed) => bf16::matmul::serial_packed(a, packed, start, c, stride),
        }
    }
}
