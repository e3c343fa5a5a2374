//! An explanation as data.

use super::ale;
use super::cells::{Cell, evenly, numbers};
use super::contributions::{Method, Told, told};
use super::counterfactual::{Counterfactual, Goal, Search};
use super::dependence::{curves, grid};
use super::given::{Given, scalars};
use super::interactions::interactions;
use super::pairs::{ShapInteractions, TakeValues, shap_interactions};
use super::settings::ExplainPlan;
use super::subject::{Subject, score_of, unknown};
use crate::evaluate::{Shuffle, importance, main_measure};
use crate::report::Permutation;
use crate::{Artifact, Error, Result};
use cupola_metrics::ruler;
use cupola_task::{Answer, Columns, Contributions, Event, Flow, Run, Task, Unit};
use serde::Serialize;

/// Rows whose values are sampled at most, for each costs thousands of answers.
const ROWS_SAMPLED: usize = 40;
/// Points of a column's swarm.
const POINTS_MAX: usize = 400;

/// Why a model answers as it does.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The model's registry name.
    pub model: String,
    /// BLAKE3 of the model file.
    pub hash: String,
    /// The target.
    pub target: String,
    /// The class whose probability is explained; none for a number.
    pub class: Option<String>,
    /// What the rows are.
    pub source: String,
    /// How many rows were looked at.
    pub rows: usize,
    /// SHAP values over all rows.
    pub shap: Option<ShapSummary>,
    /// What a measure loses when a column is shuffled, where the truth is there.
    pub permutation: Option<Permutation>,
    /// How single columns act.
    pub columns: Vec<ColumnCurves>,
    /// How pairs of those act together, the strongest first.
    pub interactions: Vec<Interaction>,
    /// Pairs of columns that add most together; none where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shap_interactions: Option<ShapInteractions>,
    /// One row.
    pub row: Option<RowExplanation>,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// SHAP values over rows.
#[derive(Clone, Debug, Serialize)]
pub struct ShapSummary {
    /// How they were found.
    pub method: Method,
    /// The scale on which they add up.
    pub unit: Unit,
    /// The score of whom nothing is known.
    pub base: f64,
    /// How many rows.
    pub rows: usize,
    /// The mean standard error of a value, where they were sampled.
    pub error: Option<f64>,
    /// The columns, the most important first.
    pub columns: Vec<ColumnShap>,
}

/// What a column adds.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnShap {
    /// The raw column.
    pub column: String,
    /// The mean size of its values.
    pub mean_abs: f64,
    /// Some rows.
    pub points: Vec<ShapPoint>,
}

/// What a column added in one row.
#[derive(Clone, Debug, Serialize)]
pub struct ShapPoint {
    /// The column's value in the row.
    pub value: serde_json::Value,
    /// Where it stands among the column's numbers, 0 to 1; none for categories and missing values.
    pub rank: Option<f64>,
    /// What it added.
    pub shap: f64,
}

/// How a column acts.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnCurves {
    /// The raw column.
    pub column: String,
    /// Partial dependence, and some rows' own.
    pub dependence: Option<Dependence>,
    /// Accumulated local effect, for numbers and dates.
    pub ale: Option<Ale>,
}

/// The score with the column set to each place of a grid.
#[derive(Clone, Debug, Serialize)]
pub struct Dependence {
    /// The places.
    pub grid: Vec<serde_json::Value>,
    /// The places as positions on an axis; none for categories.
    #[serde(skip)]
    pub positions: Option<Vec<f64>>,
    /// The mean over rows.
    pub mean: Vec<f64>,
    /// Some rows' own (individual conditional expectation).
    pub ice: Vec<Vec<f64>>,
}

/// The accumulated local effect.
#[derive(Clone, Debug, Serialize)]
pub struct Ale {
    /// The ends of intervals; a date's in microseconds since 1970.
    pub edges: Vec<f64>,
    /// The effect at each.
    pub effect: Vec<f64>,
    /// How many rows lie in each interval.
    pub rows: Vec<u64>,
}

