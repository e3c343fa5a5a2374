//! Random changes of colour: torchvision's `ColorJitter`, in random order.

use super::colour;
use super::dice::Dice;
use super::operation::Operation;
use cupola_task::{Range, Setting, Settings};

/// The strength of a factor drawn from 1 - strength to 1 + strength.
const STRENGTH: Range = Range::Real { min: 0.0, max: 10.0 };

/// The registry's entry.
pub(crate) const JITTER: Operation = Operation {
    name: "jitter",
    doc: "Changes brightness, contrast, saturation and hue, in random order.",
    settings: &[
        Setting {
            name: "brightness",
            alias: &[],
            default: "0",
            range: STRENGTH,
            doc: "Brightness is multiplied by a factor from 1 - brightness (at least 0) to 1 + brightness.",
        },
        Setting { name: "contrast", alias: &[], default: "0", range: STRENGTH, doc: "The same for contrast." },
        Setting { name: "saturation", alias: &[], default: "0", range: STRENGTH, doc: "The same for saturation; nothing to grey images." },
        Setting {
            name: "hue",
            alias: &[],
            default: "0",
            range: Range::Real { min: 0.0, max: 0.5 },
            doc: "The most that hues are turned either way, as a share of the circle; nothing to grey images.",
        },
    ],
};

/// Strengths.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Jitter {
    brightness: f64,
    contrast: f64,
    saturation: f64,
    hue: f64,
}

impl Jitter {
    pub fn open(settings: &Settings) -> Jitter {
        Jitter {
            brightness: settings.real("brightness"),
            contrast: settings.real("contrast"),
            saturation: settings.real("saturation"),
            hue: settings.real("hue"),
        }
    }

    /// Whether it never does anything.
    pub fn is_nothing(self) -> bool {
        [self.brightness, self.contrast, self.saturation, self.hue] == [0.0; 4]
    }

    /// Changes pixels in place.
    pub fn apply(self, mut dice: Dice, pixels: &mut [u8], channels: usize) {
        let mut factor = |strength: f64| dice.uniform([(1.0 - strength).max(0.0), 1.0 + strength]);
        let (brightness, contrast, saturation) = (factor(self.brightness), factor(self.contrast), factor(self.saturation));
        let turn = dice.within(self.hue);
        let mut order = [0, 1, 2, 3];
        for last in (1..4).rev() {
            order.swap(last, dice.below(last as u32 + 1) as usize);
        }
        for which in order {
            match which {
                0 if self.brightness > 0.0 => colour::brightness(pixels, brightness),
                1 if self.contrast > 0.0 => colour::contrast(pixels, channels, contrast),
                2 if self.saturation > 0.0 => colour::saturation(pixels, channels, saturation),
                3 if self.hue > 0.0 => colour::hue(pixels, channels, turn),
                _ => {}
            }
        }
    }
}
