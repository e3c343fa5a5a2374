//! What all cells share: the way through a sequence.
//!
//! Rows of the workspace lie as they are used, `[pieces, steps, rows of the piece]`. Step 0 is the first that a row goes through, at its
//! time 0
//! or, in reverse, at its last time, so all rows of a piece begin together and each ends when its length is done.

use super::panels::Multiply;
use crate::Level;
use crate::matmul::{Matrix, Start};
use crate::scratch::{Kept, keep, scratch};
use crate::shared::Shared;
use std::ops::Range;

/// Which way a sequence is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// From its first step to its last.
    #[default]
    Forwards,
    /// From its last step to its first; outputs stand where their inputs do.
    Backwards,
}

/// Sides of the tensors and how rows are read.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Rows of the batch.
    pub batch: usize,
    /// Steps.
    pub time: usize,
    /// Numbers of an input.
    pub inputs: usize,
    /// Numbers of a state.
    pub hidden: usize,
    /// Which way.
    pub direction: Direction,
    /// Steps of each row, none for all. Inputs beyond are not read, outputs beyond are 0, and the last state is that of a row's own last
    /// step.
    pub lengths: Option<&'a [usize]>,
    /// Whether factors of products are rounded to `bf16`; see [`bf16`](crate::bf16).
    pub is_rounded: bool,
}

/// Weights as PyTorch has them, the rows of all gates one below the other.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// `weight_ih`: `[gates * hidden, inputs]`.
    pub input: &'a [f32],
    /// `weight_hh`: `[gates * hidden, hidden]`.
    pub hidden: &'a [f32],
    /// `bias_ih`: `[gates * hidden]`, or empty for none.
    pub input_bias: &'a [f32],
    /// `bias_hh`: `[gates * hidden]`, or empty for none.
    pub hidden_bias: &'a [f32],
}

/// Where gradients go; what was there is overwritten.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// That of the inputs, `[batch, time, inputs]`.
    pub x: &'a mut [f32],
    /// Those of the first states, `[batch, hidden]` each.
    pub states: [&'a mut [f32]; 2],
    /// Of `weight_ih`.
    pub input: &'a mut [f32],
    /// Of `weight_hh`.
    pub hidden: &'a mut [f32],
    /// Of `bias_ih`, or empty.
    pub input_bias: &'a mut [f32],
    /// Of `bias_hh`, or empty.
    pub hidden_bias: &'a mut [f32],
}

/// What a call forwards keeps for the one backwards, which uses it up.
#[derive(Debug)]
pub struct Saved {
    /// Inputs in the order of the workspace, 0 beyond a row's length.
    inputs: Kept,
    /// The state before each step, 0 beyond a row's length.
    states: Kept,
    /// What a cell keeps of each step: gates behind their functions, then gradients of sums in their place.
    gates: Kept,
}

/// A kind of recurrent network. The traits' items are for the cells of this crate.
pub trait Cell: Copy + Send + Sync {
    /// Gates, each with rows of the weights.
    #[doc(hidden)]
    const GATES: usize;
    /// Gates whose sum over inputs and over states is one. The rest have places of their own for the sum over states, behind all gates.
    #[doc(hidden)]
    const JOINT: usize;
    /// Numbers that are kept for each number of the state.
    #[doc(hidden)]
    const KEPT: usize;
    /// Whether there is a second state, which is the last of what is kept.
    #[doc(hidden)]
    const HAS_CELL: bool;

    /// A row's step. `kept` holds sums, and then what the way back needs.
    #[doc(hidden)]
    fn step(self, level: Level, kept: &mut [f32], before: Before<'_>, state: &mut [f32]);

    /// A row's step back. `kept` becomes the gradients of sums, which are also added to `sums`. `blame` holds the gradients of the states
    /// behind
    /// the step, but for what comes through the output, and then those of the states before it, but for what comes through the products.
    #[doc(hidden)]
    fn back(self, level: Level, kept: &mut [f32], before: Before<'_>, dy: &[f32], blame: Blame<'_>, sums: &mut [f32]);
}

/// States of a row before a step; the second is empty where there is none.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub struct Before<'a> {
    pub state: &'a [f32],
    pub cell: &'a [f32],
}

