//! Matrices with rows and columns exchanged.

use crate::kernel::kernel;
use crate::shared::Shared;

kernel! {
    /// `to[first + column * stride + row] = from[row * columns + column]`, for so many rows and columns.
    ///
    /// Numbers between the rows of `to` are left as they are; nobody else may write the others at the same time.
    pub(crate) fn turn<V>(from: &[f32], sides: [usize; 2], to: Shared<'_>, first: usize, stride: usize) {
        let [rows, columns] = sides;
        assert!(from.len() >= rows * columns, "there are so many numbers");
        // SAFETY: the caller's promise.
        let to = unsafe { to.rows_at(first, columns, stride, rows) };
        for row in (0..rows).step_by(V::N) {
            for column in (0..columns).step_by(V::N) {
                let (tall, wide) = (V::N.min(rows - row), V::N.min(columns - column));
                let (from, to) = (&from[row * columns + column..], to.wrapping_add(column * stride + row));
                if tall == V::N && wide == V::N {
                    // SAFETY: the block lies inside both, as asserted and as `rows_at` asserted.
                    unsafe { V::transpose(from.as_ptr(), columns, to, stride) };
                    continue;
                }
                let mut block = [0.0; 16 * 16];
                for place in 0..tall {
                    // A row that is short is read up to its end.
                    let line = V::load_part(&from[place * columns..][..wide], 0.0);
                    line.store(&mut block[place * V::N..]);
                }
                let mut turned = [0.0; 16 * 16];
                // SAFETY: there is room for 16 x 16.
                unsafe { V::transpose(block.as_ptr(), V::N, turned.as_mut_ptr(), V::N) };
                for place in 0..wide {
                    // SAFETY: so many numbers lie inside.
                    unsafe { V::load(&turned[place * V::N..]).store_some(to.add(place * stride), tall) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, with};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_and_columns_change_places((rows, columns, gap) in (0..40usize, 0..40usize, 0..3usize)) {
            let from: Vec<f32> = (0..rows * columns).map(|number| number as f32).collect();
            for level in Level::available() {
                let mut to = vec![-1.0; columns * (rows + gap)];
                with(level, || turn(level, &from, [rows, columns], Shared::new(&mut to), 0, rows + gap));
                for (place, found) in to.iter().enumerate() {
                    let (column, row) = (place / (rows + gap), place % (rows + gap));
                    let wanted = if row < rows { from[row * columns + column] } else { -1.0 };
                    assert_eq!(*found, wanted, "{rows}x{columns}+{gap} at {level:?}");
                }
            }
        }
    }
}
