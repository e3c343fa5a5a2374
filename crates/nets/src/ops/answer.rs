//! Layers that only answer: weights that were made ready once, and what follows a layer done at its end.

use super::{Host, Operation, filled, run};
use crate::numbers::Numbers;
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use cupola_kernels::{conv2d as kernel, dense};
use std::sync::Arc;

/// A convolution made ready, with its weights `[filters, channels / groups, height, width]`.
#[derive(Debug)]
pub struct AnsweringConv {
    /// What was made ready.
    pub kernel: kernel::Prepared,
    /// What it was made of.
    pub weight: Numbers,
}

/// A dense layer that only answers.
#[derive(Debug)]
pub struct AnsweringDense {
    /// `[out, in]`
    pub weight: Numbers,
    /// `[out]`
    pub bias: Option<Numbers>,
    /// Sums below the first and above the second are cut off.
    pub range: [f32; 2],
}

/// What a convolution makes of `x` `[batch, channels, height, width]`, on the host; `added` has the shape of the output.
pub fn answer_conv(conv: Arc<AnsweringConv>, x: Tensor<4>, added: Option<Tensor<4>>) -> Tensor<4> {
    let added = added.map(Tensor::into_dispatch);
    run(Conv(conv), [x.into_dispatch()].into_iter().chain(added).collect())
}

/// What a dense layer makes of `x` `[rows, in]`, on the host.
pub fn answer_dense(layer: Arc<AnsweringDense>, x: Tensor<2>) -> Tensor<2> {
    run(Dense(layer), vec![x.into_dispatch()])
}

#[derive(Debug)]
struct Conv(Arc<AnsweringConv>);

impl Operation for Conv {
    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let AnsweringConv { kernel, weight } = &*self.0;
        let (batch, [filters, height, width]) = (inputs[0].sides[0], kernel.output());
        let added = inputs.get(1).map(|added| added.values);
        filled(&[batch, filters, height, width], |y| kernel.forward(batch, inputs[0].values, weight, added, y))
    }
}

#[derive(Debug)]
struct Dense(Arc<AnsweringDense>);

impl Operation for Dense {
    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let AnsweringDense { weight, bias, range } = &*self.0;
        let [rows, depth] = inputs[0].dims();
        let out = weight.len() / depth.max(1);
        filled(&[rows, out], |y| dense::forward(inputs[0].values, rows, weight, bias.as_deref(), *range, y))
    }
}