/// Gradients of states of a row; the second is empty where there is none.
#[derive(Debug)]
#[doc(hidden)]
pub struct Blame<'a> {
    pub state: &'a mut [f32],
    pub cell: &'a mut [f32],
}

/// Rows of the inputs whose products are computed together: few enough that their sums are still in the cache when their steps come.
const TOGETHER: usize = 144;

/// A piece of the batch.
#[derive(Clone, Copy)]
struct Piece {
    first: usize,
    rows: usize,
}

impl Piece {
    /// Where its numbers of a tensor lie, so many for each row.
    fn range(&self, each: usize) -> Range<usize> {
        self.first * each..(self.first + self.rows) * each
    }
}

impl Sequence<'_> {
    /// Pieces of the batch, two at least where a batch is not small.
    fn pieces(&self) -> Vec<Piece> {
        let rows = self.batch.div_ceil(2).next_multiple_of(4).clamp(8, 16);
        (0..self.batch).step_by(rows).map(|first| Piece { first, rows: rows.min(self.batch - first) }).collect()
    }

    fn length(&self, row: usize) -> usize {
        self.lengths.map_or(self.time, |lengths| lengths[row])
    }

    /// Steps until all rows of a piece have ended.
    fn steps(&self, piece: &Piece) -> usize {
        (piece.first..piece.first + piece.rows).map(|row| self.length(row)).max().unwrap_or(0)
    }

    /// At which time a row is in a step that is not beyond its length.
    fn at(&self, row: usize, step: usize) -> usize {
        match self.direction {
            Direction::Forwards => step,
            Direction::Backwards => self.length(row) - 1 - step,
        }
    }

    /// Where the numbers of a row's step lie in a tensor of `[batch, time, each]`. Beyond its length step and time are the same.
    fn place(&self, row: usize, step: usize, each: usize) -> Range<usize> {
        let time = if step < self.length(row) { self.at(row, step) } else { step };
        (row * self.time + time) * each..(row * self.time + time + 1) * each
    }

    fn check<C: Cell>(&self, weights: &Weights<'_>, states: [&[f32]; 2]) {
        let &Sequence { batch, time, inputs, hidden, lengths, .. } = self;
        let rows = C::GATES * hidden;
        assert_eq!([weights.input.len(), weights.hidden.len()], [rows * inputs, rows * hidden], "weights have a row for each gate");
        let biases = [weights.input_bias.len(), weights.hidden_bias.len()];
        assert!(biases.iter().all(|len| *len == 0 || *len == rows), "a bias has a number for each gate, or none");
        let cells = if C::HAS_CELL { batch * hidden } else { 0 };
        assert_eq!(states.map(<[f32]>::len), [batch * hidden, cells], "every row has its states");
        assert!(lengths.is_none_or(|lengths| lengths.len() == batch && lengths.iter().all(|len| *len <= time)), "every row has a length");
    }
}

