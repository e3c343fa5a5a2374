//! Linear regression by weighted least squares. scikit-learn: `LinearRegression`.
//!
//! Columns may depend on one another, as one-hot codes do: of all best coefficients these are the ones of smallest norm.
//!
//! ```
//! # use std::sync::Arc;
//! # use arrow_array::Float64Array;
//! use cupola_task::{Ask, Column, Columns, Field, Kind, Make, Role, Run, Schema, Settings, Side, Source, Splits, Table, Task};
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "linear").unwrap();
//! let field = |name: &str, role| Field { name: name.into(), kind: Kind::Number, role };
//! let schema = Schema { fields: vec![field("x", Role::Input), field("y", Role::Target(Task::Regress))] };
//! let column = |values: [f64; 3]| Column::Array(Arc::new(Float64Array::from(values.to_vec())));
//! let columns = Columns::new(vec![("x".into(), column([0.0, 1.0, 2.0])), ("y".into(), column([1.0, 3.0, 5.0]))]);
//! let splits = Splits::new(Arc::new(Table::new(schema.clone(), columns.clone())?), &[Side::Train; 3]);
//! let Make::Learner(make) = model.make else { unreachable!() };
//! let mut learner = make(&Settings::check("model", model.settings, [])?, &schema)?;
//! let source = Source::Data { train: splits.train(), valid: &**splits.valid() };
//! let fitted = learner.fit(source, &Run::quiet(1))?;
//! let answers = fitted.predict(&columns, &Ask::default())?;
//! assert_eq!(answers.rows(), 3);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::solve::{FIT_INTERCEPT, Regression, check_target, cost, least_squares, open_numbers, regression};
use cupola_task::{Cost, Learner, Make, Math, ModelDef, Needs, Predictor, Result, Run, Schema, Settings, Source, Task};

/// The registry's entry.
pub(crate) const LINEAR: ModelDef = ModelDef {
    name: "linear",
    doc: "Linear regression by least squares, with the solution of smallest norm where columns depend on one another.",
    tasks: &[Task::Regress],
    settings: &[FIT_INTERCEPT],
    needs: Needs::Dense,
    // Another machine may add in another order.
    math: Math::Rounded(1e-9),
    auto: &["fit_intercept=true"],
    make: Make::Learner(make),
    open: |parts, schema, _| open_numbers(parts, schema),
};

struct Linear {
    fit_intercept: bool,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    check_target("linear", schema, &[Task::Regress], "use model=logistic for classes")?;
    Ok(Box::new(Linear { fit_intercept: settings.flag("fit_intercept") }))
}

impl Learner for Linear {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        Some(cost(schema, rows))
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let settings = Regression { model: "linear", fit_intercept: self.fit_intercept, max_iter: 1 };
        regression(&settings, &source, run, |squares, watch| {
            watch.begin()?;
            let coefficients = least_squares(squares, 0.0);
            watch.tell(1, None);
            Ok(coefficients)
        })
    }
}
