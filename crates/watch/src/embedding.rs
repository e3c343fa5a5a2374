//! Texts and images as a few numbers, so that their drift is the drift of numbers. No model is needed, and nothing is learned.
//!
//! A text is the sum of its words, each of them 32 signs that a hash of the word gives, over the square root of their number (signed random
//! projections of a bag of words: Achlioptas, "Database-friendly random projections", 2003; Weinberger et al., "Feature hashing", 2009), and the
//! logarithm of one more than that number. Another share of words, or other words, move it. An image is an 8 x 8 thumbnail of its grey levels,
//! each the mean of its part, and the means of red, green and blue, all of them 0 to 255.

use cupola_task::{Draw, Images};

const SIGNS: usize = 32;
const SIDE: usize = 8;
/// How many numbers stand for a text.
pub(crate) const TEXT_WIDTH: usize = SIGNS + 1;
/// How many numbers stand for an image.
pub(crate) const IMAGE_WIDTH: usize = SIDE * SIDE + 3;

/// The numbers of a text; words are runs of letters and digits, in lower case.
pub(crate) fn text(text: &str) -> [f64; TEXT_WIDTH] {
    let lowercase = text.to_lowercase();
    let mut sums = [0.0; TEXT_WIDTH];
    let mut words = 0.0;
    for word in lowercase.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let bits = Draw::new(0).stream(word).bits(0);
        (0..SIGNS).for_each(|place| sums[place] += if bits >> place & 1 == 1 { 1.0 } else { -1.0 });
        words += 1.0;
    }
    sums[..SIGNS].iter_mut().for_each(|sum| *sum /= f64::max(words, 1.0).sqrt());
    sums[SIGNS] = (1.0f64 + words).ln();
    sums
}

/// The numbers of an image; all NaN when it has no pixel.
pub(crate) fn image(images: &Images, row: usize) -> [f64; IMAGE_WIDTH] {
    let [height, width, channels] = images.shape(row).map(|side| side as usize);
    let pixels = images.pixels(row);
    if pixels.is_empty() {
        return [f64::NAN; IMAGE_WIDTH];
    }
    let colours = channels.min(3);
    let mut sums = [0.0; IMAGE_WIDTH];
    let mut counts = [0.0; SIDE * SIDE];
    for (place, pixel) in pixels.chunks_exact(channels).enumerate() {
        let part = place / width * SIDE / height * SIDE + place % width * SIDE / width;
        counts[part] += 1.0;
        sums[part] += pixel[..colours].iter().map(|level| f64::from(*level)).sum::<f64>() / colours as f64;
        (0..3).for_each(|colour| sums[SIDE * SIDE + colour] += f64::from(pixel[colour % colours.max(1)]));
    }
    let all = (height * width) as f64;
    sums[SIDE * SIDE..].iter_mut().for_each(|sum| *sum /= all);
    let mean = sums[SIDE * SIDE..].iter().sum::<f64>() / 3.0;
    // A picture of fewer than 8 rows or columns has parts without a pixel: they count as its mean.
    sums.iter_mut().zip(&counts).for_each(|(sum, count)| *sum = if *count > 0.0 { *sum / count } else { mean });
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_their_words_in_any_order() {
        assert_eq!(text("The cat, the DOG"), text("the dog the cat"));
        assert_ne!(text("cat"), text("dog"));
        assert_eq!(text(" .,"), [0.0; TEXT_WIDTH]);
    }

    #[test]
    fn images_are_their_grey_parts_and_colours() {
        let mut pixels = vec![0u8; 16 * 16 * 3];
        pixels[..3].copy_from_slice(&[255, 0, 120]);
        let images = Images::packed([pixels, vec![7; 2], vec![]].concat(), [[16, 16, 3], [1, 2, 1], [0, 0, 1]]);
        let first = image(&images, 0);
        assert_eq!((first[0], first[1], first[64], first[66]), (125.0 / 4.0, 0.0, 255.0 / 256.0, 120.0 / 256.0));
        assert_eq!(image(&images, 1), [7.0; IMAGE_WIDTH]);
        assert!(image(&images, 2)[0].is_nan());
    }
}
