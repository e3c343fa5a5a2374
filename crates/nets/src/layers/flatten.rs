//! Maps as flat numbers, channel by channel, row by row.

use super::features::{Features, Shape};
use super::stack::Stack;
use crate::pass::Pass;
use cupola_task::Result;

/// Flattening. It costs nothing and has no row of its own in the list of layers.
#[derive(Clone, Debug)]
pub struct Flatten;

impl Stack<'_> {
    /// Flattens maps; what is flat already stays as it is.
    ///
    /// # Errors
    /// None: it fits everything.
    pub fn flatten(&mut self) -> Result<()> {
        match self.shape() {
            Shape::Flat(_) => Ok(()),
            shape => self.add("", |_, _| Ok((Flatten, Shape::Flat(shape.len())))),
        }
    }
}

impl Flatten {
    pub(super) fn forward(&self, input: Features, _pass: &Pass<'_>) -> Features {
        Features::Flat(input.maps().flatten(1, 3)) // [batch, channels * height * width]
    }
}
