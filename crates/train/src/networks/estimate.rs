//! What a training will take, told before it starts: parameters, work, memory and time, from a few timed real steps.

use super::fit::Job;
use super::settle::{Settled, judge_seconds};
use serde::Serialize;

/// What a training will take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// What is learned.
    pub target: String,
    /// The model's name.
    pub model: String,
    /// Trained numbers.
    pub params: u64,
    /// Multiplications and additions for one row, forwards.
    pub flops_per_row: u64,
    /// Training rows.
    pub rows: u64,
    /// Rows of a batch, and the rate's peak.
    pub batch: usize,
    /// The peak of the learning rate.
    pub lr: f64,
    /// Epochs, rounded up.
    pub epochs: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Seconds of an optimiser step; none when going on from a checkpoint.
    pub step_seconds: Option<f64>,
    /// Seconds of training: steps, and judging each epoch.
    pub train_seconds: Option<f64>,
    /// Most memory of the process in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
}

/// Forwards and backwards together take about three times the work of forwards.
const WORK_OF_STEP: u64 = 3;

impl Estimate {
    pub(crate) fn new(job: &Job<'_>, settled: &Settled) -> Estimate {
        let layout = job.trainee.layout();
        let rows = job.train.data().len();
        let per_epoch = job.steps_per_epoch(settled.batch);
        let epochs = settled.steps.div_ceil(per_epoch);
        let train_seconds = settled.step_seconds.map(|seconds| {
            let judging = job.judge.map_or(0.0, |judge| judge_seconds(judge, settled.batch, seconds));
            seconds * settled.steps as f64 + judging * epochs as f64
        });
        Estimate {
            target: job.target.to_owned(),
            model: job.model.to_owned(),
            params: layout.params(),
            flops_per_row: layout.flops(),
            rows,
            batch: settled.batch,
            lr: settled.rate,
            epochs,
            steps: settled.steps,
            step_seconds: settled.step_seconds,
            train_seconds,
            memory_bytes: (job.run.memory)().map(|used| used + later_bytes(job)),
        }
    }

    /// As a sentence.
    pub fn sentence(&self) -> String {
        let time = self.train_seconds.map_or(String::new(), |seconds| format!(", about {}", duration(seconds)));
        let memory = self.memory_bytes.map_or(String::new(), |bytes| format!(" and {} MB", bytes / 1_000_000));
        format!(
            "plan: {} parameters, {} steps of {} rows{time}{memory}, {:.2e} additions and multiplications",
            self.params,
            self.steps,
            self.batch,
            self.flops()
        )
    }

    /// Work of the whole training, in additions and multiplications.
    pub fn flops(&self) -> f64 {
        (self.flops_per_row * WORK_OF_STEP) as f64 * self.batch as f64 * self.steps as f64
    }
}

/// What is not yet in memory when the first steps were timed: the state to go back to, the best weights, and a checkpoint on its way to the
/// disk.
fn later_bytes(job: &Job<'_>) -> u64 {
    let arena = 4 * job.trainee.layout().len() as u64;
    let state = arena * 3;
    let checkpoint = if job.checkpoints.is_some() { 2 * state } else { 0 };
    state + arena + checkpoint
}

/// Seconds as people say them.
pub fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.1} s"),
        seconds if seconds < 5400.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}
