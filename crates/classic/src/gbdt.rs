//! Gradient boosted decision trees on histograms, with LightGBM's settings and names.
//!
//! Sources: Friedman, "Greedy function approximation: a gradient boosting machine", 2001; Ke et al., "LightGBM", NIPS 2017.
//! Differs from LightGBM: up to 300 trees by default, and when there are validation rows the best number of them is kept (30 rounds
//! of patience); `n_estimators=100 early_stopping_rounds=0` is LightGBM's own default. Missing values of a category are a category.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "gbdt").expect("gbdt is registered");
//! let rate = cupola_task::Value::Real(0.05);
//! let settings = cupola_task::Settings::check("model", model.settings, [("eta", &rate)])?;
//! assert_eq!(settings.real("learning_rate"), 0.05);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::solve::within_memory;
use crate::trees::boost::{self, Boosting, GrowPolicy};
use crate::trees::ensemble::{Ensemble, Link};
use crate::trees::loss::Loss;
use crate::trees::predictor::{self, TreePredictor};
use crate::trees::settings::{self, integer, real};
use crate::trees::split::Rules;
use crate::{Rows, Target, the_target};
use cupola_task::{
    Cost, Error, Learner, Make, Math, ModelDef, Needs, Predictor, Range, Result, Run, Schema, Setting, Settings, Source, Start, Task,
};

/// The registry's entry.
pub(crate) const GBDT: ModelDef = ModelDef {
    name: "gbdt",
    doc: "Gradient boosted decision trees on histograms, with LightGBM's settings.",
    tasks: &[Task::Classify, Task::Regress],
    settings: SETTINGS,
    needs: Needs::Native,
    math: Math::Exact,
    auto: &[
        "",
        "learning_rate=0.05 n_estimators=600 num_leaves=15 min_data_in_leaf=10",
        "learning_rate=0.05 n_estimators=600 num_leaves=63 feature_fraction=0.7 bagging_fraction=0.8 lambda_l2=5",
        "learning_rate=0.03 n_estimators=800 num_leaves=6 min_data_in_leaf=5 lambda_l2=1",
    ],
    make: Make::Learner(make),
    open: predictor::open,
};

const SETTINGS: &[Setting] = &[
    integer("n_estimators", &["num_iterations", "num_boost_round", "n_iter", "max_iter"], "300", (1, 100_000), "Most boosting rounds."),
    real("learning_rate", &["eta", "lr", "shrinkage_rate"], "0.1", (1e-6, 10.0), "What a tree's answer is multiplied by."),
    integer("num_leaves", &["max_leaf_nodes", "max_leaves"], "31", (2, 131_072), "Most leaves of a tree."),
    integer("max_depth", &[], "-1", (-1, 1_000_000), "Most questions from root to leaf; 0 or -1 for any number."),
    integer("min_data_in_leaf", &["min_child_samples", "min_samples_leaf"], "20", (1, 1 << 30), "Rows that a leaf must have."),
    real("min_sum_hessian_in_leaf", &["min_child_weight"], "1e-3", (0.0, 1e300), "Second derivative that a leaf must have."),
    real("lambda_l1", &["reg_alpha", "l1_regularization"], "0", (0.0, 1e300), "L1 penalty of leaf values."),
    real("lambda_l2", &["reg_lambda", "lambda", "l2_regularization"], "0", (0.0, 1e300), "L2 penalty of leaf values."),
    real("min_gain_to_split", &["min_split_gain", "gamma"], "0", (0.0, 1e300), "What a split must be worth."),
    real("feature_fraction", &["colsample_bytree", "max_features"], "1", (1e-6, 1.0), "Share of the features that a tree may use."),
    real("bagging_fraction", &["subsample"], "1", (1e-6, 1.0), "Share of the rows that a tree learns from."),
    integer("bagging_freq", &["subsample_freq"], "1", (0, 1_000_000), "Rounds after which those rows are drawn anew; 0 for all rows."),
    settings::MAX_BIN,
    real("cat_smooth", &[], "10", (0.0, 1e300), "Added to the hessian when categories are sorted; rarer ones go to the larger side."),
    real("cat_l2", &[], "10", (0.0, 1e300), "L2 penalty added for sorted categories."),
    integer("max_cat_threshold", &[], "32", (1, 255), "Most categories on the smaller side of a split."),
    integer("max_cat_to_onehot", &[], "4", (0, 255), "Up to so many categories, one at a time is parted from the others."),
    integer("min_data_per_group", &[], "100", (1, 1 << 30), "Rows between two cuts of sorted categories."),
    Setting {
        name: "objective",
        alias: &["loss"],
        default: "auto",
        range: Range::Choice(&["auto", "focal", "quantile"]),
        doc: "What is made small. auto: log loss for classes, squared error for numbers; focal: focal loss for classes, which counts rows that are answered well little, for rare classes; its probabilities are too cautious; quantile: pinball loss for numbers, whose answer is the quantile alpha.",
    },
    real("alpha", &["quantile_alpha"], "0.9", (1e-6, 0.999_999), "With objective=quantile, which quantile is answered: 0.5 is the median."),
    real("focal_gamma", &[], "2", (0.0, 20.0), "With objective=focal, how little: the log loss times (1 - p)^gamma; 0 is the log loss."),
    Setting {
        name: "grow_policy",
        alias: &[],
        default: "leafwise",
        range: Range::Choice(&["leafwise", "depthwise"]),
        doc: "Split the leaf that is worth most first, or one of the least depth.",
    },
    integer(
        "early_stopping_rounds",
        &["early_stopping_round", "patience", "n_iter_no_change"],
        "30",
        (0, 100_000),
        "Rounds without better validation rows after which to stop and keep the best; 0 keeps all.",
    ),
    Setting {
        name: cupola_task::INIT_MODEL,
        alias: &["input_model", "model_input", "model_in"],
        default: "off",
        range: Range::Text,
        doc: "A model file whose trees stay, with its preparation; n_estimators more are grown behind them. What it learned from must be no test row.",
    },
];

