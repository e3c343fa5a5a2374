//! The linear models as the registry gives them: against scikit-learn (`parity/linear.py`), on degenerate tables, reopened,
//! with several threads, stopped early.

use crate::MODELS;
use arrow_array::types::Float32Type;
use arrow_array::{Array, FixedSizeListArray, Float64Array, UInt32Array};
use cupola_task::{
    Answer, Ask, Column, Columns, Event, Field, Flow, Key, Kind, Make, ModelDef, Parts, Predictor, Result, Role, Run, Schema, Settings,
    Side, Source, Splits, Table, Task, Value, Where,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Case {
    name: String,
    x: Vec<Vec<f64>>,
    y: Vec<f64>,
    weight: Option<Vec<f64>>,
    more: Vec<Vec<f64>>,
    classes: Option<usize>,
    fits: Vec<Fit>,
}

#[derive(Deserialize)]
struct Fit {
    model: String,
    settings: BTreeMap<String, Value>,
    answers: Vec<Answers>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answers {
    Number(f64),
    Chances(Vec<f64>),
}

fn model(name: &str) -> &'static ModelDef {
    MODELS.iter().find(|model| model.name == name).unwrap()
}

fn numbers(values: impl IntoIterator<Item = f64>) -> Column {
    Column::Array(Arc::new(Float64Array::from_iter_values(values)))
}

fn inputs(rows: &[Vec<f64>]) -> Columns {
    let width = rows.first().map_or(0, Vec::len);
    Columns::new((0..width).map(|at| (format!("x{at}").into(), numbers(rows.iter().map(|row| row[at])))).collect())
}

/// A schema of number inputs, a target `y` with that many classes or a number, and a weight.
fn schema(width: usize, classes: Option<usize>, weighted: bool) -> Schema {
    let field = |name: &str, kind, role| Field { name: name.into(), kind, role };
    let mut fields: Vec<Field> = (0..width).map(|at| field(&format!("x{at}"), Kind::Number, Role::Input)).collect();
    fields.push(match classes {
        None => field("y", Kind::Number, Role::Target(Task::Regress)),
        Some(count) => {
            let classes = (0..count).map(|class| Arc::from(format!("c{class}"))).collect();
            field("y", Kind::Category { classes }, Role::Target(Task::Classify))
        }
    });
    if weighted {
        fields.push(field("w", Kind::Number, Role::Key(Key::Weight)));
    }
    Schema { fields }
}

fn fit(name: &str, settings: &[(&str, Value)], case: &Case, run: &Run<'_>) -> Result<(Box<dyn Predictor>, Schema)> {
    let schema = schema(case.x[0].len(), case.classes, case.weight.is_some());
    let mut columns = inputs(&case.x);
    columns.insert(
        "y".into(),
        match case.classes {
            None => numbers(case.y.iter().copied()),
            Some(_) => Column::Array(Arc::new(UInt32Array::from_iter_values(case.y.iter().map(|&code| code as u32)))),
        },
    );
    if let Some(weight) = &case.weight {
        columns.insert("w".into(), numbers(weight.iter().copied()));
    }
    let splits = Splits::new(Arc::new(Table::new(schema.clone(), columns)?), &vec![Side::Train; case.x.len()]);
    let model = model(name);
    let settings = Settings::check("model", model.settings, settings.iter().map(|(name, value)| (*name, value)))?;
    let Make::Learner(make) = model.make else { panic!("a classic model is a learner") };
    let source = Source::Data { train: splits.train(), valid: &**splits.valid() };
    Ok((make(&settings, &schema)?.fit(source, run)?, schema))
}

fn values(predictor: &dyn Predictor, rows: &[Vec<f64>]) -> Vec<f64> {
    match predictor.predict(&inputs(rows), &Ask::default()).unwrap().get("y").unwrap() {
        Answer::Numbers { values, .. } | Answer::Scores { values, .. } => values.clone(),
        other => panic!("{other:?}"),
    }
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../parity/linear.json")).unwrap()
}

fn settings(fit: &Fit) -> Vec<(&str, Value)> {
    fit.settings.iter().map(|(name, value)| (name.as_str(), value.clone())).collect()
}

/// Both sides solve in f64 and agree to some 1e-12; 1e-9 leaves room for other machines' sums.
#[test]
fn answers_are_those_of_scikit_learn() {
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for case in &cases() {
        let rows: Vec<Vec<f64>> = case.x[..5].iter().chain(&case.more).cloned().collect();
        for fitted in &case.fits {
            let (predictor, _) = fit(&fitted.model, &settings(fitted), case, &Run::quiet(1)).unwrap();
            let wanted = fitted.answers.iter().flat_map(|answer| match answer {
                Answers::Number(value) => vec![*value],
                Answers::Chances(values) => values.clone(),
            });
            let found = values(&*predictor, &rows);
            let error = found.iter().zip(wanted).map(|(a, b)| (a - b).abs() / (1.0 + b.abs())).fold(0.0, f64::max);
            let most = worst.entry(format!("{} {} {:?}", fitted.model, case.name, fitted.settings)).or_default();
            *most = most.max(error);
        }
    }
    let wrong: Vec<_> = worst.iter().filter(|(_, error)| **error > 1e-9).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn reopened_models_answer_the_same_and_foreign_bytes_are_refused() {
    for case in cases().iter().take(6) {
        for fitted in &case.fits {
            let (predictor, schema) = fit(&fitted.model, &settings(fitted), case, &Run::quiet(1)).unwrap();
            let mut parts = Parts::default();
            predictor.save(&mut parts).unwrap();
            let open = |parts: &Parts, schema: &Schema| (model(&fitted.model).open)(parts, schema, Where::Cpu);
            let reopened = open(&parts, &schema).unwrap();
            assert_eq!(values(&*reopened, &case.x), values(&*predictor, &case.x));
            let width = case.x[0].len();
            let other_kind = if case.classes.is_some() { None } else { Some(2) };
            assert!(open(&parts, &self::schema(width + 1, case.classes, false)).is_err());
            assert!(open(&parts, &self::schema(width, other_kind, false)).is_err());
            assert!(open(&Parts::default(), &schema).is_err());
            let (name, bytes) = parts.0.pop_first().unwrap();
            let text = String::from_utf8(bytes.clone()).unwrap();
            let first = text.find('.').unwrap();
            for damaged in [
                text.replace("\"version\":1", "\"version\":2"),
                text.replace("\"intercept\":[", "\"intercept\":[0.0,"),
                text.replace("\"coefficients\":[", "\"coefficients\":[1e999,"),
                text.replace("\"coefficients\":[", "\"coefficients\":[null,"),
                text.replace("\"seen\":[0", "\"seen\":[7"),
                text[..first].to_owned(),
            ] {
                let is_changed = damaged != text;
                let parts = Parts([(name.clone(), damaged.into_bytes())].into());
                assert!(!is_changed || open(&parts, &schema).is_err(), "{parts:?}");
            }
        }
    }
}

/// Two columns, the first of them constant.
fn small(rows: usize, classes: Option<usize>, y: impl Fn(usize) -> f64) -> Case {
    let x = (0..rows).map(|row| vec![0.1, (row * 7 % 11) as f64]).collect();
    Case { name: "small".into(), x, y: (0..rows).map(y).collect(), weight: None, more: vec![], classes, fits: vec![] }
}

const REGRESSIONS: [&str; 5] = ["linear", "ridge", "lasso", "elastic_net", "baseline"];

#[test]
fn small_and_degenerate_tables_have_answers() {
    for name in REGRESSIONS {
        let (predictor, _) = fit(name, &[], &small(1, None, |_| 4.5), &Run::quiet(1)).unwrap();
        assert_eq!(values(&*predictor, &[vec![3.0, -2.0]]), [4.5], "{name}");
        let no_inputs = Case { x: vec![vec![]; 3], ..small(3, None, |row| row as f64) };
        fit(name, &[], &no_inputs, &Run::quiet(1)).unwrap();
    }
    for name in ["logistic", "baseline"] {
        let (predictor, _) = fit(name, &[], &small(6, Some(3), |_| 1.0), &Run::quiet(1)).unwrap();
        assert_eq!(values(&*predictor, &[vec![3.0, -2.0]]), [0.0, 1.0, 0.0], "{name}");
        let no_inputs = Case { x: vec![vec![]; 4], ..small(4, Some(3), |row| (row % 3) as f64) };
        fit(name, &[], &no_inputs, &Run::quiet(1)).unwrap();
    }
    for penalty in ["none", "l2"] {
        // Two of three classes come, and a line tells them apart: no finite optimum without a penalty.
        let apart = small(22, Some(3), |row| if row * 7 % 11 > 5 { 2.0 } else { 0.0 });
        let (predictor, _) = fit("logistic", &[("penalty", Value::Text(penalty.into()))], &apart, &Run::quiet(1)).unwrap();
        let found = values(&*predictor, &[vec![0.1, 0.0], vec![0.1, 10.0]]);
        assert!(found[0] > 0.9 && found[5] > 0.9 && found[1] == 0.0 && found[4] == 0.0, "{found:?}");
    }
    for name in REGRESSIONS.into_iter().chain(["logistic"]) {
        let classes = (name == "logistic").then_some(2);
        let case = Case { weight: Some(vec![0.0; 4]), ..small(4, classes, |row| (row % 2) as f64) };
        assert!(fit(name, &[], &case, &Run::quiet(1)).is_err(), "{name}: no row counts");
    }
}

#[test]
fn wrong_inputs_are_named() {
    let (predictor, _) = fit("ridge", &[], &small(9, None, |row| row as f64), &Run::quiet(1)).unwrap();
    let answer = |columns: &Columns| predictor.predict(columns, &Ask::default()).map(|_| ()).unwrap_err().to_string();
    let second = |column: Column| {
        let mut columns = inputs(&[vec![0.1, 1.0], vec![0.1, 2.0]]);
        columns.insert("x1".into(), column);
        columns
    };
    assert_eq!(answer(&second(numbers([1.0, f64::NAN]))), "column x1 in row 1: found NaN, wanted a finite number");
    assert_eq!(answer(&second(numbers([f64::INFINITY, 0.0]))), "column x1 in row 0: found inf, wanted a finite number");
    let null = Column::Array(Arc::new(Float64Array::from(vec![Some(1.0), None])));
    assert_eq!(answer(&second(null)), "column x1 in row 1: found a missing value, wanted a finite number");
    let codes = Column::Array(Arc::new(UInt32Array::from(vec![1, 2])));
    assert_eq!(answer(&second(codes)), "column x1: found UInt32, wanted Float64 numbers");
    assert_eq!(answer(&inputs(&[vec![0.1]])), "columns: found no column x1, wanted a column x1");
    let nan = Case { x: vec![vec![0.1, f64::NAN]; 3], ..small(3, None, |row| row as f64) };
    let error = fit("linear", &[], &nan, &Run::quiet(1)).err().unwrap().to_string();
    assert_eq!(error, "column x1 in row 0: found NaN, wanted a finite number");
    let huge = Case { x: vec![vec![0.1, 1e200]; 3], ..small(3, None, |row| row as f64) };
    let error = fit("linear", &[], &huge, &Run::quiet(1)).err().unwrap().to_string();
    assert!(error.ends_with("wanted a number of at most 1e150"), "{error}");
    let heavy = Case { weight: Some(vec![1e308; 3]), ..small(3, None, |row| row as f64) };
    let error = fit("baseline", &[], &heavy, &Run::quiet(1)).err().unwrap().to_string();
    assert_eq!(error, "weights of the training rows: found a sum of inf, wanted a sum that f64 can hold");
}

#[test]
fn an_unfinished_fit_warns() {
    for (name, settings) in [("logistic", vec![]), ("lasso", vec![("alpha", Value::Real(1e-4)), ("tol", Value::Real(0.0))])] {
        let classes = (name == "logistic").then_some(3);
        let case = Case { classes, ..large() };
        for (max_iter, warnings) in [(2, 1), (10_000, 0)] {
            let seen = std::sync::atomic::AtomicUsize::new(0);
            let count = |event: &Event| {
                seen.fetch_add(usize::from(matches!(event, Event::Warning { .. })), std::sync::atomic::Ordering::Relaxed);
                Flow::Go
            };
            let settings: Vec<_> = settings.iter().cloned().chain([("max_iter", Value::Integer(max_iter))]).collect();
            fit(name, &settings, &case, &Run { events: &count, ..Run::quiet(1) }).unwrap();
            assert_eq!(seen.into_inner(), warnings, "{name} {max_iter}");
        }
    }
}

#[test]
fn a_vector_is_as_many_numbers() {
    let case = small(12, None, |row| (row * row) as f64);
    let (predictor, _) = fit("ridge", &[], &case, &Run::quiet(1)).unwrap();
    let mut parts = Parts::default();
    predictor.save(&mut parts).unwrap();
    let mut schema = schema(0, None, false);
    schema.fields.insert(0, Field { name: "v".into(), kind: Kind::Vector { width: 2 }, role: Role::Input });
    let predictor = (model("ridge").open)(&parts, &schema, Where::Cpu).unwrap();
    let vectors = |values: &[f32]| {
        let list =
            FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(values.chunks(2).map(|v| Some([Some(v[0]), Some(v[1])])), 2);
        Columns::new(vec![("v".into(), Column::Array(Arc::new(list.slice(1, list.len() - 1))))])
    };
    let found = predictor.predict(&vectors(&[9.0, 9.0, 0.5, 2.0, 1.5, -4.0]), &Ask::default()).unwrap();
    let Some(Answer::Numbers { values: found, .. }) = found.get("y") else { panic!("{found:?}") };
    let (wanted, _) = fit("ridge", &[], &case, &Run::quiet(1)).unwrap();
    assert_eq!(*found, values(&*wanted, &[vec![0.5, 2.0], vec![1.5, -4.0]]));
    let error = predictor.predict(&vectors(&[9.0, 9.0, 0.5, f32::NAN]), &Ask::default()).unwrap_err().to_string();
    assert_eq!(error, "column v[1] in row 0: found NaN, wanted a finite number");
}

/// More rows than a block, with dense and sparse columns and three classes.
fn large() -> Case {
    let draw = cupola_task::Draw::new(9);
    let value = |row: u64, at: u64| if at < 4 { draw.at(at).normal(row) } else { f64::from(u8::from(draw.below(row, 9) + 4 == at)) };
    let x: Vec<Vec<f64>> = (0..5000).map(|row| (0..13).map(|at| value(row, at)).collect()).collect();
    let noise = draw.stream("noise");
    let y = x.iter().zip(0..).map(|(x, row)| (x[0] + x[5] + noise.normal(row) > 0.3) as u8 + (x[1] > 0.5) as u8).map(f64::from).collect();
    Case { name: "large".into(), x, y, weight: None, more: vec![], classes: Some(3), fits: vec![] }
}

#[test]
fn threads_do_not_change_a_bit() {
    let bytes = |threads: usize, name: &str, case: &Case| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (predictor, _) = fit(name, &[], case, &Run::quiet(1)).unwrap();
            let mut parts = Parts::default();
            predictor.save(&mut parts).unwrap();
            (parts, values(&*predictor, &case.x))
        })
    };
    let classes = large();
    assert_eq!(bytes(1, "logistic", &classes), bytes(3, "logistic", &classes));
    let numbers = Case { classes: None, ..large() };
    for name in ["linear", "lasso"] {
        assert_eq!(bytes(1, name, &numbers), bytes(3, name, &numbers));
    }
}

