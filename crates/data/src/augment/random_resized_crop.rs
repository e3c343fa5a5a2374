//! Crops of random size and shape, brought back to the image's size: torchvision's `RandomResizedCrop` (Szegedy et al., "Going Deeper with
//! Convolutions", 2015, section 6).

use super::dice::Dice;
use super::operation::{BOUNDS, Operation, bounds};
use super::policy::{Policy, SMALL_MAX};
use super::warp::Map;
use cupola_task::{Error, Range, Result, Setting, Settings, Value};

/// The registry's entry.
pub(crate) const RESIZED_CROP: Operation = Operation {
    name: "random_resized_crop",
    doc: "Cuts a part of random size and shape and brings it back to the image's size.",
    settings: &[
        Setting {
            name: "random_resized_crop",
            alias: &["rrc"],
            default: "auto",
            range: Range::Any(&[Range::Choice(&["auto", "off"]), BOUNDS]),
            doc: "Bounds of the part's share of the area, such as [0.08, 1]. auto: [0.08, 1] with policy=standard and images above 64 pixels, else off.",
        },
        Setting {
            name: "ratio",
            alias: &[],
            default: "[0.75, 1.3333333333333333]",
            range: BOUNDS,
            doc: "Bounds of the part's width by height, for random_resized_crop.",
        },
    ],
};

/// torchvision's default, and its reference recipe's.
const AREA: [f64; 2] = [0.08, 1.0];
/// How often a part that does not fit is drawn again, as in torchvision.
const TRIES: u32 = 10;

/// What parts are cut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ResizedCrop {
    area: [f64; 2],
    ratio: [f64; 2],
    /// Whether small images are left as they are.
    spares_small: bool,
}

impl ResizedCrop {
    pub fn open(settings: &Settings, policy: Policy) -> Result<Option<ResizedCrop>> {
        let Some(ratio) = bounds(settings, "ratio", [0.01, 100.0])? else {
            return Err(Error::setting("augment.ratio", "nothing", "two numbers that ascend"));
        };
        let area = bounds(settings, "random_resized_crop", [0.01, 1.0])?;
        let is_auto = *settings.value("random_resized_crop") == Value::Text("auto".into());
        Ok(match area {
            Some(area) => Some(ResizedCrop { area, ratio, spares_small: false }),
            None if is_auto && policy == Policy::Standard => Some(ResizedCrop { area: AREA, ratio, spares_small: true }),
            None => None,
        })
    }

    /// Whether the recipe asks for it by name.
    pub fn is_said(self) -> bool {
        !self.spares_small
    }

    /// Whether it does something to images of that size.
    pub fn suits(self, size: [u32; 2]) -> bool {
        !self.spares_small || size.iter().any(|side| *side > SMALL_MAX)
    }

    /// From the pixels of the result to those of the image.
    pub fn map(self, mut dice: Dice, size: [u32; 2]) -> Map {
        let [top, left, height, width] = self.part(&mut dice, size);
        let scale = [f64::from(height) / f64::from(size[0]), f64::from(width) / f64::from(size[1])];
        Map([scale[1], 0.0, f64::from(left), 0.0, scale[0], f64::from(top)])
    }

    /// Top, left, height and width, as torchvision draws them.
    fn part(self, dice: &mut Dice, [rows, columns]: [u32; 2]) -> [u32; 4] {
        let area = f64::from(rows) * f64::from(columns);
        for _ in 0..TRIES {
            let wanted = area * dice.uniform(self.area);
            let ratio = dice.uniform(self.ratio.map(f64::ln)).exp();
            let (width, height) = ((wanted * ratio).sqrt().round() as u32, (wanted / ratio).sqrt().round() as u32);
            if (1..=columns).contains(&width) && (1..=rows).contains(&height) {
                return [dice.below(rows - height + 1), dice.below(columns - width + 1), height, width];
            }
        }
        let ratio = (f64::from(columns) / f64::from(rows)).clamp(self.ratio[0], self.ratio[1]);
        let height = ((f64::from(columns) / ratio).round() as u32).clamp(1, rows);
        let width = ((f64::from(rows) * ratio).round() as u32).clamp(1, columns);
        [(rows - height) / 2, (columns - width) / 2, height, width]
    }
}
