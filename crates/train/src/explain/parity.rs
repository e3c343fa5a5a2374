//! Curves, effects and importance equal scikit-learn's and PyALE's on a known function (`parity/curves.py`), and the methods without a reference
//! equal their definitions.

use super::ale;
use super::contributions::{Method, told};
use super::counterfactual::{Goal, Search};
use super::dependence::{curves, grid};
use super::interactions::interactions;
use super::settings::Bound;
use super::subject::Subject;
use crate::Pipeline;
use crate::evaluate::{Shuffle, importance};
use arrow_array::Float64Array;
use cupola_metrics::ruler;
use cupola_task::{
    Answer, Ask, Column, Columns, Draw, Event, Exit, Fault, Field, Flow, Kind, Parts, Predictions, Predictor, Result, Role, Run, Schema,
    Settings, Task, View,
};
use cupola_watch::{Keep, Reference};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Golden {
    columns: BTreeMap<String, Vec<f64>>,
    y: Vec<f64>,
    curves: Vec<Curve>,
    importance: Vec<f64>,
    deviation: Vec<f64>,
}

#[derive(Deserialize)]
struct Curve {
    column: String,
    grid: Vec<f64>,
    mean: Vec<f64>,
    first_rows: Vec<Vec<f64>>,
    edges: Vec<f64>,
    effect: Vec<f64>,
    sizes: Vec<u64>,
}

/// The function of the script.
struct Known;

impl Predictor for Known {
    fn predict(&self, inputs: &Columns, _: &Ask) -> Result<Predictions> {
        let column = |name: &str| super::cells::numbers(inputs.array(name).unwrap()).unwrap();
        let (a, b, c) = (column("a"), column("b"), column("c"));
        let values = (0..a.len()).map(|row| 2.0 * a[row] + a[row] * b[row] + (3.0 * b[row]).sin() + if c[row] > 2.0 { 1.5 } else { 0.0 });
        Ok(Predictions(vec![("y".into(), Answer::Numbers { values: values.collect(), range: None })]))
    }

    fn save(&self, _: &mut Parts) -> Result<()> {
        Ok(())
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../parity/curves.json")).unwrap()
}

fn numbers(values: Vec<f64>) -> Column {
    Column::Array(Arc::new(Float64Array::from(values)))
}

fn inputs(golden: &Golden) -> Columns {
    Columns::new(golden.columns.iter().map(|(name, values)| (name.as_str().into(), numbers(values.clone()))).collect())
}

fn schema() -> Schema {
    let field = |name: &str, role| Field { name: name.into(), kind: Kind::Number, role };
    Schema {
        fields: vec![field("a", Role::Input), field("b", Role::Input), field("c", Role::Input), field("y", Role::Target(Task::Regress))],
    }
}

fn pipeline() -> Pipeline {
    Pipeline {
        target: "y".into(),
        model: crate::model("linear").unwrap(),
        settings: Settings::default(),
        fitted: crate::ensemble::unprepared(schema()),
        predictor: Box::new(Known),
        postprocess: Default::default(),
        bounds: None,
    }
}

fn subject(pipeline: &Pipeline) -> Subject<'_> {
    let field = schema().field("y").unwrap().clone();
    Subject { pipeline, field, task: Task::Regress, class: None }
}

fn near(what: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= tolerance, "{what}, place {place}: found {found}, wanted {wanted}");
    }
}

#[test]
fn curves_equal_scikit_learn_and_effects_equal_pyale() {
    let (golden, pipeline) = (golden(), pipeline());
    let (inputs, subject) = (inputs(&golden), subject(&pipeline));
    for curve in &golden.curves {
        let places = grid(inputs.array(&curve.column).unwrap(), 12, [0.05, 0.95]);
        let found = curves(&subject, &inputs, None, (&curve.column, places), &[0, 1, 2]).unwrap().unwrap();
        let positions: Vec<f64> = found.grid.iter().map(|cell| cell.json().as_f64().unwrap()).collect();
        // Sums of 150 numbers in another order.
        near(&format!("grid of {}", curve.column), &positions, &curve.grid, 1e-12);
        near(&format!("dependence on {}", curve.column), &found.mean, &curve.mean, 1e-12);
        found.each.iter().zip(&curve.first_rows).for_each(|(found, wanted)| near("a row's own", found, wanted, 1e-12));
        let found = ale::effect(&subject, &inputs, &curve.column, 10).unwrap().unwrap();
        near(&format!("edges of {}", curve.column), &found.edges, &curve.edges, 1e-12);
        near(&format!("effect of {}", curve.column), &found.effect, &curve.effect, 1e-12);
        assert_eq!(found.rows, curve.sizes, "rows of {}", curve.column);
    }
}

#[test]
fn importance_equals_scikit_learn_within_its_own_noise() {
    let (golden, pipeline) = (golden(), pipeline());
    let (inputs, subject) = (inputs(&golden), subject(&pipeline));
    let truth = numbers(golden.y.clone());
    let view = View { truth: Some(&truth), weight: None, inputs: &inputs, keys: &Columns::default() };
    let shuffle = Shuffle { inputs: &inputs, repeats: 400, draw: Draw::new(3) };
    let found = importance(&subject.field, &ruler("rmse"), view, &shuffle, &|inputs| pipeline.answer(inputs)).unwrap();
    for ((name, wanted), deviation) in ["a", "b", "c"].iter().zip(&golden.importance).zip(&golden.deviation) {
        let own = found.columns.iter().find(|column| column.column == **name).unwrap().drop.value;
        // Both are means of 400 shuffles: their difference has this standard error.
        let error = deviation * (2.0f64 / 400.0).sqrt();
        assert!((own - wanted).abs() < 4.0 * error, "{name}: found {own}, wanted {wanted} within {error}");
    }
}

