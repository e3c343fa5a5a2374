//! How networks learn: optimisers, their rates, and what is done to gradients and weights around a step. All of it works on arenas,
//! slices of `f32` on the host that a [`Layout`](crate::Layout) describes, and none of it knows what the network computes.

mod clip;
mod ema;
mod freeze;
mod muon;
mod optimizer;
#[cfg(test)]
mod parity;
mod plan;
mod rules;
mod schedule;
mod settings;

pub use clip::Clip;
pub use ema::Ema;
pub use freeze::Freeze;
pub(crate) use freeze::matching;
pub use optimizer::{Optimizer, usual_rate};
pub use schedule::Schedule;
pub use settings::SETTINGS;
pub(crate) use settings::texts;
