//! The fitted linear model: one or several weighted sums of the inputs, answered as a number or as class probabilities.

use super::columns::{Block, Input, Taken, inputs_of, take};
use crate::rows::{Feature, Values, are_seen, the_target};
use cupola_task::{Against, Answer, Ask, Columns, Contributions, Error, Kind, Parts, Predictions, Predictor, Result, Schema, Unit};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The part a linear model saves itself into.
const PART: &str = "model/coefficients";
/// The version of that part.
const VERSION: u32 = 1;
/// Rows in a block of answers: its sums stay in the nearest cache.
const BLOCK: usize = 512;

/// What the weighted sums mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// The one sum is the answer.
    Identity,
    /// Sums are margins of classes.
    Classes {
        /// All classes of the target.
        classes: Arc<[Arc<str>]>,
        /// Those that training rows had, ascending. For two there is one sum, the second's margin over the first; for one there is none.
        seen: Vec<u32>,
    },
}

/// Weighted sums of inputs.
#[derive(Clone, Debug)]
pub struct Affine {
    inputs: Vec<Input>,
    target: Arc<str>,
    /// `[elements, outputs]`.
    coefficients: Vec<f64>,
    /// `[outputs]`.
    intercept: Vec<f64>,
    link: Link,
    /// The mean of each element over the training rows; none in what was saved before they were kept.
    means: Option<Vec<f64>>,
}

/// The saved form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    /// The classes that training rows had; absent for a regression.
    seen: Option<Vec<u32>>,
    intercept: Vec<f64>,
    coefficients: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    means: Option<Vec<f64>>,
}

/// How many elements the inputs of a prepared schema have.
pub fn width(schema: &Schema) -> usize {
    schema.inputs().fold(0, |sum, field| sum.saturating_add(if let Kind::Vector { width } = field.kind { width } else { 1 }))
}

/// How many sums a model of so many classes has.
fn outputs(link: &Link) -> usize {
    match link {
        Link::Identity => 1,
        Link::Classes { seen, .. } if seen.len() <= 2 => seen.len() - 1,
        Link::Classes { seen, .. } => seen.len(),
    }
}

impl Affine {
    /// A model from its coefficients `[elements, outputs]` and intercepts.
    ///
    /// # Errors
    /// When a coefficient is not finite, as inputs too large to square make it.
    pub fn new(schema: &Schema, coefficients: Vec<f64>, intercept: Vec<f64>, link: Link) -> Result<Affine> {
        let (target, _) = the_target(schema)?;
        assert_eq!(intercept.len(), outputs(&link), "one intercept an output");
        assert_eq!(coefficients.len(), width(schema) * intercept.len(), "one coefficient an element and output");
        if coefficients.iter().chain(&intercept).any(|value| !value.is_finite()) {
            return Err(Error::input("training rows", "numbers too large to compute with", "columns on a common scale"));
        }
        Ok(Affine { inputs: inputs_of(schema)?, target: target.name.clone(), coefficients, intercept, link, means: None })
    }

    /// The same, knowing the mean of each element over the training rows, which explanations are told against.
    #[must_use]
    pub fn with_means(self, means: Vec<f64>) -> Affine {
        assert_eq!(means.len() * self.outputs(), self.coefficients.len(), "one mean an element");
        // Numbers whose sum overflows have no mean to tell of.
        Affine { means: means.iter().all(|mean| mean.is_finite()).then_some(means), ..self }
    }

    fn outputs(&self) -> usize {
        self.intercept.len()
    }

    /// The sums of a block of rows that starts at `start`: `sums` is `[rows, outputs]`.
    fn add(&self, taken: &[Taken<'_>], start: usize, sums: &mut [f64]) -> Result<()> {
        let outputs = self.outputs();
        sums.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(&self.intercept));
        for (taken, coefficients) in taken.iter().zip(self.coefficients.chunks_exact(outputs)) {
            taken.add(Block { start, outputs }, coefficients, sums);
        }
        match sums.iter().position(|sum| !sum.is_finite()) {
            Some(at) => Err(self.culprit(taken, start + at / outputs)),
            None => Ok(()),
        }
    }

