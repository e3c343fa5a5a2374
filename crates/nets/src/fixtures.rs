//! Weights, images and schemas that tests make by formula, as `parity/formula.py` does for the reference implementation.

use crate::layout::{Entry, Layout};
use crate::net::{Packed, Packing, Step, Trainee};
use crate::ops::Precision;
use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, FixedSizeListArray, Float64Array, UInt32Array};
use cupola_task::{
    Answer, Ask, Batch, Column, Columns, Dataset, Draw, Field, Images, Kind, ModelDef, Predictor, Role, Schema, Settings, Side, Splits,
    Table, Task, Value, Where,
};
use std::sync::Arc;

/// 32 mixed bits of a place under a name's [`seed`].
fn mixed(seed: u32, place: usize) -> u32 {
    let mut hash = (place as u32).wrapping_mul(2_654_435_761).wrapping_add(seed);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x045d_9f3b);
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x045d_9f3b);
    hash ^ (hash >> 16)
}

/// The formula's weights: kernels keep the size of what goes through them, the rest is near what it begins with.
pub(crate) fn arena(layout: &Layout) -> Vec<f32> {
    let mut arena = vec![0.0; layout.len()];
    for entry in layout.entries() {
        let seed = seed(&entry.path);
        let (base, scale) = base_and_scale(entry);
        for (place, value) in arena[entry.range()].iter_mut().enumerate() {
            let unit = f64::from(mixed(seed, place)) / 2f64.powi(31) - 1.0;
            *value = (base + scale * unit) as f32;
        }
    }
    arena
}

/// FNV-1a of 32 bits.
fn seed(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn base_and_scale(entry: &Entry) -> (f64, f64) {
    let name = entry.path.rsplit('.').next().unwrap_or("");
    match name {
        "mean" => (0.0, 0.0),
        "std" => (1.0, 0.0),
        "running_mean" | "bias" => (0.0, 0.1),
        "running_var" => (1.0, 0.5),
        _ if entry.shape.len() == 1 => (0.8, 0.1),
        _ => (0.0, (6.0 / (entry.len() / entry.shape[0]) as f64).sqrt()),
    }
}

/// A schema of images of that height, width and channels and a target of that many classes; 0 stands for a number.
pub(crate) fn schema([height, width, channels]: [u32; 3], classes: usize) -> Schema {
    let kind = Kind::Image { channels: channels as u8, size: Some([height, width]) };
    let (target, task) = match classes {
        0 => (Kind::Number, Task::Regress),
        _ => (Kind::Category { classes: (0..classes).map(|class| Arc::from(format!("c{class}"))).collect() }, Task::Classify),
    };
    Schema {
        fields: vec![
            Field { name: "image".into(), kind, role: Role::Input },
            Field { name: "label".into(), kind: target, role: Role::Target(task) },
        ],
    }
}

/// Patches of 8x8 with a quarter of noise, so that images and places differ far into a network.
fn image(row: usize, [height, width, channels]: [usize; 3]) -> impl Iterator<Item = u8> {
    let (fine, coarse) = (seed("image"), seed("patch"));
    let [high, wide] = [height, width].map(|side| side.div_ceil(8));
    (0..height * width * channels).map(move |place| {
        let [y, x, channel] = [place / channels / width, place / channels % width, place % channels];
        let patch = ((row * high + y / 8) * wide + x / 8) * channels + channel;
        let noise = mixed(fine, row * height * width * channels + place) >> 24;
        ((3 * (mixed(coarse, patch) >> 24) + noise) >> 2) as u8
    })
}

/// Images by formula, and labels one after another.
pub(crate) fn table(rows: usize, shape: [u32; 3], classes: usize) -> Table {
    let pixels: Vec<u8> = (0..rows).flat_map(|row| image(row, shape.map(|side| side as usize))).collect();
    let images = Images::packed(pixels, vec![shape; rows]);
    let labels = match classes {
        0 => Column::Array(Arc::new(Float64Array::from_iter_values((0..rows).map(|row| 3.0 + row as f64)))),
        _ => Column::Array(Arc::new(UInt32Array::from_iter_values((0..rows).map(|row| (row % classes) as u32)))),
    };
    let columns = Columns::new(vec![("image".into(), Column::Images(images)), ("label".into(), labels)]);
    Table::new(schema(shape, classes), columns).unwrap()
}

fn category(count: usize) -> Kind {
    Kind::Category { classes: (0..count).map(|class| Arc::from(format!("c{class}"))).collect() }
}

/// A number, a category of five classes with missing cells, a vector of two, and a target that depends on all of them.
pub(crate) fn columns_table(rows: usize, target: usize) -> Table {
    let draw = Draw::new(2);
    let number: Vec<f64> = (0..rows as u64).map(|row| draw.normal(row)).collect();
    let code: Vec<Option<u32>> = (0..rows as u64).map(|row| Some(draw.at(1).below(row, 6) as u32).filter(|code| *code < 5)).collect();
    let vector: Vec<[f32; 2]> = (0..rows as u64).map(|row| [draw.at(2).normal(row) as f32, draw.at(3).normal(row) as f32]).collect();
    let truth: Vec<f64> = (0..rows)
        .map(|row| number[row] * f64::from(vector[row][0]) + [0.0, 1.0, -1.0, 2.0, -2.0][code[row].unwrap_or(0) as usize])
        .collect();
    let vectors = vector.iter().map(|pair| Some(pair.iter().copied().map(Some)));
    let (kind, task, labels): (Kind, Task, ArrayRef) = match target {
        0 => (Kind::Number, Task::Regress, Arc::new(Float64Array::from_iter_values(truth.iter().map(|truth| 50.0 + 10.0 * truth)))),
        _ => {
            let code = |truth: &f64| ((truth + 2.0).clamp(0.0, 3.9) / 4.0 * target as f64) as u32;
            (category(target), Task::Classify, Arc::new(UInt32Array::from_iter_values(truth.iter().map(code))))
        }
    };
    let fields: [(&str, Kind, Role, ArrayRef); 4] = [
        ("number", Kind::Number, Role::Input, Arc::new(Float64Array::from(number))),
        ("code", category(5), Role::Input, Arc::new(UInt32Array::from(code))),
        (
            "vector",
            Kind::Vector { width: 2 },
            Role::Input,
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2)),
        ),
        ("target", kind, Role::Target(task), labels),
    ];
    let field = |(name, kind, role, _): &(&str, Kind, Role, ArrayRef)| Field { name: (*name).into(), kind: kind.clone(), role: *role };
    let schema = Schema { fields: fields.iter().map(field).collect() };
    Table::new(schema, Columns::new(fields.into_iter().map(|(name, .., array)| (name.into(), Column::Array(array))).collect())).unwrap()
}

