//! Transposed convolution in two dimensions: each pixel, times the kernel, is added to larger maps (PyTorch's `ConvTranspose2d`).

use super::conv2d::{beside, check_groups, described};
use super::features::{Features, Shape};
use super::init::{Bias, Init};
use super::stack::{Stack, maps, misfit};
use crate::layout::{Builder, Param};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::ops::ConvTransposeOptions;
use cupola_task::Result;

/// A transposed convolution's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ConvTranspose {
    /// How many maps it gives.
    pub out: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Steps in the output between neighbours of the input; 1 by default.
    pub stride: usize,
    /// Rows and columns left out on each side of the output; none by default.
    pub padding: usize,
    /// Rows below and columns to the right of the output, fewer than the stride or the dilation; none by default.
    pub output_padding: usize,
    /// Steps between the kernel's own numbers; 1 by default.
    pub dilation: usize,
    /// Input and output maps are cut into so many groups that do not see each other; 1 by default.
    pub groups: usize,
    /// Whether there is a bias, and how it begins.
    pub bias: Bias,
    /// How the kernel begins.
    pub init: Init,
}

/// A transposed convolution.
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    weight: Param,
    bias: Option<Param>,
    options: ConvTransposeOptions<2>,
    number: usize,
}

impl ConvTranspose {
    /// That many maps and that kernel, everything else by default.
    pub fn new(out: usize, kernel: usize) -> ConvTranspose {
        let (bias, init) = (Bias::default(), Init::default());
        ConvTranspose { out, kernel, stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1, bias, init }
    }

    /// As a recipe writes it.
    pub fn kind(&self) -> String {
        let said = [
            ("stride", beside(1, self.stride)),
            ("padding", beside(0, self.padding)),
            ("output_padding", beside(0, self.output_padding)),
            ("dilation", beside(1, self.dilation)),
            ("groups", beside(1, self.groups)),
            ("bias", (self.bias == Bias::None).then(|| "false".to_owned())),
        ];
        described(format!("convtranspose {} {}", self.out, self.kernel), said)
    }

    /// Channels and sides of what it gives.
    fn output(&self, builder: &Builder, [channels, height, width]: [usize; 3]) -> Result<[usize; 3]> {
        let wrong = |found: String, wanted: String| misfit(builder, &self.kind(), found, wanted);
        if [self.out, self.kernel, self.stride, self.dilation, self.groups].contains(&0) {
            return Err(wrong("a size of 0".into(), "sizes of at least 1".into()));
        }
        check_groups(builder, &self.kind(), [channels, self.out], self.groups)?;
        let most = self.stride.max(self.dilation) - 1;
        if self.output_padding > most {
            return Err(wrong(format!("output_padding={}", self.output_padding), format!("at most {most}: below stride or dilation")));
        }
        let all = |side: usize| (side - 1) * self.stride + self.dilation * (self.kernel - 1) + 1 + self.output_padding;
        if all(height.min(width)) <= 2 * self.padding {
            return Err(wrong(format!("padding={} of {} pixels", self.padding, all(height.min(width))), "some pixels left".into()));
        }
        Ok([self.out, all(height) - 2 * self.padding, all(width) - 2 * self.padding])
    }
}

impl Stack<'_> {
    /// Puts a transposed convolution on top, with `weight` `[in, out / groups, kernel, kernel]` and `bias` `[out]`.
    ///
    /// # Errors
    /// When the input is no maps, groups do not divide them, or the settings leave no pixel.
    pub fn conv_transpose2d(&mut self, name: &str, conv: ConvTranspose) -> Result<()> {
        self.add(name, |builder, input| {
            let sides = maps(builder, &conv.kind(), input)?;
            let output = Shape::Maps(conv.output(builder, sides)?);
            let shape = [sides[0], conv.out / conv.groups, conv.kernel, conv.kernel];
            let area = conv.kernel * conv.kernel;
            // PyTorch takes the kernel's second side for the fan in here too, though it is that of the outputs.
            let fill = conv.init.fill(shape[1] * area, shape[0] * area);
            let weight = builder.param("weight", &shape, fill);
            let bias = conv.bias.fill(fill).map(|fill| builder.param("bias", &[conv.out], fill));
            let flops = 2u64.saturating_mul(input.len() as u64).saturating_mul((shape[1] * area) as u64);
            let number = builder.layer(conv.kind(), &output.sides(), flops);
            let ConvTranspose { stride, padding, output_padding, dilation, groups, .. } = conv;
            let options = ConvTransposeOptions::new([stride; 2], [padding; 2], [output_padding; 2], [dilation; 2], groups);
            Ok((ConvTranspose2d { weight, bias, options, number }, output))
        })
    }
}

impl ConvTranspose2d {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            let bias = self.bias.map(|bias| pass.get::<1>(bias));
            Features::Maps(ops::conv_transpose2d(input.maps(), pass.get(self.weight), bias, self.options.clone()))
        })
    }
}
