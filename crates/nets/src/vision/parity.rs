//! Whole networks against torchvision: `parity/torchvision.py` wrote what they are and what they compute.

use crate::fixtures::{answers, arena, gradients, packed, schema, table, trainee};
use crate::layout::{Layout, Role};
use cupola_task::{Dataset, Draw};
use serde_json::Value;

const SHAPES: &str = include_str!("../../parity/torchvision_shapes.json");
const COMPUTED: &str = include_str!("../../parity/torchvision.json");

/// Log-probabilities, relative to the largest: 50 layers of f32 sums.
const ANSWERS_APART: f64 = 1e-4;

/// Gradients and statistics, relative to the norm of their tensor. A unit near 0 may fall on the other side of a relu, and one of a hundred
/// places under a bias is a hundredth of its gradient. Where PyTorch's own single precision is further from its double, twice as far is near
/// enough: 50 layers with batch norm over four images are that sensitive.
const TENSORS_APART: f64 = 1e-2;

#[test]
fn names_and_shapes_are_those_of_torchvision() {
    let all: serde_json::Map<String, Value> = serde_json::from_str(SHAPES).unwrap();
    assert!(all.len() >= 16);
    for (key, wanted) in &all {
        let (name, given) = key.split_once(' ').unwrap_or((key, ""));
        let trainee = trainee(name, given, &schema([224, 224, 3], 1000)).unwrap();
        let layout = trainee.layout();
        assert_eq!(Some(layout.params()), wanted["params"].as_u64(), "{key}");
        let entries = layout.entries().iter().filter(|entry| entry.role != Role::Fixed);
        let text = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let mut found: Vec<String> = entries.map(|entry| format!("{}:{}", entry.path, text(&entry.shape))).collect();
        let mut wanted: Vec<&str> = wanted["entries"].as_str().unwrap().split(' ').collect();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{key}");
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// How far norm, first and middle number of a tensor are from the wanted ones, relative to the wanted norm. `least` is the norm below which
/// a tensor counts as that large: a bias in front of a batch norm has the gradient 0, and its norm is rounding.
fn apart(found: &[f32], wanted: &Value, least: f64) -> f64 {
    let norm = found.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let found = [norm, f64::from(found[0]), f64::from(found[found.len() / 2])];
    let scale = number(&wanted[0]).max(least);
    found.iter().enumerate().map(|(place, value)| (value - number(&wanted[place])).abs() / scale).fold(0.0, f64::max)
}

/// The tensors that are too far from those of a list, and the largest distance.
fn compare(layout: &Layout, values: &[f32], wanted: &Value, tolerance: f64) -> (Vec<String>, f64) {
    let wanted = wanted.as_object().unwrap();
    let least = 1e-2 * wanted.values().map(|wanted| number(&wanted[0])).fold(0.0, f64::max);
    let distances = wanted.iter().map(|(path, wanted)| (path, apart(&values[layout.entry(path).unwrap().range()], wanted, least)));
    let distances: Vec<_> = distances.collect();
    let far = distances.iter().filter(|(_, apart)| apart.is_nan() || *apart > tolerance);
    (far.map(|(path, apart)| format!("{path} {apart:e}")).collect(), distances.iter().map(|(_, apart)| *apart).fold(0.0, f64::max))
}

fn check(case: &Value) -> Result<(), String> {
    let side = |place: usize| case["shape"][place].as_u64().unwrap() as u32;
    let table = table(case["rows"].as_u64().unwrap() as usize, [side(0), side(1), side(2)], 10);
    let given = format!("normalize=none;{}", case["settings"].as_str().unwrap());
    let trainee = trainee(case["name"].as_str().unwrap(), &given, table.schema()).unwrap();
    let layout = trainee.layout();
    let mut arena = arena(layout);
    let wanted: Vec<f64> = case["answers"].as_array().unwrap().iter().map(number).collect();
    let found = answers(&*trainee.freeze(arena.clone()), &table).unwrap();
    let largest = wanted.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let answers_apart = found.iter().zip(&wanted).map(|(found, wanted)| (found.ln() - wanted).abs()).fold(0.0, f64::max) / largest;
    let input = packed(&*trainee, &arena, &table);
    let (loss, gradients) = gradients(&*trainee, &mut arena, &input, Draw::new(1));
    let loss_apart = (loss / number(&case["loss"]) - 1.0).abs();
    let (far, gradients_apart) = compare(layout, &gradients, &case["gradients"], TENSORS_APART.max(2.0 * number(&case["single_apart"])));
    let (moved, running_apart) = compare(layout, &arena, &case["running"], ANSWERS_APART);
    let said =
        format!("answers {answers_apart:.1e}, loss {loss_apart:.1e}, gradients {gradients_apart:.1e}, running {running_apart:.1e} apart");
    let holds =
        found.len() == wanted.len() && answers_apart < ANSWERS_APART && loss_apart < ANSWERS_APART && far.is_empty() && moved.is_empty();
    if holds { Ok(()) } else { Err(format!("{}: {said}: {far:?} {moved:?}", case["name"])) }
}

#[test]
fn networks_compute_what_torchvision_computes() {
    let cases: Vec<Value> = serde_json::from_str(COMPUTED).unwrap();
    let broken: Vec<String> = cases.iter().filter_map(|case| check(case).err()).collect();
    assert!(cases.len() >= 7 && broken.is_empty(), "{}", broken.join("\n"));
}
