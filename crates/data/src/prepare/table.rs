//! Learning a preparation from the rows that teach, and from no others.

use super::balance;
use super::choice::{Choice, Select};
use super::differences;
use super::fitted::{FittedTable, State};
use super::means::{Truth, folds};
use super::notes::Note;
use super::numbers::{self, Filled, Numbers};
use super::products::Products;
use super::rows;
use super::select::{self, Aim, Scored, Selection};
use super::step::Step;
use super::target::TargetStep;
use crate::cells::Cells;
use cupola_task::{
    Column, Columns, Dataset, Draw, Error, Field, Fitted, Kind, Needs, Preparation, Result, Role, Run, Schema, Settings, Table, Task,
    TrainSplit, nearest,
};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Prepared columns under their names.
type Named = Vec<(Arc<str>, Column)>;

/// How a table is to be prepared: `[data.clean]`, `[inputs.NAME]`, `[outputs.NAME]`, and what the model needs.
#[derive(Clone, Debug)]
pub struct TablePreparation {
    /// What `auto` follows.
    pub needs: Needs,
    /// Checked against a list that holds [`SETTINGS`](super::SETTINGS).
    pub table: Settings,
    /// By input, checked against a list that holds [`COLUMN_SETTINGS`](super::COLUMN_SETTINGS).
    pub columns: BTreeMap<String, Settings>,
    /// By target, the class that counts as positive.
    pub positive: BTreeMap<String, String>,
}

impl TablePreparation {
    /// Learns, and gives the training rows as the model is to see them. `draw` deals the folds of target means.
    ///
    /// # Errors
    /// When a setting does not suit its column or names none, a target has nothing to learn, no input is left, or a
    /// column is not of its kind.
    pub fn fit_table(&self, train: &TrainSplit, draw: Draw) -> Result<(FittedTable, TrainSplit)> {
        let schema = train.data().schema();
        self.check_names(schema)?;
        let mut notes = Vec::new();
        let raw = self.rows(schema, raw(train)?, &mut notes)?;
        let targets = self.targets(schema, &raw)?;
        let truth = truth(schema, &targets, &raw)?;
        let n_neighbors = self.table.integer("n_neighbors").unsigned_abs() as usize;
        let (mut numbers, imputers) = numbers::fit(schema, &raw, |field| self.choice(field), n_neighbors, draw)?;
        let inputs = self.inputs(schema, &raw, &numbers, truth.as_ref())?;
        let filled: Filled = (0..inputs.len()).map(|place| numbers.get_mut(&place)?.filled.take()).collect();
        let fields = schema.fields.iter().map(without_classes).collect();
        let differences = match self.table.flag("differences") && self.needs != Needs::Nothing {
            true => differences::fit(schema, &raw, |name| Choice::new(&name, self.needs, &self.table, None))?,
            false => vec![],
        };
        let state = State { imputers, differences, ..State::new(self.needs == Needs::Dense, fields, inputs, targets) };
        let fitted = FittedTable::new(state).with_notes(notes);
        let columns = training_inputs(&fitted, &raw, &filled, truth.as_ref(), draw)?;
        let (fitted, columns) = self.combine(fitted, columns, truth.as_ref(), draw)?;
        if fitted.schema().inputs().next().is_none() {
            let found = "no column that tells rows apart";
            return Err(Error::input("inputs", found, "at least one column to learn from"));
        }
        let table = self.train_table(&fitted, columns, &raw, draw)?;
        let prepared = train.map(|_| Ok(Arc::new(table) as Arc<dyn Dataset>))?;
        Ok((fitted, prepared))
    }