    /// Why a row has no finite answer.
    fn culprit(&self, taken: &[Taken<'_>], row: usize) -> Error {
        let wrong = taken.iter().find(|taken| !taken.value(row).is_finite());
        match wrong {
            Some(taken) => {
                let name = taken.name(&self.inputs);
                Error::input(format!("column {name} in row {row}"), taken.value(row), "a finite number")
            }
            None => Error::input(format!("row {row}"), "numbers too large to compute with", "numbers like those of training"),
        }
    }

    fn sums(&self, inputs: &Columns) -> Result<Vec<f64>> {
        let taken = take(&self.inputs, inputs)?;
        let (rows, outputs) = (inputs.rows(), self.outputs());
        let mut sums = vec![0.0; rows * outputs];
        if outputs == 0 {
            return Ok(sums);
        }
        if rows <= BLOCK {
            self.add(&taken, 0, &mut sums)?;
            return Ok(sums);
        }
        sums.par_chunks_mut(BLOCK * outputs).enumerate().try_for_each(|(block, sums)| self.add(&taken, block * BLOCK, sums))?;
        Ok(sums)
    }
}

/// The weighted mean of each feature over the rows that `keep` names.
pub fn means(features: &[Feature], keep: &[usize], weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let mean = |feature: &Feature| match &feature.values {
        Values::Numbers(values) => keep.iter().zip(weights).map(|(&row, weight)| weight / total * values[row]).sum(),
        Values::Codes { .. } => f64::NAN,
    };
    features.par_iter().map(mean).collect()
}

/// Linear SHAP with inputs that are taken one by one (Lundberg and Lee, "A unified approach to interpreting model predictions", NIPS 2017,
/// corollary 1; `shap.LinearExplainer` with `feature_perturbation="interventional"`): a coefficient times the distance from the mean.
impl Affine {
    fn contributions(&self, inputs: &Columns, against: Against<'_>) -> Result<Contributions> {
        let taken = take(&self.inputs, inputs)?;
        let (rows, outputs, count) = (inputs.rows(), self.outputs(), self.inputs.len());
        let means = match against {
            Against::Training => self.means.clone().ok_or_else(|| Error::Unsupported {
                what: "an explanation against training rows".into(),
                by: "this linear model".into(),
                hint: Some("its file is of a version that did not keep their means: explain it against rows, or train it again".into()),
            })?,
            Against::Rows(background) if background.rows() == 0 => {
                return Err(Error::input("background rows", "none", "at least one"));
            }
            Against::Rows(background) => {
                let mean = |taken: &Taken<'_>| (0..background.rows()).map(|row| taken.value(row)).sum::<f64>() / background.rows() as f64;
                take(&self.inputs, background)?.iter().map(mean).collect()
            }
        };
        let mut base = self.intercept.clone();
        let mut values = vec![0.0; rows * count * outputs];
        for ((taken, coefficients), mean) in taken.iter().zip(self.coefficients.chunks_exact(outputs.max(1))).zip(&means) {
            base.iter_mut().zip(coefficients).for_each(|(base, coefficient)| *base += coefficient * mean);
            for row in 0..rows {
                let away = taken.value(row) - mean;
                let values = &mut values[(row * count + taken.input()) * outputs..][..outputs];
                values.iter_mut().zip(coefficients).for_each(|(value, coefficient)| *value += coefficient * away);
            }
        }
        if values.iter().chain(&base).any(|value| !value.is_finite()) {
            return Err(Error::input("rows to explain", "numbers that are missing or too large", "numbers like those of training"));
        }
        let (outputs, unit) = match &self.link {
            Link::Identity => (vec![self.target.clone()], Unit::Number),
            Link::Classes { classes, seen } if seen.len() == 2 => (vec![classes[seen[1] as usize].clone()], Unit::LogOdds),
            Link::Classes { seen, .. } if seen.len() < 2 => (vec![], Unit::LogOdds),
            Link::Classes { classes, seen } => (seen.iter().map(|&class| classes[class as usize].clone()).collect(), Unit::Score),
        };
        Ok(Contributions { inputs: self.inputs.iter().map(Input::name).collect(), outputs, unit, base, values })
    }
}

impl Predictor for Affine {
    fn predict(&self, inputs: &Columns, _ask: &Ask) -> Result<Predictions> {
        let sums = self.sums(inputs)?;
        let answer = match &self.link {
            Link::Identity => Answer::Numbers { values: sums, range: None },
            Link::Classes { classes, seen } => {
                Answer::Scores { classes: classes.into(), values: chances(&sums, inputs.rows(), classes.len(), seen) }
            }
        };
        Ok(Predictions(vec![(self.target.clone(), answer)]))
    }

