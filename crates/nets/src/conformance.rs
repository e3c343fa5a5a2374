//! What every network of the registry must do, whatever it is.

use crate::MODELS;
use crate::fixtures::{answers, batch, columns_table, gradients, model, packed, schema, settings, splits, table, trainee};
use crate::layout::Role;
use crate::net::{Packed, Step, Trainee};
use crate::ops::Precision;
use cupola_task::{Column, Dataset, Draw, Exit, Fault, Math, ModelDef, Needs, Parts, Predictor, Result, Schema, Table, Where};
use std::sync::Arc;

/// A network at a size that is quick.
struct Tiny {
    name: &'static str,
    settings: &'static str,
    inputs: Inputs,
}

/// What a network looks at.
#[derive(Clone, Copy)]
enum Inputs {
    /// A number, a category and a vector.
    Columns,
    /// Images of that height, width and channels.
    Images([u32; 3]),
}

/// Networks that are quick. The others of their families differ in how often a block is repeated, and are built, but not trained, here.
const SMALL: &[Tiny] = &[
    Tiny { name: "mlp", settings: "hidden=[16, 8];dropout=0.3;batch_norm=true", inputs: Inputs::Columns },
    Tiny { name: "lenet5", settings: "", inputs: Inputs::Images([28, 28, 1]) },
    Tiny { name: "lenet5_modern", settings: "", inputs: Inputs::Images([14, 14, 1]) },
    Tiny {
        name: "layers",
        settings: "layers=[conv 8 3 relu, maxpool 2, batchnorm, flatten, dense 16 relu dropout=0.5]",
        inputs: Inputs::Images([10, 9, 3]),
    },
    Tiny { name: "resnet8", settings: "", inputs: Inputs::Images([12, 12, 3]) },
    Tiny { name: "mobilenet_v2", settings: "width_mult=0.25", inputs: Inputs::Images([48, 48, 3]) },
];

/// Networks of ten million numbers: they learn and are saved here. In `vision/parity.rs` they and bottlenecks are held against torchvision.
const LARGE: &[Tiny] = &[
    Tiny { name: "resnet9", settings: "", inputs: Inputs::Images([32, 32, 3]) },
    Tiny { name: "resnet18", settings: "zero_init_residual=true", inputs: Inputs::Images([32, 32, 3]) },
    Tiny { name: "vgg11_bn", settings: "hidden=32", inputs: Inputs::Images([32, 32, 3]) },
];

/// Enough rows for batch norm to have statistics of the last, smallest maps.
const ROWS: usize = 6;

/// Every small network with three classes and with a number.
fn check(holds: impl FnMut(&Tiny, usize) -> Result<(), String>) {
    check_all(SMALL.iter().flat_map(|tiny| [(tiny, 3), (tiny, 0)]), holds);
}

/// The same, and every large network with three classes.
fn check_with_large(holds: impl FnMut(&Tiny, usize) -> Result<(), String>) {
    check_all(SMALL.iter().flat_map(|tiny| [(tiny, 3), (tiny, 0)]).chain(LARGE.iter().map(|tiny| (tiny, 3))), holds);
}

