//! The largest number under a window.

use super::features::{Features, Shape};
use super::stack::{Stack, maps, misfit};
use crate::layout::Builder;
use crate::ops;
use crate::pass::Pass;
use burn::tensor::ops::MaxPoolOptions;
use cupola_task::Result;

/// A window that slides over maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pool {
    /// Height and width of the window.
    pub kernel: usize,
    /// Steps between places of the window.
    pub stride: usize,
    /// Rows and columns added on each side; at most half the window.
    pub padding: usize,
}

/// Max pooling.
#[derive(Clone, Debug)]
pub struct MaxPool2d {
    options: MaxPoolOptions<2>,
    number: usize,
}

impl Pool {
    /// Windows side by side, nothing added.
    pub fn new(kernel: usize) -> Pool {
        Pool { kernel, stride: kernel, padding: 0 }
    }

    /// As a recipe writes it, after `word`.
    pub(super) fn kind(&self, word: &str) -> String {
        let mut kind = format!("{word} {}", self.kernel);
        if self.stride != self.kernel {
            kind += &format!(" stride={}", self.stride);
        }
        if self.padding != 0 {
            kind += &format!(" padding={}", self.padding);
        }
        kind
    }

    /// One operation for each number under each window.
    pub(super) fn flops(&self, output: Shape) -> u64 {
        (output.len() as u64).saturating_mul((self.kernel * self.kernel) as u64)
    }

    /// Channels and sides of what it gives; windows that reach over the edge are left out.
    pub(super) fn output(&self, builder: &Builder, kind: &str, [channels, height, width]: [usize; 3]) -> Result<Shape> {
        if self.kernel == 0 || self.stride == 0 {
            return Err(misfit(builder, kind, "a size of 0", "sizes of at least 1"));
        }
        if self.padding > self.kernel / 2 {
            let wanted = format!("at most half the window, {}", self.kernel / 2);
            return Err(misfit(builder, kind, format!("padding={}", self.padding), wanted));
        }
        let least = (self.kernel - 2 * self.padding).max(1);
        if height.min(width) < least {
            return Err(misfit(builder, kind, format!("{height}x{width} maps"), format!("at least {least}x{least}")));
        }
        let side = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        Ok(Shape::Maps([channels, side(height), side(width)]))
    }
}

impl Stack<'_> {
    /// Puts max pooling on top.
    ///
    /// # Errors
    /// When the input is no maps, or they are smaller than the window.
    pub fn max_pool(&mut self, name: &str, pool: Pool) -> Result<()> {
        self.add(name, |builder, input| {
            let kind = pool.kind("maxpool");
            let sides = maps(builder, &kind, input)?;
            let output = pool.output(builder, &kind, sides)?;
            let number = builder.layer(kind, &output.sides(), pool.flops(output));
            let options = MaxPoolOptions::new([pool.kernel; 2]).with_stride([pool.stride; 2]).with_padding([pool.padding; 2]);
            Ok((MaxPool2d { options, number }, output))
        })
    }
}

impl MaxPool2d {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || Features::Maps(ops::max_pool2d(input.maps(), self.options.clone())))
    }
}
