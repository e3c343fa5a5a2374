//! The training loop of networks: compiled once, for every network.
//!
//! A step is a function of the state before it, of the recipe and of the data. Nothing is drawn from a generator that has to be wound
//! forward, so a run that goes on from a checkpoint ends in the same bytes as one that was never interrupted.

mod checkpoint;
mod estimate;
mod fit;
mod judge;
mod loader;
mod network;
mod settings;
mod settle;
mod show;
mod state;

#[cfg(test)]
mod tests;

pub use estimate::{Estimate, duration};
pub(crate) use fit::Trained;
pub(crate) use network::{estimate, fit};
pub use settings::{SAVE, TRAIN};
pub use show::{Assumed, Shown, show, show_pipeline};
