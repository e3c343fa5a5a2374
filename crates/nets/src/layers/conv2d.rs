//! Convolution in two dimensions (cross-correlation, as everywhere in the field).

use super::batch_norm::BatchNormLayer;
use super::features::{Features, Shape};
use super::init::{Bias, Init};
use super::stack::{Stack, maps, misfit};
use crate::layout::{Builder, Param};
use crate::ops::{self, AnsweringConv};
use crate::pass::Pass;
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;
use cupola_kernels::conv2d::Prepared;
use cupola_task::Result;

/// Zeros around the maps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    /// So many on each side.
    Each(usize),
    /// As many as keep the size, the odd one below and to the right; only with stride 1.
    Same,
}

/// A convolution's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv {
    /// How many maps it gives.
    pub out: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Steps between places of the kernel; 1 by default.
    pub stride: usize,
    /// Zeros around the maps; none by default.
    pub padding: Padding,
    /// Steps between the kernel's own numbers; 1 by default.
    pub dilation: usize,
    /// Input and output maps are cut into so many groups that do not see each other; 1 by default.
    pub groups: usize,
    /// Whether there is a bias, and how it begins.
    pub bias: Bias,
    /// How the kernel begins.
    pub init: Init,
}

/// A convolution.
#[derive(Clone, Debug)]
pub struct Conv2d {
    weight: Param,
    bias: Option<Param>,
    options: ConvOptions<2>,
    number: usize,
}

impl Conv {
    /// That many maps and that kernel, everything else by default.
    pub fn new(out: usize, kernel: usize) -> Conv {
        let padding = Padding::Each(0);
        Conv { out, kernel, stride: 1, padding, dilation: 1, groups: 1, bias: Bias::default(), init: Init::default() }
    }

    /// As a recipe writes it.
    pub fn kind(&self) -> String {
        let padding = match self.padding {
            Padding::Each(zeros) => beside(0, zeros),
            Padding::Same => Some("same".to_owned()),
        };
        let said = [
            ("stride", beside(1, self.stride)),
            ("padding", padding),
            ("dilation", beside(1, self.dilation)),
            ("groups", beside(1, self.groups)),
            ("bias", (self.bias == Bias::None).then(|| "false".to_owned())),
        ];
        described(format!("conv {} {}", self.out, self.kernel), said)
    }

    /// Zeros before and after each side.
    fn zeros(&self) -> (usize, usize) {
        match self.padding {
            Padding::Each(zeros) => (zeros, zeros),
            Padding::Same => {
                let all = self.dilation * (self.kernel - 1);
                (all / 2, all - all / 2)
            }
        }
    }

    /// How many pixels the kernel reaches over.
    fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    /// Channels and sides of what it gives.
    fn output(&self, builder: &Builder, [channels, height, width]: [usize; 3]) -> Result<[usize; 3]> {
        let wrong = |found: String, wanted: String| misfit(builder, &self.kind(), found, wanted);
        if [self.out, self.kernel, self.stride, self.dilation, self.groups].contains(&0) {
            return Err(wrong("a size of 0".into(), "sizes of at least 1".into()));
        }
        check_groups(builder, &self.kind(), [channels, self.out], self.groups)?;
        if self.padding == Padding::Same && self.stride != 1 {
            return Err(wrong(format!("padding=same with stride={}", self.stride), "stride=1, or padding as a number".into()));
        }
        let (before, after) = self.zeros();
        let least = self.reach().saturating_sub(before + after).max(1);
        if height.min(width) < least {
            return Err(wrong(format!("{height}x{width} maps"), format!("at least {least}x{least}")));
        }
        let side = |side: usize| (side + before + after - self.reach()) / self.stride + 1;
        Ok([self.out, side(height), side(width)])
    }
}

/// What a layer is, then those of its settings that are not the default.
pub(super) fn described<const N: usize>(mut kind: String, settings: [(&str, Option<String>); N]) -> String {
    for (name, value) in settings {
        if let Some(value) = value {
            kind += &format!(" {name}={value}");
        }
    }
    kind
}

