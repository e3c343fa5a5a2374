//! Means over as many windows as bring maps to a given size, whatever theirs is.

use super::features::{Features, Shape};
use super::stack::{Stack, maps};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::module;
use burn::tensor::ops::AvgPoolOptions;
use cupola_task::Result;

/// Adaptive average pooling: output row `i` of `n` is the mean of input rows `floor(i h / n)` to `ceil((i + 1) h / n)`, as in PyTorch.
#[derive(Clone, Debug)]
pub struct AdaptiveAvgPool {
    side: usize,
    number: usize,
}

impl Stack<'_> {
    /// Puts adaptive average pooling to `side` x `side` on top.
    ///
    /// # Errors
    /// When the input is no maps.
    pub fn adaptive_avg_pool(&mut self, name: &str, side: usize) -> Result<()> {
        self.add(name, |builder, input| {
            let kind = if side == 1 { "globalavgpool".to_owned() } else { format!("avgpool to {side}x{side}") };
            let [channels, ..] = maps(builder, &kind, input)?;
            let output = Shape::Maps([channels, side, side]);
            let number = builder.layer(kind, &output.sides(), input.len().max(output.len()) as u64);
            Ok((AdaptiveAvgPool { side, number }, output))
        })
    }
}

impl AdaptiveAvgPool {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            let maps = input.maps();
            let [_, _, height, width] = maps.dims();
            Features::Maps(match self.side {
                side if [height, width] == [side; 2] => maps,
                1 => ops::avg_pool2d(maps, AvgPoolOptions::new([height, width])),
                side => module::adaptive_avg_pool2d(maps, [side; 2]),
            })
        })
    }
}