    /// Makes training rows ready with a preparation that other rows have taught, for a model that goes on learning.
    ///
    /// # Errors
    /// When the rows have other columns than those that it was taught with, or a class of the target that it does not know.
    pub fn with_fitted(&self, fitted: &FittedTable, train: &TrainSplit, draw: Draw) -> Result<TrainSplit> {
        let schema = train.data().schema();
        self.check_names(schema)?;
        let raw = self.rows(schema, raw(train)?, &mut vec![])?;
        let known = |schema: &Schema| -> BTreeMap<Arc<str>, &'static str> {
            let wanted = schema.fields.iter().filter(|field| matches!(field.role, Role::Input | Role::Target(_)));
            wanted.map(|field| (field.name.clone(), field.kind.word())).collect()
        };
        let (found, wanted) = (known(schema), known(fitted.raw()));
        if let Some(name) = found.keys().chain(wanted.keys()).find(|name| found.get(*name) != wanted.get(*name)) {
            let word = |columns: &BTreeMap<Arc<str>, &'static str>| columns.get(name).copied().unwrap_or("no such column");
            let error =
                Error::input(format!("column {name}"), word(&found), format!("{}, as the model to begin from has it", word(&wanted)));
            return Err(error.with_hint("leave init_model out, and a model is trained anew"));
        }
        fitted.knows_targets(&raw)?;
        let truth = truth(schema, fitted.targets(), &raw)?;
        let filled = fitted.filled(&raw, Some(schema))?;
        let columns = fitted.combined(training_inputs(fitted, &raw, &filled, truth.as_ref(), draw)?);
        let table = self.train_table(fitted, columns, &raw, draw)?;
        train.map(|_| Ok(Arc::new(table) as Arc<dyn Dataset>))
    }

    fn check_names(&self, schema: &Schema) -> Result<()> {
        let refuse = |table: &str, name: &str, wanted: &str| {
            let error = Error::setting(format!("{table}.{name}"), "an unknown column", wanted);
            match nearest(name, schema.names()) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            }
        };
        if let Some(name) = self.columns.keys().find(|name| schema.field(name).is_none()) {
            return Err(refuse("inputs", name, "a column of the table"));
        }
        let is_target = |name: &str| schema.targets().any(|(field, _)| *field.name == *name);
        match self.positive.keys().find(|name| !is_target(name)) {
            Some(name) => Err(refuse("outputs", name, "a target")),
            None => Ok(()),
        }
    }

    fn targets(&self, schema: &Schema, raw: &Columns) -> Result<Vec<TargetStep>> {
        let fit = |(field, task): (&Field, Task)| {
            let column = raw.get(&field.name).expect("a table has all columns of its schema");
            TargetStep::fit(field, task, Cells::open(field, column)?, self.positive.get(&*field.name).map(String::as_str))
        };
        schema.targets().map(fit).collect()
    }

    fn inputs(&self, schema: &Schema, raw: &Columns, numbers: &BTreeMap<usize, Numbers>, truth: Option<&Truth>) -> Result<Vec<Step>> {
        let fields: Vec<(usize, &Field)> = schema.inputs().enumerate().collect();
        let fit = |(place, field): &(usize, &Field)| {
            let column = raw.get(&field.name).expect("a table has all columns of its schema");
            Step::fit(&field.kind, Cells::open(field, column)?, numbers.get(place), truth, &self.choice(field))
        };
        // The first error counts, in order of columns.
        let fitted: Vec<Result<_>> = fields.par_iter().map(fit).collect();
        fitted.into_iter().collect()
    }

    fn choice(&self, field: &Field) -> Choice {
        Choice::new(&field.name, self.needs, &self.table, self.columns.get(&*field.name))
    }

    /// The training rows without those that the recipe leaves out, with a word about each kind of them.
    fn rows(&self, schema: &Schema, raw: Columns, notes: &mut Vec<Note>) -> Result<Columns> {
        let raw = self.without_conflicts(schema, raw, notes)?;
        let left = rows::without_outliers(schema, &raw, |field| self.choice(field), notes)?;
        Ok(left.map_or_else(|| raw.clone(), |rows| raw.take(&rows)))
    }

    fn without_conflicts(&self, schema: &Schema, raw: Columns, notes: &mut Vec<Note>) -> Result<Columns> {
        if self.table.text("conflicts") != "drop" {
            return Ok(raw);
        }
        let Some((target, _)) = schema.targets().find(|(_, task)| *task == Task::Classify) else {
            let error = Error::setting("data.clean.conflicts", "drop", "keep, for no target has classes");
            return Err(error.with_hint("leave it out"));
        };
        let conflicts = rows::conflicts(schema, &raw, target)?;
        let Some(sentence) = conflicts.sentence(&target.name, raw.rows()) else { return Ok(raw) };
        notes.push(Note::warning(format!("{sentence}; they are left out (conflicts=drop)")));
        let mut is_kept = vec![true; raw.rows()];
        conflicts.rows.iter().for_each(|&row| is_kept[row] = false);
        Ok(raw.take(&(0..raw.rows() as u64).filter(|row| is_kept[*row as usize]).collect::<Vec<_>>()))
    }

    /// What combines prepared columns, and the training rows' columns after it.
    fn combine(&self, fitted: FittedTable, columns: Named, truth: Option<&Truth>, draw: Draw) -> Result<(FittedTable, Named)> {
        if self.needs == Needs::Nothing {
            return Ok((fitted, columns));
        }
        let products = self.products(&fitted)?;
        let fitted = fitted.with_products(products);
        let columns = fitted.combined(columns);
        let method = Select::open(self.table.text("select")).unwrap_or(Select::None);
        if method == Select::None {
            return Ok((fitted, columns));
        }
        let ask = select::Ask {
            method,
            k: self.table.integer("k").unsigned_abs() as usize,
            threshold: self.table.real("variance_threshold"),
            draw: draw.stream("select"),
        };
        let Some(aim) = aim(fitted.targets(), truth) else {
            let error = Error::setting("data.clean.select", method.word(), "none, for there is no target");
            return Err(error.with_hint("leave it out"));
        };
        let typed: Vec<(Arc<str>, Kind, Column)> =
            fitted.columns().into_iter().zip(columns).map(|((name, kind), (_, column))| (name, kind, column)).collect();
        let (selection, scored) = Selection::fit(&typed, &aim, &ask)?;
        let note = chosen(&fitted.features(), &selection, &scored);
        let left = |(place, (name, _, column)): (usize, (Arc<str>, Kind, Column))| Some((name, selection.apply(place, column)?));
        let columns = typed.into_iter().enumerate().filter_map(left).collect();
        let fitted = fitted.with_selection(selection, note);
        Ok((fitted, columns))
    }

    fn products(&self, fitted: &FittedTable) -> Result<Option<Products>> {
        let degree = self.table.integer("degree").unsigned_abs() as usize;
        if degree < 2 {
            return Ok(None);
        }
        let named = self.table.texts("interact");
        if let Some(name) = named.iter().find(|name| fitted.raw().inputs().all(|field| *field.name != **name)) {
            let error = Error::setting("data.clean.interact", name, "columns that the model looks at");
            return Err(match nearest(name, fitted.raw().inputs().map(|field| &*field.name)) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            });
        }
        let is_wanted = |name: &str| named.is_empty() || named.iter().any(|known| known == name);
        Products::new(fitted.numbers(is_wanted), degree, self.table.flag("interaction_only"))
    }

    /// The training rows, balanced.
    fn train_table(&self, fitted: &FittedTable, mut columns: Named, raw: &Columns, draw: Draw) -> Result<Table> {
        columns.extend(fitted.others(raw)?);
        let mut schema = fitted.schema().clone();
        let columns = balance::apply(&self.table, self.needs, &mut schema, Columns::new(columns), draw)?;
        Table::new(schema, columns)
    }
}