/// All rows of a table as rows to learn from.
pub(crate) fn splits(table: &Table) -> Splits {
    Splits::new(Arc::new(table.clone()), &vec![Side::Train; table.columns().rows()])
}

/// All rows of a table as one batch.
pub(crate) fn batch(table: &Table) -> Batch {
    let rows: Vec<u64> = (0..table.len()).collect();
    table.read(&rows, Draw::default()).unwrap()
}

/// Settings as a command line writes them, `key=value` separated by semicolons.
pub(crate) fn settings(model: &ModelDef, text: &str) -> cupola_task::Result<Settings> {
    let pairs: Vec<(String, Value)> = text
        .split(';')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| pair.trim().split_once('=').expect("tests write key=value"))
        .map(|(name, value)| (name.to_owned(), Value::parse(value)))
        .collect();
    Settings::check("model", model.settings, pairs.iter().map(|(name, value)| (name.as_str(), value)))
}

pub(crate) fn model(name: &str) -> &'static ModelDef {
    crate::MODELS.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("{name} is registered"))
}

/// Where the tests' networks compute: a build for graphics cards tests the card, as `proof/gpu.sh` does.
const PLACE: Where = if cfg!(feature = "gpu") { Where::Gpu(0) } else { Where::Cpu };

pub(crate) fn trainee(name: &str, given: &str, schema: &Schema) -> cupola_task::Result<Box<dyn Trainee>> {
    let model = model(name);
    let cupola_task::Make::Trainee(make) = model.make else { panic!("networks are trainees") };
    Ok(crate::trainee(make(&settings(model, given)?, schema, PLACE)?))
}

/// A table's rows packed with their targets.
pub(crate) fn packed(trainee: &dyn Trainee, arena: &[f32], table: &Table) -> Packed {
    trainee.collate(arena, &batch(table), &Packing { truth: true, ..Packing::default() }).unwrap()
}

/// Loss and gradients of one batch; running statistics in the arena move.
pub(crate) fn gradients(trainee: &dyn Trainee, arena: &mut [f32], input: &Packed, draw: Draw) -> (f64, Vec<f32>) {
    let frozen = vec![false; trainee.layout().entries().len()];
    let mut gradients = vec![0.0; arena.len()];
    let step = Step { draw, share: 1.0, adds: false, frozen: &frozen, precision: Precision::F32 };
    let loss = trainee.gradients(arena, input, &step, &mut gradients).unwrap();
    (loss, gradients)
}

/// Asserts that the loss along each parameter's gradient rises by the gradient's norm.
pub(crate) fn check_gradients(name: &str, given: &str, table: &Table) {
    let trainee = trainee(name, given, table.schema()).unwrap();
    let arena = arena(trainee.layout());
    let input = packed(&*trainee, &arena, table);
    let draw = Draw::new(5);
    let (_, found) = gradients(&*trainee, &mut arena.clone(), &input, draw);
    for entry in trainee.layout().entries().iter().filter(|entry| entry.role == crate::Role::Trained) {
        let own = &found[entry.range()];
        let norm = own.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        let moved = |step: f64| {
            let mut moved = arena.clone();
            let scale = step / norm.max(1e-12);
            moved[entry.range()].iter_mut().zip(own).for_each(|(value, gradient)| *value += (f64::from(*gradient) * scale) as f32);
            gradients(&*trainee, &mut moved, &input, draw).0
        };
        // Losses are of f32: this step balances their rounding against the curve.
        let measured = (moved(1e-2) - moved(-1e-2)) / 2e-2;
        assert!((measured - norm).abs() < 2e-2 * norm + 2e-4, "{name} {given} {}: {measured} against {norm}", entry.path);
    }
}

/// What a network answers to a table's images: probabilities, or numbers.
pub(crate) fn outputs(trainee: &dyn Trainee, arena: &[f32], table: &Table) -> Vec<f32> {
    let predictor = trainee.freeze(arena.to_vec());
    answers(&*predictor, table).unwrap().iter().map(|&value| value as f32).collect()
}

/// A model's answers to a table's images, row by row.
pub(crate) fn answers(model: &dyn Predictor, table: &Table) -> cupola_task::Result<Vec<f64>> {
    let predictions = model.predict(&batch(table).inputs, &Ask::default())?;
    Ok(match predictions.0.into_iter().next().unwrap().1 {
        Answer::Scores { values, .. } | Answer::Numbers { values, .. } => values,
        _ => panic!("networks on images answer classes and numbers"),
    })
}
