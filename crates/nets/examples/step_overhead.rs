//! What a step of [`Trainee`](cupola_nets::Trainee) costs beside the same computation written in Burn's operations alone: a network of 10,000
//! numbers (100 -> 90 relu -> 10), batches of 64, plain gradient descent.
//!
//! ```text
//! cargo run --release -p cupola-nets --example step_overhead
//! ```
//!
//! Processor time of all threads (Linux). Short rounds of both alternate, and the mean of each counts; on a busy machine run it with
//! `RAYON_NUM_THREADS=1`, or threads that wait for each other count as work.
#![expect(clippy::print_stdout, reason = "this is a program to look at")]

use arrow_array::UInt32Array;
use burn::tensor::activation::{log_softmax, relu};
use burn::tensor::{Device, Tensor, TensorData};
use cupola_nets::ops::Precision;
use cupola_nets::{MODELS, Packing, Step, Trainee, trainee};
use cupola_task::{
    Batch, Column, Columns, Draw, Error, Field, Images, Kind, Make, Result, Role, Schema, Settings, Side, Splits, Table, Task, Value, Where,
};
use std::sync::Arc;

const ROWS: usize = 64;
const CLASSES: usize = 10;
const STEPS: usize = 200;
const ROUNDS: usize = 41;
const RATE: f32 = 0.05;

fn main() -> Result<()> {
    let (net, batch, splits) = network()?;
    let arena = net.initial(Draw::new(1), splits.train())?;
    let packing = Packing { truth: true, ..Packing::default() };
    let packed = net.collate(&arena, &batch, &packing)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(seconds(|| by_trainee(&*net, arena.clone(), &packed))?);
        plain.push(seconds(|| by_hand(&*net, &arena))?);
    }
    let pack = seconds(|| (0..STEPS).try_fold(0.0, |_, _| net.collate(&arena, &batch, &packing).map(|packed| net.weight(&packed))))?;
    let [ours, plain] = [ours, plain].map(|times| times.iter().sum::<f64>() / (ROUNDS * STEPS) as f64 * 1e6);
    println!("{} numbers: {ours:.1} us of a processor a step by Trainee, {plain:.1} us by Burn alone", net.layout().params());
    println!(
        "the seam costs {:.1} us, {:.1} % of a step; packing a batch takes {:.1} us on a loader thread",
        ours - plain,
        (ours / plain - 1.0) * 100.0,
        pack / STEPS as f64 * 1e6
    );
    Ok(())
}

/// Processor time of a run, of all threads.
fn seconds(run: impl FnOnce() -> Result<f64>) -> Result<f64> {
    let start = cpu_seconds()?;
    let loss = run()?;
    assert!(loss.is_finite(), "losses are finite");
    Ok(cpu_seconds()? - start)
}

fn cpu_seconds() -> Result<f64> {
    let failed = |error| Error::io("read /proc/self/task", error);
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir("/proc/self/task").map_err(failed)? {
        let text = std::fs::read_to_string(task.map_err(failed)?.path().join("schedstat")).map_err(failed)?;
        nanoseconds += text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).unwrap_or(0.0);
    }
    Ok(nanoseconds / 1e9)
}

