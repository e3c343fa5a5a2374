//! Dense layers.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use cupola_kernels::matmul::{Matrix, column_sums, matmul};

/// `x` `[rows, in]` times the transpose of `weight` `[out, in]`, and `bias` `[out]` added.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if !on_host(&x.device()) {
        return module::linear(x, weight.transpose(), bias);
    }
    let bias = bias.map(Tensor::into_dispatch);
    run(Linear, [x.into_dispatch(), weight.into_dispatch()].into_iter().chain(bias).collect())
}

#[derive(Debug)]
struct Linear;

fn matrix<'a>(tensor: &Host<'a>) -> Matrix<'a> {
    let [rows, columns] = tensor.dims();
    Matrix::new(tensor.values, rows, columns)
}

impl Operation for Linear {
    fn keeps(&self) -> Kept {
        Kept { inputs: 0b11, output: false }
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let ([rows, _], [out, _]) = (inputs[0].dims(), inputs[1].dims());
        let bias = inputs.get(2).map(|bias| bias.values);
        filled(&[rows, out], |y| matmul(matrix(&inputs[0]), matrix(&inputs[1]).transposed(), bias, y))
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = [inputs[0], inputs[1]];
        let dy = matrix(&gradient);
        let dx = wanted[0].then(|| filled(x.sides, |dx| matmul(dy, matrix(&weight), None, dx)));
        let dw = wanted[1].then(|| filled(weight.sides, |dw| matmul(dy.transposed(), matrix(&x), None, dw)));
        let db = |wanted: &bool| wanted.then(|| filled(&weight.sides[..1], |db| column_sums(gradient.values, db)));
        [dx, dw].into_iter().chain(wanted.get(2).map(db)).collect()
    }
}
