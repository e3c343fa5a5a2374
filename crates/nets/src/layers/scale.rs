//! All numbers times a constant, such as logits that begin small.

use super::features::{Features, Shape};
use super::stack::Stack;
use crate::pass::Pass;
use cupola_task::Result;

/// Multiplies by a constant.
#[derive(Clone, Debug)]
pub struct Scale {
    factor: f64,
    number: usize,
}

impl Stack<'_> {
    /// Puts a factor on top.
    ///
    /// # Errors
    /// None of its own.
    pub fn scale(&mut self, name: &str, factor: f64) -> Result<()> {
        self.add(name, |builder, input: Shape| {
            let number = builder.layer(format!("scale {factor}"), &input.sides(), input.len() as u64);
            Ok((Scale { factor, number }, input))
        })
    }
}

impl Scale {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || match input {
            Features::Flat(x) => Features::Flat(x.mul_scalar(self.factor)),
            Features::Maps(x) => Features::Maps(x.mul_scalar(self.factor)),
        })
    }
}
