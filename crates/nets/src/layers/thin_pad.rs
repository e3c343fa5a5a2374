//! The shortcut without parameters of He et al. 2016 (option A): every `stride`-th pixel, and zeros for the channels that are new.

use super::features::{Features, Shape};
use super::stack::{Stack, maps, misfit};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Tensor};
use cupola_task::Result;

/// Thins pixels out and pads channels with zeros, half of them before and half of them after the old ones.
#[derive(Clone, Debug)]
pub struct ThinPad {
    stride: usize,
    before: usize,
    after: usize,
    number: usize,
}

impl Stack<'_> {
    /// Puts a shortcut to `channels` maps on top.
    ///
    /// # Errors
    /// When the input is no maps, or has more channels already.
    pub fn thin_pad(&mut self, name: &str, channels: usize, stride: usize) -> Result<()> {
        self.add(name, |builder, input| {
            let kind = format!("thinpad {channels} stride={stride}");
            let [old, height, width] = maps(builder, &kind, input)?;
            if channels < old || stride == 0 {
                return Err(misfit(builder, &kind, input, format!("at most {channels} maps, and a stride of at least 1")));
            }
            let output = Shape::Maps([channels, height.div_ceil(stride), width.div_ceil(stride)]);
            let number = builder.layer(kind, &output.sides(), 0);
            let before = (channels - old) / 2;
            Ok((ThinPad { stride, before, after: channels - old - before, number }, output))
        })
    }
}

impl ThinPad {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            // A window of one pixel takes every `stride`-th one.
            let options = AvgPoolOptions::new([1, 1]).with_stride([self.stride; 2]);
            let thin = ops::avg_pool2d(input.maps(), options);
            Features::Maps(pad(thin, self.before, self.after, pass.device()))
        })
    }
}

/// `[batch, before + channels + after, height, width]`
fn pad(maps: Tensor<4>, before: usize, after: usize, device: &Device) -> Tensor<4> {
    let [batch, _, height, width] = maps.dims();
    let zeros = |channels: usize| Tensor::<4>::zeros([batch, channels, height, width], device);
    let mut parts = vec![maps];
    if before > 0 {
        parts.insert(0, zeros(before));
    }
    if after > 0 {
        parts.push(zeros(after));
    }
    Tensor::cat(parts, 1)
}
