//! The elastic net: least squares with an absolute and a squared penalty, which sets coefficients that bring little to zero
//! (Zou, Hastie: "Regularization and variable selection via the elastic net", 2005). scikit-learn: `ElasticNet`.
//!
//! Fitted and asked as the example of [`linear`](crate::linear) shows.
//!
//! Differs: `tol` is 1e-8 by default where scikit-learn has 1e-4, for sweeps over a Gram matrix cost next to nothing.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "elastic_net").expect("elastic_net is registered");
//! let value = cupola_task::Value::Real(0.3);
//! let settings = cupola_task::Settings::check("model", model.settings, [("l1_ratio", &value)])?;
//! assert_eq!(settings.real("l1_ratio"), 0.3);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::solve::{Descent, FIT_INTERCEPT, Regression, check_target, cost, elastic, open_numbers, regression};
use cupola_task::{Cost, Learner, Make, Math, ModelDef, Needs, Predictor, Range, Result, Run, Schema, Setting, Settings, Source, Task};

/// The registry's entry.
pub(crate) const ELASTIC_NET: ModelDef = ModelDef {
    name: "elastic_net",
    doc: "Linear regression with an absolute and a squared penalty: few coefficients, shared among alike columns.",
    tasks: &[Task::Regress],
    settings: &[
        ALPHA,
        Setting {
            name: "l1_ratio",
            alias: &[],
            default: "0.5",
            range: Range::Real { min: 0.0, max: 1.0 },
            doc: "The absolute penalty's share: 1 is lasso, 0 is ridge.",
        },
        FIT_INTERCEPT,
        MAX_ITER,
        TOL,
    ],
    needs: Needs::Dense,
    math: Math::Rounded(1e-9),
    // Its alpha is in the target's unit, so no value suits all tables.
    auto: &[],
    make: Make::Learner(make),
    open: |parts, schema, _| open_numbers(parts, schema),
};

/// Strength of the penalty.
pub(crate) const ALPHA: Setting = Setting {
    name: "alpha",
    alias: &[],
    default: "1.0",
    range: Range::Real { min: 0.0, max: f64::MAX },
    doc: "Strength of the penalty, in the target's unit: |y - Xw|^2 / (2 n) + alpha (l1_ratio |w|_1 + (1 - l1_ratio) |w|^2 / 2).",
};

/// Most sweeps.
pub(crate) const MAX_ITER: Setting = Setting {
    name: "max_iter",
    alias: &[],
    default: "10000",
    range: Range::Integer { min: 1, max: 100_000_000 },
    doc: "Most sweeps over the coefficients.",
};

/// When to stop.
pub(crate) const TOL: Setting = Setting {
    name: "tol",
    alias: &[],
    default: "1e-8",
    range: Range::Real { min: 0.0, max: 1.0 },
    doc: "Duality gap, relative to the target's square, and step, relative to the largest coefficient, at which to stop.",
};

/// A learner by coordinate descent; lasso is one too.
pub(crate) struct ElasticNet {
    /// The name of the entry.
    pub model: &'static str,
    /// How to descend.
    pub descent: Descent,
    /// Whether there is an intercept.
    pub fit_intercept: bool,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    learner("elastic_net", settings, schema, settings.real("l1_ratio"))
}

/// A learner from the settings that lasso and elastic net share.
pub(crate) fn learner(model: &'static str, settings: &Settings, schema: &Schema, l1_ratio: f64) -> Result<Box<dyn Learner>> {
    check_target(model, schema, &[Task::Regress], "use model=logistic for classes")?;
    let max_iter = settings.integer("max_iter") as usize;
    let descent = Descent { alpha: settings.real("alpha"), l1_ratio, max_iter, tol: settings.real("tol") };
    Ok(Box::new(ElasticNet { model, descent, fit_intercept: settings.flag("fit_intercept") }))
}

impl Learner for ElasticNet {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        Some(cost(schema, rows))
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let settings = Regression { model: self.model, fit_intercept: self.fit_intercept, max_iter: self.descent.max_iter };
        regression(&settings, &source, run, |squares, watch| elastic(squares, &self.descent, watch))
    }
}
