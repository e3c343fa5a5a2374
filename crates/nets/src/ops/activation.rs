//! Activations.

use super::{Host, Kept, Operation, filled, on_host, run};
use crate::layers::Activation;
use burn::tensor::Tensor;
use burn::tensor::activation as stock;
use burn_flex::FlexTensor;
use cupola_kernels::activation as kernel;

/// An activation of each number of a tensor.
pub fn activation<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    match kernel_of(activation) {
        Some(activation) if on_host(&x.device()) => run(Activate(activation), vec![x.into_dispatch()]),
        _ => elsewhere(activation, x),
    }
}

fn kernel_of(activation: Activation) -> Option<kernel::Activation> {
    Some(match activation {
        Activation::Relu => kernel::Activation::Relu,
        Activation::Tanh => kernel::Activation::Tanh { inner: 1.0, outer: 1.0 },
        Activation::ScaledTanh => kernel::Activation::Tanh { inner: 2.0 / 3.0, outer: 1.7159 },
        Activation::Sigmoid => kernel::Activation::Sigmoid,
        Activation::Gelu => kernel::Activation::Gelu,
        Activation::Silu => kernel::Activation::Silu,
        Activation::LeakyRelu => kernel::Activation::LeakyRelu { slope: 0.01 },
        Activation::Relu6 => kernel::Activation::Relu6,
        Activation::Softplus => kernel::Activation::Softplus,
        Activation::Identity => return None,
    })
}

fn elsewhere<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    match activation {
        Activation::Relu => stock::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Tanh => x.tanh(),
        Activation::ScaledTanh => x.mul_scalar(2.0 / 3.0).tanh().mul_scalar(1.7159),
        Activation::Sigmoid => stock::sigmoid(x),
        Activation::Gelu => x.clone() * normal_share(x),
        Activation::Silu => stock::silu(x),
        Activation::LeakyRelu => stock::leaky_relu(x, 0.01),
        Activation::Softplus => stock::softplus(x, 1.0),
        Activation::Identity => x,
    }
}

/// The normal distribution function, by Abramowitz and Stegun's formula 7.1.26. The error function of graphics cards is a coarse one: gradients
/// through it are 4e-4 apart from PyTorch's.
fn normal_share<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let size = x.clone().abs().mul_scalar(std::f64::consts::FRAC_1_SQRT_2);
    let t = size.clone().mul_scalar(0.327_591_1).add_scalar(1.0).recip();
    let terms = [-1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let sum = terms.into_iter().fold(t.clone().mul_scalar(1.061_405_429), |sum, term| sum.add_scalar(term) * t.clone());
    let tail = sum * (size.clone() * size).neg().exp().mul_scalar(0.5);
    let is_below = x.lower_scalar(0.0);
    tail.clone().neg().add_scalar(1.0).mask_where(is_below, tail)
}

#[derive(Debug)]
struct Activate(kernel::Activation);

impl Operation for Activate {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b1, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        filled(inputs[0].sides, |y| kernel::forward(self.0, inputs[0].values, y))
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(filled(inputs[0].sides, |dx| kernel::backward(self.0, inputs[0].values, gradient.values, dx)))]
    }
}
