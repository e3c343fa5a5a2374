//! A fitted preparation: the same code makes rows ready in training, in `predict` and in the server.

use super::settings::quoted;
use super::step::Step;
use super::target::TargetStep;
use crate::cells::Cells;
use cupola_task::{Column, Columns, Error, Field, Fitted, Kind, Parts, Predictions, Result, Role, Schema, Task, Trail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// The part that holds it.
const PART: &str = "prepare/table.json";
/// The version of that part.
const VERSION: u32 = 1;
/// From how many rows on columns are prepared in parallel.
const MANY_ROWS: usize = 2048;

/// A fitted preparation of tables.
#[derive(Clone, Debug)]
pub struct FittedTable {
    state: State,
    raw: Schema,
    schema: Schema,
    /// For each input the names of its prepared columns.
    outputs: Vec<Vec<Arc<str>>>,
}

/// What is saved. Schemas are not: they follow from the fields and the steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    version: u32,
    /// Whether all prepared inputs are finite numbers.
    pub dense: bool,
    /// The raw fields.
    pub fields: Vec<Field>,
    /// One for each input, in order.
    pub inputs: Vec<Step>,
    /// One for each target, in order.
    pub targets: Vec<TargetStep>,
}

impl State {
    pub fn new(dense: bool, fields: Vec<Field>, inputs: Vec<Step>, targets: Vec<TargetStep>) -> State {
        State { version: VERSION, dense, fields, inputs, targets }
    }

    fn is_sound(&mut self) -> bool {
        let names: HashSet<&Arc<str>> = self.fields.iter().map(|field| &field.name).collect();
        let are_unique = names.len() == self.fields.len();
        let of = |wanted: fn(&Role) -> bool| self.fields.iter().filter(move |field| wanted(&field.role)).map(|field| field.kind.clone());
        let inputs: Vec<Kind> = of(|role| *role == Role::Input).collect();
        let targets: Vec<Kind> = of(|role| matches!(role, Role::Target(_))).collect();
        let is_target = |step: &TargetStep, kind: &Kind| {
            matches!((step, kind), (TargetStep::Number, Kind::Number) | (TargetStep::Classes(_), Kind::Category { .. }))
        };
        are_unique
            && self.inputs.len() == inputs.len()
            && self.targets.len() == targets.len()
            && self.inputs.iter_mut().zip(&inputs).all(|(step, kind)| step.open(kind))
            && self.targets.iter_mut().zip(&targets).all(|(step, kind)| step.open() && is_target(step, kind))
            && (!self.dense || self.inputs.iter().all(Step::is_finite))
    }
}

/// Opens a preparation that [`Fitted::save`] saved. The bytes may be hostile.
///
/// # Errors
/// When the part is missing, not of this version, or not what a preparation saves.
pub fn open(parts: &Parts) -> Result<FittedTable> {
    let place = format!("model part {PART}");
    let bytes = parts.0.get(PART).ok_or_else(|| Error::input(&place, "nothing", "a saved preparation"))?;
    let mut state: State = serde_json::from_slice(bytes).map_err(|error| Error::input(&place, error, "a saved preparation"))?;
    if state.version != VERSION {
        return Err(Error::input(&place, format!("version {}", state.version), format!("version {VERSION}")));
    }
    match state.is_sound() {
        true => Ok(FittedTable::new(state)),
        false => Err(Error::input(&place, "steps that contradict each other", "a saved preparation")),
    }
}

impl FittedTable {
    pub(crate) fn new(state: State) -> FittedTable {
        let outputs = name_outputs(&state);
        FittedTable { raw: raw(&state), schema: prepared(&state, &outputs), outputs, state }
    }

    /// What is done to each column, as sentences for people: column, sentence.
    pub fn describe(&self) -> Vec<(Arc<str>, String)> {
        let inputs = self.raw.inputs().zip(&self.state.inputs).map(|(field, step)| (field.name.clone(), step.describe()));
        let targets = self.raw.targets().zip(&self.state.targets).map(|((field, _), step)| (field.name.clone(), step.describe()));
        inputs.chain(targets).collect()
    }

    /// What `auto` came to: dotted recipe keys and values as recipe text. Written into a recipe they lead to the same preparation.
    pub fn resolved(&self) -> Vec<(String, String)> {
        let of = |(field, step): (&Field, &Step)| {
            let table = quoted(&field.name);
            step.resolved().into_iter().map(move |(name, value)| (format!("inputs.{table}.{name}"), value.to_string())).collect::<Vec<_>>()
        };
        self.raw.inputs().zip(&self.state.inputs).flat_map(of).collect()
    }

