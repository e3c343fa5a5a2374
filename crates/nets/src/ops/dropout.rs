//! Dropout.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use cupola_kernels::dropout::{self as kernel, Dropout};

/// `x / (1 - share)` where a number is kept, 0 where it is dropped. What is dropped is a function of the key and of a number's place.
pub fn dropout<const D: usize>(x: Tensor<D>, dropout: Dropout) -> Tensor<D> {
    match on_host(&x.device()) {
        true => run(Drop(dropout), vec![x.into_dispatch()]),
        false => elsewhere(x, dropout),
    }
}

/// By stock operations, and the same mask.
pub(super) fn elsewhere<const D: usize>(x: Tensor<D>, dropout: Dropout) -> Tensor<D> {
    let (sides, device) = (x.dims(), x.device());
    let mut mask = vec![0.0; sides.iter().product()];
    kernel::factors(dropout, 0, &mut mask);
    x * Tensor::from_data(TensorData::new(mask, sides), &device)
}

#[derive(Debug)]
struct Drop(Dropout);

impl Operation for Drop {
    fn keeps(&self) -> Kept {
        Kept::default()
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        filled(inputs[0].sides, |y| kernel::apply(self.0, inputs[0].values, y))
    }

    fn backward(&self, _inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(filled(gradient.sides, |dx| kernel::apply(self.0, gradient.values, dx)))]
    }
}
