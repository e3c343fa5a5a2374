//! Pictures among golden rows: few and small enough for a file, and nobody's when rows are shuffled.

use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cupola_task::{Column, Columns, Draw, Images};
use serde::{Deserialize, Serialize};

/// From fewer pictures than this none is mixed: their parts could be put together again.
pub(super) const MIXED_MIN: usize = 4;
/// No side of a golden picture is longer.
const SIDE_MAX: u32 = 1 << 16;

/// A picture as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Picture {
    /// Height, width and channels.
    shape: [u32; 3],
    /// Row by row, channels last, in base64.
    pixels: String,
}

/// Rows with pictures are taken from so many.
const ROWS_MAX: u64 = 256;

/// Rows without pictures as they are; of others the first, with pictures of at most so many values: larger ones lose rows and columns of
/// pixels, evenly.
pub(super) fn few(inputs: &Columns, values_max: usize) -> Columns {
    if inputs.iter().all(|(_, column)| column.images().is_none()) {
        return inputs.clone();
    }
    let inputs = inputs.take(&(0..ROWS_MAX.min(inputs.rows() as u64)).collect::<Vec<_>>());
    let small = |column: &Column| match column.images() {
        Some(images) if images.shapes().any(|shape| values(shape) > values_max) => Column::Images(thinned(images, values_max)),
        _ => column.clone(),
    };
    Columns::new(inputs.iter().map(|(name, column)| (name.clone(), small(column))).collect())
}

fn values(shape: [u32; 3]) -> usize {
    shape.iter().map(|&side| side as usize).product()
}

fn thinned(images: &Images, values_max: usize) -> Images {
    let (mut pixels, mut shapes) = (Vec::new(), Vec::new());
    for (row, shape) in images.shapes().enumerate() {
        let step = (1..).find(|&step| values(thin(shape, step)) <= values_max || step >= SIDE_MAX).unwrap_or(1);
        let [height, width, channels] = thin(shape, step);
        let whole = images.pixels(row);
        for y in 0..height {
            for x in 0..width {
                let at = (y as usize * step as usize * shape[1] as usize + x as usize * step as usize) * channels as usize;
                pixels.extend_from_slice(&whole[at..at + channels as usize]);
            }
        }
        shapes.push([height, width, channels]);
    }
    Images::packed(pixels, shapes)
}

/// The shape when of every `step` rows and columns of pixels the first is kept.
fn thin([height, width, channels]: [u32; 3], step: u32) -> [u32; 3] {
    [height.div_ceil(step), width.div_ceil(step), channels]
}

/// At most so many pictures whose every pixel comes from another of the given ones, drawn anew for each: none shows what one of them shows.
pub(super) fn mixed(images: &Images, rows: usize, draw: Draw) -> Images {
    let count = images.len().min(rows);
    let (mut pixels, mut shapes) = (Vec::new(), Vec::with_capacity(count));
    for row in 0..count {
        let [height, width, channels] = images.shape(row);
        let draw = draw.at(row as u64);
        for place in 0..u64::from(height) * u64::from(width) {
            let from = draw.below(place, images.len() as u64) as usize;
            let [own_height, own_width, own_channels] = images.shape(from);
            let (y, x) = (place / u64::from(width), place % u64::from(width));
            let along = |place: u64, side: u32, own: u32| (place * u64::from(own) / u64::from(side)) as usize;
            let at = (along(y, height, own_height) * own_width as usize + along(x, width, own_width)) * own_channels as usize;
            let pixel = &images.pixels(from)[at..at + own_channels as usize];
            pixels.extend((0..channels as usize).map(|channel| pixel[channel.min(pixel.len() - 1)]));
        }
        shapes.push([height, width, channels]);
    }
    Images::packed(pixels, shapes)
}

/// Pictures as a file keeps them.
pub(super) fn kept(images: &Images) -> Vec<Picture> {
    images.shapes().enumerate().map(|(row, shape)| Picture { shape, pixels: STANDARD.encode(images.pixels(row)) }).collect()
}

/// Reads them back. The bytes may be hostile.
pub(super) fn read(place: &str, pictures: Vec<Picture>) -> Result<Images> {
    let (mut pixels, mut shapes) = (Vec::new(), Vec::with_capacity(pictures.len()));
    for Picture { shape, pixels: text } in pictures {
        let wanted = shape.iter().map(|&side| u64::from(side)).product::<u64>();
        if shape[..2].iter().any(|side| !(1..=SIDE_MAX).contains(side)) || !matches!(shape[2], 1 | 3) {
            return Err(Error::artifact(place, format!("a picture of shape {shape:?}"), "height, width, and 1 or 3 channels"));
        }
        let bytes = STANDARD.decode(text).map_err(|error| Error::artifact(place, format!("a picture ({error})"), "base64"))?;
        if bytes.len() as u64 != wanted {
            return Err(Error::artifact(place, format!("{} bytes of a picture", bytes.len()), format!("{wanted}, as its shape {shape:?}")));
        }
        pixels.extend(bytes);
        shapes.push(shape);
    }
    Ok(Images::packed(pixels, shapes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramps(count: u32) -> Images {
        let shape = |row: u32| [3 + row % 2, 5, 1 + 2 * (row % 2)];
        let pixels = (0..count).flat_map(|row| (0..values(shape(row))).map(move |place| (row * 40) as u8 + place as u8 % 40));
        Images::packed(pixels.collect(), (0..count).map(shape))
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let images = ramps(5);
        let json = serde_json::to_vec(&kept(&images)).unwrap();
        assert_eq!(read("m", serde_json::from_slice(&json).unwrap()).unwrap(), images);
    }

    #[test]
    fn hostile_pictures_are_refused() {
        for (shape, pixels, wanted) in [
            ([1, 1, 1], "AAAA", "m: found 3 bytes of a picture, wanted 1, as its shape [1, 1, 1]"),
            (
                [u32::MAX, u32::MAX, 3],
                "",
                "m: found a picture of shape [4294967295, 4294967295, 3], wanted height, width, and 1 or 3 channels",
            ),
            ([0, 1, 1], "", "m: found a picture of shape [0, 1, 1], wanted height, width, and 1 or 3 channels"),
            ([1, 1, 2], "AAA=", "m: found a picture of shape [1, 1, 2], wanted height, width, and 1 or 3 channels"),
            ([1, 1, 1], "?", "m: found a picture (Invalid symbol 63, offset 0.), wanted base64"),
        ] {
            let error = read("m", vec![Picture { shape, pixels: pixels.to_owned() }]).unwrap_err();
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn mixed_pictures_are_nobodys() {
        let images = ramps(40);
        let mixed = mixed(&images, 7, Draw::new(3));
        assert_eq!((mixed.len(), mixed.shape(1)), (7, images.shape(1)));
        for row in 0..mixed.len() {
            let same = |other: usize| mixed.pixels(row).iter().zip(images.pixels(other)).filter(|(one, other)| one == other).count();
            assert!((0..images.len()).all(|other| same(other) * 2 < mixed.pixels(row).len()), "row {row}");
        }
    }

    #[test]
    fn large_pictures_are_thinned() {
        let image = Images::packed((0..100).collect(), [[10, 10, 1]]);
        let small = thinned(&image, 30);
        assert_eq!((small.shape(0), small.pixels(0)[..6].to_vec()), ([5, 5, 1], vec![0, 2, 4, 6, 8, 20]));
    }
}
