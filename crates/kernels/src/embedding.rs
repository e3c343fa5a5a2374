//! Rows of a table by number, and the table's gradient: each row's is the sum of the gradients of where it was used.

use crate::Level;
use crate::kernel::kernel;
use crate::pieces::PIECE;
use crate::shared::Shared;
use crate::team::{each, each_part};

/// Copies row `indices[i]` of a table `[rows, width]` to row i of `y`.
///
/// # Panics
/// When an index is not below the number of rows, or slices are not whole rows.
pub fn forward(width: usize, table: &[f32], indices: &[u32], y: &mut [f32]) {
    check(width, table.len(), indices, y.len());
    if y.is_empty() {
        return;
    }
    let (piece, pays) = ((PIECE / width).max(1), y.len() > 2 * PIECE);
    each_part(y, piece * width, pays, |number, y| {
        for (to, index) in y.chunks_exact_mut(width).zip(&indices[number * piece..]) {
            to.copy_from_slice(&table[*index as usize * width..][..width]);
        }
    });
}

/// The gradient of the table; that of row `padding`, which stands for nothing, is zero. Uses of a row are added in their order: they are
/// sorted by row first (counted, as there are few rows), and each row belongs to one piece of work.
///
/// # Panics
/// When an index is not below the number of rows, or slices are not whole rows.
pub fn backward(width: usize, indices: &[u32], padding: Option<u32>, dy: &[f32], dtable: &mut [f32]) {
    check(width, dtable.len(), indices, dy.len());
    if dtable.is_empty() {
        return;
    }
    let level = Level::current();
    let rows = dtable.len() / width;
    if dy.len().max(dtable.len()) <= 2 * PIECE {
        dtable.fill(0.0);
        for (place, index) in indices.iter().enumerate().filter(|(_, index)| Some(**index) != padding) {
            add_row(level, &dy[place * width..][..width], &mut dtable[*index as usize * width..][..width]);
        }
        return;
    }
    let (starts, uses) = sorted(rows, indices);
    // Pieces of about as many uses and rows, for both take time.
    let load = |row: usize| starts[row] as usize + row;
    let piece = (PIECE / width).max(1);
    let pieces = load(rows).div_ceil(piece);
    let border = |number: usize| partition(rows, |row| load(row) < number * piece);
    let to = Shared::new(dtable);
    each(pieces, true, |number| {
        for row in border(number)..if number + 1 == pieces { rows } else { border(number + 1) } {
            // SAFETY: each row belongs to one piece.
            let to = unsafe { to.part(row * width..(row + 1) * width) };
            let mine = &uses[starts[row] as usize..starts[row + 1] as usize];
            match mine {
                [first, rest @ ..] if padding != Some(row as u32) => {
                    to.copy_from_slice(&dy[*first as usize * width..][..width]);
                    for place in rest {
                        add_row(level, &dy[*place as usize * width..][..width], to);
                    }
                }
                _ => to.fill(0.0),
            }
        }
    });
}

fn check(width: usize, table: usize, indices: &[u32], others: usize) {
    assert!(width > 0 && table.is_multiple_of(width), "a table is whole rows");
    assert_eq!(others, indices.len() * width, "one row for each index");
    let most = indices.iter().copied().max();
    assert!(most.is_none_or(|most| (most as usize) < table / width), "index {most:?} is not below {}", table / width);
}

/// Where the uses of each row begin, and places of the uses, row by row and in their order.
fn sorted(rows: usize, indices: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; rows + 1];
    for index in indices {
        starts[*index as usize + 1] += 1;
    }
    for row in 0..rows {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut uses = vec![0u32; indices.len()];
    for (place, index) in indices.iter().enumerate() {
        let to = &mut next[*index as usize];
        uses[*to as usize] = place as u32;
        *to += 1;
    }
    (starts, uses)
}

/// The first row for which `is_before` does not hold.
fn partition(rows: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = low.midpoint(high);
        match is_before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

kernel! {
    fn add_row<V>(from: &[f32], to: &mut [f32]) {
        let whole = from.len() / V::N * V::N;
        for i in (0..whole).step_by(V::N) {
            V::load(&to[i..]).add(V::load(&from[i..])).store(&mut to[i..]);
        }
        V::load_part(&to[whole..], 0.0).add(V::load_part(&from[whole..], 0.0)).store_part(&mut to[whole..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use crate::with;
    use proptest::prelude::*;

    /// Holds rows and gradients against what is added one by one, to the bit: both add in the same order.
    fn check(rows: usize, width: usize, indices: &[u32], padding: Option<u32>) {
        let (table, dy) = (noise(rows * width, 1), noise(indices.len() * width, 2));
        let wanted: Vec<f32> = indices.iter().flat_map(|index| table[*index as usize * width..][..width].to_vec()).collect();
        let mut slopes = vec![0.0; table.len()];
        for (place, index) in indices.iter().enumerate().filter(|(_, index)| padding != Some(**index)) {
            (0..width).for_each(|i| slopes[*index as usize * width + i] += dy[place * width + i]);
        }
        for (level, threads) in Level::available().into_iter().flat_map(|level| [(level, 1), (level, 2)]) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (mut y, mut dtable) = (vec![f32::NAN; wanted.len()], vec![f32::NAN; table.len()]);
            pool.install(|| {
                with(level, || {
                    forward(width, &table, indices, &mut y);
                    backward(width, indices, padding, &dy, &mut dtable);
                });
            });
            assert!(y == wanted && dtable == slopes, "{rows} x {width}, {} indices at {level:?}, {threads} threads", indices.len());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_table_is_right(width in 1..40usize, indices in proptest::collection::vec(0..50u32, 0..200), padding in 0..60u32) {
            check(50, width, &indices, (padding < 50).then_some(padding));
        }
    }

    #[test]
    fn many_indices_are_right() {
        let indices: Vec<u32> = (0..3000u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 20) % 700).collect();
        check(1000, 37, &indices, Some(3));
        // One row has all the uses.
        check(1000, 37, &[5; 2000], None);
    }
}