/// Outputs `y` (`[batch, time, hidden]`) and the last states, from inputs `x` (`[batch, time, inputs]`) and first states (`[batch, hidden]`
/// each; the second is empty where a cell has none).
///
/// # Panics
/// When sizes do not fit, or a length is longer than the sequence.
pub fn forward<C: Cell>(
    cell: C,
    sequence: &Sequence<'_>,
    x: &[f32],
    weights: &Weights<'_>,
    first: [&[f32]; 2],
    y: &mut [f32],
    last: [&mut [f32]; 2],
) -> Saved {
    let &Sequence { batch, time, inputs, hidden, .. } = sequence;
    sequence.check::<C>(weights, first);
    assert_eq!([x.len(), y.len()], [batch * time * inputs, batch * time * hidden], "tensors are as long as the sequence says");
    assert_eq!([last[0].len(), last[1].len()], first.map(<[f32]>::len), "last states are as long as first ones");
    let level = Level::current();
    let multiply = Multiply::new(sequence.is_rounded);
    let each = C::KEPT * hidden;
    let mut saved = Saved { inputs: keep(batch * time * inputs), states: keep(batch * time * hidden), gates: keep(batch * time * each) };
    let [copies, states, gates] = [&mut *saved.inputs, &mut *saved.states, &mut *saved.gates].map(Shared::new);
    let ([last_state, last_cell], y) = (last.map(Shared::new), Shared::new(y));
    let input = Matrix::new(weights.input, C::GATES * hidden, inputs).transposed();
    let [joint, apart] = hidden_parts::<C>(weights.hidden, hidden).map(Matrix::transposed);
    scratch(C::GATES * hidden, |bias| {
        joint_bias::<C>(weights, hidden, bias);
        let bias = &*bias;
        multiply.lend(input, |input| {
            multiply.lend(joint, |joint| {
                multiply.lend(apart, |apart| {
                    let apart_bias = weights.hidden_bias.get(C::JOINT * hidden..).filter(|bias| !bias.is_empty());
                    let apart_start = apart_bias.map_or(Start::Zero, Start::Bias);
                    for_each_piece(sequence, each, |_, piece| {
                        let cells = if C::HAS_CELL { hidden } else { 0 };
                        // SAFETY: pieces share no row of the batch.
                        let (copies, states, gates, y, last_state, last_cell) = unsafe {
                            (
                                copies.part(piece.range(time * inputs)),
                                states.part(piece.range(time * hidden)),
                                gates.part(piece.range(time * each)),
                                y.part(piece.range(time * hidden)),
                                last_state.part(piece.range(hidden)),
                                last_cell.part(piece.range(cells)),
                            )
                        };
                        let way = Way { level, cell, sequence, piece };
                        way.gather(x, copies);
                        last_state.copy_from_slice(&first[0][piece.range(hidden)]);
                        last_cell.copy_from_slice(&first[1][piece.range(cells)]);
                        let rows = piece.rows;
                        for steps in way.chunks() {
                            let some = steps.start * rows..steps.end * rows;
                            let from = Matrix::new(&copies[some.start * inputs..some.end * inputs], some.len(), inputs);
                            input.product(from, Start::Bias(bias), &mut gates[some.start * each..some.end * each], each);
                            for step in steps {
                                let now = step * rows * hidden..(step + 1) * rows * hidden;
                                states[now.clone()].copy_from_slice(last_state);
                                let from = Matrix::new(&states[now], rows, hidden);
                                let to = &mut gates[step * rows * each..(step + 1) * rows * each];
                                joint.product(from, Start::Keep, to, each);
                                if C::GATES > C::JOINT {
                                    apart.product(from, apart_start, &mut to[C::GATES * hidden..], each);
                                }
                                way.step(step, gates, &states[step * rows * hidden..], first[1], y, last_state, last_cell);
                            }
                        }
                        way.end(states, gates, y);
                    });
                });
            });
        });
    });
    saved
}

