//! One picture: from the bytes of a file to pixels, within limits, by the `image` crate.

use super::convert::convert;
use super::jpeg;
use super::settings::ImageOptions;
use super::shrink::shrink;
use crate::formats::guarded;
use crate::{Error, Result};
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::ops::AddAssign;

/// The formats that are read, for messages.
const WANTED: &str = "a JPEG, PNG, WebP, BMP, TIFF or GIF picture";

/// A picture's pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Row by row, channels last.
    pub pixels: Vec<u8>,
    /// Height, width and channels (1 or 3).
    pub shape: [u32; 3],
    /// What was changed on the way.
    pub changes: Changes,
}

/// In how many pictures something was changed while they were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Transparent pixels were laid on white.
    pub transparent: u64,
    /// More than 8 bits a channel were rounded to 8.
    pub deep: u64,
    /// A palette's indices became colours.
    pub palette: u64,
    /// Inks (CMYK, YCCK) became colours.
    pub inks: u64,
    /// Turned or mirrored as the camera noted it.
    pub turned: u64,
    /// Of several pictures the first was taken.
    pub animated: u64,
}

impl AddAssign for Changes {
    fn add_assign(&mut self, other: Changes) {
        self.transparent += other.transparent;
        self.deep += other.deep;
        self.palette += other.palette;
        self.inks += other.inks;
        self.turned += other.turned;
        self.animated += other.animated;
    }
}

impl Changes {
    /// Sentences for people, each with its count.
    pub fn sentences(&self) -> Vec<String> {
        let told = [
            (self.transparent, "with transparency laid on white"),
            (self.deep, "of more than 8 bits a channel rounded to 8"),
            (self.palette, "with a palette brought to colours"),
            (self.inks, "in CMYK brought to RGB"),
            (self.turned, "turned upright as their Exif data says"),
            (self.animated, "of several frames or pages, the first taken"),
        ];
        let images = |count: u64| if count == 1 { "1 image".to_owned() } else { format!("{count} images") };
        told.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", images(count))).collect()
    }
}

/// Decodes a picture by what its bytes say, not by its name, and makes it smaller as the options say. `place` is for messages.
///
/// # Errors
/// Bytes that are no picture of a known format, a damaged or cut off one, and one of more pixels than allowed.
pub fn decode(place: &str, bytes: &[u8], options: &ImageOptions) -> Result<Decoded> {
    if bytes.is_empty() {
        return Err(Error::refused(place, "an empty file", WANTED).with_hint("copy the file again, or leave it out"));
    }
    guarded(place, || decode_trusting(place, bytes, options))
}

fn decode_trusting(place: &str, bytes: &[u8], options: &ImageOptions) -> Result<Decoded> {
    let format = image::guess_format(bytes).map_err(|_| unknown(place))?;
    let mut changes = Changes { palette: u64::from(has_palette(format, bytes)), ..Changes::default() };
    if format == ImageFormat::Jpeg {
        let segments = jpeg::segments(bytes);
        if !segments.is_whole {
            return Err(damaged(place, "a JPEG that is cut off"));
        }
        changes.inks = u64::from(segments.components == 4);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::no_limits();
    // Eight bytes a pixel are the most any format takes (four channels of 16 bits); decoders need some more for themselves.
    limits.max_alloc = Some(options.max_pixels.saturating_mul(8).saturating_add(64 << 20));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| refused(place, &error))?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(damaged(place, "a picture without pixels"));
    }
    if u64::from(width) * u64::from(height) > options.max_pixels {
        let error =
            Error::refused(place, format!("{width} x {height} pixels"), format!("at most {} (data.images.max_pixels)", options.max_pixels));
        return Err(error.with_hint("make the picture smaller, or raise data.images.max_pixels"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| refused(place, &error))?;
    image.apply_orientation(orientation);
    changes.turned = u64::from(orientation != Orientation::NoTransforms);
    changes.animated = u64::from(is_animated(format, bytes));
    let (width, height) = (image.width(), image.height());
    let converted = convert(image);
    changes.deep = u64::from(converted.was_deep);
    changes.transparent = u64::from(converted.was_transparent);
    let image = Decoded { pixels: converted.pixels, shape: [height, width, u32::from(converted.channels)], changes };
    Ok(shrink(image, options.shrink))
}

/// PNG's colour type 3 (ISO/IEC 15948, 11.2.1).
fn has_palette(format: ImageFormat, bytes: &[u8]) -> bool {
    format == ImageFormat::Png && bytes.get(25) == Some(&3)
}

fn is_animated(format: ImageFormat, bytes: &[u8]) -> bool {
    let bytes = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => GifDecoder::new(bytes).is_ok_and(|decoder| decoder.into_frames().take(2).filter(Result::is_ok).count() > 1),
        ImageFormat::Png => PngDecoder::new(bytes).is_ok_and(|decoder| decoder.is_apng().unwrap_or(false)),
        ImageFormat::WebP => WebPDecoder::new(bytes).is_ok_and(|decoder| decoder.has_animation()),
        _ => false,
    }
}

fn unknown(place: &str) -> Error {
    Error::refused(place, "no picture of a known format", WANTED).with_hint("write it as PNG or JPEG, or leave it out")
}

fn damaged(place: &str, found: &str) -> Error {
    Error::refused(place, found, WANTED).with_hint("copy the file again, or leave it out")
}

fn refused(place: &str, error: &ImageError) -> Error {
    match error {
        ImageError::Unsupported(error) => unknown_kind(place, &error.to_string()),
        ImageError::Limits(error) => {
            let error =
                Error::refused(place, format!("a picture that takes too much memory ({error})"), "one within data.images.max_pixels");
            error.with_hint("make the picture smaller, or raise data.images.max_pixels")
        }
        error => damaged(place, &format!("a damaged or cut off picture ({error})")),
    }
}

fn unknown_kind(place: &str, error: &str) -> Error {
    Error::refused(place, format!("a kind of picture that is not read ({error})"), WANTED).with_hint("write it as PNG or JPEG")
}
