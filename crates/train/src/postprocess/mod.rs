//! What becomes of a model's answers before anybody sees them: probabilities that hold, the class that is answered, intervals and sets.
//!
//! All of it is learned from rows that the model did not learn from, never from test rows, lies in the model file, and is applied
//! in one place, where a pipeline answers; so `predict`, `eval` and the server say the same.

mod calibrate;
mod conformal;
mod learn;
mod measure;
mod record;
mod settings;
mod threshold;

#[cfg(test)]
mod parity;

pub(crate) use calibrate::{Rows, log_losses};
pub(crate) use learn::{Held, Learned, learn, truths};
pub(crate) use measure::{coverage, learned_report};
pub use record::Postprocess;
pub(crate) use settings::DECISION;
pub use settings::{Calibrate, Costs, DecisionPlan, IntervalMethod, SetMethod, ThresholdBy};
