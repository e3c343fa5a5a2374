//! Turning, shifting, scaling and shearing about the middle: torchvision's `RandomAffine`, with bilinear samples.

use super::dice::Dice;
use super::operation::{BOUNDS, Operation, SHARE, bounds};
use super::warp::Map;
use cupola_task::{Range, Result, Setting, Settings};

/// The registry's entry.
pub(crate) const AFFINE: Operation = Operation {
    name: "affine",
    doc: "Turns, shifts, scales and shears images about their middle.",
    settings: &[
        Setting {
            name: "rotate",
            alias: &["degrees", "rotation"],
            default: "0",
            range: Range::Real { min: 0.0, max: 180.0 },
            doc: "The most degrees that an image is turned, either way.",
        },
        Setting {
            name: "translate",
            alias: &[],
            default: "0",
            range: SHARE,
            doc: "The most that an image is shifted along each axis, as a share of its side.",
        },
        Setting {
            name: "scale",
            alias: &["zoom"],
            default: "[1, 1]",
            range: BOUNDS,
            doc: "Bounds of the factor that an image is made larger by, such as [0.9, 1.1].",
        },
        Setting {
            name: "shear",
            alias: &[],
            default: "0",
            range: Range::Real { min: 0.0, max: 80.0 },
            doc: "The most degrees that an image is sheared along its rows, either way.",
        },
    ],
};

/// How far images are turned, shifted, scaled and sheared.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Affine {
    degrees: f64,
    translate: f64,
    scale: [f64; 2],
    shear: f64,
}

impl Affine {
    pub fn open(settings: &Settings) -> Result<Affine> {
        let scale = bounds(settings, "scale", [0.01, 100.0])?.unwrap_or([1.0, 1.0]);
        Ok(Affine { degrees: settings.real("rotate"), translate: settings.real("translate"), scale, shear: settings.real("shear") })
    }

    /// Whether it never does anything.
    pub fn is_nothing(self) -> bool {
        self.degrees == 0.0 && self.translate == 0.0 && self.scale == [1.0, 1.0] && self.shear == 0.0
    }

    /// From the pixels of the result to those of the image.
    pub fn map(self, mut dice: Dice, [height, width]: [f64; 2]) -> Map {
        let degrees = dice.within(self.degrees);
        let shift = [dice.within(self.translate * width).round(), dice.within(self.translate * height).round()];
        let (scale, shear) = (dice.uniform(self.scale), dice.within(self.shear));
        inverse([width / 2.0, height / 2.0], degrees, shift, scale, shear)
    }
}

/// The inverse of: shear along the rows, turn clockwise and scale about a point, then shift. The formula is torchvision's
/// `_get_inverse_affine_matrix` for a shear along one axis. Points are x and y.
pub(crate) fn inverse(about: [f64; 2], degrees: f64, shift: [f64; 2], scale: f64, shear: f64) -> Map {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let tan = shear.to_radians().tan();
    // The forward matrix is [[cos, -cos tan - sin], [sin, -sin tan + cos]]; its determinant is 1.
    let [a, b, c, d] = [(cos - sin * tan) / scale, (cos * tan + sin) / scale, -sin / scale, cos / scale];
    let moved = [about[0] + shift[0], about[1] + shift[1]];
    Map([a, b, about[0] - a * moved[0] - b * moved[1], c, d, about[1] - c * moved[0] - d * moved[1]])
}