/// The network, a batch of noise, and the rows it is made of.
fn network() -> Result<(Box<dyn Trainee>, Batch, Splits)> {
    let classes = (0..CLASSES).map(|class| Arc::from(class.to_string())).collect();
    let image = Kind::Image { channels: 1, size: Some([10, 10]) };
    let schema = Schema {
        fields: vec![
            Field { name: "image".into(), kind: image, role: Role::Input },
            Field { name: "label".into(), kind: Kind::Category { classes }, role: Role::Target(Task::Classify) },
        ],
    };
    let pixels = (0..ROWS * 100).map(|place| Draw::new(1).bits(place as u64) as u8).collect();
    let labels = UInt32Array::from_iter_values((0..ROWS).map(|row| (row % CLASSES) as u32));
    let columns = Columns::new(vec![
        ("image".into(), Column::Images(Images::packed(pixels, [[10, 10, 1]; ROWS]))),
        ("label".into(), Column::Array(Arc::new(labels))),
    ]);
    let batch = Batch::new((0..ROWS as u64).collect(), &columns, &schema);
    let splits = Splits::new(Arc::new(Table::new(schema.clone(), columns)?), &[Side::Train; ROWS]);
    let model = MODELS.iter().find(|model| model.name == "layers").ok_or_else(|| Error::input("registry", "no layers", "layers"))?;
    let Make::Trainee(make) = model.make else { return Err(Error::input("registry", "no network", "a network")) };
    let list = Value::List(vec![Value::Text("flatten".into()), Value::Text("dense 90 relu".into())]);
    let settings = Settings::check("model", model.settings, [("layers", &list)])?;
    Ok((trainee(make(&settings, &schema, Where::Cpu)?), batch, splits))
}

/// Steps over an arena on the host.
fn by_trainee(net: &dyn Trainee, mut arena: Vec<f32>, packed: &cupola_nets::Packed) -> Result<f64> {
    let frozen = vec![false; net.layout().entries().len()];
    let mut gradients = vec![0.0; arena.len()];
    let mut last = 0.0;
    for step in 0..STEPS {
        let step = Step { draw: Draw::new(1).at(step as u64), share: 1.0, adds: false, frozen: &frozen, precision: Precision::F32 };
        last = net.gradients(&mut arena, packed, &step, &mut gradients)?;
        arena.iter_mut().zip(&gradients).for_each(|(value, gradient)| *value -= RATE * gradient);
    }
    Ok(last)
}

/// The same steps with weights that stay tensors.
fn by_hand(net: &dyn Trainee, arena: &[f32]) -> Result<f64> {
    let device = Device::flex().autodiff();
    let entry = |path: &str| net.layout().entry(path).expect("the layer has it");
    let values = |path: &str| TensorData::new(arena[entry(path).range()].to_vec(), entry(path).shape.clone());
    let matrix = |path: &str| Tensor::<2>::from_data(values(path), &device);
    let vector = |path: &str| Tensor::<1>::from_data(values(path), &device);
    let (mut w1, mut b1) = (matrix("layers.1.weight"), vector("layers.1.bias"));
    let (mut w2, mut b2) = (matrix("head.weight"), vector("head.bias"));
    let noise: Vec<f32> = (0..ROWS * 100).map(|place| f32::from(Draw::new(1).bits(place as u64) as u8) / 128.0 - 1.0).collect();
    let truth: Vec<f32> =
        (0..ROWS * CLASSES).map(|place| if place / CLASSES % CLASSES == place % CLASSES { -1.0 / ROWS as f32 } else { 0.0 }).collect();
    let mut last = 0.0;
    for _ in 0..STEPS {
        let [v1, v2] = [w1, w2].map(Tensor::require_grad);
        let [c1, c2] = [b1, b2].map(Tensor::require_grad);
        let x = Tensor::<2>::from_data(TensorData::new(noise.clone(), [ROWS, 100]), &device);
        let y = Tensor::<2>::from_data(TensorData::new(truth.clone(), [ROWS, CLASSES]), &device);
        let hidden = relu(x.matmul(v1.clone().transpose()) + c1.clone().unsqueeze());
        let logits = hidden.matmul(v2.clone().transpose()) + c2.clone().unsqueeze();
        let loss = (log_softmax(logits, 1) * y).sum();
        let gradients = loss.backward();
        last = f64::from(loss.into_scalar::<f32>());
        w1 = descend(v1, &gradients);
        w2 = descend(v2, &gradients);
        b1 = descend(c1, &gradients);
        b2 = descend(c2, &gradients);
    }
    Ok(last)
}

fn descend<const D: usize>(value: Tensor<D>, gradients: &burn::tensor::Gradients) -> Tensor<D> {
    let gradient = value.grad(gradients).expect("every weight has a gradient");
    (value.inner() - gradient.mul_scalar(RATE)).autodiff()
}
