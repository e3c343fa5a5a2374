//! The mean of the numbers under a window.

use super::features::Features;
use super::max_pool::Pool;
use super::stack::{Stack, maps};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::ops::AvgPoolOptions;
use cupola_task::Result;

/// Average pooling's settings. Added zeros count, as in PyTorch.
pub type AvgPool = Pool;

/// Average pooling.
#[derive(Clone, Debug)]
pub struct AvgPool2d {
    options: AvgPoolOptions<2>,
    number: usize,
}

impl Stack<'_> {
    /// Puts average pooling on top.
    ///
    /// # Errors
    /// When the input is no maps, or they are smaller than the window.
    pub fn avg_pool(&mut self, name: &str, pool: AvgPool) -> Result<()> {
        self.add(name, |builder, input| {
            let kind = pool.kind("avgpool");
            let sides = maps(builder, &kind, input)?;
            let output = pool.output(builder, &kind, sides)?;
            let number = builder.layer(kind, &output.sides(), pool.flops(output));
            let options = AvgPoolOptions::new([pool.kernel; 2]).with_stride([pool.stride; 2]).with_padding([pool.padding; 2]);
            Ok((AvgPool2d { options, number }, output))
        })
    }
}

impl AvgPool2d {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || Features::Maps(ops::avg_pool2d(input.maps(), self.options.clone())))
    }
}
