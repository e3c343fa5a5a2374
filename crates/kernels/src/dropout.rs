//! Dropout (Srivastava et al.: "Dropout", JMLR 15, 2014), inverted: what is kept is scaled up. Whether a number is dropped is a function of
//! a key and of its place, so the backward pass needs no mask, only the key.
//!
//! Random bits are SplitMix64's (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014): its stream may be
//! entered anywhere, and one output of 64 bits decides over two places.

use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::pieces::in_pieces;

/// What is dropped.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dropout {
    /// Another one for each layer and step.
    pub key: u64,
    /// Of all numbers, in 0..1.
    pub share: f64,
}

/// `y = x / (1 - share)` where a place is kept, 0 where it is dropped; the gradient of `x` is the same function of that of `y`.
///
/// # Panics
/// When the slices differ in length, or the share is not in 0..1.
pub fn apply(dropout: Dropout, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "one number out for each in");
    let (level, coin) = (Level::current(), Coin::new(dropout));
    in_pieces(y, |from, y| drop_some(level, coin, from, &x[from..from + y.len()], y));
}

/// By what numbers from a place on are multiplied, to look at a mask. The place must be even.
pub fn factors(dropout: Dropout, place: usize, to: &mut [f32]) {
    let (level, coin) = (Level::current(), Coin::new(dropout));
    let ones = vec![1.0; to.len()];
    drop_some(level, coin, place, &ones, to);
}

/// A dropout made ready for use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Coin {
    key: u64,
    dropped: u32,
    kept: f32,
}

impl Coin {
    pub(crate) fn new(dropout: Dropout) -> Coin {
        let Dropout { key, share } = dropout;
        assert!((0.0..1.0).contains(&share), "a share of {share} is not from 0 to below 1");
        Coin { key, dropped: (share * 2f64.powi(32)) as u32, kept: (1.0 / (1.0 - share)) as f32 }
    }

    /// Factors of the `N` places from an even one on.
    #[inline(always)]
    pub(crate) fn toss<V: Lanes>(self, place: usize) -> V {
        debug_assert!(place.is_multiple_of(2));
        let first = (place / 2) as u64;
        let mut words = [0u64; 8];
        for pair in 0..V::N / 2 {
            words[pair] = mix(self.key.wrapping_add((first + pair as u64 + 1).wrapping_mul(GOLDEN)));
        }
        let mut factors = [0.0; 16];
        for lane in 0..V::N {
            let bits = (words[lane / 2] >> (32 * (lane % 2))) as u32;
            factors[lane] = if bits < self.dropped { 0.0 } else { self.kept };
        }
        V::load(&factors)
    }
}

/// What SplitMix64's state grows by.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output for a state.
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

kernel! {
    fn drop_some<V>(coin: Coin, place: usize, x: &[f32], y: &mut [f32]) {
        let whole = x.len() / V::N * V::N;
        for i in (0..whole).step_by(V::N) {
            V::load(&x[i..]).mul(coin.toss::<V>(place + i)).store(&mut y[i..]);
        }
        V::load_part(&x[whole..], 0.0).mul(coin.toss::<V>(place + whole)).store_part(&mut y[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with;

    #[test]
    fn masks_are_the_same_at_every_level_and_length() {
        let dropout = Dropout { key: 7, share: 0.3 };
        let len = 100_003;
        let word = |place: usize| mix(7u64.wrapping_add((place as u64 / 2 + 1).wrapping_mul(GOLDEN)));
        let twin = |place: usize| {
            if (((word(place) >> (32 * (place % 2))) as u32) as f64) < 0.3 * 2f64.powi(32) { 0.0 } else { 1.0 / 0.7 }
        };
        let x: Vec<f32> = (0..len).map(|place| place as f32 - 77.0).collect();
        for level in Level::available() {
            let (mut y, mut part) = (vec![0.0; len], vec![0.0; 37]);
            with(level, || {
                apply(dropout, &x, &mut y);
                factors(dropout, 50_000, &mut part);
            });
            for (place, (x, y)) in x.iter().zip(&y).enumerate() {
                assert!((y - x * twin(place)).abs() <= 1e-6 * x.abs(), "{level:?} {place}: {y} of {x}");
            }
            assert!(part.iter().enumerate().all(|(i, factor)| (factor - twin(50_000 + i)).abs() < 1e-6), "{level:?}");
        }
    }

    #[test]
    fn a_mask_drops_its_share_and_neighbours_do_not_know_each_other() {
        let len = 200_000;
        let kept = |key: u64, share: f64| {
            let mut to = vec![0.0; len];
            factors(Dropout { key, share }, 0, &mut to);
            to.into_iter().map(|factor| f64::from(u8::from(factor > 0.0))).collect::<Vec<f64>>()
        };
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (one, other) = (kept(1, 0.25), kept(2, 0.25));
        assert!((mean(&one) - 0.75).abs() < 0.005);
        // Both of a pair are kept as often as independent ones: between neighbours, between keys.
        let both = |a: &[f64], b: &[f64]| mean(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<f64>>());
        for together in [both(&one, &one[1..]), both(&one, &one[2..]), both(&one, &one[64..]), both(&one, &other)] {
            assert!((together - 0.5625).abs() < 0.006, "{together}");
        }
        assert_eq!(mean(&kept(3, 0.0)), 1.0);
        // Rounded to `f32` this share is 1.
        assert_eq!(mean(&kept(3, 1.0 - 1e-12)), 0.0);
    }
}
