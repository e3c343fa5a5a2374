//! What the user wrote: keys and values with their origin, from a TOML file, its `[tiny]` table and the command line.
//!
//! A recipe is raw. [`Plan`](crate::Plan) is what becomes of it once every key is checked.

mod keys;
mod read;
mod write;

pub use keys::{canonical, json_schema, lists, names, task_word};
pub use read::{Entry, Origin, Recipe, split_path};
pub use write::write;
