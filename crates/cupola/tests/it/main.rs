//! The program as a user runs it: every test starts the built binary in a folder of its own.

#![expect(clippy::unwrap_used, reason = "this whole crate is a test")]

mod ahead;
mod audit;
mod bad;
mod data;
mod deploy;
mod desk;
mod explain;
mod help;
mod intervals;
mod memory;
mod monitor;
mod pictures;
mod preview;
mod releases;
mod retrain;
mod series;
mod sources;
mod stop;
mod tune;
mod whole;
