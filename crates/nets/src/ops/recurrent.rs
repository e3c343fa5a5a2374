//! Recurrent networks over whole sequences.

use super::{Host, Kept, Operation, Precision, filled, on_host, run, tensor};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use burn_flex::FlexTensor;
use cupola_kernels::recurrent::{self as kernel, Direction, Gradients, Gru, Lstm, Rnn, Saved, Sequence, Weights};
use std::sync::Mutex;

/// A kind of recurrent network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cell {
    /// Long short-term memory (Hochreiter, Schmidhuber 1997, with the forget gate of Gers et al. 2000).
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014), its reset gate behind the product, as PyTorch has it.
    Gru,
    /// Elman's network.
    Rnn,
}

impl Cell {
    /// Gates, whose weights lie one below the other.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Rnn => 1,
        }
    }
}

/// States `[batch, time, hidden]` after each step of inputs `x` `[batch, time, inputs]`, the first state being 0. Weights are PyTorch's `weight_ih`
/// `[gates * hidden, inputs]` and `weight_hh` `[gates * hidden, hidden]`, biases `bias_ih` and `bias_hh` `[gates * hidden]`.
pub fn recurrent(cell: Cell, x: Tensor<3>, weights: [Tensor<2>; 2], biases: [Tensor<1>; 2], is_reversed: bool) -> Tensor<3> {
    if !on_host(&x.device()) {
        return elsewhere(cell, x, weights, biases, is_reversed);
    }
    let direction = if is_reversed { Direction::Backwards } else { Direction::Forwards };
    let weights = weights.into_iter().map(Tensor::into_dispatch);
    let inputs = [x.into_dispatch()].into_iter().chain(weights).chain(biases.into_iter().map(Tensor::into_dispatch));
    run(Recur { cell, direction, precision: Precision::current(), saved: Mutex::default() }, inputs.collect())
}

/// By stock operations.
pub(super) fn elsewhere(cell: Cell, x: Tensor<3>, weights: [Tensor<2>; 2], biases: [Tensor<1>; 2], is_reversed: bool) -> Tensor<3> {
    let [batch, time, _] = x.dims();
    let [_, width] = weights[1].dims();
    let [input, hidden] = weights.map(Tensor::transpose);
    let [input_bias, hidden_bias] = biases.map(|bias| bias.unsqueeze::<2>());
    let mut state = Tensor::<2>::zeros([batch, width], &x.device());
    let mut memory = state.clone();
    let mut outputs = Vec::with_capacity(time);
    for step in 0..time {
        let step = if is_reversed { time - 1 - step } else { step };
        let now: Tensor<2> = x.clone().narrow(1, step, 1).squeeze_dim(1);
        let sums = now.matmul(input.clone()) + input_bias.clone();
        let states = state.clone().matmul(hidden.clone()) + hidden_bias.clone();
        let gate = |sums: &Tensor<2>, number: usize| sums.clone().narrow(1, number * width, width);
        state = match cell {
            Cell::Rnn => (sums + states).tanh(),
            Cell::Lstm => {
                let sums = sums + states;
                let [i, f, o] = [0, 1, 3].map(|number| sigmoid(gate(&sums, number)));
                memory = f * memory + i * gate(&sums, 2).tanh();
                o * memory.clone().tanh()
            }
            Cell::Gru => {
                let [r, z] = [0, 1].map(|number| sigmoid(gate(&sums, number) + gate(&states, number)));
                let n = (gate(&sums, 2) + r * gate(&states, 2)).tanh();
                n.clone() + z * (state - n)
            }
        };
        outputs.push(state.clone().unsqueeze_dim::<3>(1));
    }
    if is_reversed {
        outputs.reverse();
    }
    Tensor::cat(outputs, 1)
}

#[derive(Debug)]
struct Recur {
    cell: Cell,
    direction: Direction,
    precision: Precision,
    saved: Mutex<Option<Saved>>,
}

fn weights<'a>(inputs: &[Host<'a>]) -> Weights<'a> {
    let [input, hidden, input_bias, hidden_bias] = [1, 2, 3, 4].map(|place| inputs[place].values);
    Weights { input, hidden, input_bias, hidden_bias }
}

impl Recur {
    fn sequence(&self, inputs: &[Host<'_>]) -> Sequence<'static> {
        let ([batch, time, width], [_, hidden]) = (inputs[0].dims(), inputs[2].dims());
        Sequence {
            batch,
            time,
            inputs: width,
            hidden,
            direction: self.direction,
            lengths: None,
            is_rounded: self.precision == Precision::Bf16,
        }
    }

    /// First or last states: zeros.
    fn states(&self, sequence: &Sequence<'_>) -> [Vec<f32>; 2] {
        let len = sequence.batch * sequence.hidden;
        [vec![0.0; len], vec![0.0; if self.cell == Cell::Lstm { len } else { 0 }]]
    }
}

impl Operation for Recur {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11111, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let sequence = self.sequence(inputs);
        let (first, mut last) = (self.states(&sequence), self.states(&sequence));
        filled(&[sequence.batch, sequence.time, sequence.hidden], |y| {
            let (x, weights, first) = (inputs[0].values, weights(inputs), first.each_ref().map(Vec::as_slice));
            let last = last.each_mut().map(Vec::as_mut_slice);
            let saved = match self.cell {
                Cell::Lstm => kernel::forward(Lstm, &sequence, x, &weights, first, y, last),
                Cell::Gru => kernel::forward(Gru, &sequence, x, &weights, first, y, last),
                Cell::Rnn => kernel::forward(Rnn::Tanh, &sequence, x, &weights, first, y, last),
            };
            *self.saved.lock().expect("nobody panics with it") = Some(saved);
        })
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let sequence = self.sequence(inputs);
        let saved = self.saved.lock().expect("nobody panics with it").take().expect("the way forwards comes first");
        let (first, mut dfirst) = (self.states(&sequence), self.states(&sequence));
        let first = first.each_ref().map(Vec::as_slice);
        let mut found: Vec<Vec<f32>> = inputs[1..].iter().map(|input| vec![0.0; input.values.len()]).collect();
        let dx = filled(inputs[0].sides, |dx| {
            let [input, hidden, input_bias, hidden_bias] = &mut found[..] else { unreachable!("an operation has four weights") };
            let to = Gradients { x: dx, states: dfirst.each_mut().map(Vec::as_mut_slice), input, hidden, input_bias, hidden_bias };
            let (weights, dy) = (weights(inputs), gradient.values);
            match self.cell {
                Cell::Lstm => kernel::backward(Lstm, &sequence, saved, &weights, first, dy, first, to),
                Cell::Gru => kernel::backward(Gru, &sequence, saved, &weights, first, dy, first, to),
                Cell::Rnn => kernel::backward(Rnn::Tanh, &sequence, saved, &weights, first, dy, first, to),
            }
        });
        let rest = found.into_iter().zip(&inputs[1..]).map(|(values, input)| tensor(input.sides, values));
        [dx].into_iter().chain(rest).zip(wanted).map(|(found, wanted)| wanted.then_some(found)).collect()
    }
}