impl Preparation for TablePreparation {
    fn fit(&self, train: &TrainSplit, run: &Run<'_>) -> Result<(Box<dyn Fitted>, TrainSplit)> {
        let (fitted, prepared) = self.fit_table(train, run.draw("prepare"))?;
        Ok((Box::new(fitted), prepared))
    }
}

/// All columns of the rows, as they came.
pub(crate) fn raw(train: &TrainSplit) -> Result<Columns> {
    let batch = train.read_all()?;
    Ok(Columns::new(batch.inputs.into_iter().chain(batch.targets).chain(batch.keys).collect()))
}

/// The training rows' prepared columns before they are combined, cross-fitted where their own target would stand in them.
fn training_inputs(fitted: &FittedTable, raw: &Columns, filled: &Filled, truth: Option<&Truth>, draw: Draw) -> Result<Named> {
    let folds = folds(raw.rows(), draw);
    fitted.inputs(raw, filled, |step, cells, filled, name| {
        step.cross_fit(cells, truth, &folds).map_or_else(|| step.apply(cells, filled, name), Ok)
    })
}

/// The first target as scores of features look at it.
fn aim(targets: &[TargetStep], truth: Option<&Truth>) -> Option<Aim> {
    let truth = truth?;
    let numbers = || Aim::Numbers(truth.columns.first().map(|(_, values)| values.clone()).unwrap_or_default());
    match targets.first()? {
        TargetStep::Number => Some(numbers()),
        TargetStep::Classes(classes) => {
            let class = |row: usize| match &truth.columns[..] {
                _ if !truth.known[row] => crate::cells::MISSING,
                [(_, positive)] => positive[row] as u32,
                columns => columns.iter().position(|(_, is)| is[row] == 1.0).map_or(crate::cells::MISSING, |class| class as u32),
            };
            Some(Aim::Classes((0..truth.known.len()).map(class).collect(), classes.names.len()))
        }
    }
}

/// What a selection kept and what it left out, as a sentence.
fn chosen(names: &[Vec<String>], selection: &Selection, scored: &[Scored]) -> Note {
    let is_kept = |(column, element, _): &&Scored| selection.kept[*column].as_ref().is_none_or(|kept| kept.contains(element));
    let mut kept: Vec<&Scored> = scored.iter().filter(is_kept).collect();
    kept.sort_by(|a, b| b.2.total_cmp(&a.2));
    let left: Vec<&Scored> = scored.iter().filter(|score| !is_kept(score)).collect();
    let name = |(column, element, _): &Scored| names[*column][*element].clone();
    let list = |of: &[&Scored], tell: &dyn Fn(&Scored) -> String| {
        let more = if of.len() > 10 { format!(", and {} more", of.len() - 10) } else { String::new() };
        format!("{}{more}", of.iter().take(10).map(|score| tell(score)).collect::<Vec<_>>().join(", "))
    };
    let best = list(&kept, &|score| format!("{} ({:.4})", name(score), score.2));
    let rest = if left.is_empty() { "nothing left out".to_owned() } else { format!("left out: {}", list(&left, &|score| name(score))) };
    let text = format!("select={} keeps {} of {} features: {best}; {rest}", selection.word(), kept.len(), scored.len());
    if left.is_empty() { Note::said(text) } else { Note::warning(text) }
}

fn truth(schema: &Schema, targets: &[TargetStep], raw: &Columns) -> Result<Option<Truth>> {
    let Some(((field, _), step)) = schema.targets().zip(targets).next() else { return Ok(None) };
    let column = raw.get(&field.name).expect("a table has all columns of its schema");
    Ok(Some(step.truth(Cells::open(field, column)?)))
}

/// A raw field as it is before anything is learned.
fn without_classes(field: &Field) -> Field {
    let kind = match &field.kind {
        Kind::Category { .. } => Kind::Category { classes: Arc::from([]) },
        kind => kind.clone(),
    };
    Field { kind, ..field.clone() }
}
