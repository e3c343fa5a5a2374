//! Steps against scikit-learn: `parity/prepare.py` writes what it makes of small columns.

use super::category::CategoryStep;
use super::choice::{Choice, Missing, Select};
use super::impute::{Ask, Imputer};
use super::means::{self, Truth};
use super::number::NumberStep;
use super::outliers::Bounds;
use super::products::Products;
use super::select::{self, Aim, Selection};
use super::settings::{COLUMN_SETTINGS, SETTINGS};
use super::step::apply_number;
use super::text::TextStep;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{ArrayRef, Float64Array, StringArray};
use cupola_task::{Column, Draw, Kind, Needs, Settings, Value};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Parity {
    numbers: Vec<Numbers>,
    categories: Categories,
    target_means: Vec<Encoded>,
    texts: Texts,
    imputers: Vec<Imputed>,
    outliers: Outlying,
    shapes: Vec<Shaped>,
    hashing: Hashed,
    products: Vec<Multiplied>,
    selections: Selections,
    vectorizers: Vectorizers,
}

#[derive(Deserialize)]
struct Shaped {
    name: String,
    given: HashMap<String, String>,
    train: Vec<f64>,
    fresh: Vec<f64>,
    prepared_train: Vec<Vec<f64>>,
    prepared_fresh: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Hashed {
    words: Vec<String>,
    classes: Vec<Vec<f64>>,
    texts: Vec<String>,
    vectors: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Multiplied {
    degree: usize,
    interaction_only: bool,
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
    products: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Selections {
    columns: Vec<Vec<f64>>,
    positive: Vec<Vec<f64>>,
    classes: Vec<u32>,
    numbers: Vec<f64>,
    scores: HashMap<String, Vec<Option<f64>>>,
    kept: HashMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct Vectorizers {
    train: Vec<String>,
    fresh: Vec<String>,
    cases: Vec<Vectorizer>,
}

#[derive(Deserialize)]
struct Vectorizer {
    given: HashMap<String, String>,
    words: Vec<String>,
    vectors: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Imputed {
    name: String,
    missing: String,
    n_neighbors: usize,
    train: Vec<Vec<Option<f64>>>,
    fresh: Vec<Vec<Option<f64>>>,
    filled_train: Vec<Vec<f64>>,
    filled_fresh: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Outlying {
    train: Vec<Option<f64>>,
    clipped: HashMap<String, Vec<Option<f64>>>,
    beyond: HashMap<String, Vec<f64>>,
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
    let values: Vec<(&str, Value)> = given.iter().map(|(name, value)| (*name, Value::parse(value))).collect();
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
        let step = NumberStep::fit_part(&reals(&case.train), &choice).unwrap();
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
    let step = TextStep::fit(&StringArray::from(case.train), &choice(Needs::Native, &[])).unwrap();
    assert!(step.elements().iter().map(|word| &**word).eq(case.words.iter().map(String::as_str)));
    check("idf", step.idf(), &case.idf, 1e-9);
    // Vectors are f32.
    check("vectors", &flat(&step.apply(&StringArray::from(case.fresh))[0]), &case.prepared_fresh.concat(), 1e-7);
}

#[test]
fn numbers_are_filled_from_each_other_as_in_scikit_learn() {
    for case in parity().imputers {
        let train: Vec<Vec<f64>> = case.train.iter().map(|column| reals(column)).collect();
        let fresh: Vec<Vec<f64>> = case.fresh.iter().map(|column| reals(column)).collect();
        let missing = Missing::open(&case.missing).unwrap();
        let ask = Ask { missing, n_neighbors: case.n_neighbors, draw: Draw::new(1) };
        let imputer = Imputer::fit(ask, (0..train.len()).collect(), &train.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        for (given, wanted) in [(&train, &case.filled_train), (&fresh, &case.filled_fresh)] {
            let filled = imputer.fill(&given.iter().map(Vec::as_slice).collect::<Vec<_>>());
            for (column, (filled, wanted)) in filled.iter().zip(wanted).enumerate() {
                // Regressions go by products of columns where scikit-learn's go by their singular values, which doubles the
                // digits that are lost; the scale of a column is up to a million.
                let size = wanted.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
                let near: Vec<f64> = filled.iter().map(|value| value / size).collect();
                let wanted: Vec<f64> = wanted.iter().map(|value| value / size).collect();
                check(&format!("{} column {column}", case.name), &near, &wanted, 1e-9);
            }
        }
    }
}

#[test]
fn outliers_are_those_of_their_definitions() {
    let case = parity().outliers;
    let train = reals(&case.train);
    for (rule, clipped) in &case.clipped {
        let of = |action: &str| {
            let choice = choice(Needs::Native, &[("outliers", action), ("outlier_method", rule)]);
            let bounds = Bounds::fit(&train, &choice).unwrap().unwrap();
            NumberStep::fit(&train, Some(&bounds), None, &choice).unwrap()
        };
        let columns = apply_number(&of("clip"), &train, None);
        check(rule, &flat(&columns[0]), &reals(clipped), 1e-12);
        let columns = apply_number(&of("flag"), &train, None);
        check(rule, &flat(&columns[0]), &train, 0.0);
        check(rule, &flat(&columns[1]), &case.beyond[rule], 0.0);
    }
}

fn given(settings: &HashMap<String, String>) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn shapes_are_those_of_scikit_learn() {
    for case in parity().shapes {
        let choice = choice(Needs::Native, &given(&case.given));
        let step = NumberStep::fit(&case.train, None, None, &choice).unwrap();
        // The likelihood of a power is flat at its top: exponents that differ by a rounding of it, 1e-8, are as good. One bin more or less
        // than full is not told from it, and such cells are compared exactly.
        let tolerance = if case.given.get("scale").is_some_and(|scale| scale == "power") { 1e-5 } else { 1e-9 };
        for (values, wanted) in [(&case.train, &case.prepared_train), (&case.fresh, &case.prepared_fresh)] {
            check(&case.name, &flat(&apply_number(&step, values, None)[0]), &wanted.concat(), tolerance);
        }
    }
}

#[test]
fn texts_are_hashed_as_in_scikit_learn() {
    let case = parity().hashing;
    let words = StringArray::from(case.words);
    let step = CategoryStep::fit(&words, None, &choice(Needs::Native, &[("encode", "hash"), ("n_features", "16")])).unwrap();
    check("classes", &flat(&step.apply(&words)[0]), &case.classes.concat(), 0.0);
    let texts = StringArray::from(case.texts);
    let step = TextStep::fit(&texts, &choice(Needs::Native, &[("text", "hash"), ("n_features", "32")])).unwrap();
    // Vectors are f32.
    check("vectors", &flat(&step.apply(&texts)[0]), &case.vectors.concat(), 1e-7);
}

#[test]
fn products_are_those_of_scikit_learn() {
    for case in parity().products {
        let names: Vec<Arc<str>> = ["a", "b", "c"].map(Arc::from).to_vec();
        let columns: Vec<Column> = case.columns.iter().map(|values| Column::Array(Arc::new(Float64Array::from(values.clone())))).collect();
        let products = Products::new(names.clone(), case.degree, case.interaction_only).unwrap().unwrap();
        let wanted: Vec<String> = case.names.iter().map(|name| name.replace(' ', "*")).collect();
        assert!(products.names().iter().map(|name| &**name).eq(wanted.iter().map(String::as_str)), "{:?}", products.names());
        let found = products.apply(|name| names.iter().position(|known| **known == *name).map(|place| &columns[place]));
        // Vectors are f32.
        check("products", &flat(&found), &case.products.concat(), 1e-6);
    }
}

#[test]
fn features_are_scored_and_chosen_as_in_scikit_learn() {
    let case = parity().selections;
    for (name, wanted) in &case.scores {
        let (method, target) = name.split_once(' ').unwrap();
        let method = Select::open(method).unwrap();
        let aim = match target {
            "class" => Aim::Classes(case.classes.clone(), 3),
            _ => Aim::Numbers(case.numbers.clone()),
        };
        let values = if method == Select::Chi2 { &case.positive } else { &case.columns };
        let column = |(place, values): (usize, &Vec<f64>)| {
            (Arc::from(place.to_string()), Kind::Number, Column::Array(Arc::new(Float64Array::from(values.clone()))))
        };
        let columns: Vec<(Arc<str>, Kind, Column)> = values.iter().enumerate().map(column).collect();
        let ask = select::Ask { method, k: 3, threshold: 0.0, draw: Draw::new(1) };
        let (selection, scored) = Selection::fit(&columns, &aim, &ask).unwrap();
        // Distances of neighbours end within a rounding of each other in both; a neighbour more or less moves an estimate by 1e-5.
        let tolerance = if method == Select::MutualInfo { 1e-4 } else { 1e-9 };
        check(name, &scored.iter().map(|(_, _, score)| *score).collect::<Vec<_>>(), &reals(wanted), tolerance);
        let kept: Vec<usize> = (0..columns.len()).filter(|&place| selection.kept[place].is_none()).collect();
        assert!(case.kept.get(name).is_none_or(|wanted| *wanted == kept), "{name}: {kept:?}");
    }
}

#[test]
fn texts_are_cut_and_weighed_as_in_scikit_learn() {
    let parity = parity().vectorizers;
    for case in parity.cases {
        let step = TextStep::fit(&StringArray::from(parity.train.clone()), &choice(Needs::Native, &given(&case.given))).unwrap();
        let found: Vec<&str> = step.elements().iter().map(|word| &**word).collect();
        assert_eq!(found, case.words, "{:?}", case.given);
        // Vectors are f32.
        let vectors = step.apply(&StringArray::from(parity.fresh.clone()));
        check(&format!("{:?}", case.given), &flat(&vectors[0]), &case.vectors.concat(), 1e-6);
    }
}
