//! A recipe becomes a plan, a plan becomes a run, a run leaves a measured model in one file.

mod plan;
pub mod recipe;

mod audit;
mod auto;
mod balance;
mod bounds;
mod confident;
mod crossval;
mod difference;
pub mod doctor;
mod eval;
mod evaluate;
pub mod explain;
mod finish;
mod fit;
mod folds;
pub mod forecast;
mod gates;
mod lists;
mod load;
mod made;
mod making;
mod nested;
mod noise;
mod parts;
mod resampled;
mod sheet;
mod training;
pub mod tune;

pub mod compare;
pub mod compare_folds;
pub mod curve_slices;
pub mod learning_curve;

mod answers;
mod artifact;
mod journal;
mod models;
mod networks;
mod postprocess;
mod records;
pub mod report;
mod resume;
pub mod runs;
mod summary;
mod watching;

mod ensemble;
mod error;

pub use answers::{answers_by_target, columns as answer_columns, predictions as answers_of, set_texts};
pub use artifact::*;
pub use cupola_nets::{LayerRow, give_back_freed};
pub use difference::{Moved, moved};
pub use error::{Error, Result};
pub use eval::{EvalPlan, Evaluation, evaluate_file};
pub use evaluate::main_measure;
pub use gates::{GateOn, QualityGate};
pub use load::{Preview, draft, preview};
pub use made::{LabelSaid, Made};
pub use models::{model, models};
pub use networks::{Assumed, Estimate, Shown, duration, show, show_pipeline};
pub use noise::{NOISE, Noise, Suspect, noise};
pub use parts::{ClassRows, Leak, Leaks, Parts, leaks, parts};
pub use plan::parse_duration as duration_of;
pub use plan::{Choice, Golden, InputPlan, LabelsPlan, LeakGate, OutputPlan, Plan, SlicePlan, metric};
pub use postprocess::{Calibrate, Costs, DecisionPlan, IntervalMethod, Postprocess, SetMethod, ThresholdBy};
pub use resume::{plan_of, resume};
pub use sheet::{Sheet, SheetSize, sheet};
pub use training::{Outcome, estimate, names_network, test_rows, train};
