//! Random forest: trees on rows drawn with replacement, each node looking at a few features drawn for it.
//!
//! Source: Breiman, "Random Forests", Machine Learning 45, 2001; settings and averaging as in scikit-learn's
//! `RandomForestClassifier` and `RandomForestRegressor`: an answer is the mean of the leaves' class shares or numbers.
//! Differs: cuts are looked for between at most 255 bins a feature; categories and missing values need no encoding.
//! Several classes are counted together in one tree (Gini), not one tree a class.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "forest").expect("forest is registered");
//! let settings = cupola_task::Settings::check("model", model.settings, [])?;
//! assert_eq!(settings.integer("n_estimators"), 100);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::trees::cart::Cuts;
use crate::trees::predictor;
use crate::trees::settings::{self, ForestLearner};
use cupola_task::{Make, Math, ModelDef, Needs, Setting, Task};

/// The registry's entry.
pub(crate) const FOREST: ModelDef = ModelDef {
    name: "forest",
    doc: "Random forest: the mean of trees on rows drawn with replacement.",
    tasks: &[Task::Classify, Task::Regress],
    settings: SETTINGS,
    needs: Needs::Native,
    math: Math::Exact,
    auto: &["n_estimators=200 min_samples_leaf=2", "n_estimators=200 min_samples_leaf=5 max_features=0.5"],
    make: Make::Learner(|settings, schema| ForestLearner::boxed(settings::forest("forest", settings, Cuts::Best), schema)),
    open: predictor::open,
};

const SETTINGS: &[Setting] = &[
    settings::TREES,
    settings::max_features("auto"),
    settings::MAX_DEPTH,
    settings::MIN_SAMPLES_SPLIT,
    settings::MIN_SAMPLES_LEAF,
    settings::MIN_IMPURITY_DECREASE,
    settings::bootstrap("true"),
    settings::MAX_SAMPLES,
    settings::MAX_BIN,
];
