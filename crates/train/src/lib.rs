//! A recipe becomes a plan, a plan becomes a run, a run leaves a measured model in one file.

mod plan;
pub mod recipe;

mod auto;
mod eval;
mod evaluate;
mod fit;
mod folds;
mod load;
mod sheet;
mod training;

mod answers;
mod artifact;
mod journal;
mod models;
mod networks;
mod records;
pub mod report;
mod resume;
pub mod runs;
mod summary;
mod watching;

mod error;

pub use answers::{columns as answer_columns, predictions as answers_of};
pub use artifact::*;
pub use cupola_nets::LayerRow;
pub use error::{Error, Result};
pub use eval::{EvalPlan, Evaluation, evaluate_file};
pub use evaluate::main_measure;
pub use load::{Preview, draft, preview};
pub use models::{model, models};
pub use networks::{Assumed, Estimate, Shown, duration, show, show_pipeline};
pub use plan::{Choice, Golden, InputPlan, LeakGate, OutputPlan, Plan, QualityGate, metric};
pub use resume::{plan_of, resume};
pub use sheet::{Sheet, SheetSize, sheet};
pub use training::{Outcome, estimate, test_rows, train};
