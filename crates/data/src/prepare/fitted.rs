//! A fitted preparation: the same code makes rows ready in training, in `predict` and in the server.

use super::choice::{Missing, quoted};
use super::differences::{self, Difference};
use super::forward::Order;
use super::impute::Imputer;
use super::notes::Note;
use super::numbers::{self, Filled, is_of};
use super::products::Products;
use super::select::{self, Selection};
use super::step::Step;
use super::target::TargetStep;
use crate::cells::Cells;
use cupola_task::{Column, Columns, Error, Field, Fitted, Kind, Parts, Predictions, Result, Role, Schema, Task, Trail};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
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
    /// What its prepared columns are called.
    names: Names,
    /// What it has to tell about the rows that it learned from; not saved.
    notes: Vec<Note>,
}

/// Unique names of prepared columns.
#[derive(Clone, Debug)]
struct Names {
    /// For each input those of its step.
    outputs: Vec<Vec<Arc<str>>>,
    /// Of the days between dates.
    differences: Vec<Arc<str>>,
    /// Of the products of prepared numbers, where there are some.
    products: Arc<str>,
}

/// What is saved. Schemas are not: they follow from the fields and the steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub version: u32,
    /// Whether all prepared inputs are finite numbers.
    pub dense: bool,
    /// The raw fields.
    pub fields: Vec<Field>,
    /// One for each input, in order.
    pub inputs: Vec<Step>,
    /// One for each target, in order.
    pub targets: Vec<TargetStep>,
    /// Fill numbers by other numbers, before the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imputers: Vec<Imputer>,
    /// The days between dates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
    /// Multiplies prepared numbers, after the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub products: Option<Products>,
    /// Leaves out columns and elements, at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<Selection>,
}

impl State {
    pub fn new(dense: bool, fields: Vec<Field>, inputs: Vec<Step>, targets: Vec<TargetStep>) -> State {
        State { version: VERSION, dense, fields, inputs, targets, imputers: vec![], differences: vec![], products: None, selection: None }
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
            && self.imputers.iter_mut().all(|imputer| {
                let is_number = |place: &usize| matches!(self.inputs.get(*place), Some(Step::Number(_)));
                imputer.inputs.iter().all(is_number) && imputer.open()
            })
            && self.differences.iter_mut().all(|difference| difference.open(&inputs))
            && (!self.dense || self.differences.iter().all(Difference::is_finite))
            && self.products.as_mut().is_none_or(Products::open)
            && self.is_combined()
    }

    /// Whether products and selection are of columns that the steps give.
    fn is_combined(&self) -> bool {
        let columns = columns(self, &Names::of(self));
        let is_number = |name: &Arc<str>| columns.iter().any(|(known, kind)| known == name && *kind == Kind::Number);
        let kinds: Vec<&Kind> = columns.iter().map(|(_, kind)| kind).collect();
        self.products.as_ref().is_none_or(|products| products.columns.iter().all(is_number) && !products.names().is_empty())
            && self.selection.as_ref().is_none_or(|selection| selection.is_sound(&kinds))
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
        let names = Names::of(&state);
        FittedTable { raw: raw(&state), schema: prepared(&state, &names), names, state, notes: vec![] }
    }

    /// What it has to tell about the rows that it learned from; nothing once it was opened.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Gives it what it has to tell, beside what its steps met.
    pub(crate) fn with_notes(mut self, mut notes: Vec<Note>) -> FittedTable {
        let told = |(field, step): (&Field, &Step)| Some(Note::said(format!("column {}: {}", field.name, step.told()?)));
        notes.extend(self.raw.inputs().zip(&self.state.inputs).filter_map(told));
        self.notes = notes;
        self
    }

    /// What is done to each column, as sentences for people: column, sentence.
    pub fn describe(&self) -> Vec<(Arc<str>, String)> {
        let fields: Vec<&Field> = self.raw.inputs().collect();
        let since = |field: &Field| {
            let own = self.state.differences.iter().filter(|difference| fields[difference.to].name == field.name);
            own.map(|difference| format!("; the days since {}", fields[difference.from].name)).collect::<String>()
        };
        let how = |(field, step): (&Field, &Step)| {
            let imputer = self.state.imputers.iter().find(|imputer| is_of(step, imputer.missing()));
            let by = imputer.map_or(String::new(), |imputer| format!(" ({})", imputer.describe()));
            (field.name.clone(), format!("{}{by}{}{}", step.describe(), since(field), self.left_out(field)))
        };
        let inputs = self.raw.inputs().zip(&self.state.inputs).map(how);
        let targets = self.raw.targets().zip(&self.state.targets).map(|((field, _), step)| (field.name.clone(), step.describe()));
        inputs.chain(targets).collect()
    }

