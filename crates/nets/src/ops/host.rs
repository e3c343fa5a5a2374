//! Operations of ours in Burn's graph: a backend extension for the CPU backend, with gradients written by hand.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, DispatchTensor, Flex, backend_extension};
use burn::tensor::{Device, Tensor, TensorData};
use burn_flex::FlexTensor;
use std::fmt::Debug;
use std::sync::Arc;

/// An operation on host memory. One value is one call: what its way backwards needs beside tensors it keeps itself.
pub(super) trait Operation: Debug + Send + Sync + 'static {
    /// Which of its tensors its way backwards looks at.
    fn keeps(&self) -> Kept {
        Kept::default()
    }

    /// The output.
    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor;

    /// Inputs whose gradient is the output's, marked as in [`Kept`]; `backward` gives none for them.
    fn hands_on(&self) -> u8 {
        0
    }

    /// Gradients for the inputs that `wanted` marks. What is not kept is empty in `inputs` and `output`. An operation without a way backwards
    /// is for answers alone.
    fn backward(&self, _inputs: &[Host<'_>], _output: Host<'_>, _gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        unreachable!("{self:?} is for answers alone")
    }
}

/// Tensors that stay until the way backwards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// Of the inputs, the ones whose bit is set, the first one's the lowest.
    pub inputs: u8,
    /// The output.
    pub output: bool,
}

/// A tensor's numbers, row by row, and its sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host<'a> {
    pub values: &'a [f32],
    pub sides: &'a [usize],
}

impl Host<'_> {
    /// The sides, whose number is known.
    pub fn dims<const D: usize>(&self) -> [usize; D] {
        self.sides.try_into().expect("an operation knows the ranks of its inputs")
    }
}

/// A tensor filled by a kernel, which writes every number. (`FlexTensor::empty` would copy them, for its bytes are not aligned for numbers.)
pub(super) fn filled(sides: &[usize], fill: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut values = cupola_kernels::unwritten(sides.iter().product());
    fill(&mut values);
    tensor(sides, values)
}

/// A tensor of numbers that are there.
pub(super) fn tensor(sides: &[usize], values: Vec<f32>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, sides.to_vec()))
}

/// Whether kernels of ours run there.
pub(crate) fn on_host(device: &Device) -> bool {
    // Devices are equal when the hardware is, whether they record gradients or not.
    *device == Device::flex()
}

/// Runs an operation on the host, and records it where gradients are wanted.
pub(super) fn run<const D: usize>(operation: impl Operation, inputs: Vec<DispatchTensor>) -> Tensor<D> {
    let operation = Arc::new(operation);
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next();
    Tensor::from_dispatch(match [next(), next(), next(), next(), next()] {
        [Some(a), None, ..] => Dispatch::unary(operation, a),
        [Some(a), Some(b), None, ..] => Dispatch::binary(operation, a, b),
        [Some(a), Some(b), Some(c), None, _] => Dispatch::ternary(operation, a, b, c),
        [Some(a), Some(b), Some(c), Some(d), None] => Dispatch::quaternary(operation, a, b, c, d),
        [Some(a), Some(b), Some(c), Some(d), Some(e)] => Dispatch::quinary(operation, a, b, c, d, e),
        _ => unreachable!("an operation has one to five inputs"),
    })
}

