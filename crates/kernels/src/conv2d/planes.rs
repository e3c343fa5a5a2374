//! Tiles of images as planes: zeros around them, phases of a stride apart.

use std::ops::Range;

/// Numbers that a kernel may read or write beyond the end of planes: a block of two registers, and as many again.
pub(super) const SLACK: usize = 64;

/// How far a tile's planes reach, about: a thread's second-level cache holds some dozens of them.
const TILE: usize = 512;

/// How rows or columns of a plane lie in an image: plane row `i` is image row `start + i * step`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Axis {
    pub start: isize,
    pub step: usize,
    pub len: usize,
}

impl Axis {
    /// The rows of the plane that lie in an image of so many.
    fn inside(&self, image: usize) -> Range<usize> {
        let first = ((-self.start).max(0) as usize).div_ceil(self.step);
        let behind = ((image as isize - self.start).max(0) as usize).div_ceil(self.step);
        let end = behind.min(self.len);
        first.min(end)..end
    }
}

/// Writes an image's map into a plane.
pub(super) fn fill(plane: &mut [f32], [rows, columns]: [Axis; 2], image: &[f32], [height, width]: [usize; 2]) {
    let (inside, across) = (rows.inside(height), columns.inside(width));
    let plane = &mut plane[..rows.len * columns.len];
    if across.is_empty() {
        return plane.fill(0.0);
    }
    let from = (columns.start + (across.start * columns.step) as isize) as usize;
    for (row, line) in plane.chunks_exact_mut(columns.len).enumerate() {
        if !inside.contains(&row) {
            line.fill(0.0);
            continue;
        }
        let source = &image[(rows.start + (row * rows.step) as isize) as usize * width..][..width];
        line[..across.start].fill(0.0);
        line[across.end..].fill(0.0);
        let line = &mut line[across.clone()];
        match columns.step {
            1 => line.copy_from_slice(&source[from..from + line.len()]),
            step => line.iter_mut().zip(source[from..].iter().step_by(step)).for_each(|(to, from)| *to = *from),
        }
    }
}

/// Some whole images, or some rows of one image, that are worked on together. Borders depend on the shape alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tile {
    pub images: Range<usize>,
    pub rows: Range<usize>,
}

impl Tile {
    /// Its first and its second half; itself where it is a single row.
    pub fn halves(self) -> Vec<Tile> {
        let half = |range: &Range<usize>| range.start + range.len().div_ceil(2);
        let Tile { images, rows } = self;
        let [one, other] = match (images.len(), rows.len()) {
            (2.., _) => [images.start..half(&images), half(&images)..images.end].map(|images| Tile { images, rows: rows.clone() }),
            (_, 2..) => [rows.start..half(&rows), half(&rows)..rows.end].map(|rows| Tile { images: images.clone(), rows }),
            _ => return vec![Tile { images, rows }],
        };
        vec![one, other]
    }
}

/// Cuts a batch into tiles of output rows. `extra` rows of a plane and `width` columns belong to a tile beside its own rows.
pub(super) fn tiles(batch: usize, rows: usize, extra: usize, width: usize) -> Vec<Tile> {
    let whole = (rows + extra) * width;
    if whole <= TILE {
        let images = (TILE / whole.max(1)).max(1);
        return (0..batch).step_by(images).map(|first| Tile { images: first..(first + images).min(batch), rows: 0..rows }).collect();
    }
    let few = (TILE / width.max(1)).max(1).min(rows);
    // Equal shares, so that no last tile is a sliver.
    let few = rows.div_ceil(rows.div_ceil(few));
    let cut = move |image| (0..rows).step_by(few).map(move |first| Tile { images: image..image + 1, rows: first..(first + few).min(rows) });
    (0..batch).flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_hold_phases_and_zeros() {
        let image: Vec<f32> = (1..=9).map(|value| value as f32).collect();
        let mut plane = [7.0; 12];
        let rows = Axis { start: -1, step: 2, len: 3 };
        fill(&mut plane, [rows, Axis { start: -1, step: 1, len: 4 }], &image, [3, 3]);
        assert_eq!(plane, [0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0]);
        fill(&mut plane, [rows, Axis { start: 0, step: 2, len: 4 }], &image, [3, 3]);
        assert_eq!(plane, [0.0, 0.0, 0.0, 0.0, 4.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn tiles_cover_each_row_once() {
        for (batch, rows, extra, width) in [(3, 4, 2, 6), (2, 32, 2, 34), (1, 224, 6, 230), (0, 5, 0, 5), (5, 1, 0, 1), (1, 3, 2, 5000)] {
            let mut seen = vec![0; batch * rows];
            for tile in tiles(batch, rows, extra, width).into_iter().flat_map(Tile::halves) {
                tile.images.clone().for_each(|image| tile.rows.clone().for_each(|row| seen[image * rows + row] += 1));
            }
            assert!(seen.iter().all(|times| *times == 1), "{batch} {rows} {extra} {width}");
        }
    }
}