    /// How many features of an input the selection has left out, as a sentence's end.
    fn left_out(&self, field: &Field) -> String {
        let Some(selection) = &self.state.selection else { return String::new() };
        let mut place = 0;
        for (outputs, (input, step)) in self.names.outputs.iter().zip(self.raw.inputs().zip(&self.state.inputs)) {
            if input.name == field.name {
                let of = step.outputs();
                let all: usize = of.iter().map(|(_, kind)| select::features(kind)).sum();
                let kept = of.iter().zip(&selection.kept[place..]);
                let kept: usize = kept.map(|((_, kind), kept)| kept.as_ref().map_or(select::features(kind), Vec::len)).sum();
                return match kept {
                    kept if kept == all => String::new(),
                    0 => format!("; left out by select={}", selection.word()),
                    kept => format!("; {kept} of {all} features kept by select={}", selection.word()),
                };
            }
            place += outputs.len();
        }
        String::new()
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
        let all = self.features();
        let kept = |(place, names): (usize, Vec<String>)| {
            let kept = self.state.selection.as_ref().and_then(|selection| selection.kept[place].clone());
            kept.map_or(names.clone(), |kept| kept.iter().map(|&element| names[element].clone()).collect())
        };
        all.into_iter().enumerate().flat_map(kept).collect()
    }

    /// The names of all features of all prepared columns, before any is left out.
    pub(crate) fn features(&self) -> Vec<Vec<String>> {
        let mut names = Vec::new();
        for ((outputs, step), field) in self.names.outputs.iter().zip(&self.state.inputs).zip(self.raw.inputs()) {
            let separator = if field.kind == Kind::Text { ':' } else { '=' };
            for (output, (_, kind)) in outputs.iter().zip(step.outputs()) {
                names.push(match kind {
                    Kind::Vector { .. } => step.elements().iter().map(|element| format!("{}{separator}{element}", field.name)).collect(),
                    _ => vec![output.to_string()],
                });
            }
        }
        names.extend(self.names.differences.iter().map(|name| vec![name.to_string()]));
        names.extend(self.state.products.iter().map(|products| products.names().iter().map(ToString::to_string).collect()));
        names
    }

    /// Names and kinds of all prepared columns, before any is left out.
    pub(crate) fn columns(&self) -> Vec<(Arc<str>, Kind)> {
        columns(&self.state, &self.names)
    }

    /// The prepared numbers of inputs, but for marks of missing cells and outliers.
    pub(crate) fn numbers(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        for ((outputs, step), field) in self.names.outputs.iter().zip(&self.state.inputs).zip(self.raw.inputs()) {
            let is_mark = |suffix: &str| matches!(suffix, ".missing" | ".outlier");
            let numbers = outputs.iter().zip(step.outputs()).filter(|(_, (suffix, kind))| *kind == Kind::Number && !is_mark(suffix));
            names.extend(numbers.filter(|_| is_wanted(&field.name)).map(|(name, _)| name.clone()));
        }
        let fields: Vec<&Field> = self.raw.inputs().collect();
        let are_wanted = |difference: &Difference| is_wanted(&fields[difference.from].name) && is_wanted(&fields[difference.to].name);
        let differences = self.state.differences.iter().zip(&self.names.differences);
        names.extend(differences.filter(|(difference, _)| are_wanted(difference)).map(|(_, name)| name.clone()));
        names
    }

    /// The same preparation with products of its numbers.
    pub(crate) fn with_products(self, products: Option<Products>) -> FittedTable {
        FittedTable { notes: self.notes, ..FittedTable::new(State { products, ..self.state }) }
    }

