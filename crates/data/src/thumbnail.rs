//! Small pictures of images for people: reports and sheets.

use crate::{Error, Result};
use cupola_task::Images;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// Pixels to be looked at: row by row, grey (1 channel) or colour (3).
#[derive(Clone, PartialEq, Debug)]
pub struct Thumbnail {
    /// Rows.
    pub height: u32,
    /// Pixels in a row.
    pub width: u32,
    /// 1 or 3.
    pub channels: u32,
    /// Levels.
    pub pixels: Vec<u8>,
}

/// An image made smaller by a whole number, so that no side is longer than `side_max`: every pixel is the mean of a square. Small images
/// stay as they are.
///
/// # Errors
/// When the image has no pixel, or not 1 or 3 channels.
pub fn thumbnail(images: &Images, row: usize, side_max: u32) -> Result<Thumbnail> {
    let [height, width, channels] = images.shape(row);
    if height == 0 || width == 0 || !matches!(channels, 1 | 3) {
        let found = format!("{width}x{height} pixels with {channels} channels");
        return Err(Error::refused(format!("image {row}"), found, "at least one pixel, grey (1 channel) or colour (3)"));
    }
    let pixels = images.pixels(row);
    let step = height.max(width).div_ceil(side_max.max(1));
    if step == 1 {
        return Ok(Thumbnail { height, width, channels, pixels: pixels.to_vec() });
    }
    let (rows, columns) = (height.div_ceil(step), width.div_ceil(step));
    let mean = |y: u32, x: u32, channel: u32| {
        let (ys, xs) = (y * step..((y + 1) * step).min(height), x * step..((x + 1) * step).min(width));
        let count = ys.len() as u64 * xs.len() as u64;
        let at = |y: u32, x: u32| u64::from(pixels[((y as usize * width as usize) + x as usize) * channels as usize + channel as usize]);
        let sum: u64 = ys.flat_map(|y| xs.clone().map(move |x| (y, x))).map(|(y, x)| at(y, x)).sum();
        ((sum + count / 2) / count) as u8
    };
    let places = (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x)));
    let pixels = places.flat_map(|(y, x)| (0..channels).map(move |channel| (y, x, channel))).map(|(y, x, channel)| mean(y, x, channel));
    Ok(Thumbnail { height: rows, width: columns, channels, pixels: pixels.collect() })
}

impl Thumbnail {
    /// Red, green and blue of a pixel.
    pub fn rgb(&self, y: u32, x: u32) -> [u8; 3] {
        let at = (y as usize * self.width as usize + x as usize) * self.channels as usize;
        match self.channels {
            3 => [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]],
            _ => [self.pixels[at]; 3],
        }
    }

    /// As a PNG file.
    ///
    /// # Errors
    /// When the pixels are not as many as its sides say, or PNG cannot hold them.
    pub fn png(&self) -> Result<Vec<u8>> {
        let (colour, wanted) = match self.channels {
            1 => (ExtendedColorType::L8, self.height as usize * self.width as usize),
            _ => (ExtendedColorType::Rgb8, self.height as usize * self.width as usize * 3),
        };
        let wrong = |found: String| Error::refused("picture", found, "pixels that a PNG file can hold");
        if self.pixels.len() != wanted {
            return Err(wrong(format!("{} levels for {}x{} pixels", self.pixels.len(), self.width, self.height)));
        }
        let mut file = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
        encoder.write_image(&self.pixels, self.width, self.height, colour).map_err(|error| wrong(error.to_string()))?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_become_means_and_small_ones_stay() {
        let images = Images::packed(vec![1, 2, 3, 4, 5, 6, 0, 10, 20, 30, 40, 50, 60], [[2, 3, 1], [1, 1, 1], [1, 2, 3], [0, 4, 1]]);
        let small = thumbnail(&images, 0, 2).unwrap();
        assert_eq!((small.height, small.width, small.pixels), (1, 2, vec![3, 5]));
        assert_eq!(thumbnail(&images, 0, 3).unwrap().pixels, [1, 2, 3, 4, 5, 6]);
        let colour = thumbnail(&images, 2, 1).unwrap();
        assert_eq!((colour.rgb(0, 0), thumbnail(&images, 1, 9).unwrap().rgb(0, 0)), ([25, 35, 45], [0; 3]));
        assert_eq!(
            thumbnail(&images, 3, 9).unwrap_err().to_string(),
            "image 3: found 4x0 pixels with 1 channels, wanted at least one pixel, grey (1 channel) or colour (3)"
        );
    }

    #[test]
    fn png_files_hold_the_pixels() {
        for thumbnail in [
            Thumbnail { height: 2, width: 1, channels: 1, pixels: vec![0, 255] },
            Thumbnail { height: 1, width: 2, channels: 3, pixels: vec![1, 2, 3, 4, 5, 6] },
        ] {
            let file = image::load_from_memory(&thumbnail.png().unwrap()).unwrap();
            assert_eq!((file.width(), file.height()), (thumbnail.width, thumbnail.height));
            assert_eq!(file.to_rgb8().get_pixel(0, 0).0, thumbnail.rgb(0, 0));
        }
        assert!(Thumbnail { height: 9, width: 9, channels: 1, pixels: vec![] }.png().is_err());
    }
}