#[test]
fn a_stop_keeps_what_was_learned_and_lateness_ends_a_fit() {
    let case = large();
    let stop_at =
        |stop: u64| move |event: &Event| if matches!(event, Event::Progress { done, .. } if *done >= stop) { Flow::Stop } else { Flow::Go };
    let stopped = fit("logistic", &[], &case, &Run { events: &stop_at(0), ..Run::quiet(1) });
    assert!(matches!(stopped.err(), Some(cupola_task::Error::Interrupted)));
    let whole = values(&*fit("logistic", &[], &case, &Run::quiet(1)).unwrap().0, &case.x);
    let loss = |chances: &[f64]| {
        let losses = chances.chunks_exact(3).zip(&case.y).map(|(row, &code)| -row[code as usize].ln());
        losses.sum::<f64>() / case.y.len() as f64
    };
    let late = Run { until: Some(std::time::Duration::ZERO), ..Run::quiet(1) };
    for run in [Run { events: &stop_at(1), ..Run::quiet(1) }, late] {
        let found = values(&*fit("logistic", &[], &case, &run).unwrap().0, &case.x);
        let (nothing, part, all) = (3f64.ln(), loss(&found), loss(&whole));
        assert!(all < part && part < nothing, "one step is part of the way: {nothing} {part} {all}");
    }
    let small = Run { memory_max: Some(1000), ..Run::quiet(1) };
    assert!(matches!(fit("logistic", &[], &case, &small).err(), Some(cupola_task::Error::Budget { .. })));
}

/// A weight of 2 is a row twice, a weight of 0 a row away, in every model.
#[test]
fn weights_count_rows() {
    for name in REGRESSIONS.into_iter().chain(["logistic"]) {
        let classes = (name == "logistic").then_some(3);
        let plain = small(40, classes, |row| (row * 5 % 3) as f64);
        let count = |row: usize| row % 3;
        let weight = Some((0..40).map(|row| count(row) as f64).collect());
        let repeat = |row: usize| std::iter::repeat_n(row, count(row));
        let x = (0..40).flat_map(repeat).map(|row| plain.x[row].clone()).collect();
        let y = (0..40).flat_map(repeat).map(|row| plain.y[row]).collect();
        let repeated = Case { x, y, ..small(1, classes, |_| 0.0) };
        let settings: &[(&str, Value)] = if ["lasso", "elastic_net"].contains(&name) { &[("alpha", Value::Real(0.01))] } else { &[] };
        let weighted = Case { weight, ..small(40, classes, |row| (row * 5 % 3) as f64) };
        let of = |case: &Case| values(&*fit(name, settings, case, &Run::quiet(1)).unwrap().0, &plain.x);
        let apart = of(&weighted).iter().zip(of(&repeated)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-7, "{name}: {apart}");
    }
}
