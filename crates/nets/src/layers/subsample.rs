//! Subsampling with a trained coefficient and bias a map, layers S2 and S4 of LeCun et al. 1998, section II.B.

use super::features::{Features, Shape};
use super::stack::{Stack, maps, misfit};
use crate::layout::{Fill, Param};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::ops::AvgPoolOptions;
use cupola_task::Result;

/// The sum of each 2x2 window times the map's coefficient plus the map's bias.
#[derive(Clone, Debug)]
pub struct Subsample {
    weight: Param,
    bias: Param,
    number: usize,
}

/// Height and width of the window.
const SIDE: usize = 2;

impl Stack<'_> {
    /// Puts 2x2 subsampling on top, with `weight` and `bias`, both `[channels]`.
    ///
    /// # Errors
    /// When the input is no maps of at least 2x2.
    pub fn subsample(&mut self, name: &str) -> Result<()> {
        self.add(name, |builder, input| {
            let kind = "subsample";
            let [channels, height, width] = maps(builder, kind, input)?;
            if height.min(width) < SIDE {
                return Err(misfit(builder, kind, format!("{height}x{width} maps"), format!("at least {SIDE}x{SIDE}")));
            }
            // Each unit sums over four numbers with one weight, so by the paper's rule (Appendix A) it begins within 2.4 / 4.
            // Differs: it begins at the mean of the four, so that no map begins near silence.
            let weight = builder.param("weight", &[channels], Fill::Constant(1.0 / (SIDE * SIDE) as f32));
            let bias = builder.param("bias", &[channels], Fill::Constant(0.0));
            let output = Shape::Maps([channels, height / SIDE, width / SIDE]);
            let number = builder.layer(kind.to_owned(), &output.sides(), ((SIDE * SIDE + 2) * output.len()) as u64);
            Ok((Subsample { weight, bias, number }, output))
        })
    }
}

impl Subsample {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            let mean = ops::avg_pool2d(input.maps(), AvgPoolOptions::new([SIDE; 2]));
            let channels = mean.dims()[1];
            let each = |param: Param| pass.get::<1>(param).reshape([1, channels, 1, 1]);
            Features::Maps(mean.mul_scalar((SIDE * SIDE) as f64) * each(self.weight) + each(self.bias))
        })
    }
}
