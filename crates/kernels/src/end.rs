//! What becomes of a convolution's sums at their end, while they lie in registers or in the cache: a bias, a norm whose statistics are known,
//! the other branch of a residual block, an activation.

use crate::kernel::kernel;
use crate::lanes::Lanes;
use std::ops::Range;

/// `min(max(sum * scale + shift + added, low), high)`, where `scale` and `shift` have a number for each map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    scale: Option<&'a [f32]>,
    shift: Option<&'a [f32]>,
    /// As long as the output.
    added: Option<&'a [f32]>,
    /// The smallest and the largest number that is left as it is.
    range: [f32; 2],
}

/// The same for the numbers of one map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub scale: f32,
    pub shift: f32,
    range: [f32; 2],
}

/// All numbers.
pub(crate) const ALL: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl<'a> End<'a> {
    /// Sums stay as they are.
    pub const NOTHING: End<'static> = End { scale: None, shift: None, added: None, range: ALL };

    /// A bias for each map, if there is one.
    pub fn bias(bias: Option<&'a [f32]>) -> End<'a> {
        End { shift: bias, ..End::NOTHING }
    }

    /// All of it.
    pub fn new(scale: Option<&'a [f32]>, shift: Option<&'a [f32]>, added: Option<&'a [f32]>, range: [f32; 2]) -> End<'a> {
        End { scale, shift, added, range }
    }

    /// Asserts that there is a number for each map and each output.
    pub fn check(&self, maps: usize, outputs: usize) {
        let fits = |some: Option<&[f32]>, len: usize| some.is_none_or(|some| some.len() == len);
        assert!(fits(self.scale, maps) && fits(self.shift, maps), "one scale and one shift a map");
        assert!(fits(self.added, outputs), "as many numbers are added as there are");
    }

    /// Whether sums stay as they are.
    pub fn is_nothing(&self) -> bool {
        self.scale.is_none() && self.shift.is_none() && self.added.is_none() && self.range == ALL
    }

    /// The same for some maps, whose outputs are a part of all.
    pub fn part(self, maps: Range<usize>, outputs: Range<usize>) -> End<'a> {
        let numbers = |some: Option<&'a [f32]>| some.map(|some| &some[maps.clone()]);
        End { scale: numbers(self.scale), shift: numbers(self.shift), added: self.added(outputs), range: self.range }
    }

    /// Of what is added, a part.
    #[inline(always)]
    pub fn added(&self, outputs: Range<usize>) -> Option<&'a [f32]> {
        self.added.map(|added| &added[outputs])
    }

    /// For the numbers of a map.
    #[inline(always)]
    pub fn line(&self, map: usize) -> Line {
        Line { scale: self.scale.map_or(1.0, |scale| scale[map]), shift: self.shift.map_or(0.0, |shift| shift[map]), range: self.range }
    }

    /// For a register that holds a number of each of some maps.
    #[inline(always)]
    pub fn across<V: Lanes>(&self, maps: Range<usize>) -> Across<V> {
        // No closures: what is handed to a library's function may stay a call.
        let scale = match self.scale {
            Some(scale) => V::load_part(&scale[maps.clone()], 0.0),
            None => V::splat(1.0),
        };
        let shift = match self.shift {
            Some(shift) => V::load_part(&shift[maps], 0.0),
            None => V::splat(0.0),
        };
        let [low, high] = self.range_before_added();
        let is_shift = self.scale.is_none() && [low, high] == ALL;
        Across { scale, shift, range: [V::splat(low), V::splat(high)], is_shift }
    }

    /// What is cut off of sums that are scaled and shifted: nothing yet where something is added to them.
    #[inline(always)]
    pub fn range_before_added(&self) -> [f32; 2] {
        if self.added.is_some() { ALL } else { self.range }
    }

    /// What is left for each of a map's numbers that are scaled and shifted already.
    #[inline(always)]
    pub fn rest(&self) -> Line {
        Line { scale: 1.0, shift: 0.0, range: self.range }
    }
}

