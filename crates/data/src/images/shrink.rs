//! Large pictures are made smaller while they are read, in training as at prediction, so that a folder of photographs fits in memory.
//!
//! The filter is the preparation's: bilinear over all pixels that an output pixel covers, as Pillow's `BILINEAR`.

use super::decode::Decoded;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use std::borrow::Cow;

/// The shape of a picture whose shorter side is to have at most so many pixels.
pub(crate) fn shrunk_shape([height, width, channels]: [u32; 3], side: u32) -> [u32; 3] {
    let shorter = height.min(width);
    if shorter <= side {
        return [height, width, channels];
    }
    let scaled = |length: u32| ((u64::from(length) * u64::from(side) + u64::from(shorter) / 2) / u64::from(shorter)) as u32;
    [scaled(height), scaled(width), channels]
}

/// Pixels of that shape with the shorter side at most `side`; what is small enough stays as it is.
pub(crate) fn shrunk(pixels: &[u8], shape: [u32; 3], side: u32) -> (Cow<'_, [u8]>, [u32; 3]) {
    let [height, width, channels] = shrunk_shape(shape, side);
    if [height, width, channels] == shape {
        return (Cow::Borrowed(pixels), shape);
    }
    (Cow::Owned(scaled(pixels, shape, [height, width])), [height, width, channels])
}

/// Pixels of a square of that side, whatever the shape was.
pub(crate) fn resized(pixels: &[u8], shape: [u32; 3], side: u32) -> Vec<u8> {
    scaled(pixels, shape, [side, side])
}

fn scaled(pixels: &[u8], shape: [u32; 3], [height, width]: [u32; 2]) -> Vec<u8> {
    let kind = if shape[2] == 1 { PixelType::U8 } else { PixelType::U8x3 };
    let source = ImageRef::new(shape[1], shape[0], pixels, kind).expect("pixels are as many as the shape says");
    let mut other = Image::new(width, height, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new().resize(&source, &mut other, &options).expect("both images are of one kind and have pixels");
    other.into_vec()
}

/// The picture with the shorter side at most `side`.
pub(crate) fn shrink(image: Decoded, side: Option<u32>) -> Decoded {
    let Some(side) = side else { return image };
    match shrunk(&image.pixels, image.shape, side) {
        (Cow::Borrowed(_), _) => image,
        (Cow::Owned(pixels), shape) => Decoded { pixels, shape, changes: image.changes },
    }
}
