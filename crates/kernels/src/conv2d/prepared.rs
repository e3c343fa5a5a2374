//! A convolution that answers again and again with the same weights: what its way makes of them is made once and kept, and what follows it in
//! a network, a norm with known statistics and an activation that cuts off, is done at its end.

use super::forward::run;
use super::shape::Shape;
use crate::Level;
use crate::end::End;
use crate::scratch::{Lines, scratch};
use std::sync::OnceLock;

/// A convolution made ready. It does not hold the weights: they are given to every call, and must be the same each time.
#[derive(Debug)]
pub struct Prepared {
    shape: Shape,
    level: Level,
    scale: Option<Vec<f32>>,
    shift: Option<Vec<f32>>,
    range: [f32; 2],
    transformed: OnceLock<Lines>,
    packed: OnceLock<Lines>,
    turned: OnceLock<Lines>,
}

impl Prepared {
    /// For images of a shape, in batches of any size. What is answered is `min(max(sum * scale + shift + added, low), high)`, where `scale`
    /// and `shift` have a number for each filter, and `range` is `[low, high]`.
    ///
    /// # Panics
    /// When there is not one number for each filter.
    pub fn new(shape: &Shape, scale: Option<Vec<f32>>, shift: Option<Vec<f32>>, range: [f32; 2]) -> Prepared {
        let is_long = |some: &Option<Vec<f32>>| some.as_ref().is_none_or(|some| some.len() == shape.filters);
        assert!(is_long(&scale) && is_long(&shift), "one scale and one shift a filter");
        let [transformed, packed, turned] = [(); 3].map(|()| OnceLock::new());
        Prepared { shape: *shape, level: Level::current(), scale, shift, range, transformed, packed, turned }
    }

    /// Filters, height and width of an image's output.
    pub fn output(&self) -> [usize; 3] {
        let [height, width] = self.shape.output();
        [self.shape.filters, height, width]
    }

    /// Answers for a batch; `added` is as long as `y`.
    ///
    /// # Panics
    /// When a slice is not as long as its tensor.
    pub fn forward(&self, batch: usize, x: &[f32], weight: &[f32], added: Option<&[f32]>, y: &mut [f32]) {
        let end = End::new(self.scale.as_deref(), self.shift.as_deref(), added, self.range);
        run(&Shape { batch, ..self.shape }, x, Weights { values: weight, prepared: Some(self) }, end, y);
    }
}

/// Weights of a convolution, and what was made of them before.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    /// `[filters, channels / groups, kernel, kernel]`
    pub values: &'a [f32],
    prepared: Option<&'a Prepared>,
}

impl<'a> Weights<'a> {
    /// Nothing was made of them.
    pub fn plain(values: &'a [f32]) -> Weights<'a> {
        Weights { values, prepared: None }
    }

    /// Lends transformed kernels.
    pub fn transformed<T>(self, level: Level, len: usize, make: impl FnOnce(&mut [f32]), work: impl FnOnce(&[f32]) -> T) -> T {
        kept(self.at(level).map(|prepared| &prepared.transformed), len, make, work)
    }

    /// Lends weights in another order, some of them left out.
    pub fn packed<T>(self, level: Level, len: usize, make: impl FnOnce(&mut [f32]), work: impl FnOnce(&[f32]) -> T) -> T {
        kept(self.at(level).map(|prepared| &prepared.packed), len, make, work)
    }

    /// Whether what is made of them is kept.
    pub fn is_prepared(self) -> bool {
        self.prepared.is_some()
    }

    /// Lends panels that outputs go over.
    pub fn turned<T>(self, level: Level, len: usize, make: impl FnOnce(&mut [f32]), work: impl FnOnce(&[f32]) -> T) -> T {
        kept(self.at(level).map(|prepared| &prepared.turned), len, make, work)
    }

    /// Panels of another level are of no use.
    fn at(self, level: Level) -> Option<&'a Prepared> {
        self.prepared.filter(|prepared| prepared.level == level)
    }
}