/// How two columns act together.
#[derive(Clone, Debug, Serialize)]
pub struct Interaction {
    /// The columns.
    pub columns: [String; 2],
    /// Friedman's H: which part of what both do is not the sum of what each does.
    pub h: f64,
    /// The size of that part as a share of the score's spread.
    pub share: f64,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct RowExplanation {
    /// Where it stands.
    pub place: String,
    /// What the model answers.
    pub answer: String,
    /// The probability of the explained class, or the number.
    pub score: f64,
    /// What is true, where that is there.
    pub truth: Option<String>,
    /// How the values were found.
    pub method: Method,
    /// Their scale.
    pub unit: Unit,
    /// The score of whom nothing is known, on that scale.
    pub base: f64,
    /// Base and all values: the model's score on that scale.
    pub sum: f64,
    /// What each column added, the largest first.
    pub parts: Vec<Part>,
    /// The row with what `set` changes.
    pub changed: Option<WhatIf>,
    /// What would lead to another answer.
    pub counterfactuals: Option<Vec<Counterfactual>>,
}

/// What a column added in a row.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The raw column.
    pub column: String,
    /// Its value.
    pub value: serde_json::Value,
    /// What it added.
    pub shap: f64,
    /// The standard error of that, where it was sampled.
    pub error: Option<f64>,
}

/// A row that was changed by hand.
#[derive(Clone, Debug, Serialize)]
pub struct WhatIf {
    /// Columns and what they are changed to.
    pub set: Vec<(String, serde_json::Value)>,
    /// What the model answers then.
    pub answer: String,
    /// The probability of the explained class, or the number.
    pub score: f64,
    /// What each column adds then.
    pub parts: Vec<Part>,
}

/// Explains a model on rows, as the plan asks. All SHAP interaction values of those rows go to `take`, where there is one.
///
/// # Errors
/// When a name of the plan is not there, or the model cannot be asked about the rows.
pub fn explain(artifact: &Artifact, given: &Given, plan: &ExplainPlan, take: Option<TakeValues<'_>>, run: &Run<'_>) -> Result<Explanation> {
    let inputs = &given.batch.inputs;
    let subject = subject(artifact, given, plan)?;
    check_columns(artifact, plan, inputs)?;
    let mut explanation = Explanation {
        model: subject.pipeline.model.name.to_owned(),
        hash: artifact.hash().to_owned(),
        target: subject.field.name.to_string(),
        class: subject.class_name().map(str::to_owned),
        source: given.source.clone(),
        rows: 1,
        shap: None,
        permutation: None,
        columns: vec![],
        interactions: vec![],
        shap_interactions: None,
        row: None,
        notes: given.warnings.clone(),
    };
    let background = inputs.take(&evenly(inputs.rows(), plan.count("background")));
    let asked = Asked { artifact, subject: &subject, plan, background: &background, run };
    match plan.row() {
        Some(row) => {
            stage(run, "row")?;
            explanation.row = Some(asked.row(given, row, &mut explanation.notes)?);
        }
        None => asked.all(given, &mut explanation)?,
    }
    let top = plan.count("shap_interactions");
    if top > 0 || take.is_some() {
        stage(run, "shap interactions")?;
        let looked = match plan.row() {
            Some(row) => given.only(row),
            None => given.take(plan.count("rows")),
        };
        explanation.shap_interactions = Some(shap_interactions(&subject, &looked, top, take, run)?);
    }
    Ok(explanation)
}

/// What an explanation is asked of, and with.
struct Asked<'a> {
    artifact: &'a Artifact,
    subject: &'a Subject<'a>,
    plan: &'a ExplainPlan,
    background: &'a Columns,
    run: &'a Run<'a>,
}

/// What the plan names; of a row and more than two classes the one that is answered, when none is named.
fn subject<'a>(artifact: &'a Artifact, given: &Given, plan: &ExplainPlan) -> Result<Subject<'a>> {
    let (inputs, class) = (&given.batch.inputs, plan.settings.text("class"));
    let subject = Subject::new(artifact, plan.settings.text("target"), class, inputs)?;
    let is_many = subject.field.kind.classes().is_some_and(|classes| classes.len() > 2);
    match plan.row().filter(|row| class.is_empty() && is_many && *row < given.rows()) {
        Some(row) => match subject.pipeline.answer(&inputs.take(&[row as u64]))? {
            Answer::Scores { classes, values } => Ok(subject.of_class(classes.choose(&values))),
            _ => Ok(subject),
        },
        None => Ok(subject),
    }
}

