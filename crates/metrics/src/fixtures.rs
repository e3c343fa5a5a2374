//! What the tests of all measures share.

use crate::find;
use arrow_array::{Float64Array, StringArray};
use cupola_task::{Answer, Column, Columns, Draw, Field, Kind, Metric, MetricDef, Role, Settings, Task, Value, View};
use std::sync::Arc;

pub(crate) static NONE: std::sync::LazyLock<Columns> = std::sync::LazyLock::new(Columns::default);

/// Everything that is measured of one target.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) field: Field,
    pub(crate) answer: Answer,
    pub(crate) truth: Column,
    pub(crate) weight: Option<Vec<f64>>,
}

pub(crate) fn names(names: &[&str]) -> Arc<[Arc<str>]> {
    names.iter().map(|&name| Arc::from(name)).collect()
}

pub(crate) fn classify(classes: &[&str]) -> Field {
    Field { name: "target".into(), kind: Kind::Category { classes: names(classes) }, role: Role::Target(Task::Classify) }
}

pub(crate) fn regress() -> Field {
    Field { name: "target".into(), kind: Kind::Number, role: Role::Target(Task::Regress) }
}

pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Column {
    Column::Array(Arc::new(texts.into_iter().map(Some).collect::<StringArray>()))
}

pub(crate) fn numbers(values: Vec<f64>) -> Column {
    Column::Array(Arc::new(Float64Array::from(values)))
}

/// `precision average=micro` as an entry of the registry with its settings.
pub(crate) fn measure(text: &str) -> (MetricDef, Settings) {
    let mut words = text.split(' ');
    let def = find(words.next().unwrap()).unwrap();
    let given: Vec<(&str, Value)> =
        words.filter_map(|word| word.split_once('=')).map(|(name, value)| (name, Value::parse(value))).collect();
    let settings = Settings::check(def.name, def.settings, given.iter().map(|(name, value)| (*name, value))).unwrap();
    (def, settings)
}

impl Case {
    /// Two classes with a model of the given skill, or a number with normal noise.
    pub(crate) fn random(task: Task, rows: usize, classes: usize, seed: u64) -> Case {
        let draw = Draw::new(seed).stream("case");
        match task {
            Task::Regress => Case::random_numbers(rows, draw),
            _ => Case::random_classes(rows, classes, draw),
        }
    }

    fn random_numbers(rows: usize, draw: Draw) -> Case {
        let truth: Vec<f64> = (0..rows as u64).map(|row| 12.0 + 2.0 * draw.normal(row)).collect();
        let noise = draw.stream("noise");
        let values = truth.iter().enumerate().map(|(row, truth)| truth + noise.normal(row as u64)).collect();
        Case { field: regress(), answer: Answer::Numbers { values, range: None }, truth: numbers(truth), weight: None }
    }

    fn random_classes(rows: usize, classes: usize, draw: Draw) -> Case {
        let all = ["a", "b", "c", "d", "e", "f"];
        let codes: Vec<usize> = (0..rows as u64).map(|row| draw.below(row, classes as u64) as usize).collect();
        let noise = draw.stream("noise");
        let mut values = Vec::new();
        for (row, code) in codes.iter().enumerate() {
            let raw = |class: usize| {
                let skill = if class == *code { 1.5 } else { 0.0 };
                (skill + noise.normal((row * classes + class) as u64)).exp()
            };
            let total: f64 = (0..classes).map(raw).sum();
            values.extend((0..classes).map(|class| raw(class) / total));
        }
        Case {
            field: classify(&all[..classes]),
            answer: Answer::Scores { classes: names(&all[..classes]).into(), values },
            truth: texts(codes.iter().map(|&code| all[code])),
            weight: None,
        }
    }

    pub(crate) fn weighted(mut self, seed: u64) -> Case {
        let draw = Draw::new(seed).stream("weight");
        self.weight = Some((0..self.answer.len() as u64).map(|row| 0.2 + 2.0 * draw.uniform(row)).collect());
        self
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { truth: Some(&self.truth), weight: self.weight.as_deref(), inputs: &NONE, keys: &NONE }
    }

    pub(crate) fn take(&self, rows: &[u64]) -> Case {
        let pick = |values: &[f64]| rows.iter().map(|&row| values[row as usize]).collect::<Vec<f64>>();
        let answer = match &self.answer {
            Answer::Scores { classes, values } => {
                let width = classes.len();
                let values = rows.iter().flat_map(|&row| &values[row as usize * width..][..width]).copied().collect();
                Answer::Scores { classes: classes.clone(), values }
            }
            Answer::Numbers { values, .. } => Answer::Numbers { values: pick(values), range: None },
            _ => unreachable!("cases are classes and numbers"),
        };
        Case { field: self.field.clone(), answer, truth: self.truth.take(rows), weight: self.weight.as_deref().map(pick) }
    }

    /// The same rows answered without fault.
    pub(crate) fn perfect(&self) -> Case {
        let array = self.truth.array().unwrap().clone();
        let answer = match &self.answer {
            Answer::Scores { classes, .. } => {
                let truth: &StringArray = array.as_any().downcast_ref().unwrap();
                let row = |name: &str| classes.iter().map(|class| if **class == *name { 1.0 } else { 0.0 }).collect::<Vec<f64>>();
                Answer::Scores { classes: classes.clone(), values: truth.iter().flatten().flat_map(row).collect() }
            }
            _ => {
                let truth: &Float64Array = array.as_any().downcast_ref().unwrap();
                Answer::Numbers { values: truth.values().to_vec(), range: None }
            }
        };
        Case { answer, ..self.clone() }
    }

    pub(crate) fn metric(&self, (def, settings): &(MetricDef, Settings)) -> Box<dyn Metric> {
        let mut metric = (def.new)(&self.field, settings).unwrap();
        metric.update(self.view(), &self.answer).unwrap();
        metric
    }

    pub(crate) fn value(&self, measure: &(MetricDef, Settings)) -> f64 {
        self.metric(measure).value(None).unwrap()
    }
}
