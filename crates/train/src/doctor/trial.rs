//! A run is looked at, and remedies are tried.

use super::noise::{self, Noise, Suspect};
use super::remedies::{Change, changes, weak};
use crate::crossval::{DRAW, Fold, Rounds, Subject, cross_validate, joined, table};
use crate::journal::heard_by;
use crate::postprocess::{DecisionPlan, Held, learn, truths};
use crate::recipe::{Origin, Recipe};
use crate::report::{CrossValidation, Measure, Remark, Report, verdict};
use crate::training::{Divided, divide};
use crate::{Choice, Error, Plan, Result, resampled, runs};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_task::{Answer, Event, Field, Flow, Run, Settings, Task, Value};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Folds of every trial.
const FOLDS: usize = 5;

/// What was found and tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkup {
    /// The run.
    pub run: String,
    /// Its model.
    pub model: String,
    /// The target that remedies were tried for.
    pub target: String,
    /// What the report finds.
    pub findings: Vec<Remark>,
    /// Columns that say nothing.
    pub weak: Vec<String>,
    /// Labels that look wrong.
    pub noise: Option<Noise>,
    /// How many folds.
    pub folds: u64,
    /// What was tried: what helps first, each sort in the order in which it was tried.
    pub remedies: Vec<Remedy>,
    /// Sentences about what could not be done.
    pub notes: Vec<String>,
}

/// A remedy and what it brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remedy {
    /// What it is.
    pub name: String,
    /// What it is against.
    pub against: String,
    /// The recipe's keys and values, as its file writes them.
    pub patch: Vec<String>,
    /// How it went.
    pub outcome: Outcome,
    /// The measure it is about, and others that it changes; none where it was not tried.
    pub gains: Vec<Gain>,
    /// Why there are none, or what the numbers mean.
    pub note: Option<String>,
}

/// How a remedy went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole interval of its gain is good.
    Helps,
    /// The interval holds 0.
    Unclear,
    /// The whole interval is bad.
    Harms,
    /// The time was up, or the model could not learn so.
    NotTried,
}

/// What a measure gained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// The measure.
    pub measure: String,
    /// Its mean over the folds with the recipe as it is.
    pub before: f64,
    /// With the remedy.
    pub after: f64,
    /// By how much it is better, positive when it is, whatever the measure's direction; the interval is that of folds that share rows (Nadeau
    /// and Bengio, "Inference for the generalization error", 2003).
    pub gain: Measure,
}

/// What a trial needs.
struct Patient<'a> {
    plan: &'a Plan,
    field: Field,
    task: Task,
    run: &'a Run<'a>,
}

/// Looks at a run and tries remedies for its first target until the time is up.
///
/// # Errors
/// When the folder holds no finished run, its data are not there any more, or the model cannot learn from folds of its training rows.
pub fn doctor(folder: &Path, run: &Run<'_>, time: Duration) -> Result<Checkup> {
    let deadline = (run.clock)() + time;
    let (report, plan) = opened(folder)?;
    let target = report.targets.first().ok_or_else(|| Error::Runs("the run has no target".into(), None))?;
    run.tell(Event::Stage { name: "look".into() });
    let quiet = |_: &Event| run.tell(Event::Progress { done: 0, total: None, unit: "".into(), score: None });
    let divided = divide(&plan, &heard_by(run, &quiet))?;
    let (field, task) = target_field(&divided, &target.name)?;
    let patient = Patient { plan: &plan, field, task, run };
    let verdict = verdict(&report);
    let mut checkup = Checkup {
        run: report.name.clone(),
        model: report.model.clone(),
        target: target.name.clone(),
        findings: verdict.remarks.clone(),
        weak: weak(target),
        noise: None,
        folds: FOLDS as u64,
        remedies: vec![],
        notes: vec![],
    };
    let Some((def, settings)) = named(&plan, &patient.field) else {
        checkup.notes.push("the run's recipe names no model, so no remedy was tried".into());
        return Ok(checkup);
    };
    let began = (run.clock)();
    run.tell(Event::Stage { name: "cross-validate as it is".into() });
    let folds = patient.folds(&plan, &divided)?;
    let base_time = (run.clock)().saturating_sub(began);
    let learned = learned_field(&folds, &patient.field);
    checkup.noise = Some(suspects(&folds, &learned, &divided)?);
    let before = table(&learned, task, &folds, &measured(&plan), 1)?;
    let tried = changes(&report, target, &verdict, def, settings);
    for (number, change) in tried.iter().enumerate() {
        run.tell(Event::Stage { name: format!("try {}/{}: {}", number + 1, tried.len(), change.name) });
        let is_late = change.decision.is_none() && (run.clock)() + base_time > deadline;
        let remedy = match is_late {
            true => Remedy::not_tried(change, "the time was up".into()),
            false => patient.attempt(change, &folds, &learned, &before),
        };
        checkup.remedies.push(remedy);
        if run.tell(Event::Progress { done: number as u64 + 1, total: Some(tried.len() as u64), unit: "remedies".into(), score: None })
            == Flow::Stop
        {
            break;
        }
    }
    checkup.remedies.sort_by_key(|remedy| remedy.outcome);
    write(folder, &checkup)?;
    Ok(checkup)
}

