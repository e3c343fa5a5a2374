//! Samplers against Optuna and cmaes; `parity/tune.py` writes the numbers.

use super::cma::Cma;
use super::parzen::Bandwidth;
use super::space::{Domain, Parameter, Space, State, Trial};
use super::tpe;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    estimators: Vec<Estimators>,
    evolution: Vec<Evolution>,
}

#[derive(Deserialize)]
struct Estimators {
    names: Vec<String>,
    trials: Vec<Told>,
    below: Vec<u64>,
    points: Vec<Vec<f64>>,
    log_below: Vec<f64>,
    log_above: Vec<f64>,
}

#[derive(Deserialize)]
struct Told {
    params: Vec<f64>,
    value: Option<f64>,
    steps: Vec<(u64, f64)>,
}

#[derive(Deserialize)]
struct Evolution {
    dimensions: usize,
    generations: Vec<Generation>,
}

#[derive(Deserialize)]
struct Generation {
    samples: Vec<Vec<f64>>,
    values: Vec<f64>,
    mean: Vec<f64>,
    sigma: f64,
    covariance: Vec<f64>,
    path_sigma: Vec<f64>,
    path: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../parity/tune.json")).unwrap()
}

fn domain(name: &str) -> Domain {
    match name {
        "x" => Domain::real(-3.0, 5.0),
        "rate" => Domain::log(1e-4, 1.0),
        "leaves" => Domain::integer(2, 40),
        "rows" => Domain::Number { low: 1.0, high: 128.0, step: Some(1.0), is_log: true, is_integer: true },
        "share" => Domain::Number { low: 0.0, high: 1.0, step: Some(0.125), is_log: false, is_integer: false },
        _ => Domain::choice(3),
    }
}

/// Differences of 1e-9 relative to 1: the two take logarithms of normal shares in other ways, each right to some units of the last digit.
#[test]
fn densities_and_splits_equal_optunas() {
    for case in golden().estimators {
        let space = Space { parameters: case.names.iter().map(|name| Parameter::new(name, domain(name))).collect() };
        let trial = |(number, told): (usize, &Told)| Trial {
            number: number as u64,
            state: if told.value.is_some() { State::Complete } else { State::Pruned },
            point: told.params.iter().map(|value| Some(*value)).collect(),
            loss: told.value.unwrap_or(f64::NAN),
            steps: told.steps.clone(),
            seconds: 0.0,
            note: String::new(),
        };
        let trials: Vec<Trial> = case.trials.iter().enumerate().map(trial).collect();
        let (below, above) = tpe::split(&trials.iter().collect::<Vec<_>>());
        assert_eq!(below.iter().map(|trial| trial.number).collect::<Vec<_>>(), case.below, "{:?}", case.names);
        let group: Vec<usize> = (0..case.names.len()).collect();
        let densities = tpe::densities(&space, &group, [&below, &above], Bandwidth::Usual);
        for (place, point) in case.points.iter().enumerate() {
            for (found, wanted) in
                [(densities.below.log_density(point), case.log_below[place]), (densities.above.log_density(point), case.log_above[place])]
            {
                assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{:?} at {point:?}: {found} for {wanted}", case.names);
            }
        }
    }
}

/// Differences of 1e-9: eigenvectors come by another way, and their rounding goes into each generation that follows.
#[test]
fn generations_are_learned_from_as_by_cmaes() {
    for case in golden().evolution {
        let mut cma = Cma::new(vec![0.5; case.dimensions], 1.0 / 6.0);
        for generation in &case.generations {
            let told: Vec<(Vec<f64>, f64)> = generation.samples.iter().cloned().zip(generation.values.iter().copied()).collect();
            cma.tell(&told);
            let state = &cma.state;
            let found = state.mean.iter().chain([&state.sigma]).chain(&state.covariance).chain(&state.path_sigma).chain(&state.path);
            let wanted = generation.mean.iter().chain([&generation.sigma]).chain(&generation.covariance);
            let wanted = wanted.chain(&generation.path_sigma).chain(&generation.path);
            for (found, wanted) in found.zip(wanted) {
                assert!((found - wanted).abs() < 1e-9 * wanted.abs().max(1.0), "{}: {found} for {wanted}", case.dimensions);
            }
        }
    }
}
