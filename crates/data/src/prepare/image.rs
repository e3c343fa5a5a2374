//! Images: all brought to one size and to equally many channels, as a network wants them.
//!
//! Grey becomes colour by repeating, colour grey by the luma of ITU-R BT.601 in fixed point, as Pillow's `convert("L")`. Sizes change as
//! in torchvision's evaluation presets: the shorter side is brought to size / crop, with Pillow's bilinear filter over all pixels that an
//! output pixel covers, and the middle is cut out.

use super::choice::{Choice, Fit};
use cupola_task::{Error, ImageNeeds, Images, Kind, Needs, Result, Value};
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The largest height and width.
pub(crate) const SIZE_MAX: u32 = 4096;
/// The share of each side that is kept of photographs (torchvision's presets: 256 to 224).
const CROP: f64 = 0.875;
/// A common size is kept up to so many pixels a side, or up to the model's own size.
const SIZE_KEPT_MAX: u32 = 256;
/// From how many images on they are prepared in parallel.
const MANY_IMAGES: usize = 16;

/// What is done to one column of images.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImageStep {
    channels: u8,
    /// Height and width.
    size: [u32; 2],
    fit: Fit,
    /// The share of the shorter side that is kept, where the middle is cut out.
    crop: f64,
}

impl ImageStep {
    /// Learns from training images.
    pub fn fit(images: &Images, choice: &Choice) -> Result<ImageStep> {
        let Needs::Images(needs) = choice.needs else {
            return Err(Error::setting(choice.key("type"), "image", "another type, for the model takes no images"));
        };
        check(images, &choice.name)?;
        let channels = channels(images, needs, choice)?;
        let size = size(images, needs, choice)?;
        let is_small = |shape: [u32; 3]| shape[0] <= size[0] && shape[1] <= size[1];
        let is_nearly = |shape: [u32; 3]| is_small(shape) && shape[0] * 4 >= size[0] * 3 && shape[1] * 4 >= size[1] * 3;
        let common = common_size(images);
        let pads = common.is_some_and(|[h, w]| [h, w] != size && is_nearly([h, w, 1]));
        let fit = choice.fit.unwrap_or(if pads { Fit::Pad } else { Fit::Crop });
        Ok(ImageStep { channels, size, fit, crop: choice.crop.unwrap_or_else(|| crop(images, size)) })
    }

    /// Whether all that was read from outside is in range.
    pub fn is_sound(&self) -> bool {
        matches!(self.channels, 1 | 3) && self.size.iter().all(|side| (1..=SIZE_MAX).contains(side)) && (0.1..=1.0).contains(&self.crop)
    }

    /// The prepared kind.
    pub fn kind(&self) -> Kind {
        Kind::Image { channels: self.channels, size: Some(self.size) }
    }

    /// The prepared images. When all of them are as wanted they share the pixels.
    pub fn apply(&self, images: &Images, name: &str) -> Result<Images> {
        check(images, name)?;
        let [height, width] = self.size;
        let shape = [height, width, u32::from(self.channels)];
        if images.shapes().all(|found| found == shape) {
            return Ok(images.clone());
        }
        let bytes = height as usize * width as usize * usize::from(self.channels);
        let mut prepared = vec![0; bytes * images.len()];
        if images.len() < MANY_IMAGES {
            let mut bench = Bench::default();
            prepared.chunks_exact_mut(bytes).enumerate().for_each(|(row, out)| self.place(&mut bench, images, row, out));
        } else {
            let rows = prepared.par_chunks_exact_mut(bytes).enumerate();
            rows.for_each_init(Bench::default, |bench, (row, out)| self.place(bench, images, row, out));
        }
        Ok(Images::packed(prepared, std::iter::repeat_n(shape, images.len())))
    }

