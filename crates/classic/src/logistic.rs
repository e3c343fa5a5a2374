//! Logistic regression: binary, or multinomial for more than two classes, with a squared penalty (McCullagh, Nelder:
//! "Generalized linear models", 2nd ed., chapters 4 and 5). scikit-learn: `LogisticRegression`, the same objective.
//!
//! Fitted and asked as the example of [`linear`](crate::linear) shows.
//!
//! Classes that no training row has get probability 0.
//!
//! Differs: Newton's method instead of L-BFGS, hence `tol` is 1e-8 by default where scikit-learn has 1e-4.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "logistic").expect("logistic is registered");
//! let value = cupola_task::Value::Real(0.1);
//! let settings = cupola_task::Settings::check("model", model.settings, [("c", &value)])?;
//! assert_eq!(settings.real("C"), 0.1);
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::rows::seen_classes;
use crate::solve::{
    Affine, Design, FIT_INTERCEPT, Link, Logistic, Memory, Watch, check_target, cost, is_factored, logistic, means, open_classes, rows_of,
};
use cupola_task::{Cost, Learner, Make, Math, ModelDef, Needs, Predictor, Range, Result, Run, Schema, Setting, Settings, Source, Task};

/// The registry's entry.
pub(crate) const LOGISTIC: ModelDef = ModelDef {
    name: "logistic",
    doc: "Logistic regression, multinomial for more than two classes.",
    tasks: &[Task::Classify],
    settings: &[
        Setting {
            name: "C",
            alias: &["c"],
            default: "1.0",
            range: Range::Real { min: 1e-9, max: f64::MAX },
            doc: "Inverse strength of the penalty: C times the sum of losses + |w|^2 / 2.",
        },
        Setting {
            name: "penalty",
            alias: &[],
            default: "l2",
            range: Range::Choice(&["l2", "none"]),
            doc: "Whether large coefficients cost something.",
        },
        FIT_INTERCEPT,
        Setting {
            name: "max_iter",
            alias: &[],
            default: "100",
            range: Range::Integer { min: 1, max: 1_000_000 },
            doc: "Most iterations of Newton's method.",
        },
        Setting {
            name: "tol",
            alias: &[],
            default: "1e-8",
            range: Range::Real { min: 0.0, max: 1.0 },
            doc: "Largest slope of the mean loss at which to stop.",
        },
    ],
    needs: Needs::Dense,
    math: Math::Rounded(1e-9),
    auto: &["C=1", "C=0.1"],
    make: Make::Learner(make),
    open: |parts, schema, _| open_classes(parts, schema),
};

struct Settled {
    c: f64,
    fit_intercept: bool,
    max_iter: usize,
    tol: f64,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    check_target("logistic", schema, &[Task::Classify], "use model=ridge for numbers")?;
    Ok(Box::new(Settled {
        c: if settings.text("penalty") == "none" { f64::INFINITY } else { settings.real("C") },
        fit_intercept: settings.flag("fit_intercept"),
        max_iter: settings.integer("max_iter") as usize,
        tol: settings.real("tol"),
    }))
}

impl Learner for Settled {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        // A fit takes about eight Newton steps, each as much as a least-squares solution.
        let step = cost(schema, rows);
        Some(Cost { flops: 8.0 * step.flops, ..step })
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let (rows, keep, weights) = rows_of("logistic", &source)?;
        let Source::Data { train, .. } = source else { unreachable!("rows were read from data") };
        let (classes, seen, codes) = seen_classes(&rows, &keep)?;
        let outputs = if seen.len() <= 2 { 1 } else { seen.len() };
        memory(keep.len(), rows.features.len(), outputs).check(run)?;
        let design = Design::new(&rows.features, &keep, &weights, self.fit_intercept)?;
        let (coefficients, intercept) = if seen.len() < 2 {
            (Vec::new(), Vec::new())
        } else {
            let (c, tol, max_iter) = (self.c, self.tol, self.max_iter);
            let problem = Logistic { design: &design, codes: &codes, classes: seen.len(), weights: &weights, c, tol, max_iter };
            design.original(&logistic(&problem, &Watch { run, total: max_iter })?, outputs)
        };
        let affine = Affine::new(train.data().schema(), coefficients, intercept, Link::Classes { classes, seen })?;
        Ok(Box::new(affine.with_means(means(&rows.features, &keep, &weights))))
    }
}

/// Rows and columns, two factors an output when there are any, and six numbers a row and output (margins, chances, changes).
fn memory(rows: usize, width: usize, outputs: usize) -> Memory {
    let is_squared = is_factored(rows, width, outputs);
    let Memory { rows_bytes, square_bytes } = Memory::new(rows, width, is_squared);
    let factors = if is_squared { width * width * outputs * 2 * 8 } else { 0 };
    Memory { rows_bytes: rows_bytes + (rows * outputs * 6 * 8) as u64, square_bytes: square_bytes + factors as u64 }
}
