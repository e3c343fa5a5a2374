//! Elman's network (Elman: "Finding structure in time", 1990), as `torch.nn.RNN`: `h' = tanh(sums)`, or `max(sums, 0)`.

use super::sequence::{Before, Blame, Cell};
use crate::Level;
use crate::functions::tanh;
use crate::kernel::kernel;

/// Elman's network, by its function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rnn {
    /// Hyperbolic tangent.
    Tanh,
    /// max(x, 0)
    Relu,
}

impl Cell for Rnn {
    const GATES: usize = 1;
    const JOINT: usize = 1;
    const KEPT: usize = 1;
    const HAS_CELL: bool = false;

    fn step(self, level: Level, kept: &mut [f32], _: Before<'_>, state: &mut [f32]) {
        step(level, self, kept, state);
    }

    fn back(self, level: Level, kept: &mut [f32], _: Before<'_>, dy: &[f32], blame: Blame<'_>, sums: &mut [f32]) {
        back(level, self, kept, dy, blame, sums);
    }
}

kernel! {
    fn step<V>(function: Rnn, kept: &mut [f32], state: &mut [f32]) {
        let hidden = state.len();
        assert!(kept.len() == hidden);
        let zero = V::splat(0.0);
        for at in (0..hidden).step_by(V::N) {
            let many = V::N.min(hidden - at);
            // SAFETY: all of it lies inside of the slices.
            unsafe {
                let kept = kept.as_mut_ptr().add(at);
                let sum = V::load_some(kept, many);
                let value = match function {
                    Rnn::Tanh => tanh(sum),
                    // What is no number is not below zero, so it goes on as what it is.
                    Rnn::Relu => zero.select_greater(sum, zero, sum),
                };
                value.store_some(kept, many);
                value.store_some(state.as_mut_ptr().add(at), many);
            }
        }
    }
}

kernel! {
    fn back<V>(function: Rnn, kept: &mut [f32], dy: &[f32], blame: Blame<'_>, sums: &mut [f32]) {
        let hidden = dy.len();
        assert!([kept.len(), sums.len(), blame.state.len()] == [hidden; 3]);
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        for at in (0..hidden).step_by(V::N) {
            let many = V::N.min(hidden - at);
            // SAFETY: all of it lies inside of the slices.
            unsafe {
                let (kept, sums, to_state) = (kept.as_mut_ptr().add(at), sums.as_mut_ptr().add(at), blame.state.as_mut_ptr().add(at));
                let value = V::load_some(kept, many);
                let dstate = V::load_some(to_state, many).add(V::load_some(dy.as_ptr().add(at), many));
                let found = match function {
                    Rnn::Tanh => dstate.mul(one.sub(value.mul(value))),
                    Rnn::Relu => value.select_greater(zero, dstate, zero),
                };
                found.store_some(kept, many);
                V::load_some(sums, many).add(found).store_some(sums, many);
                zero.store_some(to_state, many);
            }
        }
    }
}
