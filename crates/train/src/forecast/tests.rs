//! Forecasts beside the trainings that they are of.

use super::{Forecast, Meter, forecast};
use crate::recipe::Recipe;
use crate::{Plan, train};
use cupola_task::{Exit, Fault, Flow, Local, Run, Start};
use std::path::Path;
use std::time::Instant;

fn plan(arguments: &[&str]) -> Plan {
    let mut recipe = Recipe::parse("r.toml", "").unwrap();
    for argument in arguments {
        recipe.argue(argument).unwrap();
    }
    Plan::check(recipe).unwrap()
}

/// Something done with a real clock.
fn clocked<T>(work: impl FnOnce(&Run<'_>) -> T) -> T {
    let began = Instant::now();
    work(&Run {
        seed: 7,
        threads: rayon::current_num_threads(),
        folder: None,
        clock: &|| began.elapsed(),
        until: None,
        memory_max: None,
        memory: &|| None,
        collective: &Local,
        start: Start::Cold,
        events: &|_| Flow::Go,
    })
}

fn told(plan: &Plan, root: &Path) -> Forecast {
    let meter = Meter { forget: &|| None, available: None };
    clocked(|run| forecast(plan, run, &meter, root)).unwrap()
}

#[test]
fn a_forecast_is_within_a_factor_of_three_of_the_training() {
    let data = concat!("data=", env!("CARGO_MANIFEST_DIR"), "/../../data/adult.csv.gz");
    for model in ["gbdt", "logistic", "forest", "naive_bayes"] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("runs");
        let plan = plan(&[data, "target=income", &format!("model={model}")]);
        let told = told(&plan, &root);
        assert!(!root.exists(), "nothing is kept");
        let began = Instant::now();
        let outcome = clocked(|run| train(&plan, run, &root, "")).unwrap();
        let took = began.elapsed().as_secs_f64();
        let ratio = told.seconds.value / took;
        println!(
            "{model}: told {:.2} s ({:.2} to {:.2}), took {took:.2} s, ratio {ratio:.2}",
            told.seconds.value, told.seconds.low, told.seconds.high
        );
        for stage in &told.stages {
            println!("  {}: {:.3} ({:.3} to {:.3})", stage.name, stage.seconds.value, stage.seconds.low, stage.seconds.high);
        }
        for timing in &outcome.report.timings {
            println!("  took {}: {:.3}", timing.stage, timing.seconds);
        }
        assert!((1.0 / 3.0..3.0).contains(&ratio), "{model}: {} s told, {took} s taken", told.seconds.value);
        assert_eq!((told.columns, told.rows_train + told.rows_valid + told.rows_test), (14, outcome.report.data.files[0].rows_read));
    }
}

#[test]
fn small_tables_are_rehearsed_whole_and_choices_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = concat!("data=", env!("CARGO_MANIFEST_DIR"), "/../../data/iris.csv");
    let plan = plan(&[data, "target=species", "time=4s", "tune.trials=10"]);
    let told = told(&plan, &folder.path().join("runs"));
    assert_eq!(told.rehearsed, [told.rows_train]);
    let names: Vec<&str> = told.stages.iter().map(|stage| stage.name).collect();
    assert_eq!(names, ["read", "leaderboard", "tune", "prepare", "fit", "judge", "report"]);
    let tried = &told.targets[0].candidates;
    assert!(tried.len() > 10 && tried.iter().any(|tried| tried.seconds.is_some()), "{tried:?}");
    let board = told.stages[1].seconds.value;
    assert!(board > 0.0 && board <= 0.8 * 4.0 + 1e-9, "{board}");
}

#[test]
fn more_memory_than_there_is_ends_with_the_code_of_a_budget() {
    let folder = tempfile::tempdir().unwrap();
    let data = concat!("data=", env!("CARGO_MANIFEST_DIR"), "/../../data/iris.csv");
    let plan = plan(&[data, "target=species", "model=tree"]);
    let meter = Meter { forget: &|| Some(80_000_000), available: Some(70_000_000) };
    let told = clocked(|run| {
        let run = Run { memory: &|| Some(90_000_000), ..crate::journal::heard_by(run, run.events) };
        forecast(&plan, &run, &meter, &folder.path().join("runs"))
    })
    .unwrap();
    assert_eq!(told.memory_bytes, Some(90_000_000));
    let error = told.check().unwrap_err();
    assert_eq!(error.exit() as u8, Exit::Budget as u8);
    assert!(error.to_string().contains("needs about 90 MB, has 70 MB"), "{error}");
    let wide = Forecast { available_bytes: Some(1 << 40), ..told };
    assert!(wide.check().is_ok());
}
