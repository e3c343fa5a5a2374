//! The way back from answers to training: a challenger is trained from what the log and the labels say, compared with the champion on rows that
//! neither has learned from, tried in the shadow of live requests, and promoted or not. Every step is a decision of the registry.

mod backtest;
mod gates;
mod retrain;

pub(crate) use backtest::truth;
pub use backtest::{Compared, Comparison, Latency, SliceOf, backtest};
pub use gates::{Gate, gates};
pub(crate) use retrain::is_auto;
pub use retrain::{Decided, Loop, Sources, Step};