impl Asked<'_> {
    fn told(&self, inputs: &Columns) -> Result<Told> {
        told(self.subject, inputs, self.background, self.plan.method(), self.run.draw("explain"))
    }

    /// What is told of all rows.
    fn all(&self, given: &Given, explanation: &mut Explanation) -> Result<()> {
        let (plan, subject, inputs) = (self.plan, self.subject, &given.batch.inputs);
        let looked = given.take(plan.count("rows"));
        explanation.rows = looked.rows();
        stage(self.run, "shap")?;
        explanation.shap = Some(self.shap(&looked, &mut explanation.notes)?);
        stage(self.run, "importance")?;
        explanation.permutation = permutation(subject, &looked, plan, self.run)?;
        if explanation.permutation.is_none() && plan.count("n_repeats") > 0 {
            explanation.notes.push(format!("permutation importance needs the truth, and the rows have no column {}", explanation.target));
        }
        let columns = chosen(self.artifact, plan, explanation, inputs);
        stage(self.run, "curves")?;
        for (done, column) in columns.iter().enumerate() {
            explanation.columns.push(column_curves(subject, &looked, column, plan)?);
            let (done, total) = (done as u64 + 1, Some(columns.len() as u64));
            if self.run.tell(Event::Progress { done, total, unit: "columns".into(), score: None }) == Flow::Stop {
                return Err(cupola_task::Error::Interrupted.into());
            }
        }
        if plan.count("interactions") > 0 && columns.len() > 1 {
            stage(self.run, "interactions")?;
            let pairs = interactions(subject, &looked.batch.inputs, &columns, self.run)?;
            let pair = |(first, second, h, share)| Interaction { columns: [first, second], h, share };
            explanation.interactions = pairs.into_iter().take(plan.count("interactions")).map(pair).collect();
        }
        Ok(())
    }

    /// SHAP values of the rows, or, where they must be sampled, of some.
    fn shap(&self, looked: &Given, notes: &mut Vec<String>) -> Result<ShapSummary> {
        let one = looked.batch.inputs.take(&[0]);
        let is_sampled = self.plan.method() == Some(Method::Permutation) || self.subject.pipeline.explain(&one, None).is_none();
        let rows = looked.take(if is_sampled { ROWS_SAMPLED } else { usize::MAX });
        if is_sampled {
            let (model, rows) = (self.subject.pipeline.model.name, rows.rows());
            notes.push(format!("SHAP values of {model} were sampled, for {rows} rows; trees and linear models are explained exactly"));
        }
        Ok(summary(&self.told(&rows.batch.inputs)?, &rows.batch.inputs))
    }
}

/// Tells of a stage; an explanation that is stopped is none.
fn stage(run: &Run<'_>, name: &str) -> Result<()> {
    match run.tell(Event::Stage { name: name.into() }) {
        Flow::Stop => Err(cupola_task::Error::Interrupted.into()),
        Flow::Go => Ok(()),
    }
}

/// Every column that the plan names must be an input.
fn check_columns(artifact: &Artifact, plan: &ExplainPlan, inputs: &Columns) -> Result<()> {
    let known = scalars(artifact, inputs);
    let named =
        plan.settings.texts("columns").into_iter().chain(plan.settings.texts("fixed")).chain(plan.set.iter().map(|(name, _)| name.clone()));
    for name in named {
        if !known.contains(&name) {
            return Err(unknown("input", &name, known.iter().map(String::as_str)));
        }
    }
    Ok(())
}

/// The columns whose effect is drawn: those that are named, or those that SHAP or, without it, shuffling calls the most important.
fn chosen(artifact: &Artifact, plan: &ExplainPlan, explanation: &Explanation, inputs: &Columns) -> Vec<String> {
    let named = plan.settings.texts("columns");
    if !named.is_empty() {
        return named;
    }
    let known = scalars(artifact, inputs);
    let ranked: Vec<String> = match (&explanation.shap, &explanation.permutation) {
        (Some(shap), _) => shap.columns.iter().filter(|column| column.mean_abs > 0.0).map(|column| column.column.clone()).collect(),
        (None, Some(permutation)) => permutation.columns.iter().map(|column| column.column.clone()).collect(),
        (None, None) => known.clone(),
    };
    ranked.into_iter().filter(|name| known.contains(name)).take(plan.count("top")).collect()
}

