//! Scaled dot-product attention of several heads (Vaswani et al.: "Attention is all you need", NeurIPS 2017).

use super::{Host, Kept, Operation, filled, on_host, run, tensor};
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;
use cupola_kernels::attention::{self as kernel, Gradients, Mask, Shape, Sight, Strides, Tensor as View};
use cupola_kernels::dropout::{self, Dropout};
use std::sync::{Arc, OnceLock};

/// How an attention looks.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Heads that the width is shared among.
    pub heads: usize,
    /// Whether a query sees no key that comes after it.
    pub is_causal: bool,
    /// Numbers `[batch, keys]` that are added to scores: `-inf` where a key is padding.
    pub keys: Option<Arc<[f32]>>,
    /// Of probabilities.
    pub dropout: Option<Dropout>,
}

/// Attention of a sequence to itself; `joined` `[batch, time, 3 * width]` holds queries, keys and values beside each other. Gives
/// `[batch, time, width]`.
pub fn self_attention(joined: Tensor<3>, attention: Attention) -> Tensor<3> {
    if on_host(&joined.device()) {
        return run(Attend::new(attention), vec![joined.into_dispatch()]);
    }
    let mut parts = joined.chunk(3, 2).into_iter();
    let mut next = || parts.next().expect("there are three parts");
    elsewhere([next(), next(), next()], &attention)
}

/// Attention of queries `[batch, queries, width]` to keys and values `[batch, keys, width]`.
pub fn attention(inputs: [Tensor<3>; 3], attention: Attention) -> Tensor<3> {
    match on_host(&inputs[0].device()) {
        true => run(Attend::new(attention), inputs.into_iter().map(Tensor::into_dispatch).collect()),
        false => elsewhere(inputs, &attention),
    }
}

/// By stock operations.
pub(super) fn elsewhere(inputs: [Tensor<3>; 3], attention: &Attention) -> Tensor<3> {
    let device = inputs[0].device();
    let [batch, queries, width] = inputs[0].dims();
    let (keys, heads, dim) = (inputs[1].dims()[1], attention.heads, width / attention.heads);
    let [q, k, v] = inputs.map(|x| {
        let [_, time, _] = x.dims();
        x.reshape([batch, time, heads, dim]).swap_dims(1, 2) // [batch, heads, time, dim]
    });
    let mut scores = q.matmul(k.swap_dims(2, 3)).mul_scalar(1.0 / (dim as f64).sqrt()); // [batch, heads, queries, keys]
    if attention.is_causal {
        let see = |place: usize| if place % keys > place / keys { f32::NEG_INFINITY } else { 0.0 };
        let mask: Vec<f32> = (0..queries * keys).map(see).collect();
        scores = scores + Tensor::<2>::from_data(TensorData::new(mask, [queries, keys]), &device).unsqueeze();
    }
    if let Some(mask) = &attention.keys {
        scores = scores + Tensor::<4>::from_data(TensorData::new(mask.to_vec(), [batch, 1, 1, keys]), &device);
    }
    // A query that sees no key gets zeros, as from the kernel.
    let blind = scores.clone().max_dim(3).equal_elem(f32::NEG_INFINITY).expand([batch, heads, queries, keys]);
    let mut probabilities = softmax(scores.mask_fill(blind.clone(), 0.0), 3).mask_fill(blind, 0.0);
    if let Some(dropout) = attention.dropout {
        let row = keys.next_multiple_of(2);
        let mut mask = vec![0.0; batch * heads * queries * keys];
        for (number, mask) in mask.chunks_exact_mut(keys.max(1)).enumerate() {
            dropout::factors(dropout, number * row, mask);
        }
        probabilities = probabilities * Tensor::<4>::from_data(TensorData::new(mask, [batch, heads, queries, keys]), &device);
    }
    probabilities.matmul(v).swap_dims(1, 2).reshape([batch, queries, width])
}

#[derive(Debug)]
struct Attend {
    attention: Attention,
    /// Of each query the logarithm of its sum of exponentials.
    logarithms: OnceLock<Vec<f32>>,
}

impl Attend {
    fn new(attention: Attention) -> Attend {
        Attend { attention, logarithms: OnceLock::new() }
    }

    /// Sides, and where queries, keys and values lie.
    fn shape(&self, inputs: &[Host<'_>]) -> (Shape, [Strides; 3]) {
        let [batch, queries, width] = inputs[0].dims();
        let heads = self.attention.heads;
        match inputs.get(1).map(|keys| keys.dims::<3>()[1]) {
            Some(keys) => {
                let shape = Shape { batch, heads, queries, keys, dim: width / heads };
                (shape, [queries, keys, keys].map(|time| shape.of_projection(time, 0, 1)))
            }
            None => {
                let shape = Shape { batch, heads, queries, keys: queries, dim: width / 3 / heads };
                (shape, [0, 1, 2].map(|part| shape.of_projection(queries, part, 3)))
            }
        }
    }

    fn options(&self, shape: &Shape) -> kernel::Options<'_> {
        kernel::Options {
            scale: shape.scale(),
            sight: if self.attention.is_causal { Sight::Past { offset: 0 } } else { Sight::All },
            mask: self.attention.keys.as_deref().map(|mask| Mask::of_keys(mask, shape.keys)),
            dropout: self.attention.dropout,
        }
    }
}

fn views<'a>(inputs: &[Host<'a>], places: [Strides; 3]) -> [View<'a>; 3] {
    [0, 1, 2].map(|number| View { values: inputs[number.min(inputs.len() - 1)].values, strides: places[number] })
}

impl Operation for Attend {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b111, output: true }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let (shape, places) = self.shape(inputs);
        let to = shape.of_projection(shape.queries, 0, 1);
        let mut logarithms = vec![0.0; shape.rows()];
        let y = filled(&[shape.batch, shape.queries, shape.heads * shape.dim], |y| {
            kernel::forward(&shape, &self.options(&shape), views(inputs, places), y, &to, &mut logarithms);
        });
        self.logarithms.set(logarithms).expect("an operation runs once");
        y
    }

    fn backward(&self, inputs: &[Host<'_>], output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let (shape, places) = self.shape(inputs);
        let strides = shape.of_projection(shape.queries, 0, 1);
        let outputs = [output, gradient].map(|tensor| View { values: tensor.values, strides });
        let logarithms = self.logarithms.get().expect("the way forwards comes first");
        let run = |gradients: Gradients<'_>| {
            kernel::backward(&shape, &self.options(&shape), views(inputs, places), outputs, logarithms, gradients, places);
        };
        let [q, k, v] = match *inputs {
            [q, k, v] => [q, k, v],
            _ => return vec![Some(filled(inputs[0].sides, |all| run(Gradients::Joined(all))))],
        };
        let mut keys = vec![0.0; k.values.len()];
        let mut values = vec![0.0; v.values.len()];
        let dq = filled(q.sides, |dq| run(Gradients::Apart([dq, &mut keys, &mut values])));
        let all = [dq, tensor(k.sides, keys), tensor(v.sides, values)];
        all.into_iter().zip(wanted).map(|(found, wanted)| wanted.then_some(found)).collect()
    }
}