fn check_all(cases: impl Iterator<Item = (&'static Tiny, usize)>, mut holds: impl FnMut(&Tiny, usize) -> Result<(), String>) {
    let broken: Vec<String> = cases
        .filter_map(|(tiny, classes)| holds(tiny, classes).err().map(|why| format!("{} with {classes} classes: {why}", tiny.name)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

impl Tiny {
    fn table(&self, classes: usize) -> Table {
        match self.inputs {
            Inputs::Columns => columns_table(ROWS, classes),
            Inputs::Images(shape) => table(ROWS, shape, classes),
        }
    }

    fn trainee(&self, classes: usize) -> Box<dyn Trainee> {
        trainee(self.name, self.settings, self.table(classes).schema()).unwrap()
    }

    /// First weights, and the whole table as a batch.
    fn start(&self, trainee: &dyn Trainee, table: &Table, seed: u64) -> (Vec<f32>, Packed) {
        let arena = trainee.initial(Draw::new(seed), splits(table).train()).unwrap();
        let input = packed(trainee, &arena, table);
        (arena, input)
    }

    /// Weights after some steps straight down the gradient.
    fn trained(&self, classes: usize, seed: u64, steps: u64) -> Vec<f32> {
        let (trainee, table) = (self.trainee(classes), self.table(classes));
        let (mut arena, input) = self.start(&*trainee, &table, seed);
        for step in 0..steps {
            descend(&*trainee, &mut arena, &input, Draw::new(seed).at(step));
        }
        arena
    }
}

/// One step by a hundredth of the gradient, at most 0.03 long; gives the loss before it.
fn descend(trainee: &dyn Trainee, arena: &mut [f32], input: &Packed, draw: Draw) -> f64 {
    let (loss, gradients) = gradients(trainee, arena, input, draw);
    let norm = gradients.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    let rate = (0.01f64).min(0.03 / norm) as f32;
    arena.iter_mut().zip(&gradients).for_each(|(value, gradient)| *value -= rate * gradient);
    loss
}

fn saved(predictor: &dyn Predictor) -> Parts {
    let mut parts = Parts::default();
    predictor.save(&mut parts).unwrap();
    parts
}

fn opened(name: &str, parts: &Parts, schema: &Schema) -> Result<Box<dyn Predictor>, cupola_task::Error> {
    (model(name).open)(parts, schema, Where::Cpu)
}

#[test]
fn every_network_is_there_once_and_settings_are_right() {
    for model in MODELS {
        assert_eq!(MODELS.iter().filter(|other| other.name == model.name).count(), 1, "{} is there once", model.name);
        model.settings.iter().for_each(|setting| assert_eq!(setting.range.admit(&setting.default_value()), Some(setting.default_value())));
        assert!(settings(model, "no_such_setting=1").is_err(), "{}", model.name);
        assert!(matches!(model.math, Math::Rounded(_)), "{}: sums of f32 are not exact on another machine", model.name);
    }
}

/// Builds a network and looks at its layers.
fn build(model: &ModelDef, given: &str, schema: &Schema, outputs: usize) {
    let trainee = trainee(model.name, given, schema).unwrap_or_else(|error| panic!("{} {given}: {error}", model.name));
    let layout = trainee.layout();
    assert_eq!(layout.layers().iter().map(|layer| layer.params).sum::<u64>(), layout.params(), "{}", model.name);
    assert!(layout.layers().iter().all(|layer| !layer.output.contains(&0)), "{}", model.name);
    assert_eq!(layout.layers().last().unwrap().output, [outputs], "{}", model.name);
}

#[test]
fn every_network_builds_at_its_sizes() {
    for model in MODELS {
        let Needs::Images(needs) = model.needs else {
            [3, 0].iter().for_each(|&classes| build(model, "", columns_table(4, classes).schema(), classes.max(1)));
            continue;
        };
        // The default list of `layers` is for images of some size.
        let given = if model.name == "layers" { "layers=[conv 4 3 padding=same, globalavgpool]" } else { "" };
        let channels = u32::from(needs.channels.unwrap_or(3));
        for (side, classes) in [(needs.size_default, 10), (needs.size_min, 2), (needs.size_default, 0)] {
            build(model, given, &schema([side, side, channels], classes), classes.max(1));
        }
        let small = needs.size_min - 1;
        let refused = trainee(model.name, given, &schema([small, small, channels], 2)).is_err();
        assert!(refused, "{} takes images of {small}x{small}", model.name);
    }
}

#[test]
fn loss_and_gradients_are_finite_and_the_loss_falls() {
    check_with_large(|tiny, classes| {
        let (trainee, table) = (tiny.trainee(classes), tiny.table(classes));
        let (mut arena, input) = tiny.start(&*trainee, &table, 1);
        ensure(trainee.weight(&input) == ROWS as f64, || "the batch has another weight".into())?;
        let draw = Draw::new(2); // The same mask in every step, so that losses can be compared.
        let (before, gradients) = gradients(&*trainee, &mut arena.clone(), &input, draw);
        ensure(before.is_finite() && gradients.iter().all(|value| value.is_finite()), || format!("loss {before}"))?;
        for entry in trainee.layout().entries().iter().filter(|entry| entry.role != Role::Trained) {
            ensure(gradients[entry.range()].iter().all(|&value| value == 0.0), || format!("{} has a gradient", entry.path))?;
        }
        let losses: Vec<f64> = (0..8).map(|_| descend(&*trainee, &mut arena, &input, draw)).collect();
        ensure(losses[7] < losses[0] && arena.iter().all(|value| value.is_finite()), || format!("losses {losses:?}"))
    });
}

#[test]
fn gradients_of_rounded_products_point_the_same_way() {
    check(|tiny, classes| {
        let (trainee, table) = (tiny.trainee(classes), tiny.table(classes));
        let (arena, input) = tiny.start(&*trainee, &table, 1);
        let frozen = vec![false; trainee.layout().entries().len()];
        let found = [Precision::F32, Precision::Bf16].map(|precision| {
            let mut gradients = vec![f32::NAN; arena.len()];
            let step = Step { draw: Draw::new(1), share: 1.0, adds: false, frozen: &frozen, precision };
            trainee.gradients(&mut arena.clone(), &input, &step, &mut gradients).map(|_| gradients)
        });
        let [exact, rounded] = found.map(|found| found.unwrap_or_default());
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let cosine = product(&exact, &rounded) / (product(&exact, &exact) * product(&rounded, &rounded)).sqrt();
        ensure(exact != rounded, || "nothing was rounded".into())?;
        // Factors have eight bits; MobileNetV2's fifty layers with batch norm over six images turn that into 0.83.
        let least = if tiny.name == "mobilenet_v2" { 0.8 } else { 0.98 };
        ensure(cosine > least, || format!("the cosine is {cosine}"))
    });
}

#[test]
fn what_is_frozen_stays() {
    check(|tiny, classes| {
        let (trainee, table) = (tiny.trainee(classes), tiny.table(classes));
        let (mut arena, input) = tiny.start(&*trainee, &table, 1);
        let before = arena.clone();
        let entries = trainee.layout().entries();
        // All but weight and bias of the last layer.
        let frozen: Vec<bool> = (0..entries.len()).map(|place| place + 2 < entries.len()).collect();
        let mut gradients = vec![0.0; arena.len()];
        let step = Step { draw: Draw::new(1), share: 1.0, adds: false, frozen: &frozen, precision: Precision::F32 };
        trainee.gradients(&mut arena, &input, &step, &mut gradients).map_err(|error| error.to_string())?;
        let moved = entries.iter().zip(&frozen).find(|(entry, frozen)| {
            let range = entry.range();
            **frozen && (arena[range.clone()] != before[range.clone()] || gradients[range].iter().any(|&value| value != 0.0))
        });
        ensure(moved.is_none(), || format!("{} moved", moved.map_or("", |(entry, _)| &entry.path)))?;
        ensure(gradients.iter().any(|&value| value != 0.0), || "the last layer does not learn".into())
    });
}

#[test]
fn reopened_networks_answer_the_same_and_damage_is_refused() {
    check_with_large(|tiny, classes| {
        let table = tiny.table(classes);
        let trainee = tiny.trainee(classes);
        let predictor = trainee.freeze(tiny.trained(classes, 3, 2));
        let (parts, before) = (saved(&*predictor), answers(&*predictor, &table).unwrap());
        ensure(before.iter().all(|value| value.is_finite()) && before.len() == ROWS * classes.max(1), || "answers are not sound".into())?;
        let again = opened(tiny.name, &parts, table.schema()).map_err(|error| error.to_string())?;
        ensure(answers(&*again, &table).unwrap() == before && saved(&*again) == parts, || "it changed on the way".into())?;
        ensure(opened(tiny.name, &Parts::default(), table.schema()).is_err(), || "no parts were accepted".into())?;
        for (name, bytes) in &parts.0 {
            let with = |bytes: Vec<u8>| {
                Parts(parts.0.iter().map(|(other, old)| (other.clone(), if other == name { bytes.clone() } else { old.clone() })).collect())
            };
            for (what, bytes) in [("half", bytes[..bytes.len() / 2].to_vec()), ("noise", vec![0xff; bytes.len()]), ("nothing", vec![])] {
                ensure(opened(tiny.name, &with(bytes), table.schema()).is_err(), || format!("{what} of {name} was accepted"))?;
            }
        }
        let mut others = vec![tiny.table(classes + 4).schema().clone()];
        if let Inputs::Images([height, width, channels]) = tiny.inputs {
            others.push(schema([height, width, channels + 1], classes));
        }
        ensure(others.iter().all(|other| opened(tiny.name, &parts, other).is_err()), || "another schema was accepted".into())
    });
}

#[test]
fn hostile_settings_are_refused() {
    let table = table(2, [10, 9, 3], 3);
    let trainee = trainee("layers", "layers=[flatten, dense 4]", table.schema()).unwrap();
    let parts = saved(&*trainee.freeze(crate::fixtures::arena(trainee.layout())));
    let with = |text: &str| {
        let mut parts = parts.clone();
        parts.0.insert("model/settings.json".into(), text.as_bytes().to_vec());
        opened("layers", &parts, table.schema()).is_err()
    };
    for text in [
        "{}",
        r#"{"layers": ["flatten", "dense 65536", "dense 30000"], "normalize": "auto"}"#,
        r#"{"layers": ["conv 65536 65535 padding=65536"], "normalize": "auto"}"#,
        r#"{"layers": ["convtranspose 65536 65535 stride=65536"], "normalize": "auto"}"#,
        r#"{"layers": ["conv 4 3 stride=0"], "normalize": "auto"}"#,
        r#"{"layers": ["conv 18446744073709551616 3"], "normalize": "auto"}"#,
        r#"{"layers": ["flatten", "dropout NaN"], "normalize": "auto"}"#,
        r#"{"layers": 3, "normalize": "auto"}"#,
        r#"{"layers": ["flatten", "dense 4"], "normalize": "imagenet", "other": 1}"#,
    ] {
        assert!(with(text), "{text}");
    }
}

#[test]
fn two_trainings_at_once_do_not_disturb_each_other() {
    check(|tiny, classes| {
        let alone: Vec<Vec<f32>> = [1, 2].map(|seed| tiny.trained(classes, seed, 2)).into();
        let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let threads: Vec<_> = [1, 2].map(|seed| scope.spawn(move || tiny.trained(classes, seed, 2))).into();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        ensure(alone[0] != alone[1], || "the seed changes nothing".into())?;
        ensure(alone == together, || "another training changed the result".into())
    });
}

#[test]
fn the_number_of_threads_changes_nothing() {
    check(|tiny, classes| {
        let trained = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| tiny.trained(classes, 1, 2))
        };
        let [one, two] = [1, 2].map(trained);
        let apart = one.iter().zip(&two).filter(|(a, b)| a != b).count();
        ensure(apart == 0, || format!("{apart} of {} numbers changed with the second thread", one.len()))
    });
}

#[test]
fn wrong_inputs_are_refused() {
    check(|tiny, classes| {
        let table = tiny.table(classes);
        let trainee = tiny.trainee(classes);
        let predictor = trainee.freeze(crate::fixtures::arena(trainee.layout()));
        for (name, _) in batch(&table).inputs.iter() {
            let with = |other: Option<Column>| {
                let mut columns = batch(&table).inputs.select(|known| known != &**name);
                other.into_iter().for_each(|column| columns.insert(name.clone(), column));
                columns
            };
            let texts = Column::Array(Arc::new(arrow_array::StringArray::from(vec!["a"; ROWS])));
            let mut wrong = vec![("texts", with(Some(texts))), ("nothing", with(None))];
            if let Inputs::Images([height, width, channels]) = tiny.inputs {
                let larger = crate::fixtures::table(ROWS, [height + 1, width, channels], classes);
                wrong.push(("images of another size", batch(&larger).inputs));
            }
            for (what, columns) in wrong {
                let asked = predictor.predict(&columns, &Default::default());
                let is_told = asked.is_err_and(|error| error.exit() == Exit::Data && error.to_string().contains(&**name));
                ensure(is_told || columns.is_empty(), || format!("{what} for {name}"))?;
            }
        }
        let none = batch(&table).inputs.take(&[]);
        ensure(predictor.predict(&none, &Default::default()).is_ok(), || "no rows had no answer".into())
    });
}
