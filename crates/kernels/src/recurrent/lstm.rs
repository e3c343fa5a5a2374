//! Long short-term memory (Hochreiter, Schmidhuber, 1997; with forget gates, Gers et al., 2000), as `torch.nn.LSTM`:
//!
//! ```text
//! i, f, o = sigmoid(sums)   g = tanh(sum)   c' = f c + i g   h' = o tanh(c')
//! ```
//! Gates in the order i, f, g, o.

use super::sequence::{Before, Blame, Cell};
use crate::Level;
use crate::functions::{sigmoid, tanh};
use crate::kernel::kernel;

/// Long short-term memory, with a second state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lstm;

impl Cell for Lstm {
    const GATES: usize = 4;
    const JOINT: usize = 4;
    const KEPT: usize = 5;
    const HAS_CELL: bool = true;

    fn step(self, level: Level, kept: &mut [f32], before: Before<'_>, state: &mut [f32]) {
        step(level, kept, before, state);
    }

    fn back(self, level: Level, kept: &mut [f32], before: Before<'_>, dy: &[f32], blame: Blame<'_>, sums: &mut [f32]) {
        back(level, kept, before, dy, blame, sums);
    }
}

kernel! {
    fn step<V>(kept: &mut [f32], before: Before<'_>, state: &mut [f32]) {
        let hidden = state.len();
        assert!(kept.len() == 5 * hidden && before.cell.len() == hidden);
        for at in (0..hidden).step_by(V::N) {
            let many = V::N.min(hidden - at);
            // SAFETY: all of it lies inside of the slices.
            unsafe {
                let kept = kept.as_mut_ptr().add(at);
                let input = sigmoid(V::load_some(kept, many));
                let forget = sigmoid(V::load_some(kept.add(hidden), many));
                let value = tanh(V::load_some(kept.add(2 * hidden), many));
                let output = sigmoid(V::load_some(kept.add(3 * hidden), many));
                let cell = forget.mul_add(V::load_some(before.cell.as_ptr().add(at), many), input.mul(value));
                input.store_some(kept, many);
                forget.store_some(kept.add(hidden), many);
                value.store_some(kept.add(2 * hidden), many);
                output.store_some(kept.add(3 * hidden), many);
                cell.store_some(kept.add(4 * hidden), many);
                output.mul(tanh(cell)).store_some(state.as_mut_ptr().add(at), many);
            }
        }
    }
}

kernel! {
    fn back<V>(kept: &mut [f32], before: Before<'_>, dy: &[f32], blame: Blame<'_>, sums: &mut [f32]) {
        let hidden = dy.len();
        let lens = [before.cell.len(), blame.state.len(), blame.cell.len()];
        assert!(kept.len() == 5 * hidden && sums.len() == 5 * hidden && lens == [hidden; 3]);
        let one = V::splat(1.0);
        for at in (0..hidden).step_by(V::N) {
            let many = V::N.min(hidden - at);
            // SAFETY: all of it lies inside of the slices.
            unsafe {
                let (kept, sums) = (kept.as_mut_ptr().add(at), sums.as_mut_ptr().add(at));
                let input = V::load_some(kept, many);
                let forget = V::load_some(kept.add(hidden), many);
                let value = V::load_some(kept.add(2 * hidden), many);
                let output = V::load_some(kept.add(3 * hidden), many);
                let bent = tanh(V::load_some(kept.add(4 * hidden), many));
                let (to_state, to_cell) = (blame.state.as_mut_ptr().add(at), blame.cell.as_mut_ptr().add(at));
                let dstate = V::load_some(to_state, many).add(V::load_some(dy.as_ptr().add(at), many));
                let through = dstate.mul(output);
                let dcell = V::load_some(to_cell, many).add(through.sub(through.mul(bent).mul(bent)));
                let dinput = dcell.mul(value).mul(input.sub(input.mul(input)));
                let dforget = dcell.mul(V::load_some(before.cell.as_ptr().add(at), many)).mul(forget.sub(forget.mul(forget)));
                let dvalue = dcell.mul(input).mul(one.sub(value.mul(value)));
                let doutput = through.mul(bent).mul(one.sub(output));
                let found = [dinput, dforget, dvalue, doutput];
                for gate in 0..4 {
                    found[gate].store_some(kept.add(gate * hidden), many);
                    let sum = V::load_some(sums.add(gate * hidden), many).add(found[gate]);
                    sum.store_some(sums.add(gate * hidden), many);
                }
                dcell.mul(forget).store_some(to_cell, many);
                V::splat(0.0).store_some(to_state, many);
            }
        }
    }
}
