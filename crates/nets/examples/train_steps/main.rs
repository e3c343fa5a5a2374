//! Times steps of training (forwards, backwards, optimiser) of networks from the registry, and of some on sequences, for `duel/pytorch/bench.py`.
//!
//! Reads lines `WORKLOAD STEPS` and answers each with a line of JSON: milliseconds of every step. `drop WORKLOAD` frees one, `peak` answers
//! with the most memory of the process in MB. `forward WORKLOAD ROWS CALLS` times what answers cost instead, for `duel/onnxruntime/bench.py`:
//! outputs of so many rows, without loss and gradients. `layers WORKLOAD ROWS CALLS` lists what each layer takes of that, in the fastest of
//! so many calls. Threads are rayon's: `RAYON_NUM_THREADS=2`. With the argument `bf16` steps compute in
//! that.
//!
//! ```text
//! echo "lenet5_modern 20" | cargo run --release -p cupola-nets --example train_steps
//! ```
#![expect(clippy::print_stdout, reason = "this is a program to talk to")]

mod sequences;

use arrow_array::UInt32Array;
use cupola_nets::ops::Precision;
use cupola_nets::optim::{self, Optimizer};
use cupola_nets::{Bound, LayerRow, MODELS, Packed, Packing, Step, Stopwatch, Trainee, Training, trainee};
use cupola_task::{Batch, Column, Columns, Draw, Error, Field, Images, Kind, Make, Result, Role, Schema, Settings, Task, Value, Where};
use sequences::{LongShort, Sides, Transformer, nothing};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

// As in the program: glibc's allocator maps and unmaps every large buffer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Name, model, list of layers, sides of an image, rows, classes, optimiser.
type Workload = (&'static str, &'static str, &'static [&'static str], [u32; 3], usize, usize, &'static str);

const WORKLOADS: &[Workload] = &[
    ("mlp", "layers", &["flatten", "dense 512 relu", "dense 256 relu"], [28, 28, 1], 128, 10, "adam"),
    ("lenet5_modern", "lenet5_modern", &[], [28, 28, 1], 64, 10, "sgd"),
    ("resnet8", "resnet8", &[], [32, 32, 3], 32, 10, "sgd"),
    ("resnet20", "resnet20", &[], [32, 32, 3], 32, 10, "sgd"),
    ("resnet9", "resnet9", &[], [32, 32, 3], 256, 10, "sgd"),
    ("resnet18", "resnet18", &[], [32, 32, 3], 32, 10, "sgd"),
    ("resnet50", "resnet50", &[], [224, 224, 3], 8, 1000, "sgd"),
    ("vgg16", "vgg16", &[], [224, 224, 3], 8, 1000, "sgd"),
    ("mobilenet_v2", "mobilenet_v2", &[], [224, 224, 3], 8, 1000, "sgd"),
];

/// The transformers: a GPT on bytes and a BERT of MiniLM's size.
const GPT: Sides =
    Sides { batch: 8, time: 128, width: 128, heads: 4, blocks: 4, vocabulary: 256, classes: 256, is_causal: true, dropout: 0.0 };
const BERT: Sides =
    Sides { batch: 8, time: 128, width: 384, heads: 6, blocks: 6, vocabulary: 30522, classes: 2, is_causal: false, dropout: 0.1 };

fn main() -> Result<()> {
    cupola_nets::keep_freed();
    let precision = if std::env::args().nth(1).as_deref() == Some("bf16") { Precision::Bf16 } else { Precision::F32 };
    let mut open: BTreeMap<String, Running> = BTreeMap::new();
    let mut answering: BTreeMap<[String; 2], Answering> = BTreeMap::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| Error::io("read a line", error))?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["drop", name] => println!("{}", if open.remove(name).is_some() { "[]" } else { "null" }),
            ["peak"] => println!("{}", peak_mb()),
            ["forward", name, rows, calls] => {
                let [rows, calls] = [number(rows)?, number(calls)?];
                let key = [name.to_owned(), rows.to_string()];
                if !answering.contains_key(&key) {
                    answering.insert(key.clone(), Answering::new(name, rows)?);
                }
                let times = (0..calls).map(|_| answering[&key].forward()).collect::<Result<Vec<f64>>>()?;
                println!("{times:?}");
            }
            ["layers", name, rows, calls] => {
                let answering = Answering::new(name, number(rows)?)?;
                for (row, milliseconds) in answering.layers(number(calls)?)? {
                    println!("{milliseconds:9.3} ms  {row}");
                }
            }
            [name, steps] => {
                let steps = number(steps)?;
                if !open.contains_key(name) {
                    open.insert(name.to_owned(), Running::new(name, precision)?);
                }
                let running = open.get_mut(name).expect("it was just put there");
                let times = (0..steps).map(|_| running.step()).collect::<Result<Vec<f64>>>()?;
                println!("{times:?}");
            }
            _ => return Err(Error::input("line", line, "WORKLOAD STEPS")),
        }
    }
    Ok(())
}

fn number(word: &str) -> Result<usize> {
    word.parse().map_err(|error| Error::input("line", error, "a number"))
}

/// A training in its course.
struct Running {
    net: Box<dyn Trainee>,
    packed: Packed,
    arena: Vec<f32>,
    gradients: Vec<f32>,
    optimizer: Optimizer,
    frozen: Vec<bool>,
    step: u64,
    precision: Precision,
}

