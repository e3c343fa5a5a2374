//! Convolution.

use super::{Host, Kept, Operation, Precision, filled, on_host, run};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use cupola_kernels::conv2d as kernel;

/// Convolution of `x` `[batch, channels, height, width]` with `weight` `[filters, channels / groups, height, width]` and `bias` `[filters]`.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    let Some(shape) = on_host(&x.device()).then(|| conv_shape(x.dims(), weight.dims(), &options)).flatten() else {
        return module::conv2d(x, weight, bias, options);
    };
    let operation = Conv2d { precision: Precision::current(), shape };
    let bias = bias.map(Tensor::into_dispatch);
    run(operation, [x.into_dispatch(), weight.into_dispatch()].into_iter().chain(bias).collect())
}

/// The padding of both ends of a side: kernels know but one.
pub fn even(padding: [(usize, usize); 2]) -> Option<[usize; 2]> {
    let is_even = padding.iter().all(|(before, after)| before == after);
    is_even.then(|| padding.map(|(before, _)| before))
}

/// What a kernel is told about inputs and weights of such sides; none where padding differs at the ends of a side.
pub fn conv_shape(x: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Option<kernel::Shape> {
    let ([batch, channels, height, width], [filters, _, rows, columns]) = (x, weight);
    let ConvOptions { stride, dilation, groups, .. } = *options;
    even(options.padding).map(|padding| kernel::Shape {
        batch,
        channels,
        height,
        width,
        filters,
        kernel: [rows, columns],
        stride,
        padding,
        dilation,
        groups,
    })
}

#[derive(Debug)]
struct Conv2d {
    precision: Precision,
    shape: kernel::Shape,
}

impl Operation for Conv2d {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let shape = self.shape;
        let [height, width] = shape.output();
        let bias = inputs.get(2).map(|bias| bias.values);
        let forward = self.precision.passes().forward;
        filled(&[shape.batch, shape.filters, height, width], |y| forward(&shape, inputs[0].values, inputs[1].values, bias, y))
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let shape = self.shape;
        let [x, weight] = [inputs[0], inputs[1]];
        let dy = gradient.values;
        let passes = self.precision.passes();
        let dx = wanted[0].then(|| filled(x.sides, |dx| (passes.input_gradient)(&shape, weight.values, dy, dx)));
        let dw = wanted[1].then(|| filled(weight.sides, |dw| (passes.weight_gradient)(&shape, x.values, dy, dw)));
        let db = |wanted: &bool| wanted.then(|| filled(&[shape.filters], |db| kernel::bias_gradient(&shape, dy, db)));
        [dx, dw].into_iter().chain(wanted.get(2).map(db)).collect()
    }
}
