//! The one generic layer: [`Net`] is what a network's file implements, [`Trainee`] is what the training loop holds.
//! [`Training`] erases the one into the other once, so that the loop is compiled once.

use crate::device;
use crate::layout::{Layout, Role};
use crate::lora;
use crate::ops::Precision;
use crate::pass::{Bound, Mode, Pass, Stopwatch};
use crate::weights;
use burn::tensor::{Device, Tensor};
use cupola_task::{Ask, Batch, Columns, Draw, Error, Parts, Predictions, Predictor, Result, Settings, TrainSplit, Where};
use std::any::Any;
use std::sync::Arc;

/// A batch as its network takes it. Made on loader threads.
pub type Packed = Box<dyn Any + Send + Sync>;

/// Rows that were mixed (mixup, cutmix): row `i` is `share[i]` itself and the rest is row `partner[i]`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Blend {
    /// The other row.
    pub partner: Vec<u32>,
    /// The share of the row itself, 0 to 1.
    pub share: Vec<f32>,
}

/// How a batch is packed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Packing {
    /// Rows that were mixed.
    pub blend: Option<Blend>,
    /// Label smoothing: the share of each label that is spread over all classes.
    pub smoothing: f64,
    /// Whether the targets are packed too. Rows to answer have none.
    pub truth: bool,
}

/// A network. It holds parameters' places and settings, no weights and no state: all it does is a function of an arena and a batch.
pub trait Net: Send + Sync + 'static {
    /// A packed batch.
    type Input: Send + Sync + 'static;

    /// Its parameters and layers.
    fn layout(&self) -> &Layout;

    /// Learns what is fixed before the first step (means and scales of inputs and targets) from training rows.
    ///
    /// # Errors
    /// When the rows cannot be read.
    fn learn(&self, train: &TrainSplit, arena: &mut [f32]) -> Result<()>;

    /// Packs a batch. Of the arena only the fixed entries may be looked at.
    ///
    /// # Errors
    /// When a column is missing or of another kind than the schema said.
    fn collate(&self, arena: &[f32], batch: &Batch, packing: &Packing) -> Result<Self::Input>;

    /// How much the rows of a packed batch weigh together; their number when no column says otherwise.
    fn weight(&self, input: &Self::Input) -> f64;

    /// What the last layer gives, row by row, `[rows, width]`.
    fn outputs(&self, input: &Self::Input, pass: &Pass<'_>) -> Tensor<2>;

    /// The mean loss of [`Net::outputs`] over the rows' weights, a tensor of one number.
    fn loss(&self, outputs: Tensor<2>, input: &Self::Input, pass: &Pass<'_>) -> Tensor<1>;

    /// Answers from [`Net::outputs`].
    fn answer(&self, outputs: &[f32], arena: &[f32]) -> Predictions;
}

/// What a step of training is told.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Seeds dropout.
    pub draw: Draw,
    /// The loss is multiplied by it, so that gradients of several batches add up to those of one.
    pub share: f64,
    /// Whether gradients are added to those that are there; else they take their place.
    pub adds: bool,
    /// For each entry of the layout whether it stays as it is.
    pub frozen: &'a [bool],
    /// What products are computed in, forwards and backwards.
    pub precision: Precision,
}

/// A network with its type erased. It has no state, so one can serve several threads and several trainings.
pub trait Trainee: Send + Sync {
    /// Its parameters and layers, those of adapters among them.
    fn layout(&self) -> &Layout;

    /// Adds what the settings say about LoRA, which are checked against [`SETTINGS`](crate::optim::SETTINGS). Must come before all else.
    ///
    /// # Errors
    /// When a pattern fits nothing that could be added to.
    fn adapt(&mut self, settings: &Settings) -> Result<()>;

    /// First weights, with what is fixed learned from training rows.
    ///
    /// # Errors
    /// When the rows cannot be read.
    fn initial(&self, draw: Draw, train: &TrainSplit) -> Result<Vec<f32>>;

    /// See [`Net::collate`].
    ///
    /// # Errors
    /// As there.
    fn collate(&self, arena: &[f32], batch: &Batch, packing: &Packing) -> Result<Packed>;

    /// See [`Net::weight`].
    fn weight(&self, input: &Packed) -> f64;

