//! Forwards.

use super::lines::{Lines, columns, part};
use super::shape::{Pooling, Shape};
use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::scratch::scratch;
use crate::team::each_part;

/// `y` from `x`.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn forward(shape: &Shape, pooling: Pooling, x: &[f32], y: &mut [f32]) {
    shape.check(x.len(), y.len());
    if pooling == Pooling::Average && shape.is_global() {
        return global_means(shape, x, y);
    }
    let (level, lines) = (Level::current(), Lines::new(shape));
    shape.for_each_map(y, |map, y| {
        let x = shape.map(x, map);
        match pooling {
            Pooling::Average => scratch(lines.all(), |memory| join_windows(level, Add(shape.share()), shape, &lines, x, y, memory)),
            Pooling::Max => scratch(lines.all(), |memory| join_windows(level, Largest, shape, &lines, x, y, memory)),
        }
    });
}

/// The mean of each map.
fn global_means(shape: &Shape, x: &[f32], y: &mut [f32]) {
    let (level, pixels) = (Level::current(), shape.height * shape.width);
    each_part(y, MAPS, !shape.is_serial(), |part, y| means(level, &x[part * MAPS * pixels..][..y.len() * pixels], y));
}

/// Whole maps that a thread takes at once.
const MAPS: usize = 64;

kernel! {
    /// Means of as many maps.
    fn means<V>(x: &[f32], y: &mut [f32]) {
        let pixels = x.len() / y.len().max(1);
        let share = 1.0 / pixels as f32;
        for (x, y) in x.chunks_exact(pixels.max(1)).zip(y) {
            let mut sums = [V::splat(0.0); 2];
            let pairs = pixels / (2 * V::N) * (2 * V::N);
            for i in (0..pairs).step_by(2 * V::N) {
                sums[0] = sums[0].add(V::load(&x[i..]));
                sums[1] = sums[1].add(V::load(&x[i + V::N..]));
            }
            for i in (pairs..pixels).step_by(V::N) {
                sums[0] = sums[0].add(V::load_part(&x[i..pixels.min(i + V::N)], 0.0));
            }
            *y = sums[0].add(sums[1]).sum() * share;
        }
    }
}

/// What is made of two numbers.
pub(super) trait Join: Copy {
    /// What changes nothing.
    const FILLER: f32;
    fn join<V: Lanes>(a: V, b: V) -> V;
    /// What a window's result is multiplied by.
    fn scale(self) -> f32;
}

#[derive(Clone, Copy)]
pub(super) struct Largest;

impl Join for Largest {
    const FILLER: f32 = f32::NEG_INFINITY;
    /// The larger one; none where either is no number.
    #[inline(always)]
    fn join<V: Lanes>(a: V, b: V) -> V {
        a.select_equal(a, a.max(b), a)
    }
    fn scale(self) -> f32 {
        1.0
    }
}

/// The sum, times what it holds.
#[derive(Clone, Copy)]
struct Add(f32);

impl Join for Add {
    const FILLER: f32 = 0.0;
    #[inline(always)]
    fn join<V: Lanes>(a: V, b: V) -> V {
        a.add(b)
    }
    fn scale(self) -> f32 {
        self.0
    }
}

kernel! {
    fn join_windows<V, J: Join>(join: J, shape: &Shape, lines: &Lines, x: &[f32], y: &mut [f32], memory: &mut [f32]) {
        let scale = V::splat(join.scale());
        memory.fill(J::FILLER);
        for (row, y) in y.chunks_exact_mut(lines.columns).enumerate() {
            let rows = shape.rows_under(x, row);
            if !lines.are_pairs() {
                part_rows::<V, J>(lines, rows, memory);
            }
            for i in (0..lines.columns).step_by(V::N) {
                let value = match lines.are_pairs() {
                    true => joined_pairs::<V, J>(rows, lines.width, 2 * i),
                    false => joined_taps::<V, J>(lines, memory, i),
                };
                let to = &mut y[i..];
                let many = to.len().min(V::N);
                // SAFETY: so many are there.
                unsafe { value.mul(scale).store_some(to.as_mut_ptr(), many) };
            }
        }
    }
}

/// Some windows of pairs of columns, joined.
#[inline(always)]
fn joined_pairs<V: Lanes, J: Join>(rows: &[f32], width: usize, first: usize) -> V {
    let [even, odd] = joined::<V, J>(rows, width, first).parted(joined::<V, J>(rows, width, first + V::N));
    J::join(even, odd)
}

/// Some windows in lines, joined.
#[inline(always)]
fn joined_taps<V: Lanes, J: Join>(lines: &Lines, memory: &[f32], first: usize) -> V {
    let mut value = V::load(&memory[first..]);
    for tap in &lines.taps[1..] {
        value = J::join(value, V::load(&memory[tap + first..]));
    }
    value
}

/// Joins rows and parts the result into lines.
#[inline(always)]
fn part_rows<V: Lanes, J: Join>(lines: &Lines, rows: &[f32], to: &mut [f32]) {
    for i in (0..lines.width).step_by(2 * V::N) {
        let values = [joined::<V, J>(rows, lines.width, i), joined::<V, J>(rows, lines.width, i + V::N)];
        part(lines, i, values, to);
    }
}

/// Some columns of rows, joined; fillers beyond the width.
#[inline(always)]
fn joined<V: Lanes, J: Join>(rows: &[f32], width: usize, first: usize) -> V {
    let (mut value, mut rest) = (V::splat(J::FILLER), rows);
    // Iterators over rows would divide by the width, each time.
    while !rest.is_empty() {
        let (row, below) = rest.split_at(width);
        value = J::join(value, columns(row, first, J::FILLER));
        rest = below;
    }
    value
}
