//! Operations of ours against Burn's stock ones: outputs and gradients.

use super::*;
use crate::layers::Activation;
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, ConvTransposeOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, module};
use cupola_kernels::dropout::Dropout;
use cupola_task::Draw;
use std::sync::Arc;

fn noise<const D: usize>(sides: [usize; D], seed: u64) -> Tensor<D> {
    let values: Vec<f32> = (0..sides.iter().product::<usize>() as u64).map(|place| Draw::new(seed).normal(place) as f32).collect();
    Tensor::from_data(TensorData::new(values, sides), &Device::flex().autodiff()).require_grad()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    crate::net::host(tensor.inner()).unwrap()
}

fn check(what: &str, found: &[f32], wanted: &[f32]) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let largest = wanted.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
    let apart = found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
    // Both sum in f32, each in its own order.
    assert!(apart < 3e-5, "{what} is {apart:e} apart");
}

/// Runs an operation both ways, on equal inputs, and compares the output and all gradients of `sum(output * weights)`.
fn hold<const D: usize, const E: usize>(what: &str, inputs: [[usize; D]; 3], of: impl Fn(bool, [Tensor<D>; 3]) -> Tensor<E>) {
    let way = |ours: bool| {
        let given: [Tensor<D>; 3] = std::array::from_fn(|place| noise(inputs[place], place as u64));
        let output = of(ours, given.clone());
        let weights = noise(output.dims(), 9).detach();
        let gradients = (output.clone() * weights).sum().backward();
        let gradient = |tensor: &Tensor<D>| tensor.grad(&gradients).map_or(vec![], |gradient| crate::net::host(gradient).unwrap());
        (numbers(output), given.each_ref().map(gradient))
    };
    let ((found, found_gradients), (wanted, wanted_gradients)) = (way(true), way(false));
    check(&format!("{what}: output"), &found, &wanted);
    for (place, (found, wanted)) in found_gradients.iter().zip(&wanted_gradients).enumerate() {
        check(&format!("{what}: gradient {place}"), found, wanted);
    }
}

#[test]
fn convolutions_are_those_of_burn() {
    for (stride, padding, dilation, groups) in [(1, 1, 1, 1), (2, 1, 1, 1), (1, 0, 2, 1), (2, 2, 1, 2)] {
        let options = || ConvOptions::new([stride; 2], [padding; 2], [dilation; 2], groups);
        let sides = [[2, 4, 9, 11], [6, 4 / groups, 3, 3], [1, 1, 1, 6]];
        hold(&format!("stride {stride}, padding {padding}, dilation {dilation}, groups {groups}"), sides, |ours, [x, weight, bias]| {
            let bias = Some(bias.reshape([6]));
            if ours { conv2d(x, weight, bias, options()) } else { module::conv2d(x, weight, bias, options()) }
        });
    }
}

