//! Networks on columns of numbers and categories, one file each.

mod columns;
pub(crate) mod mlp;

pub use columns::{PackedColumns, TableColumns};
