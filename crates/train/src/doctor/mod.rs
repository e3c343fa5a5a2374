//! `doctor`: what is wrong with a run's model, what may help, and whether it does.
//!
//! What a report already judges (over- and underfit, imbalance, leaks, calibration) is named; what needs another look (labels that look
//! wrong, columns that say nothing) is looked at. Then remedies are tried: each is a change of the recipe, measured by cross-validation inside the
//! training rows on the same folds as the recipe as it is. Test rows choose nothing.

mod noise;
mod remedies;
mod text;
mod trial;

pub use noise::{Noise, Suspect};
pub use text::text;
pub use trial::{Checkup, Gain, Outcome, Remedy, doctor, plan};
