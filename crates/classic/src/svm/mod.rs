//! Support vector machines: classes by the widest margin, numbers by a tube (Cortes, Vapnik: "Support-vector networks", 1995; Drucker et
//! al.: "Support vector regression machines", 1996). scikit-learn: `SVC(probability=True)` and `SVR`, LIBSVM: C-SVC and epsilon-SVR; the
//! same problems, names and stopping rule. More than two classes are told apart pair by pair.
//!
//! The problem is solved by sequential minimal optimisation in large working sets ([`smo`]); kernel values come from products of matrices
//! ([`kernel`]).
//!
//! Differs: the answered class is the most probable one; LIBSVM's is the one with most votes of pairs. Rows for cross-validated
//! probabilities are dealt class by class.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "svm").expect("svm is registered");
//! let value = cupola_task::Value::Text("poly".into());
//! let settings = cupola_task::Settings::check("model", model.settings, [("kernel", &value)])?;
//! assert_eq!(settings.integer("degree"), 3);
//! # Ok::<(), cupola_task::Error>(())
//! ```

mod fit;
mod kernel;
mod machine;
mod platt;
mod smo;

#[cfg(test)]
mod tests;

use crate::points::{LANES, Packed, Points, check_finite};
use crate::rows::{Rows, Target, answer_of, seen_classes, the_target};
use crate::solve::{Input, Taken, Watch, check_target, inputs_of, rows_with_inputs, take, width, within_memory};
use cupola_task::{
    Ask, Columns, Cost, Error, Event, Flow, Kind, Learner, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Range, Result, Run,
    Schema, Setting, Settings, Source, Task, Where,
};
use fit::Fit;
use kernel::Kernel;
use machine::{Machine, PART};
use rayon::prelude::*;
use smo::Rules;
use std::sync::Arc;

/// Rows in a block of answers.
const BLOCK: usize = 64;
/// Pairs of multipliers after which a fit without `max_iter` gives up, as LIBSVM does: so many, or so many a row.
const PAIRS_MAX: u64 = 10_000_000;
const PAIRS_A_ROW_MAX: u64 = 100;

/// The registry's entry.
pub(crate) const SVM: ModelDef = ModelDef {
    name: "svm",
    doc: "Support vector machine with kernels: the widest margin between classes, a tube for numbers. Its time grows with the square of the rows.",
    tasks: &[Task::Classify, Task::Regress],
    settings: &[
        Setting {
            name: "C",
            alias: &["c"],
            default: "1.0",
            range: Range::Real { min: 1e-9, max: 1e9 },
            doc: "How much a row on the wrong side of the margin, or outside of the tube, costs; times its weight.",
        },
        Setting {
            name: "kernel",
            alias: &[],
            default: "rbf",
            range: Range::Choice(&["rbf", "linear", "poly", "sigmoid"]),
            doc: "rbf: exp(-gamma |x - y|^2); linear: x y; poly: (gamma x y + coef0)^degree; sigmoid: tanh(gamma x y + coef0).",
        },
        Setting {
            name: "gamma",
            alias: &[],
            default: "scale",
            range: Range::Any(&[Range::Choice(&["scale", "auto"]), Range::Real { min: 0.0, max: 1e9 }]),
            doc: "The kernel's gamma. scale: 1 / (columns * variance of all training cells); auto: 1 / columns.",
        },
        Setting { name: "degree", alias: &[], default: "3", range: Range::Integer { min: 0, max: 100 }, doc: "The power of kernel=poly." },
        Setting {
            name: "coef0",
            alias: &[],
            default: "0.0",
            range: Range::Real { min: -1e9, max: 1e9 },
            doc: "What kernel=poly and kernel=sigmoid add to the product.",
        },
        Setting {
            name: "epsilon",
            alias: &[],
            default: "0.1",
            range: Range::Real { min: 0.0, max: f64::MAX },
            doc: "For numbers, how far an answer may be off without a cost.",
        },
        Setting {
            name: "probability",
            alias: &[],
            default: "true",
            range: Range::Flag,
            doc: "For classes, whether decision values become probabilities by a sigmoid fitted in cross-validation, which takes five more fits. false: 1 / (1 + e^-value), which ranks as well and promises nothing.",
        },
        Setting {
            name: "shrinking",
            alias: &[],
            default: "true",
            range: Range::Flag,
            doc: "Whether rows whose multiplier stays at its limit are left out for a while.",
        },
        Setting {
            name: "tol",
            alias: &[],
            default: "1e-3",
            range: Range::Real { min: 1e-12, max: 1.0 },
            doc: "Violation of the conditions of the optimum at which to stop.",
        },
        Setting {
            name: "max_iter",
            alias: &[],
            default: "-1",
            range: Range::Integer { min: -1, max: i64::MAX },
            doc: "Most steps (pairs of multipliers) of one problem; -1: 10 million, or 100 a row.",
        },
        Setting {
            name: "cache_size",
            alias: &[],
            default: "200",
            range: Range::Integer { min: 1, max: 1_000_000 },
            doc: "Megabytes of kernel values that each problem under way keeps; there are as many under way as threads.",
        },
    ],
    needs: Needs::Dense,
    // Another machine may add in another order.
    math: Math::Rounded(1e-9),
    auto: &["C=1 rows<=5000", "C=10 rows<=5000"],
    make: Make::Learner(make),
    open,
};

