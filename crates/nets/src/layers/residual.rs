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

/// The end of a block: `after(features + branch)`.
pub(super) struct Joint {
    pub branch: Features,
    pub after: Activation,
    number: usize,
}

impl Residual {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        let joint = |branch: Features| Joint { branch, after: self.after, number: self.number };
        if pass.is_prepared() {
            let shortcut = self.shortcut.forward(input.clone(), pass);
            return self.body.joined(input, Some(joint(shortcut)), pass);
        }
        let body = self.body.forward(input.clone(), pass);
        joint(self.shortcut.forward(input, pass)).of(body, pass)
    }
}

impl Joint {
    /// Whether maps are added and nothing but cut off then.
    pub(super) fn is_cut_off(&self) -> bool {
        matches!(self.branch, Features::Maps(_)) && self.after.range().is_some()
    }

    pub(super) fn of(self, body: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || match (body, self.branch) {
            (Features::Flat(body), Features::Flat(branch)) => Features::Flat(join(body, branch, self.after)),
            (body, branch) => Features::Maps(join(body.maps(), branch.maps(), self.after)),
        })
    }
}

fn join<const D: usize>(body: Tensor<D>, branch: Tensor<D>, after: Activation) -> Tensor<D> {
    match after {
        Activation::Relu => ops::add_relu(body, branch),
        after => after.apply(body + branch),
    }
}
