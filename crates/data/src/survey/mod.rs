//! What a table of any length holds, found in one pass and in memory that does not grow with its rows: `cupola data profile`.
//!
//! Columns of few distinct values are counted as they are. Others are kept as sketches of the crate `datasketches` (Apache): HyperLogLog for
//! distinct values (Flajolet and others, 2007), t-digest for quantiles (Dunning and Ertl, 2019), Misra-Gries' summary for frequent values
//! (Anderson and others, "A high-performance algorithm for identifying frequent items in data streams", 2017).
//!
//! Differs: quantiles are no KLL sketch, since the crate's flips coins of a generator that is seeded anew in each process, and the same table is to
//! give the same profile.

mod association;
mod column;
mod groups;
mod pass;
mod patterns;
mod sample;
mod sketch;

#[cfg(test)]
mod tests;

pub use association::{Association, Measure};
pub use column::{ColumnSurvey, Frequent, Hint, HintKind, Numbers, Pictures, Texts};
pub use groups::{ClassShare, Gap, GroupRow, GroupSurvey, TargetSurvey};
pub use pass::{Looked, SURVEY_VERSION, Survey, survey};
pub use patterns::Pattern;