/// Gradients, from those of `y` and of the last states.
///
/// # Panics
/// When sizes do not fit, or `saved` comes from another call.
pub fn backward<C: Cell>(
    cell: C,
    sequence: &Sequence<'_>,
    saved: Saved,
    weights: &Weights<'_>,
    first: [&[f32]; 2],
    dy: &[f32],
    dlast: [&[f32]; 2],
    to: Gradients<'_>,
) {
    let &Sequence { batch, time, inputs, hidden, .. } = sequence;
    sequence.check::<C>(weights, first);
    let each = C::KEPT * hidden;
    let Saved { inputs: copies, states, mut gates } = saved;
    let lens = [copies.len(), states.len(), gates.len()];
    assert_eq!(lens, [batch * time * inputs, batch * time * hidden, batch * time * each], "what was kept is of this sequence");
    assert_eq!([dy.len(), to.x.len()], [batch * time * hidden, batch * time * inputs], "tensors are as long as the sequence says");
    assert_eq!(
        [dlast.map(<[f32]>::len), [to.states[0].len(), to.states[1].len()]],
        [first.map(<[f32]>::len); 2],
        "every row has its states"
    );
    let level = Level::current();
    let multiply = Multiply::new(sequence.is_rounded);
    let pieces = sequence.pieces().len();
    scratch(pieces * each, |sums| {
        {
            let [gates, dx, sums] = [&mut *gates, to.x, &mut *sums].map(Shared::new);
            let [dstate, dcell] = to.states.map(Shared::new);
            let input = Matrix::new(weights.input, C::GATES * hidden, inputs);
            let [joint, apart] = hidden_parts::<C>(weights.hidden, hidden);
            multiply.lend(input, |input| {
                multiply.lend(joint, |joint| {
                    multiply.lend(apart, |apart| {
                        for_each_piece(sequence, each, |number, piece| {
                            let cells = if C::HAS_CELL { hidden } else { 0 };
                            // SAFETY: pieces share no row of the batch.
                            let (gates, dx, sums, dstate, dcell) = unsafe {
                                (
                                    gates.part(piece.range(time * each)),
                                    dx.part(piece.range(time * inputs)),
                                    sums.part(number * each..(number + 1) * each),
                                    dstate.part(piece.range(hidden)),
                                    dcell.part(piece.range(cells)),
                                )
                            };
                            sums.fill(0.0);
                            dstate.copy_from_slice(&dlast[0][piece.range(hidden)]);
                            dcell.copy_from_slice(&dlast[1][piece.range(cells)]);
                            let way = Way { level, cell, sequence, piece };
                            let rows = piece.rows;
                            way.end_inputs(dx);
                            for steps in way.chunks().rev() {
                                for step in steps.clone().rev() {
                                    way.back(step, gates, &states[piece.range(time * hidden)], first[1], dy, dstate, dcell, sums);
                                    let from = &gates[step * rows * each..(step + 1) * rows * each];
                                    let part = |gates: usize, first: usize| {
                                        Matrix::strided(&from[(first * hidden).min(from.len())..], [rows, gates * hidden], [each, 1])
                                    };
                                    joint.product(part(C::JOINT, 0), Start::Keep, dstate, hidden);
                                    if C::GATES > C::JOINT {
                                        apart.product(part(C::GATES - C::JOINT, C::GATES), Start::Keep, dstate, hidden);
                                    }
                                }
                                let some = &gates[steps.start * rows * each..steps.end * rows * each];
                                let from = Matrix::strided(some, [steps.len() * rows, C::GATES * hidden], [each, 1]);
                                scratch(steps.len() * rows * inputs, |found| {
                                    input.product(from, Start::Zero, found, inputs);
                                    way.scatter(steps, found, dx);
                                });
                            }
                        });
                    });
                });
            });
        }
        bias_gradients::<C>(hidden, sums, to.input_bias, to.hidden_bias);
    });
    let rows = batch * time;
    let blame = |first: usize, count: usize| {
        let values = gates.get(first * hidden..).unwrap_or(&[]);
        Matrix::strided(values, [rows, count * hidden], [each, 1]).transposed()
    };
    let (inputs, states) = (Matrix::new(&copies, rows, inputs), Matrix::new(&states, rows, hidden));
    let (joint, apart) = to.hidden.split_at_mut(C::JOINT * hidden * hidden);
    multiply.threaded(blame(0, C::GATES), inputs, to.input);
    multiply.threaded(blame(0, C::JOINT), states, joint);
    multiply.threaded(blame(C::GATES, C::GATES - C::JOINT), states, apart);
}

/// Rows of `weight_hh` whose products are added to those of the inputs, and the rest.
fn hidden_parts<C: Cell>(weights: &[f32], hidden: usize) -> [Matrix<'_>; 2] {
    let (joint, apart) = weights.split_at(C::JOINT * hidden * hidden);
    [Matrix::new(joint, C::JOINT * hidden, hidden), Matrix::new(apart, (C::GATES - C::JOINT) * hidden, hidden)]
}

