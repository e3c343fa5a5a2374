//! Every layer against PyTorch, and what does not fit.

use crate::fixtures::{arena, gradients, packed, table, trainee};
use crate::layers::{Activation, Bias, Conv, Shape, Stack};
use crate::layout::Builder;
use cupola_task::{Draw, Fault};

const PARITY: &str = include_str!("../../parity/layers.json");

/// Relative to the largest number of the tensor: f32 here against double precision there, over a handful of layers.
const TOLERANCE: f64 = 1e-5;

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// Largest difference, relative to the largest wanted number, or to 0.05 where all are near 0, as before a batch norm.
fn apart(found: &[f32], wanted: &[f64]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(0.05f64, |largest, value| largest.max(value.abs()));
    found.iter().zip(wanted).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn layers_give_what_pytorch_gives() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(PARITY).unwrap();
    let mut broken = Vec::new();
    for case in &cases {
        let sides: Vec<u32> = numbers(&case["shape"]).iter().map(|&side| side as u32).collect();
        let table = table(case["rows"].as_u64().unwrap() as usize, [sides[0], sides[1], sides[2]], 3);
        let texts: Vec<&str> = case["layers"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        let given = format!("normalize=none;layers=[{}]", texts.join(", "));
        let trainee = trainee("layers", &given, cupola_task::Dataset::schema(&table)).unwrap();
        let layout = trainee.layout();
        let mut arena = arena(layout);
        let input = packed(&*trainee, &arena, &table);
        let mut check = |what: &str, found: &[f32], wanted: &[f64]| {
            let apart = apart(found, wanted);
            if apart.is_nan() || apart > TOLERANCE {
                broken.push(format!("{texts:?}: {what} is {apart:e} apart"));
            }
        };
        let outputs = crate::fixtures::outputs(&*trainee, &arena, &table);
        let logits = numbers(&case["logits"]);
        check("answers", &outputs, &logits.chunks(3).flat_map(softmax).collect::<Vec<f64>>());
        let (loss, gradients) = gradients(&*trainee, &mut arena, &input, Draw::new(1));
        check("loss", &[loss as f32], &[case["loss"].as_f64().unwrap()]);
        for (path, wanted) in case["gradients"].as_object().unwrap() {
            check(path, &gradients[layout.entry(path).unwrap().range()], &numbers(wanted));
        }
        for (path, wanted) in case["running"].as_object().unwrap() {
            check(path, &arena[layout.entry(path).unwrap().range()], &numbers(wanted));
        }
    }
    assert!(cases.len() > 20 && broken.is_empty(), "{}", broken.join("\n"));
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let powers: Vec<f64> = logits.iter().map(|logit| logit.exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[test]
fn shapes_params_and_cost_are_known_before_any_weight_is() {
    let mut builder = Builder::default();
    let mut stack = Stack::new(&mut builder, Shape::Maps([3, 224, 224]));
    stack.conv2d("conv", Conv { stride: 2, padding: crate::layers::Padding::Each(3), bias: Bias::None, ..Conv::new(64, 7) }).unwrap();
    stack.max_pool("pool", crate::layers::Pool { kernel: 3, stride: 2, padding: 1 }).unwrap();
    assert_eq!(stack.finish().output(), Shape::Maps([64, 56, 56]));
    let layout = builder.finish();
    assert_eq!((layout.params(), layout.layers()[0].flops), (9408, 2 * 147 * 64 * 112 * 112));
    assert_eq!(layout.layers()[0].kind, "conv 64 7 stride=2 padding=3 bias=false");
}

#[test]
fn what_does_not_fit_says_where() {
    let check = |shape: Shape, build: &dyn Fn(&mut Stack<'_>) -> cupola_task::Result<()>, text: &str| {
        let mut builder = Builder::default();
        let mut stack = Stack::new(&mut builder, shape);
        let error = stack.activation("relu", Activation::Relu).and_then(|()| build(&mut stack)).unwrap_err();
        assert_eq!(error.to_string(), text);
        error.hint()
    };
    let pool = |stack: &mut Stack<'_>| stack.max_pool("pool", crate::layers::Pool::new(2));
    check(Shape::Maps([3, 1, 1]), &pool, "layer 2 \"maxpool 2\": found 1x1 maps, wanted at least 2x2");
    let hint = check(Shape::Flat(3), &pool, "layer 2 \"maxpool 2\": found 3 numbers, wanted maps of an image");
    assert_eq!(hint.as_deref(), Some("put it before flatten and dense layers"));
    let conv = |stack: &mut Stack<'_>| stack.conv2d("conv", Conv { groups: 2, ..Conv::new(4, 3) });
    check(Shape::Maps([3, 8, 8]), &conv, "layer 2 \"conv 4 3 groups=2\": found 3 maps in and 4 out, wanted both a multiple of 2 groups");
    check(Shape::Maps([2, 2, 8]), &conv, "layer 2 \"conv 4 3 groups=2\": found 2x8 maps, wanted at least 3x3");
    let dense = |stack: &mut Stack<'_>| stack.linear("fc", crate::layers::Dense::new(4));
    check(Shape::Maps([2, 2, 8]), &dense, "layer 2 \"dense 4\": found 2 maps of 2x8, wanted flat numbers");
    check(Shape::Flat(2), &|stack| stack.dropout("drop", 1.0), "layer 2 \"dropout 1\": found 1, wanted a share from 0 to below 1");
}
