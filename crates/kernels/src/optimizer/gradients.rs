//! The size of gradients, and gradients made smaller (Pascanu et al.: "On the difficulty of training recurrent neural networks", ICML
//! 2013).

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::{PIECE, in_pieces};
use crate::team::each_part;

/// The Euclidean norm. Squares of `f32` are exact in `f64`, in which they are added, so it neither overflows nor loses small numbers among
/// many; the same bits at every level.
pub fn norm(values: &[f32]) -> f64 {
    let level = Level::current();
    let mut sums = vec![0.0; values.len().div_ceil(PIECE)];
    each_part(&mut sums, 1, values.len() > 2 * PIECE, |piece, sum| {
        sum[0] = squares(level, &values[piece * PIECE..values.len().min((piece + 1) * PIECE)]);
    });
    sums.into_iter().sum::<f64>().sqrt()
}

/// Makes every number at most `largest` in size. What is no number stays none.
pub fn clamp(values: &mut [f32], largest: f32) {
    let level = Level::current();
    in_pieces(values, |_, values| change(level, values, Clamp(largest)));
}

/// Multiplies every number.
pub fn scale(values: &mut [f32], by: f32) {
    let level = Level::current();
    in_pieces(values, |_, values| change(level, values, Scale(by)));
}

/// Sums that are kept apart, so that additions need not wait for one another.
const STRANDS: usize = 32;

kernel! {
    /// The sum of squares. Strands are the same at every level; the compiler makes registers of them.
    fn squares<V>(values: &[f32]) -> f64 {
        let _ = V::N;
        let mut sums = [0.0f64; STRANDS];
        let whole = values.len() / STRANDS * STRANDS;
        for values in values[..whole].chunks_exact(STRANDS) {
            for strand in 0..STRANDS {
                let value = f64::from(values[strand]);
                sums[strand] += value * value;
            }
        }
        for (strand, value) in values[whole..].iter().enumerate() {
            sums[strand] += f64::from(*value) * f64::from(*value);
        }
        let mut sum = 0.0;
        for strand in 0..STRANDS {
            sum += sums[strand];
        }
        sum
    }
}

/// A change of each number alone.
trait Change: Copy {
    fn of<V: Lanes>(self, value: V) -> V;
}

#[derive(Clone, Copy)]
struct Clamp(f32);

impl Change for Clamp {
    #[inline(always)]
    fn of<V: Lanes>(self, value: V) -> V {
        // What is no number is the second operand both times, and is kept.
        V::splat(self.0).min(V::splat(-self.0).max(value))
    }
}

#[derive(Clone, Copy)]
struct Scale(f32);

impl Change for Scale {
    #[inline(always)]
    fn of<V: Lanes>(self, value: V) -> V {
        value.mul(V::splat(self.0))
    }
}

kernel! {
    fn change<V, C: Change>(values: &mut [f32], change: C) {
        let whole = values.len() / V::N * V::N;
        for values in values[..whole].chunks_exact_mut(V::N) {
            change.of(V::load(values)).store(values);
        }
        let rest = &mut values[whole..];
        change.of(V::load_part(rest, 0.0)).store_part(rest);
    }
}
