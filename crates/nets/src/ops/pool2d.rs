//! Pooling.

use super::conv2d::even;
use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use cupola_kernels::pool2d::{self as kernel, Pooling, Shape};
use std::sync::OnceLock;

/// The largest number under each window of `[batch, channels, height, width]`.
pub fn max_pool2d(x: Tensor<4>, options: MaxPoolOptions<2>) -> Tensor<4> {
    let is_ours = on_host(&x.device()) && options.dilation == [1; 2] && !options.ceil_mode;
    match even(options.padding).map(|padding| shape(x.dims(), options.kernel_size, options.stride, padding)) {
        Some(shape) if is_ours && shape.can_count() => {
            let winners = x.is_autodiff().then(OnceLock::new);
            run(Pool { sides: x.dims(), shape, pooling: Pooling::Max, winners }, vec![x.into_dispatch()])
        }
        _ => module::max_pool2d(x, options),
    }
}

/// The mean under each window, padding counted.
pub fn avg_pool2d(x: Tensor<4>, options: AvgPoolOptions<2>) -> Tensor<4> {
    let is_ours = on_host(&x.device()) && options.count_include_pad && !options.ceil_mode;
    match even(options.padding).map(|padding| shape(x.dims(), options.kernel_size, options.stride, padding)) {
        Some(shape) if is_ours => run(Pool { sides: x.dims(), shape, pooling: Pooling::Average, winners: None }, vec![x.into_dispatch()]),
        _ => module::avg_pool2d(x, options),
    }
}

fn shape([batch, channels, height, width]: [usize; 4], kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Shape {
    Shape { maps: batch * channels, height, width, kernel, stride, padding }
}

#[derive(Debug)]
struct Pool {
    sides: [usize; 4],
    shape: Shape,
    pooling: Pooling,
    /// The pixel that won each window, where the way back may ask for it.
    winners: Option<OnceLock<Vec<u32>>>,
}

impl Operation for Pool {
    fn keeps(&self) -> Kept {
        Kept::default()
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let [batch, channels, ..] = self.sides;
        let [height, width] = self.shape.output();
        filled(&[batch, channels, height, width], |y| match &self.winners {
            None => kernel::forward(&self.shape, self.pooling, inputs[0].values, y),
            Some(found) => {
                let mut winners = vec![0; y.len()];
                kernel::forward_max(&self.shape, inputs[0].values, y, &mut winners);
                found.set(winners).expect("an operation runs once");
            }
        })
    }

    fn backward(&self, _inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        vec![Some(filled(&self.sides, |dx| match self.winners.as_ref().map(OnceLock::get) {
            None => kernel::backward_average(&self.shape, gradient.values, dx),
            Some(found) => kernel::backward_max(&self.shape, found.expect("the way forwards comes first"), gradient.values, dx),
        }))]
    }
}
