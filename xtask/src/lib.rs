//! Checks and tables of the project itself: what a compiler cannot see, checked as a test and by `cargo run --release -p xtask -- tidy`.

mod tree;

mod arrows;
mod hygiene;
mod links;
mod recipes;
mod registry;
mod shipped;
mod tables;

mod tidy;

pub use tables::write_tables;
pub use tidy::{CHECKS, Check, tidy};
pub use tree::{File, Finding, Tree, root};
