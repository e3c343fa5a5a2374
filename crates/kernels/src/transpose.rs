//! Rows and columns exchanged.

use crate::kernel::kernel;

kernel! {
    /// `to[column * to_stride + row] = from[row * stride + column]`, block by block in registers.
    ///
    /// # Panics
    /// When one of the slices is too short.
    pub(crate) fn transpose<V>(from: &[f32], sides: [usize; 2], stride: usize, to: &mut [f32], to_stride: usize) {
        let [rows, columns] = sides;
        if rows * columns == 0 {
            return;
        }
        assert!(from.len() >= (rows - 1) * stride + columns && to.len() >= (columns - 1) * to_stride + rows, "a matrix lies in its slice");
        let whole = [rows / V::N * V::N, columns / V::N * V::N];
        for row in (0..whole[0]).step_by(V::N) {
            for column in (0..whole[1]).step_by(V::N) {
                // SAFETY: whole blocks lie inside of both slices.
                unsafe { V::transpose(from.as_ptr().add(row * stride + column), stride, to.as_mut_ptr().add(column * to_stride + row), to_stride) };
            }
        }
        for row in 0..rows {
            for column in if row < whole[0] { whole[1] } else { 0 }..columns {
                to[column * to_stride + row] = from[row * stride + column];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn every_number_finds_its_place() {
        for level in Level::available() {
            for [rows, columns] in [[0, 3], [3, 0], [1, 1], [16, 32], [35, 18], [5, 70]] {
                let from: Vec<f32> = (0..rows * (columns + 3)).map(|place| place as f32).collect();
                let mut to = vec![-1.0; columns * (rows + 2)];
                transpose(level, &from, [rows, columns], columns + 3, &mut to, rows + 2);
                for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                    assert_eq!(to[column * (rows + 2) + row], from[row * (columns + 3) + column], "{level:?}");
                }
                assert_eq!(to.iter().filter(|value| **value == -1.0).count(), 2 * columns, "{level:?}: nothing else is written");
            }
        }
    }
}
