//! A network's layers with shapes, parameters, work and time.

use crate::{Error, Pipeline, Result};
use arrow_array::{FixedSizeListArray, Float32Array, Float64Array, UInt32Array};
use arrow_schema::{DataType, Field as ArrowField};
use cupola_nets::{LayerRow, Packing, Stopwatch, Trainee, trainee};
use cupola_task::{
    Batch, Column, Columns, Draw, Field, Images, Kind, Make, MakeTrainee, ModelDef, Needs, Role, Schema, Settings, Task, Where,
};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// What `cupola model show` tells.
pub struct Shown {
    /// The model's name.
    pub model: String,
    /// Shape of one row's input, where the input is an image.
    pub input: Option<[usize; 3]>,
    /// All layers, from input to output.
    pub layers: Vec<LayerRow>,
    /// Time of each layer for one row, in a batch of [`Shown::rows`].
    pub times: Vec<Duration>,
    /// Rows of the batch that was timed.
    pub rows: usize,
    /// Trained numbers.
    pub params: u64,
    /// Multiplications and additions for one row, forwards.
    pub flops: u64,
    /// Paths and shapes of all that a weights file holds.
    pub entries: Vec<(String, Vec<usize>)>,
}

/// What a network is shown for when there is no data: image size, channels and classes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assumed {
    /// Height and width.
    pub size: Option<u32>,
    /// Channels.
    pub channels: Option<u8>,
    /// Classes.
    pub classes: Option<usize>,
}

const REPEATS: u32 = 5;
const ROWS: usize = 8;
/// Classes of ImageNet, and of small sets such as MNIST.
const CLASSES: [usize; 2] = [1000, 10];

/// Shows a model of the registry.
///
/// # Errors
/// When the model is no network, or cannot be built for what is assumed.
pub fn show(def: &ModelDef, settings: &Settings, assumed: Assumed, device: Where, clock: &(dyn Fn() -> Duration + Sync)) -> Result<Shown> {
    let Needs::Images(needs) = def.needs else {
        return Err(match def.make {
            Make::Trainee(_) => Error::recipe("command line", format!("the layers of {} follow from the columns of a table", def.name))
                .with_hint("train it and show the run: cupola model show runs/latest"),
            Make::Learner(_) | Make::Members => no_network(def.name),
        });
    };
    let size = assumed.size.map(|size| [size; 2]).or(needs.size).unwrap_or([needs.size_default; 2]);
    let channels = assumed.channels.or(needs.channels).unwrap_or(3);
    let classes = assumed.classes.unwrap_or(CLASSES[usize::from(needs.size.is_some() || size[0] < 64)]);
    let classes = (0..classes).map(|class| Arc::from(class.to_string())).collect();
    let field = |name: &str, kind, role| Field { name: name.into(), kind, role };
    let fields = vec![
        field("image", Kind::Image { channels, size: Some(size) }, Role::Input),
        field("label", Kind::Category { classes }, Role::Target(Task::Classify)),
    ];
    shown(def, settings, &Schema { fields }, device, clock)
}

/// Shows the network of a trained pipeline.
///
/// # Errors
/// When its model is no network.
pub fn show_pipeline(pipeline: &Pipeline, device: Where, clock: &(dyn Fn() -> Duration + Sync)) -> Result<Shown> {
    shown(pipeline.model, &pipeline.settings, pipeline.fitted.schema(), device, clock)
}

fn no_network(name: &str) -> Error {
    let able: Vec<&str> = crate::models().filter(|model| matches!(model.make, Make::Trainee(_))).map(|model| model.name).collect();
    Error::recipe("command line", format!("{name} is no network: it has no layers")).with_hint(format!("networks: {}", able.join(", ")))
}

fn shown(def: &ModelDef, settings: &Settings, schema: &Schema, device: Where, clock: &(dyn Fn() -> Duration + Sync)) -> Result<Shown> {
    let Make::Trainee(make) = def.make else { return Err(no_network(def.name)) };
    let trainee = built(make, settings, schema, device)?;
    let layout = trainee.layout();
    let input = schema.inputs().find_map(|field| match field.kind {
        Kind::Image { channels, size: Some([height, width]) } => Some([channels as usize, height as usize, width as usize]),
        _ => None,
    });
    Ok(Shown {
        model: def.name.to_owned(),
        input,
        times: times(&*trainee, schema, clock)?,
        rows: ROWS,
        params: layout.params(),
        flops: layout.flops(),
        entries: layout.entries().iter().map(|entry| (entry.path.clone(), entry.shape.clone())).collect(),
        layers: layout.layers().to_vec(),
    })
}

fn built(make: MakeTrainee, settings: &Settings, schema: &Schema, device: Where) -> Result<Box<dyn Trainee>> {
    Ok(trainee(make(settings, schema, device)?))
}

/// Each layer's time for one row: the least of a few passes, for whatever else the machine does only adds to it.
fn times(trainee: &dyn Trainee, schema: &Schema, clock: &(dyn Fn() -> Duration + Sync)) -> Result<Vec<Duration>> {
    let arena = trainee.layout().initial(Draw::new(0));
    let packed = trainee.collate(&arena, &sample(schema, ROWS), &Packing::default())?;
    let bound = trainee.bind(&arena);
    let mut least = vec![Duration::MAX; trainee.layout().layers().len()];
    for _ in 0..REPEATS {
        let stopwatch = Stopwatch { clock, times: RefCell::default() };
        trainee.time_layers(&bound, &packed, &stopwatch)?;
        least.iter_mut().zip(stopwatch.times.take()).for_each(|(least, time)| *least = (*least).min(time / ROWS as u32));
    }
    Ok(least)
}

/// Rows of the right kinds that hold nothing in particular.
fn sample(schema: &Schema, rows: usize) -> Batch {
    let columns = schema.inputs().filter_map(|field| Some((field.name.clone(), sample_column(&field.kind, rows)?))).collect();
    Batch { rows: (0..rows as u64).collect(), inputs: Columns::new(columns), targets: Columns::default(), keys: Columns::default() }
}

fn sample_column(kind: &Kind, rows: usize) -> Option<Column> {
    Some(match kind {
        Kind::Image { channels, size: Some([height, width]) } => {
            let shape = [*height, *width, u32::from(*channels)];
            let pixels: usize = shape.iter().map(|&side| side as usize).product();
            let noise = (0..pixels * rows).map(|place| (Draw::value(1, place as u64) >> 56) as u8).collect();
            Column::Images(Images::packed(noise, std::iter::repeat_n(shape, rows)))
        }
        Kind::Number => Column::Array(Arc::new(Float64Array::from(vec![0.5; rows]))),
        Kind::Category { .. } => Column::Array(Arc::new(UInt32Array::from(vec![0; rows]))),
        Kind::Vector { width } => {
            let item = Arc::new(ArrowField::new("item", DataType::Float32, false));
            let values = Arc::new(Float32Array::from(vec![0.5; rows * width]));
            Column::Array(Arc::new(FixedSizeListArray::new(item, *width as i32, values, None)))
        }
        _ => return None,
    })
}