/// A number that is not the default.
pub(super) fn beside(default: usize, number: usize) -> Option<String> {
    (number != default).then(|| number.to_string())
}

/// That groups divide the maps in and out.
pub(super) fn check_groups(builder: &Builder, kind: &str, maps: [usize; 2], groups: usize) -> Result<()> {
    match maps.iter().all(|maps| maps.is_multiple_of(groups)) {
        true => Ok(()),
        false => {
            let found = format!("{} maps in and {} out", maps[0], maps[1]);
            Err(misfit(builder, kind, found, format!("both a multiple of {groups} groups")))
        }
    }
}

impl Stack<'_> {
    /// Puts a convolution on top, with `weight` `[out, in / groups, kernel, kernel]` and `bias` `[out]`.
    ///
    /// # Errors
    /// When the input is no maps, they are smaller than the kernel, or groups do not divide them.
    pub fn conv2d(&mut self, name: &str, conv: Conv) -> Result<()> {
        self.add(name, |builder, input| {
            let sides = maps(builder, &conv.kind(), input)?;
            let output = conv.output(builder, sides)?;
            let shape = [conv.out, sides[0] / conv.groups, conv.kernel, conv.kernel];
            let area = conv.kernel * conv.kernel;
            // PyTorch counts the fan out over all groups.
            let fill = conv.init.fill(shape[1] * area, conv.out * area);
            let weight = builder.param("weight", &shape, fill);
            let bias = conv.bias.fill(fill).map(|fill| builder.param("bias", &[conv.out], fill));
            let output = Shape::Maps(output);
            let flops = 2u64.saturating_mul(output.len() as u64).saturating_mul((shape[1] * area) as u64);
            let number = builder.layer(conv.kind(), &output.sides(), flops);
            let options = ConvOptions::new_with_padding([conv.stride; 2], [conv.zeros(); 2], [conv.dilation; 2], conv.groups);
            Ok((Conv2d { weight, bias, options, number }, output))
        })
    }
}

impl Conv2d {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            let bias = self.bias.map(|bias| pass.get::<1>(bias));
            Features::Maps(ops::conv2d(input.maps(), pass.get(self.weight), bias, self.options.clone()))
        })
    }

    /// Whether [`Conv2d::answer`] knows its settings.
    pub(super) fn can_answer(&self) -> bool {
        ops::even(self.options.padding).is_some()
    }

    /// The answer where a [prepared](Pass::is_prepared) pass goes through a norm, adds maps, and cuts off what lies beyond a range right behind it.
    pub(super) fn answer(
        &self,
        x: Tensor<4>,
        norm: Option<&BatchNormLayer>,
        added: Option<Tensor<4>>,
        range: [f32; 2],
        pass: &Pass<'_>,
    ) -> Tensor<4> {
        pass.layer(self.number, || {
            let conv = pass.prepared(self.weight, || self.prepare(x.dims(), norm, range, pass));
            ops::answer_conv(conv, x, added)
        })
    }

    fn prepare(&self, sides: [usize; 4], norm: Option<&BatchNormLayer>, range: [f32; 2], pass: &Pass<'_>) -> AnsweringConv {
        let bias = self.bias.map(|bias| pass.numbers(bias).to_vec());
        let (scale, shift) = match norm.map(|norm| norm.folded(pass)) {
            None => (None, bias),
            Some([scale, mut shift]) => {
                // The norm multiplies the bias as well.
                let biases = bias.into_iter().flatten();
                shift.iter_mut().zip(&scale).zip(biases).for_each(|((shift, scale), bias)| *shift += scale * bias);
                (Some(scale), Some(shift))
            }
        };
        let shape = ops::conv_shape(sides, pass.sides(self.weight), &self.options).expect("it was asked whether it can answer");
        AnsweringConv { kernel: Prepared::new(&shape, scale, shift, range), weight: pass.numbers(self.weight) }
    }
}