    /// The same preparation with what leaves out some of its features, and a word about it.
    pub(crate) fn with_selection(self, selection: Selection, note: Note) -> FittedTable {
        let notes = self.notes.into_iter().chain([note]).collect();
        FittedTable { notes, ..FittedTable::new(State { selection: Some(selection), ..self.state }) }
    }

    pub(crate) fn targets(&self) -> &[TargetStep] {
        &self.state.targets
    }

    /// Refuses a class of a target that was not there when it was fitted.
    pub(crate) fn knows_targets(&self, raw: &Columns) -> Result<()> {
        for ((field, _), step) in self.raw.targets().zip(&self.state.targets) {
            let TargetStep::Classes(classes) = step else { continue };
            if let Cells::Texts(array) = cells(field, raw)?
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

    /// Prepared columns with products, and without what the selection leaves out.
    pub(crate) fn combined(&self, mut columns: Vec<(Arc<str>, Column)>) -> Vec<(Arc<str>, Column)> {
        if let Some(products) = &self.state.products {
            let product = products.apply(|name| columns.iter().find(|(known, _)| **known == *name).map(|(_, column)| column));
            columns.push((self.names.products.clone(), Column::Array(product)));
        }
        let Some(selection) = &self.state.selection else { return columns };
        let kept = columns.into_iter().enumerate().map(|(place, (name, column))| Some((name, selection.apply(place, column)?)));
        kept.flatten().collect()
    }

    /// The numbers of columns whose missing cells other columns fill, one a place among the inputs. Those that the rows before fill are among
    /// them for training rows alone: `schema` is theirs.
    pub(crate) fn filled(&self, raw: &Columns, schema: Option<&Schema>) -> Result<Filled> {
        let fields: Vec<&Field> = self.raw.inputs().collect();
        let numbers = |place: usize| Ok(cells(fields[place], raw)?.numbers().unwrap_or_default());
        let mut filled = numbers::filled(&self.state.imputers, &self.state.inputs, numbers)?;
        let Some(schema) = schema else { return Ok(filled) };
        let forward: Vec<usize> = (0..fields.len()).filter(|&place| is_of(&self.state.inputs[place], Missing::Forward)).collect();
        if !forward.is_empty() {
            let order = Order::of(schema, raw)?;
            for place in forward {
                filled[place] = Some(order.fill(&numbers::clipped(&self.state.inputs[place], numbers(place)?)));
            }
        }
        Ok(filled)
    }

    /// Prepared inputs, one after another; `prepare` gives the columns of one, and `filled` the numbers that other cells fill.
    pub(crate) fn inputs<'r>(
        &'r self,
        raw: &'r Columns,
        filled: &Filled,
        prepare: impl Fn(&Step, Cells<'r>, Option<&[f64]>, &str) -> Result<Vec<Column>> + Sync,
    ) -> Result<Vec<(Arc<str>, Column)>> {
        let fields: Vec<&Field> = self.raw.inputs().collect();
        let one = |place: usize| -> Result<Vec<Column>> {
            prepare(&self.state.inputs[place], cells(fields[place], raw)?, filled[place].as_deref(), &fields[place].name)
        };
        // The first error counts, in order of columns.
        let prepared: Vec<Result<Vec<Column>>> = match raw.rows() {
            0..MANY_ROWS => (0..fields.len()).map(one).collect(),
            _ => (0..fields.len()).into_par_iter().map(one).collect(),
        };
        let prepared: Vec<Vec<Column>> = prepared.into_iter().collect::<Result<_>>()?;
        let mut columns: Vec<(Arc<str>, Column)> =
            self.names.outputs.iter().zip(prepared).flat_map(|(names, columns)| names.iter().cloned().zip(columns)).collect();
        for (difference, name) in self.state.differences.iter().zip(&self.names.differences) {
            let dates = [difference.from, difference.to].map(|place| differences::date(fields[place], raw));
            let [from, to] = dates;
            columns.push((name.clone(), Column::Array(difference.apply(from?, to?))));
        }
        Ok(columns)
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

    fn sources(&self) -> Vec<Vec<usize>> {
        let steps = self.names.outputs.iter().enumerate().flat_map(|(input, names)| names.iter().map(move |_| vec![input]));
        let mut sources: Vec<Vec<usize>> = steps.collect();
        sources.extend(self.state.differences.iter().map(|difference| vec![difference.from, difference.to]));
        if let Some(products) = &self.state.products {
            let names: Vec<&Arc<str>> = self.names.outputs.iter().flatten().chain(&self.names.differences).collect();
            let places = products.columns.iter().filter_map(|name| names.iter().position(|known| *known == name));
            let of: BTreeSet<usize> = places.flat_map(|place| sources[place].clone()).collect();
            sources.push(of.into_iter().collect());
        }
        let kinds = self.columns().into_iter().map(|(_, kind)| kind).enumerate();
        let is_kept = |(place, kind): (usize, Kind)| self.state.selection.as_ref().is_none_or(|own| own.kind(place, &kind).is_some());
        sources.into_iter().zip(kinds.map(is_kept)).filter_map(|(sources, is_kept)| is_kept.then_some(sources)).collect()
    }

    fn apply(&self, raw: &Columns) -> Result<(Columns, Trail)> {
        let mut columns = self.combined(self.inputs(raw, &self.filled(raw, None)?, Step::apply)?);
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

/// The raw cells of a column.
fn cells<'r>(field: &Field, raw: &'r Columns) -> Result<Cells<'r>> {
    Cells::open(field, raw.get(&field.name).ok_or_else(|| missing(raw, field))?)
}

fn missing(raw: &Columns, field: &Field) -> Error {
    let error = Error::input("columns", format!("no column {}", field.name), format!("a column {} ({})", field.name, field.kind.word()));
    match cupola_task::nearest(&field.name, raw.names()) {
        Some(near) => error.with_hint(format!("is it {near}?")),
        None => error,
    }
}

impl Names {
    /// Raw names of targets and keys are taken; a raw input keeps its own.
    fn of(state: &State) -> Names {
        let mut taken: HashSet<Arc<str>> = state.fields.iter().map(|field| field.name.clone()).collect();
        let mut unique = |mut name: String| -> Arc<str> {
            while !taken.insert(name.as_str().into()) {
                name.push('\'');
            }
            name.into()
        };
        let fields: Vec<&Field> = state.fields.iter().filter(|field| field.role == Role::Input).collect();
        let mut of = |(field, step): (&&Field, &Step)| {
            let name = |(suffix, _): (String, Kind)| match suffix.as_str() {
                "" => field.name.clone(),
                _ => unique(format!("{}{suffix}", field.name)),
            };
            step.outputs().into_iter().map(name).collect()
        };
        let outputs = fields.iter().zip(&state.inputs).map(&mut of).collect();
        let between = |difference: &Difference| differences::name(&fields[difference.from].name, &fields[difference.to].name);
        let differences = state.differences.iter().map(|difference| unique(between(difference))).collect();
        Names { outputs, differences, products: unique("products".to_owned()) }
    }
}

/// Names and kinds of all prepared columns, before any is left out.
fn columns(state: &State, names: &Names) -> Vec<(Arc<str>, Kind)> {
    let kinds = state.inputs.iter().flat_map(Step::outputs).map(|(_, kind)| kind);
    let steps = names.outputs.iter().flatten().cloned().zip(kinds);
    let differences = names.differences.iter().map(|name| (name.clone(), Kind::Number));
    let product = state.products.iter().map(|own| (names.products.clone(), Kind::Vector { width: own.names().len() }));
    steps.chain(differences).chain(product).collect()
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

fn prepared(state: &State, names: &Names) -> Schema {
    let left = |(place, (name, kind)): (usize, (Arc<str>, Kind))| {
        let kind = state.selection.as_ref().map_or(Some(kind.clone()), |selection| selection.kind(place, &kind))?;
        Some(Field { name, kind, role: Role::Input })
    };
    let inputs = columns(state, names).into_iter().enumerate().filter_map(left);
    let of = |field: &Field, task: Task, step: &TargetStep| Field { name: field.name.clone(), kind: step.kind(), role: Role::Target(task) };
    let fields = Schema { fields: state.fields.clone() };
    let targets = fields.targets().zip(&state.targets).map(|((field, task), step)| of(field, task, step));
    let keys = state.fields.iter().filter(|field| matches!(field.role, Role::Key(_))).cloned();
    Schema { fields: inputs.chain(targets).chain(keys).collect() }
}
