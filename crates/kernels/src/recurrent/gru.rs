//! Gated recurrent unit (Cho et al.: "Learning phrase representations using RNN encoder-decoder", EMNLP 2014), as `torch.nn.GRU`:
//!
//! ```text
//! r, z = sigmoid(sums)   n = tanh(sum over inputs + r * (sum over states))   h' = (1 - z) n + z h
//! ```
//! Gates in the order r, z, n. Differs from the paper as PyTorch does: r acts behind the product with the state.

use super::sequence::{Before, Blame, Cell};
use crate::Level;
use crate::functions::{sigmoid, tanh};
use crate::kernel::kernel;

/// Gated recurrent unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gru;

impl Cell for Gru {
    const GATES: usize = 3;
    const JOINT: usize = 2;
    const KEPT: usize = 4;
    const HAS_CELL: bool = false;

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
        assert!(kept.len() == 4 * hidden && before.state.len() == hidden);
        for at in (0..hidden).step_by(V::N) {
            let many = V::N.min(hidden - at);
            // SAFETY: all of it lies inside of the slices.
            unsafe {
                let kept = kept.as_mut_ptr().add(at);
                let reset = sigmoid(V::load_some(kept, many));
                let stay = sigmoid(V::load_some(kept.add(hidden), many));
                let old = V::load_some(kept.add(3 * hidden), many);
                let new = tanh(reset.mul_add(old, V::load_some(kept.add(2 * hidden), many)));
                reset.store_some(kept, many);
                stay.store_some(kept.add(hidden), many);
                new.store_some(kept.add(2 * hidden), many);
                let before = V::load_some(before.state.as_ptr().add(at), many);
                stay.mul_add(before.sub(new), new).store_some(state.as_mut_ptr().add(at), many);
            }
        }
    }
}

kernel! {
    fn back<V>(kept: &mut [f32], before: Before<'_>, dy: &[f32], blame: Blame<'_>, sums: &mut [f32]) {
        let hidden = dy.len();
        assert!(kept.len() == 4 * hidden && sums.len() == 4 * hidden && [before.state.len(), blame.state.len()] == [hidden; 2]);
        let one = V::splat(1.0);
        for at in (0..hidden).step_by(V::N) {
            let many = V::N.min(hidden - at);
            // SAFETY: all of it lies inside of the slices.
            unsafe {
                let (kept, sums) = (kept.as_mut_ptr().add(at), sums.as_mut_ptr().add(at));
                let reset = V::load_some(kept, many);
                let stay = V::load_some(kept.add(hidden), many);
                let new = V::load_some(kept.add(2 * hidden), many);
                let old = V::load_some(kept.add(3 * hidden), many);
                let to_state = blame.state.as_mut_ptr().add(at);
                let dstate = V::load_some(to_state, many).add(V::load_some(dy.as_ptr().add(at), many));
                let before = V::load_some(before.state.as_ptr().add(at), many);
                let dnew = dstate.mul(one.sub(stay)).mul(one.sub(new.mul(new)));
                let dstay = dstate.mul(before.sub(new)).mul(stay.sub(stay.mul(stay)));
                let dreset = dnew.mul(old).mul(reset.sub(reset.mul(reset)));
                let found = [dreset, dstay, dnew, dnew.mul(reset)];
                for gate in 0..4 {
                    found[gate].store_some(kept.add(gate * hidden), many);
                    let sum = V::load_some(sums.add(gate * hidden), many).add(found[gate]);
                    sum.store_some(sums.add(gate * hidden), many);
                }
                dstate.mul(stay).store_some(to_state, many);
            }
        }
    }
}
