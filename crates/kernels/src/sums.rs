//! Sums of slices.

use crate::pieces::{PIECE, in_pieces};
use rayon::prelude::*;

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
    if values.len() <= 2 * PIECE {
        return values.to_vec();
    }
    let mut to = Vec::with_capacity(values.len());
    let places = to.spare_capacity_mut()[..values.len()].par_chunks_mut(PIECE);
    places.zip(values.par_chunks(PIECE)).for_each(|(to, from)| {
        to.write_copy_of_slice(from);
    });
    // SAFETY: every number was written just now.
    unsafe { to.set_len(values.len()) };
    to
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
        assert_eq!((sum(&values[..1003]), sum(&[])), (values[..1003].iter().sum(), 0.0));
    }
}
