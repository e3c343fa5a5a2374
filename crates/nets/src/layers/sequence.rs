//! Layers one after another.

use super::activation::{ALL, Activation};
use super::features::{Features, Shape};
use super::layer::Layer;
use super::residual::Joint;
use crate::pass::Pass;

/// Layers one after another, built by a [`Stack`](super::Stack).
#[derive(Clone, Debug)]
pub struct Sequence {
    pub(super) layers: Vec<Layer>,
    pub(super) output: Shape,
}

impl Sequence {
    /// The shape of what it gives for one row.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Whether it gives back what it gets.
    pub fn is_identity(&self) -> bool {
        self.layers.is_empty()
    }

    /// Runs every layer on what the one before it gave. In a [prepared](Pass::is_prepared) pass, layers with weights do what follows them: a norm,
    /// and an activation that cuts off.
    pub fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        self.joined(input, None, pass)
    }

    /// The same with a joint at the end, which in a prepared pass the last convolution does as well.
    pub(super) fn joined(&self, input: Features, mut joint: Option<Joint>, pass: &Pass<'_>) -> Features {
        let is_prepared = pass.is_prepared();
        let (mut features, mut rest) = (input, &self.layers[..]);
        while let Some((layer, behind)) = rest.split_first() {
            (features, rest) = match (layer, features) {
                (Layer::Conv2d(conv), Features::Maps(x)) if is_prepared && conv.can_answer() => {
                    let (norm, behind) = match behind {
                        [Layer::BatchNorm(norm), behind @ ..] => (Some(norm), behind),
                        _ => (None, behind),
                    };
                    let (mut range, behind) = cut_off(behind);
                    let last = joint.take_if(|joint| range.is_none() && behind.is_empty() && joint.is_cut_off());
                    let added = last.map(|joint| {
                        range = joint.after.range();
                        joint.branch.maps()
                    });
                    (Features::Maps(conv.answer(x, norm, added, range.unwrap_or(ALL), pass)), behind)
                }
                (Layer::Linear(linear), Features::Flat(x)) if is_prepared => {
                    let (range, behind) = cut_off(behind);
                    (Features::Flat(linear.answer(x, range.unwrap_or(ALL), pass)), behind)
                }
                // A ReLU behind a batch norm is done on the way.
                (Layer::BatchNorm(norm), features) => match behind {
                    [Layer::Activation(next), behind @ ..] if next.activation() == Activation::Relu => {
                        (norm.forward_with(features, true, pass), behind)
                    }
                    _ => (norm.forward(features, pass), behind),
                },
                (layer, features) => (layer.forward(features, pass), behind),
            };
        }
        match joint {
            Some(joint) => joint.of(features, pass),
            None => features,
        }
    }
}

/// What is left as it is where an activation comes first that does nothing but cut off the rest, and what comes behind it.
fn cut_off(layers: &[Layer]) -> (Option<[f32; 2]>, &[Layer]) {
    match layers {
        [Layer::Activation(next), behind @ ..] if next.activation().range().is_some() => (next.activation().range(), behind),
        _ => (None, layers),
    }
}