#[test]
fn rounded_products_are_near_and_their_way_backwards_is_rounded_too() {
    let run = |precision: Precision| {
        let (x, dense) = (noise([2, 16, 9, 9], 1), noise([10, 16 * 81], 3));
        let [weight, back] = [2, 4].map(|seed| noise([16, 16, 3, 3], seed));
        let output = precision.within(|| {
            let y = conv2d(x.clone(), weight.clone(), None, ConvOptions::new([1; 2], [1; 2], [1; 2], 1));
            let y = conv_transpose2d(y, back.clone(), None, ConvTransposeOptions::new([1; 2], [1; 2], [0; 2], [1; 2], 1));
            linear(y.reshape([2, 16 * 81]), dense.clone(), None)
        });
        let weights = noise(output.dims(), 9).detach();
        let gradients = (output.clone() * weights).sum().backward();
        let gradient = |found: Option<Tensor<4>>| found.map_or(vec![], |gradient| crate::net::host(gradient).unwrap());
        let dense = dense.grad(&gradients).map_or(vec![], |gradient| crate::net::host(gradient).unwrap());
        [numbers(output), gradient(x.grad(&gradients)), gradient(weight.grad(&gradients)), gradient(back.grad(&gradients)), dense]
    };
    let (exact, rounded) = (run(Precision::F32), run(Precision::Bf16));
    for (exact, rounded) in exact.iter().zip(&rounded) {
        let largest = exact.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let apart = exact.iter().zip(rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
        assert!(apart > 1e-4 && apart < 0.02, "{apart:e} apart");
    }
}

#[test]
fn transposed_convolutions_are_those_of_burn() {
    // Padding of the output beyond the stride is Burn's own.
    for (stride, padding, added, dilation, groups) in [(1, 1, 0, 1, 1), (2, 1, 1, 1, 1), (3, 0, 2, 2, 2), (5, 2, 0, 1, 2), (1, 0, 1, 2, 1)]
    {
        let options = || ConvTransposeOptions::new([stride; 2], [padding; 2], [added; 2], [dilation; 2], groups);
        let sides = [[2, 4, 5, 7], [4, 6 / groups, 3, 3], [1, 1, 1, 6]];
        let what = format!("stride {stride}, padding {padding} and {added}, dilation {dilation}, groups {groups}");
        hold(&what, sides, |ours, [x, weight, bias]| {
            let bias = Some(bias.reshape([6]));
            if ours { conv_transpose2d(x, weight, bias, options()) } else { module::conv_transpose2d(x, weight, bias, options()) }
        });
    }
}

#[test]
fn dense_layers_are_those_of_burn() {
    hold("linear", [[7, 5], [3, 5], [1, 3]], |ours, [x, weight, bias]| {
        let bias = Some(bias.reshape([3]));
        if ours { linear(x, weight, bias) } else { module::linear(x, weight.transpose(), bias) }
    });
    // A transposed input lies in another order.
    hold("linear of a transposed matrix", [[5, 7], [3, 5], [1, 1]], |ours, [x, weight, _]| {
        let x = x.transpose();
        if ours { linear(x, weight, None) } else { module::linear(x, weight.transpose(), None) }
    });
}

#[test]
fn batch_norms_are_those_of_burn() {
    for has_relu in [false, true] {
        hold("batch norm", [[3, 5, 4, 6], [1, 1, 1, 5], [1, 1, 1, 5]], |ours, [x, weight, bias]| {
            let [weight, bias] = [weight, bias].map(|numbers| numbers.reshape([5]));
            match ours {
                true => batch_norm_train(x, [weight, bias], 1e-5, has_relu).output,
                false => {
                    let output = module::batch_norm_train(x, weight, bias, 1e-5).output;
                    if has_relu { burn::tensor::activation::relu(output) } else { output }
                }
            }
        });
    }
}

#[test]
fn pooling_is_that_of_burn() {
    for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1), (3, 1, 0), (8, 8, 0)] {
        let sides = [[2, 3, 8, 8], [1, 1, 1, 1], [1, 1, 1, 1]];
        hold("max pool", sides, |ours, [x, ..]| {
            let options = MaxPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
            if ours { max_pool2d(x, options) } else { module::max_pool2d(x, options) }
        });
        hold("average pool", sides, |ours, [x, ..]| {
            let options = AvgPoolOptions::new([kernel; 2]).with_stride([stride; 2]).with_padding([padding; 2]);
            if ours { avg_pool2d(x, options) } else { module::avg_pool2d(x, options) }
        });
    }
}

#[test]
fn activations_and_losses_are_those_of_burn() {
    use burn::tensor::activation as stock;
    let sides = [[6, 11], [6, 11], [1, 1]];
    type Stock = fn(Tensor<2>) -> Tensor<2>;
    let each: [(Activation, Stock); 9] = [
        (Activation::Relu, stock::relu),
        (Activation::Tanh, Tensor::tanh),
        (Activation::ScaledTanh, |x| x.mul_scalar(2.0 / 3.0).tanh().mul_scalar(1.7159)),
        (Activation::Sigmoid, stock::sigmoid),
        (Activation::Gelu, stock::gelu),
        (Activation::Silu, stock::silu),
        (Activation::LeakyRelu, |x| stock::leaky_relu(x, 0.01)),
        (Activation::Relu6, |x| x.clamp(0.0, 6.0)),
        (Activation::Softplus, |x| stock::softplus(x, 1.0)),
    ];
    for (name, by_burn) in each {
        hold(name.word(), sides, |ours, [x, ..]| if ours { activation(name, x) } else { by_burn(x) });
    }
    hold("add and relu", sides, |ours, [a, b, _]| if ours { add_relu(a, b) } else { stock::relu(a + b) });
    hold("cross-entropy", sides, |ours, [logits, targets, _]| {
        let targets = Tensor::from_data(targets.inner().abs().into_data(), &Device::flex().autodiff());
        if ours { cross_entropy(logits, targets) } else { (stock::log_softmax(logits, 1) * targets).sum().neg() }
    });
}

#[test]
fn layer_norms_are_those_of_stock_operations() {
    hold("layer norm", [[3, 5, 7], [1, 1, 7], [1, 1, 7]], |ours, [x, weight, bias]| {
        let [weight, bias] = [weight, bias].map(|numbers| numbers.reshape([7]));
        if ours { layer_norm(x, weight, bias, 1e-5) } else { layer_norm::elsewhere(x, weight, Some(bias), 1e-5) }
    });
    hold("rms norm", [[4, 9], [1, 9], [1, 1]], |ours, [x, weight, _]| {
        let weight = weight.reshape([9]);
        if ours { rms_norm(x, weight, 1e-6) } else { layer_norm::elsewhere(x, weight, None, 1e-6) }
    });
}