    fn explain(&self, inputs: &Columns, against: Against<'_>) -> Option<Result<Contributions>> {
        Some(self.contributions(inputs, against))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        let seen = match &self.link {
            Link::Identity => None,
            Link::Classes { seen, .. } => Some(seen.clone()),
        };
        let saved = Saved {
            version: VERSION,
            seen,
            intercept: self.intercept.clone(),
            coefficients: self.coefficients.clone(),
            means: self.means.clone(),
        };
        let bytes = serde_json::to_vec(&saved).expect("finite numbers are JSON");
        parts.0.insert(PART.to_owned(), bytes);
        Ok(())
    }
}

/// Probabilities `[rows, classes]` from margins; classes that training never saw get 0.
fn chances(sums: &[f64], rows: usize, classes: usize, seen: &[u32]) -> Vec<f64> {
    let mut values = vec![0.0; rows * classes];
    for (row, values) in values.chunks_exact_mut(classes.max(1)).enumerate() {
        match *seen {
            [only] => values[only as usize] = 1.0,
            [first, second] => {
                let small = (-sums[row].abs()).exp();
                let (likely, unlikely) = if sums[row] >= 0.0 { (second, first) } else { (first, second) };
                values[likely as usize] = 1.0 / (1.0 + small);
                values[unlikely as usize] = small / (1.0 + small);
            }
            _ => softmax(&sums[row * seen.len()..(row + 1) * seen.len()], seen, values),
        }
    }
    values
}

fn softmax(margins: &[f64], seen: &[u32], values: &mut [f64]) {
    let most = margins.iter().fold(f64::NEG_INFINITY, |most, &margin| margin.max(most));
    let mut sum = 0.0;
    for (&class, margin) in seen.iter().zip(margins) {
        values[class as usize] = (margin - most).exp();
        sum += values[class as usize];
    }
    seen.iter().for_each(|&class| values[class as usize] /= sum);
}

/// Opens a saved regression.
///
/// # Errors
/// When the part is missing, of another version, or does not fit the schema.
pub fn open_numbers(parts: &Parts, schema: &Schema) -> Result<Box<dyn Predictor>> {
    let saved = read(parts)?;
    if saved.seen.is_some() || !matches!(the_target(schema)?.0.kind, Kind::Number) {
        return Err(damaged("classes", "a regression on a number"));
    }
    open(saved, schema, Link::Identity)
}

/// Opens a saved classifier.
///
/// # Errors
/// When the part is missing, of another version, or does not fit the schema.
pub fn open_classes(parts: &Parts, schema: &Schema) -> Result<Box<dyn Predictor>> {
    let saved = read(parts)?;
    let Kind::Category { classes } = &the_target(schema)?.0.kind else {
        return Err(damaged("a target without classes", "a category"));
    };
    let seen = saved.seen.clone().unwrap_or_default();
    if !are_seen(&seen, classes.len()) {
        return Err(damaged("other classes", format!("some of {} classes, ascending", classes.len())));
    }
    open(saved, schema, Link::Classes { classes: classes.clone(), seen })
}

fn read(parts: &Parts) -> Result<Saved> {
    let bytes = parts.0.get(PART).ok_or_else(|| damaged("nothing", "coefficients"))?;
    let saved: Saved = serde_json::from_slice(bytes).map_err(|error| damaged(error, "coefficients as JSON"))?;
    if saved.version != VERSION {
        return Err(damaged(format!("version {}", saved.version), format!("version {VERSION}")));
    }
    Ok(saved)
}

fn open(saved: Saved, schema: &Schema, link: Link) -> Result<Box<dyn Predictor>> {
    let outputs = outputs(&link);
    let wanted = width(schema).saturating_mul(outputs);
    if saved.intercept.len() != outputs || saved.coefficients.len() != wanted {
        let found = format!("{} intercepts and {} coefficients", saved.intercept.len(), saved.coefficients.len());
        return Err(damaged(found, format!("{outputs} and {wanted}")));
    }
    let means = saved.means;
    if means.as_ref().is_some_and(|means| means.len() != width(schema) || !means.iter().all(|mean| mean.is_finite())) {
        return Err(damaged("other means", format!("{} finite ones", width(schema))));
    }
    Ok(Box::new(Affine { means, ..Affine::new(schema, saved.coefficients, saved.intercept, link)? }))
}

fn damaged(found: impl std::fmt::Display, wanted: impl std::fmt::Display) -> Error {
    Error::input(format!("part {PART}"), found, wanted)
}