/// What sums over inputs start with: both biases where sums are joint, that of the inputs elsewhere.
fn joint_bias<C: Cell>(weights: &Weights<'_>, hidden: usize, bias: &mut [f32]) {
    bias.fill(0.0);
    bias.iter_mut().zip(weights.input_bias).for_each(|(bias, more)| *bias += more);
    bias[..C::JOINT * hidden].iter_mut().zip(weights.hidden_bias).for_each(|(bias, more)| *bias += more);
}

/// Gradients of biases from the sums of pieces, in their order.
fn bias_gradients<C: Cell>(hidden: usize, sums: &[f32], input: &mut [f32], hidden_bias: &mut [f32]) {
    input.fill(0.0);
    hidden_bias.fill(0.0);
    for sums in sums.chunks_exact((C::KEPT * hidden).max(1)) {
        input.iter_mut().zip(&sums[..C::GATES * hidden]).for_each(|(to, sum)| *to += sum);
        let joint = &sums[..C::JOINT * hidden];
        let apart = &sums[C::GATES * hidden..(2 * C::GATES - C::JOINT) * hidden];
        hidden_bias.iter_mut().zip(joint.iter().chain(apart)).for_each(|(to, sum)| *to += sum);
    }
}

/// Calls `work` with each piece and its number.
fn for_each_piece(sequence: &Sequence<'_>, each: usize, work: impl Fn(usize, Piece) + Sync) {
    let pieces = sequence.pieces();
    let flops = 2 * sequence.batch * sequence.time * each * (sequence.inputs + sequence.hidden);
    crate::team::each(pieces.len(), flops as u64 >= crate::pieces::SERIAL_FLOPS, |number| work(number, pieces[number]));
}

/// A piece's way through the sequence. Slices are the piece's own, but for those whose names say that they are of the whole batch.
#[derive(Clone, Copy)]
struct Way<'a, C> {
    level: Level,
    cell: C,
    sequence: &'a Sequence<'a>,
    piece: Piece,
}

