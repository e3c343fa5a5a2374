//! Group normalisation (Wu, He: "Group normalization", ECCV 2018).

use super::{Host, Kept, Operation, filled, on_host, run, tensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use cupola_kernels::group_norm::{self as kernel, Shape, Statistics};
use std::sync::OnceLock;

/// Normalises `x` `[batch, channels, ..]` to mean 0 and variance 1 over the pixels of each group of channels of each image, then multiplies
/// by `weight` and adds `bias`, one number a channel. As many groups as channels are instance normalisation.
pub fn group_norm<const D: usize>(x: Tensor<D>, groups: usize, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    if !on_host(&x.device()) {
        return elsewhere(x, groups, weight, bias, epsilon);
    }
    let operation = GroupNorm { groups, epsilon: epsilon as f32, found: OnceLock::new() };
    run(operation, vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()])
}

/// By stock operations.
pub(super) fn elsewhere<const D: usize>(x: Tensor<D>, groups: usize, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let sides = x.dims();
    let (batch, channels, pixels) = (sides[0], sides[1], sides[2..].iter().product::<usize>());
    let x = x.reshape([batch, groups, channels / groups * pixels]);
    let x = x.clone() - x.mean_dim(2);
    let deviation = (x.clone() * x.clone()).mean_dim(2).add_scalar(epsilon).sqrt();
    let [weight, bias] = [weight, bias].map(|numbers| numbers.reshape([1, channels, 1]));
    ((x / deviation).reshape([batch, channels, pixels]) * weight + bias).reshape(sides)
}

#[derive(Debug)]
struct GroupNorm {
    groups: usize,
    epsilon: f32,
    found: OnceLock<Statistics>,
}

impl GroupNorm {
    fn shape(&self, x: &Host<'_>) -> Shape {
        let &[batch, channels, ref rest @ ..] = x.sides else { panic!("{:?} has no channels", x.sides) };
        Shape { batch, channels, pixels: rest.iter().product(), groups: self.groups, epsilon: self.epsilon }
    }
}

impl Operation for GroupNorm {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        filled(inputs[0].sides, |y| {
            let found = kernel::forward(&self.shape(&inputs[0]), inputs[0].values, [inputs[1].values, inputs[2].values], y);
            self.found.set(found).expect("an operation runs once");
        })
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = [inputs[0], inputs[1]];
        let found = self.found.get().expect("the way forwards comes first");
        let [mut dweight, mut dbias] = [(); 2].map(|()| vec![0.0; weight.values.len()]);
        let dx = filled(x.sides, |dx| {
            kernel::backward(&self.shape(&x), x.values, found, weight.values, gradient.values, dx, [&mut dweight, &mut dbias]);
        });
        let all = [dx, tensor(weight.sides, dweight), tensor(weight.sides, dbias)];
        all.into_iter().zip(wanted).map(|(found, wanted)| wanted.then_some(found)).collect()
    }
}
