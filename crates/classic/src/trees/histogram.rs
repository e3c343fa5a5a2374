//! Sums of gradient pairs by bin, for all features of a leaf.

use super::bins::{Binned, CELLS, GROUP, Group};
use rayon::prelude::*;

/// One feature's sums, by bin.
pub(super) type Cells = [u64; CELLS];

/// Pairs below which a group's sums are not shared between threads.
const SHARE: usize = 8192;

/// Rows copied together before they are added. The copies wait for memory side by side, which the additions, each waiting for its bin,
/// could not: they filled the processor's queue after about four rows and took twice the time (`duel/lightgbm`).
const AHEAD: usize = 64;

/// Every feature's sums.
pub(super) struct Histogram(pub(super) Vec<Cells>);

/// The rows of a leaf.
#[derive(Clone, Copy)]
pub(super) enum LeafRows<'a> {
    /// All rows from this one on.
    From(usize),
    /// These.
    List(&'a [u32]),
}

impl<'a> LeafRows<'a> {
    fn split_at(self, middle: usize) -> (LeafRows<'a>, LeafRows<'a>) {
        match self {
            LeafRows::From(first) => (self, LeafRows::From(first + middle)),
            LeafRows::List(rows) => (LeafRows::List(&rows[..middle]), LeafRows::List(&rows[middle..])),
        }
    }
}

impl Histogram {
    /// Of zeros.
    pub(super) fn new(features: usize) -> Histogram {
        Histogram(vec![[0; CELLS]; features])
    }

    /// Sums the pairs of a leaf, which are in the order of its rows.
    pub(super) fn fill(&mut self, binned: &Binned, rows: LeafRows<'_>, pairs: &[u64]) {
        let groups = binned.groups();
        let threads = if pairs.len() >= SHARE { rayon::current_num_threads() } else { 1 };
        let mut rest = self.0.as_mut_slice();
        let tasks = groups.iter().map(|group| (group, rest.split_off_mut(..group.width).expect("groups cover the features")));
        let sum = |(group, cells): (&Group, &mut [Cells])| {
            cells.fill([0; CELLS]);
            add_shared(cells, group, rows, pairs, threads.div_ceil(groups.len()));
        };
        if threads > 1 {
            tasks.collect::<Vec<_>>().into_par_iter().for_each(sum);
        } else {
            tasks.for_each(sum);
        }
    }

    /// Takes the sums of one child of a leaf away, which leaves those of the other.
    pub(super) fn subtract(&mut self, child: &Histogram) {
        for (cells, taken) in self.0.iter_mut().zip(&child.0) {
            cells.iter_mut().zip(taken).for_each(|(cell, taken)| *cell = cell.wrapping_sub(*taken));
        }
    }
}

/// Adds the pairs in `parts` pieces side by side.
fn add_shared(cells: &mut [Cells], group: &Group, rows: LeafRows<'_>, pairs: &[u64], parts: usize) {
    if parts < 2 || pairs.len() < SHARE {
        return add(cells, group, rows, pairs);
    }
    let middle = pairs.len() / 2;
    let (left, right) = rows.split_at(middle);
    let mut others = vec![[0; CELLS]; group.width];
    rayon::join(
        || add_shared(cells, group, left, &pairs[..middle], parts.div_ceil(2)),
        || add_shared(&mut others, group, right, &pairs[middle..], parts / 2),
    );
    for (cells, others) in cells.iter_mut().zip(&others) {
        cells.iter_mut().zip(others).for_each(|(cell, other)| *cell = cell.wrapping_add(*other));
    }
}

/// Adds the pairs, with a loop of its own for each width, so that neither the row nor the cells need bounds checks.
fn add(cells: &mut [Cells], group: &Group, rows: LeafRows<'_>, pairs: &[u64]) {
    macro_rules! by_width {
        ($($width:literal)*) => {
            match cells.len() {
                $($width => add_rows::<$width>(cells.try_into().expect("the width was matched"), group, rows, pairs),)*
                width => unreachable!("a group has 1 to {GROUP} features, not {width}"),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
}

/// Plain loops with indices: this is where boosting spends its time, and iterator adapters are not inlined across codegen units.
fn add_rows<const WIDTH: usize>(cells: &mut [Cells; WIDTH], group: &Group, rows: LeafRows<'_>, pairs: &[u64]) {
    match rows {
        LeafRows::From(first) => {
            let table = &group.rows[first..first + pairs.len()];
            for place in 0..pairs.len() {
                add_row(cells, &table[place], pairs[place]);
            }
        }
        LeafRows::List(rows) => {
            let mut ahead = [[0u8; GROUP]; AHEAD];
            let mut first = 0;
            while first < pairs.len() {
                let rows = &rows[first..pairs.len().min(first + AHEAD)];
                for place in 0..rows.len() {
                    ahead[place] = group.rows[rows[place] as usize];
                }
                let pairs = &pairs[first..first + rows.len()];
                for place in 0..rows.len() {
                    add_row(cells, &ahead[place], pairs[place]);
                }
                first += AHEAD;
            }
        }
    }
}

#[inline(always)]
fn add_row<const WIDTH: usize>(cells: &mut [Cells; WIDTH], bins: &[u8; GROUP], pair: u64) {
    let mut feature = 0;
    while feature < WIDTH {
        let cell = &mut cells[feature][bins[feature] as usize];
        *cell = cell.wrapping_add(pair);
        feature += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Feature, Values};
    use cupola_task::Draw;

    #[test]
    fn fill_adds_each_row_once_for_any_width_and_thread_count() {
        let draw = Draw::new(2);
        for (features, rows) in [(1, 100), (17, 9000), (40, 20_000)] {
            let column = |feature: u64| (0..rows).map(|row| draw.at(feature).normal(row)).collect();
            let features: Vec<Feature> =
                (0..features).map(|feature| Feature { name: "x".into(), values: Values::Numbers(column(feature)) }).collect();
            let binned = Binned::fit(&features, rows as usize, 255, draw);
            let order: Vec<u32> = (0..rows as u32).filter(|row| row % 3 != 1).collect();
            let pairs: Vec<u64> = order.iter().map(|&row| draw.bits(u64::from(row)) >> 24).collect();
            let mut wanted = vec![[0u64; CELLS]; features.len()];
            for (column, cells) in binned.columns.iter().zip(&mut wanted) {
                order.iter().zip(&pairs).for_each(|(&row, pair)| cells[usize::from(column[row as usize])] += pair);
            }
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut histogram = Histogram::new(features.len());
                pool.install(|| histogram.fill(&binned, LeafRows::List(&order), &pairs));
                assert!(histogram.0 == wanted, "{} features, {threads} threads", features.len());
            }
        }
    }
}
