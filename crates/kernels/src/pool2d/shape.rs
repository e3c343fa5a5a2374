//! What pooling is told about its tensors.

use crate::team::each_part;
use std::ops::Range;

/// A window that slides over maps `[maps, height, width]`; windows that reach over the padded edge are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Images times channels.
    pub maps: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Rows and columns added on each side: zeros that count for means, nothing for the largest number.
    pub padding: [usize; 2],
}

/// What becomes of a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pooling {
    /// Its largest number; what is no number counts as larger than all.
    Max,
    /// Its mean, zeros of the padding among it.
    Average,
}

/// Places in a window's rows are below this, so that they are exact in `f32` and are the last bits of what is added to `COUNTED`.
pub(super) const EXACT: usize = 1 << 22;
/// Work below this many numbers under windows is not worth a second thread.
const SERIAL: usize = 1 << 15;

impl Shape {
    /// Height and width of the output.
    ///
    /// # Panics
    /// When the padded input is smaller than the window.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let side = [self.height, self.width][axis] + 2 * self.padding[axis];
            assert!(side >= self.kernel[axis], "the window reaches over {} of {side} pixels", self.kernel[axis]);
            (side - self.kernel[axis]) / self.stride[axis] + 1
        })
    }

    pub(super) fn check(&self, x: usize, y: usize) {
        let [rows, columns] = self.output();
        assert_eq!([x, y], [self.maps * self.height * self.width, self.maps * rows * columns], "tensors are as long as {self:?} says");
    }

    /// Numbers of an output map.
    pub(super) fn outputs(&self) -> usize {
        self.output().iter().product()
    }

    /// Whether [`forward_max`](super::forward_max) can say which pixels won: windows are below four million pixels in whole rows, maps below four billion, and
    /// each window sees a pixel.
    pub fn can_count(&self) -> bool {
        let is_seen = (0..2).all(|axis| self.padding[axis] < self.kernel[axis]);
        is_seen && self.kernel[0] * self.width < EXACT && self.height * self.width <= u32::MAX as usize
    }

    /// A map of the input.
    pub(super) fn map<'a>(&self, x: &'a [f32], number: usize) -> &'a [f32] {
        &x[number * self.height * self.width..][..self.height * self.width]
    }

    /// Calls `work` with the number of each map and its part of a tensor.
    pub(super) fn for_each_map(&self, tensor: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
        if tensor.is_empty() {
            return;
        }
        each_part(tensor, tensor.len() / self.maps, !self.is_serial(), work);
    }

    pub(super) fn is_serial(&self) -> bool {
        let [rows, columns] = self.output();
        self.maps * rows * columns * self.kernel[0] * self.kernel[1] < SERIAL
    }

    /// Whether one window sees all.
    pub(super) fn is_global(&self) -> bool {
        self.kernel == [self.height, self.width] && self.padding == [0; 2]
    }

    /// What a pixel contributes to a mean.
    pub(super) fn share(&self) -> f32 {
        1.0 / (self.kernel[0] * self.kernel[1]) as f32
    }

    /// Rows of a map under windows of a row of the output.
    pub(super) fn rows_under<'a>(&self, x: &'a [f32], row: usize) -> &'a [f32] {
        let rows = self.under(0, row);
        &x[rows.start * self.width..rows.end * self.width]
    }

    /// Pixels of a side under the window at a place of the output.
    pub(super) fn under(&self, axis: usize, place: usize) -> Range<usize> {
        let start = place * self.stride[axis];
        let side = [self.height, self.width][axis];
        let from = start.saturating_sub(self.padding[axis]).min(side);
        from..(start + self.kernel[axis]).saturating_sub(self.padding[axis]).clamp(from, side)
    }
}
