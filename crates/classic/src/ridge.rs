//! Ridge regression: least squares with a squared penalty on the coefficients, the intercept left free (Hoerl, Kennard:
//! "Ridge regression", 1970). scikit-learn: `Ridge`.
//!
//! Fitted and asked as the example of [`linear`](crate::linear) shows.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "ridge").expect("ridge is registered");
//! let value = cupola_task::Value::Real(10.0);
//! let settings = cupola_task::Settings::check("model", model.settings, [("l2", &value)])?;
//! assert_eq!(settings.real("alpha"), 10.0);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::solve::{FIT_INTERCEPT, Regression, check_target, cost, least_squares, open_numbers, regression};
use cupola_task::{Cost, Learner, Make, Math, ModelDef, Needs, Predictor, Range, Result, Run, Schema, Setting, Settings, Source, Task};

/// The registry's entry.
pub(crate) const RIDGE: ModelDef = ModelDef {
    name: "ridge",
    doc: "Linear regression with a squared penalty on the coefficients.",
    tasks: &[Task::Regress],
    settings: &[
        Setting {
            name: "alpha",
            alias: &["l2"],
            default: "1.0",
            range: Range::Real { min: 0.0, max: f64::MAX },
            doc: "Strength of the penalty: |y - Xw|^2 + alpha |w|^2.",
        },
        FIT_INTERCEPT,
    ],
    needs: Needs::Dense,
    math: Math::Rounded(1e-9),
    auto: &["alpha=1", "alpha=10"],
    make: Make::Learner(make),
    open: |parts, schema, _| open_numbers(parts, schema),
};

struct Ridge {
    alpha: f64,
    fit_intercept: bool,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    check_target("ridge", schema, &[Task::Regress], "use model=logistic for classes")?;
    Ok(Box::new(Ridge { alpha: settings.real("alpha"), fit_intercept: settings.flag("fit_intercept") }))
}

impl Learner for Ridge {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        Some(cost(schema, rows))
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let settings = Regression { model: "ridge", fit_intercept: self.fit_intercept, max_iter: 1 };
        regression(&settings, &source, run, |squares, watch| {
            watch.begin()?;
            let coefficients = least_squares(squares, self.alpha);
            watch.tell(1, None);
            Ok(coefficients)
        })
    }
}
