//! Backwards.

use super::lines::Lines;
use super::shape::Shape;
use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::scratch::scratch;

/// `dx` from `dy`: each winner takes all of its window.
///
/// # Panics
/// When slices are not as long as the shape says, or a winner is in no map.
pub fn backward_max(shape: &Shape, winners: &[u32], dy: &[f32], dx: &mut [f32]) {
    shape.check(dx.len(), dy.len());
    assert_eq!(winners.len(), dy.len(), "a winner for each window");
    let outputs = shape.outputs();
    shape.for_each_map(dx, |map, dx| {
        dx.fill(0.0);
        let given = map * outputs..(map + 1) * outputs;
        winners[given.clone()].iter().zip(&dy[given]).for_each(|(winner, dy)| dx[*winner as usize] += dy);
    });
}

/// `dx` from `dy`: each number takes its share.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn backward_average(shape: &Shape, dy: &[f32], dx: &mut [f32]) {
    shape.check(dx.len(), dy.len());
    let (level, lines, outputs) = (Level::current(), Lines::new(shape), shape.outputs());
    shape.for_each_map(dx, |map, dx| {
        let dy = &dy[map * outputs..][..outputs];
        match shape.is_global() {
            true => dx.fill(dy[0] * shape.share()),
            false => scratch(lines.all() + lines.outputs(), |memory| share_windows(level, shape, &lines, dy, dx, memory)),
        }
    });
}

kernel! {
    fn share_windows<V>(shape: &Shape, lines: &Lines, dy: &[f32], dx: &mut [f32], memory: &mut [f32]) {
        dx.fill(0.0);
        memory.fill(0.0);
        let (back, gradients) = memory.split_at_mut(lines.all());
        let share = V::splat(shape.share());
        for (row, dy) in dy.chunks_exact(lines.columns).enumerate() {
            for i in (0..lines.columns).step_by(V::N) {
                V::load_part(&dy[i..lines.columns.min(i + V::N)], 0.0).mul(share).store(&mut gradients[lines.reach + i..]);
            }
            spread::<V>(lines, gradients, back);
            for row in shape.under(0, row) {
                add_lines::<V>(lines, back, &mut dx[row * lines.width..][..lines.width]);
            }
        }
    }
}

/// Gradients of a row of the input in lines: for each place the sum of those of all windows that see it.
#[inline(always)]
fn spread<V: Lanes>(lines: &Lines, gradients: &[f32], back: &mut [f32]) {
    for (phase, line) in back.chunks_exact_mut(lines.len).enumerate().take(lines.taps.len()) {
        let windows = (lines.taps.len() - phase).div_ceil(lines.stride);
        for i in (0..lines.columns + lines.reach).step_by(V::N) {
            let mut sum = V::splat(0.0);
            for behind in 0..windows {
                sum = sum.add(V::load(&gradients[lines.reach + i - behind..]));
            }
            sum.store(&mut line[i..]);
        }
    }
}

/// Adds lines to a row of the input: the way back from `part_rows`.
#[inline(always)]
fn add_lines<V: Lanes>(lines: &Lines, back: &[f32], row: &mut [f32]) {
    match lines.stride {
        1 => {
            for i in (0..row.len()).step_by(V::N) {
                add_some(V::load(&back[lines.padding + i..]), &mut row[i..]);
            }
        }
        2 => {
            let [even, odd] = [lines.place(0), lines.place(1)];
            for i in (0..row.len()).step_by(2 * V::N) {
                let [first, second] = V::load(&back[even + i / 2..]).woven(V::load(&back[odd + i / 2..]));
                add_some(first, &mut row[i..]);
                let next = row.len().min(i + V::N);
                add_some(second, &mut row[next..]);
            }
        }
        _ => row.iter_mut().enumerate().for_each(|(column, to)| *to += back[lines.place(column)]),
    }
}

/// Adds to the first numbers of a slice.
#[inline(always)]
fn add_some<V: Lanes>(value: V, to: &mut [f32]) {
    match to.len() >= V::N {
        true => V::load(to).add(value).store(to),
        false => V::load_part(to, 0.0).add(value).store_part(to),
    }
}
