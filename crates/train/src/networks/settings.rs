//! What a recipe may say about the training loop: `[train]` beside the keys of the optimiser, and `[save]`.

use cupola_nets::ops::Precision;
use cupola_task::{Range, Setting, Settings, Value};
use std::time::Duration;

const WHOLE: Range = Range::Integer { min: 1, max: i64::MAX };
const AUTO_OR_WHOLE: Range = Range::Any(&[Range::Choice(&["auto"]), WHOLE]);

/// What `auto` comes to: epochs, the steps that small data get at least, within so many epochs; and patience.
const EPOCHS: u64 = 20;
const STEPS_MIN: u64 = 1000;
const EPOCHS_MAX: u64 = 400;
const PATIENCE: u64 = 10;

/// The keys of `[train]` that belong to the loop.
pub const TRAIN: &[Setting] = &[
    Setting {
        name: "epochs",
        alias: &["num_train_epochs", "max_epochs", "num_epochs"],
        default: "auto",
        range: AUTO_OR_WHOLE,
        doc: "How often every training row is seen; auto: 20 times, and more often where that would be fewer than 1000 steps.",
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
        name: "precision",
        alias: &["amp", "mixed_precision"],
        default: "f32",
        range: Range::Choice(&["f32", "bf16"]),
        doc: "What dense, convolutional and recurrent layers multiply in while a network learns; bf16 is fast on processors with AMX. Answers are f32.",
    },
    Setting {
        name: "patience",
        alias: &["early_stopping", "early_stopping_rounds"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 0, max: i64::MAX }]),
        doc: "Epochs without a better validation score after which training ends; auto: 10, or a quarter of the epochs where that is more; 0: never.",
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
    epochs: Option<u64>,
    pub steps: Option<u64>,
    pub total_steps: Option<u64>,
    pub batch: Option<usize>,
    pub accumulate: usize,
    pub precision: Precision,
    patience: Option<u64>,
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
            epochs: number("epochs"),
            steps: number("steps"),
            total_steps: number("total_steps"),
            batch: number("batch").map(|batch| batch as usize),
            accumulate: train.integer("accumulate") as usize,
            precision: if train.text("precision") == "bf16" { Precision::Bf16 } else { Precision::F32 },
            patience: number("patience"),
            watch: train.text("watch").to_owned(),
            keeps_best: train.text("keep") == "best",
            retreats: train.integer("retreats") as u32,
            every: every(save.value("every"))?,
            keeps_files: save.flag("keep"),
        })
    }
}

impl LoopSettings {
    /// Whether the recipe says how long to train.
    pub fn says_how_long(&self) -> bool {
        self.epochs.is_some() || self.steps.is_some()
    }

    /// Epochs of a training with so many steps in each.
    pub fn epochs(&self, steps_per_epoch: u64) -> u64 {
        self.epochs.unwrap_or_else(|| EPOCHS.max(STEPS_MIN.div_ceil(steps_per_epoch)).min(EPOCHS_MAX))
    }

    /// Epochs without a better one after which a training of so many ends; none: it never does.
    pub fn patience(&self, epochs: u64) -> Option<u64> {
        Some(self.patience.unwrap_or(PATIENCE.max(epochs / 4))).filter(|&patience| patience > 0)
    }
}

fn every(value: &Value) -> Option<Every> {
    match value {
        Value::Integer(steps) => Some(Every::Steps(*steps as u64)),
        Value::Text(text) => crate::plan::parse_duration(text).map(Every::Time),
        _ => None,
    }
}
