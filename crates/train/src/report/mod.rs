//! What a run found, told to people: a page, a model card, plots, a verdict in plain words, the text at the end of a run.
//!
//! [`Report`] holds the facts and nothing else; every text is a function of it, so that a stored `report.json` can be
//! told again. Names of columns and classes come from outside and are cleaned and shortened wherever they are shown.

mod audit;
mod balance;
mod mistakes;
mod names;
mod numbers;
mod pictures;
mod remarks;
#[expect(clippy::module_inception, reason = "the file holds the struct of that name")]
mod report;
mod residuals;
mod tuning;

mod undefined;
mod verdict;

mod card;
mod card_audit;
mod curve;
mod explained;
mod history;
mod html;
mod html_audit;
mod labels;
mod plots;
mod survey;
mod terminal;
mod terminal_audit;

#[cfg(test)]
mod fixtures;

pub use audit::{
    CalibrationChange, ChosenRule, Coverage, CrossValidation, FoldMeasure, GateResult, Group, GroupReport, NamedMeasure, Postprocessing,
    SetSize, SliceReport, WorstSlice,
};
pub use balance::{Balance, Unbalanced};
pub use card::card;
pub use curve::learning_curve_page;
pub use explained::{explanation_page, explanation_text};
pub use history::{History, HistoryPoint};
pub use html::html;
pub use labels::{LabelTarget, LabelsReport};
pub(crate) use mistakes::mistakes;
pub use mistakes::{MeanShap, Mistake, MistakeInput, Mistakes};
pub use numbers::short as number;
pub(crate) use pictures::pictures;
pub use plots::{Plot, plots};
pub use report::{
    Better, Bin, Bucket, Calibration, Candidate, ClassScore, ColumnSummary, Confusion, Curve, DataFile, DataSummary, Finding, Importance,
    Leaderboard, Measure, Origin, OutputFile, Permutation, Picture, Pictures, Point, Quantile, Report, Residuals, Score, SettingSource,
    Severity, SplitRows, Statement, Step, TargetReport, Threshold, Timing,
};
pub use survey::survey_page;
pub use terminal::{Paint, audit_text, terminal};
pub use tuning::{TunedParameter, TunedTrial, Tuning};
pub use verdict::{Level, Remark, Topic, Verdict, verdict};
