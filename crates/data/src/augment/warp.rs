//! Moving pixels: one map from the result's pixels to the image's, sampled bilinearly, or copied row by row where it only shifts and
//! mirrors.

/// From a point of the result to the point of the image that is seen there: `x' = m0 x + m1 y + m2`, `y' = m3 x + m4 y + m5`. A pixel's
/// middle lies at half a pixel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Map(pub [f64; 6]);

/// What lies beyond the border of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Border {
    Black,
    /// The image mirrored at the middle of its outermost pixels.
    Reflect,
}

/// An image: rows of pixels, channels last.
#[derive(Clone, Copy)]
pub(crate) struct Picture<'p> {
    pub pixels: &'p [u8],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

/// What one thread computes places in.
#[derive(Default)]
pub(crate) struct Places {
    columns: Vec<usize>,
}

/// The place of what lies beyond the border.
const OUTSIDE: usize = usize::MAX;

impl Map {
    /// Everything where it is.
    pub const IDENTITY: Map = Map([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);

    /// First this map, then the other.
    #[must_use]
    pub fn then(self, other: Map) -> Map {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.0, other.0);
        Map([g * a + h * d, g * b + h * e, g * c + h * f + i, j * a + k * d, j * b + k * e, j * c + k * f + l])
    }

    /// Whether pixels are only shifted by whole pixels and mirrored.
    fn copies(self) -> bool {
        let [a, b, c, d, e, f] = self.0;
        a.abs() == 1.0 && e.abs() == 1.0 && b == 0.0 && d == 0.0 && c.fract() == 0.0 && f.fract() == 0.0
    }
}

/// Fills `out`, as large as the image, with what the map shows.
pub(crate) fn warp(picture: Picture<'_>, map: Map, border: Border, places: &mut Places, out: &mut [u8]) {
    assert_eq!(picture.pixels.len(), picture.height * picture.width * picture.channels, "an image has all its pixels");
    assert_eq!(out.len(), picture.pixels.len(), "the result is as large as the image");
    match (map.copies(), picture.channels) {
        (true, _) => copy(picture, map, border, places, out),
        (false, 1) => sample::<1>(picture, map, border, out),
        (false, 3) => sample::<3>(picture, map, border, out),
        (false, channels) => unreachable!("prepared images have 1 or 3 channels, not {channels}"),
    }
}

/// The place along a side of length `side`, or [`OUTSIDE`].
fn inside(place: i64, side: usize, border: Border) -> usize {
    let last = side as i64 - 1;
    match border {
        _ if (0..=last).contains(&place) => place as usize,
        Border::Black => OUTSIDE,
        Border::Reflect if last == 0 => 0,
        Border::Reflect => {
            let folded = place.rem_euclid(2 * last);
            folded.min(2 * last - folded) as usize
        }
    }
}

fn copy(picture: Picture<'_>, map: Map, border: Border, places: &mut Places, out: &mut [u8]) {
    let Picture { pixels, height, width, channels } = picture;
    let [a, _, c, _, e, f] = map.0;
    let at = |place: usize, sign: f64, shift: f64| ((place as f64 + 0.5) * sign + shift).floor() as i64;
    let columns = &mut places.columns;
    columns.clear();
    columns.extend((0..width).map(|x| inside(at(x, a, c), width, border)));
    let runs = columns.windows(2).all(|pair| pair[0] != OUTSIDE && pair[1] == pair[0].wrapping_add(1));
    let stride = width * channels;
    for (y, out) in out.chunks_exact_mut(stride).enumerate() {
        let row = inside(at(y, e, f), height, border);
        if row == OUTSIDE {
            out.fill(0);
            continue;
        }
        let row = &pixels[row * stride..(row + 1) * stride];
        match (runs, channels) {
            // Whole rows are copied as they are: every column is the one after the last.
            (true, _) if columns[0] == 0 => out.copy_from_slice(row),
            (_, 1) => gather::<1>(row, columns, out),
            (_, _) => gather::<3>(row, columns, out),
        }
    }
}

fn gather<const C: usize>(row: &[u8], columns: &[usize], out: &mut [u8]) {
    let (row, _) = row.as_chunks::<C>();
    let (out, _) = out.as_chunks_mut::<C>();
    for (out, &column) in out.iter_mut().zip(columns) {
        *out = if column == OUTSIDE { [0; C] } else { row[column] };
    }
}

