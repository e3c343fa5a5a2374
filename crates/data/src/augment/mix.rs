//! Rows that are mixed with another row of their batch: mixup (Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018) and CutMix
//! (Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019).
//!
//! Differs: every row draws a share of its own, as timm's `mode="elem"`; the papers draw one a batch.

use super::dice::Dice;
use super::operation::Operation;
use cupola_task::{Draw, Range, Setting, Settings};

/// The parameter of a Beta(alpha, alpha) distribution.
const ALPHA: Range = Range::Real { min: 0.0, max: 100.0 };

/// The registry's entry.
pub(crate) const MIX: Operation = Operation {
    name: "mix",
    doc: "Mixes every image, and its target, with another of its batch: mixup or CutMix.",
    settings: &[
        Setting {
            name: "mixup",
            alias: &["mixup_alpha"],
            default: "0",
            range: ALPHA,
            doc: "Images are blended with another, by shares from Beta(mixup, mixup); 0: not. Usual is 0.2. With cutmix as well, each row has one of the two.",
        },
        Setting {
            name: "cutmix",
            alias: &["cutmix_alpha"],
            default: "0",
            range: ALPHA,
            doc: "A rectangle of another image is pasted, whose share of the area is from Beta(cutmix, cutmix); 0: not. Usual is 1.",
        },
    ],
};

/// Parameters of both; 0 is never.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Mix {
    mixup: f64,
    cutmix: f64,
}

impl Mix {
    pub fn open(settings: &Settings) -> Mix {
        Mix { mixup: settings.real("mixup"), cutmix: settings.real("cutmix") }
    }

    /// Whether it never does anything.
    pub fn is_nothing(self) -> bool {
        self.mixup == 0.0 && self.cutmix == 0.0
    }

    /// Writes a row's mixture into `out` and returns the share of the row itself.
    pub fn apply(self, mut dice: Dice, own: &[u8], other: &[u8], [height, width, channels]: [usize; 3], out: &mut [u8]) -> f32 {
        let blends = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (true, true) => dice.chance(0.5),
            (blends, _) => blends,
        };
        if blends {
            return blend(own, other, dice.beta(self.mixup), out);
        }
        let cut = (1.0 - dice.beta(self.cutmix)).sqrt();
        out.copy_from_slice(own);
        let mut span = |side: usize| {
            let (middle, long) = (dice.below(side as u32) as usize, (side as f64 * cut) as usize);
            (middle.saturating_sub(long / 2), (middle + long.div_ceil(2)).min(side))
        };
        let ((top, bottom), (left, right)) = (span(height), span(width));
        for row in top..bottom {
            let pixels = (row * width + left) * channels..(row * width + right) * channels;
            out[pixels.clone()].copy_from_slice(&other[pixels]);
        }
        1.0 - ((bottom - top) * (right - left)) as f32 / (height * width) as f32
    }
}

/// Blends in 16-bit fixed point and returns the share that was taken.
fn blend(own: &[u8], other: &[u8], share: f64, out: &mut [u8]) -> f32 {
    let weight = (share * 65_536.0).round() as u32;
    for ((out, own), other) in out.iter_mut().zip(own).zip(other) {
        *out = ((u32::from(*own) * weight + u32::from(*other) * (65_536 - weight) + 32_768) >> 16) as u8;
    }
    weight as f32 / 65_536.0
}

/// For each row of a batch the place of its partner: the next in an order that the key draws from the rows' numbers. No row is its own
/// partner unless it is alone, and every row is one.
pub(crate) fn partners(key: u64, rows: &[u64]) -> Vec<u32> {
    let mut order: Vec<(u64, u32)> = rows.iter().zip(0..).map(|(&row, place)| (Draw::value(key, row), place)).collect();
    order.sort_unstable();
    let mut partners = vec![0; rows.len()];
    for (place, (_, row)) in order.iter().enumerate() {
        partners[*row as usize] = order[(place + 1) % order.len()].1;
    }
    partners
}