/// The quantile when none is named, as in LightGBM.
const ALPHA: f64 = 0.9;

struct Gbdt {
    settings: Settings,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    predictor::can_learn("gbdt", schema)?;
    Ok(Box::new(Gbdt { settings: settings.clone() }))
}

impl Learner for Gbdt {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        let inputs = schema.inputs().count() as f64;
        let classes = the_target(schema).ok()?.0.kind.classes().map_or(1, |classes| classes.len());
        let outputs = if classes > 2 { classes as f64 } else { 1.0 };
        let trees = self.settings.integer("n_estimators") as f64 * outputs;
        // A tree visits each row and feature about log2(leaves) / 2 + 1 times with an addition.
        let visits = 1.0 + (self.settings.integer("num_leaves") as f64).log2() / 2.0;
        let histograms = self.settings.integer("num_leaves") as f64 * inputs * 2048.0;
        let memory = rows as f64 * (inputs * 10.0 + 36.0 + 24.0 * outputs) + histograms.min(1e9);
        Some(Cost { flops: rows as f64 * inputs * visits * trees, memory_bytes: memory as u64 })
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let (schema, rows, valid) = predictor::rows(&source, "gbdt")?;
        within_memory("memory to grow trees", self.cost(&schema, rows.len() as u64), run)?;
        let ensemble = match self.loss(&rows)? {
            Some(loss) => {
                let before = if let Start::Warm(parts) = &run.start { Some(predictor::ensemble(parts, &schema)?) } else { None };
                boost::fit(&rows, &valid, &boosting(&self.settings, loss), before, run)?
            }
            None => Ensemble::constant(&rows.features, Link::Softmax, vec![0.0]),
        };
        Ok(Box::new(TreePredictor::new(&schema, ensemble)))
    }
}

