//! Answers as columns: what `predict` writes and the server says.

use crate::{Artifact, Made, lists};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, Float64Array, StringArray};
use cupola_task::{Answer, Classes, Column, Columns, Field, Predictions, Schema, Task};
use std::sync::Arc;

/// Predictions as columns: `prediction`, for classes also `probability_<class>` and, where sets are given, `prediction_set` as a JSON list; for
/// numbers with an interval also `prediction_low` and `prediction_high`. With several targets each name begins with `<target>_`.
pub fn columns(predictions: &Predictions) -> Columns {
    let mut columns = Columns::default();
    let is_one = predictions.0.len() == 1;
    for (target, answer) in &predictions.0 {
        let prefix = if is_one { String::new() } else { format!("{target}_") };
        for (name, array) in answer_columns(answer) {
            columns.insert(format!("{prefix}{name}").into(), Column::Array(array));
        }
    }
    columns
}

impl Artifact {
    /// Predictions as columns, as [`columns`] gives them; labels of one list together: `prediction` as a JSON list, and `probability_<label>`.
    pub fn answers(&self, predictions: &Predictions) -> Columns {
        answers(self.made(), predictions)
    }
}

pub(crate) fn answers(made: &Made, predictions: &Predictions) -> Columns {
    let groups = grouped(made, predictions);
    let is_one = groups.len() == 1;
    let mut columns = Columns::default();
    for (target, own) in groups {
        let prefix = if is_one { String::new() } else { format!("{target}_") };
        for (name, array) in own {
            columns.insert(format!("{prefix}{name}").into(), Column::Array(array));
        }
    }
    columns
}

/// Columns with their names.
type Named = Vec<(String, ArrayRef)>;

/// The columns of each target's answers, a list of labels counting as one target in the place of its first label.
fn grouped(made: &Made, predictions: &Predictions) -> Vec<(Arc<str>, Named)> {
    let mut groups: Vec<(Arc<str>, Named)> = Vec::new();
    for (target, answer) in &predictions.0 {
        match made.label_of(target) {
            None => groups.push((target.clone(), answer_columns(answer))),
            Some((labels, _)) if groups.iter().all(|(name, _)| *name != labels.column) => {
                groups.extend(lists::columns(labels, predictions).map(|columns| (labels.column.clone(), columns)));
            }
            Some(_) => {}
        }
    }
    groups
}

/// The same for the server: each target's columns under its name, and whether its `prediction` is a list.
pub fn answers_by_target(artifact: &Artifact, predictions: &Predictions) -> Vec<(Arc<str>, Columns, bool)> {
    let named = |columns: Named| Columns::new(columns.into_iter().map(|(name, array)| (name.into(), Column::Array(array))).collect());
    let is_list = |name: &str| artifact.made().labels.iter().any(|labels| *labels.column == *name);
    grouped(artifact.made(), predictions).into_iter().map(|(name, columns)| (name.clone(), named(columns), is_list(&name))).collect()
}

fn answer_columns(answer: &Answer) -> Vec<(String, ArrayRef)> {
    match answer {
        Answer::Scores { classes, values } => {
            let best: StringArray = classes.chosen(values).map(|class| Some(&*classes[class])).collect();
            let mut columns: Vec<(String, ArrayRef)> = vec![("prediction".into(), Arc::new(best))];
            columns.extend(classes.iter().enumerate().map(|(class, name)| {
                let scores = values.iter().skip(class).step_by(classes.len()).copied();
                (format!("probability_{name}"), Arc::new(Float64Array::from_iter_values(scores)) as ArrayRef)
            }));
            let sets = set_texts(classes, values).map(StringArray::from_iter_values);
            columns.extend(sets.map(|sets| ("prediction_set".into(), Arc::new(sets) as ArrayRef)));
            columns
        }
        Answer::Numbers { values, range } => {
            let mut columns: Vec<(String, ArrayRef)> = vec![("prediction".into(), Arc::new(Float64Array::from(values.clone())))];
            if let Some(range) = range {
                for (side, name) in ["prediction_low", "prediction_high"].into_iter().enumerate() {
                    columns.push((name.into(), Arc::new(Float64Array::from_iter_values(range.iter().map(|bounds| bounds[side])))));
                }
            }
            columns
        }
        Answer::Texts(texts) => vec![("prediction".into(), Arc::new(StringArray::from_iter_values(texts)))],
        // Answers without a place in a flat table have no column; no model of the registry gives them to a table.
        Answer::Objects(_) | Answer::LogLikelihood { .. } | Answer::Vectors { .. } | Answer::List { .. } => vec![],
    }
}