struct Settled {
    settings: Settings,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    check_target("svm", schema, &[Task::Classify, Task::Regress], "it classifies categories and regresses numbers")?;
    Ok(Box::new(Settled { settings: settings.clone() }))
}

impl Settled {
    fn kernel(&self, points: &Points) -> Result<Kernel> {
        let gamma = match (self.settings.try_text("gamma"), self.settings.try_real("gamma")) {
            (_, Some(gamma)) => gamma,
            (Some("scale"), _) => scale(points),
            _ => 1.0 / points.width() as f64,
        };
        if !gamma.is_finite() {
            return Err(Error::input("training rows", "numbers too large to compute with", "columns on a common scale"));
        }
        let (coef0, degree) = (self.settings.real("coef0"), self.settings.integer("degree") as u32);
        Ok(match self.settings.text("kernel") {
            "linear" => Kernel::Linear,
            "poly" => Kernel::Poly { gamma, coef0, degree },
            "sigmoid" => Kernel::Sigmoid { gamma, coef0 },
            _ => Kernel::Rbf { gamma },
        })
    }

    fn rules(&self, rows: usize, run: &Run<'_>) -> Rules {
        let pairs_max = match u64::try_from(self.settings.integer("max_iter")) {
            Ok(most) => most,
            Err(_) => PAIRS_MAX.max(PAIRS_A_ROW_MAX * rows as u64),
        };
        let cache = (self.settings.integer("cache_size") as u64) << 20;
        let cache = run.memory_max.map_or(cache, |most| cache.min(most / 8));
        Rules {
            tol: self.settings.real("tol"),
            pairs_max,
            shrinking: self.settings.flag("shrinking"),
            cache_bytes: usize::try_from(cache).unwrap_or(usize::MAX),
        }
    }
}

/// `1 / (columns * variance of all cells)`, as scikit-learn's `gamma="scale"`.
fn scale(points: &Points) -> f64 {
    let width = points.width();
    let cells = (points.rows() * width) as f64;
    let mut sums = vec![0.0; width];
    (0..points.rows()).for_each(|row| points.add_row(row, 1.0, &mut sums));
    let mean = sums.iter().sum::<f64>() / cells;
    let mut values = vec![0.0; width];
    let mut squares = 0.0;
    for row in 0..points.rows() {
        points.write_row(row, &mut values);
        squares += values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    }
    let variance = squares / cells;
    if variance > 0.0 { 1.0 / (width as f64 * variance) } else { 1.0 }
}

impl Learner for Settled {
    fn cost(&self, schema: &Schema, rows: u64) -> Option<Cost> {
        let (rows, width) = (rows as f64, width(schema) as f64);
        let classes = the_target(schema).ok()?.0.kind.classes().map_or(0, |classes| classes.len());
        // About every kernel value is computed once or twice; parts of the rows for probabilities are four fifths each.
        let fits = if classes > 0 && self.settings.flag("probability") { 1.0 + 5.0 * 0.64 } else { 1.0 };
        let cache = ((self.settings.integer("cache_size") as f64) * (1 << 20) as f64).min(4.0 * rows * rows);
        Some(Cost { flops: 1.5 * fits * rows * rows * (2.0 * width + 20.0), memory_bytes: (rows * (width * 20.0 + 120.0) + cache) as u64 })
    }

    fn fit(&mut self, source: Source<'_>, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let (rows, keep, weights) = rows_with_inputs("svm", &source)?;
        let Source::Data { train, .. } = source else { unreachable!("rows were read from data") };
        let schema = train.data().schema();
        within_memory("memory of a support vector machine", self.cost(schema, keep.len() as u64), run)?;
        let points = Points::new(&rows.features, &keep)?;
        let watch = Watch { run, total: 1 };
        watch.begin()?;
        let goes_on = |done: u64, gap: f64| {
            let score = gap.is_finite().then(|| ("violation".to_owned(), gap));
            let flow = run.tell(Event::Progress { done, total: None, unit: "iterations".into(), score });
            flow == Flow::Go && !run.is_late()
        };
        let limits: Vec<f64> = weights.iter().map(|weight| weight * self.settings.real("C")).collect();
        let rules = self.rules(keep.len(), run);
        let fit = Fit { kernel: self.kernel(&points)?, points: &points, limits: &limits, weights: &weights, rules, goes_on: &goes_on };
        let (machine, is_finished) = self.machine(&fit, &rows, &keep, run)?;
        if !is_finished {
            let text = match run.is_late() {
                true => "svm stopped before its tolerance was met: the time was up",
                false => "svm stopped before its tolerance was met: raise max_iter or tol, lower C, or scale the columns",
            };
            // The fit is over, so there is nothing left to stop.
            let _ = run.tell(Event::Warning { text: text.into() });
        }
        Ok(Box::new(Svm::new(schema, machine)?))
    }
}

