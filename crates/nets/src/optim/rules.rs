//! The rules by which a gradient changes weights, each one pass over memory. Elementwise, so cutting an entry in pieces changes no bit.
//!
//! SGD, Adam, AdamW and RMSprop as PyTorch has them; Lion: Chen et al., "Symbolic discovery of optimization algorithms", 2023, program 1.

use super::muon;

/// What is done to an entry.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Rule {
    /// Momentum without dampening, L2 penalty.
    Sgd { momentum: f64, nesterov: bool },
    /// Adam with L2 penalty, or AdamW.
    Adam { betas: [f64; 2], eps: f64, is_decoupled: bool },
    /// Not centred, L2 penalty.
    RmsProp { alpha: f64, eps: f64, momentum: f64 },
    /// Decoupled decay.
    Lion { betas: [f64; 2] },
    /// Decoupled decay; the entry is a matrix of that size.
    Muon { momentum: f64, nesterov: bool, rows: usize, columns: usize },
}

/// One step of one entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub rate: f64,
    pub decay: f64,
    /// Which step of this entry it is, from 1.
    pub count: f64,
}

/// An entry's weights with what belongs to them. States that a rule does not have are empty.
pub(super) struct Slices<'a> {
    pub weights: &'a mut [f32],
    pub gradients: &'a [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
}

/// Pieces below this many numbers are not worth another thread: 16 Ki of them are about 10 microseconds of work.
const PIECE: usize = 1 << 14;

impl Rule {
    /// Whether it has a first and a second state.
    pub fn states(&self) -> [bool; 2] {
        match *self {
            Rule::Sgd { momentum, .. } => [momentum != 0.0, false],
            Rule::Adam { .. } => [true, true],
            Rule::RmsProp { momentum, .. } => [true, momentum != 0.0],
            Rule::Lion { .. } | Rule::Muon { .. } => [true, false],
        }
    }

    /// Moves an entry.
    pub fn step(&self, by: Move, slices: Slices<'_>) {
        match *self {
            Rule::Sgd { momentum: 0.0, .. } => in_pieces(slices, &|slices| plain_sgd(by, slices)),
            Rule::Sgd { momentum, nesterov } => in_pieces(slices, &|slices| sgd(momentum, nesterov, by, slices)),
            Rule::Adam { betas, eps, is_decoupled: false } => in_pieces(slices, &|slices| adam::<false>(betas, eps, by, slices)),
            Rule::Adam { betas, eps, is_decoupled: true } => in_pieces(slices, &|slices| adam::<true>(betas, eps, by, slices)),
            Rule::RmsProp { alpha, eps, momentum: 0.0 } => in_pieces(slices, &|slices| plain_rmsprop(alpha, eps, by, slices)),
            Rule::RmsProp { alpha, eps, momentum } => in_pieces(slices, &|slices| rmsprop(alpha, eps, momentum, by, slices)),
            Rule::Lion { betas } => in_pieces(slices, &|slices| lion(betas, by, slices)),
            Rule::Muon { momentum, nesterov, rows, columns } => muon::step(momentum, nesterov, [rows, columns], by, slices),
        }
    }
}

/// Halves large slices over threads.
pub(super) fn in_pieces(slices: Slices<'_>, step: &(impl Fn(Slices<'_>) + Sync)) {
    if slices.weights.len() <= PIECE {
        return step(slices);
    }
    let middle = slices.weights.len() / 2;
    let (weights, more_weights) = slices.weights.split_at_mut(middle);
    let (gradients, more_gradients) = slices.gradients.split_at(middle);
    let (first, more_first) = slices.first.split_at_mut(middle.min(slices.first.len()));
    let (second, more_second) = slices.second.split_at_mut(middle.min(slices.second.len()));
    let left = Slices { weights, gradients, first, second };
    let right = Slices { weights: more_weights, gradients: more_gradients, first: more_first, second: more_second };
    rayon::join(|| in_pieces(left, step), || in_pieces(right, step));
}

fn plain_sgd(by: Move, slices: Slices<'_>) {
    let (rate, decay) = (by.rate as f32, by.decay as f32);
    for (weight, &gradient) in slices.weights.iter_mut().zip(slices.gradients) {
        *weight -= rate * (gradient + decay * *weight);
    }
}