/// As Pillow's bilinear transform: a point within the image sees the four pixels around it, those beyond the border being the ones at it.
///
/// Differs: Pillow cuts the result down to a whole number, this rounds it.
fn sample<const C: usize>(picture: Picture<'_>, map: Map, border: Border, out: &mut [u8]) {
    let (height, width) = (picture.height, picture.width);
    let (pixels, _) = picture.pixels.as_chunks::<C>();
    let (out, _) = out.as_chunks_mut::<C>();
    let [a, b, c, d, e, f] = map.0.map(|number| number as f32);
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let v = y as f32 + 0.5;
        let (left, top) = (b * v + c, e * v + f);
        for (x, out) in out.iter_mut().enumerate() {
            let u = x as f32 + 0.5;
            *out = match (around(a * u + left, width, border), around(d * u + top, height, border)) {
                (Some((x0, x1, right)), Some((y0, y1, lower))) => {
                    let (above, below) = (&pixels[y0 * width..(y0 + 1) * width], &pixels[y1 * width..(y1 + 1) * width]);
                    std::array::from_fn(|channel| {
                        let of = |row: &[[u8; C]]| {
                            let (one, other) = (f32::from(row[x0][channel]), f32::from(row[x1][channel]));
                            one + (other - one) * right
                        };
                        let (above, below) = (of(above), of(below));
                        (above + (below - above) * lower + 0.5) as u8
                    })
                }
                _ => [0; C],
            };
        }
    }
}

/// The two pixels around a point along a side, and the second one's share.
fn around(point: f32, side: usize, border: Border) -> Option<(usize, usize, f32)> {
    let last = side as i64 - 1;
    if border == Border::Black && !(0.0..side as f32).contains(&point) {
        return None;
    }
    let below = (point - 0.5).floor();
    let share = point - 0.5 - below;
    let below = below as i64;
    let place = |place: i64| match border {
        Border::Black => place.clamp(0, last) as usize,
        Border::Reflect => inside(place, side, border),
    };
    Some((place(below), place(below + 1), share))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn warped(pixels: &[u8], [height, width, channels]: [usize; 3], map: Map, border: Border) -> Vec<u8> {
        let mut out = vec![7; pixels.len()];
        warp(Picture { pixels, height, width, channels }, map, border, &mut Places::default(), &mut out);
        out
    }

    #[test]
    fn shifts_and_mirrors_are_exact() {
        let pixels = [1, 2, 3, 4, 5, 6];
        let shift = |x: f64, y: f64| Map([1.0, 0.0, x, 0.0, 1.0, y]);
        for (map, border, wanted) in [
            (Map::IDENTITY, Border::Black, [1, 2, 3, 4, 5, 6]),
            (shift(1.0, 0.0), Border::Black, [2, 3, 0, 5, 6, 0]),
            (shift(-1.0, 1.0), Border::Black, [0, 4, 5, 0, 0, 0]),
            (shift(1.0, 0.0), Border::Reflect, [2, 3, 2, 5, 6, 5]),
            (shift(-2.0, -1.0), Border::Reflect, [6, 5, 4, 3, 2, 1]),
            (Map([-1.0, 0.0, 3.0, 0.0, 1.0, 0.0]), Border::Black, [3, 2, 1, 6, 5, 4]),
            (Map([1.0, 0.0, 0.0, 0.0, -1.0, 2.0]), Border::Black, [4, 5, 6, 1, 2, 3]),
            (shift(9.0, 0.0), Border::Black, [0; 6]),
        ] {
            assert_eq!(warped(&pixels, [2, 3, 1], map, border), wanted, "{map:?} {border:?}");
        }
        assert_eq!(warped(&pixels, [1, 2, 3], Map([-1.0, 0.0, 2.0, 0.0, 1.0, 0.0]), Border::Black), [4, 5, 6, 1, 2, 3]);
    }

    proptest! {
        /// Copying is a faster way of sampling: both agree where both apply.
        #[test]
        fn copies_equal_samples(
            height in 1usize..9, width in 1usize..9, colour in any::<bool>(), shift in (-9i32..9, -9i32..9), flips in any::<(bool, bool)>(), reflects in any::<bool>(),
        ) {
            let channels = if colour { 3 } else { 1 };
            let pixels: Vec<u8> = (0..height * width * channels).map(|place| (place * 37 % 256) as u8).collect();
            let axis = |flips: bool, shift: i32, side: usize| if flips { (-1.0, f64::from(shift) + side as f64) } else { (1.0, f64::from(shift)) };
            let ((a, c), (e, f)) = (axis(flips.0, shift.0, width), axis(flips.1, shift.1, height));
            let map = Map([a, 0.0, c, 0.0, e, f]);
            let border = if reflects { Border::Reflect } else { Border::Black };
            let mut sampled = vec![0; pixels.len()];
            let picture = Picture { pixels: &pixels, height, width, channels };
            match channels {
                1 => sample::<1>(picture, map, border, &mut sampled),
                _ => sample::<3>(picture, map, border, &mut sampled),
            }
            prop_assert_eq!(warped(&pixels, [height, width, channels], map, border), sampled);
        }
    }
}