impl Settled {
    fn machine(&self, fit: &Fit<'_>, rows: &Rows, keep: &[usize], run: &Run<'_>) -> Result<(Machine, bool)> {
        match &rows.target {
            Target::Numbers(values) => {
                let targets: Vec<f64> = keep.iter().map(|&row| values[row]).collect();
                Ok(fit.numbers(&targets, self.settings.real("epsilon")))
            }
            Target::Classes { .. } => {
                let (_, seen, codes) = seen_classes(rows, keep)?;
                Ok(fit.classes(&codes, seen, self.settings.flag("probability").then(|| run.draw("svm"))))
            }
        }
    }
}

/// A machine behind the seam.
struct Svm {
    inputs: Vec<Input>,
    target: Arc<str>,
    classes: Option<Arc<[Arc<str>]>>,
    machine: Machine,
    /// The vectors' products with themselves.
    squares: Vec<f64>,
}

impl Svm {
    fn new(schema: &Schema, machine: Machine) -> Result<Svm> {
        let (target, _) = the_target(schema)?;
        let are_finite =
            machine.multipliers.iter().chain(&machine.rho).chain(machine.sigmoids.as_flattened()).all(|value| value.is_finite());
        let squares = machine.vectors.squares();
        if !are_finite || squares.iter().any(|square| !square.is_finite()) {
            return Err(Error::input("training rows", "numbers too large to compute with", "columns on a common scale"));
        }
        let classes = target.kind.classes().cloned();
        Ok(Svm { inputs: inputs_of(schema)?, target: target.name.clone(), classes, squares, machine })
    }

    /// Answers from the row `start` on.
    fn answer(&self, taken: &[Taken<'_>], start: usize, out: &mut [f64]) -> Result<()> {
        let width = self.classes.as_ref().map_or(1, |classes| classes.len());
        let pack = |(group, out): (usize, &[f64])| {
            let (first, mut packed) = (start + group * LANES, self.machine.vectors.packed());
            self.machine.vectors.pack(taken, first..first + out.len() / width, &mut packed);
            packed
        };
        let groups: Vec<Packed> = out.chunks(width * LANES).enumerate().map(pack).collect();
        let decisions = self.machine.decide(&self.squares, &groups);
        let pairs = self.machine.rho.len();
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            let (decisions, lane) = (&decisions[row / LANES * pairs..][..pairs], row % LANES);
            if let Some(wrong) = decisions.iter().map(|values| values[lane]).find(|value| !value.is_finite()) {
                let found = format!("numbers that lead to {wrong}");
                return Err(Error::input(format!("row {}", start + row), found, "numbers like those of training"));
            }
            match &self.machine.task {
                machine::Task::Number => out[0] = decisions[0][lane],
                machine::Task::Classes(seen) => {
                    let chances = self.machine.chances(decisions, lane);
                    seen.iter().zip(chances).for_each(|(&class, chance)| out[class as usize] = chance);
                }
            }
        }
        Ok(())
    }
}

impl Predictor for Svm {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let taken = take(&self.inputs, inputs)?;
        let rows = inputs.rows();
        check_finite(&taken, &self.inputs, rows)?;
        let width = self.classes.as_ref().map_or(1, |classes| classes.len());
        let mut values = vec![0.0; rows * width];
        match rows <= BLOCK {
            true => self.answer(&taken, 0, &mut values)?,
            false => values
                .par_chunks_mut(BLOCK * width)
                .enumerate()
                .try_for_each(|(block, values)| self.answer(&taken, block * BLOCK, values))?,
        }
        Ok(Predictions(vec![(self.target.clone(), answer_of(self.classes.as_ref(), values))]))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        parts.0.insert(PART.to_owned(), self.machine.to_bytes());
        Ok(())
    }
}

/// Opens a saved one.
///
/// # Errors
/// When the part is missing, damaged, or does not fit the schema.
fn open(parts: &Parts, schema: &Schema, _: Where) -> Result<Box<dyn Predictor>> {
    let bytes = parts.0.get(PART).ok_or_else(|| Error::input("model", format!("no part {PART}"), "a support vector machine"))?;
    let classes = match &the_target(schema)?.0.kind {
        Kind::Category { classes } => Some(classes.len()),
        _ => None,
    };
    Ok(Box::new(Svm::new(schema, Machine::from_bytes(bytes, width(schema), classes)?)?))
}
