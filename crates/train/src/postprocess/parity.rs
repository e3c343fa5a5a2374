//! Held against scikit-learn and MAPIE (`parity/calibration.py`, `parity/cqr.py`).

use super::calibrate::{Calibrator, Method, Rows};
use super::conformal::{quantile, set_rule};
use super::learn::{Held, learn};
use super::settings::{DecisionPlan, IntervalMethod, ThresholdBy};
use super::threshold::{Scored, best};
use cupola_task::{Answer, Column, Field, Kind, Role, SetRule, Task};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    numbers: Numbers,
}

#[derive(Deserialize)]
struct Case {
    classes: usize,
    values: Vec<f64>,
    truth: Vec<usize>,
    new: Vec<f64>,
    weight: Option<Vec<f64>>,
    sigmoid: Vec<f64>,
    isotonic: Vec<f64>,
    lac: Option<f64>,
    aps: Option<f64>,
    normed: Option<Vec<f64>>,
    new_normed: Option<Vec<f64>>,
    mapie_sets: Option<Vec<Vec<u8>>>,
    thresholds: Option<Thresholds>,
}

#[derive(Deserialize)]
struct Thresholds {
    f1_at: Vec<f64>,
    youden_at: Vec<f64>,
    cost_at: Vec<f64>,
}

#[derive(Deserialize)]
struct Numbers {
    values: Vec<f64>,
    truth: Vec<f64>,
    new: Vec<f64>,
    ends: Vec<[f64; 2]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("parity.json")).unwrap()
}

fn close(found: &[f64], wanted: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (place, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert!((found - wanted).abs() <= tolerance, "{what}, value {place}: {found}, wanted {wanted}");
    }
}

#[test]
fn maps_are_those_of_scikit_learn() {
    for (number, case) in golden().cases.iter().enumerate() {
        let truth: Vec<Option<usize>> = case.truth.iter().copied().map(Some).collect();
        let rows = Rows { classes: case.classes, values: &case.values, truth: &truth, weights: case.weight.as_deref() };
        let mapped = |method| {
            let mut new = case.new.clone();
            Calibrator::fit(method, rows).apply(case.classes, &mut new);
            new
        };
        // scikit-learn's solver stops at a gradient of 1e-6, ours where the loss no longer falls.
        close(&mapped(Method::Sigmoid), &case.sigmoid, 2e-5, &format!("case {number}, sigmoid"));
        close(&mapped(Method::Isotonic), &case.isotonic, 1e-12, &format!("case {number}, isotonic"));
    }
}

#[test]
fn sets_and_intervals_are_those_of_mapie() {
    for case in golden().cases {
        let truth: Vec<Option<usize>> = case.truth.iter().copied().map(Some).collect();
        let rows = |values| Rows { classes: case.classes, values, truth: &truth, weights: None };
        if let (Some(lac), Some(aps)) = (case.lac, case.aps) {
            let found = [false, true].map(|is_aps| match set_rule(is_aps, rows(&case.values), 0.9) {
                Some(SetRule::Lac(quantile) | SetRule::Aps(quantile)) => quantile,
                None => f64::NAN,
            });
            close(&found, &[lac, aps], 1e-12, "quantiles");
        }
        if let (Some(values), Some(new), Some(sets)) = (&case.normed, &case.new_normed, &case.mapie_sets) {
            let rule = set_rule(false, rows(values), 0.9).unwrap();
            for (row, wanted) in new.chunks_exact(case.classes).zip(sets) {
                let wanted: Vec<usize> = (0..case.classes).filter(|&class| wanted[class] == 1).collect();
                assert_eq!(rule.classes(row), wanted);
            }
        }
    }
    let numbers = golden().numbers;
    let reach = quantile(numbers.values.iter().zip(&numbers.truth).map(|(value, truth)| (truth - value).abs()).collect(), 0.9).unwrap();
    for (value, ends) in numbers.new.iter().zip(&numbers.ends) {
        close(&[value - reach, value + reach], ends, 1e-9, "interval");
    }
}

#[derive(Deserialize)]
struct Cqr {
    cases: Vec<CqrCase>,
}

#[derive(Deserialize)]
struct CqrCase {
    level: f64,
    bounds: Vec<[f64; 2]>,
    truth: Vec<f64>,
    new: Vec<[f64; 2]>,
    ends: Vec<[f64; 2]>,
}

/// With `symmetric_correction=True`: one quantile of the larger of both sides' scores, as in the paper.
#[test]
fn conformalised_quantiles_are_those_of_mapie() {
    let numbers = |range: &[[f64; 2]]| Answer::Numbers { values: vec![0.0; range.len()], range: Some(range.to_vec()) };
    let field = Field { name: "y".into(), kind: Kind::Number, role: Role::Target(Task::Regress) };
    let golden: Cqr = serde_json::from_str(include_str!("cqr.json")).unwrap();
    for case in golden.cases {
        let truth = Column::Array(std::sync::Arc::new(arrow_array::Float64Array::from(case.truth.clone())));
        let plan = DecisionPlan { interval: Some(case.level), intervals: IntervalMethod::Cqr, ..DecisionPlan::default() };
        let answer = numbers(&case.bounds);
        let learned = learn(&plan, &field, Some(Held { truth: &truth, weights: None, answer: &answer }), "rows").unwrap();
        assert!(learned.postprocess.is_cqr && learned.postprocess.is_sound(0) && learned.split_reach.is_some());
        let Answer::Numbers { range: Some(found), .. } = learned.postprocess.apply(numbers(&case.new)) else {
            panic!("numbers have a range")
        };
        close(found.as_flattened(), case.ends.as_flattened(), 1e-12, "ends");
    }
}

#[test]
fn thresholds_are_among_the_best_of_scikit_learn() {
    for case in golden().cases {
        let Some(wanted) = &case.thresholds else { continue };
        let row = |(row, truth): (usize, &usize)| Scored { probability: case.values[2 * row + 1], is_positive: *truth == 1, weight: 1.0 };
        let rows: Vec<Scored> = case.truth.iter().enumerate().map(row).collect();
        let costs = [[0.0, 1.0], [5.0, 0.0]];
        for (by, wanted) in
            [(ThresholdBy::BestF1, &wanted.f1_at), (ThresholdBy::Balanced, &wanted.youden_at), (ThresholdBy::Cost, &wanted.cost_at)]
        {
            let found = best(by, &rows, costs);
            assert!(wanted.iter().any(|wanted| (wanted - found).abs() < 1e-12), "{by:?}: {found}, wanted one of {wanted:?}");
        }
    }
}