#[test]
fn sampled_values_are_shapleys_within_their_error_and_add_up() {
    let (golden, pipeline) = (golden(), pipeline());
    let (inputs, subject) = (inputs(&golden), subject(&pipeline));
    let behind: Vec<u64> = (50..150).collect();
    let behind = inputs.take(&behind);
    let told = told(&subject, &inputs.take(&[0, 7]), &behind, None, Draw::new(1)).unwrap();
    assert_eq!(told.method, Method::Permutation);
    for (place, row) in [0u64, 7].into_iter().enumerate() {
        let own = inputs.take(&[row]);
        let worth = |set: u32| -> f64 {
            let mut mixed = behind.clone();
            for (column, name) in ["a", "b", "c"].into_iter().enumerate().filter(|(column, _)| set >> column & 1 == 1) {
                assert!(column < 3);
                mixed.insert(name.into(), own.get(name).unwrap().take(&[0; 100]));
            }
            subject.scores(&mixed).unwrap().iter().sum::<f64>() / 100.0
        };
        let at = |set: u32| worth(set);
        let exact = [
            (at(1) - at(0)) / 3.0 + (at(3) - at(2) + at(5) - at(4)) / 6.0 + (at(7) - at(6)) / 3.0,
            (at(2) - at(0)) / 3.0 + (at(3) - at(1) + at(6) - at(4)) / 6.0 + (at(7) - at(5)) / 3.0,
            (at(4) - at(0)) / 3.0 + (at(5) - at(1) + at(6) - at(2)) / 6.0 + (at(7) - at(3)) / 3.0,
        ];
        for (column, wanted) in exact.into_iter().enumerate() {
            let found = told.contributions.value(place, column, 0);
            let error = told.errors.as_ref().unwrap()[place * 3 + column];
            assert!(
                (found - wanted).abs() < 4.0 * error + 1e-12,
                "row {row}, column {column}: found {found}, wanted {wanted} within {error}"
            );
        }
        assert!((told.contributions.score(place, 0) - subject.scores(&own).unwrap()[0]).abs() < 1e-12);
    }
}

#[test]
fn columns_that_act_apart_do_not_interact() {
    let (golden, pipeline) = (golden(), pipeline());
    let (inputs, subject) = (inputs(&golden), subject(&pipeline));
    let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
    let found = interactions(&subject, &inputs, &names, &Run::quiet(1)).unwrap();
    let of = |first: &str, second: &str| found.iter().find(|pair| pair.0 == first && pair.1 == second).unwrap().2;
    assert!(of("a", "b") > 0.4 && of("a", "c") < 1e-6 && of("b", "c") < 1e-6, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("a", "b"));
}

#[test]
fn counterfactuals_lead_there_with_few_columns_and_keep_what_is_fixed() {
    let (golden, pipeline) = (golden(), pipeline());
    let (inputs, subject) = (inputs(&golden), subject(&pipeline));
    let reference = Reference::new(&schema(), &inputs, None, Keep::Counts).unwrap();
    let row = inputs.take(&[3]);
    let own = subject.scores(&row).unwrap()[0];
    let bound = Bound { at_least: true, value: own + 1.0 };
    let fixed = vec!["b".to_owned()];
    let search = Search { subject: &subject, reference: &reference, goal: Goal::Bound(bound), fixed: &fixed, changes: 2, count: 3 };
    let found = search.find(&row).unwrap();
    assert!(!found.is_empty());
    for way in &found {
        assert!(way.answer.parse::<f64>().unwrap() >= bound.value - 1e-3, "{way:?}");
        assert!(way.changes.iter().all(|change| change.column != "b" && change.from != change.to));
        for change in &way.changes {
            let values = &golden.columns[&change.column];
            let to = change.to.as_f64().unwrap();
            assert!(values.iter().any(|value| *value <= to) && values.iter().any(|value| *value >= to), "{way:?}");
            assert!(change.column != "c" || to.fract() == 0.0, "c holds whole numbers: {way:?}");
        }
    }
    // The first changes one column, and hardly more than it must.
    assert_eq!(found[0].changes.len(), 1);
    let nothing = Search { goal: Goal::Bound(Bound { at_least: true, value: 1e9 }), ..search };
    assert!(nothing.find(&row).unwrap().is_empty());
}

#[test]
fn measuring_pairs_ends_when_it_is_asked_to() {
    let (golden, pipeline) = (golden(), pipeline());
    let (inputs, subject) = (inputs(&golden), subject(&pipeline));
    let told = std::sync::atomic::AtomicU64::new(0);
    let stop = |_: &Event| {
        told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Flow::Stop
    };
    let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
    let error = interactions(&subject, &inputs, &names, &crate::journal::heard_by(&Run::quiet(1), &stop)).unwrap_err();
    assert_eq!((error.exit(), told.into_inner()), (Exit::Interrupted, 1), "{error}");
}
