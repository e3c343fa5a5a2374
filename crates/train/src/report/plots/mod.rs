//! Plots as SVG, one file each, drawn with plotters' SVG backend.
//!
//! Colours follow the reader's theme: plots are drawn in placeholder inks, which `canvas` turns into CSS classes.

mod bars;
mod canvas;
mod frame;

mod calibration;
mod confusion;
mod history;
mod importance;
mod leaderboard;
mod learning_curve;
mod mean_shap;
mod precision_recall;
mod residuals;
mod roc;
mod trials;

mod effects;
mod swarm;

mod gallery;

pub(super) use canvas::style;
pub(super) use confusion::mistakes;
pub(super) use effects::{dependence, effect};
pub use gallery::{Plot, plots};
pub(super) use gallery::{leaderboard_plot, target_plots};
pub(super) use learning_curve::learning_curve;
pub(super) use swarm::{scatter, swarm, text_of, waterfall};
pub(super) use trials::trials;
