//! Does Burn differentiate a gradient? It does not (0.22.1): `backward` consumes its graph, what it gives has no graph of its own, and
//! `Device::autodiff` on a device that records already is that device, not a second recorder. The first test below holds this.
//!
//! The one place that is known to need it is the penalty of WGAN-GP (Gulrajani et al. 2017), `mean of lambda (|g| - 1)^2` with
//! `g = dD/dx` for a critic `D`. Its gradient in the weights is `mean of 2 lambda (|g| - 1) d|g|/dw`, and `d|g|/dw = d(v . g)/dw` with
//! `v = g / |g|` held fixed, for the change of `v` is orthogonal to `g`. And `v . g` is the slope of `D` along `v`, which a central
//! difference gives: `(D(x + h v) - D(x - h v)) / 2h`. So a first pass gives `g`, and the gradient of that difference, each row with its
//! factor, is the gradient of the penalty: three passes forwards, two backwards, first derivatives only.
//!
//! In `f32`, `h = 0.01` of the input's scale balances the difference's own error, `h^2 / 6` of the third derivative, against rounding,
//! `6e-8 / h`. The second test holds the result within 1e-3 of finite differences of the penalty in `f64`. Where `D` has kinks (ReLU) the
//! difference reaches across those nearer than `h`, and the penalty is that of a critic smoothed over `h`.

use burn::tensor::{Device, Tensor, TensorData};
use cupola_task::Draw;

const ROWS: usize = 6;
const INPUTS: usize = 4;
const HIDDEN: usize = 5;
const WEIGHTS: usize = HIDDEN * INPUTS + HIDDEN + HIDDEN;
const LAMBDA: f64 = 10.0;

fn normals(name: &str, count: usize) -> Vec<f64> {
    (0..count as u64).map(|place| Draw::new(5).stream(name).normal(place)).collect()
}

fn tensor<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.iter().map(|&value| value as f32).collect::<Vec<f32>>(), shape), device)
}

/// The critic `u . tanh(W x + b)`: `[rows, inputs]` to `[rows, 1]`.
fn critic(x: Tensor<2>, [w, b, u]: &[Tensor<2>; 3]) -> Tensor<2> {
    (x.matmul(w.clone().transpose()) + b.clone()).tanh().matmul(u.clone())
}

fn parts(weights: &[f64], device: &Device) -> [Tensor<2>; 3] {
    let (w, rest) = weights.split_at(HIDDEN * INPUTS);
    let (b, u) = rest.split_at(HIDDEN);
    [tensor(w, [HIDDEN, INPUTS], device), tensor(b, [1, HIDDEN], device), tensor(u, [HIDDEN, 1], device)].map(Tensor::require_grad)
}

/// The penalty in `f64`, with `dD/dx = W^T (u (1 - tanh^2))` written out.
fn penalty(weights: &[f64], x: &[f64]) -> f64 {
    let (w, rest) = weights.split_at(HIDDEN * INPUTS);
    let (b, u) = rest.split_at(HIDDEN);
    let of_row = |x: &[f64]| {
        let mut gradient = [0.0; INPUTS];
        for (unit, w) in w.chunks_exact(INPUTS).enumerate() {
            let slope = u[unit] * (1.0 - (b[unit] + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).tanh().powi(2));
            gradient.iter_mut().zip(w).for_each(|(gradient, w)| *gradient += slope * w);
        }
        LAMBDA * (gradient.iter().map(|g| g * g).sum::<f64>().sqrt() - 1.0).powi(2)
    };
    x.chunks_exact(INPUTS).map(of_row).sum::<f64>() / ROWS as f64
}

/// The gradient of the penalty from first derivatives.
fn from_first_derivatives(weights: &[f64], x: &[f64], h: f64) -> Vec<f32> {
    let device = Device::flex().autodiff();
    let x = tensor(x, [ROWS, INPUTS], &device).require_grad();
    let slopes = critic(x.clone(), &parts(weights, &device)).sum().backward();
    let gradient = x.grad(&slopes).unwrap(); // [rows, inputs]
    let norm = gradient.clone().square().sum_dim(1).sqrt(); // [rows, 1]
    let shift = gradient / norm.clone() * h;
    let factor = (norm - 1.0) * (2.0 * LAMBDA / ROWS as f64 / (2.0 * h));
    let parts = parts(weights, &device);
    let x = x.inner();
    let difference = critic(x.clone() + shift.clone(), &parts) - critic(x - shift, &parts);
    let found = (difference * factor).sum().backward();
    parts.iter().flat_map(|part| part.grad(&found).unwrap().into_data().try_into_vec::<f32>().unwrap()).collect()
}

#[test]
fn burn_gives_gradients_without_a_graph() {
    let device = Device::flex().autodiff();
    let x = tensor(&[1.0, 2.0], [2], &device).require_grad();
    let first = (x.clone() * x.clone() * x.clone()).sum().backward();
    let gradient = x.grad(&first).unwrap();
    assert!(!gradient.is_autodiff());
    let second = gradient.autodiff().require_grad().sum().backward();
    assert!(x.grad(&second).is_none(), "a gradient knows nothing of what it was the gradient of");
    assert_eq!(device.clone().autodiff(), device);
    assert!(!device.autodiff().without_autodiff().is_autodiff(), "there is one level of recording, not two");
}

#[test]
fn a_penalty_on_gradients_needs_first_derivatives_only() {
    let (weights, x) = (normals("weights", WEIGHTS), normals("inputs", ROWS * INPUTS));
    let found = from_first_derivatives(&weights, &x, 0.01);
    let wanted: Vec<f64> = (0..WEIGHTS)
        .map(|place| {
            let at = |by: f64| {
                let mut moved = weights.clone();
                moved[place] += by;
                penalty(&moved, &x)
            };
            (at(1e-5) - at(-1e-5)) / 2e-5
        })
        .collect();
    let scale = wanted.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let worst = found.iter().zip(&wanted).map(|(&found, wanted)| (f64::from(found) - wanted).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3 * scale, "off by {worst:e} of {scale}");
}