fn summary(told: &Told, inputs: &Columns) -> ShapSummary {
    let (contributions, output) = (&told.contributions, told.output);
    let rows = contributions.rows();
    let column = |place: usize| {
        let name = &contributions.inputs[place];
        let array = inputs.get(name).and_then(|column| column.array());
        let ranks = array.and_then(numbers).map(|values| ranks(&values));
        let point = |row: u64| ShapPoint {
            value: value_of(inputs, name, row as usize),
            rank: ranks.as_ref().and_then(|ranks| ranks[row as usize]),
            shap: contributions.value(row as usize, place, output),
        };
        ColumnShap {
            column: name.to_string(),
            mean_abs: contributions.mean_size(place, output),
            points: evenly(rows, POINTS_MAX).into_iter().map(point).collect(),
        }
    };
    let mut columns: Vec<ColumnShap> = (0..contributions.inputs.len()).map(column).collect();
    columns.sort_by(|a, b| b.mean_abs.total_cmp(&a.mean_abs));
    let error = told.errors.as_ref().map(|errors| errors.iter().sum::<f64>() / errors.len().max(1) as f64);
    ShapSummary { method: told.method, unit: contributions.unit, base: contributions.base[output], rows, error, columns }
}

/// A cell as JSON; an image as the word for it.
fn value_of(columns: &Columns, name: &str, row: usize) -> serde_json::Value {
    match columns.get(name) {
        Some(column) if column.images().is_some() => "image".into(),
        _ => Cell::at(columns, name, row).unwrap_or(Cell::Missing).json(),
    }
}

/// Where each number stands among all, 0 to 1; equal ones at the same place.
fn ranks(values: &[f64]) -> Vec<Option<f64>> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1).max(1) as f64;
    let rank = |value: &f64| {
        let (from, to) = (sorted.partition_point(|other| other < value), sorted.partition_point(|other| other <= value));
        value.is_finite().then(|| (from + to.max(1) - 1) as f64 / 2.0 / last)
    };
    values.iter().map(rank).collect()
}

fn permutation(subject: &Subject<'_>, rows: &Given, plan: &ExplainPlan, run: &Run<'_>) -> Result<Option<Permutation>> {
    let repeats = plan.count("n_repeats") as u32;
    let Some(truth) = rows.batch.targets.get(&subject.field.name) else { return Ok(None) };
    // Rows without a truth measure nothing.
    let known: Vec<u64> = (0..truth.len())
        .filter(|&row| truth.array().is_some_and(|array| !arrow_array::Array::is_null(array, row)))
        .map(|row| row as u64)
        .collect();
    if repeats == 0 || known.is_empty() {
        return Ok(None);
    }
    let batch = rows.batch.take(&known);
    let weights: Option<Vec<f64>> = rows.weights.as_ref().map(|weights| known.iter().map(|&row| weights[row as usize]).collect());
    let view = batch.view(&subject.field.name, weights.as_deref());
    let shuffle = Shuffle { inputs: &batch.inputs, repeats, draw: run.draw("importance") };
    let found = importance(&subject.field, &ruler(main_measure(&subject.field, subject.task)), view, &shuffle, &|inputs| {
        subject.pipeline.answer(inputs)
    })?;
    Ok(Some(Permutation { side: rows.source.clone(), ..found }))
}

fn column_curves(subject: &Subject<'_>, rows: &Given, column: &str, plan: &ExplainPlan) -> Result<ColumnCurves> {
    let inputs = &rows.batch.inputs;
    let array = inputs.array(column)?;
    let grid = grid(array, plan.count("grid_resolution"), plan.percentiles().unwrap_or([0.05, 0.95]));
    let shown = evenly(rows.rows(), plan.count("ice"));
    let found = curves(subject, inputs, rows.weights.as_deref(), (column, grid), &shown)?;
    let dependence = found.map(|found| Dependence {
        positions: found.grid.iter().map(Cell::position).collect(),
        grid: found.grid.iter().map(Cell::json).collect(),
        mean: found.mean,
        ice: found.each,
    });
    let ale = ale::effect(subject, inputs, column, plan.count("grid_size"))?;
    let ale = ale.map(|ale| Ale { edges: ale.edges, effect: ale.effect, rows: ale.rows });
    Ok(ColumnCurves { column: column.to_owned(), dependence, ale })
}

