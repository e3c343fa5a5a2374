//! How weights and biases begin.

use crate::layout::Fill;

/// How a kernel or matrix begins.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Init {
    /// Uniform within 1 / sqrt(fan in): what PyTorch's layers do by default (`kaiming_uniform_` with a = sqrt 5).
    #[default]
    FanIn,
    /// Normal with deviation sqrt(2 / fan out) (He et al. 2015; `kaiming_normal_` with mode `fan_out`).
    FanOut,
    /// Uniform within this number divided by the fan in (LeCun et al. 1998 take 2.4).
    OverFanIn(f32),
    /// Normal with this deviation.
    Normal(f32),
    /// All the same.
    Constant(f32),
}

/// Whether there is a bias, and how it begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Bias {
    /// Drawn as the weights are.
    #[default]
    AsWeights,
    /// All 0.
    Zero,
    /// There is none.
    None,
}

impl Init {
    /// The fill of a layer whose units sum over `fan_in` numbers and whose inputs go into `fan_out` units.
    pub fn fill(self, fan_in: usize, fan_out: usize) -> Fill {
        match self {
            Init::FanIn => Fill::Uniform((1.0 / (fan_in as f64).sqrt()) as f32),
            Init::FanOut => Fill::Normal((2.0 / fan_out as f64).sqrt() as f32),
            Init::OverFanIn(bound) => Fill::Uniform(bound / fan_in as f32),
            Init::Normal(deviation) => Fill::Normal(deviation),
            Init::Constant(value) => Fill::Constant(value),
        }
    }
}

impl Bias {
    /// The fill of the bias beside weights of that fill; none when there is no bias.
    pub fn fill(self, weights: Fill) -> Option<Fill> {
        match self {
            Bias::AsWeights => Some(weights),
            Bias::Zero => Some(Fill::Constant(0.0)),
            Bias::None => None,
        }
    }
}