/// The resolved recipe of a finished run.
///
/// # Errors
/// When the folder holds none.
pub fn plan(folder: &Path) -> Result<Plan> {
    let path = folder.join("run.toml");
    if !path.is_file() {
        let text = format!("{} is no finished run: it holds no run.toml", folder.display());
        return Err(Error::Runs(text, Some("`cupola runs ls` lists the runs".into())));
    }
    Plan::check(Recipe::open(&path)?)
}

/// Report and resolved recipe of a finished run.
fn opened(folder: &Path) -> Result<(Report, Plan)> {
    let path = folder.join("report.json");
    let text = std::fs::read_to_string(&path).map_err(|source| Error::io(format!("read {}", path.display()), source))?;
    let report: Report = serde_json::from_str(&text)
        .map_err(|error| Error::Runs(format!("{}: {error}", path.display()), Some("was it written by another version?".into())))?;
    Ok((report, plan(folder)?))
}

fn target_field(divided: &Divided, name: &str) -> Result<(Field, Task)> {
    let found = divided.loaded.schema().targets().find(|(field, _)| *field.name == *name).map(|(field, task)| (field.clone(), task));
    found.ok_or_else(|| Error::Data(format!("the data have no target {name} any more"), None))
}

fn named<'a>(plan: &'a Plan, field: &Field) -> Option<(&'static cupola_task::ModelDef, &'a Settings)> {
    match plan.output(&field.name).and_then(|output| output.model.as_ref()).unwrap_or(&plan.model) {
        Choice::Named(def, settings) => Some((def, settings)),
        Choice::Auto => None,
    }
}

/// The plan with the measures that remedies are judged by.
fn measured(plan: &Plan) -> Plan {
    Plan { metrics: None, ..plan.clone() }
}

/// The target with the classes that folds know.
fn learned_field(folds: &[Fold], field: &Field) -> Field {
    let of = |fold: &Fold| if let Answer::Scores { classes, .. } = &fold.answer { classes.to_vec() } else { vec![] };
    let mut all: Vec<Vec<std::sync::Arc<str>>> = folds.iter().map(of).collect();
    // No fold need know all of them: a rare class may be missing here, another one there. The longest list gives the order.
    all.sort_by_key(|classes| std::cmp::Reverse(classes.len()));
    let mut names: Vec<std::sync::Arc<str>> = Vec::new();
    for class in all.into_iter().flatten() {
        if !names.contains(&class) {
            names.push(class);
        }
    }
    match names.is_empty() {
        true => field.clone(),
        false => Field { kind: cupola_task::Kind::Category { classes: names.into() }, ..field.clone() },
    }
}