impl Running {
    fn new(name: &str, precision: Precision) -> Result<Running> {
        let (net, batch, optimizer) = network(name, None)?;
        let arena = net.layout().initial(Draw::new(1));
        let packed = net.collate(&arena, &batch, &Packing { truth: true, ..Packing::default() })?;
        let optimizer = Value::Text(optimizer.to_owned());
        let settings = Settings::check("train", optim::SETTINGS, [("optimizer", &optimizer)])?;
        let optimizer = Optimizer::open(&settings, net.layout())?;
        let frozen = vec![false; net.layout().entries().len()];
        Ok(Running { packed, gradients: vec![0.0; arena.len()], optimizer, frozen, step: 0, arena, net, precision })
    }

    /// Milliseconds of a step.
    fn step(&mut self) -> Result<f64> {
        let began = Instant::now();
        let step = Step { draw: Draw::new(1).at(self.step), share: 1.0, adds: false, frozen: &self.frozen, precision: self.precision };
        let loss = self.net.gradients(&mut self.arena, &self.packed, &step, &mut self.gradients)?;
        self.optimizer.step(&mut self.arena, &self.gradients, 1e-4, &self.frozen);
        self.step += 1;
        assert!(loss.is_finite(), "losses are finite");
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }
}

/// A trained network that answers.
struct Answering {
    net: Box<dyn Trainee>,
    bound: Bound,
    packed: Packed,
}

impl Answering {
    fn new(name: &str, rows: usize) -> Result<Answering> {
        let (net, batch, _) = network(name, Some(rows))?;
        let arena = net.layout().initial(Draw::new(1));
        let packed = net.collate(&arena, &batch, &Packing::default())?;
        Ok(Answering { bound: net.bind(&arena), packed, net })
    }

    /// Milliseconds of a way forwards.
    fn forward(&self) -> Result<f64> {
        let began = Instant::now();
        let outputs = self.net.outputs(&self.bound, &self.packed)?;
        assert!(!outputs.is_empty(), "every row has outputs");
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    }

    /// Each layer with the fewest milliseconds that it took.
    fn layers(&self, calls: usize) -> Result<Vec<(String, f64)>> {
        let began = Instant::now();
        let clock = || began.elapsed();
        let mut fewest = vec![Duration::MAX; self.net.layout().layers().len()];
        for _ in 0..calls {
            let stopwatch = Stopwatch { clock: &clock, times: RefCell::default() };
            self.net.time_layers(&self.bound, &self.packed, &stopwatch)?;
            fewest.iter_mut().zip(stopwatch.times.take()).for_each(|(fewest, time)| *fewest = time.min(*fewest));
        }
        let row = |row: &LayerRow| format!("{} {} {:?}", row.path, row.kind, row.output);
        Ok(self.net.layout().layers().iter().map(row).zip(fewest.iter().map(|time| time.as_secs_f64() * 1000.0)).collect())
    }
}

/// A network, a batch of so many rows, or of as many as it is trained with, and its optimiser.
fn network(name: &str, rows: Option<usize>) -> Result<(Box<dyn Trainee>, Batch, &'static str)> {
    let none = Settings::check("model", &[], [])?;
    let transformer = |sides: Sides| {
        let net = Transformer::new(Sides { batch: rows.unwrap_or(sides.batch), ..sides });
        Ok((trainee(Training::new(net, &none, Where::Cpu)?.boxed()), nothing(), "adamw"))
    };
    match name {
        "lstm" => Ok((trainee(Training::new(LongShort::new(rows.unwrap_or(32)), &none, Where::Cpu)?.boxed()), nothing(), "adam")),
        "gpt" => transformer(GPT),
        "bert" => transformer(BERT),
        _ => registered(name, rows),
    }
}

/// A network of the registry.
fn registered(name: &str, rows: Option<usize>) -> Result<(Box<dyn Trainee>, Batch, &'static str)> {
    let &(_, model, layers, sides, trained, classes, optimizer) =
        WORKLOADS.iter().find(|(known, ..)| *known == name).ok_or_else(|| Error::input("line", name, "a workload"))?;
    let (schema, batch) = noise(sides, rows.unwrap_or(trained), classes);
    let model = MODELS.iter().find(|known| known.name == model).expect("the registry has it");
    let Make::Trainee(make) = model.make else { return Err(Error::input("registry", "no network", "a network")) };
    let layers = Value::List(layers.iter().map(|layer| Value::Text((*layer).to_owned())).collect());
    let given = [("layers", &layers)];
    let given = if model.name == "layers" { &given[..] } else { &[] };
    let net = trainee(make(&Settings::check("model", model.settings, given.iter().copied())?, &schema, Where::Cpu)?);
    Ok((net, batch, optimizer))
}

/// A batch of noise, with labels one after another.
fn noise([height, width, channels]: [u32; 3], rows: usize, classes: usize) -> (Schema, Batch) {
    let names = (0..classes).map(|class| Arc::from(class.to_string())).collect();
    let image = Kind::Image { channels: channels as u8, size: Some([height, width]) };
    let schema = Schema {
        fields: vec![
            Field { name: "image".into(), kind: image, role: Role::Input },
            Field { name: "label".into(), kind: Kind::Category { classes: names }, role: Role::Target(Task::Classify) },
        ],
    };
    let pixels = (0..rows * (height * width * channels) as usize).map(|place| Draw::new(1).bits(place as u64) as u8).collect();
    let labels = UInt32Array::from_iter_values((0..rows).map(|row| (row % classes) as u32));
    let columns = Columns::new(vec![
        ("image".into(), Column::Images(Images::packed(pixels, vec![[height, width, channels]; rows]))),
        ("label".into(), Column::Array(Arc::new(labels))),
    ]);
    let batch = Batch::new((0..rows as u64).collect(), &columns, &schema);
    (schema, batch)
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
