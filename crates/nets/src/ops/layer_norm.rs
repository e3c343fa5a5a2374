//! Layer normalisation (Ba, Kiros, Hinton: "Layer normalization", 2016) and RMS normalisation (Zhang, Sennrich, NeurIPS 2019).

use super::{Host, Kept, Operation, filled, on_host, run, tensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use cupola_kernels::layer_norm::{self as kernel, Shape, Statistics};
use std::sync::{Arc, Mutex, OnceLock};

/// Normalises the last axis of `x` to mean 0 and variance 1, then multiplies by `weight` and adds `bias`, as wide as the axis.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    match on_host(&x.device()) {
        true => run(Normalise::new(true, epsilon), vec![x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()]),
        false => elsewhere(x, weight, Some(bias), epsilon),
    }
}

/// `x + residual` and its [`layer_norm`]: the end of one part of a transformer's block and the beginning of the next, in one reading.
pub fn add_layer_norm<const D: usize>(
    x: Tensor<D>,
    residual: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> [Tensor<D>; 2] {
    if !on_host(&x.device()) {
        let sum = x + residual;
        return [sum.clone(), elsewhere(sum, weight, Some(bias), epsilon)];
    }
    // Burn's graph has one tensor for each operation: the sum's computes both, and the norm's hands its own on.
    let norm = Normalise::new(true, epsilon);
    let ahead = norm.ahead.clone();
    let numbers = [weight.clone(), bias.clone()].map(|numbers| numbers.detach().into_dispatch());
    let sum: Tensor<D> =
        run(Add { epsilon: norm.epsilon, ahead }, [x.into_dispatch(), residual.into_dispatch()].into_iter().chain(numbers).collect());
    let y = run(norm, vec![sum.clone().into_dispatch(), weight.into_dispatch(), bias.into_dispatch()]);
    [sum, y]
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
    ahead: Ahead,
}

/// Output and statistics that were computed before the operation runs.
type Ahead = Arc<Mutex<Option<(FlexTensor, Statistics)>>>;

impl Normalise {
    fn new(centred: bool, epsilon: f64) -> Normalise {
        Normalise { centred, epsilon: epsilon as f32, found: OnceLock::new(), ahead: Ahead::default() }
    }

    fn shape(&self, x: &Host<'_>) -> Shape {
        shape(x, self.centred, self.epsilon)
    }
}

fn shape(x: &Host<'_>, centred: bool, epsilon: f32) -> Shape {
    let width = x.sides.last().copied().unwrap_or(1);
    Shape { rows: x.values.len() / width.max(1), width, centred, epsilon }
}

impl Operation for Normalise {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        if let Some((y, found)) = self.ahead.lock().expect("nobody panics who holds it").take() {
            self.found.set(found).expect("an operation runs once");
            return y;
        }
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

/// A sum whose normalisation is computed with it.
#[derive(Debug)]
struct Add {
    epsilon: f32,
    ahead: Ahead,
}

impl Operation for Add {
    fn keeps(&self) -> Kept {
        Kept::default()
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let [x, residual, weight, bias] = [0, 1, 2, 3].map(|place| inputs[place].values);
        let shape = shape(&inputs[0], true, self.epsilon);
        let mut y = cupola_kernels::unwritten(x.len());
        filled(inputs[0].sides, |sum| {
            let found = kernel::forward_sum(&shape, [x, residual], weight, Some(bias), sum, &mut y);
            let y = tensor(inputs[0].sides, y);
            *self.ahead.lock().expect("nobody panics who holds it") = Some((y, found));
        })
    }

    fn hands_on(&self) -> u8 {
        0b11
    }

    fn backward(&self, _inputs: &[Host<'_>], _output: Host<'_>, _gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        // The normalisation has the gradients of weight and bias.
        vec![None; wanted.len()]
    }
}
