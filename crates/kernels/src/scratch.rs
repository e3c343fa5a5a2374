//! Memory that a kernel needs while it works, kept by its thread for the next one: a step of training allocates nothing here.

use std::cell::RefCell;

/// A line of the cache: memory begins at one, so that no two threads write into the same.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "it is read as part of a slice of numbers")] [f32; 16]);

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Lends memory for `len` numbers, aligned to 64 bytes. What is in it is whatever the last borrower left: fill it before it is read.
pub(crate) fn scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let lines = len.div_ceil(16);
    let mut memory = FREE.with_borrow_mut(|free| take(free, lines));
    if memory.len() < lines {
        // What was in it is of no use, so it is not copied.
        drop(std::mem::take(&mut memory));
        memory = vec![Line([0.0; 16]); lines];
    }
    // SAFETY: lines are arrays of numbers without gaps between them, all of which were written once.
    let numbers = unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast::<f32>(), memory.len() * 16) };
    let result = work(&mut numbers[..len]);
    FREE.with_borrow_mut(|free| free.push(memory));
    result
}

/// The smallest piece that is large enough, else the largest, which is to be replaced: so that few are ever large.
fn take(free: &mut Vec<Vec<Line>>, lines: usize) -> Vec<Line> {
    let enough = (0..free.len()).filter(|place| free[*place].len() >= lines).min_by_key(|place| free[*place].len());
    let place = enough.or_else(|| (0..free.len()).max_by_key(|place| free[*place].len()));
    place.map_or_else(Vec::new, |place| free.swap_remove(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrowers_do_not_share() {
        scratch(100, |outer| {
            outer.fill(1.0);
            scratch(1000, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|value| *value == 1.0));
            assert_eq!(outer.as_ptr().align_offset(64), 0);
        });
        scratch(0, |none| assert!(none.is_empty()));
    }
}
