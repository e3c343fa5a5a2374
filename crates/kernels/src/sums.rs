//! Sums of slices.

use crate::pieces::in_pieces;

/// Adds `values` to `to`.
///
/// # Panics
/// When the slices differ in length.
pub fn add(values: &[f32], to: &mut [f32]) {
    assert_eq!(values.len(), to.len(), "one number for each");
    in_pieces(to, |from, to| to.iter_mut().zip(&values[from..]).for_each(|(to, value)| *to += value));
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
    fn sums_are_sums() {
        let values: Vec<f32> = (0..100_003).map(|place| (place % 7) as f32).collect();
        let mut to = vec![1.0; values.len()];
        add(&values, &mut to);
        assert!(to.iter().zip(&values).all(|(to, value)| *to == value + 1.0));
        assert_eq!((sum(&values[..1003]), sum(&[])), (values[..1003].iter().sum(), 0.0));
    }
}