#[test]
fn sums_and_their_layer_norms_are_those_of_stock_operations() {
    hold("sum and layer norm", [[3, 5, 7], [3, 5, 7], [1, 2, 7]], |ours, [x, residual, numbers]| {
        let [weight, bias] = [0, 1].map(|row| numbers.clone().narrow(1, row, 1).reshape([7]));
        let [sum, y] = match ours {
            true => add_layer_norm(x, residual, weight, bias, 1e-5),
            false => [x.clone() + residual.clone(), layer_norm::elsewhere(x + residual, weight, Some(bias), 1e-5)],
        };
        Tensor::cat(vec![sum.mul_scalar(0.5), y], 0)
    });
}

#[test]
fn group_norms_are_those_of_stock_operations() {
    for groups in [1, 2, 6] {
        hold("group norm", [[3, 6, 4, 5], [1, 1, 1, 6], [1, 1, 1, 6]], |ours, [x, weight, bias]| {
            let [weight, bias] = [weight, bias].map(|numbers| numbers.reshape([6]));
            if ours { group_norm(x, groups, weight, bias, 1e-5) } else { group_norm::elsewhere(x, groups, weight, bias, 1e-5) }
        });
    }
}

#[test]
fn softmaxes_are_those_of_burn() {
    use burn::tensor::activation as stock;
    let sides = [[2, 3, 19], [1, 1, 1], [1, 1, 1]];
    hold("softmax", sides, |ours, [x, ..]| if ours { softmax(x) } else { stock::softmax(x, 2) });
    hold("log softmax", sides, |ours, [x, ..]| if ours { log_softmax(x) } else { stock::log_softmax(x, 2) });
}

#[test]
fn attentions_are_those_of_stock_operations() {
    // The second sequence is padding alone.
    let padding: Arc<[f32]> = (0..2 * 6).map(|place| if place > 3 { f32::NEG_INFINITY } else { 0.0 }).collect();
    for (is_causal, keys, share) in
        [(false, None, 0.0), (true, None, 0.0), (true, Some(padding.clone()), 0.25), (false, Some(padding), 0.0)]
    {
        let dropout = (share > 0.0).then_some(Dropout { key: 7, share });
        let settings = Attention { heads: 2, is_causal, keys, dropout };
        hold("attention", [[2, 6, 8]; 3], |ours, inputs| match ours {
            true => attention(inputs, settings.clone()),
            false => attention::elsewhere(inputs, &settings),
        });
        hold("self-attention", [[2, 6, 24], [1, 1, 1], [1, 1, 1]], |ours, [joined, ..]| match ours {
            true => self_attention(joined, settings.clone()),
            false => {
                let parts: [Tensor<3>; 3] = joined.chunk(3, 2).try_into().unwrap();
                attention::elsewhere(parts, &settings)
            }
        });
    }
    let settings = Attention { heads: 2, is_causal: false, keys: None, dropout: None };
    hold("cross attention", [[2, 3, 8], [2, 5, 8], [2, 5, 8]], |ours, inputs| match ours {
        true => attention(inputs, settings.clone()),
        false => attention::elsewhere(inputs, &settings),
    });
}

#[test]
fn tables_and_dropout_are_those_of_stock_operations() {
    let places: Arc<[u32]> = Arc::from([3, 0, 3, 1, 4]);
    hold("embedding", [[5, 3], [1, 1], [1, 1]], |ours, [table, ..]| match ours {
        true => embedding(table, places.clone()),
        false => embedding::elsewhere(table, &places),
    });
    let half = Dropout { key: 3, share: 0.5 };
    hold("dropout", [[7, 9], [1, 1], [1, 1]], |ours, [x, ..]| if ours { dropout(x, half) } else { dropout::elsewhere(x, half) });
}

#[test]
fn recurrent_networks_are_those_of_stock_operations() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
        for is_reversed in [false, true] {
            let rows = cell.gates() * 5;
            hold(&format!("{cell:?}"), [[2, 4, 3], [1, rows, 3], [1, rows, 7]], |ours, [x, input, rest]| {
                let [input, rest]: [Tensor<2>; 2] = [input, rest].map(|weight| weight.squeeze_dim(0));
                let hidden = rest.clone().narrow(1, 0, 5);
                let biases = [5, 6].map(|column| rest.clone().narrow(1, column, 1).reshape([rows]));
                match ours {
                    true => recurrent(cell, x, [input, hidden], biases, is_reversed),
                    false => recurrent::elsewhere(cell, x, [input, hidden], biases, is_reversed),
                }
            });
        }
    }
}
