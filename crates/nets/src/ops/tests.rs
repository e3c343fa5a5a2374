//! Operations of ours against Burn's stock ones: outputs and gradients.

use super::*;
use crate::layers::Activation;
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData, module};
use cupola_task::Draw;

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
    let each: [(Activation, Stock); 7] = [
        (Activation::Relu, stock::relu),
        (Activation::Tanh, Tensor::tanh),
        (Activation::ScaledTanh, |x| x.mul_scalar(2.0 / 3.0).tanh().mul_scalar(1.7159)),
        (Activation::Sigmoid, stock::sigmoid),
        (Activation::Gelu, stock::gelu),
        (Activation::Silu, stock::silu),
        (Activation::LeakyRelu, |x| stock::leaky_relu(x, 0.01)),
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
