//! Runs the samplers of `cupola tune` on functions, for `duel/tune`: `tune_functions TABLES.json SEEDS TRIALS` prints one JSON line for each
//! problem, sampler and seed, with the best value after each trial.

#![expect(clippy::print_stdout, reason = "a program's answer goes to standard output")]

use cupola_task::Draw;
use cupola_train::tune::{Domain, Parameter, Sampler, Space, State, Trial, suggest};
use std::error::Error;
use std::f64::consts::PI;

type Function = Box<dyn Fn(&[Option<f64>]) -> f64>;

struct Problem {
    name: String,
    space: Space,
    value: Function,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tables, seeds, trials] = arguments.as_slice() else { return Err("wanted TABLES.json SEEDS TRIALS".into()) };
    let (seeds, trials): (u64, u64) = (seeds.parse()?, trials.parse()?);
    for problem in problems(&std::fs::read_to_string(tables)?)? {
        for (name, sampler) in [("tpe", Sampler::TPE), ("cmaes", Sampler::Cma), ("random", Sampler::Random)] {
            if sampler.check(&problem.space).is_err() {
                continue;
            }
            for seed in 0..seeds {
                let best = run(&problem, sampler, seed, trials);
                println!("{}", serde_json::json!({ "problem": problem.name, "sampler": name, "seed": seed, "best": best }));
            }
        }
    }
    Ok(())
}

fn run(problem: &Problem, sampler: Sampler, seed: u64, trials: u64) -> Vec<f64> {
    let mut history: Vec<Trial> = Vec::new();
    let mut best = Vec::new();
    for number in 0..trials {
        let Some(point) = suggest(&problem.space, sampler, &history, number, Draw::new(seed)) else { break };
        let loss = (problem.value)(&point);
        best.push(best.last().copied().unwrap_or(f64::INFINITY).min(loss));
        history.push(Trial { number, state: State::Complete, point, loss, steps: vec![], seconds: 0.0, note: String::new() });
    }
    best
}

fn space(parameters: Vec<(&str, Domain)>) -> Space {
    Space { parameters: parameters.into_iter().map(|(name, domain)| Parameter::new(name, domain)).collect() }
}

fn cube(dimensions: usize, low: f64, high: f64) -> Space {
    Space { parameters: (0..dimensions).map(|place| Parameter::new(&format!("x{place}"), Domain::real(low, high))).collect() }
}

fn at(point: &[Option<f64>], place: usize) -> f64 {
    point[place].expect("the parameter exists there")
}

fn all(point: &[Option<f64>]) -> Vec<f64> {
    (0..point.len()).map(|place| at(point, place)).collect()
}

fn problems(tables: &str) -> Result<Vec<Problem>, Box<dyn Error>> {
    let mut conditional = space(vec![
        ("kind", Domain::choice(2)),
        ("x", Domain::real(-5.0, 5.0)),
        ("n", Domain::integer(1, 20)),
        ("y", Domain::log(1e-3, 1e3)),
        ("z", Domain::real(0.0, 1.0)),
    ]);
    for (place, kind) in [(1, 0.0), (2, 0.0), (3, 1.0), (4, 1.0)] {
        conditional.parameters[place].when = vec![(0, vec![kind])];
    }
    let plane = space(vec![("x", Domain::real(-5.0, 10.0)), ("y", Domain::real(0.0, 15.0))]);
    let mix = space(vec![
        ("kind", Domain::choice(4)),
        ("rate", Domain::log(1e-4, 1.0)),
        ("leaves", Domain::integer(2, 128)),
        ("share", Domain::real(0.0, 1.0)),
    ]);
    let mut problems = vec![
        Problem { name: "branin".into(), space: plane, value: Box::new(|point| branin(at(point, 0), at(point, 1))) },
        Problem { name: "hartmann6".into(), space: cube(6, 0.0, 1.0), value: Box::new(|point| hartmann6(&all(point))) },
        Problem { name: "rosenbrock5".into(), space: cube(5, -2.0, 2.0), value: Box::new(|point| rosenbrock(&all(point))) },
        Problem { name: "mixed".into(), space: mix, value: Box::new(mixed) },
        Problem { name: "conditional".into(), space: conditional, value: Box::new(branching) },
    ];
    let tables: serde_json::Value = serde_json::from_str(tables)?;
    let levels: Vec<i64> = tables["levels"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_i64).collect();
    for (name, losses) in tables["losses"].as_object().into_iter().flatten() {
        let losses: Vec<f64> = losses.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
        let parameter = |(place, count): (usize, &i64)| Parameter::new(&format!("p{place}"), Domain::integer(0, count - 1));
        let space = Space { parameters: levels.iter().enumerate().map(parameter).collect() };
        let levels = levels.clone();
        let value = move |point: &[Option<f64>]| {
            let place = levels.iter().enumerate().fold(0.0, |sum, (place, count)| sum * *count as f64 + at(point, place));
            losses[place as usize]
        };
        problems.push(Problem { name: name.clone(), space, value: Box::new(value) });
    }
    Ok(problems)
}

fn branin(x: f64, y: f64) -> f64 {
    (y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0).powi(2) + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
}

fn hartmann6(x: &[f64]) -> f64 {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ];
    let term = |k: usize| ALPHA[k] * (-(0..6).map(|i| A[k][i] * (x[i] - P[k][i] * 1e-4).powi(2)).sum::<f64>()).exp();
    -(0..4).map(term).sum::<f64>()
}

fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|pair| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2)).sum()
}

fn mixed(point: &[Option<f64>]) -> f64 {
    const BEST: [(f64, f64); 4] = [(-1.0, 90.0), (-2.0, 30.0), (-2.5, 60.0), (-3.0, 15.0)];
    let kind = at(point, 0) as usize;
    let (rate, leaves) = BEST[kind];
    [0.3, 0.0, 0.15, 0.5][kind]
        + 0.4 * (at(point, 1).log10() - rate).powi(2)
        + ((at(point, 2) - leaves) / 64.0).powi(2)
        + 0.5 * (at(point, 3) - 0.7).abs()
}

fn branching(point: &[Option<f64>]) -> f64 {
    match at(point, 0) {
        0.0 => 0.1 * (at(point, 1) - 1.0).powi(2) + 0.05 * (at(point, 2) - 13.0).abs() + 0.2,
        _ => 0.3 * (at(point, 3).log10() - 1.0).powi(2) + (at(point, 4) - 0.25).powi(2),
    }
}
