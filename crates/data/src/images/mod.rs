//! Pictures as they come from outside: decoded within limits, brought to 8-bit grey or colour.

mod cells;
mod convert;
mod decode;
mod jpeg;
mod settings;
mod shrink;
mod store;
mod table;

pub(crate) use cells::cells;
pub use decode::{Changes, Decoded, decode};
pub use settings::{ImageOptions, Keep};
pub(crate) use shrink::resized;
pub(crate) use store::Store;
pub use table::picture_columns;

#[cfg(test)]
mod tests;
