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

/// A copy of a slice, made by several threads when it is a long one.
pub fn copied(values: &[f32]) -> Vec<f32> {
    let mut all = unwritten(values.len());
    copy(values, &mut all);
    all
}

/// The same into a slice that is there.
///
/// # Panics
/// When the slices differ in length.
pub fn copy(values: &[f32], to: &mut [f32]) {
    assert_eq!(values.len(), to.len(), "one number for each");
    in_pieces(to, |from, to| to.copy_from_slice(&values[from..from + to.len()]));
}

/// So many numbers that may be any, for a kernel that writes all of them: zeros cost 2 to 10 % of a step.
pub fn unwritten(len: usize) -> Vec<f32> {
    let mut all: Vec<f32> = Vec::with_capacity(len);
    // SAFETY: the block is told the address and may write there, so the compiler has to take the memory for written by it; what lies there
    // are numbers, for each pattern of bits is one.
    unsafe {
        std::arch::asm!("/* {0} */", in(reg) all.as_mut_ptr(), options(nostack, preserves_flags));
        all.set_len(len);
    }
    if cfg!(exact_scratch) {
        // So that a test sees what a kernel left out.
        all.fill(f32::NAN);
    }
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
        to.fill(0.0);
        copy(&values, &mut to);
        assert!(to == values);
        let mut some = unwritten(1000);
        some.fill(2.0);
        assert!(some == vec![2.0; 1000] && unwritten(0).is_empty());
        assert_eq!((sum(&values[..1003]), sum(&[])), (values[..1003].iter().sum(), 0.0));
    }
}