impl Patient<'_> {
    fn folds(&self, plan: &Plan, divided: &Divided) -> Result<Vec<Fold>> {
        let (def, settings) = named(plan, &self.field).ok_or_else(|| Error::Runs("the recipe names no model".into(), None))?;
        let subject = Subject { def, settings, target: &self.field, draw: self.run.draw(DRAW) };
        cross_validate(&subject, divided.splits.train(), plan, self.run, Rounds::once(FOLDS))
    }

    fn attempt(&self, change: &Change, folds: &[Fold], learned: &Field, before: &CrossValidation) -> Remedy {
        let after = match &change.decision {
            Some(decision) => cross_decided(decision, folds, learned),
            None => self.patched(change),
        };
        let after = after.and_then(|after| table(learned, self.task, &after, &measured(self.plan), 1));
        match after {
            Ok(after) => Remedy::tried(change, before, &after),
            Err(error) => Remedy::not_tried(change, error.to_string()),
        }
    }

    /// Learns again with the change, on the same folds.
    fn patched(&self, change: &Change) -> Result<Vec<Fold>> {
        let mut recipe = self.plan.recipe.clone();
        for (path, value) in &change.patch {
            let words: Vec<&str> = path.iter().map(String::as_str).collect();
            let value = match (recipe.entry(&words).map(|entry| &entry.value), value) {
                (Some(Value::List(known)), Value::List(more)) => Value::List(known.iter().chain(more).cloned().collect()),
                _ => value.clone(),
            };
            recipe.set(path.clone(), value, Origin::Flag, "remedy");
        }
        let plan = Plan::check(recipe)?;
        let deaf = |_: &Event| Flow::Go;
        self.folds(&plan, &divide(&plan, &heard_by(self.run, &deaf))?)
    }
}

/// Answers of each fold, postprocessed as the other folds teach.
fn cross_decided(decision: &DecisionPlan, folds: &[Fold], field: &Field) -> Result<Vec<Fold>> {
    let one = |place: usize| {
        let others: Vec<Fold> = folds.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, fold)| fold.clone()).collect();
        let (truth, weights, answer) = joined(&others, field)?;
        let held = Held { truth: &truth, weights: weights.as_deref(), answer: &answer };
        let learned = learn(decision, field, Some(held), "other folds")?;
        let (_, _, own) = joined(&folds[place..=place], field)?;
        Ok(Fold { answer: learned.postprocess.apply(own), ..folds[place].clone() })
    };
    (0..folds.len()).map(one).collect()
}

impl Remedy {
    fn not_tried(change: &Change, note: String) -> Remedy {
        Remedy {
            name: change.name.clone(),
            against: change.against.to_owned(),
            patch: patch(change),
            outcome: Outcome::NotTried,
            gains: vec![],
            note: Some(note),
        }
    }

    fn tried(change: &Change, before: &CrossValidation, after: &CrossValidation) -> Remedy {
        let mut gains: Vec<Gain> = before
            .measures
            .iter()
            .zip(&after.measures)
            .map(|(before, after)| {
                let pairs = before.folds.iter().zip(&after.folds).map(|(before, after)| after.value - before.value);
                let differences: Vec<f64> = pairs.filter(|difference| difference.is_finite()).collect();
                Gain {
                    measure: before.name.clone(),
                    before: before.mean,
                    after: after.mean,
                    gain: before.better.gain(paired(&differences)),
                }
            })
            .collect();
        gains.sort_by_key(|gain| gain.measure != change.measure);
        let outcome = match gains.first().map(|gain| gain.gain) {
            Some(gain) if gain.low > 0.0 => Outcome::Helps,
            Some(gain) if gain.high < 0.0 => Outcome::Harms,
            _ => Outcome::Unclear,
        };
        let note = gains.first().zip(change.suspected.as_ref()).map(|(gain, column)| {
            format!("if {column} is known only after the answer, {} {} is what to expect", gain.measure, crate::report::number(gain.after))
        });
        Remedy { name: change.name.clone(), against: change.against.to_owned(), patch: patch(change), outcome, gains, note }
    }
}

fn patch(change: &Change) -> Vec<String> {
    change.patch.iter().map(|(path, value)| format!("{} = {value}", path.join("."))).collect()
}

