//! Moving averages.

use crate::Level;
use crate::kernel::kernel;
use crate::pieces::in_pieces;

/// `to = kept to + new values`, the moving average of weights (Polyak, Juditsky: "Acceleration of stochastic approximation by averaging",
/// 1992).
///
/// # Panics
/// When the slices differ in length.
pub fn average(kept: f32, new: f32, values: &[f32], to: &mut [f32]) {
    assert_eq!(values.len(), to.len(), "one number for each");
    let level = Level::current();
    in_pieces(to, |from, to| follow(level, kept, new, &values[from..from + to.len()], to));
}

kernel! {
    fn follow<V>(kept: f32, new: f32, values: &[f32], to: &mut [f32]) {
        let (kept, new) = (V::splat(kept), V::splat(new));
        let whole = to.len() / V::N * V::N;
        for (values, to) in values[..whole].chunks_exact(V::N).zip(to[..whole].chunks_exact_mut(V::N)) {
            kept.mul(V::load(to)).add(new.mul(V::load(values))).store(to);
        }
        let (values, to) = (&values[whole..], &mut to[whole..]);
        kept.mul(V::load_part(to, 0.0)).add(new.mul(V::load_part(values, 0.0))).store_part(to);
    }
}
