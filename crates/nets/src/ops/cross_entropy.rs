//! The loss of classes.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use burn_flex::FlexTensor;
use cupola_kernels::cross_entropy as kernel;

/// The sum over rows of the cross-entropy between `logits` and `targets`, both `[rows, classes]`, one number. Targets are probabilities times
/// the row's weight.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    match on_host(&logits.device()) {
        true => run(CrossEntropy, vec![logits.into_dispatch(), targets.into_dispatch()]),
        false => (log_softmax(logits, 1) * targets).sum().neg(),
    }
}

#[derive(Debug)]
struct CrossEntropy;

impl Operation for CrossEntropy {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let [rows, classes] = inputs[0].dims();
        let mut losses = vec![0.0; rows];
        kernel::losses(classes, inputs[0].values, inputs[1].values, &mut losses);
        filled(&[1], |sum| sum[0] = losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() as f32)
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [_, classes] = inputs[0].dims();
        let [logits, targets] = [inputs[0].values, inputs[1].values];
        vec![Some(filled(inputs[0].sides, |to| kernel::gradient(classes, logits, targets, gradient.values[0], to))), None]
    }
}