    /// One image, into pixels that are 0.
    fn place(&self, bench: &mut Bench, images: &Images, row: usize, out: &mut [u8]) {
        let [height, width, channels] = images.shape(row);
        let Bench { resizer, grey, resized } = bench;
        let (pixels, channels) = match (channels, self.channels) {
            (3, 1) => (luma(images.pixels(row), grey), 1),
            (channels, _) => (images.pixels(row), channels as usize),
        };
        let cut = self.cut([height, width]);
        let pixels = cut.take(resizer, pixels, [height, width], channels, resized);
        let [top, left] = [0, 1].map(|side| ((self.size[side] - cut.size[side]) / 2) as usize);
        let (wide, full) = (cut.size[1] as usize, self.size[1] as usize);
        let wanted = usize::from(self.channels);
        for (line, pixels) in pixels.chunks_exact(wide * channels).enumerate() {
            let start = ((top + line) * full + left) * wanted;
            let out = &mut out[start..start + wide * wanted];
            match channels == wanted {
                true => out.copy_from_slice(pixels),
                false => out.chunks_exact_mut(wanted).zip(pixels).for_each(|(out, &pixel)| out.fill(pixel)),
            }
        }
    }

    /// What is taken of an image of that height and width, and how large it becomes.
    fn cut(&self, [height, width]: [u32; 2]) -> Cut {
        let (rows, columns) = (f64::from(height), f64::from(width));
        let whole = |size| Cut { start: [0.0; 2], extent: [rows, columns], size };
        match self.fit {
            Fit::Resize => whole(self.size),
            Fit::Pad => {
                let scale = (f64::from(self.size[0]) / rows).min(f64::from(self.size[1]) / columns).min(1.0);
                let side = |side: f64, max: u32| ((side * scale).round() as u32).clamp(1, max);
                whole([side(rows, self.size[0]), side(columns, self.size[1])])
            }
            Fit::Crop => {
                let resized = shorter_to([height, width], self.size.map(|side| (f64::from(side) / self.crop).floor()));
                // As torchvision: the odd pixel goes by Python's round, half to even.
                let start = |axis: usize| ((resized[axis] - f64::from(self.size[axis])) / 2.0).round_ties_even();
                let scale = [rows / resized[0], columns / resized[1]];
                let start = [start(0) * scale[0], start(1) * scale[1]];
                // Rounding must not lead out of the image.
                let extent =
                    [(0, rows), (1, columns)].map(|(axis, side)| (f64::from(self.size[axis]) * scale[axis]).min(side - start[axis]));
                Cut { start, extent, size: self.size }
            }
        }
    }

    /// What it does, as a sentence's end.
    pub fn describe(&self) -> String {
        let [height, width] = self.size;
        let colour = if self.channels == 1 { "grey" } else { "colour" };
        let how = match self.fit {
            Fit::Resize => "stretched to it".to_owned(),
            Fit::Pad => "centred on black, made smaller where they are larger".to_owned(),
            Fit::Crop if self.crop < 1.0 => {
                format!("the middle {} of the shorter side, cut out after resizing", self.crop)
            }
            Fit::Crop => "the middle, cut out after the shorter side was brought to it".to_owned(),
        };
        format!("{width}x{height} in {colour}; images of other sizes: {how}")
    }

    /// The settings that lead here without `auto`.
    pub fn resolved(&self) -> Vec<(&'static str, Value)> {
        let size = self.size.map(|side| Value::Integer(i64::from(side)));
        vec![
            ("size", Value::List(size.to_vec())),
            ("channels", Value::Integer(i64::from(self.channels))),
            ("fit", Value::Text(self.fit.word().into())),
            ("crop", Value::Real(self.crop)),
        ]
    }
}

/// What one thread works with.
#[derive(Default)]
struct Bench {
    resizer: Resizer,
    grey: Vec<u8>,
    resized: Vec<u8>,
}

/// A part of an image, and the size it is brought to.
struct Cut {
    /// Top and left, in pixels of the image.
    start: [f64; 2],
    /// Height and width, in pixels of the image.
    extent: [f64; 2],
    /// Height and width of the result.
    size: [u32; 2],
}

