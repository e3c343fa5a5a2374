//! Lasso: least squares with an absolute penalty, which sets coefficients that bring little to zero (Tibshirani: "Regression
//! shrinkage and selection via the lasso", 1996). scikit-learn: `Lasso`.
//!
//! Fitted and asked as the example of [`linear`](crate::linear) shows. It is the
//! [elastic net](crate::elastic_net) with `l1_ratio=1`, and differs from scikit-learn as that does.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "lasso").expect("lasso is registered");
//! let value = cupola_task::Value::Real(0.1);
//! let settings = cupola_task::Settings::check("model", model.settings, [("alpha", &value)])?;
//! assert_eq!(settings.real("alpha"), 0.1);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::elastic_net::{ALPHA, MAX_ITER, TOL, learner};
use crate::solve::{FIT_INTERCEPT, open_numbers};
use cupola_task::{Learner, Make, Math, ModelDef, Needs, Result, Schema, Setting, Settings, Task};

/// The registry's entry.
pub(crate) const LASSO: ModelDef = ModelDef {
    name: "lasso",
    doc: "Linear regression with an absolute penalty: coefficients that bring little become zero.",
    tasks: &[Task::Regress],
    settings: &[
        Setting { doc: "Strength of the penalty, in the target's unit: |y - Xw|^2 / (2 n) + alpha |w|_1.", ..ALPHA },
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

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    learner("lasso", settings, schema, 1.0)
}
