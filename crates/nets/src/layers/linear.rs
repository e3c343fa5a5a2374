//! A dense layer: every number out is a weighted sum of all numbers in.

use super::features::{Features, Shape};
use super::init::{Bias, Init};
use super::stack::{Stack, flat, misfit};
use crate::layout::Param;
use crate::ops::{self, AnsweringDense};
use crate::pass::Pass;
use burn::tensor::Tensor;
use cupola_task::Result;

/// A dense layer's settings.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Dense {
    /// How many numbers it gives.
    pub out: usize,
    /// Whether there is a bias, and how it begins.
    pub bias: Bias,
    /// How the matrix begins.
    pub init: Init,
}

/// A dense layer.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Param,
    bias: Option<Param>,
    number: usize,
}

impl Dense {
    /// That many numbers, everything else by default.
    pub fn new(out: usize) -> Dense {
        Dense { out, bias: Bias::default(), init: Init::default() }
    }

    /// As a recipe writes it.
    pub fn kind(&self) -> String {
        format!("dense {}{}", self.out, if self.bias == Bias::None { " bias=false" } else { "" })
    }
}

impl Stack<'_> {
    /// Puts a dense layer on top, with `weight` `[out, in]` and `bias` `[out]`.
    ///
    /// # Errors
    /// When the input is not flat.
    pub fn linear(&mut self, name: &str, dense: Dense) -> Result<()> {
        self.add(name, |builder, input| {
            let width = flat(builder, &dense.kind(), input)?;
            if dense.out == 0 {
                return Err(misfit(builder, &dense.kind(), "a size of 0", "at least 1"));
            }
            let fill = dense.init.fill(width, dense.out);
            let weight = builder.param("weight", &[dense.out, width], fill);
            let bias = dense.bias.fill(fill).map(|fill| builder.param("bias", &[dense.out], fill));
            let number = builder.layer(dense.kind(), &[dense.out], 2 * (width * dense.out) as u64);
            Ok((Linear { weight, bias, number }, Shape::Flat(dense.out)))
        })
    }
}

impl Linear {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            let bias = self.bias.map(|bias| pass.get::<1>(bias));
            Features::Flat(ops::linear(input.flat(), pass.get(self.weight), bias))
        })
    }

    /// The answer where a [prepared](Pass::is_prepared) pass cuts off what lies beyond a range right behind it.
    pub(super) fn answer(&self, x: Tensor<2>, range: [f32; 2], pass: &Pass<'_>) -> Tensor<2> {
        pass.layer(self.number, || {
            let make = || AnsweringDense { weight: pass.numbers(self.weight), bias: self.bias.map(|bias| pass.numbers(bias)), range };
            ops::answer_dense(pass.prepared(self.weight, make), x)
        })
    }
}