/// The extension: one method for each number of inputs (Burn's macro takes no lists), so that Burn's graph is met once for all operations.
#[backend_extension(Flex, Autodiff)]
pub(super) trait Operate: Backend {
    /// The output of an operation on one tensor.
    fn unary(operation: Arc<dyn Operation>, a: FloatTensor<Self>) -> FloatTensor<Self>;
    /// On two.
    fn binary(operation: Arc<dyn Operation>, a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;
    /// On three.
    fn ternary(operation: Arc<dyn Operation>, a: FloatTensor<Self>, b: FloatTensor<Self>, c: FloatTensor<Self>) -> FloatTensor<Self>;
    /// On four.
    fn quaternary(
        operation: Arc<dyn Operation>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// On five.
    fn quinary(
        operation: Arc<dyn Operation>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl Operate for Flex {
    fn unary(operation: Arc<dyn Operation>, a: FlexTensor) -> FlexTensor {
        forward(&*operation, &[a].map(in_order))
    }

    fn binary(operation: Arc<dyn Operation>, a: FlexTensor, b: FlexTensor) -> FlexTensor {
        forward(&*operation, &[a, b].map(in_order))
    }

    fn ternary(operation: Arc<dyn Operation>, a: FlexTensor, b: FlexTensor, c: FlexTensor) -> FlexTensor {
        forward(&*operation, &[a, b, c].map(in_order))
    }

    fn quaternary(operation: Arc<dyn Operation>, a: FlexTensor, b: FlexTensor, c: FlexTensor, d: FlexTensor) -> FlexTensor {
        forward(&*operation, &[a, b, c, d].map(in_order))
    }

    fn quinary(operation: Arc<dyn Operation>, a: FlexTensor, b: FlexTensor, c: FlexTensor, d: FlexTensor, e: FlexTensor) -> FlexTensor {
        forward(&*operation, &[a, b, c, d, e].map(in_order))
    }
}

impl<C: CheckpointStrategy> Operate for Autodiff<Flex, C> {
    fn unary(operation: Arc<dyn Operation>, a: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<1, C>(operation, [a])
    }

    fn binary(operation: Arc<dyn Operation>, a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<2, C>(operation, [a, b])
    }

    fn ternary(operation: Arc<dyn Operation>, a: FloatTensor<Self>, b: FloatTensor<Self>, c: FloatTensor<Self>) -> FloatTensor<Self> {
        record::<3, C>(operation, [a, b, c])
    }

    fn quaternary(
        operation: Arc<dyn Operation>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<4, C>(operation, [a, b, c, d])
    }

    fn quinary(
        operation: Arc<dyn Operation>,
        a: FloatTensor<Self>,
        b: FloatTensor<Self>,
        c: FloatTensor<Self>,
        d: FloatTensor<Self>,
        e: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        record::<5, C>(operation, [a, b, c, d, e])
    }
}

fn record<const N: usize, C: CheckpointStrategy>(
    operation: Arc<dyn Operation>,
    inputs: [FloatTensor<Autodiff<Flex, C>>; N],
) -> FloatTensor<Autodiff<Flex, C>> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let tensors = |inputs: [FloatTensor<Autodiff<Flex, C>>; N]| inputs.map(|input| in_order(input.into_primitive()));
    match Recorded.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let inputs = tensors(inputs);
            let output = forward(&*operation, &inputs);
            let keeps = operation.keeps();
            let kept = |place: usize, tensor: FlexTensor| (keeps.inputs >> place & 1 == 1).then_some(tensor);
            let mut places = 0..;
            let inputs = inputs.map(|tensor| kept(places.next().unwrap_or_default(), tensor));
            let state = State { operation, inputs, output: keeps.output.then(|| output.clone()) };
            prepared.finish(state, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(&*operation, &tensors(inputs))),
    }
}

/// Marks an operation of ours in Burn's graph.
#[derive(Debug)]
struct Recorded;

#[derive(Clone, Debug)]
struct State<const N: usize> {
    operation: Arc<dyn Operation>,
    inputs: [Option<FlexTensor>; N],
    output: Option<FlexTensor>,
}

impl<const N: usize> Backward<Flex, N> for Recorded {
    type State = State<N>;

    fn backward(self, ops: Ops<State<N>, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let gradient = in_order(gradients.consume::<Flex>(&ops.node));
        let State { operation, inputs, output } = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let inputs = inputs.each_ref().map(|input| input.as_ref().map_or(NOTHING, host));
        let output = output.as_ref().map_or(NOTHING, host);
        let found = operation.backward(&inputs, output, host(&gradient), &wanted);
        assert_eq!(found.len(), N, "an operation has a gradient, or none, for each input");
        for (place, (parent, found)) in ops.parents.into_iter().zip(found).enumerate() {
            if let Some(parent) = parent {
                let handed_on = (operation.hands_on() >> place & 1 == 1).then(|| gradient.clone());
                gradients.register::<Flex>(parent.id, handed_on.or(found).expect("an operation gives the gradients that are wanted"));
            }
        }
    }
}

const NOTHING: Host<'static> = Host { values: &[], sides: &[] };

fn forward(operation: &dyn Operation, inputs: &[FlexTensor]) -> FlexTensor {
    let inputs: Vec<Host<'_>> = inputs.iter().map(host).collect();
    operation.forward(&inputs)
}

fn host(tensor: &FlexTensor) -> Host<'_> {
    let layout = tensor.layout();
    let start = layout.start_offset();
    Host { values: &tensor.storage::<f32>()[start..start + layout.num_elements()], sides: layout.shape() }
}

/// The same numbers, row by row.
fn in_order(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() }
}
