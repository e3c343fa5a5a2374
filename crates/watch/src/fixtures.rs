//! Small tables that drift, or do not.

use crate::reference::{Held, Keep, Reference};
use crate::window::{Window, row_hash};
use arrow_array::{Float64Array, StringArray, TimestampMicrosecondArray};
use cupola_task::{Answer, Column, Columns, Draw, Field, Kind, Predictions, Role, Schema, Task};
use std::sync::Arc;

pub(crate) const NAMES: [&str; 6] = ["ash", "birch", "cedar", "elm", "fir", "oak"];

pub(crate) fn field(name: &str, kind: Kind, role: Role) -> Field {
    Field { name: name.into(), kind, role }
}

pub(crate) fn schema() -> Schema {
    let category = Kind::Category { classes: Arc::from(vec![]) };
    Schema {
        fields: vec![
            field("number", Kind::Number, Role::Input),
            field("whole", Kind::Number, Role::Input),
            field("name", category, Role::Input),
            field("when", Kind::Date, Role::Input),
            field("note", Kind::Text, Role::Input),
        ],
    }
}

pub(crate) fn numbers(values: impl IntoIterator<Item = f64>) -> Column {
    Column::Array(Arc::new(Float64Array::from_iter_values(values)))
}

pub(crate) fn names<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Column {
    Column::Array(Arc::new(values.into_iter().collect::<StringArray>()))
}

/// Rows of a seed. `shift` moves all of them: numbers by so many deviations, names towards the last, dates by so many days, notes to other words.
pub(crate) fn table(seed: u64, rows: u64, shift: f64) -> Columns {
    let draw = |name: &str| Draw::new(seed).stream(name);
    let uniform = |name: &str| (0..rows).map(|row| draw(name).uniform(row)).collect::<Vec<_>>();
    let name = |u: &f64| Some(NAMES[((u.powf(1.0 / (1.0 + shift)) * NAMES.len() as f64) as usize).min(NAMES.len() - 1)]);
    let note = |row: u64| {
        let word = |place: u64| {
            let u = draw("note").uniform(row * 8 + place);
            NAMES[((u * u.powf(shift) * NAMES.len() as f64) as usize).min(NAMES.len() - 1)]
        };
        (0..1 + draw("words").below(row, 6)).map(word).collect::<Vec<_>>().join(" ")
    };
    let notes: Vec<String> = (0..rows).map(note).collect();
    let day = 86_400e6;
    let when = uniform("when").into_iter().map(|u| Some(((u * 10.0 + 3.0 * shift) * day) as i64));
    Columns::new(vec![
        ("number".into(), numbers((0..rows).map(|row| draw("number").normal(row) + shift))),
        ("whole".into(), numbers((0..rows).map(|row| ((draw("whole").normal(row) + shift) * 2.0).round()))),
        ("name".into(), names(uniform("name").iter().map(name))),
        ("when".into(), Column::Array(Arc::new(when.collect::<TimestampMicrosecondArray>()))),
        ("note".into(), names(notes.iter().map(|note| Some(note.as_str())))),
    ])
}

pub(crate) fn hashes(seed: u64, rows: u64) -> Vec<u64> {
    (0..rows).map(|row| row_hash(&format!("{seed}-{row}"))).collect()
}

pub(crate) fn reference(rows: u64) -> Reference {
    Reference::new(&schema(), &table(1, rows, 0.0), None, Keep::Rows(Draw::new(1))).unwrap()
}

pub(crate) fn window(reference: &Reference, seed: u64, inputs: &Columns) -> Window {
    let mut window = Window::new(reference);
    window.push(reference, &hashes(seed, inputs.rows() as u64), inputs, &Predictions::default()).unwrap();
    window
}

/// The table's schema with a class and a number to answer.
pub(crate) fn with_targets() -> Schema {
    let mut schema = schema();
    schema.fields.push(field("paid", Kind::Category { classes: ["no".into(), "yes".into()].into() }, Role::Target(Task::Classify)));
    schema.fields.push(field("price", Kind::Number, Role::Target(Task::Regress)));
    schema
}

pub(crate) fn answers(seed: u64, rows: u64) -> (Predictions, Columns) {
    let draw = Draw::new(seed).stream("answers");
    let scores: Vec<f64> = (0..rows).map(|row| draw.uniform(row)).collect();
    let truth = scores.iter().zip(rows..).map(|(score, row)| Some(if draw.uniform(row) < *score { "yes" } else { "no" }));
    let truth = Columns::new(vec![
        ("paid".into(), names(truth)),
        ("price".into(), numbers((0..rows).map(|row| scores[row as usize] + draw.normal(row)))),
    ]);
    let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
    let values = scores.iter().flat_map(|score| [1.0 - score, *score]).collect();
    let answers = vec![
        ("paid".into(), Answer::Scores { classes: classes.into(), values }),
        ("price".into(), Answer::Numbers { values: scores, range: None }),
    ];
    (Predictions(answers), truth)
}

pub(crate) fn full(rows: u64) -> Reference {
    let (predictions, truth) = answers(1, rows);
    let inputs = table(1, rows, 0.0);
    let held = Held { inputs: &inputs, predictions: &predictions, truth: &truth };
    Reference::new(&with_targets(), &inputs, Some(held), Keep::Rows(Draw::new(1))).unwrap()
}
