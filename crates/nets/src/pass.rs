//! One way through a network: weights as tensors, and what the way needs to know.

use crate::layout::{Adapter, Layout, Param, Role};
use burn::tensor::{Device, Tensor, TensorData};
use cupola_task::Draw;
use std::cell::RefCell;
use std::time::Duration;

/// An arena as tensors on a device, one a parameter.
#[derive(Clone, Debug)]
pub struct Bound {
    tensors: Vec<Tensor<1>>,
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
    /// Tensors of all weights on a device.
    pub fn new(layout: &Layout, arena: &[f32], device: &Device) -> Bound {
        Bound::of(layout, arena, device, |_| false)
    }

    /// The same on a device that records gradients, for all trained entries that are not frozen.
    pub(crate) fn learning(layout: &Layout, arena: &[f32], device: &Device, frozen: &[bool]) -> Bound {
        Bound::of(layout, arena, device, |place| layout.entries()[place].role == Role::Trained && !frozen[place])
    }

    fn of(layout: &Layout, arena: &[f32], device: &Device, learns: impl Fn(usize) -> bool) -> Bound {
        assert_eq!(arena.len(), layout.len(), "the arena belongs to the layout");
        let tensor = |(place, entry): (usize, &crate::layout::Entry)| {
            let data = TensorData::new(cupola_kernels::copied(&arena[entry.range()]), [entry.len()]);
            let tensor = Tensor::<1>::from_data(data, device);
            if learns(place) { tensor.require_grad() } else { tensor }
        };
        Bound { tensors: layout.entries().iter().enumerate().map(tensor).collect() }
    }

    pub(crate) fn tensor(&self, place: usize) -> &Tensor<1> {
        &self.tensors[place]
    }
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

    /// A parameter in its shape, whose sides must be `D`, with what an adapter adds to it.
    pub fn get<const D: usize>(&self, param: Param) -> Tensor<D> {
        let shape: [usize; D] = self.layout.of(param).shape[..].try_into().expect("a parameter is used with its rank");
        let plain = self.bound.tensors[param.0].clone().reshape(shape);
        match self.layout.adapter(param) {
            None => plain,
            Some(Adapter { a, b, scale }) => plain + self.get::<2>(b).matmul(self.get::<2>(a)).mul_scalar(scale).reshape(shape),
        }
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
