//! Transposed convolution.

use super::{Host, Kept, Operation, Precision, filled, on_host, run};
use burn::tensor::ops::ConvTransposeOptions;
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use cupola_kernels::conv_transpose2d as kernel;

/// Transposed convolution of `x` `[batch, channels, height, width]` with `weight` `[channels, filters / groups, height, width]` and `bias`
/// `[filters]`.
pub fn conv_transpose2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvTransposeOptions<2>) -> Tensor<4> {
    // Kernels add fewer rows than the stride; with a dilation there may be more.
    let is_ours = on_host(&x.device()) && options.padding_out.iter().zip(&options.stride).all(|(added, stride)| added < stride);
    if !is_ours {
        return module::conv_transpose2d(x, weight, bias, options);
    }
    let bias = bias.map(Tensor::into_dispatch);
    run(
        ConvTranspose2d { options, precision: Precision::current() },
        [x.into_dispatch(), weight.into_dispatch()].into_iter().chain(bias).collect(),
    )
}

#[derive(Debug)]
struct ConvTranspose2d {
    options: ConvTransposeOptions<2>,
    precision: Precision,
}

impl ConvTranspose2d {
    fn shape(&self, inputs: &[Host<'_>]) -> kernel::Shape {
        let [batch, channels, height, width] = inputs[0].dims();
        let [_, maps, rows, columns] = inputs[1].dims();
        let ConvTransposeOptions { stride, padding, padding_out: output_padding, dilation, groups } = self.options;
        let (filters, kernel) = (maps * groups, [rows, columns]);
        kernel::Shape { batch, channels, height, width, filters, kernel, stride, padding, output_padding, dilation, groups }
    }
}

impl Operation for ConvTranspose2d {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let shape = self.shape(inputs);
        let [height, width] = shape.output();
        let (bias, passes) = (inputs.get(2).map(|bias| bias.values), self.precision.passes());
        filled(&[shape.batch, shape.filters, height, width], |y| {
            kernel::forward(passes, &shape, inputs[0].values, inputs[1].values, bias, y)
        })
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let shape = self.shape(inputs);
        let [x, weight] = [inputs[0], inputs[1]];
        let (dy, passes) = (gradient.values, self.precision.passes());
        let dx = wanted[0].then(|| filled(x.sides, |dx| kernel::input_gradient(passes, &shape, weight.values, dy, dx)));
        let dw = wanted[1].then(|| filled(weight.sides, |dw| kernel::weight_gradient(passes, &shape, x.values, dy, dw)));
        let db = |wanted: &bool| wanted.then(|| filled(&[shape.filters], |db| kernel::bias_gradient(&shape, dy, db)));
        [dx, dw].into_iter().chain(wanted.get(2).map(db)).collect()
    }
}
