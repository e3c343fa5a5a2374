//! A model that answers over HTTP: `/predict`, the Open Inference Protocol, metrics for Prometheus, a page to try it.
//!
//! A request never takes the server down: every body, header, queue and wait has a limit, a panic in a prediction costs
//! that request alone, and a shutdown lets what is under way finish.

mod admin;
mod answers;
mod app;
mod ask;
mod auth;
mod batcher;
mod call;
mod connection;
mod desk;
mod error;
mod example;
mod extent;
mod feedback;
mod form;
pub mod learn;
mod listen;
mod metrics;
pub mod monitor;
mod options;
mod pages;
mod pictures;
mod predict;
mod problem;
mod reader;
mod renewed;
mod rows;
mod service;
mod shed;
mod tls;
mod v2;
mod world;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use error::{Error, Result};
pub use listen::serve;
pub use options::{Challenger, SETTINGS, ServeOptions};
pub use service::Source;
pub use tls::TlsFiles;
pub use world::{Retrain, World};
