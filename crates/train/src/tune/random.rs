//! Random search (Bergstra and Bengio, JMLR 2012): each parameter by itself, evenly over its range.

use super::space::{Point, Space};
use cupola_task::Draw;

/// The point of a trial.
pub(super) fn suggest(space: &Space, number: u64, draw: Draw) -> Point {
    space.point(|_, parameter| parameter.domain.at(draw.stream("random").stream(&parameter.name).uniform(number)))
}
