//! Sums of slices.

use crate::pieces::{PIECE, in_pieces};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Adds `values` to `to`.
///
/// # Panics
/// When the slices differ in length.
pub fn add(values: &[f32], to: &mut [f32]) {
    assert_eq!(values.len(), to.len(), "one number for each");
    in_pieces(to, |from, to| to.iter_mut().zip(&values[from..]).for_each(|(to, value)| *to += value));
}

/// A copy of a slice, made by several threads when it is a long one.
pub fn copied(values: &[f32]) -> Vec<f32> {
    written(values.len(), |first, to| {
        to.write_copy_of_slice(&values[first..first + to.len()]);
    })
}

/// So many zeros, written by several threads when they are many.
pub fn zeros(len: usize) -> Vec<f32> {
    written(len, |_, to| to.fill(MaybeUninit::new(0.0)))
}

/// A vector whose pieces `write` writes, each from its first place on.
fn written(len: usize, write: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let mut all = Vec::with_capacity(len);
    let places = &mut all.spare_capacity_mut()[..len];
    match len <= 2 * PIECE {
        true => write(0, places),
        false => places.par_chunks_mut(PIECE).enumerate().for_each(|(number, piece)| write(number * PIECE, piece)),
    }
    // SAFETY: both functions above write all of each piece.
    unsafe { all.set_len(len) };
    all
}

/// The sum of a slice, in sixteen strands whose sums are added in order.
pub fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    let mut chunks = values.chunks_exact(16);
    for chunk in &mut chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f32>() + chunks.remainder().iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_sums_and_copies_are_copies() {
        let values: Vec<f32> = (0..100_003).map(|place| (place % 7) as f32).collect();
        let mut to = vec![1.0; values.len()];
        add(&values, &mut to);
        assert!(to.iter().zip(&values).all(|(to, value)| *to == value + 1.0));
        assert!(copied(&values) == values && copied(&values[..5]) == values[..5]);
        assert!([0, 5, 100_000].iter().all(|len| zeros(*len) == vec![0.0; *len]));
        assert_eq!((sum(&values[..1003]), sum(&[])), (values[..1003].iter().sum(), 0.0));
    }
}
