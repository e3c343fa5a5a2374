//! Activations: what a unit makes of its sum.

use super::features::{Features, Shape};
use super::stack::Stack;
use crate::ops;
use crate::pass::Pass;
use burn::tensor::Tensor;
use cupola_task::Result;

/// A function of each number alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6)
    Relu6,
    /// tanh x
    Tanh,
    /// 1.7159 tanh(2x / 3), the squashing function of LeCun et al. 1998 (Appendix A): its values at -1 and 1 are -1 and 1.
    ScaledTanh,
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// x times the normal distribution function of x (not the tanh approximation)
    Gelu,
    /// x / (1 + exp(-x))
    Silu,
    /// x, and 0.01 x below 0
    LeakyRelu,
    /// ln(1 + exp x)
    Softplus,
    /// x
    #[default]
    Identity,
}

/// All numbers.
pub(super) const ALL: [f32; 2] = [f32::NEG_INFINITY, f32::INFINITY];

impl Activation {
    /// All of them under the words that recipes use.
    pub const WORDS: &[(&str, Activation)] = &[
        ("relu", Activation::Relu),
        ("relu6", Activation::Relu6),
        ("tanh", Activation::Tanh),
        ("scaled_tanh", Activation::ScaledTanh),
        ("sigmoid", Activation::Sigmoid),
        ("gelu", Activation::Gelu),
        ("silu", Activation::Silu),
        ("leaky_relu", Activation::LeakyRelu),
        ("softplus", Activation::Softplus),
        ("identity", Activation::Identity),
    ];

    /// The activation of that word.
    pub fn of(word: &str) -> Option<Activation> {
        Activation::WORDS.iter().find(|(known, _)| *known == word).map(|(_, activation)| *activation)
    }

    /// The word that recipes use.
    pub fn word(self) -> &'static str {
        Activation::WORDS.iter().find(|(_, activation)| *activation == self).map_or("identity", |(word, _)| word)
    }

    /// The smallest and the largest number that are left as they are, where it does nothing but cut off the others.
    pub(super) fn range(self) -> Option<[f32; 2]> {
        match self {
            Activation::Identity => Some(ALL),
            Activation::Relu => Some([0.0, f32::INFINITY]),
            Activation::Relu6 => Some([0.0, 6.0]),
            _ => None,
        }
    }

    /// The function on a tensor of any rank.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        ops::activation(self, x)
    }

    /// The function on features of any rank.
    pub fn of_features(self, input: Features) -> Features {
        match input {
            Features::Flat(x) => Features::Flat(self.apply(x)),
            Features::Maps(x) => Features::Maps(self.apply(x)),
        }
    }
}

/// An activation with its place in the layout.
#[derive(Clone, Debug)]
pub struct Activate {
    activation: Activation,
    number: usize,
}

impl Stack<'_> {
    /// Puts an activation on top; the identity adds no layer.
    ///
    /// # Errors
    /// None: it fits everything.
    pub fn activation(&mut self, name: &str, activation: Activation) -> Result<()> {
        if activation == Activation::Identity {
            return Ok(());
        }
        self.add(name, |builder, input: Shape| {
            let number = builder.layer(activation.word().to_owned(), &input.sides(), input.len() as u64);
            Ok((Activate { activation, number }, input))
        })
    }
}

impl Activate {
    /// Which one, for the layer before it may do it on its way.
    pub(super) fn activation(&self) -> Activation {
        self.activation
    }

    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || self.activation.of_features(input))
    }
}