    /// Writes the gradients of a batch to `gradients`, or adds them, moves running statistics in `arena` along, and gives the mean loss.
    ///
    /// # Errors
    /// When the device fails.
    fn gradients(&self, arena: &mut [f32], input: &Packed, step: &Step<'_>, gradients: &mut [f32]) -> Result<f64>;

    /// An arena to answer with.
    fn bind(&self, arena: &[f32]) -> Bound;

    /// What the last layer gives with nothing random, row by row.
    ///
    /// # Errors
    /// When the device fails.
    fn outputs(&self, bound: &Bound, input: &Packed) -> Result<Vec<f32>>;

    /// The mean loss of a batch with nothing random, and its answers.
    ///
    /// # Errors
    /// When the device fails.
    fn judge(&self, arena: &[f32], bound: &Bound, input: &Packed) -> Result<(f64, Predictions)>;

    /// One way forwards with the time of every layer.
    ///
    /// # Errors
    /// When the device fails.
    fn time_layers(&self, bound: &Bound, input: &Packed, stopwatch: &Stopwatch<'_>) -> Result<()>;

    /// The trained model; what adapters learned becomes part of the weights.
    fn freeze(&self, arena: Vec<f32>) -> Box<dyn Predictor>;
}

/// A network, where it computes, and what it was made from.
pub struct Training<N: Net> {
    net: Arc<N>,
    /// The network's own, and adapters.
    layout: Layout,
    settings: Settings,
    device: Device,
}

/// Rows that are answered together at most.
const ROWS_TOGETHER: usize = 256;

impl<N: Net> Training<N> {
    /// A network ready for the loop.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn new(net: N, settings: &Settings, place: Where) -> Result<Training<N>> {
        Ok(Training { layout: net.layout().clone(), net: Arc::new(net), settings: settings.clone(), device: device::open(place)? })
    }

    /// For the registry: boxed as a [`Trainee`], the type that the loop looks for in the box.
    pub fn boxed(self) -> Box<dyn Any + Send> {
        let trainee: Box<dyn Trainee> = Box::new(self);
        Box::new(trainee)
    }

    /// Opens a saved network's weights.
    ///
    /// # Errors
    /// When the part is missing, or its weights are not those of this network.
    pub fn open(self, parts: &Parts) -> Result<Box<dyn Predictor>> {
        let arena = weights::from_part(parts, &self.layout)?;
        Ok(self.freeze(arena))
    }

    fn differentiate(&self, arena: &mut [f32], packed: &Packed, step: &Step<'_>, gradients: &mut [f32]) -> Result<f64> {
        let layout = &self.layout;
        let device = self.device.clone().autodiff();
        let bound = Bound::learning(layout, arena, &device, step.frozen);
        let pass = Pass::new(layout, &bound, &device, Mode::Training { draw: step.draw, frozen: step.frozen });
        let input = input::<N>(packed);
        let loss = step.precision.within(|| self.net.loss(self.net.outputs(input, &pass), input, &pass));
        let running = pass.into_running();
        let mut found = loss.clone().mul_scalar(step.share).backward();
        for (place, entry) in layout.entries().iter().enumerate() {
            let learns = entry.role == Role::Trained && !step.frozen[place];
            let to = &mut gradients[entry.range()];
            match learns.then(|| bound.learned(place).grad_remove(&mut found)).flatten() {
                Some(gradient) if step.adds => cupola_kernels::add(&host(gradient)?, to),
                Some(gradient) => cupola_kernels::copy(&host(gradient)?, to),
                None if step.adds => {}
                None => to.fill(0.0),
            }
        }
        for (param, value) in running {
            arena[layout.of(param).range()].copy_from_slice(&host(value.inner())?);
        }
        Ok(f64::from(host(loss.inner())?[0]))
    }
}

/// The network that the registry's box holds.
pub fn trainee(boxed: Box<dyn Any + Send>) -> Box<dyn Trainee> {
    *boxed.downcast::<Box<dyn Trainee>>().expect("the registry boxes trainees")
}

fn input<N: Net>(packed: &Packed) -> &N::Input {
    packed.downcast_ref().expect("a batch is used by the network that packed it")
}

/// Numbers of a tensor on the host.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |error: String| Error::input("device", error, "a finished computation");
    let data = tensor.try_into_data().map_err(|error| failed(format!("{error:?}")))?;
    data.try_into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))
}

