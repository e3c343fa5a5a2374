//! What a recipe may say about the training loop: `[train]` beside the keys of the optimiser, and `[save]`.

use cupola_task::{Range, Setting, Settings, Value};
use std::time::Duration;

const WHOLE: Range = Range::Integer { min: 1, max: i64::MAX };
const AUTO_OR_WHOLE: Range = Range::Any(&[Range::Choice(&["auto"]), WHOLE]);

/// The keys of `[train]` that belong to the loop.
pub const TRAIN: &[Setting] = &[
    Setting {
        name: "epochs",
        alias: &["num_train_epochs", "max_epochs", "num_epochs"],
        default: "20",
        range: WHOLE,
        doc: "How often every training row is seen.",
    },
    Setting {
        name: "steps",
        alias: &["max_steps"],
        default: "auto",
        range: AUTO_OR_WHOLE,
        doc: "After how many optimiser steps training ends; auto: after the epochs, or when the time is up.",
    },
    Setting {
        name: "total_steps",
        alias: &[],
        default: "auto",
        range: AUTO_OR_WHOLE,
        doc: "The step at which the schedule of rates ends; auto: the last one.",
    },
    Setting {
        name: "batch",
        alias: &["batch_size", "per_device_train_batch_size"],
        default: "64",
        range: AUTO_OR_WHOLE,
        doc: "Rows whose gradients are computed together; auto: the size that the measured speed and memory favour.",
    },
    Setting {
        name: "accumulate",
        alias: &["gradient_accumulation_steps", "accumulate_grad_batches"],
        default: "1",
        range: Range::Integer { min: 1, max: 1 << 20 },
        doc: "Batches whose gradients are added up before one optimiser step.",
    },
    Setting {
        name: "patience",
        alias: &["early_stopping", "early_stopping_rounds"],
        default: "10",
        range: Range::Integer { min: 0, max: i64::MAX },
        doc: "Epochs without a better validation score after which training ends; 0: never.",
    },
    Setting {
        name: "watch",
        alias: &["monitor", "metric_for_best_model"],
        default: "auto",
        range: Range::Text,
        doc: "What is better on validation rows: loss, or a measure of `cupola metrics`; auto: the measure that headlines the report.",
    },
    Setting {
        name: "keep",
        alias: &[],
        default: "best",
        range: Range::Choice(&["best", "last"]),
        doc: "Whether the model is the one of the best epoch on validation rows, or of the last step.",
    },
    Setting {
        name: "retreats",
        alias: &[],
        default: "5",
        range: Range::Integer { min: 0, max: 100 },
        doc: "How often a run that diverges goes back to its last sound epoch with half the rate before it gives up.",
    },
];

/// The keys of `[save]`.
pub const SAVE: &[Setting] = &[
    Setting {
        name: "every",
        alias: &["save_steps"],
        default: "5m",
        range: Range::Any(&[WHOLE, Range::Text]),
        doc: "How often a checkpoint is written: a number of steps, or a duration such as 30s, 5m, 1h.",
    },
    Setting {
        name: "keep",
        alias: &[],
        default: "true",
        range: Range::Flag,
        doc: "Whether the last and the best checkpoint stay in the run folder when training has ended.",
    },
];

/// A checked `[train]` and `[save]`.
#[derive(Clone, Debug)]
pub(crate) struct LoopSettings {
    pub epochs: u64,
    pub steps: Option<u64>,
    pub total_steps: Option<u64>,
    pub batch: Option<usize>,
    pub accumulate: usize,
    pub patience: u64,
    pub watch: String,
    pub keeps_best: bool,
    pub retreats: u32,
    pub every: Every,
    pub keeps_files: bool,
}

/// How often a checkpoint is written.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Every {
    Steps(u64),
    Time(Duration),
}

impl LoopSettings {
    /// Takes settings that were checked against the lists. None when `save.every` is no duration.
    pub fn open(train: &Settings, save: &Settings) -> Option<LoopSettings> {
        let number = |name: &str| train.try_integer(name).map(|number| number as u64);
        Some(LoopSettings {
            epochs: train.integer("epochs") as u64,
            steps: number("steps"),
            total_steps: number("total_steps"),
            batch: number("batch").map(|batch| batch as usize),
            accumulate: train.integer("accumulate") as usize,
            patience: train.integer("patience") as u64,
            watch: train.text("watch").to_owned(),
            keeps_best: train.text("keep") == "best",
            retreats: train.integer("retreats") as u32,
            every: every(save.value("every"))?,
            keeps_files: save.flag("keep"),
        })
    }
}

fn every(value: &Value) -> Option<Every> {
    match value {
        Value::Integer(steps) => Some(Every::Steps(*steps as u64)),
        Value::Text(text) => crate::plan::parse_duration(text).map(Every::Time),
        _ => None,
    }
}
