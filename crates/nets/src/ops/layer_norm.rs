//! Layer normalisation (Ba, Kiros, Hinton: "Layer normalization", 2016) and RMS normalisation (Zhang, Sennrich, NeurIPS 2019).

use super::{Host, Kept, Operation, filled, on_host, run, tensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use cupola_kernels::layer_norm::{self as kernel, Shape, Statistics};
use std::sync::OnceLock;

/// Normalises the last axis of `x` to mean 0 and variance 1, then multiplies by `weight` and adds `bias`, as wide as the axis.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    match on_host(&x.device()) {
        true => run(Normalise::new(true, epsilon), vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()]),
        false => elsewhere(x, weight, Some(bias), epsilon),
    }
}

/// Divides the last axis of `x` by the root of its mean square, then multiplies by `weight`.
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, epsilon: f64) -> Tensor<D> {
    match on_host(&x.device()) {
        true => run(Normalise::new(false, epsilon), vec![x.into_dispatch(), weight.into_dispatch()]),
        false => elsewhere(x, weight, None, epsilon),
    }
}

/// By stock operations; without a bias no mean is taken off.
pub(super) fn elsewhere<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Option<Tensor<1>>, epsilon: f64) -> Tensor<D> {
    let x = if bias.is_some() { x.clone() - x.mean_dim(D - 1) } else { x };
    let square = (x.clone() * x.clone()).mean_dim(D - 1).add_scalar(epsilon).sqrt();
    let y = x / square * weight.unsqueeze();
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

#[derive(Debug)]
struct Normalise {
    centred: bool,
    epsilon: f32,
    found: OnceLock<Statistics>,
}

impl Normalise {
    fn new(centred: bool, epsilon: f64) -> Normalise {
        Normalise { centred, epsilon: epsilon as f32, found: OnceLock::new() }
    }

    fn shape(&self, x: &Host<'_>) -> Shape {
        let width = x.sides.last().copied().unwrap_or(1);
        Shape { rows: x.values.len() / width.max(1), width, centred: self.centred, epsilon: self.epsilon }
    }
}

impl Operation for Normalise {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let bias = inputs.get(2).map(|bias| bias.values);
        filled(inputs[0].sides, |y| {
            let found = kernel::forward(&self.shape(&inputs[0]), inputs[0].values, inputs[1].values, bias, y);
            self.found.set(found).expect("an operation runs once");
        })
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = [inputs[0], inputs[1]];
        let found = self.found.get().expect("the way forwards comes first");
        let mut dweight = vec![0.0; weight.values.len()];
        let mut dbias = (wanted.len() > 2).then(|| dweight.clone());
        let dx = filled(x.sides, |dx| {
            kernel::backward(
                &self.shape(&x),
                x.values,
                found,
                weight.values,
                gradient.values,
                None,
                dx,
                &mut dweight,
                dbias.as_deref_mut(),
            );
        });
        let all = [Some(dx), Some(tensor(weight.sides, dweight)), dbias.map(|dbias| tensor(weight.sides, dbias))];
        all.into_iter().zip(wanted).map(|(found, wanted)| found.filter(|_| *wanted)).collect()
    }
}
