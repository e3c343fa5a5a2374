//! Memory that a kernel needs while it works, kept by its thread for the next one: a step of training allocates nothing here.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// A line of the cache: memory begins at one, so that no two threads write into the same.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "it is read as part of a slice of numbers")] [f32; 16]);

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Memories that a thread keeps at most: more than kernels ever hold at once.
const FREE_MOST: usize = 32;

/// Lends memory for `len` numbers, aligned to 64 bytes. What is in it is whatever the last borrower left: fill it before it is read.
pub(crate) fn scratch<T>(len: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    work(&mut keep(len))
}

/// Memory that may outlive a call; it goes back to the thread that drops it.
#[derive(Debug)]
pub(crate) struct Kept(Lines);

/// Numbers aligned to 64 bytes.
#[derive(Debug)]
pub(crate) struct Lines {
    memory: Vec<Line>,
    len: usize,
}

impl Lines {
    /// So many, all 0.
    pub fn new(len: usize) -> Lines {
        Lines { memory: vec![Line([0.0; 16]); len.div_ceil(16)], len }
    }
}

/// As [`scratch`], until it is dropped.
pub(crate) fn keep(len: usize) -> Kept {
    let lines = len.div_ceil(16);
    // The address sanitizer sees a step beyond memory only where it ends; and what is read before it is written is to be seen too.
    if cfg!(exact_scratch) {
        return Kept(Lines { memory: vec![Line([f32::NAN; 16]); lines], len });
    }
    let memory = FREE.with_borrow_mut(|free| take(free, lines));
    // What was in one that is too short is of no use, so it is not copied.
    let memory = if memory.len() < lines { vec![Line([0.0; 16]); lines] } else { memory };
    Kept(Lines { memory, len })
}

/// The smallest memory that is large enough, else the largest, which is to be replaced: so that few are ever large.
fn take(free: &mut Vec<Vec<Line>>, lines: usize) -> Vec<Line> {
    let enough = (0..free.len()).filter(|place| free[*place].len() >= lines).min_by_key(|place| free[*place].len());
    let place = enough.or_else(|| (0..free.len()).max_by_key(|place| free[*place].len()));
    place.map_or_else(Vec::new, |place| free.swap_remove(place))
}

impl Drop for Kept {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.0.memory);
        // A thread that is ending has no place for it any more.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < FREE_MOST {
                free.push(memory);
            }
        });
    }
}

impl Deref for Kept {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.0
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Deref for Lines {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: lines are arrays of numbers without gaps between them, all of which were written once.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<f32>(), self.len) }
    }
}

impl DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast::<f32>(), self.len) }
    }
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
