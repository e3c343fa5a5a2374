//! Answers that are remembered and watched: the prediction log and the labels that come later; what moved since training, and whether it costs
//! quality. No gradient engine and no server: only columns, answers and numbers.

mod error;
mod joined;
pub mod labels;
pub mod log;
pub mod policy;
pub mod registry;
mod store;

mod moment;
mod share;

pub use error::{Error, Result};
pub use joined::{Joined, join};
pub use moment::{moment, write_moment};
pub use share::share;
pub use store::{Durability, StoreAt};
