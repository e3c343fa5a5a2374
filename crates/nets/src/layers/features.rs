//! What goes from layer to layer: flat rows or maps, of a rank that the network's settings decide.

use burn::tensor::Tensor;
use std::fmt;

/// The shape of one row's features.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// So many numbers.
    Flat(usize),
    /// Channels, height and width.
    Maps([usize; 3]),
}

/// Features of a batch.
#[derive(Clone, Debug)]
pub enum Features {
    /// `[batch, numbers]`
    Flat(Tensor<2>),
    /// `[batch, channels, height, width]`
    Maps(Tensor<4>),
}

impl Shape {
    /// How many numbers; as many as can be counted, where they are more.
    pub fn len(self) -> usize {
        match self {
            Shape::Flat(width) => width,
            Shape::Maps(sides) => sides.iter().fold(1, |len: usize, side| len.saturating_mul(*side)),
        }
    }

    /// Whether there is no number.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// How many channels; each flat number counts as one.
    pub fn channels(self) -> usize {
        match self {
            Shape::Flat(width) => width,
            Shape::Maps([channels, ..]) => channels,
        }
    }

    /// The sides, as a layer's row lists them.
    pub fn sides(self) -> Vec<usize> {
        match self {
            Shape::Flat(width) => vec![width],
            Shape::Maps(sides) => sides.to_vec(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Flat(width) => write!(f, "{width} numbers"),
            Shape::Maps([channels, height, width]) => write!(f, "{channels} maps of {height}x{width}"),
        }
    }
}

impl Features {
    /// Maps, where the network was built to have them; asserts it.
    pub fn maps(self) -> Tensor<4> {
        match self {
            Features::Maps(maps) => maps,
            Features::Flat(_) => panic!("shapes were checked when the network was built"),
        }
    }

    /// Flat rows, where the network was built to have them; asserts it.
    pub fn flat(self) -> Tensor<2> {
        match self {
            Features::Flat(flat) => flat,
            Features::Maps(_) => panic!("shapes were checked when the network was built"),
        }
    }
}