/// For registers that hold a number of each of some maps, without what is added, and what must come after that.
#[derive(Clone, Copy)]
pub(crate) struct Across<V> {
    scale: V,
    shift: V,
    range: [V; 2],
    /// Whether the shift is all, as it is in training.
    is_shift: bool,
}

impl<V: Lanes> Across<V> {
    #[inline(always)]
    pub fn of(&self, sum: V) -> V {
        if self.is_shift {
            return sum.add(self.shift);
        }
        // What is no number stays none.
        self.range[1].min(self.range[0].max(sum.mul_add(self.scale, self.shift)))
    }
}

impl Line {
    #[inline(always)]
    pub fn of<V: Lanes>(&self, sum: V) -> V {
        self.clamped(sum.mul_add(V::splat(self.scale), V::splat(self.shift)))
    }

    #[inline(always)]
    pub fn of_both<V: Lanes>(&self, sum: V, added: V) -> V {
        self.clamped(sum.mul_add(V::splat(self.scale), V::splat(self.shift)).add(added))
    }

    #[inline(always)]
    fn clamped<V: Lanes>(&self, value: V) -> V {
        V::splat(self.range[1]).min(V::splat(self.range[0]).max(value))
    }
}

kernel! {
    /// Ends rows of a map, `columns` long in `to` and in `added`, and `width` apart in `from`.
    pub(crate) fn finish<V>(line: Line, from: &[f32], width: usize, added: Option<&[f32]>, columns: usize, to: &mut [f32]) {
        // Rows without gaps are one.
        let columns = if width == columns { to.len() } else { columns };
        for (row, to) in to.chunks_exact_mut(columns.max(1)).enumerate() {
            let (from, added) = (&from[row * width..][..columns], added.map(|added| &added[row * columns..][..columns]));
            // SAFETY: all three are so long.
            unsafe { end_row::<V>(line, from.as_ptr(), added.map(<[f32]>::as_ptr), to.as_mut_ptr(), columns) };
        }
    }
}

kernel! {
    /// Ends all maps of an image where they lie, each of so many numbers.
    pub(crate) fn finish_maps<V>(end: End<'_>, pixels: usize, to: &mut [f32]) {
        if end.is_nothing() {
            return;
        }
        if pixels == 1 {
            for first in (0..to.len()).step_by(V::N) {
                let part = first..to.len().min(first + V::N);
                let ended = end.across::<V>(part.clone()).of(V::load_part(&to[part.clone()], 0.0));
                let ended = match end.added(part.clone()) {
                    Some(added) => end.rest().of_both(ended, V::load_part(added, 0.0)),
                    None => ended,
                };
                ended.store_part(&mut to[part]);
            }
            return;
        }
        for (map, to) in to.chunks_exact_mut(pixels.max(1)).enumerate() {
            let (added, start) = (end.added(map * pixels..(map + 1) * pixels), to.as_mut_ptr());
            // SAFETY: both are so long.
            unsafe { end_row::<V>(end.line(map), start, added.map(<[f32]>::as_ptr), start, pixels) };
        }
    }
}

/// Ends so many numbers, which may be written where they are read.
///
/// # Safety
/// All of them must be readable and writable, by nobody else at the same time.
#[inline(always)]
pub(crate) unsafe fn end_row<V: Lanes>(line: Line, from: *const f32, added: Option<*const f32>, to: *mut f32, len: usize) {
    for place in (0..len).step_by(V::N) {
        let many = V::N.min(len - place);
        // SAFETY: the caller's promise.
        unsafe {
            let sum = V::load_some(from.add(place), many);
            let ended = match added {
                Some(added) => line.of_both(sum, V::load_some(added.add(place), many)),
                None => line.of(sum),
            };
            ended.store_some(to.add(place), many);
        }
    }
}
