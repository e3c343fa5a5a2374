//! Extremely randomised trees: a forest that cuts each drawn feature at random and takes the best of these cuts.
//!
//! Source: Geurts, Ernst, Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006; settings as in scikit-learn's
//! `ExtraTreesClassifier` and `ExtraTreesRegressor`. Differs: a cut is drawn evenly among the bounds of bins that lie within the
//! node, not evenly on the number line; a category's classes fall to either side by the toss of a coin.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "extra_trees").expect("extra_trees is registered");
//! let settings = cupola_task::Settings::check("model", model.settings, [])?;
//! assert!(!settings.flag("bootstrap"));
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::trees::cart::Cuts;
use crate::trees::predictor;
use crate::trees::settings::{self, ForestLearner};
use cupola_task::{Make, Math, ModelDef, Needs, Setting, Task};

/// The registry's entry.
pub(crate) const EXTRA_TREES: ModelDef = ModelDef {
    name: "extra_trees",
    doc: "Extremely randomised trees: the mean of trees with random cuts.",
    tasks: &[Task::Classify, Task::Regress],
    settings: SETTINGS,
    needs: Needs::Native,
    math: Math::Exact,
    auto: &["n_estimators=200 min_samples_leaf=2"],
    make: Make::Learner(|settings, schema| ForestLearner::boxed(settings::forest("extra_trees", settings, Cuts::Random), schema)),
    open: predictor::open,
};

const SETTINGS: &[Setting] = &[
    settings::TREES,
    settings::max_features("auto"),
    settings::MAX_DEPTH,
    settings::MIN_SAMPLES_SPLIT,
    settings::MIN_SAMPLES_LEAF,
    settings::MIN_IMPURITY_DECREASE,
    settings::bootstrap("false"),
    settings::MAX_SAMPLES,
    settings::MAX_BIN,
];
