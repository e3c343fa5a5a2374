//! Which rows teach, choose and measure: random, stratified, by group, by time, by hash of a key, by a column.
//!
//! `random` and `stratified` depend on the number of rows, so that adding rows moves old ones, unless `keep` names the sides of
//! an earlier run; `hash` looks at one row's key only, so that an old row keeps its side for ever.

mod deal;
mod distinct;
mod record;
mod settings;
mod sides;

#[cfg(test)]
mod tests;

pub use distinct::{distinct_beside, distinct_rows};
pub use record::{keep, read_record, record_columns, row_keys};
pub use settings::{By, SETTINGS, SplitSettings, TestRows};
pub(crate) use sides::word_of_side;
pub use sides::{Cut, SplitRecord, sides};