fn kept<T>(place: Option<&OnceLock<Lines>>, len: usize, make: impl FnOnce(&mut [f32]), work: impl FnOnce(&[f32]) -> T) -> T {
    let Some(place) = place else {
        return scratch(len, |lines| {
            make(lines);
            work(lines)
        });
    };
    // Not `get_or_init`: a thread of the pool that waits within it may take up work that needs the same place, and wait for itself.
    if place.get().is_none() {
        let mut lines = Lines::new(len);
        make(&mut lines);
        let _ = place.set(lines);
    }
    work(place.get().expect("it was just filled, by this thread or another"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conv2d::forward;
    use crate::conv2d::tests::square;
    use crate::testing::noise;
    use crate::{unwritten, with};
    use proptest::prelude::*;

    /// Holds what is answered, twice, against a plain convolution that is ended number by number.
    fn check(shape: &Shape) {
        let [x, weight, y] = shape.lens();
        let (x, weight, added) = (noise(x, 1), noise(weight, 2), noise(y, 3));
        let (scale, shift) = (noise(shape.filters, 4), noise(shape.filters, 5));
        let pixels = shape.output().iter().product::<usize>().max(1);
        for level in Level::available() {
            with(level, || {
                let mut sums = unwritten(y);
                forward(shape, &x, &weight, None, &mut sums);
                for (has_norm, has_added, range) in
                    [(true, true, [0.0, f32::INFINITY]), (true, false, [0.0, 0.5]), (false, true, crate::end::ALL)]
                {
                    let some = |numbers: &[f32]| has_norm.then(|| numbers.to_vec());
                    let prepared = Prepared::new(shape, some(&scale), some(&shift), range);
                    for _ in 0..2 {
                        let mut found = unwritten(y);
                        prepared.forward(shape.batch, &x, &weight, has_added.then_some(&added), &mut found);
                        for (place, found) in found.iter().enumerate() {
                            let map = place / pixels % shape.filters;
                            let normed = if has_norm { sums[place] * scale[map] + shift[map] } else { sums[place] };
                            let wanted = (normed + if has_added { added[place] } else { 0.0 }).clamp(range[0], range[1]);
                            assert!((found - wanted).abs() < 1e-5 * (1.0 + wanted.abs()), "{shape:?} at {level:?}: {found} for {wanted}");
                        }
                    }
                }
            });
        }
    }

    #[test]
    fn every_way_ends_alike() {
        for shape in [
            square(2, 16, 14, 24, 3, 1, 1),                        // Winograd
            square(1, 40, 1, 20, 3, 1, 1),                         // inner products of the one tap
            square(2, 40, 1, 20, 3, 1, 1),                         // of two images
            square(1, 33, 2, 20, 3, 1, 1),                         // of four outputs
            square(3, 40, 5, 20, 3, 2, 1),                         // columns
            square(2, 40, 12, 300, 1, 1, 0),                       // 1x1
            square(2, 300, 9, 20, 1, 1, 0),                        // 1x1, deep
            square(2, 3, 12, 20, 5, 2, 2),                         // planes
            Shape { groups: 12, ..square(2, 12, 9, 12, 3, 1, 1) }, // depthwise
            Shape { groups: 12, ..square(2, 12, 7, 24, 3, 1, 1) },
            Shape { groups: 2, ..square(2, 12, 9, 20, 3, 1, 1) },
            square(0, 16, 14, 24, 3, 1, 1),
        ] {
            check(&shape);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_shape_ends_alike(
            (batch, channels, filters) in (0..4usize, 1..40usize, 1..40usize),
            (height, width, kernel, stride, padding) in (1..20usize, 1..20usize, 1..4usize, 1..3usize, 0..2usize),
        ) {
            let shape = Shape { height, width, ..square(batch, channels, height, filters, kernel, stride, padding) };
            if height.min(width) + 2 * padding >= kernel {
                check(&shape);
            }
        }
    }
}
