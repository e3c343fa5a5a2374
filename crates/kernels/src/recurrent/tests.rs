use super::*;
use crate::testing::{noise, noise_within};
use crate::{Level, with};
use proptest::prelude::*;

/// All that goes in: x, both first states, both weights, both biases.
#[derive(Clone)]
struct Given<T>([Vec<T>; 7]);

/// All that comes out: y, both last states.
type Found<T> = [Vec<T>; 3];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Lstm,
    Gru,
    Tanh,
    Relu,
}

const KINDS: [Kind; 4] = [Kind::Lstm, Kind::Gru, Kind::Tanh, Kind::Relu];

impl Kind {
    fn gates(self) -> usize {
        match self {
            Kind::Lstm => 4,
            Kind::Gru => 3,
            Kind::Tanh | Kind::Relu => 1,
        }
    }
}

fn given(kind: Kind, s: &Sequence<'_>, biased: bool, size: f32, seed: u32) -> Given<f32> {
    let rows = kind.gates() * s.hidden;
    let cells = if matches!(kind, Kind::Lstm) { s.batch * s.hidden } else { 0 };
    let bias = if biased { rows } else { 0 };
    let lens = [s.batch * s.time * s.inputs, s.batch * s.hidden, cells, rows * s.inputs, rows * s.hidden, bias, bias];
    let mut seed = seed;
    Given(lens.map(|len| {
        seed += 1;
        noise_within(len, seed, size)
    }))
}

/// The formulas of PyTorch's documentation, one number at a time.
fn plain(kind: Kind, s: &Sequence<'_>, given: &Given<f64>) -> Found<f64> {
    let Given([x, state, cell, w_input, w_hidden, b_input, b_hidden]) = given;
    let (hidden, inputs) = (s.hidden, s.inputs);
    let [mut y, mut last, mut cells] = [vec![0.0; s.batch * s.time * hidden], state.clone(), cell.clone()];
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    for row in 0..s.batch {
        let length = s.lengths.map_or(s.time, |lengths| lengths[row]);
        for step in 0..length {
            let t = if s.direction == Direction::Forwards { step } else { length - 1 - step };
            let h = last[row * hidden..(row + 1) * hidden].to_vec();
            let x = &x[(row * s.time + t) * inputs..][..inputs];
            for unit in 0..hidden {
                let from_input = |gate: usize| {
                    let r = gate * hidden + unit;
                    b_input.get(r).unwrap_or(&0.0) + (0..inputs).map(|k| w_input[r * inputs + k] * x[k]).sum::<f64>()
                };
                let from_state = |gate: usize| {
                    let r = gate * hidden + unit;
                    b_hidden.get(r).unwrap_or(&0.0) + (0..hidden).map(|k| w_hidden[r * hidden + k] * h[k]).sum::<f64>()
                };
                let sum = |gate: usize| from_input(gate) + from_state(gate);
                let place = row * hidden + unit;
                last[place] = match kind {
                    Kind::Lstm => {
                        cells[place] = sigmoid(sum(1)) * cells[place] + sigmoid(sum(0)) * sum(2).tanh();
                        sigmoid(sum(3)) * cells[place].tanh()
                    }
                    Kind::Gru => {
                        let z = sigmoid(sum(1));
                        (1.0 - z) * (from_input(2) + sigmoid(sum(0)) * from_state(2)).tanh() + z * h[unit]
                    }
                    Kind::Tanh => sum(0).tanh(),
                    Kind::Relu => sum(0).max(0.0),
                };
                y[(row * s.time + t) * hidden + unit] = last[place];
            }
        }
    }
    [y, last, cells]
}

/// Outputs, and gradients of everything given when those of the outputs are `blame`. What is not written stays no number.
fn ours(kind: Kind, s: &Sequence<'_>, given: &Given<f32>, blame: &Found<f32>) -> (Found<f32>, Given<f32>) {
    match kind {
        Kind::Lstm => of_cell(Lstm, s, given, blame),
        Kind::Gru => of_cell(Gru, s, given, blame),
        Kind::Tanh => of_cell(Rnn::Tanh, s, given, blame),
        Kind::Relu => of_cell(Rnn::Relu, s, given, blame),
    }
}

