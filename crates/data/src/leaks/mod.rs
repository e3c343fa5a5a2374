//! Leaks: what a model could know in training and not when it is used. Looked for before anything is prepared.
//!
//! A finding that stops a run is one that chance does not bring about; what honest tables also show (natural duplicates, a
//! file sorted by its target, one very good column) only warns. One file a check, one line in [`LEAKS`].

mod after_event;
mod duplicates;
mod evidence;
mod group_overlap;
mod id_order;
pub(crate) mod measure;
mod near_duplicates;
mod near_pictures;
mod row_order;
mod single_feature;
mod target_copy;
mod target_in_text;
mod target_sum;

#[cfg(test)]
mod tests;

pub use evidence::{Finding, LEAKS, LeakDef, Severity, check};