impl<C: Cell> Way<'_, C> {
    /// Steps whose inputs' products are computed together.
    fn chunks(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + use<C> {
        let (steps, some) = (self.sequence.steps(&self.piece), (TOGETHER / self.piece.rows).max(1));
        (0..steps).step_by(some).map(move |first| first..(first + some).min(steps))
    }

    /// Where a row's numbers of a step lie in the workspace of the piece.
    fn row(&self, step: usize, row: usize, each: usize) -> Range<usize> {
        (step * self.piece.rows + row) * each..(step * self.piece.rows + row + 1) * each
    }

    /// Where a row's numbers of a step lie in the piece of a tensor of `[batch, time, each]`.
    fn place(&self, step: usize, row: usize, each: usize) -> Range<usize> {
        let Range { start, end } = self.sequence.place(self.piece.first + row, step, each);
        let first = self.piece.first * self.sequence.time * each;
        start - first..end - first
    }

    fn is_over(&self, step: usize, row: usize) -> bool {
        step >= self.sequence.length(self.piece.first + row)
    }

    /// Copies inputs of the whole batch into the order of the workspace.
    fn gather(&self, whole: &[f32], copies: &mut [f32]) {
        let inputs = self.sequence.inputs;
        for step in 0..self.sequence.time {
            for row in 0..self.piece.rows {
                let to = &mut copies[self.row(step, row, inputs)];
                match self.is_over(step, row) {
                    true => to.fill(0.0),
                    false => to.copy_from_slice(&whole[self.sequence.place(self.piece.first + row, step, inputs)]),
                }
            }
        }
    }

    /// The other way.
    fn scatter(&self, steps: Range<usize>, found: &[f32], to: &mut [f32]) {
        let inputs = self.sequence.inputs;
        for step in steps.clone() {
            for row in 0..self.piece.rows {
                if !self.is_over(step, row) {
                    to[self.place(step, row, inputs)].copy_from_slice(&found[self.row(step - steps.start, row, inputs)]);
                }
            }
        }
    }

    /// The second state before a step.
    fn cell_before<'a>(&self, step: usize, row: usize, past: &'a [f32], whole: &'a [f32]) -> &'a [f32] {
        let hidden = self.sequence.hidden;
        match (C::HAS_CELL, step) {
            (false, _) => &[],
            (true, 0) => &whole[(self.piece.first + row) * hidden..][..hidden],
            (true, _) => &past[self.row(step - 1, row, C::KEPT * hidden)][(C::KEPT - 1) * hidden..],
        }
    }

    /// All rows' step. `states` are those before it; `last` are those behind it, of rows that have ended those that they ended with.
    fn step(
        &self,
        step: usize,
        gates: &mut [f32],
        states: &[f32],
        first_cells: &[f32],
        y: &mut [f32],
        last: &mut [f32],
        cells: &mut [f32],
    ) {
        let hidden = self.sequence.hidden;
        let (past, now) = gates.split_at_mut(self.row(step, 0, C::KEPT * hidden).start);
        for row in 0..self.piece.rows {
            let kept = &mut now[row * C::KEPT * hidden..][..C::KEPT * hidden];
            let y = &mut y[self.place(step, row, hidden)];
            if self.is_over(step, row) {
                kept.fill(0.0);
                y.fill(0.0);
                continue;
            }
            let before = Before { state: &states[row * hidden..][..hidden], cell: self.cell_before(step, row, past, first_cells) };
            self.cell.step(self.level, kept, before, y);
            last[row * hidden..][..hidden].copy_from_slice(y);
            if C::HAS_CELL {
                cells[row * hidden..][..hidden].copy_from_slice(&kept[(C::KEPT - 1) * hidden..]);
            }
        }
    }

    /// Zeros where all rows of the piece have ended.
    fn end(&self, states: &mut [f32], gates: &mut [f32], y: &mut [f32]) {
        let Sequence { hidden, time, .. } = *self.sequence;
        let steps = self.sequence.steps(&self.piece);
        states[self.row(steps, 0, hidden).start..].fill(0.0);
        gates[self.row(steps, 0, C::KEPT * hidden).start..].fill(0.0);
        for row in 0..self.piece.rows {
            y[(row * time + steps) * hidden..(row + 1) * time * hidden].fill(0.0);
        }
    }

    /// Zeros in gradients of inputs where rows have ended.
    fn end_inputs(&self, dx: &mut [f32]) {
        let Sequence { inputs, time, .. } = *self.sequence;
        for row in 0..self.piece.rows {
            let length = self.sequence.length(self.piece.first + row);
            dx[(row * time + length) * inputs..(row + 1) * time * inputs].fill(0.0);
        }
    }

    /// All rows' step back, but for the products.
    fn back(
        &self,
        step: usize,
        gates: &mut [f32],
        states: &[f32],
        first_cells: &[f32],
        whole_dy: &[f32],
        dstate: &mut [f32],
        dcell: &mut [f32],
        sums: &mut [f32],
    ) {
        let hidden = self.sequence.hidden;
        let (past, now) = gates.split_at_mut(self.row(step, 0, C::KEPT * hidden).start);
        for row in (0..self.piece.rows).filter(|row| !self.is_over(step, *row)) {
            let kept = &mut now[row * C::KEPT * hidden..][..C::KEPT * hidden];
            let before = Before { state: &states[self.row(step, row, hidden)], cell: self.cell_before(step, row, past, first_cells) };
            let dy = &whole_dy[self.sequence.place(self.piece.first + row, step, hidden)];
            let mine = row * hidden..(row + 1) * hidden;
            let blame = Blame { state: &mut dstate[mine.clone()], cell: if C::HAS_CELL { &mut dcell[mine] } else { &mut [] } };
            self.cell.back(self.level, kept, before, dy, blame, sums);
        }
    }
}