    /// Human names of all that the model looks at, in order: a vector's elements one by one, as `column=class` or `column:word`.
    pub fn feature_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for ((outputs, step), field) in self.outputs.iter().zip(&self.state.inputs).zip(self.raw.inputs()) {
            let separator = if field.kind == Kind::Text { ':' } else { '=' };
            for (output, (_, kind)) in outputs.iter().zip(step.outputs()) {
                match kind {
                    Kind::Vector { .. } => {
                        names.extend(step.elements().iter().map(|element| format!("{}{separator}{element}", field.name)))
                    }
                    _ => names.push(output.to_string()),
                }
            }
        }
        names
    }

    pub(crate) fn targets(&self) -> &[TargetStep] {
        &self.state.targets
    }

    /// Refuses a class of a target that was not there when it was fitted.
    pub(crate) fn knows_targets(&self, raw: &Columns) -> Result<()> {
        for ((field, _), step) in self.raw.targets().zip(&self.state.targets) {
            let TargetStep::Classes(classes) = step else { continue };
            let column = raw.get(&field.name).ok_or_else(|| missing(raw, field))?;
            if let Cells::Texts(array) = Cells::open(field, column)?
                && let Some((class, _)) = array.iter().zip(classes.codes_of(array)).find(|(class, code)| class.is_some() && code.is_none())
            {
                let names = classes.names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
                let wanted = format!("{names}, as the model to begin from knows them");
                let error = Error::input(format!("target {}", field.name), format!("class {}", class.unwrap_or_default()), wanted);
                return Err(error.with_hint("leave init_model out, and a model is trained anew"));
            }
        }
        Ok(())
    }

    /// Prepared inputs, one after another; `prepare` gives the columns of one.
    pub(crate) fn inputs<'r>(
        &'r self,
        raw: &'r Columns,
        prepare: impl Fn(&Step, Cells<'r>, &str) -> Result<Vec<Column>> + Sync,
    ) -> Result<Vec<(Arc<str>, Column)>> {
        let fields: Vec<&Field> = self.raw.inputs().collect();
        let one = |place: usize| -> Result<Vec<Column>> {
            let column = raw.get(&fields[place].name).ok_or_else(|| missing(raw, fields[place]))?;
            prepare(&self.state.inputs[place], Cells::open(fields[place], column)?, &fields[place].name)
        };
        let prepared: Vec<Vec<Column>> = match raw.rows() {
            0..MANY_ROWS => (0..fields.len()).map(one).collect::<Result<_>>()?,
            _ => (0..fields.len()).into_par_iter().map(one).collect::<Result<_>>()?,
        };
        Ok(self.outputs.iter().zip(prepared).flat_map(|(names, columns)| names.iter().cloned().zip(columns)).collect())
    }

    /// Prepared targets and keys, those that are there.
    pub(crate) fn others(&self, raw: &Columns) -> Result<Vec<(Arc<str>, Column)>> {
        let mut others = Vec::new();
        for ((field, _), step) in self.raw.targets().zip(&self.state.targets) {
            if let Some(column) = raw.get(&field.name) {
                let cells = Cells::open(field, column)?;
                others.push((field.name.clone(), Column::Array(step.apply(cells, raw.array(&field.name)?))));
            }
        }
        let keys = self.raw.fields.iter().filter(|field| matches!(field.role, Role::Key(_)));
        others.extend(keys.filter_map(|field| Some((field.name.clone(), raw.get(&field.name)?.clone()))));
        Ok(others)
    }
}

impl Fitted for FittedTable {
    fn raw(&self) -> &Schema {
        &self.raw
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)> {
        let mut columns = self.inputs(raw, Step::apply)?;
        columns.extend(self.others(raw)?);
        Ok((Columns::new(columns), Trail::default()))
    }

    fn restore(&self, answers: Predictions, trail: &Trail) -> Result<Predictions> {
        match trail.row_of.is_empty() {
            true => Ok(answers),
            false => Err(Error::input("trail", "rows that were divided", "the trail of a table, whose rows stay whole")),
        }
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        let bytes = serde_json::to_vec(&self.state).map_err(|error| Error::input("preparation", error, "numbers that JSON can hold"))?;
        parts.0.insert(PART.to_owned(), bytes);
        Ok(())
    }
}

fn missing(raw: &Columns, field: &Field) -> Error {
    let error = Error::input("columns", format!("no column {}", field.name), format!("a column {} ({})", field.name, field.kind.word()));
    match cupola_task::nearest(&field.name, raw.names()) {
        Some(near) => error.with_hint(format!("is it {near}?")),
        None => error,
    }
}

/// Unique names for all prepared columns. Raw names of targets and keys are taken; a raw input keeps its own.
fn name_outputs(state: &State) -> Vec<Vec<Arc<str>>> {
    let mut taken: HashSet<Arc<str>> = state.fields.iter().map(|field| field.name.clone()).collect();
    let mut unique = |mut name: String| -> Arc<str> {
        while !taken.insert(name.as_str().into()) {
            name.push('\'');
        }
        name.into()
    };
    let fields = state.fields.iter().filter(|field| field.role == Role::Input);
    fields
        .zip(&state.inputs)
        .map(|(field, step)| {
            let name = |(suffix, _): (String, Kind)| match suffix.as_str() {
                "" => field.name.clone(),
                _ => unique(format!("{}{suffix}", field.name)),
            };
            step.outputs().into_iter().map(name).collect()
        })
        .collect()
}

fn raw(state: &State) -> Schema {
    let mut steps = state.inputs.iter();
    let mut targets = state.targets.iter();
    let seen = |field: &Field| {
        let kind = match field.role {
            Role::Input => steps.next().and_then(Step::seen).map(|classes| Kind::Category { classes }),
            Role::Target(_) => targets.next().map(TargetStep::kind),
            Role::Key(_) | Role::Ignored => None,
        };
        Field { kind: kind.unwrap_or_else(|| field.kind.clone()), ..field.clone() }
    };
    Schema { fields: state.fields.iter().map(seen).collect() }
}

fn prepared(state: &State, outputs: &[Vec<Arc<str>>]) -> Schema {
    let kinds = state.inputs.iter().flat_map(Step::outputs).map(|(_, kind)| kind);
    let inputs = outputs.iter().flatten().zip(kinds).map(|(name, kind)| Field { name: name.clone(), kind, role: Role::Input });
    let of = |field: &Field, task: Task, step: &TargetStep| Field { name: field.name.clone(), kind: step.kind(), role: Role::Target(task) };
    let fields = Schema { fields: state.fields.clone() };
    let targets = fields.targets().zip(&state.targets).map(|((field, task), step)| of(field, task, step));
    let keys = state.fields.iter().filter(|field| matches!(field.role, Role::Key(_))).cloned();
    Schema { fields: inputs.chain(targets).chain(keys).collect() }
}
