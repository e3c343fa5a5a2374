//! Why a model answers as it does: of all rows what it looks at and how, of one row what made its answer and what would change it.
//!
//! One file a method. [`explain`] asks them in turn for an [`Explanation`], which is data; text and page are made of it. All work on raw columns
//! through the whole pipeline, so what is told is told of the columns that the user knows. Methods that follow a reference name it in their file.

mod ale;
mod cells;
mod contributions;
mod counterfactual;
mod dependence;
mod explanation;
mod given;
mod interactions;
mod pairs;
mod rows;
mod sampling;
mod settings;
mod subject;

#[cfg(test)]
mod parity;

pub use contributions::Method;
pub(crate) use contributions::mean_sizes;
pub use counterfactual::{Change, Counterfactual};
pub use explanation::{
    Ale, ColumnCurves, ColumnShap, Dependence, Explanation, Interaction, Part, RowExplanation, ShapPoint, ShapSummary, WhatIf, explain,
};
pub use given::{Given, rows_of_run, rows_of_table};
pub use pairs::{ShapInteractions, ShapPair, TakeValues};
pub use rows::{AnswerExplained, AnswersExplained, explain_answers};
pub use settings::{EXPLAIN, ExplainPlan};
