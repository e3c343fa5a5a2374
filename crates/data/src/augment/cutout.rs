//! Cutout: a square of each image is covered (DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
//! 2017). Its middle may lie anywhere, so that it may lie partly outside.

use super::dice::Dice;
use super::operation::Operation;
use cupola_task::{Range, Setting, Settings};

/// The registry's entry.
pub(crate) const CUTOUT: Operation = Operation {
    name: "cutout",
    doc: "Covers a square of each image.",
    settings: &[Setting {
        name: "cutout",
        alias: &["cutout_length"],
        default: "0",
        range: Range::Integer { min: 0, max: 4096 },
        doc: "The side of the square in pixels; 0: none. It is filled with the image's mean colour.",
    }],
};

/// The side of the square.
pub(crate) fn open(settings: &Settings) -> u32 {
    settings.integer("cutout") as u32
}

/// Top, left, height and width of what is covered.
pub(crate) fn part(mut dice: Dice, side: u32, [height, width]: [u32; 2]) -> [usize; 4] {
    let middle = [dice.below(height), dice.below(width)];
    let span = |axis: usize, most: u32| (middle[axis].saturating_sub(side / 2), (middle[axis] + side.div_ceil(2)).min(most));
    let ((top, bottom), (left, right)) = (span(0, height), span(1, width));
    [top, left, bottom - top, right - left].map(|number| number as usize)
}

/// Fills a part with the mean colour of all. In the papers images are standardised before, so that their 0 is the mean of the data set.
///
/// Differs: the mean is that of the image, for pixels are standardised later.
pub(crate) fn cover(pixels: &mut [u8], [top, left, height, width]: [usize; 4], stride: usize, channels: usize) {
    let mut sums = [0u64; 3];
    for pixel in pixels.chunks_exact(channels) {
        sums.iter_mut().zip(pixel).for_each(|(sum, level)| *sum += u64::from(*level));
    }
    let count = (pixels.len() / channels).max(1) as u64;
    let mean = sums.map(|sum| ((sum + count / 2) / count) as u8);
    for row in pixels.chunks_exact_mut(stride).skip(top).take(height) {
        row[left * channels..(left + width) * channels]
            .chunks_exact_mut(channels)
            .for_each(|pixel| pixel.copy_from_slice(&mean[..channels]));
    }
}
