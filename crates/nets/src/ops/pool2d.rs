//! Pooling.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use cupola_kernels::pool2d::{self as kernel, Pooling, Shape};

/// The largest number under each window of `[batch, channels, height, width]`.
pub fn max_pool2d(x: Tensor<4>, options: MaxPoolOptions<2>) -> Tensor<4> {
    if !on_host(&x.device()) || options.dilation != [1; 2] || options.ceil_mode {
        return module::max_pool2d(x, options);
    }
    let padding = options.padding.map(|(before, _)| before);
    run(Pool { pooling: Pooling::Max, kernel: options.kernel_size, stride: options.stride, padding }, vec![x.into_dispatch()])
}

/// The mean under each window, padding counted.
pub fn avg_pool2d(x: Tensor<4>, options: AvgPoolOptions<2>) -> Tensor<4> {
    if !on_host(&x.device()) || !options.count_include_pad || options.ceil_mode {
        return module::avg_pool2d(x, options);
    }
    let padding = options.padding.map(|(before, _)| before);
    run(Pool { pooling: Pooling::Average, kernel: options.kernel_size, stride: options.stride, padding }, vec![x.into_dispatch()])
}

#[derive(Debug)]
struct Pool {
    pooling: Pooling,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

impl Pool {
    fn shape(&self, sides: [usize; 4]) -> Shape {
        let [batch, channels, height, width] = sides;
        Shape { maps: batch * channels, height, width, kernel: self.kernel, stride: self.stride, padding: self.padding }
    }
}

impl Operation for Pool {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b1, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let [batch, channels, rows, columns] = inputs[0].dims();
        let shape = self.shape([batch, channels, rows, columns]);
        let [height, width] = shape.output();
        filled(&[batch, channels, height, width], |y| kernel::forward(&shape, self.pooling, inputs[0].values, y))
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let shape = self.shape(inputs[0].dims());
        vec![Some(filled(inputs[0].sides, |dx| kernel::backward(&shape, self.pooling, inputs[0].values, gradient.values, dx)))]
    }
}
