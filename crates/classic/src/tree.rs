//! One decision tree on all rows and all features.
//!
//! Source: Breiman, Friedman, Olshen, Stone, "Classification and Regression Trees", 1984, without pruning; settings as in scikit-learn's
//! `DecisionTreeClassifier` (Gini) and `DecisionTreeRegressor` (squared error). Differs: cuts are looked for between at
//! most 255 bins a feature, which is every value where there are no more.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "tree").expect("tree is registered");
//! let depth = cupola_task::Value::Integer(4);
//! let settings = cupola_task::Settings::check("model", model.settings, [("max_depth", &depth)])?;
//! assert_eq!(settings.try_integer("max_depth"), Some(4));
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::trees::cart::Cuts;
use crate::trees::predictor;
use crate::trees::settings::{self, ForestLearner};
use cupola_task::{Make, Math, ModelDef, Needs, Setting, Task};

/// The registry's entry.
pub(crate) const TREE: ModelDef = ModelDef {
    name: "tree",
    doc: "One decision tree.",
    tasks: &[Task::Classify, Task::Regress],
    settings: SETTINGS,
    needs: Needs::Native,
    math: Math::Exact,
    auto: &["max_depth=6 min_samples_leaf=10"],
    make: Make::Learner(|settings, schema| ForestLearner::boxed(settings::forest("tree", settings, Cuts::Best), schema)),
    open: predictor::open,
};

const SETTINGS: &[Setting] = &[
    settings::MAX_DEPTH,
    settings::MIN_SAMPLES_SPLIT,
    settings::MIN_SAMPLES_LEAF,
    settings::MIN_IMPURITY_DECREASE,
    settings::max_features("all"),
    settings::MAX_BIN,
];
