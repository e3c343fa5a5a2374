//! One way through a network: weights as tensors, and what the way needs to know.

use crate::layout::{Adapter, Entry, Layout, Param, Role};
use crate::net::host;
use crate::numbers::Numbers;
use crate::ops::on_host;
use burn::tensor::{Device, Tensor, TensorData};
use cupola_task::Draw;
use std::any::Any;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// An arena on a device: a tensor for each parameter, made when it is asked for, and what layers make ready to answer with.
#[derive(Debug)]
pub struct Bound {
    arena: Arc<Vec<f32>>,
    tensors: Vec<OnceLock<Tensor<1>>>,
    prepared: Vec<OnceLock<Arc<dyn Any + Send + Sync>>>,
}

/// What a network sees while it computes.
pub struct Pass<'a> {
    layout: &'a Layout,
    bound: &'a Bound,
    device: &'a Device,
    mode: Mode<'a>,
    running: RefCell<Vec<(Param, Tensor<1>)>>,
    stopwatch: Option<&'a Stopwatch<'a>>,
}

/// Adds up the time of every layer.
pub struct Stopwatch<'a> {
    /// Time by the caller's clock.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
    /// One for each layer of the layout.
    pub times: RefCell<Vec<Duration>>,
}

/// Learning or answering.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Dropout drops, batch norm follows the batch.
    Training {
        /// Seeds what is random in this step.
        draw: Draw,
        /// For each entry of the layout whether it stays as it is.
        frozen: &'a [bool],
    },
    /// Nothing is random, nothing moves.
    Answering,
}

impl Bound {
    /// An arena to answer with.
    ///
    /// # Panics
    /// When it is not that of the layout.
    pub fn new(layout: &Layout, arena: Arc<Vec<f32>>) -> Bound {
        assert_eq!(arena.len(), layout.len(), "the arena belongs to the layout");
        let entries = layout.entries().len();
        let (tensors, prepared) = ((0..entries).map(|_| OnceLock::new()).collect(), (0..entries).map(|_| OnceLock::new()).collect());
        Bound { arena, tensors, prepared }
    }

    /// An arena on a device that records gradients, for all trained entries that are not frozen.
    pub(crate) fn learning(layout: &Layout, arena: &[f32], device: &Device, frozen: &[bool]) -> Bound {
        assert_eq!(arena.len(), layout.len(), "the arena belongs to the layout");
        let tensor = |(place, entry): (usize, &Entry)| {
            let tensor = uploaded(&arena[entry.range()], device);
            let learns = entry.role == Role::Trained && !frozen[place];
            OnceLock::from(if learns { tensor.require_grad() } else { tensor })
        };
        Bound { arena: Arc::default(), tensors: layout.entries().iter().enumerate().map(tensor).collect(), prepared: Vec::new() }
    }

    /// The tensor of an entry that learns.
    pub(crate) fn learned(&self, place: usize) -> &Tensor<1> {
        self.tensors[place].get().expect("whoever learns has all tensors")
    }
}

fn uploaded(numbers: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_data(TensorData::new(cupola_kernels::copied(numbers), [numbers.len()]), device)
}

impl<'a> Pass<'a> {
    /// A way through the network of that layout.
    pub fn new(layout: &'a Layout, bound: &'a Bound, device: &'a Device, mode: Mode<'a>) -> Pass<'a> {
        Pass { layout, bound, device, mode, running: RefCell::default(), stopwatch: None }
    }

    /// The same, with the time of every layer added up.
    pub fn timed(self, stopwatch: &'a Stopwatch<'a>) -> Pass<'a> {
        stopwatch.times.borrow_mut().resize(self.layout.layers().len(), Duration::ZERO);
        Pass { stopwatch: Some(stopwatch), ..self }
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// A parameter's sides, which must be `D`.
    pub fn sides<const D: usize>(&self, param: Param) -> [usize; D] {
        self.layout.of(param).shape[..].try_into().expect("a parameter is used with its rank")
    }

    /// A parameter in its shape, with what an adapter adds to it.
    pub fn get<const D: usize>(&self, param: Param) -> Tensor<D> {
        self.flat(param).reshape(self.sides::<D>(param))
    }

    fn flat(&self, param: Param) -> Tensor<1> {
        let entry = self.layout.of(param);
        let plain = self.bound.tensors[param.0].get_or_init(|| uploaded(&self.bound.arena[entry.range()], self.device)).clone();
        match self.layout.adapter(param) {
            None => plain,
            Some(Adapter { a, b, scale }) => plain + self.get::<2>(b).matmul(self.get::<2>(a)).mul_scalar(scale).reshape([entry.len()]),
        }
    }

    /// Whether layers may take together what follows one another, and keep what they make of weights: answers on the host.
    pub fn is_prepared(&self) -> bool {
        !self.is_training() && on_host(self.device)
    }

    /// A parameter's numbers, with what an adapter adds to it; for answers on the host.
    pub fn numbers(&self, param: Param) -> Numbers {
        match self.layout.adapter(param) {
            None => Numbers::part(&self.bound.arena, self.layout.of(param).range()),
            Some(_) => host(self.flat(param)).expect("memory of the host can be read").into(),
        }
    }

    /// What a layer makes ready of its weights, once for all answers. It is kept with one of the layer's parameters.
    pub fn prepared<T: Send + Sync + 'static>(&self, param: Param, make: impl FnOnce() -> T) -> Arc<T> {
        let place = &self.bound.prepared[param.0];
        if place.get().is_none() {
            // Nothing is waited for here: whoever comes second has made it in vain.
            let _ = place.set(Arc::new(make()));
        }
        let kept = place.get().expect("it was just filled, by this thread or another").clone();
        kept.downcast().unwrap_or_else(|_| unreachable!("a parameter belongs to one layer"))
    }

    /// Whether dropout drops.
    pub fn is_training(&self) -> bool {
        matches!(self.mode, Mode::Training { .. })
    }

    /// Whether a parameter's layer learns now: batch norm follows the batch only then.
    pub fn learns(&self, param: Param) -> bool {
        matches!(self.mode, Mode::Training { frozen, .. } if !frozen[param.0])
    }

    /// The randomness of a layer in this step; none when nothing is to be random.
    pub fn draw(&self, layer: usize) -> Option<Draw> {
        match self.mode {
            Mode::Training { draw, .. } => Some(Draw { stream: draw.stream.wrapping_add(layer as u64), ..draw }),
            Mode::Answering => None,
        }
    }

    /// New running statistics, which hold from the next step on.
    pub fn set_running(&self, param: Param, value: Tensor<1>) {
        self.running.borrow_mut().push((param, value));
    }

    pub(crate) fn into_running(self) -> Vec<(Param, Tensor<1>)> {
        self.running.into_inner()
    }

    /// Runs a layer, and measures it when this pass is timed. What the device has not finished yet counts for the layer that waits for it.
    pub fn layer<T>(&self, number: usize, forward: impl FnOnce() -> T) -> T {
        let Some(Stopwatch { clock, times }) = self.stopwatch else { return forward() };
        let start = clock();
        let result = forward();
        times.borrow_mut()[number] += clock().saturating_sub(start);
        result
    }
}
