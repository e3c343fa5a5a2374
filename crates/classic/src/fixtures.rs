//! Small tables for the tests of this crate.

use arrow_array::{ArrayRef, Float64Array, UInt32Array};
use cupola_task::{
    Answer, Ask, Column, Columns, Dataset, Draw, Field, Key, Kind, Make, ModelDef, Needs, Parts, Predictor, Result, Role, Run, Schema,
    Settings, Side, Source, Splits, Table, Task, Value, Where,
};
use std::sync::Arc;

/// A table before it has names.
#[derive(Clone)]
pub(crate) struct Sketch {
    /// Number columns, NaN where missing.
    pub(crate) numbers: Vec<Vec<f64>>,
    /// Category columns with their number of classes, none where missing.
    pub(crate) codes: Vec<(Vec<Option<u32>>, usize)>,
    /// The target, and its number of classes (0 for a number).
    pub(crate) target: (Vec<f64>, usize),
    /// One a row.
    pub(crate) weight: Option<Vec<f64>>,
}

impl Sketch {
    /// Rows with some structure to learn: numbers of one decimal, and for native models a category and missing values.
    /// `classes` is 0 for a number as the target.
    pub(crate) fn new(needs: Needs, classes: usize, rows: u64, seed: u64) -> Sketch {
        let draw = Draw::new(seed);
        let number = |column: u64| -> Vec<f64> { (0..rows).map(|row| (draw.at(column).normal(row) * 10.0).round() / 10.0).collect() };
        let mut numbers: Vec<Vec<f64>> = (0..4).map(number).collect();
        let mut codes = Vec::new();
        let class = |row: u64| draw.at(9).below(row, 7) as u32;
        if needs != Needs::Dense {
            numbers[1].iter_mut().step_by(7).for_each(|value| *value = f64::NAN);
            codes.push(((0..rows).map(|row| Some(class(row)).filter(|_| row % 11 != 3)).collect(), 7));
        }
        let truth = |row: u64| {
            let at = |column: usize| numbers[column][row as usize];
            let lift = if needs != Needs::Dense { f64::from(class(row) % 3) } else { 0.0 };
            let missing = if at(1).is_nan() { 1.0 } else { 0.5 * at(1) };
            at(0) + missing - 0.3 * at(2) + lift + 0.3 * draw.at(20).normal(row)
        };
        let target = |row: u64| match classes {
            0 => truth(row),
            _ => ((truth(row) + 2.0) * classes as f64 / 5.0).floor().clamp(0.0, classes as f64 - 1.0),
        };
        let target = ((0..rows).map(target).collect(), classes);
        Sketch { numbers, codes, target, weight: None }
    }

    /// The same rows in that order; a row may come more than once.
    pub(crate) fn take(&self, rows: &[usize]) -> Sketch {
        let pick = |values: &Vec<f64>| -> Vec<f64> { rows.iter().map(|&row| values[row]).collect() };
        Sketch {
            numbers: self.numbers.iter().map(pick).collect(),
            codes: self.codes.iter().map(|(codes, classes)| (rows.iter().map(|&row| codes[row]).collect(), *classes)).collect(),
            target: (pick(&self.target.0), self.target.1),
            weight: self.weight.as_ref().map(pick),
        }
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.target.0.len()
    }

    /// The table.
    pub(crate) fn table(&self) -> Table {
        let names = |count: usize| -> Arc<[Arc<str>]> { (0..count).map(|class| Arc::from(format!("k{class}"))).collect() };
        let number = |values: &[f64]| -> ArrayRef {
            Arc::new(values.iter().map(|&value| (!value.is_nan()).then_some(value)).collect::<Float64Array>())
        };
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        let mut add = |name: String, kind, role, array: ArrayRef| {
            fields.push(Field { name: name.as_str().into(), kind, role });
            columns.push((name.as_str().into(), Column::Array(array)));
        };
        for (place, values) in self.numbers.iter().enumerate() {
            add(format!("n{place}"), Kind::Number, Role::Input, number(values));
        }
        for (place, (codes, classes)) in self.codes.iter().enumerate() {
            let array = Arc::new(codes.iter().copied().collect::<UInt32Array>());
            add(format!("c{place}"), Kind::Category { classes: names(*classes) }, Role::Input, array);
        }
        match &self.target {
            (values, 0) => add("y".into(), Kind::Number, Role::Target(Task::Regress), number(values)),
            (values, classes) => {
                let array = Arc::new(UInt32Array::from_iter_values(values.iter().map(|&value| value as u32)));
                add("y".into(), Kind::Category { classes: names(*classes) }, Role::Target(Task::Classify), array);
            }
        }
        if let Some(weight) = &self.weight {
            add("w".into(), Kind::Number, Role::Key(Key::Weight), number(weight));
        }
        Table::new(Schema { fields }, Columns::new(columns)).unwrap()
    }
}

/// Fits a model with `key=value` settings; every `valid_every`-th row chooses instead of teaching (0 for none).
pub(crate) fn fit(model: &ModelDef, settings: &str, table: &Table, valid_every: usize, run: &Run<'_>) -> Result<Box<dyn Predictor>> {
    let given: Vec<(&str, Value)> =
        settings.split_whitespace().map(|pair| pair.split_once('=').unwrap()).map(|(key, value)| (key, Value::parse(value))).collect();
    // What a model does not have is left out, so that one line can make all of them quick.
    let known = |name: &str| model.settings.iter().any(|setting| setting.name == name || setting.alias.contains(&name));
    let settings = Settings::check("model", model.settings, given.iter().filter(|(key, _)| known(key)).map(|(key, value)| (*key, value)))?;
    let Make::Learner(make) = model.make else { panic!("{} is a classic model", model.name) };
    let side = |row: usize| if valid_every > 0 && row % valid_every == valid_every - 1 { Side::Valid } else { Side::Train };
    let splits = Splits::new(Arc::new(table.clone()), &(0..table.len() as usize).map(side).collect::<Vec<_>>());
    make(&settings, table.schema())?.fit(Source::Data { train: splits.train(), valid: &**splits.valid() }, run)
}

/// What a model answers, row by row.
pub(crate) fn answers(predictor: &dyn Predictor, table: &Table) -> Result<Vec<f64>> {
    match predictor.predict(table.columns(), &Ask::default())?.get("y") {
        Some(Answer::Scores { values, .. } | Answer::Numbers { values, .. }) => Ok(values.clone()),
        other => panic!("{other:?} is no answer about y"),
    }
}

/// A model's parts.
pub(crate) fn saved(predictor: &dyn Predictor) -> Parts {
    let mut parts = Parts::default();
    predictor.save(&mut parts).unwrap();
    parts
}

/// A model of those parts.
pub(crate) fn opened(model: &ModelDef, parts: &Parts, table: &Table) -> Result<Box<dyn Predictor>> {
    (model.open)(parts, table.schema(), Where::Cpu)
}
