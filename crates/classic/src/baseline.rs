//! The baseline: the answer that needs no input. Class shares of the training rows, or their mean. Every report prints it
//! beside the model's scores. scikit-learn: `DummyClassifier(strategy="prior")` and `DummyRegressor(strategy="mean")`.
//!
//! Fitted and asked as the example of [`linear`](crate::linear) shows.
//!
//! ```
//! let model = cupola_classic::MODELS.iter().find(|model| model.name == "baseline").expect("baseline is registered");
//! let word = cupola_task::Value::Text("mean".into());
//! let settings = cupola_task::Settings::check("model", model.settings, [("strategy", &word)])?;
//! assert_eq!(settings.text("strategy"), "mean");
//! # Ok::<(), cupola_task::Error>(())
//! ```

use crate::rows::{Target, answer_of, the_target};
use crate::solve::{check_target, rows_of};
use cupola_task::{
    Ask, Columns, Dataset, Draw, Error, Kind, Learner, Make, Math, ModelDef, Needs, Parts, Predictions, Predictor, Range, Result, Role,
    Run, Schema, Setting, Settings, Source, Table, Task,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The registry's entry.
pub(crate) const BASELINE: ModelDef = ModelDef {
    name: "baseline",
    doc: "Class shares or the mean of the training rows, whatever the inputs: what every model must beat.",
    tasks: &[Task::Classify, Task::Regress],
    settings: &[Setting {
        name: "strategy",
        alias: &[],
        default: "auto",
        range: Range::Choice(&["auto", "prior", "mean"]),
        doc: "prior: class shares; mean: the mean; auto: what the target calls for.",
    }],
    needs: Needs::Nothing,
    math: Math::Rounded(1e-9),
    // It is printed beside every result and never competes.
    auto: &[],
    make: Make::Learner(make),
    open,
};

/// The part it saves itself into.
const PART: &str = "model/baseline";
/// The version of that part.
const VERSION: u32 = 1;

struct Always;

/// The fitted baseline.
struct Constant {
    target: Arc<str>,
    /// The target's classes; none for a number.
    classes: Option<Arc<[Arc<str>]>>,
    /// One share a class, or the mean.
    values: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    values: Vec<f64>,
}

fn make(settings: &Settings, schema: &Schema) -> Result<Box<dyn Learner>> {
    let strategy = settings.text("strategy");
    let tasks: &[Task] = match strategy {
        "prior" => &[Task::Classify],
        "mean" => &[Task::Regress],
        _ => &[Task::Classify, Task::Regress],
    };
    check_target(&format!("baseline with strategy {strategy}"), schema, tasks, "use strategy=auto")?;
    Ok(Box::new(Always))
}

impl Learner for Always {
    fn fit(&mut self, source: Source<'_>, _run: &Run<'_>) -> Result<Box<dyn Predictor>> {
        let blind = match &source {
            Source::Data { train, .. } => Some(train.map(without_inputs)?),
            Source::World(_) => None,
        };
        let source = match (&blind, source) {
            (Some(train), Source::Data { valid, .. }) => Source::Data { train, valid },
            (_, source) => source,
        };
        let (rows, keep, weights) = rows_of("baseline", &source)?;
        let total: f64 = weights.iter().sum();
        let (classes, values) = match &rows.target {
            Target::Classes { codes, classes } => {
                let mut shares = vec![0.0; classes.len()];
                keep.iter().zip(&weights).for_each(|(&row, weight)| shares[codes[row] as usize] += weight);
                shares.iter_mut().for_each(|share| *share /= total);
                (Some(classes.clone()), shares)
            }
            Target::Numbers(values) => {
                let mean = keep.iter().zip(&weights).map(|(&row, weight)| values[row] * (weight / total)).sum();
                (None, vec![mean])
            }
        };
        Ok(Box::new(Constant { target: rows.target_name, classes, values }))
    }
}

/// The rows' targets and keys. Inputs need not be of a kind that the models of this crate can read.
fn without_inputs(rows: &dyn Dataset) -> Result<Arc<dyn Dataset>> {
    let batch = rows.read(&(0..rows.len()).collect::<Vec<u64>>(), Draw::default())?;
    let fields = rows.schema().fields.iter().filter(|field| field.role != Role::Input && field.role != Role::Ignored);
    let columns = Columns::new(batch.targets.into_iter().chain(batch.keys).collect());
    Ok(Arc::new(Table::new(Schema { fields: fields.cloned().collect() }, columns)?))
}

impl Predictor for Constant {
    fn predict(&self, inputs: &Columns, _ask: &Ask) -> Result<Predictions> {
        let values = self.values.repeat(inputs.rows());
        Ok(Predictions(vec![(self.target.clone(), answer_of(self.classes.as_ref(), values))]))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        let saved = Saved { version: VERSION, values: self.values.clone() };
        parts.0.insert(PART.to_owned(), serde_json::to_vec(&saved).expect("finite numbers are JSON"));
        Ok(())
    }
}

fn open(parts: &Parts, schema: &Schema, _: cupola_task::Where) -> Result<Box<dyn Predictor>> {
    let damaged = |found: String, wanted: String| Error::input(format!("part {PART}"), found, wanted);
    let bytes = parts.0.get(PART).ok_or_else(|| damaged("nothing".into(), "a constant answer".into()))?;
    let Saved { version, values } = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string(), "values as JSON".into()))?;
    if version != VERSION {
        return Err(damaged(format!("version {version}"), format!("version {VERSION}")));
    }
    let (field, _) = the_target(schema)?;
    let classes = match &field.kind {
        Kind::Category { classes } => Some(classes.clone()),
        Kind::Number => None,
        other => return Err(damaged(format!("a target of kind {}", other.word()), "a category or number".into())),
    };
    let wanted = classes.as_ref().map_or(1, |classes| classes.len());
    let is_sound = classes.is_none() || values.iter().all(|share| (0.0..=1.0).contains(share));
    if values.len() != wanted || !is_sound {
        return Err(damaged(format!("{} values", values.len()), format!("{wanted} values, shares for classes")));
    }
    Ok(Box::new(Constant { target: field.name.clone(), classes, values }))
}