impl<N: Net> Trainee for Training<N> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn adapt(&mut self, settings: &Settings) -> Result<()> {
        self.layout = lora::adapted(self.net.layout(), settings)?;
        Ok(())
    }

    fn initial(&self, draw: Draw, train: &TrainSplit) -> Result<Vec<f32>> {
        let mut arena = self.layout.initial(draw);
        self.net.learn(train, &mut arena)?;
        Ok(arena)
    }

    fn collate(&self, arena: &[f32], batch: &Batch, packing: &Packing) -> Result<Packed> {
        Ok(Box::new(self.net.collate(arena, batch, packing)?))
    }

    fn weight(&self, packed: &Packed) -> f64 {
        self.net.weight(input::<N>(packed))
    }

    fn gradients(&self, arena: &mut [f32], packed: &Packed, step: &Step<'_>, gradients: &mut [f32]) -> Result<f64> {
        if !step.precision.runs_on(&self.device) {
            let wanted = "f32, or device=cpu: bf16 is there on the processor";
            return Err(Error::setting("train.precision", "bf16 on another device", wanted));
        }
        self.differentiate(arena, packed, step, gradients)
    }

    fn bind(&self, arena: &[f32]) -> Bound {
        Bound::new(&self.layout, Arc::new(cupola_kernels::copied(arena)))
    }

    fn outputs(&self, bound: &Bound, packed: &Packed) -> Result<Vec<f32>> {
        let pass = Pass::new(&self.layout, bound, &self.device, Mode::Answering);
        host(Precision::F32.within(|| self.net.outputs(input::<N>(packed), &pass)))
    }

    fn judge(&self, arena: &[f32], bound: &Bound, packed: &Packed) -> Result<(f64, Predictions)> {
        let pass = Pass::new(&self.layout, bound, &self.device, Mode::Answering);
        let input = input::<N>(packed);
        let (outputs, loss) = Precision::F32.within(|| {
            let outputs = self.net.outputs(input, &pass);
            (outputs.clone(), self.net.loss(outputs, input, &pass))
        });
        let loss = host(loss)?[0];
        Ok((f64::from(loss), self.net.answer(&host(outputs)?, arena)))
    }

    fn time_layers(&self, bound: &Bound, packed: &Packed, stopwatch: &Stopwatch<'_>) -> Result<()> {
        let pass = Pass::new(&self.layout, bound, &self.device, Mode::Answering).timed(stopwatch);
        host(self.net.outputs(input::<N>(packed), &pass)).map(|_| ())
    }

    fn freeze(&self, arena: Vec<f32>) -> Box<dyn Predictor> {
        let arena = Arc::new(lora::merged(&self.layout, arena));
        let bound = Bound::new(self.net.layout(), arena.clone());
        Box::new(Network { net: self.net.clone(), settings: self.settings.clone(), device: self.device.clone(), arena, bound })
    }
}

/// A trained network.
struct Network<N: Net> {
    net: Arc<N>,
    settings: Settings,
    device: Device,
    arena: Arc<Vec<f32>>,
    bound: Bound,
}

impl<N: Net> Predictor for Network<N> {
    fn predict(&self, inputs: &Columns, _ask: &Ask) -> Result<Predictions> {
        let layout = self.net.layout();
        let mut outputs = Vec::new();
        let rows: Vec<u64> = (0..inputs.rows() as u64).collect();
        for rows in rows.chunks(ROWS_TOGETHER) {
            let batch = Batch { rows: rows.into(), inputs: inputs.take(rows), targets: Columns::default(), keys: Columns::default() };
            let input = self.net.collate(&self.arena, &batch, &Packing::default())?;
            let pass = Pass::new(layout, &self.bound, &self.device, Mode::Answering);
            outputs.extend(host(Precision::F32.within(|| self.net.outputs(&input, &pass)))?);
        }
        Ok(self.net.answer(&outputs, &self.arena))
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        weights::into_parts(&self.settings, self.net.layout(), &self.arena, parts)
    }
}
