//! Batch normalisation (Ioffe, Szegedy: "Batch normalization", ICML 2015) of flat numbers and of maps.
//!
//! Training normalises with the batch's own mean and variance and moves the running ones along; answering uses the running ones. A layer
//! whose weight is frozen answers with the running statistics while others learn, and leaves them where they are.

use super::activation::Activation;
use super::features::{Features, Shape};
use super::stack::Stack;
use crate::layout::{Fill, Param};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::{Tensor, module};
use cupola_task::Result;

/// A batch normalisation's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchNorm {
    /// Added to the variance.
    pub epsilon: f64,
    /// The share of a batch's statistics in the new running ones.
    pub momentum: f64,
    /// What the weights begin with.
    pub weight: f32,
}

impl Default for BatchNorm {
    /// PyTorch's defaults.
    fn default() -> BatchNorm {
        BatchNorm { epsilon: 1e-5, momentum: 0.1, weight: 1.0 }
    }
}

/// A batch normalisation.
#[derive(Clone, Debug)]
pub struct BatchNormLayer {
    weight: Param,
    bias: Param,
    running_mean: Param,
    running_var: Param,
    norm: BatchNorm,
    number: usize,
}

impl Stack<'_> {
    /// Puts a batch normalisation on top, with `weight`, `bias`, `running_mean` and `running_var`, all `[channels]`.
    ///
    /// # Errors
    /// None: it fits everything.
    pub fn batch_norm(&mut self, name: &str, norm: BatchNorm) -> Result<()> {
        self.add(name, |builder, input: Shape| {
            let channels = [input.channels()];
            let weight = builder.param("weight", &channels, Fill::Constant(norm.weight));
            let bias = builder.param("bias", &channels, Fill::Constant(0.0));
            let running_mean = builder.running("running_mean", &channels, Fill::Constant(0.0));
            let running_var = builder.running("running_var", &channels, Fill::Constant(1.0));
            // One multiplication and one addition a number: what is left when the statistics are folded into weight and bias.
            let number = builder.layer("batchnorm".to_owned(), &input.sides(), 2 * input.len() as u64);
            Ok((BatchNormLayer { weight, bias, running_mean, running_var, norm, number }, input))
        })
    }
}

impl BatchNormLayer {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        self.forward_with(input, false, pass)
    }

    /// `has_relu` says whether a ReLU behind it is done on the way.
    pub(super) fn forward_with(&self, input: Features, has_relu: bool, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || match input {
            Features::Flat(x) => Features::Flat(self.normalise(x, has_relu, pass)),
            Features::Maps(x) => Features::Maps(self.normalise(x, has_relu, pass)),
        })
    }

    /// What it multiplies each channel with and adds to it, when it answers.
    pub(super) fn folded(&self, pass: &Pass<'_>) -> [Vec<f32>; 2] {
        let [weight, bias, mean, variance] = [self.weight, self.bias, self.running_mean, self.running_var].map(|param| pass.numbers(param));
        let scale = |channel: usize| f64::from(weight[channel]) / (f64::from(variance[channel]) + self.norm.epsilon).sqrt();
        let shift = |channel: usize| f64::from(bias[channel]) - f64::from(mean[channel]) * scale(channel);
        [(0..weight.len()).map(|channel| scale(channel) as f32).collect(), (0..weight.len()).map(|channel| shift(channel) as f32).collect()]
    }

    fn normalise<const D: usize>(&self, x: Tensor<D>, has_relu: bool, pass: &Pass<'_>) -> Tensor<D> {
        let (weight, bias) = (pass.get::<1>(self.weight), pass.get::<1>(self.bias));
        if !pass.learns(self.weight) {
            let (mean, variance) = (pass.get(self.running_mean), pass.get(self.running_var));
            if !pass.is_training() {
                return ops::batch_norm(x, [weight, bias], [mean, variance], self.norm.epsilon, has_relu);
            }
            let output = module::batch_norm(x, weight, bias, mean, variance, self.norm.epsilon);
            return if has_relu { Activation::Relu.apply(output) } else { output };
        }
        let count = x.dims().iter().product::<usize>() / x.dims()[1];
        let trained = ops::batch_norm_train(x, [weight, bias], self.norm.epsilon, has_relu);
        // Differs: PyTorch refuses one value a channel; here a batch that small leaves the running statistics where they are.
        if count > 1 {
            let unbiased = trained.variance.mul_scalar(count as f64 / (count - 1) as f64);
            self.move_along(self.running_mean, trained.mean, pass);
            self.move_along(self.running_var, unbiased, pass);
        }
        trained.output
    }

    fn move_along(&self, running: Param, batch: Tensor<1>, pass: &Pass<'_>) {
        let kept = pass.get::<1>(running).mul_scalar(1.0 - self.norm.momentum);
        pass.set_running(running, kept + batch.mul_scalar(self.norm.momentum));
    }
}
