//! Hyperparameter search: a space of settings, a sampler that proposes, trials by cross-validation, a pruner that gives up early.
//!
//! A trial is a function of the seed, its number and the trials before it, and every finished trial lies in the store of the run
//! folder. So a search that was killed goes on where it stood and ends as one that was not.

mod space;

mod normal;
mod parzen;

mod cma;
mod grid;
mod random;
mod sampler;
mod tpe;

mod pruner;

mod importance;
mod store;

mod options;
mod spaces;

mod objective;
mod study;

#[cfg(test)]
mod parity;

pub use cma::{Cma, CmaState};
pub use options::TUNE;
pub(crate) use options::TuneOptions;
pub use parzen::{Bandwidth, Densities, Parzen};
pub use sampler::{Sampler, suggest};
pub use space::{Domain, Parameter, Point, Space, State, Trial};
pub(crate) use spaces::default_space;
pub(crate) use store::is_study;
pub use study::tune;
pub(crate) use study::{TRIALS, resume, time_of_trials};