impl Cut {
    /// The result's pixels: the image's own where it is whole and keeps its size.
    fn take<'p>(
        &self,
        resizer: &mut Resizer,
        pixels: &'p [u8],
        [height, width]: [u32; 2],
        channels: usize,
        out: &'p mut Vec<u8>,
    ) -> &'p [u8] {
        if self.size == [height, width] && self.start == [0.0; 2] {
            return pixels;
        }
        out.resize(self.size[0] as usize * self.size[1] as usize * channels, 0);
        let kind = if channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .crop(self.start[1], self.start[0], self.extent[1], self.extent[0])
            .use_alpha(false);
        let source = ImageRef::new(width, height, pixels, kind).expect("an image has all its pixels");
        let mut target = Image::from_slice_u8(self.size[1], self.size[0], out, kind).expect("the buffer has the target's size");
        resizer.resize(&source, &mut target, &options).expect("the part lies inside the image");
        out
    }
}

/// Grey pixels of coloured ones.
fn luma<'g>(pixels: &[u8], grey: &'g mut Vec<u8>) -> &'g [u8] {
    grey.clear();
    grey.extend(pixels.as_chunks::<3>().0.iter().map(|rgb| luma_of(*rgb)));
    grey
}

/// Pillow's fixed-point luma (ITU-R BT.601).
pub(crate) fn luma_of([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

/// Height and width when both sides grow or shrink alike until the image just covers `wanted`; the other side is rounded down, as in torchvision.
fn shorter_to([height, width]: [u32; 2], wanted: [f64; 2]) -> [f64; 2] {
    let (height, width) = (f64::from(height), f64::from(width));
    match wanted[0] * width >= wanted[1] * height {
        true => [wanted[0], (wanted[0] * width / height).floor()],
        false => [(wanted[1] * height / width).floor(), wanted[1]],
    }
}

fn check(images: &Images, name: &str) -> Result<()> {
    let is_wrong = |shape: [u32; 3]| shape[0] == 0 || shape[1] == 0 || !matches!(shape[2], 1 | 3);
    match images.shapes().enumerate().find(|(_, shape)| is_wrong(*shape)) {
        None => Ok(()),
        Some((row, [height, width, channels])) => {
            let found = format!("{width}x{height} pixels with {channels} channels");
            Err(Error::input(format!("image {row} of column {name}"), found, "at least one pixel, grey (1 channel) or colour (3)"))
        }
    }
}

fn common_size(images: &Images) -> Option<[u32; 2]> {
    let [height, width, _] = images.shapes().next()?;
    images.shapes().all(|shape| shape[..2] == [height, width]).then_some([height, width])
}

fn channels(images: &Images, needs: ImageNeeds, choice: &Choice) -> Result<u8> {
    match (needs.channels, choice.channels) {
        (Some(needs), Some(said)) if needs != said => {
            Err(Error::setting(choice.key("channels"), said, format!("{needs}, for the model takes no other number")))
        }
        (Some(channels), _) | (None, Some(channels)) => Ok(channels),
        (None, None) => Ok(if images.shapes().any(|shape| shape[2] == 3) { 3 } else { 1 }),
    }
}

fn size(images: &Images, needs: ImageNeeds, choice: &Choice) -> Result<[u32; 2]> {
    let told = |[height, width]: [u32; 2]| format!("[{height}, {width}]");
    match (choice.size, needs.size) {
        (Some(said), Some(fixed)) if said != fixed => {
            Err(Error::setting(choice.key("size"), told(said), format!("{}, for the model takes no other size", told(fixed))))
        }
        (Some(said), _) if said.iter().any(|side| *side < needs.size_min) => {
            Err(Error::setting(choice.key("size"), told(said), format!("at least {} on each side, for the model", needs.size_min)))
        }
        (Some(size), _) | (None, Some(size)) => Ok(size),
        (None, None) => {
            let most = needs.size_default.max(SIZE_KEPT_MAX);
            let is_kept = |size: &[u32; 2]| size.iter().all(|side| (needs.size_min..=most).contains(side));
            let default = needs.size_default.clamp(1, SIZE_MAX);
            Ok(common_size(images).filter(is_kept).unwrap_or([default; 2]))
        }
    }
}

/// Photographs lose their borders; images that are small, or all of one size already, do not.
fn crop(images: &Images, size: [u32; 2]) -> f64 {
    let is_large = |shape: &[u32; 3]| (0..2).all(|axis| f64::from(shape[axis]) >= f64::from(size[axis]) / CROP);
    let large = images.shapes().filter(is_large).count();
    if large * 2 > images.len() { CROP } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{COLUMN_SETTINGS, SETTINGS};
    use super::*;
    use crate::parity::{Picture, part};
    use cupola_task::{Fault, Settings};
    use expect_test::expect;
    use serde::Deserialize;

    const FREE: ImageNeeds = ImageNeeds { channels: None, size: None, size_default: 32, size_min: 8 };
    const LENET: ImageNeeds = ImageNeeds { channels: Some(1), size: Some([32, 32]), size_default: 32, size_min: 32 };
    const PHOTOS: ImageNeeds = ImageNeeds { channels: Some(3), size: None, size_default: 224, size_min: 32 };

    fn choice(needs: Needs, given: &[(&str, &str)]) -> Choice {
        let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        let column = Settings::check("inputs.x", COLUMN_SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap();
        Choice::new("x", needs, &Settings::check("data.clean", SETTINGS, []).unwrap(), Some(&column))
    }

    fn plain(shapes: &[[u32; 3]]) -> Images {
        let bytes = shapes.iter().map(|shape| shape.iter().product::<u32>() as usize).sum();
        Images::packed((0..bytes).map(|byte| (byte * 7 % 251) as u8).collect(), shapes.iter().copied())
    }

    #[derive(Deserialize)]
    struct Case {
        settings: ImageStep,
        image: Picture,
        prepared: Picture,
    }

    #[test]
    fn images_are_prepared_as_by_pillow_and_torchvision() {
        let cases: Vec<Case> = part(include_str!("../../parity/images.json"), "cases");
        for (place, case) in cases.into_iter().enumerate() {
            let found = case.settings.apply(&case.image.images(), "x").unwrap();
            let wanted = case.prepared.images();
            assert_eq!(found.shape(0), wanted.shape(0), "case {place}");
            let furthest = found.pixels(0).iter().zip(wanted.pixels(0)).map(|(found, wanted)| found.abs_diff(*wanted)).max();
            // One level: both filter in fixed point, with other numbers of bits.
            assert!(furthest <= Some(1), "case {place}: off by {furthest:?}");
        }
    }

    #[test]
    fn what_is_learned_follows_the_model_and_the_training_images() {
        let mut told = String::new();
        for (needs, shapes, given) in [
            (LENET, &[[28, 28, 1], [28, 28, 1]][..], &[][..]),
            (LENET, &[[8, 8, 1], [8, 8, 1]], &[]),
            (LENET, &[[32, 32, 3]], &[]),
            (FREE, &[[28, 28, 1], [28, 28, 3]], &[]),
            (FREE, &[[4, 4, 1]], &[]),
            (FREE, &[[300, 300, 1]], &[]),
            (PHOTOS, &[[480, 640, 3], [300, 400, 3], [200, 200, 1]], &[]),
            (PHOTOS, &[[30, 640, 3], [300, 400, 3], [200, 200, 1]], &[]),
            (FREE, &[[28, 28, 1]], &[("imgsz", "64"), ("fit", "resize")]),
            (FREE, &[[28, 28, 1]], &[("size", "[20, 40]"), ("channels", "3"), ("crop", "0.5")]),
        ] {
            let step = ImageStep::fit(&plain(shapes), &choice(Needs::Images(needs), given)).unwrap();
            assert!(step.is_sound());
            told += &format!("{}\n", step.describe());
            let resolved: Vec<(&str, String)> = step.resolved().into_iter().map(|(name, value)| (name, value.to_string())).collect();
            let again: Vec<(&str, &str)> = resolved.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(ImageStep::fit(&plain(shapes), &choice(Needs::Images(needs), &again)).unwrap(), step);
        }
        expect![[r#"
            32x32 in grey; images of other sizes: centred on black, made smaller where they are larger
            32x32 in grey; images of other sizes: the middle, cut out after the shorter side was brought to it
            32x32 in grey; images of other sizes: the middle, cut out after the shorter side was brought to it
            28x28 in colour; images of other sizes: the middle, cut out after the shorter side was brought to it
            32x32 in grey; images of other sizes: the middle, cut out after the shorter side was brought to it
            32x32 in grey; images of other sizes: the middle 0.875 of the shorter side, cut out after resizing
            224x224 in colour; images of other sizes: the middle 0.875 of the shorter side, cut out after resizing
            224x224 in colour; images of other sizes: the middle, cut out after the shorter side was brought to it
            64x64 in grey; images of other sizes: stretched to it
            40x20 in colour; images of other sizes: the middle 0.5 of the shorter side, cut out after resizing
        "#]]
        .assert_eq(&told);
    }

    #[test]
    fn what_does_not_suit_is_refused() {
        let mut told = String::new();
        for (needs, shapes, given) in [
            (Needs::Images(LENET), &[[28, 28, 1]][..], &[("size", "28")][..]),
            (Needs::Images(LENET), &[[28, 28, 1]], &[("channels", "3")]),
            (Needs::Images(FREE), &[[28, 28, 1]], &[("size", "4")]),
            (Needs::Images(FREE), &[[28, 28, 1], [28, 28, 4]], &[]),
            (Needs::Images(FREE), &[[28, 0, 1]], &[]),
            (Needs::Dense, &[[28, 28, 1]], &[]),
        ] {
            let error = ImageStep::fit(&plain(shapes), &choice(needs, given)).unwrap_err();
            told += &format!("{error}; {}\n", error.hint().unwrap_or_default());
        }
        expect![[r#"
            setting inputs.x.size: found [28, 28], wanted [32, 32], for the model takes no other size; 
            setting inputs.x.channels: found 3, wanted 1, for the model takes no other number; 
            setting inputs.x.size: found [4, 4], wanted at least 8 on each side, for the model; 
            image 1 of column x: found 28x28 pixels with 4 channels, wanted at least one pixel, grey (1 channel) or colour (3); 
            image 0 of column x: found 0x28 pixels with 1 channels, wanted at least one pixel, grey (1 channel) or colour (3); 
            setting inputs.x.type: found image, wanted another type, for the model takes no images; 
        "#]]
        .assert_eq(&told);
    }

    #[test]
    fn images_that_are_as_wanted_share_their_pixels_and_many_are_prepared_as_one() {
        let images = plain(&[[9, 9, 1]; 40]);
        let step = ImageStep { channels: 1, size: [9, 9], fit: Fit::Crop, crop: 1.0 };
        assert_eq!(step.apply(&images, "x").unwrap().pixels(3).as_ptr(), images.pixels(3).as_ptr());
        let shapes: Vec<[u32; 3]> = (0..40).map(|row| [1 + row % 13, 1 + row % 7, 1 + row % 2 * 2]).collect();
        let images = plain(&shapes);
        for fit in [Fit::Crop, Fit::Pad, Fit::Resize] {
            for (channels, size, crop) in [(1, [9, 9], 0.875), (3, [1, 1], 1.0), (3, [5, 30], 0.3)] {
                let step = ImageStep { channels, size, fit, crop };
                let together = step.apply(&images, "x").unwrap();
                for row in 0..images.len() {
                    let alone = step.apply(&images.take(&[row as u64]), "x").unwrap();
                    assert_eq!(alone.pixels(0), together.pixels(row), "{step:?}: image {row}");
                }
            }
        }
    }
}
