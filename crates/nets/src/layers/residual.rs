//! A body of layers whose output is added to its input (He et al.: "Deep residual learning for image recognition", CVPR 2016).

use super::activation::Activation;
use super::features::Features;
use super::sequence::Sequence;
use super::stack::{Stack, misfit};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::Tensor;
use cupola_task::Result;

/// A residual block.
#[derive(Clone, Debug)]
pub struct Residual {
    body: Sequence,
    shortcut: Sequence,
    after: Activation,
    number: usize,
}

impl Stack<'_> {
    /// Puts a block on top: `after(body(x) + shortcut(x))`. A shortcut that builds nothing is the identity.
    ///
    /// # Errors
    /// Those of `body` and `shortcut`, and when they give different shapes.
    pub fn residual(
        &mut self,
        name: &str,
        body: impl FnOnce(&mut Stack<'_>) -> Result<()>,
        shortcut: impl FnOnce(&mut Stack<'_>) -> Result<()>,
        after: Activation,
    ) -> Result<()> {
        let body = self.aside(name, body)?;
        let shortcut = self.aside(name, shortcut)?;
        let output = body.output();
        self.add(name, |builder, _| {
            let kind = if after == Activation::Identity { "add".to_owned() } else { format!("add {}", after.word()) };
            if shortcut.output() != output {
                return Err(misfit(builder, &kind, format!("{} beside {}", shortcut.output(), output), "equal shapes"));
            }
            let number = builder.layer(kind, &output.sides(), 2 * output.len() as u64);
            Ok((Residual { body, shortcut, after, number }, output))
        })
    }
}

impl Residual {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        let body = self.body.forward(input.clone(), pass);
        let shortcut = self.shortcut.forward(input, pass);
        pass.layer(self.number, || match (body, shortcut) {
            (Features::Flat(body), Features::Flat(shortcut)) => Features::Flat(self.join(body, shortcut)),
            (body, shortcut) => Features::Maps(self.join(body.maps(), shortcut.maps())),
        })
    }

    fn join<const D: usize>(&self, body: Tensor<D>, shortcut: Tensor<D>) -> Tensor<D> {
        match self.after {
            Activation::Relu => ops::add_relu(body, shortcut),
            after => after.apply(body + shortcut),
        }
    }
}
