//! Bands of signatures: rows that agree on a whole band are candidates.

use cupola_task::Draw;
use std::collections::HashSet;

/// How a signature is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Bands {
    /// How many bands.
    pub count: usize,
    /// Hashes of each.
    pub rows: usize,
}

/// Of pairs that are as alike as the threshold, how many are to be found.
const RECALL: f64 = 0.98;
/// Rows of one bucket beyond which each is held against the first ones only.
const BUCKET_MAX: usize = 200;

impl Bands {
    /// The cut of at most so many hashes with the longest bands that still find [`RECALL`] of the pairs at a threshold. What they find too much costs
    /// only its measuring.
    pub fn best(threshold: f64, permutations: usize) -> Bands {
        let cut = |rows: usize| Bands { count: permutations / rows, rows };
        let longest = (1..=permutations).rev().map(cut).find(|bands| bands.chance(threshold) >= RECALL);
        longest.unwrap_or(cut(1))
    }

    /// One number a band.
    pub fn keys(self, signature: &[u32]) -> impl Iterator<Item = u32> + '_ {
        let key = |band: &[u32]| band.iter().fold(1, |key, hash| Draw::value(key, u64::from(*hash))) as u32;
        signature.chunks_exact(self.rows).take(self.count).map(key)
    }

    /// The chance that rows of such a similarity become candidates.
    pub fn chance(self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powi(self.rows as i32)).powi(self.count as i32)
    }
}

/// Pairs of rows that share a band, in order, at most `most` of them, and whether some were left out. `keys` holds the numbers of each row one after
/// another; rows that are not taken part in have `is_in` false.
pub(crate) fn candidates(keys: &[u32], count: usize, most: usize, is_in: impl Fn(usize) -> bool) -> (Vec<(u32, u32)>, bool) {
    let rows: Vec<u32> = (0..keys.len() / count.max(1)).filter(|row| is_in(*row)).map(|row| row as u32).collect();
    let mut pairs: HashSet<(u32, u32)> = HashSet::new();
    let mut is_cut = false;
    for band in 0..count {
        let key = |row: &u32| keys[*row as usize * count + band];
        let mut order = rows.clone();
        order.sort_unstable_by_key(|row| (key(row), *row));
        for bucket in order.chunk_by(|a, b| key(a) == key(b)).filter(|bucket| bucket.len() > 1) {
            for (place, &second) in bucket.iter().enumerate() {
                // A large bucket would cost the square of its size.
                let firsts = if bucket.len() > BUCKET_MAX { place.min(BUCKET_MAX / 4) } else { place };
                is_cut |= firsts < place;
                for &first in &bucket[..firsts] {
                    if pairs.len() < most {
                        pairs.insert((first, second));
                    } else {
                        is_cut |= !pairs.contains(&(first, second));
                    }
                }
            }
        }
    }
    let mut pairs: Vec<(u32, u32)> = pairs.into_iter().collect();
    pairs.sort_unstable();
    (pairs, is_cut)
}
