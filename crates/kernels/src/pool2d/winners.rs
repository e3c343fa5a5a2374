//! Forwards for the largest numbers, with the pixels that they come from.

use super::forward::{Join, Largest};
use super::lines::{Lines, SLACK, columns, part};
use super::shape::{EXACT, Shape};
use crate::Level;
use crate::kernel::kernel;
use crate::lanes::Lanes;
use crate::scratch::scratch;
use crate::shared::Shared;
use crate::team::each_part;

/// As [`forward`](super::forward()) for the largest numbers; `winners` says which pixel of its map each one is: the first of equal ones, one of those that
/// are no numbers.
///
/// # Panics
/// When slices are not as long as the shape says.
pub fn forward_max(shape: &Shape, x: &[f32], y: &mut [f32], winners: &mut [u32]) {
    shape.check(x.len(), y.len());
    assert_eq!(winners.len(), y.len(), "a winner for each window");
    assert!(shape.can_count(), "pixels can be counted, and windows see some: {shape:?}");
    let (level, lines, outputs) = (Level::current(), Lines::new(shape), shape.outputs());
    let y = Shared::new(y);
    each_part(winners, outputs, !shape.is_serial(), |map, winners| {
        // SAFETY: each map is one thread's.
        let y = unsafe { y.part(map * outputs..(map + 1) * outputs) };
        scratch(2 * lines.all() + lines.outputs(), |memory| find_windows(level, shape, &lines, shape.map(x, map), y, winners, memory));
    });
}

/// 2^23.
const COUNTED: f32 = 8_388_608.0;
/// Columns of a register.
const COLUMNS: [f32; SLACK] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

kernel! {
    fn find_windows<V>(shape: &Shape, lines: &Lines, x: &[f32], y: &mut [f32], winners: &mut [u32], memory: &mut [f32]) {
        let (largest, rest) = memory.split_at_mut(lines.all());
        let (places, found) = rest.split_at_mut(lines.all());
        largest.fill(f32::NEG_INFINITY);
        // So padding wins from no pixel, be it minus infinity.
        places.fill(EXACT as f32);
        for (row, (y, winners)) in y.chunks_exact_mut(lines.columns).zip(winners.chunks_exact_mut(lines.columns)).enumerate() {
            let rows = shape.rows_under(x, row);
            if !lines.are_pairs() {
                part_largest::<V>(lines, rows, largest, places);
            }
            for i in (0..lines.columns).step_by(V::N) {
                let [best, place] = match lines.are_pairs() {
                    true => first_of_pairs::<V>(rows, lines.width, 2 * i),
                    false => first_of_taps::<V>(lines, largest, places, i),
                };
                let many = V::N.min(lines.columns - i);
                // SAFETY: so many are there.
                unsafe { best.store_some(y.as_mut_ptr().add(i), many) };
                place.add(V::splat(COUNTED)).store(&mut found[i..]);
            }
            let above = (shape.under(0, row).start * lines.width) as u32;
            winners.iter_mut().zip(&*found).for_each(|(to, from)| *to = (from.to_bits() & (EXACT - 1) as u32) + above);
        }
    }
}

/// The largest numbers of some windows of pairs of columns, and their places.
#[inline(always)]
fn first_of_pairs<V: Lanes>(rows: &[f32], width: usize, first: usize) -> [V; 2] {
    let [[value, place], [next, next_place]] = [highest::<V>(rows, width, first), highest::<V>(rows, width, first + V::N)];
    let ([even, odd], [its, other]) = (value.parted(next), place.parted(next_place));
    first_of([even, its], [odd, other])
}

/// The largest numbers of some windows in lines, and their places.
#[inline(always)]
fn first_of_taps<V: Lanes>(lines: &Lines, largest: &[f32], places: &[f32], first: usize) -> [V; 2] {
    let mut best = [V::load(&largest[first..]), V::load(&places[first..])];
    for tap in &lines.taps[1..] {
        best = first_of(best, [V::load(&largest[tap + first..]), V::load(&places[tap + first..])]);
    }
    best
}

/// The larger of two numbers and its place, the lower place where they are equal. What is no number is larger than all.
#[inline(always)]
fn first_of<V: Lanes>([best, place]: [V; 2], [value, its]: [V; 2]) -> [V; 2] {
    let first = value.select_equal(best, place.min(its), place);
    let first = value.select_greater(best, its, first);
    [Largest::join(best, value), value.select_equal(value, first, its)]
}

/// Parts the largest numbers of each column of rows, and their places, into lines.
#[inline(always)]
fn part_largest<V: Lanes>(lines: &Lines, rows: &[f32], largest: &mut [f32], places: &mut [f32]) {
    for i in (0..lines.width).step_by(2 * V::N) {
        let (first, second) = (highest::<V>(rows, lines.width, i), highest::<V>(rows, lines.width, i + V::N));
        part(lines, i, [first[0], second[0]], largest);
        part(lines, i, [first[1], second[1]], places);
    }
}

/// The largest numbers of some columns of rows, and their places; minus infinities beyond the width.
#[inline(always)]
fn highest<V: Lanes>(rows: &[f32], width: usize, first: usize) -> [V; 2] {
    let (below, mut its) = (V::splat(width as f32), V::load(&COLUMNS).add(V::splat(first as f32)));
    let (mut best, mut place) = (V::splat(f32::NEG_INFINITY), its);
    let mut rest = rows;
    while !rest.is_empty() {
        let (row, lower) = rest.split_at(width);
        let value: V = columns(row, first, f32::NEG_INFINITY);
        place = value.select_greater(best, its, place);
        place = value.select_equal(value, place, its);
        best = Largest::join(best, value);
        its = its.add(below);
        rest = lower;
    }
    [best, place]
}
