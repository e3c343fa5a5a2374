//! Layers one after another.

use super::features::{Features, Shape};
use super::layer::Layer;
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

    /// Runs every layer on what the one before it gave.
    pub fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        let mut layers = self.layers.iter().peekable();
        let mut features = input;
        while let Some(layer) = layers.next() {
            features = match layer {
                // A ReLU behind a batch norm is done on the way.
                Layer::BatchNorm(norm) => {
                    let next = layers.next_if(|next| matches!(next, Layer::Activation(activation) if activation.is_relu()));
                    norm.forward_with(features, next.is_some(), pass)
                }
                layer => layer.forward(features, pass),
            };
        }
        features
    }
}
