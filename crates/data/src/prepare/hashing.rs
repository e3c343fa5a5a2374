//! Hashing: a text gets a place among a fixed number of elements and a sign, both from its hash, so no vocabulary is kept.
//! Two texts may share an element; the signs make such meetings cancel out on average. Weinberger and others, "Feature
//! hashing for large scale multitask learning" (ICML 2009).
//!
//! Places and signs are those of scikit-learn's `FeatureHasher` and `HashingVectorizer`: MurmurHash3 (x86, 32 bits, seed 0)
//! of the UTF-8 bytes; its absolute value modulo the width, and its sign.

use std::sync::Arc;

/// The place among so many elements, and the sign.
pub(crate) fn place(text: &str, width: usize) -> (usize, f64) {
    let hash = murmur3(text.as_bytes()) as i32;
    ((hash.unsigned_abs() as usize) % width.max(1), if hash >= 0 { 1.0 } else { -1.0 })
}

/// Names of the elements: their numbers.
pub(crate) fn names(width: usize) -> Arc<[Arc<str>]> {
    (0..width).map(|place| Arc::from(place.to_string())).collect()
}

/// Austin Appleby's MurmurHash3_x86_32.
fn murmur3(bytes: &[u8]) -> u32 {
    const FIRST: u32 = 0xcc9e_2d51;
    const SECOND: u32 = 0x1b87_3593;
    let scramble = |block: u32| block.wrapping_mul(FIRST).rotate_left(15).wrapping_mul(SECOND);
    let blocks = bytes.chunks_exact(4);
    let rest = blocks.remainder().iter().rev().fold(0u32, |rest, byte| rest << 8 | u32::from(*byte));
    let mut hash = blocks.fold(0u32, |hash, block| {
        let block = u32::from_le_bytes(block.try_into().expect("blocks have four bytes"));
        (hash ^ scramble(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    hash ^= scramble(rest);
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}
