//! How rows lie while windows are looked at.

use super::shape::Shape;
use crate::lanes::Lanes;

/// How a padded row lies in lines: its number `p` in line `p % stride` at place `p / stride`.
pub(super) struct Lines {
    /// Columns of the input, without padding.
    pub width: usize,
    /// Columns of the output.
    pub columns: usize,
    pub stride: usize,
    pub padding: usize,
    /// From one line to the next, registers of slack behind each.
    pub len: usize,
    /// How far behind its own place in a line an output's window reaches.
    pub reach: usize,
    /// For each column of a window where it lies, for the first output.
    pub taps: Vec<usize>,
}

/// Numbers of the largest register.
pub(super) const SLACK: usize = 16;

impl Lines {
    pub fn new(shape: &Shape) -> Lines {
        let (width, columns, [_, kernel]) = (shape.width, shape.output()[1], shape.kernel);
        let (stride, padding) = (shape.stride[1], shape.padding[1]);
        let reach = (kernel - 1) / stride;
        let len = (columns + reach).max((padding + width).div_ceil(stride)) + 2 * SLACK;
        let taps = (0..kernel).map(|column| column % stride * len + column / stride).collect();
        Lines { width, columns, stride, padding, len, reach, taps }
    }

    /// Numbers of all lines.
    pub fn all(&self) -> usize {
        self.stride * self.len
    }

    /// Whether windows are pairs of columns beside each other, which need no lines.
    #[inline(always)]
    pub fn are_pairs(&self) -> bool {
        self.stride == 2 && self.taps.len() == 2 && self.padding == 0
    }

    /// Numbers of a row of outputs with zeros on both sides, so that windows may be looked for from each place of a line.
    pub fn outputs(&self) -> usize {
        self.columns + 2 * self.reach + 2 * SLACK
    }

    /// Where a column of the input lies.
    #[inline(always)]
    pub fn place(&self, column: usize) -> usize {
        let padded = self.padding + column;
        padded % self.stride * self.len + padded / self.stride
    }
}

/// Writes two registers of columns into lines.
#[inline(always)]
pub(super) fn part<V: Lanes>(lines: &Lines, first: usize, [value, next]: [V; 2], to: &mut [f32]) {
    match lines.stride {
        1 => {
            value.store(&mut to[lines.padding + first..]);
            next.store(&mut to[lines.padding + first + V::N..]);
        }
        2 => {
            let [even, odd] = value.parted(next);
            even.store(&mut to[lines.place(0) + first / 2..]);
            odd.store(&mut to[lines.place(1) + first / 2..]);
        }
        _ => {
            let mut some = [0.0; 2 * SLACK];
            value.store(&mut some);
            next.store(&mut some[V::N..]);
            for column in first..lines.width.min(first + 2 * V::N) {
                to[lines.place(column)] = some[column - first];
            }
        }
    }
}

/// Some columns of a row; fillers beyond its end.
#[inline(always)]
pub(super) fn columns<V: Lanes>(row: &[f32], first: usize, filler: f32) -> V {
    match first + V::N <= row.len() {
        true => V::load(&row[first..]),
        false => V::load_part(&row[first.min(row.len())..], filler),
    }
}
