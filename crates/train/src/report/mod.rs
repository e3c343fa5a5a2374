//! What a run found, told to people: a page, a model card, plots, a verdict in plain words, the text at the end of a run.
//!
//! [`Report`] holds the facts and nothing else; every text is a function of it, so that a stored `report.json` can be
//! told again. Names of columns and classes come from outside and are cleaned and shortened wherever they are shown.

mod names;
mod numbers;
mod pictures;
#[expect(clippy::module_inception, reason = "the file holds the struct of that name")]
mod report;
mod residuals;

mod verdict;

mod card;
mod html;
mod plots;
mod terminal;

#[cfg(test)]
mod fixtures;

pub use card::card;
pub use html::html;
pub(crate) use pictures::pictures;
pub use plots::{Plot, plots};
pub use report::{
    Better, Bin, Bucket, Calibration, Candidate, ClassScore, ColumnSummary, Confusion, Curve, DataFile, DataSummary, Finding, History,
    HistoryPoint, Importance, Leaderboard, Measure, Origin, OutputFile, Permutation, Picture, Pictures, Point, Quantile, Report, Residuals,
    Score, SettingSource, Severity, SplitRows, Statement, Step, TargetReport, Threshold, Timing,
};
pub use terminal::{Paint, terminal};
pub use verdict::{Level, Remark, Topic, Verdict, verdict};
