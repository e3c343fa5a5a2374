//! Values equal scikit-learn's: `parity/metrics.py` wrote the cases.

use crate::fixtures::{Case, classify, measure, names, numbers, regress, texts};
use cupola_task::Answer;
use serde_json::Value;

/// Sums run in another order than numpy's; the errors are of the size of 1e-15, and the file has 12 digits.
const TOLERANCE: f64 = 1e-9;

fn list(value: &Value, scale: f64) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|item| item.as_f64().unwrap() / scale).collect()
}

fn classes(case: &Value) -> Case {
    let split = |key: &str| case[key].as_str().unwrap().split("").filter(|name| !name.is_empty()).collect::<Vec<_>>();
    let values = list(&case["values"], case["scale"].as_f64().unwrap());
    Case {
        field: classify(&split("classes")),
        answer: Answer::Scores { classes: names(&split("answered")).into(), values },
        truth: texts(case["truth"].as_str().unwrap().split(' ')),
        weight: case["weight"].is_array().then(|| list(&case["weight"], 8.0)),
    }
}

fn regression(case: &Value) -> Case {
    Case {
        field: regress(),
        answer: Answer::Numbers { values: list(&case["values"], 1.0), range: None },
        truth: numbers(list(&case["truth"], 8.0)),
        weight: case["weight"].is_array().then(|| list(&case["weight"], 8.0)),
    }
}

#[test]
fn values_equal_scikit_learns() {
    let file: Value = serde_json::from_str(include_str!("../parity/metrics.json")).unwrap();
    let of = |key: &str, read: fn(&Value) -> Case| {
        file[key].as_array().unwrap().iter().map(move |case| (read(case), case["expected"].clone())).collect::<Vec<_>>()
    };
    let mut wrong = Vec::new();
    let mut checked = 0;
    for (case, expected) in of("classes", classes).into_iter().chain(of("numbers", regression)) {
        for (name, wanted) in expected.as_object().unwrap() {
            let found = case.value(&measure(name));
            let is_equal = match wanted.as_f64() {
                Some(wanted) => (found - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0),
                None => found.is_nan(),
            };
            checked += 1;
            if !is_equal {
                wrong.push(format!("{name} of {} rows: found {found}, wanted {wanted}", case.answer.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checked} values differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checked > 3000, "{checked}");
}
