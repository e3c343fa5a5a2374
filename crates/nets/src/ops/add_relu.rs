//! The end of a residual block.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn_flex::FlexTensor;
use cupola_kernels::add_relu as kernel;

/// max(a + b, 0), for tensors of equal sides.
pub fn add_relu<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    match on_host(&a.device()) {
        true => run(AddRelu, vec![a.into_dispatch(), b.into_dispatch()]),
        false => relu(a + b),
    }
}

#[derive(Debug)]
struct AddRelu;

impl Operation for AddRelu {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0, output: true }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        filled(inputs[0].sides, |y| kernel::forward(inputs[0].values, inputs[1].values, y))
    }

    fn backward(&self, _inputs: &[Host<'_>], output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        // Both inputs have the same gradient; a copy of the tensor shares its memory.
        let both = filled(gradient.sides, |dx| kernel::backward(output.values, gradient.values, dx));
        wanted.iter().map(|wanted| wanted.then(|| both.clone())).collect()
    }
}
