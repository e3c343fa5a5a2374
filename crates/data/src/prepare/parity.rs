//! Steps against scikit-learn: `parity/prepare.py` writes what it makes of small columns.

use super::category::CategoryStep;
use super::means::{self, Truth};
use super::number::NumberStep;
use super::settings::{COLUMN_SETTINGS, Choice, SETTINGS};
use super::text::TextStep;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{ArrayRef, StringArray};
use cupola_task::{Needs, Settings, Value};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Parity {
    numbers: Vec<Numbers>,
    categories: Categories,
    target_means: Vec<Encoded>,
    texts: Texts,
}

#[derive(Deserialize)]
struct Numbers {
    name: String,
    missing: String,
    scale: String,
    train: Vec<Option<f64>>,
    fresh: Vec<Option<f64>>,
    prepared_train: Vec<f64>,
    prepared_fresh: Vec<f64>,
}

#[derive(Deserialize)]
struct Categories {
    train: Vec<String>,
    fresh: Vec<String>,
    classes: Vec<String>,
    onehot: Vec<Vec<f64>>,
    ordinal: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Encoded {
    name: String,
    train: Vec<String>,
    fresh: Vec<String>,
    target: Vec<Value>,
    folds: Vec<u64>,
    classes: Vec<String>,
    encodings: Vec<Vec<f64>>,
    prepared_fresh: Vec<Vec<f64>>,
    crossed: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Texts {
    train: Vec<String>,
    fresh: Vec<String>,
    words: Vec<String>,
    idf: Vec<f64>,
    prepared_fresh: Vec<Vec<f64>>,
}

fn parity() -> Parity {
    serde_json::from_str(include_str!("../../parity/prepare.json")).unwrap()
}

fn choice(needs: Needs, given: &[(&str, &str)]) -> Choice {
    let values: Vec<(&str, Value)> = given.iter().map(|(name, value)| (*name, Value::Text((*value).into()))).collect();
    let column = Settings::check("inputs.x", COLUMN_SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap();
    Choice::new("x", needs, &Settings::check("data.clean", SETTINGS, []).unwrap(), Some(&column))
}

/// Equal to 1e-9 of the larger of 1 and the value: sums run in another order.
fn check(name: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len(), "{name}");
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        let is_near = (found - wanted).abs() <= tolerance * wanted.abs().max(1.0) || (found.is_nan() && wanted.is_nan());
        assert!(is_near, "{name} at {place}: {found} is not {wanted}");
    }
}

fn reals(values: &[Option<f64>]) -> Vec<f64> {
    values.iter().map(|value| value.unwrap_or(f64::NAN)).collect()
}

fn flat(column: &ArrayRef) -> Vec<f64> {
    match column.as_fixed_size_list_opt() {
        Some(list) => list.values().as_primitive::<Float32Type>().values().iter().map(|&value| f64::from(value)).collect(),
        None => column.as_primitive::<Float64Type>().values().to_vec(),
    }
}

#[test]
fn numbers_are_filled_and_scaled_as_in_scikit_learn() {
    for case in parity().numbers {
        let choice = choice(Needs::Dense, &[("missing", &case.missing), ("scale", &case.scale)]);
        let step = NumberStep::fit(&reals(&case.train), &choice).unwrap();
        let prepare = |raw: &[Option<f64>]| reals(raw).into_iter().map(|raw| step.value(raw)).collect::<Vec<_>>();
        // Where cells cancel to one in 1e15 of their size, no more than that many digits can agree.
        let tolerance = if case.name.starts_with("nearly") { 1e-6 } else { 1e-9 };
        check(&case.name, &prepare(&case.train), &case.prepared_train, tolerance);
        check(&case.name, &prepare(&case.fresh), &case.prepared_fresh, tolerance);
    }
}

#[test]
fn categories_are_encoded_as_in_scikit_learn() {
    let case = parity().categories;
    let (train, fresh) = (StringArray::from(case.train), StringArray::from(case.fresh));
    let onehot = CategoryStep::fit(&train, None, &choice(Needs::Dense, &[])).unwrap();
    assert!(onehot.elements().iter().map(|class| &**class).eq(case.classes.iter().map(String::as_str)));
    check("one-hot", &flat(&onehot.apply(&fresh)[0]), &case.onehot.concat(), 0.0);
    let ordinal = CategoryStep::fit(&train, None, &choice(Needs::Native, &[("encode", "ordinal")])).unwrap();
    check("ordinal", &flat(&ordinal.apply(&fresh)[0]), &reals(&case.ordinal), 0.0);
}

#[test]
fn target_means_are_those_of_scikit_learn() {
    for case in parity().target_means {
        let truth = truth(&case.target);
        let train = StringArray::from(case.train.clone());
        let choice = choice(Needs::Native, &[("encode", "target")]);
        let step = CategoryStep::fit(&train, Some(&truth), &choice).unwrap();
        let place: HashMap<&str, u32> = case.classes.iter().map(String::as_str).zip(0..).collect();
        let codes: Vec<Option<u32>> = case.train.iter().map(|name| place.get(name.as_str()).copied()).collect();
        let fitted = means::fit(&codes, case.classes.len(), &truth, &choice);
        for (means, wanted) in fitted.iter().zip(&case.encodings) {
            check(&case.name, &means.by_code, wanted, 1e-9);
        }
        let columns = |columns: Vec<ArrayRef>| columns.iter().map(flat).collect::<Vec<_>>();
        let by_row = |rows: &[Vec<f64>], column: usize| rows.iter().map(|row| row[column]).collect::<Vec<_>>();
        let fresh = columns(step.apply(&StringArray::from(case.fresh)));
        let crossed = columns(step.cross_fit(&train, Some(&truth), &case.folds).unwrap());
        assert_eq!((fresh.len(), crossed.len()), (case.encodings.len(), case.encodings.len()));
        for column in 0..fresh.len() {
            check(&case.name, &fresh[column], &by_row(&case.prepared_fresh, column), 1e-9);
            check(&case.name, &crossed[column], &by_row(&case.crossed, column), 1e-9);
        }
    }
}

fn truth(target: &[Value]) -> Truth {
    let numbers: Option<Vec<f64>> = target.iter().map(|value| if let Value::Real(number) = value { Some(*number) } else { None }).collect();
    let words = target.iter().map(Value::to_string);
    let mut classes: Vec<String> = words.clone().collect();
    classes.sort();
    classes.dedup();
    let is = |class: &String| words.clone().map(|word| f64::from(u8::from(word == *class))).collect::<Vec<f64>>();
    let columns = match (numbers, &classes[..]) {
        (Some(numbers), _) => vec![(None, numbers)],
        (None, [_, positive]) => vec![(None, is(positive))],
        _ => classes.iter().map(|class| (Some(Arc::from(&**class)), is(class))).collect(),
    };
    Truth { columns, known: vec![true; target.len()] }
}

#[test]
fn texts_are_weighed_as_in_scikit_learn() {
    let case = parity().texts;
    let step = TextStep::fit(&StringArray::from(case.train), &choice(Needs::Native, &[]));
    assert!(step.elements().iter().map(|word| &**word).eq(case.words.iter().map(String::as_str)));
    check("idf", step.idf(), &case.idf, 1e-9);
    // Vectors are f32.
    check("vectors", &flat(&step.apply(&StringArray::from(case.fresh))[0]), &case.prepared_fresh.concat(), 1e-7);
}