/// The mean of differences by folds, whose training rows are largely the same: their variance counts 1/k + 1/(k-1) times.
fn paired(differences: &[f64]) -> Measure {
    match differences.len() {
        0..=1 => Measure::undefined(),
        count => resampled::mean(differences, 1.0 / (count as f64 - 1.0), 0.95),
    }
}

/// Labels that look wrong to models that did not learn from them.
fn suspects(folds: &[Fold], field: &Field, divided: &Divided) -> Result<Noise> {
    let rows: Vec<u64> = folds.iter().flat_map(|fold| fold.rows.rows.iter().copied()).collect();
    let (truth, _, answer) = joined(folds, field)?;
    // A row of a fold keeps its number in the table.
    let place = |row: usize| divided.loaded.place(rows[row] as usize);
    let count = answer.len();
    let found = match (&answer, field.kind.classes()) {
        (Answer::Scores { values, .. }, Some(classes)) => {
            let labels = truths(classes, &truth)?;
            let suspect = |(row, class): (usize, usize)| Suspect {
                place: place(row),
                label: labels[row].map_or(String::new(), |label| classes[label].to_string()),
                answer: classes[class].to_string(),
                own: labels[row].map_or(f64::NAN, |label| values[row * classes.len() + label]),
            };
            noise::of_classes(classes.len(), values, &labels).into_iter().map(suspect).collect()
        }
        (Answer::Numbers { values, .. }, _) => {
            let numbers = truth.array().and_then(|array| array.as_primitive_opt::<Float64Type>());
            let numbers: Vec<f64> = numbers.map_or(vec![], |numbers| numbers.values().to_vec());
            let suspect = |row: usize| Suspect {
                place: place(row),
                label: numbers[row].to_string(),
                answer: values[row].to_string(),
                own: (numbers[row] - values[row]).abs(),
            };
            noise::of_numbers(&numbers, values).into_iter().map(suspect).collect()
        }
        _ => vec![],
    };
    Ok(Noise::new(count, found))
}

/// Writes what was found into the run's folder.
///
/// # Errors
/// When the file cannot be written.
fn write(folder: &Path, checkup: &Checkup) -> Result<()> {
    let json = serde_json::to_vec_pretty(checkup).expect("a checkup is plain data");
    runs::write_file(&folder.join("doctor.json"), &json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_know_classes_together_that_none_knows_alone() {
        let field = Field {
            name: "y".into(),
            kind: cupola_task::Kind::Category { classes: vec![].into() },
            role: cupola_task::Role::Target(Task::Classify),
        };
        let fold = |classes: &[&str]| {
            let classes: std::sync::Arc<[std::sync::Arc<str>]> = classes.iter().map(|class| (*class).into()).collect();
            let answer = Answer::Scores { classes: (&classes).into(), values: vec![] };
            let rows = cupola_task::Batch {
                rows: vec![].into(),
                inputs: cupola_task::Columns::default(),
                targets: cupola_task::Columns::default(),
                keys: cupola_task::Columns::default(),
            };
            Fold { rows, weights: None, answer, learned: 0 }
        };
        let learned = learned_field(&[fold(&["a", "b"]), fold(&["a", "b", "d"]), fold(&["a", "b", "c"])], &field);
        let names: Vec<String> = learned.kind.classes().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a", "b", "d", "c"]);
    }

    #[test]
    fn a_gain_is_as_sure_as_its_folds_agree() {
        let sure = paired(&[0.02, 0.021, 0.019, 0.02, 0.02]);
        let unsure = paired(&[0.05, -0.03, 0.04, 0.0, 0.04]);
        assert!(sure.low > 0.0 && (sure.value - unsure.value).abs() < 1e-12 && unsure.low < 0.0);
        assert!(!paired(&[0.1]).is_defined());
        // Of two differences, where others are not defined, Student's t has one degree of freedom: 12.7062 sqrt(v (1/2 + 1/1)).
        let two = paired(&[0.1, 0.2]);
        assert!((two.high - 0.15 - 12.706_204_736_432_1 * (0.005f64 * 1.5).sqrt()).abs() < 1e-9, "{two:?}");
    }
}
