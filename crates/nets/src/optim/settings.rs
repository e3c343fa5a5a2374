//! What a recipe's `[train]` table may say about how a network learns, and from which weights it begins. Names and defaults are PyTorch's
//! where it has them.

use cupola_task::{Error, Range, Result, Setting, Settings, Value};

const SHARE: Range = Range::Real { min: 0.0, max: 1.0 };
const POSITIVE: Range = Range::Real { min: 0.0, max: f64::MAX };
const AUTO: Range = Range::Choice(&["auto"]);
const OFF: Range = Range::Choice(&["none"]);
const PATTERNS: Range = Range::List(&Range::Text);

/// The keys of `[train]` that belong to optimiser, schedule, clipping, averaging, freezing, adapters and first weights.
///
/// The schedule is `cosine` behind a short warm-up when nothing is said. It comes close to the best of the schedules for short and for
/// long trainings, from scratch and from pretrained weights, and its only knob is the peak, which `lr=auto` finds. `one-cycle` can beat
/// it by a little in very short trainings, but it spends a third of them on its way up, which harms pretrained weights.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "optimizer",
        alias: &["optimiser", "optim"],
        default: "adamw",
        range: Range::Choice(&["sgd", "adam", "adamw", "rmsprop", "lion", "muon"]),
        doc: "How gradients become steps; muon takes the matrices between the first and the last layer, and AdamW what is left.",
    },
    Setting {
        name: "lr",
        alias: &["learning_rate", "lr0", "rate", "lr_max", "max_lr"],
        default: "auto",
        range: Range::Any(&[AUTO, POSITIVE]),
        doc: "The highest learning rate; auto finds it by a range test before the first step.",
    },
    Setting {
        name: "momentum",
        alias: &["mu"],
        default: "auto",
        range: Range::Any(&[AUTO, SHARE]),
        doc: "What is kept of the last step's direction; auto is 0.9 for sgd, 0.95 for muon and 0 for rmsprop.",
    },
    Setting {
        name: "nesterov",
        alias: &[],
        default: "true",
        range: Range::Flag,
        doc: "Whether sgd and muon look one step ahead along the momentum.",
    },
    Setting {
        name: "betas",
        alias: &["adam_betas"],
        default: "auto",
        range: Range::Any(&[AUTO, Range::List(&SHARE)]),
        doc: "Decay of the two moving averages; auto is [0.9, 0.999], for lion [0.9, 0.99] and for muon's AdamW [0.9, 0.95].",
    },
    Setting {
        name: "eps",
        alias: &["epsilon", "adam_epsilon"],
        default: "1e-8",
        range: SHARE,
        doc: "Keeps adam, adamw and rmsprop from dividing by zero.",
    },
    Setting {
        name: "alpha",
        alias: &["rho"],
        default: "0.99",
        range: SHARE,
        doc: "Decay of rmsprop's moving average of squared gradients.",
    },
    Setting {
        name: "muon_adamw",
        alias: &[],
        default: "0.05",
        range: Range::Real { min: 0.0, max: 10.0 },
        doc: "The rate of the AdamW beside muon, as a share of lr.",
    },
    Setting {
        name: "weight_decay",
        alias: &["wd", "l2"],
        default: "auto",
        range: Range::Any(&[AUTO, POSITIVE]),
        doc: "Pulls weights towards zero: decoupled with adamw, lion and muon (auto: 0.01), as L2 penalty with sgd, adam and rmsprop (auto: 0).",
    },
    Setting {
        name: "decay_all",
        alias: &[],
        default: "false",
        range: Range::Flag,
        doc: "Whether biases and norms decay too, as in PyTorch without parameter groups.",
    },
    Setting {
        name: "layer_decay",
        alias: &["layerwise_lr_decay", "llrd"],
        default: "1.0",
        range: SHARE,
        doc: "The rate of each layer as a share of the rate of the layer above it; 1 treats all alike.",
    },
    Setting {
        name: "schedule",
        alias: &["lr_scheduler", "scheduler", "lr_schedule", "lr_scheduler_type"],
        default: "cosine",
        range: Range::Choice(&["constant", "step", "cosine", "one-cycle", "linear", "noam"]),
        doc: "How the rate moves over the training.",
    },
    Setting { name: "lr_min", alias: &["min_lr", "eta_min"], default: "0.0", range: POSITIVE, doc: "Where cosine ends." },
    Setting {
        name: "step_size",
        alias: &["lr_step_size"],
        default: "0.3",
        range: POSITIVE,
        doc: "After how many steps the schedule step lowers the rate; below 1, after which share of the training.",
    },
    Setting {
        name: "gamma",
        alias: &["lr_gamma"],
        default: "0.1",
        range: SHARE,
        doc: "The factor by which the schedule step lowers the rate.",
    },
    Setting {
        name: "pct_start",
        alias: &[],
        default: "0.3",
        range: SHARE,
        doc: "The share of the training that one-cycle spends on its way up.",
    },
    Setting {
        name: "div_factor",
        alias: &[],
        default: "25.0",
        range: Range::Real { min: 1.0, max: f64::MAX },
        doc: "one-cycle begins at lr / div_factor.",
    },
    Setting {
        name: "final_div_factor",
        alias: &[],
        default: "1e4",
        range: Range::Real { min: 1.0, max: f64::MAX },
        doc: "one-cycle ends at lr / div_factor / final_div_factor.",
    },
    Setting {
        name: "d_model",
        alias: &[],
        default: "none",
        range: Range::Any(&[OFF, Range::Integer { min: 1, max: 1 << 30 }]),
        doc: "The width in noam's formula, of which lr is then the factor; none makes lr its peak.",
    },
    Setting {
        name: "warmup",
        alias: &["warmup_steps", "warmup_ratio", "num_warmup_steps", "lr_warmup"],
        default: "auto",
        range: Range::Any(&[AUTO, POSITIVE]),
        doc: "Steps over which the rate rises before the schedule begins; below 1, the share of the training; auto is 0.05, and 0 with one-cycle.",
    },
    Setting {
        name: "clip_norm",
        alias: &["max_grad_norm", "gradient_clip_norm", "clip_grad_norm"],
        default: "none",
        range: Range::Any(&[OFF, POSITIVE]),
        doc: "The largest norm of all gradients together; larger ones are scaled down to it.",
    },
    Setting {
        name: "clip_value",
        alias: &["clip_grad_value", "clipvalue"],
        default: "none",
        range: Range::Any(&[OFF, POSITIVE]),
        doc: "The largest absolute value of a single gradient.",
    },
    Setting {
        name: "label_smoothing",
        alias: &["smoothing"],
        default: "0.0",
        range: SHARE,
        doc: "The share of each label that is spread over all classes.",
    },
    Setting {
        name: "ema",
        alias: &["ema_decay", "model_ema_decay"],
        default: "none",
        range: Range::Any(&[OFF, SHARE]),
        doc: "Decay of a moving average of the weights, which then answers in their place: 0.999, or 0.9999 for long trainings.",
    },
    Setting {
        name: "ema_warmup",
        alias: &["use_warmup"],
        default: "true",
        range: Range::Flag,
        doc: "Whether the average follows faster in the first steps: its decay is at most (1 + step) / (10 + step).",
    },
    Setting {
        name: "freeze",
        alias: &["frozen"],
        default: "[]",
        range: PATTERNS,
        doc: "Patterns of parameters that stay as they are, such as features.*; model show lists the paths.",
    },
    Setting {
        name: "unfreeze",
        alias: &[],
        default: "[]",
        range: PATTERNS,
        doc: "From which epoch on frozen parameters learn after all, as PATTERN@EPOCH; the first epoch is 0.",
    },
    Setting {
        name: "lora_rank",
        alias: &["lora_r"],
        default: "0",
        range: Range::Integer { min: 0, max: 4096 },
        doc: "The rank of matrices that are learned in place of the weights they are added to (LoRA); 0 learns the weights themselves.",
    },
    Setting {
        name: "lora_alpha",
        alias: &[],
        default: "16.0",
        range: POSITIVE,
        doc: "What is learned by LoRA is multiplied by lora_alpha / lora_rank.",
    },
    Setting {
        name: "lora_targets",
        alias: &["target_modules"],
        default: "[*]",
        range: PATTERNS,
        doc: "Patterns of the matrices and kernels that LoRA adds to; the last layer is learned whole.",
    },
    Setting {
        name: "weights",
        alias: &["pretrained", "init_from", "checkpoint"],
        default: "none",
        range: Range::Any(&[OFF, Range::Text]),
        doc: "A file of weights to begin with: safetensors, or PyTorch's .pt or .pth, which is read without running what is in it.",
    },
    Setting {
        name: "weights_map",
        alias: &["key_map"],
        default: "[]",
        range: PATTERNS,
        doc: "How names in that file become parameters, as old=new for beginnings of names; module. and model. go by themselves.",
    },
    Setting {
        name: "weights_match",
        alias: &["strict"],
        default: "body",
        range: Range::Choice(&["all", "body", "some"]),
        doc: "What must come from that file: all, everything but the last layer, or whatever fits.",
    },
];