impl Gbdt {
    /// The loss for a target; none when there is only one class to answer.
    fn loss(&self, rows: &Rows) -> Result<Option<Loss>> {
        let (objective, alpha) = (self.settings.text("objective"), self.settings.real("alpha"));
        let is_focal = objective == "focal";
        if objective != "quantile" && alpha != ALPHA {
            let error = Error::setting("model.alpha", alpha, format!("{ALPHA}, unless model.objective=quantile"));
            return Err(error.with_hint("it says which quantile is answered; the L1 penalty is lambda_l1"));
        }
        Ok(match &rows.target {
            Target::Numbers(_) if is_focal => {
                let error = Error::setting("model.objective", "focal", "auto or quantile, for a target of numbers");
                return Err(error.with_hint("focal loss is of classes"));
            }
            Target::Classes { .. } if objective == "quantile" => {
                let error = Error::setting("model.objective", "quantile", "auto or focal, for a target of classes");
                return Err(error.with_hint("a quantile is of numbers"));
            }
            Target::Numbers(_) if objective == "quantile" => Some(Loss::Quantile(alpha)),
            Target::Numbers(_) => Some(Loss::Squared),
            Target::Classes { classes, .. } => match classes.len() {
                0 | 1 => None,
                count if is_focal => Some(Loss::Focal(count, self.settings.real("focal_gamma"))),
                2 => Some(Loss::Logistic),
                more => Some(Loss::Softmax(more)),
            },
        })
    }
}

fn boosting(settings: &Settings, loss: Loss) -> Boosting {
    let count = |name| settings.integer(name) as usize;
    let max_depth = settings.integer("max_depth");
    let is_leafwise = settings.text("grow_policy") == "leafwise";
    Boosting {
        loss,
        rounds: count("n_estimators"),
        learning_rate: settings.real("learning_rate"),
        max_bin: count("max_bin"),
        feature_fraction: settings.real("feature_fraction"),
        bagging_fraction: settings.real("bagging_fraction"),
        bagging_freq: count("bagging_freq"),
        patience: count("early_stopping_rounds"),
        growth: boost::Growth {
            num_leaves: count("num_leaves"),
            max_depth: u32::try_from(max_depth).ok().filter(|&depth| depth > 0),
            policy: if is_leafwise { GrowPolicy::Leafwise } else { GrowPolicy::Depthwise },
            rules: Rules {
                lambda_l1: settings.real("lambda_l1"),
                lambda_l2: settings.real("lambda_l2"),
                min_data_in_leaf: count("min_data_in_leaf"),
                min_sum_hessian_in_leaf: settings.real("min_sum_hessian_in_leaf"),
                min_gain_to_split: settings.real("min_gain_to_split"),
                cat_smooth: settings.real("cat_smooth"),
                cat_l2: settings.real("cat_l2"),
                max_cat_threshold: count("max_cat_threshold"),
                max_cat_to_onehot: count("max_cat_to_onehot"),
                min_data_per_group: count("min_data_per_group"),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::MODELS;
    use crate::fixtures::{Sketch, answers, fit};
    use cupola_task::Run;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        x: Vec<f64>,
        y: Vec<f64>,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        alpha: f64,
        rounds: u32,
        /// Of x = 0, 1, 2, 3.
        answers: Vec<f64>,
    }

    /// The splits of four values leave no choice, so leaves and what renews them are LightGBM's; it keeps labels and leaf values in single precision.
    #[test]
    fn quantiles_are_those_of_lightgbm() {
        let golden: Golden = serde_json::from_str(include_str!("../parity/quantile.json")).unwrap();
        let model = MODELS.iter().find(|model| model.name == "gbdt").unwrap();
        let sketch = Sketch { numbers: vec![golden.x.clone()], codes: vec![], target: (golden.y.clone(), 0), weight: None };
        let table = sketch.table();
        for case in &golden.cases {
            let settings = format!(
                "objective=quantile alpha={} n_estimators={} num_leaves=4 min_data_in_leaf=5 learning_rate=0.5",
                case.alpha, case.rounds
            );
            let predictor = fit(model, &settings, &table, 0, &Run::quiet(1)).unwrap();
            let found = answers(&*predictor, &table).unwrap();
            for (x, found) in golden.x.iter().zip(&found) {
                let wanted = case.answers[*x as usize];
                assert!((found - wanted).abs() < 2e-6 * (1.0 + wanted.abs()), "{settings}, x {x}: {found}, wanted {wanted}");
            }
        }
        let wrong = |settings: &str| fit(model, settings, &table, 0, &Run::quiet(1)).err().unwrap().to_string();
        assert!(wrong("alpha=0.5").contains("model.objective=quantile"), "{}", wrong("alpha=0.5"));
    }
}
