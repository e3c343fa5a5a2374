//! The prediction log: what was asked, what was answered, by which version, how fast, and the id by which a label finds it.
//!
//! ```text
//! FOLDER/
//!   open-000001-0a1b2c3d4e5f.jsonl         the segment that is being written: a head that names the columns, then a line each row
//!   date=2026-11-29/part-000001-....parquet   a segment that is done, as a table, under the day it was written
//! ```
//!
//! An answer that says `logged` has its line with the operating system, so that it outlives the process however that ends; with
//! `durability=power` it has reached the disk. Serving never waits for a log that cannot keep up: the answer then says `logged: false`, and the
//! row is counted as dropped.

mod line;
mod read;
mod retain;
mod roll;
mod settings;
mod writer;

#[cfg(test)]
mod tests;

pub use line::{Answered, Encoder, Lines, row_id};
pub use read::{Logged, Order, read, visit};
pub use retain::{Forgotten, forget};
pub use settings::{LOG, LogOptions, LogTo};
pub use writer::{Counts, Logger};
