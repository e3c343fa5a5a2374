//! One slice written by several threads, each in places of its own.

use std::marker::PhantomData;
use std::ops::Range;

/// A slice whose parts are handed to threads. [`each_part`](crate::team::each_part) does the same where parts lie one behind the other; here they need not.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: a part is handed out only through `part`, whose caller promises that no two overlap.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Shared<'a> {
        Shared { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// A part.
    ///
    /// # Safety
    /// No two parts that live at the same time may overlap.
    ///
    /// # Panics
    /// When it does not lie in the slice.
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} lies outside of {}", self.len);
        // SAFETY: it lies inside, and the caller promises that it is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The address of the first of some rows, `stride` numbers apart and `wide` long.
    ///
    /// # Safety
    /// No row may overlap with a part that somebody else holds.
    ///
    /// # Panics
    /// When they do not lie in the slice.
    pub(crate) unsafe fn rows_at(&self, first: usize, rows: usize, stride: usize, wide: usize) -> *mut f32 {
        assert!(rows == 0 || first + (rows - 1) * stride + wide <= self.len, "rows lie outside of {}", self.len);
        // SAFETY: it lies inside.
        unsafe { self.start.add(first) }
    }
}