fn of_cell(cell: impl Cell, s: &Sequence<'_>, given: &Given<f32>, blame: &Found<f32>) -> (Found<f32>, Given<f32>) {
    let Given([x, state, second, input, hidden, input_bias, hidden_bias]) = given;
    let weights = Weights { input, hidden, input_bias, hidden_bias };
    let mut found = [blame[0].len(), state.len(), second.len()].map(|len| vec![f32::NAN; len]);
    let [y, last, last_second] = &mut found;
    let saved = forward(cell, s, x, &weights, [state, second], y, [last, last_second]);
    let mut gradients = Given(given.0.each_ref().map(|values| vec![f32::NAN; values.len()]));
    let [x, dstate, dsecond, input, hidden, input_bias, hidden_bias] = &mut gradients.0;
    let to = Gradients { x, states: [dstate, dsecond], input, hidden, input_bias, hidden_bias };
    backward(cell, s, saved, &weights, [state, second], &blame[0], [&blame[1], &blame[2]], to);
    (found, gradients)
}

fn doubled(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Holds outputs at every level against the formulas, and gradients against their finite differences in some places and one direction.
fn check(kind: Kind, s: &Sequence<'_>, biased: bool, seed: u32) {
    let given = given(kind, s, biased, 0.6, seed);
    let exact = Given(given.0.each_ref().map(|values| doubled(values)));
    let wanted = plain(kind, s, &exact);
    let blame = [0, 1, 2].map(|part| noise(wanted[part].len(), seed ^ (77 + part as u32)));
    let loss = |given: &Given<f64>| -> f64 {
        let found = plain(kind, s, given);
        found.iter().flatten().zip(blame.iter().flatten()).map(|(value, blame)| value * f64::from(*blame)).sum()
    };
    let found: Vec<(Level, Found<f32>, Given<f32>)> = Level::available()
        .into_iter()
        .map(|level| {
            let (found, gradients) = with(level, || ours(kind, s, &given, &blame));
            (level, found, gradients)
        })
        .collect();
    for (level, found, _) in &found {
        for (found, wanted) in found.iter().flatten().zip(wanted.iter().flatten()) {
            assert!((f64::from(*found) - wanted).abs() <= 1e-5 * (1.0 + wanted.abs()), "{kind:?} {s:?} {level:?}: {found} is not {wanted}");
        }
    }
    for part in 0..7 {
        let len = given.0[part].len();
        let slope = |by: &dyn Fn(usize) -> f64| {
            let moved = |step: f64| {
                let mut given = exact.clone();
                given.0[part].iter_mut().enumerate().for_each(|(place, value)| *value += step * by(place));
                loss(&given)
            };
            (moved(1e-6) - moved(-1e-6)) / 2e-6
        };
        let direction = doubled(&noise(len, seed ^ 991));
        let along = slope(&|place| direction[place]);
        let places: Vec<(usize, f64)> = (0..len.min(5))
            .map(|probe| (probe * 7919 + seed as usize) % len)
            .map(|wanted| (wanted, slope(&|place| if place == wanted { 1.0 } else { 0.0 })))
            .collect();
        for (level, _, gradients) in &found {
            let gradients = doubled(&gradients.0[part]);
            let size = 1.0 + gradients.iter().map(|value| value * value).sum::<f64>().sqrt();
            let all: f64 = gradients.iter().zip(&direction).map(|(gradient, direction)| gradient * direction).sum();
            assert!(
                (all - along).abs() <= 2e-5 * size * (1.0 + len as f64).sqrt(),
                "{kind:?} {s:?} {level:?} part {part}: {all} is not {along}"
            );
            for (place, wanted) in &places {
                let found = gradients[*place];
                assert!((found - wanted).abs() <= 2e-5 * size, "{kind:?} {s:?} {level:?} part {part} at {place}: {found} is not {wanted}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_sequence_is_right(
        kind in 0..4usize, batch in 0..21usize, time in 0..8usize, inputs in 0..12usize, hidden in 1..35usize,
        backwards: bool, padded: bool, biased: bool, seed in 0..10_000u32,
    ) {
        let lengths: Vec<usize> = (0..batch).map(|row| (row * 5 + seed as usize) % (time + 1)).collect();
        let direction = if backwards { Direction::Backwards } else { Direction::Forwards };
        check(KINDS[kind], &Sequence { batch, time, inputs, hidden, direction, lengths: padded.then_some(&lengths), is_rounded: false }, biased, seed);
    }
}

#[test]
fn long_and_wide_sequences_are_right() {
    for kind in KINDS {
        for (batch, time, inputs, hidden) in
            [(2, 70, 3, 4), (3, 2, 300, 5), (1, 3, 5, 140), (33, 3, 2, 16), (0, 3, 2, 2), (2, 0, 2, 2), (2, 3, 0, 0)]
        {
            check(
                kind,
                &Sequence { batch, time, inputs, hidden, direction: Direction::Forwards, lengths: None, is_rounded: false },
                true,
                5,
            );
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let lengths: Vec<usize> = (0..37).map(|row| row % 20).collect();
    let whole = Sequence {
        batch: 37,
        time: 19,
        inputs: 24,
        hidden: 40,
        direction: Direction::Backwards,
        lengths: Some(&lengths),
        is_rounded: false,
    };
    for (kind, is_rounded) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let s = Sequence { is_rounded, ..whole };
        let given = given(kind, &s, true, 0.3, 1);
        let blame = [37 * 19 * 40, 37 * 40, given.0[2].len()].map(|len| noise(len, 9));
        let all = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (found, gradients) = pool.install(|| ours(kind, &s, &given, &blame));
            (found, gradients.0)
        };
        assert!(all(1) == all(2), "{kind:?}");
    }
}

#[test]
fn rounded_products_are_near() {
    let exact = Sequence { batch: 9, time: 12, inputs: 24, hidden: 40, direction: Direction::Forwards, lengths: None, is_rounded: false };
    for kind in KINDS {
        let given = given(kind, &exact, true, 0.3, 1);
        let blame = [9 * 12 * 40, 9 * 40, given.0[2].len()].map(|len| noise(len, 9));
        let all = |is_rounded: bool| {
            let (found, gradients) = ours(kind, &Sequence { is_rounded, ..exact }, &given, &blame);
            found.into_iter().chain(gradients.0).collect::<Vec<_>>()
        };
        let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        for (part, (exact, rounded)) in all(false).iter().zip(&all(true)).enumerate() {
            let apart = norm(&mut exact.iter().zip(rounded).map(|(a, b)| a - b));
            let size = norm(&mut exact.iter().copied());
            // A sum near 0 may fall on the other side of a kink.
            let allowed = if matches!(kind, Kind::Relu) { 0.1 } else { 0.02 };
            assert!(apart <= allowed * size, "{kind:?} part {part}: {apart} of {size}");
            assert!(exact.is_empty() || exact != rounded, "{kind:?} part {part} was not rounded");
        }
    }
}

#[test]
fn large_numbers_saturate_and_padding_is_not_read() {
    let lengths = [2, 0, 4];
    let s =
        Sequence { batch: 3, time: 4, inputs: 3, hidden: 17, direction: Direction::Forwards, lengths: Some(&lengths), is_rounded: false };
    for kind in [Kind::Lstm, Kind::Gru, Kind::Tanh] {
        let mut given = given(kind, &s, true, 1e4, 3);
        for (row, length) in lengths.iter().enumerate() {
            given.0[0][(row * 4 + length) * 3..(row + 1) * 12].fill(f32::NAN);
        }
        let blame = [3 * 4 * 17, 3 * 17, given.0[2].len()].map(|len| noise(len, 9));
        for level in Level::available() {
            let (found, gradients) = with(level, || ours(kind, &s, &given, &blame));
            let finite = |values: &[Vec<f32>]| values.iter().flatten().all(|value| value.is_finite());
            assert!(finite(&found) && finite(&gradients.0), "{kind:?} at {level:?}");
        }
    }
}
