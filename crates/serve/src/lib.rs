//! A model that answers over HTTP: `/predict`, the Open Inference Protocol, metrics for Prometheus, a page to try it.
//!
//! A request never takes the server down: every body, header, queue and wait has a limit, a panic in a prediction costs
//! that request alone, and a shutdown lets what is under way finish.

mod error;
mod options;
mod listen;
mod connection;
mod app;
mod desk;
mod problem;
mod reader;
mod rows;
mod answers;
mod example;
mod predict;
mod v2;
mod metrics;
mod pages;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use listen::serve;
pub use options::{SETTINGS, ServeOptions};
