//! Learning a preparation from the rows that teach, and from no others.

use super::fitted::{FittedTable, State};
use super::means::{Truth, folds};
use super::settings::Choice;
use super::step::Step;
use super::target::TargetStep;
use super::weight::balanced;
use crate::cells::Cells;
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use cupola_task::{
    Column, Columns, Dataset, Draw, Error, Field, Fitted, Key, Kind, Needs, Preparation, Result, Role, Run, Schema, Settings, Table, Task,
    TrainSplit, nearest,
};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

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
        let raw = raw(train)?;
        self.check_names(schema)?;
        let targets = self.targets(schema, &raw)?;
        let truth = truth(schema, &targets, &raw)?;
        let inputs = self.inputs(schema, &raw, truth.as_ref())?;
        let fields = schema.fields.iter().map(without_classes).collect();
        let fitted = FittedTable::new(State::new(self.needs == Needs::Dense, fields, inputs, targets));
        if fitted.schema().inputs().next().is_none() {
            let found = "no column that tells rows apart";
            return Err(Error::input("inputs", found, "at least one column to learn from"));
        }
        let table = self.train_table(&fitted, &raw, truth.as_ref(), draw)?;
        let prepared = train.map(|_| Ok(Arc::new(table) as Arc<dyn Dataset>))?;
        Ok((fitted, prepared))
    }

    /// Makes training rows ready with a preparation that other rows have taught, for a model that goes on learning.
    ///
    /// # Errors
    /// When the rows have other columns than those that it was taught with, or a class of the target that it does not know.
    pub fn with_fitted(&self, fitted: &FittedTable, train: &TrainSplit, draw: Draw) -> Result<TrainSplit> {
        let schema = train.data().schema();
        let raw = raw(train)?;
        self.check_names(schema)?;
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
        let table = self.train_table(fitted, &raw, truth.as_ref(), draw)?;
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

    fn inputs(&self, schema: &Schema, raw: &Columns, truth: Option<&Truth>) -> Result<Vec<Step>> {
        let fields: Vec<&Field> = schema.inputs().collect();
        let fit = |field: &&Field| {
            let column = raw.get(&field.name).expect("a table has all columns of its schema");
            let choice = Choice::new(&field.name, self.needs, &self.table, self.columns.get(&*field.name));
            Step::fit(&field.kind, Cells::open(field, column)?, truth, &choice)
        };
        fields.par_iter().map(fit).collect()
    }

    /// The training rows, cross-fitted and weighed.
    fn train_table(&self, fitted: &FittedTable, raw: &Columns, truth: Option<&Truth>, draw: Draw) -> Result<Table> {
        let folds = folds(raw.rows(), draw);
        let mut columns =
            fitted.inputs(raw, |step, cells, name| step.cross_fit(cells, truth, &folds).map_or_else(|| step.apply(cells, name), Ok))?;
        columns.extend(fitted.others(raw)?);
        let mut schema = fitted.schema().clone();
        let mut columns = Columns::new(columns);
        if self.table.text("class_weight") == "balanced" {
            self.weigh(&mut schema, &mut columns)?;
        }
        Table::new(schema, columns)
    }

    /// Multiplies the weights, or makes some, by the first target of classes.
    fn weigh(&self, schema: &mut Schema, columns: &mut Columns) -> Result<()> {
        let Some((classes, target)) = schema.targets().find_map(|(field, _)| Some((field.kind.classes()?.len(), field.name.clone())))
        else {
            let error = Error::setting("data.clean.class_weight", "balanced", "none, for no target has classes");
            return Err(error.with_hint("leave it out"));
        };
        let codes: Vec<Option<u32>> = columns.array(&target)?.as_primitive::<UInt32Type>().iter().collect();
        let known = schema.keys(Key::Weight).next().map(|field| field.name.clone());
        let weights = match &known {
            Some(name) => {
                let array = columns.array(name)?;
                let wrong = || Error::input(format!("weight {name}"), array.data_type(), "numbers");
                Some(array.as_primitive_opt::<Float64Type>().ok_or_else(wrong)?.clone())
            }
            None => None,
        };
        let name = known.unwrap_or_else(|| {
            let mut name = "class_weight".to_owned();
            while schema.field(&name).is_some() {
                name.push('\'');
            }
            let field = Field { name: name.as_str().into(), kind: Kind::Number, role: Role::Key(Key::Weight) };
            schema.fields.push(field);
            name.into()
        });
        columns.insert(name, Column::Array(balanced(&codes, classes, weights.as_ref())));
        Ok(())
    }
}

impl Preparation for TablePreparation {
    fn fit(&self, train: &TrainSplit, run: &Run<'_>) -> Result<(Box<dyn Fitted>, TrainSplit)> {
        let (fitted, prepared) = self.fit_table(train, run.draw("prepare"))?;
        Ok((Box::new(fitted), prepared))
    }
}

/// All columns of the rows, as they came.
fn raw(train: &TrainSplit) -> Result<Columns> {
    let batch = train.read_all()?;
    Ok(Columns::new(batch.inputs.into_iter().chain(batch.targets).chain(batch.keys).collect()))
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
