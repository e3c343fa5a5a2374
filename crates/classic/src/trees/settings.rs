//! Settings that several models of trees share, and how a forest reads them.

use super::bag::{Forest, MaxFeatures};
use super::cart::Cuts;
use super::predictor::{self, TreePredictor};
use crate::solve::within_memory;
use cupola_task::{Cost, Learner, Predictor, Range, Result, Run, Schema, Setting, Settings, Source};

/// A whole number.
pub(crate) const fn integer(
    name: &'static str,
    alias: &'static [&'static str],
    default: &'static str,
    bounds: (i64, i64),
    doc: &'static str,
) -> Setting {
    Setting { name, alias, default, range: Range::Integer { min: bounds.0, max: bounds.1 }, doc }
}

/// A real number.
pub(crate) const fn real(
    name: &'static str,
    alias: &'static [&'static str],
    default: &'static str,
    bounds: (f64, f64),
    doc: &'static str,
) -> Setting {
    Setting { name, alias, default, range: Range::Real { min: bounds.0, max: bounds.1 }, doc }
}

/// Most bins of a feature.
pub(crate) const MAX_BIN: Setting =
    integer("max_bin", &["max_bins"], "255", (2, 255), "Most bins of a feature, the one of missing values apart.");

/// How many trees.
pub(crate) const TREES: Setting = integer("n_estimators", &["num_trees"], "100", (1, 100_000), "How many trees.");

/// How deep trees are.
pub(crate) const MAX_DEPTH: Setting = Setting {
    name: "max_depth",
    alias: &[],
    default: "none",
    range: Range::Any(&[Range::Choice(&["none"]), Range::Integer { min: 1, max: 1_000_000 }]),
    doc: "Most questions from root to leaf.",
};

/// Rows of a node.
pub(crate) const MIN_SAMPLES_SPLIT: Setting =
    integer("min_samples_split", &[], "2", (2, 1 << 30), "Rows that a node must have to be split.");

/// Rows of a leaf.
pub(crate) const MIN_SAMPLES_LEAF: Setting =
    integer("min_samples_leaf", &["min_data_in_leaf"], "1", (1, 1 << 30), "Rows that a leaf must have.");

/// Worth of a split.
pub(crate) const MIN_IMPURITY_DECREASE: Setting = real(
    "min_impurity_decrease",
    &[],
    "0",
    (0.0, 1e300),
    "By how much a split must lower the impurity, weighted by the node's share of the rows.",
);

/// Features of a node.
pub(crate) const fn max_features(default: &'static str) -> Setting {
    Setting {
        name: "max_features",
        alias: &[],
        default,
        range: Range::Any(&[
            Range::Choice(&["auto", "sqrt", "log2", "all"]),
            Range::Real { min: 1e-9, max: 1.0 },
            Range::Integer { min: 2, max: 1 << 29 },
        ]),
        doc: "Features drawn for a node: a share up to 1, a count from 2 on, a rule, or auto (sqrt for classes, all for numbers).",
    }
}

/// Whether rows are drawn with replacement.
pub(crate) const fn bootstrap(default: &'static str) -> Setting {
    Setting { name: "bootstrap", alias: &[], default, range: Range::Flag, doc: "Draw each tree's rows with replacement." }
}

/// Rows drawn.
pub(crate) const MAX_SAMPLES: Setting =
    real("max_samples", &[], "1", (1e-6, 1.0), "With bootstrap, rows drawn for a tree as a share of all.");

/// A forest by its settings; those a model does not list have the values that leave them out.
pub(crate) fn forest(name: &'static str, settings: &Settings, cuts: Cuts) -> Forest {
    let has = |wanted: &str| settings.iter().any(|(name, _)| name == wanted);
    let max_features = match (settings.try_text("max_features"), settings.try_real("max_features")) {
        (Some("sqrt"), _) => MaxFeatures::Sqrt,
        (Some("log2"), _) => MaxFeatures::Log2,
        (Some("all"), _) => MaxFeatures::All,
        (_, Some(share)) if share <= 1.0 => MaxFeatures::Share(share),
        (_, Some(count)) => MaxFeatures::Count(count as usize),
        _ => MaxFeatures::Auto,
    };
    Forest {
        name,
        trees: if has("n_estimators") { settings.integer("n_estimators") as usize } else { 1 },
        max_bin: settings.integer("max_bin") as usize,
        bootstrap: (has("bootstrap") && settings.flag("bootstrap")).then(|| settings.real("max_samples")),
        max_depth: settings.try_integer("max_depth").map(|depth| depth as u32),
        min_samples_split: settings.integer("min_samples_split") as usize,
        min_samples_leaf: settings.integer("min_samples_leaf") as usize,
        min_impurity_decrease: settings.real("min_impurity_decrease"),
        max_features,
        cuts,
    }
}

/// The learner of `forest`, `extra_trees` and `tree`.
pub(crate) struct ForestLearner(pub(crate) Forest);

impl ForestLearner {
    /// For a schema that asks for classes or numbers.
    ///
    /// # Errors
    /// When it asks for something else.
    pub(crate) fn boxed(forest: Forest, schema: &Schema) -> Result<Box<dyn Learner>> {
        predictor::can_learn(forest.name, schema)?;
        Ok(Box::new(ForestLearner(forest)))
    }
}

impl Learner for ForestLearner {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        let (rows, inputs) = (rows as f64, schema.inputs().count() as f64);
        // Every level visits each row once for each feature drawn; a leaf a row in the worst case, two nodes of 16 bytes each.
        let visits = rows * (rows + 2.0).log2() * inputs.sqrt();
        let memory = rows * (inputs * 9.0 + 100.0) + rows * 32.0 * self.0.trees as f64;
        Some(Cost { flops: visits * 3.0 * self.0.trees as f64, memory_bytes: memory as u64 })
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let (schema, rows, _) = predictor::rows(&source, self.0.name)?;
        within_memory("memory to grow trees", self.cost(&schema, rows.len() as u64), run)?;
        Ok(Box::new(TreePredictor::new(&schema, super::bag::fit(&rows, &self.0, run))))
    }
}
