//! `plan` of tables: what a training will take, told before it starts.
//!
//! A *rehearsal* is the training itself on a part of the rows, in a folder that is thrown away. Two or more of them, each larger than the one before, and a law
//! through what their stages took, say what all rows will take; fitting goes by what learners say of their own work (`Learner::cost`). Reading is
//! not guessed at: it has to be done to plan at all, so its time and its memory are those that were measured.

mod choose;
mod law;
mod rehearsal;
mod told;

pub use law::Expected;
pub use told::{Forecast, Meter, StageForecast, TargetForecast, TriedForecast, forecast};

#[cfg(test)]
mod tests;
