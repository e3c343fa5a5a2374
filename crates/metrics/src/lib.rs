//! Predictions into numbers, each with its interval.
//!
//! [`METRICS`] lists the measures by scikit-learn's names; [`score`] evaluates a list of them for one target, [`paired`]
//! says by how much one answer beats another on the same rows. Values equal scikit-learn's, weights included
//! (`parity/metrics.py` keeps it so).
//!
//! What holds for every measure of classes: the positive class of a binary target is the last of its classes; answers are
//! matched by class name, never by position; a true class that the model never saw counts as a wrong answer to which the
//! model gave probability 0. Undefined values (ROC-AUC of a single class, say) are NaN; measuring nothing is an error.
//!
//! ```
//! use arrow_array::StringArray;
//! use cupola_metrics::{Sampling, find, score};
//! use cupola_task::{Answer, Column, Columns, Field, Kind, Role, Settings, Task, View};
//! use std::sync::Arc;
//!
//! let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
//! let field = Field { name: "paid".into(), kind: Kind::Category { classes: classes.clone() }, role: Role::Target(Task::Classify) };
//! let answer = Answer::Scores { classes: classes.into(), values: vec![0.8, 0.2, 0.4, 0.6, 0.3, 0.7] };
//! let truth = Column::Array(Arc::new(StringArray::from(vec!["no", "yes", "no"])));
//! let none = Columns::default();
//! let view = View { truth: Some(&truth), weight: None, inputs: &none, keys: &none };
//! let accuracy = find("accuracy").unwrap();
//! let settings = Settings::check("accuracy", accuracy.settings, []).unwrap();
//! let scores = score(&field, &answer, view, &[(accuracy, settings)], Sampling::default()).unwrap();
//! assert_eq!(scores[0].value, 2.0 / 3.0);
//! assert!(scores[0].low < 0.3 && scores[0].high > 0.9, "three rows say little");
//! ```

mod interval;
mod labels;
mod registry;
mod rows;
mod score;

mod accuracy;
mod balanced_accuracy;
mod f1;
mod kappa;
mod mcc;
mod precision;
mod recall;
mod tally;

mod average_precision;
mod ranking;
mod roc_auc;

mod brier;
mod expected_cost;
mod log_loss;
mod losses;
mod mae;
mod mape;
mod mse;
mod rmse;

mod calibration_error;
mod r2;

mod confusion;
mod curves;
mod groups;
mod residuals;
mod slices;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod parity;

pub use confusion::{Confusion, confusion};
pub use curves::{CalibrationPoint, RecallPoint, RocPoint, calibration_curve, precision_recall_curve, roc_curve};
pub use groups::{GROUP_ROWS_MIN, Gap, GroupMeasure, Groups, Ranged, group_measures, groups};
pub use interval::wilson;
pub use labels::{LABEL_METRICS, LabelSets, label_differences, label_scores};
pub use registry::{METRICS, Ruler, find, plain, ruler};
pub use residuals::{Residuals, residuals};
pub use score::{Difference, Sampling, Score, paired, score, value};
pub use slices::{Found, Search, Slice, SliceColumn, slices};
