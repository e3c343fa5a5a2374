//! Answers that are remembered and watched: the prediction log and the labels that come later; what moved since training, and whether it costs
//! quality. No gradient engine and no server: only columns, answers and numbers.

mod error;

mod axis;
mod calibration;
mod content;
mod embedding;
mod measure;
mod reference;
mod tails;
mod target;
mod window;

pub mod drift;
mod estimate;
mod performance;
mod quality;

mod alarm;
mod examine;
mod history;
mod monitor;
mod report;
mod watcher;
mod webhook;

mod joined;
pub mod labels;
pub mod log;
pub mod policy;
pub mod registry;
mod store;

mod moment;
mod share;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod parity;

pub use alarm::{AlarmEvent, AlarmKind, Alarms};
pub use axis::{Axis, Moments, Tally};
pub use calibration::Calibration;
pub use content::Content;
pub use error::{Error, Result};
pub use estimate::{Expected, estimate};
pub use examine::examine;
pub use history::{Brief, History};
pub use joined::{Joined, join};
pub use measure::Quality;
pub use moment::{moment, write_moment};
pub use monitor::{Correction, MONITOR, MonitorOptions, WindowLength, setting as monitor_setting};
pub use reference::{ColumnReference, Held, Keep, Reference, SliceColumn};
pub use report::{Alarm, REPORT_VERSION, Report, Subject, TargetReport, TestRow, Verdict, short};
pub use share::share;
pub use store::{Durability, StoreAt};
pub use target::TargetReference;
pub use watcher::{Closed, Rows, State, Watcher};
pub use webhook::post;
pub use window::{ColumnWindow, SchemaFault, TargetWindow, Window, row_hash};