impl Asked<'_> {
    /// What is told of one row.
    fn row(&self, given: &Given, row: usize, notes: &mut Vec<String>) -> Result<RowExplanation> {
        let (subject, plan) = (self.subject, self.plan);
        if row >= given.rows() {
            let text = format!("explain.row: found {}, wanted 1 to {}, as many as {} has", row + 1, given.rows(), given.source);
            return Err(Error::recipe("command line", text));
        }
        let own = given.batch.inputs.take(&[row as u64]);
        let told = self.told(&own)?;
        let answer = subject.pipeline.answer(&own)?;
        let truth = Cell::at(&given.batch.targets, &subject.field.name, row);
        let changed = if plan.set.is_empty() { None } else { Some(self.what_if(&own)?) };
        Ok(RowExplanation {
            place: given.places[row].clone(),
            answer: word(&answer, subject),
            score: score_of(&answer, subject.class)[0],
            truth: truth.filter(|truth| *truth != Cell::Missing).map(|truth| truth.text()),
            method: told.method,
            unit: told.contributions.unit,
            base: told.contributions.base[told.output],
            sum: told.contributions.score(0, told.output),
            parts: parts(&told.contributions, told.output, told.errors.as_deref(), &own),
            changed,
            counterfactuals: counterfactuals(self.artifact, subject, &own, &answer, plan, notes)?,
        })
    }

    /// The row with what the plan sets.
    fn what_if(&self, row: &Columns) -> Result<WhatIf> {
        // Texts are typed by the code that types the cells of a file.
        let mut changed = row.clone();
        for (name, text) in &self.plan.set {
            let cell: arrow_array::ArrayRef = std::sync::Arc::new(arrow_array::StringArray::from(vec![text.as_str()]));
            changed.insert(name.as_str().into(), cupola_task::Column::Array(cell));
        }
        let changed = self.artifact.conform(&changed, &|_| "the changed row".to_owned())?;
        let answer = self.subject.pipeline.answer(&changed)?;
        let told = self.told(&changed)?;
        let cell = |name: &String| value_of(&changed, name, 0);
        Ok(WhatIf {
            set: self.plan.set.iter().map(|(name, _)| (name.clone(), cell(name))).collect(),
            answer: word(&answer, self.subject),
            score: score_of(&answer, self.subject.class)[0],
            parts: parts(&told.contributions, told.output, told.errors.as_deref(), &changed),
        })
    }
}

/// What is answered, as a word.
fn word(answer: &Answer, subject: &Subject<'_>) -> String {
    match answer {
        Answer::Scores { classes, values } => classes[classes.choose(values)].to_string(),
        _ => super::cells::number(score_of(answer, subject.class)[0]),
    }
}

fn parts(contributions: &Contributions, output: usize, errors: Option<&[f64]>, row: &Columns) -> Vec<Part> {
    let part = |(place, name): (usize, &std::sync::Arc<str>)| Part {
        column: name.to_string(),
        value: value_of(row, name, 0),
        shap: contributions.value(0, place, output),
        error: errors.map(|errors| errors[place]),
    };
    let mut parts: Vec<Part> = contributions.inputs.iter().enumerate().map(part).collect();
    parts.sort_by(|a, b| b.shap.abs().total_cmp(&a.shap.abs()));
    parts
}

fn counterfactuals(
    artifact: &Artifact,
    subject: &Subject<'_>,
    row: &Columns,
    answer: &Answer,
    plan: &ExplainPlan,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<Counterfactual>>> {
    let (count, want) = (plan.count("counterfactuals"), plan.settings.text("want"));
    if count == 0 {
        return Ok(None);
    }
    let goal = match (subject.task, answer) {
        (Task::Regress, _) if want.is_empty() => {
            notes.push("no counterfactual was looked for: say what the answer is to be, as want=\">= 30\"".into());
            return Ok(None);
        }
        (Task::Regress, _) => Goal::Bound(plan.bound()?),
        (_, Answer::Scores { classes, values }) => {
            let own = classes.choose(values);
            match want {
                "" => Goal::Not(own),
                name => {
                    let class = classes.iter().position(|class| **class == *name);
                    let class = class.ok_or_else(|| unknown("class", name, classes.iter().map(|class| &**class)))?;
                    if class == own {
                        notes.push(format!("the answer is {name} already"));
                        return Ok(None);
                    }
                    Goal::Class(class)
                }
            }
        }
        _ => return Ok(None),
    };
    let Some(watched) = artifact.watched() else {
        notes.push("no counterfactual was looked for: the model file does not keep what its training rows looked like".into());
        return Ok(None);
    };
    let fixed = plan.settings.texts("fixed");
    let search = Search { subject, reference: &watched.reference, goal, fixed: &fixed, changes: plan.count("changes"), count };
    let found = search.find(row)?;
    if found.is_empty() {
        notes.push(format!("no change of at most {} columns within the training range leads to another answer", plan.count("changes")));
    }
    Ok(Some(found))
}