/// The classes in each row's set as a JSON list, where sets are given. `values` is row-major.
pub fn set_texts<'a>(classes: &'a Classes, values: &'a [f64]) -> Option<impl Iterator<Item = String> + 'a> {
    let text = move |set: Vec<usize>| {
        let names: Vec<&str> = set.into_iter().map(|class| &*classes[class]).collect();
        serde_json::to_string(&names).expect("texts are JSON")
    };
    Some(classes.sets(values)?.map(text))
}

/// Answers out of columns that [`columns`] wrote for a model, for the targets whose columns are there and whole.
pub fn predictions(artifact: &Artifact, written: &Columns) -> Predictions {
    from_columns(artifact.raw(), |target, classes| artifact.classes(target, classes), written)
}

fn from_columns(schema: &Schema, decided: impl Fn(&str, &Arc<[Arc<str>]>) -> Classes, written: &Columns) -> Predictions {
    let is_one = schema.targets().count() == 1;
    let answer = |(field, task): (&Field, Task)| {
        let prefix = if is_one { String::new() } else { format!("{}_", field.name) };
        let numbers = |name: &str| {
            let array = written.get(&format!("{prefix}{name}"))?.array()?.as_primitive_opt::<Float64Type>()?;
            (array.null_count() == 0).then(|| array.values().to_vec())
        };
        let answer = match (task, field.kind.classes()) {
            (Task::Classify, Some(classes)) => {
                let scores = classes.iter().map(|class| numbers(&format!("probability_{class}"))).collect::<Option<Vec<_>>>()?;
                let values = (0..scores.first()?.len()).flat_map(|row| scores.iter().map(move |class| class[row])).collect();
                Answer::Scores { classes: decided(&field.name, classes), values }
            }
            (Task::Regress, _) => Answer::Numbers { values: numbers("prediction")?, range: None },
            _ => return None,
        };
        Some((field.name.clone(), answer))
    };
    Predictions(schema.targets().filter_map(answer).collect())
}

/// A cell of a raw column as JSON; a date as its ISO text.
pub(crate) fn cell(array: &ArrayRef, row: usize) -> serde_json::Value {
    if array.is_null(row) {
        return serde_json::Value::Null;
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        return texts.value(row).into();
    }
    if let Some(numbers) = array.as_primitive_opt::<Float64Type>() {
        return numbers.value(row).into();
    }
    arrow_cast::display::array_value_to_string(array, row).map_or(serde_json::Value::Null, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::{Kind, Role};

    #[test]
    fn answers_come_back_from_their_columns() {
        let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
        let field = |name: &str, kind: Kind, task: Task| Field { name: name.into(), kind, role: Role::Target(task) };
        let fields = [field("y", Kind::Category { classes: classes.clone() }, Task::Classify), field("z", Kind::Number, Task::Regress)];
        let answers = vec![
            ("y".into(), Answer::Scores { classes: classes.into(), values: vec![0.4, 0.6, 0.9, 0.1] }),
            ("z".into(), Answer::Numbers { values: vec![1.0, 2.0], range: None }),
        ];
        for given in [answers.clone(), answers[1..].to_vec()] {
            let named = |field: &&Field| given.iter().any(|(name, _)| *name == field.name);
            let schema = Schema { fields: fields.iter().filter(named).cloned().collect() };
            assert_eq!(from_columns(&schema, |_, classes| classes.into(), &columns(&Predictions(given.clone()))).0, given);
        }
    }

    #[test]
    fn one_target_is_plain_and_several_are_prefixed() {
        let scores = Answer::Scores { classes: ["no".into(), "yes".into()].into(), values: vec![0.4, 0.6, 0.9, 0.1] };
        let numbers = Answer::Numbers { values: vec![1.0, 2.0], range: Some(vec![[0.0, 2.0], [1.0, 3.0]]) };
        let one = columns(&Predictions(vec![("y".into(), scores.clone())]));
        assert_eq!(one.names().collect::<Vec<_>>(), ["prediction", "probability_no", "probability_yes"]);
        // No row says nothing of sets.
        let none = Answer::Scores { classes: ["no".into(), "yes".into()].into(), values: vec![] };
        assert!(columns(&Predictions(vec![("y".into(), none)])).names().eq(one.names()));
        let two = columns(&Predictions(vec![("y".into(), scores), ("z".into(), numbers)]));
        assert_eq!(two.names().skip(3).collect::<Vec<_>>(), ["z_prediction", "z_prediction_low", "z_prediction_high"]);
    }
}
