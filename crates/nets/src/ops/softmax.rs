//! Softmax and its logarithm.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::{Tensor, activation};
use burn_flex::FlexTensor;
use cupola_kernels::softmax::{self as kernel, Softmax};

/// Shares of the exponentials over the last axis.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match on_host(&x.device()) {
        true => run(Rows(Softmax::Probabilities), vec![x.into_dispatch()]),
        false => activation::softmax(x, D - 1),
    }
}

/// The logarithm of [`softmax`].
pub fn log_softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    match on_host(&x.device()) {
        true => run(Rows(Softmax::Logarithms), vec![x.into_dispatch()]),
        false => activation::log_softmax(x, D - 1),
    }
}

#[derive(Debug)]
struct Rows(Softmax);

fn width(x: &Host<'_>) -> usize {
    x.sides.last().copied().unwrap_or(1)
}

impl Operation for Rows {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0, output: true }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        filled(inputs[0].sides, |y| kernel::forward(self.0, width(&inputs[0]), inputs[0].values, y))
    }

    fn backward(&self, _inputs: &[Host<'_>], output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(filled(output.sides, |dx| kernel::backward(self.0, width(&output), output.values, gradient.values, dx)))]
    }
}
