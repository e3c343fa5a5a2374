//! Optimisers and schedules against PyTorch and the published code of Lion and Muon: `parity/optim.py` wrote the numbers. And the laws that
//! exact resume rests on.

use super::{Clip, Optimizer, SETTINGS, Schedule};
use crate::layout::{Builder, Fill, Layout};
use cupola_task::{Settings, Value};
use proptest::prelude::*;
use serde_json::Value as Json;

fn golden() -> Json {
    serde_json::from_str(include_str!("../../parity/optim.json")).unwrap()
}

fn numbers(json: &Json) -> Vec<f64> {
    json.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Settings from texts, as a command line gives them.
fn settings<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Settings {
    let values: Vec<(&str, Value)> = given.into_iter().map(|(name, text)| (name, Value::parse(text))).collect();
    Settings::check("train", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap()
}

fn settings_of(case: &Json) -> Settings {
    settings(case["settings"].as_object().unwrap().iter().map(|(name, text)| (name.as_str(), text.as_str().unwrap())))
}

/// A network's layout in the sizes of the script: dense, dense, convolution, dense.
fn layout() -> Layout {
    let mut builder = Builder::default();
    for (name, shape) in [("a", &[4, 3][..]), ("b", &[5, 4]), ("c", &[3, 5, 1, 2]), ("d", &[2, 3])] {
        builder.at(name, |builder| {
            builder.param("weight", shape, Fill::Constant(0.0));
            builder.param("bias", &shape[..1], Fill::Constant(0.0));
            builder.layer("layer".into(), &shape[..1], 0)
        });
    }
    builder.finish()
}

fn first_weights(len: usize) -> Vec<f32> {
    (0..len).map(|i| (0.3 * i as f64).cos() as f32).collect()
}

fn gradients(len: usize, step: usize) -> Vec<f32> {
    (0..len).map(|i| ((0.7 * i as f64 + 1.3 * step as f64).sin() * (1.0 + 0.1 * i as f64)) as f32).collect()
}

#[test]
fn twenty_steps_end_where_the_references_do() {
    let layout = layout();
    let golden = golden();
    for case in golden["optimizers"].as_array().unwrap() {
        let settings = settings_of(case);
        let mut optimizer = Optimizer::open(&settings, &layout).unwrap();
        let mut arena = first_weights(layout.len());
        let clip = Clip::open(&settings);
        for step in 0..20 {
            let mut gradients = gradients(layout.len(), step);
            clip.apply(&mut gradients);
            optimizer.step(&mut arena, &gradients, case["rate"].as_f64().unwrap(), &[false; 8]);
        }
        // Both sides compute in f32 and round in another order; Muon's iteration multiplies such differences by about 4 in each of 5 steps.
        let tolerance = if settings.text("optimizer") == "muon" { 2e-5 } else { 1e-6 };
        let wanted = numbers(&case["weights"]);
        let worst = arena.iter().zip(&wanted).map(|(&found, wanted)| (f64::from(found) - wanted).abs() / wanted.abs().max(1.0));
        let worst = worst.fold(0.0, f64::max);
        assert!(worst < tolerance, "{}: {worst:e}", case["name"]);
    }
}

#[test]
fn rates_are_those_of_the_references() {
    for case in golden()["schedules"].as_array().unwrap() {
        let schedule = Schedule::open(&settings_of(case)).unwrap();
        let wanted = numbers(&case["rates"]);
        for (step, wanted) in wanted.iter().enumerate() {
            let found = schedule.rate(step as u64, wanted_len(&case["rates"]));
            assert!((found - wanted).abs() < 1e-9, "{} at {step}: {found} for {wanted}", case["name"]);
        }
    }
}

fn wanted_len(rates: &Json) -> u64 {
    rates.as_array().unwrap().len() as u64
}

const OPTIMIZERS: &[&str] = &["sgd", "adam", "adamw", "rmsprop", "lion", "muon"];

fn run(optimizer: &mut Optimizer, arena: &mut [f32], steps: std::ops::Range<usize>) {
    steps.for_each(|step| optimizer.step(arena, &gradients(arena.len(), step), 0.01, &[false; 8]));
}

proptest! {
    #[test]
    fn a_restored_state_goes_on_to_the_same_bytes(name in prop::sample::select(OPTIMIZERS), at in 0usize..8, momentum in prop::bool::ANY) {
        let settings = settings([("optimizer", name), ("momentum", if momentum { "0.8" } else { "0" })]);
        let layout = layout();
        let mut whole = Optimizer::open(&settings, &layout).unwrap();
        let mut arena = first_weights(layout.len());
        run(&mut whole, &mut arena, 0..at);
        let mut resumed = Optimizer::open(&settings, &layout).unwrap();
        let file = crate::weights::to_lists(whole.state(&layout));
        resumed.restore(&layout, |name, length| crate::weights::list("state", &file, name, length)).unwrap();
        let mut again = arena.clone();
        run(&mut whole, &mut arena, at..8);
        run(&mut resumed, &mut again, at..8);
        prop_assert_eq!(arena, again);
    }
}

#[test]
fn frozen_entries_stay_and_begin_late() {
    let layout = layout();
    for name in OPTIMIZERS {
        let settings = settings([("optimizer", *name)]);
        let mut optimizer = Optimizer::open(&settings, &layout).unwrap();
        let mut arena = first_weights(layout.len());
        let first = arena.clone();
        let frozen = [true, true, true, true, false, false, false, false];
        for step in 0..5 {
            optimizer.step(&mut arena, &gradients(layout.len(), step), 0.01, &frozen);
        }
        let kept = layout.entries()[4].start;
        assert_eq!(arena[..kept], first[..kept], "{name}");
        assert!(arena[kept..].iter().zip(&first[kept..]).all(|(now, before)| now != before), "{name}");
        // Unfrozen, an entry goes the way of a training that begins now.
        let mut fresh = Optimizer::open(&settings, &layout).unwrap();
        let mut other = first.clone();
        optimizer.step(&mut arena, &gradients(first.len(), 0), 0.01, &[false; 8]);
        fresh.step(&mut other, &gradients(first.len(), 0), 0.01, &[false; 8]);
        assert_eq!(arena[..kept], other[..kept], "{name}");
    }
}

#[test]
fn threads_change_no_bit() {
    let mut builder = Builder::default();
    for name in ["in", "hidden", "out"] {
        builder.at(name, |builder| {
            builder.param("weight", &[130, 300], Fill::Constant(0.0));
            builder.layer("dense".into(), &[130], 0)
        });
    }
    let layout = builder.finish();
    let outcome = |threads: usize, name: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut optimizer = Optimizer::open(&settings([("optimizer", name), ("clip_norm", "1")]), &layout).unwrap();
            let mut arena = first_weights(layout.len());
            for step in 0..2 {
                let mut gradients = gradients(arena.len(), step);
                Clip { norm: Some(1.0), value: None }.apply(&mut gradients);
                optimizer.step(&mut arena, &gradients, 0.01, &[false; 3]);
            }
            arena
        })
    };
    for name in OPTIMIZERS {
        assert!(outcome(1, name) == outcome(3, name), "{name}");
    }
}

#[test]
fn layers_below_move_less() {
    let layout = layout();
    let mut optimizer = Optimizer::open(&settings([("optimizer", "sgd"), ("momentum", "0"), ("layer_decay", "0.5")]), &layout).unwrap();
    let mut arena = vec![0.0; layout.len()];
    let ones = vec![1.0; layout.len()];
    optimizer.step(&mut arena, &ones, 1.0, &[false; 8]);
    let moved: Vec<f32> = layout.entries().iter().map(|entry| arena[entry.start]).collect();
    assert_eq!(moved, [-0.125, -0.125, -0.25, -0.25, -0.5, -0.5, -1.0, -1.0]);
}

#[test]
fn a_state_of_another_optimizer_is_refused() {
    let layout = layout();
    let adam = Optimizer::open(&settings([("optimizer", "adam")]), &layout).unwrap();
    let file = crate::weights::to_lists(adam.state(&layout));
    let mut sgd = Optimizer::open(&settings([("optimizer", "sgd")]), &layout).unwrap();
    let error = sgd.restore(&layout, |name, length| crate::weights::list("state", &file, name, length)).unwrap_err();
    assert!(error.to_string().contains("momentum_buffer: found nothing"), "{error}");
}
