//! Mirror images: torchvision's `RandomHorizontalFlip` and `RandomVerticalFlip`.

use super::dice::Dice;
use super::operation::{Operation, SHARE};
use super::policy::Policy;
use super::warp::Map;
use cupola_task::{Range, Setting, Settings};

/// The registry's entry.
pub(crate) const FLIP: Operation = Operation {
    name: "flip",
    doc: "Mirrors images left to right, or top to bottom.",
    settings: &[
        Setting {
            name: "flip",
            alias: &["hflip", "fliplr"],
            default: "auto",
            range: Range::Any(&[Range::Choice(&["auto"]), SHARE]),
            doc: "The probability that an image is mirrored left to right. auto: 0.5 with policy=standard, else 0.",
        },
        Setting {
            name: "vflip",
            alias: &["flipud"],
            default: "0",
            range: SHARE,
            doc: "The probability that an image is mirrored top to bottom.",
        },
    ],
};

/// Probabilities of both.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Flip {
    horizontal: f64,
    vertical: f64,
}

impl Flip {
    pub fn open(settings: &Settings, policy: Policy) -> Flip {
        let auto = if policy == Policy::Standard { 0.5 } else { 0.0 };
        Flip { horizontal: settings.try_real("flip").unwrap_or(auto), vertical: settings.real("vflip") }
    }

    /// Whether it never does anything.
    pub fn is_nothing(self) -> bool {
        self.horizontal == 0.0 && self.vertical == 0.0
    }

    /// From the pixels of the result to those of the image.
    pub fn map(self, mut dice: Dice, [height, width]: [f64; 2]) -> Map {
        let (across, down) = (dice.chance(self.horizontal), dice.chance(self.vertical));
        let axis = |flips: bool, side: f64| if flips { (-1.0, side) } else { (1.0, 0.0) };
        let ((x, left), (y, top)) = (axis(across, width), axis(down, height));
        Map([x, 0.0, left, 0.0, y, top])
    }
}
