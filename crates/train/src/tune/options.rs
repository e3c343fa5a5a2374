//! What a recipe says about its search: `[tune]`.

use super::pruner::Pruner;
use super::sampler::Sampler;
use crate::Result;
use crate::plan::settings;
use crate::recipe::Recipe;
use cupola_task::{Range, Setting, Value};

/// The keys of `[tune]` beside the table `search`. Names are Optuna's where it has them.
pub const TUNE: &[Setting] = &[
    Setting {
        name: "trials",
        alias: &["n_trials"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 1, max: 1_000_000 }]),
        doc: "How many settings are tried; auto: 50, or as many as the time allows where there is a limit.",
    },
    Setting {
        name: "sampler",
        alias: &[],
        default: "tpe",
        range: Range::Choice(&["tpe", "random", "cmaes", "grid"]),
        doc: "How settings are proposed: Parzen estimators of good and bad trials, chance, an evolution strategy for numbers, or every combination.",
    },
    Setting {
        name: "pruner",
        alias: &[],
        default: "median",
        range: Range::Choice(&["median", "asha", "none"]),
        doc: "When a trial is given up early: worse than the median at the same step, not among the best third at a rung, or never.",
    },
    Setting {
        name: "judge",
        alias: &[],
        default: "auto",
        range: Range::Choice(&["auto", "cv", "valid"]),
        doc: "What judges a trial, never test rows: cross-validation inside the training rows, or the validation rows; auto: cv, for networks valid.",
    },
    Setting {
        name: "startup",
        alias: &["n_startup_trials"],
        default: "10",
        range: Range::Integer { min: 1, max: 100_000 },
        doc: "With tpe, trials that are spread over the ranges before there is something to estimate from.",
    },
    Setting {
        name: "candidates",
        alias: &["n_ei_candidates"],
        default: "24",
        range: Range::Integer { min: 1, max: 100_000 },
        doc: "With tpe, how many settings are drawn of which the most promising is tried.",
    },
    Setting {
        name: "levels",
        alias: &[],
        default: "5",
        range: Range::Integer { min: 2, max: 1000 },
        doc: "With grid, values of a parameter that has more, evenly from end to end.",
    },
];

/// Which rows judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// By the model.
    Auto,
    /// Folds of the training rows.
    Folds,
    /// The validation rows.
    Valid,
}

/// A checked `[tune]`.
#[derive(Clone, Debug)]
pub(crate) struct TuneOptions {
    pub trials: Option<u64>,
    pub sampler: Sampler,
    pub sampler_name: String,
    pub pruner: Pruner,
    pub pruner_name: String,
    pub judge: Judge,
    /// Name, domain and place of each parameter; empty when the model's own space is searched.
    pub search: Vec<(String, Value, String)>,
}

impl TuneOptions {
    /// Reads `[tune]`.
    ///
    /// # Errors
    /// When a key or value is wrong, with its place.
    pub fn check(recipe: &Recipe) -> Result<TuneOptions> {
        let settings = settings(recipe, &["tune"])?;
        let count = |name| settings.integer(name).unsigned_abs();
        Ok(TuneOptions {
            trials: settings.try_integer("trials").map(i64::unsigned_abs),
            sampler: match settings.text("sampler") {
                "random" => Sampler::Random,
                "cmaes" => Sampler::Cma,
                "grid" => Sampler::Grid { levels: count("levels") },
                _ => Sampler::Tpe { startup: count("startup"), candidates: count("candidates") },
            },
            sampler_name: settings.text("sampler").to_owned(),
            pruner: match settings.text("pruner") {
                "none" => Pruner::None,
                "asha" => Pruner::Asha,
                _ => Pruner::Median,
            },
            pruner_name: settings.text("pruner").to_owned(),
            judge: match settings.text("judge") {
                "cv" => Judge::Folds,
                "valid" => Judge::Valid,
                _ => Judge::Auto,
            },
            search: recipe
                .table(&["tune", "search"])
                .map(|(name, entry)| (name.to_owned(), entry.value.clone(), entry.place.clone()))
                .collect(),
        })
    }
}
