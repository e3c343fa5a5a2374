//! Random erasing: a rectangle of some images is covered (Zhong et al., "Random Erasing Data Augmentation", 2020): torchvision's
//! `RandomErasing`.

use super::dice::Dice;
use super::operation::{Operation, SHARE};
use cupola_task::{Setting, Settings};

/// The registry's entry.
pub(crate) const ERASING: Operation = Operation {
    name: "random_erasing",
    doc: "Covers a rectangle of 2 to 33 % of the area in some images.",
    settings: &[Setting {
        name: "random_erasing",
        alias: &["erasing", "reprob"],
        default: "0",
        range: SHARE,
        doc: "The probability that a rectangle of an image is covered. It is filled with the image's mean colour.",
    }],
};

/// Shares of the area and ratios of the sides, as in the paper.
const AREA: [f64; 2] = [0.02, 0.33];
const RATIO: [f64; 2] = [0.3, 3.3];
/// How often a rectangle that does not fit is drawn again, as in torchvision.
const TRIES: u32 = 10;

/// The probability.
pub(crate) fn open(settings: &Settings) -> f64 {
    settings.real("random_erasing")
}

/// Top, left, height and width of what is covered, if anything is.
pub(crate) fn part(mut dice: Dice, probability: f64, [rows, columns]: [u32; 2]) -> Option<[usize; 4]> {
    if !dice.chance(probability) {
        return None;
    }
    let area = f64::from(rows) * f64::from(columns);
    for _ in 0..TRIES {
        let (wanted, ratio) = (area * dice.uniform(AREA), dice.uniform(RATIO.map(f64::ln)).exp());
        let (height, width) = ((wanted * ratio).sqrt().round() as u32, (wanted / ratio).sqrt().round() as u32);
        if height < rows && width < columns {
            let (top, left) = (dice.below(rows - height + 1), dice.below(columns - width + 1));
            return Some([top, left, height, width].map(|number| number as usize));
        }
    }
    None
}
