//! RandAugment (Cubuk et al., 2019): some operations at random out of fourteen, all of one magnitude. Operations and magnitudes are those of
//! torchvision's `RandAugment` with 31 magnitudes.
//!
//! Differs: what moves pixels samples bilinearly; torchvision's default is the nearest pixel.

use super::affine::inverse;
use super::colour;
use super::dice::Dice;
use super::operation::Operation;
use super::warp::{Border, Map, Picture, Places, warp};
use cupola_task::{Range, Setting, Settings};

/// The registry's entry.
pub(crate) const RANDAUGMENT: Operation = Operation {
    name: "randaugment",
    doc: "Does some operations at random, all of one magnitude (Cubuk et al., 2019).",
    settings: &[
        Setting {
            name: "randaugment",
            alias: &["num_ops", "rand_augment"],
            default: "0",
            range: Range::Integer { min: 0, max: 16 },
            doc: "How many operations are done one after another, out of: identity, shear and translate along x and y, rotate, brightness, color, contrast, sharpness, posterize, solarize, autocontrast, equalize. 0: none; usual is 2.",
        },
        Setting {
            name: "magnitude",
            alias: &[],
            default: "9",
            range: Range::Integer { min: 0, max: 30 },
            doc: "How strong the operations of randaugment are.",
        },
    ],
};

/// One of the fourteen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub(crate) enum Deed {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

use Deed::{
    AutoContrast, Brightness, Color, Contrast, Equalize, Identity, Posterize, Rotate, Sharpness, ShearX, ShearY, Solarize, TranslateX,
    TranslateY,
};

/// In torchvision's order.
const DEEDS: [Deed; 14] = [
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

/// How many operations of what magnitude.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct RandAugment {
    count: u32,
    magnitude: f64,
}

impl RandAugment {
    pub fn open(settings: &Settings) -> RandAugment {
        RandAugment { count: settings.integer("randaugment") as u32, magnitude: settings.integer("magnitude") as f64 / 30.0 }
    }

    /// Whether it never does anything.
    pub fn is_nothing(self) -> bool {
        self.count == 0
    }

    /// Changes pixels in place. `other` is as large as they are and overwritten.
    pub fn apply(self, mut dice: Dice, pixels: &mut [u8], shape: [usize; 3], border: Border, places: &mut Places, other: &mut [u8]) {
        for _ in 0..self.count {
            let deed = DEEDS[dice.below(DEEDS.len() as u32) as usize];
            let sign = if dice.chance(0.5) { -1.0 } else { 1.0 };
            deed.apply(
                deed.strength(self.magnitude, shape) * if deed.is_signed() { sign } else { 1.0 },
                pixels,
                shape,
                border,
                places,
                other,
            );
        }
    }
}

impl Deed {
    fn is_signed(self) -> bool {
        !matches!(self, Identity | Posterize | Solarize | AutoContrast | Equalize)
    }

    /// What a magnitude of 0 to 1 means to it.
    fn strength(self, magnitude: f64, [height, width, _]: [usize; 3]) -> f64 {
        match self {
            Identity | AutoContrast | Equalize => 0.0,
            ShearX | ShearY => 0.3 * magnitude,
            TranslateX => 150.0 / 331.0 * width as f64 * magnitude,
            TranslateY => 150.0 / 331.0 * height as f64 * magnitude,
            Rotate => 30.0 * magnitude,
            Brightness | Color | Contrast | Sharpness => 0.9 * magnitude,
            Posterize => 8.0 - (magnitude * 4.0).round_ties_even(),
            Solarize => 255.0 * (1.0 - magnitude),
        }
    }

    /// Does it in place with a signed strength.
    pub fn apply(self, strength: f64, pixels: &mut [u8], shape: [usize; 3], border: Border, places: &mut Places, other: &mut [u8]) {
        let [height, width, channels] = shape;
        let moved = match self {
            ShearX => Map([1.0, strength, 0.0, 0.0, 1.0, 0.0]),
            ShearY => Map([1.0, 0.0, 0.0, strength, 1.0, 0.0]),
            TranslateX => Map([1.0, 0.0, -strength.trunc(), 0.0, 1.0, 0.0]),
            TranslateY => Map([1.0, 0.0, 0.0, 0.0, 1.0, -strength.trunc()]),
            // torchvision's rotate turns the other way than its affine.
            Rotate => inverse([width as f64 / 2.0, height as f64 / 2.0], -strength, [0.0, 0.0], 1.0, 0.0),
            Brightness => return colour::brightness(pixels, 1.0 + strength),
            Color => return colour::saturation(pixels, channels, 1.0 + strength),
            Contrast => return colour::contrast(pixels, channels, 1.0 + strength),
            Sharpness => return colour::sharpness(pixels, shape, 1.0 + strength, other),
            Posterize => return colour::posterize(pixels, strength as u32),
            Solarize => return colour::solarize(pixels, strength),
            AutoContrast => return colour::autocontrast(pixels, channels),
            Equalize => return colour::equalize(pixels, channels),
            Identity => return,
        };
        other.copy_from_slice(pixels);
        warp(Picture { pixels: other, height, width, channels }, moved, border, places, pixels);
    }
}
