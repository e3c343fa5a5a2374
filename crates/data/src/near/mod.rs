//! Rows that repeat others, wholly or nearly: `cupola data dup`, and a check of leaks.
//!
//! A row is the set of its cells; a cell of more than three words is the set of its runs of three words. Two rows are as alike as the information
//! that they share is a part of the information that either holds, a value being worth the logarithm of how rarely it comes: to agree on a rare
//! number says much, to agree on a frequent name says little (weighted Jaccard similarity). Candidates are found by MinHash (Broder, "On the
//! resemblance and containment of documents", 1997), in bands (Leskovec, Rajaraman, Ullman, "Mining of massive datasets", chapter 3), and each is
//! then measured exactly.
//!
//! Since weights belong to values, and not to rows, the smallest of exponential numbers with these rates chooses the same value in both rows with
//! the probability of their weighted similarity: one hash a value suffices, and no consistent sampling is needed.
//!
//! Pictures are nearly equal when they look alike: see `pictures.rs`.

mod bands;
mod find;
mod pictures;
mod signature;
mod tokens;

#[cfg(test)]
mod tests;

pub(crate) use bands::{Bands, candidates};
pub use find::{DUP, Duplicates, Group, Pair, Rows, Spot, duplicates};
pub(crate) use pictures::{Look, alike};
pub(crate) use signature::{Signer, Token, similarity, worth};
pub(crate) use tokens::{RUN, runs};
