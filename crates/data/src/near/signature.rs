//! Signatures of rows, and how alike two rows are.

use cupola_task::Draw;

/// A value of a row: a hash of it, and what it is worth.
pub(crate) type Token = (u64, f32);

/// Makes signatures.
pub(crate) struct Signer {
    keys: Vec<u64>,
}

impl Signer {
    /// One of so many hashes.
    pub fn new(permutations: usize) -> Signer {
        let draw = Draw::new(0).stream("minhash");
        Signer { keys: (0..permutations as u64).map(|at| draw.at(at).key()).collect() }
    }

    /// For each hash the value that it chooses. Rows without a value choose nothing, and are like no other.
    pub fn sign(&self, tokens: &[Token]) -> Vec<u32> {
        let choose = |key: &u64| {
            let mut best = (f64::INFINITY, 0);
            for &(token, weight) in tokens {
                let hash = Draw::value(*key, token);
                // 53 bits and a half, so that the logarithm is finite.
                let uniform = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
                let wait = -uniform.ln() / f64::from(weight);
                if wait < best.0 {
                    best = (wait, hash as u32);
                }
            }
            best.1
        };
        self.keys.iter().map(choose).collect()
    }
}

/// What a value is worth that stands in so many of the rows, in bits.
pub(crate) fn worth(rows: u64, of: u64) -> f32 {
    (of.max(1) as f32 / rows.max(1) as f32).max(1.0).log2()
}

/// The similarity of two rows whose tokens are sorted, and the bits that they share.
pub(crate) fn similarity(one: &[Token], other: &[Token]) -> (f64, f64) {
    let (mut a, mut b) = (0, 0);
    let (mut shared, mut all) = (0.0, 0.0);
    while a < one.len() || b < other.len() {
        let (left, right) = (one.get(a), other.get(b));
        match (left, right) {
            (Some(left), Some(right)) if left.0 == right.0 => {
                shared += f64::from(left.1);
                all += f64::from(left.1);
                (a, b) = (a + 1, b + 1);
            }
            (Some(left), right) if right.is_none_or(|right| left.0 < right.0) => {
                all += f64::from(left.1);
                a += 1;
            }
            (_, Some(right)) => {
                all += f64::from(right.1);
                b += 1;
            }
            (_, None) => break,
        }
    }
    (if all > 0.0 { shared / all } else { 0.0 }, shared)
}