fn sgd(momentum: f64, nesterov: bool, by: Move, slices: Slices<'_>) {
    let (rate, decay, momentum) = (by.rate as f32, by.decay as f32, momentum as f32);
    // direction = ahead * gradient + along * velocity, for both variants one formula.
    let (ahead, along) = if nesterov { (1.0, momentum) } else { (0.0, 1.0) };
    for ((weight, &gradient), velocity) in slices.weights.iter_mut().zip(slices.gradients).zip(slices.first) {
        let gradient = gradient + decay * *weight;
        *velocity = momentum * *velocity + gradient;
        *weight -= rate * (ahead * gradient + along * *velocity);
    }
}

fn adam<const DECOUPLED: bool>(betas: [f64; 2], eps: f64, by: Move, slices: Slices<'_>) {
    let [mean_kept, square_kept] = betas.map(|beta| beta as f32);
    let [mean_new, square_new] = betas.map(|beta| (1.0 - beta) as f32);
    let [mean_bias, square_bias] = betas.map(|beta| 1.0 - beta.powf(by.count));
    let (length, root, eps) = ((by.rate / mean_bias) as f32, square_bias.sqrt() as f32, eps as f32);
    let (shrink, penalty) = if DECOUPLED { ((1.0 - by.rate * by.decay) as f32, 0.0) } else { (1.0, by.decay as f32) };
    let states = slices.first.iter_mut().zip(slices.second);
    for ((weight, &gradient), (mean, square)) in slices.weights.iter_mut().zip(slices.gradients).zip(states) {
        let gradient = if DECOUPLED { gradient } else { gradient + penalty * *weight };
        *mean = mean_kept * *mean + mean_new * gradient;
        *square = square_kept * *square + square_new * gradient * gradient;
        *weight = shrink * *weight - length * *mean / (square.sqrt() / root + eps);
    }
}

fn plain_rmsprop(alpha: f64, eps: f64, by: Move, slices: Slices<'_>) {
    let (rate, decay, eps) = (by.rate as f32, by.decay as f32, eps as f32);
    let (kept, new) = (alpha as f32, (1.0 - alpha) as f32);
    for ((weight, &gradient), square) in slices.weights.iter_mut().zip(slices.gradients).zip(slices.first) {
        let gradient = gradient + decay * *weight;
        *square = kept * *square + new * gradient * gradient;
        *weight -= rate * gradient / (square.sqrt() + eps);
    }
}

fn rmsprop(alpha: f64, eps: f64, momentum: f64, by: Move, slices: Slices<'_>) {
    let (rate, decay, eps, momentum) = (by.rate as f32, by.decay as f32, eps as f32, momentum as f32);
    let (kept, new) = (alpha as f32, (1.0 - alpha) as f32);
    let states = slices.first.iter_mut().zip(slices.second);
    for ((weight, &gradient), (square, velocity)) in slices.weights.iter_mut().zip(slices.gradients).zip(states) {
        let gradient = gradient + decay * *weight;
        *square = kept * *square + new * gradient * gradient;
        *velocity = momentum * *velocity + gradient / (square.sqrt() + eps);
        *weight -= rate * *velocity;
    }
}

fn lion(betas: [f64; 2], by: Move, slices: Slices<'_>) {
    let [now_kept, later_kept] = betas.map(|beta| beta as f32);
    let [now_new, later_new] = betas.map(|beta| (1.0 - beta) as f32);
    let (rate, shrink) = (by.rate as f32, (1.0 - by.rate * by.decay) as f32);
    for ((weight, &gradient), mean) in slices.weights.iter_mut().zip(slices.gradients).zip(slices.first) {
        let direction = now_kept * *mean + now_new * gradient;
        *weight = shrink * *weight - rate * sign(direction);
        *mean = later_kept * *mean + later_new * gradient;
    }
}

/// -1, 0 or 1; what is no number stays none, so that a guard can see it.
fn sign(value: f32) -> f32 {
    if value == 0.0 { 0.0 } else { value.signum() }
}
