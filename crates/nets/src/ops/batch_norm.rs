//! Batch normalisation, with a ReLU behind it on demand.

use super::{Host, Kept, Operation, filled, on_host, run, tensor};
use crate::net::host;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData, module};
use burn_flex::FlexTensor;
use cupola_kernels::batch_norm::{self as kernel, Shape, Statistics};
use std::sync::{Arc, OnceLock};

/// What a batch gave.
pub struct Trained<const D: usize> {
    /// The normalised tensor.
    pub output: Tensor<D>,
    /// The mean of each channel.
    pub mean: Tensor<1>,
    /// The biased variance of each channel.
    pub variance: Tensor<1>,
}

/// Normalises `x` `[batch, channels, ..]` by its own statistics, then multiplies by `weight` and adds `bias` `[channels]`.
pub fn batch_norm_train<const D: usize>(x: Tensor<D>, [weight, bias]: [Tensor<1>; 2], epsilon: f64, has_relu: bool) -> Trained<D> {
    let device = x.device();
    if !on_host(&device) {
        let found = module::batch_norm_train(x, weight, bias, epsilon);
        let output = if has_relu { relu(found.output) } else { found.output };
        return Trained { output, mean: found.mean, variance: found.variance };
    }
    let found = Arc::new(OnceLock::new());
    let operation = Train { epsilon: epsilon as f32, relu: has_relu, found: found.clone() };
    let output = run(operation, vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()]);
    let Statistics { mean, variance } = found.get().cloned().expect("the operation has run");
    let tensor = |values: Vec<f32>| {
        let channels = values.len();
        Tensor::from_data(TensorData::new(values, [channels]), &device)
    };
    Trained { output, mean: tensor(mean), variance: tensor(variance) }
}

/// Normalises by running statistics, `[weight, bias]` and `[mean, variance]` of `[channels]`, to answer. Not for learning: gradients end here.
pub fn batch_norm<const D: usize>(
    x: Tensor<D>,
    [weight, bias]: [Tensor<1>; 2],
    [mean, variance]: [Tensor<1>; 2],
    epsilon: f64,
    has_relu: bool,
) -> Tensor<D> {
    if !on_host(&x.device()) {
        let output = module::batch_norm(x, weight, bias, mean, variance, epsilon);
        return if has_relu { relu(output) } else { output };
    }
    let numbers = |tensor: Tensor<1>| host(tensor).expect("memory of the host can be read");
    let statistics = Statistics { mean: numbers(mean), variance: numbers(variance) };
    let operation = Answer { epsilon: epsilon as f32, relu: has_relu, statistics };
    run(operation, vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()])
}

fn shape(x: &Host<'_>, relu: bool) -> Shape {
    Shape { batch: x.sides[0], channels: x.sides[1], pixels: x.sides[2..].iter().product(), relu }
}

#[derive(Debug)]
struct Train {
    epsilon: f32,
    relu: bool,
    found: Arc<OnceLock<Statistics>>,
}

impl Operation for Train {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b111, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let shape = shape(&inputs[0], self.relu);
        let statistics = self.found.get_or_init(|| kernel::statistics(&shape, inputs[0].values));
        let numbers = [inputs[1].values, inputs[2].values];
        filled(inputs[0].sides, |y| kernel::normalise(&shape, inputs[0].values, statistics, numbers, self.epsilon, y))
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let shape = shape(&inputs[0], self.relu);
        let statistics = self.found.get().expect("the way forwards comes first");
        let [x, weight, bias] = [inputs[0], inputs[1], inputs[2]];
        let mut numbers = [vec![0.0; shape.channels], vec![0.0; shape.channels]];
        let [dgamma, dbeta] = &mut numbers;
        let dx = filled(x.sides, |dx| {
            let gradients = [&mut dgamma[..], &mut dbeta[..]];
            kernel::backward(&shape, x.values, statistics, [weight.values, bias.values], self.epsilon, gradient.values, dx, gradients);
        });
        let [dgamma, dbeta] = numbers.map(|values| tensor(weight.sides, values));
        [dx, dgamma, dbeta].into_iter().zip(wanted).map(|(found, wanted)| wanted.then_some(found)).collect()
    }
}

#[derive(Debug)]
struct Answer {
    epsilon: f32,
    relu: bool,
    statistics: Statistics,
}

impl Operation for Answer {
    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let numbers = [inputs[1].values, inputs[2].values];
        let shape = shape(&inputs[0], self.relu);
        filled(inputs[0].sides, |y| kernel::normalise(&shape, inputs[0].values, &self.statistics, numbers, self.epsilon, y))
    }
}