/// A number where the setting has one, none where it says `auto` or `none`.
pub(super) fn number(settings: &Settings, name: &str) -> Option<f64> {
    settings.try_real(name)
}

/// The texts of a list.
pub(crate) fn texts<'a>(settings: &'a Settings, name: &str) -> Vec<&'a str> {
    let text = |value: &'a Value| match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    settings.list(name).iter().filter_map(text).collect()
}

/// The two decays of `betas`, or those given.
pub(super) fn betas(settings: &Settings, auto: [f64; 2]) -> Result<[f64; 2]> {
    let list = match settings.value("betas") {
        Value::List(list) => list,
        _ => return Ok(auto),
    };
    let numbers: Vec<f64> = list.iter().filter_map(|value| if let Value::Real(number) = value { Some(*number) } else { None }).collect();
    let wrong = || Error::setting("train.betas", settings.value("betas"), "two numbers from 0 up to, but below, 1");
    match numbers[..] {
        [first, second] if first < 1.0 && second < 1.0 => Ok([first, second]),
        _ => Err(wrong().with_hint("for example [0.9, 0.999]")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_their_ranges_and_names_are_unique() {
        let mut names: Vec<&str> = SETTINGS.iter().flat_map(|setting| setting.alias.iter().copied().chain([setting.name])).collect();
        SETTINGS.iter().for_each(|setting| drop(setting.default_value()));
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn betas_are_two() {
        for (text, found) in [("auto", Some([0.5, 0.6])), ("[0.8, 0.9]", Some([0.8, 0.9])), ("0.9", None), ("[0.9, 1.0]", None)] {
            let value = Value::parse(text);
            let settings = Settings::check("train", SETTINGS, [("betas", &value)]).unwrap();
            assert_eq!(betas(&settings, [0.5, 0.6]).ok(), found, "{text}");
        }
    }
}
