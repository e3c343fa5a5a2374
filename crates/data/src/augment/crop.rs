//! Padded crops: the image is shifted by up to some pixels: torchvision's `RandomCrop(size, padding=n)`.

use super::dice::Dice;
use super::operation::Operation;
use super::policy::{Policy, SMALL_MAX};
use super::warp::{Border, Map};
use cupola_task::{Range, Setting, Settings};

/// The registry's entry.
pub(crate) const CROP: Operation = Operation {
    name: "crop",
    doc: "Pads images and cuts a window of their size at a random place.",
    settings: &[
        Setting {
            name: "crop",
            alias: &["padding", "random_crop"],
            default: "auto",
            range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 0, max: 1024 }]),
            doc: "Pixels of padding on each side. auto: an eighth of the side with policy=standard and images up to 64 pixels, else 0.",
        },
        Setting {
            name: "padding_mode",
            alias: &["pad_mode"],
            default: "constant",
            range: Range::Choice(&["constant", "reflect"]),
            doc: "What lies beyond the border of an image, for crops and for what else moves pixels: black, or its mirror image.",
        },
    ],
};

/// How far images are shifted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Crop {
    /// None: by the size of the image.
    padding: Option<u32>,
    /// What lies beyond the border.
    pub border: Border,
}

impl Crop {
    pub fn open(settings: &Settings, policy: Policy) -> Crop {
        let said = settings.try_integer("crop").and_then(|padding| u32::try_from(padding).ok());
        let padding = said.or((policy == Policy::None).then_some(0));
        Crop { padding, border: if settings.text("padding_mode") == "reflect" { Border::Reflect } else { Border::Black } }
    }

    /// Pixels of padding above and below, left and right.
    pub fn padding(self, size: [u32; 2]) -> [u32; 2] {
        let auto = |side: u32| if size.iter().all(|side| *side <= SMALL_MAX) { side / 8 } else { 0 };
        self.padding.map_or_else(|| size.map(auto), |padding| [padding; 2])
    }

    /// Whether the recipe asks for it by name.
    pub fn is_said(self) -> bool {
        self.padding.is_some_and(|padding| padding > 0)
    }

    /// From the pixels of the result to those of the image.
    pub fn map(self, mut dice: Dice, size: [u32; 2]) -> Map {
        let shift = self.padding(size).map(|padding| f64::from(dice.below(2 * padding + 1)) - f64::from(padding));
        Map([1.0, 0.0, shift[1], 0.0, 1.0, shift[0]])
    }
}
