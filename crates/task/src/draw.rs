//! Randomness as a function: the value at an index depends on (seed, stream, step) and on nothing else, so there is no
//! state to store and nothing to replay.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014) used
//! by counter: value `i` is the finaliser of `key + (i + 1) * golden`, where the key mixes seed, stream and step.

/// The key of a counter-based generator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Draw {
    /// The run's seed.
    pub seed: u64,
    /// What the randomness is for: one number per purpose, see [`Draw::stream`].
    pub stream: u64,
    /// Which of the purpose's steps: an epoch, a tree, a fold.
    pub step: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Draw {
    /// The draw of a run's seed, stream 0, step 0.
    pub fn new(seed: u64) -> Draw {
        Draw { seed, stream: 0, step: 0 }
    }

    /// The same seed for another purpose; purposes with different names are independent (FNV-1a of the name, mixed with the present stream).
    #[must_use]
    pub fn stream(self, name: &str) -> Draw {
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Draw { stream: mix(self.stream.wrapping_add(hash)), ..self }
    }

    /// The same purpose at another step.
    #[must_use]
    pub fn at(self, step: u64) -> Draw {
        Draw { step, ..self }
    }

    /// The mixed key; hoist it out of hot loops and call [`Draw::value`] on it.
    pub fn key(self) -> u64 {
        mix(mix(mix(self.seed.wrapping_add(GOLDEN)).wrapping_add(self.stream)).wrapping_add(self.step))
    }

    /// The 64 random bits at an index under a key from [`Draw::key`].
    pub fn value(key: u64, index: u64) -> u64 {
        mix(key.wrapping_add(index.wrapping_add(1).wrapping_mul(GOLDEN)))
    }

    /// The 64 random bits at an index.
    pub fn bits(self, index: u64) -> u64 {
        Draw::value(self.key(), index)
    }

    /// A number in [0, 1) at an index, with 53 random bits.
    pub fn uniform(self, index: u64) -> f64 {
        (self.bits(index) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A standard normal number at an index (Box-Muller on two values of its own).
    pub fn normal(self, index: u64) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform(2 * index)).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform(2 * index + 1)).cos()
    }

    /// A whole number in 0..n at an index (multiply-shift; the bias is below n / 2^64).
    pub fn below(self, index: u64, n: u64) -> u64 {
        ((u128::from(self.bits(index)) * u128::from(n)) >> 64) as u64
    }

    /// The numbers 0..n in random order (Fisher-Yates).
    pub fn permutation(self, n: u64) -> Vec<u64> {
        let mut order: Vec<u64> = (0..n).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last as u64, last as u64 + 1) as usize);
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_depends_on_seed_stream_step_and_index_only() {
        let draw = Draw::new(7).stream("split").at(3);
        assert_eq!(draw.bits(5), Draw { ..draw }.bits(5));
        let others = [Draw::new(8).stream("split").at(3), Draw::new(7).stream("fold").at(3), Draw::new(7).stream("split").at(4)];
        assert!(others.iter().all(|other| other.bits(5) != draw.bits(5)));
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let draw = Draw::new(1);
        let n = 100_000;
        let mean = (0..n).map(|i| draw.uniform(i)).sum::<f64>() / n as f64;
        assert!((mean - 0.5).abs() < 0.005, "mean {mean}");
        let normals: Vec<f64> = (0..n).map(|i| draw.normal(i)).collect();
        let mean = normals.iter().sum::<f64>() / n as f64;
        let variance = normals.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "mean {mean}, variance {variance}");
    }

    #[test]
    fn permutation_has_every_number_once() {
        let mut order = Draw::new(3).permutation(1000);
        assert_ne!(order[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        order.sort_unstable();
        assert!(order.into_iter().eq(0..1000));
    }
}
