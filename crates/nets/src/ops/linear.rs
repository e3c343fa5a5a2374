//! Dense layers.

use super::{Host, Kept, Operation, Precision, filled, on_host, run};
use burn::tensor::{Tensor, module};
use burn_flex::FlexTensor;
use cupola_kernels::bf16;
use cupola_kernels::matmul::{self, Matrix, column_sums};

/// `x` `[rows, in]` times the transpose of `weight` `[out, in]`, and `bias` `[out]` added.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if !on_host(&x.device()) {
        return module::linear(x, weight.transpose(), bias);
    }
    let bias = bias.map(Tensor::into_dispatch);
    run(Linear(Precision::current()), [x.into_dispatch(), weight.into_dispatch()].into_iter().chain(bias).collect())
}

#[derive(Debug)]
struct Linear(Precision);

impl Linear {
    fn product(&self, a: Matrix<'_>, b: Matrix<'_>, bias: Option<&[f32]>, c: &mut [f32]) {
        match self.0 {
            Precision::F32 => matmul::matmul(a, b, bias, c),
            Precision::Bf16 => bf16::matmul(a, b, bias, c),
        }
    }
}

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
        filled(&[rows, out], |y| self.product(matrix(&inputs[0]), matrix(&inputs[1]).transposed(), bias, y))
    }

    fn backward(&self, inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [x, weight] = [inputs[0], inputs[1]];
        let dy = matrix(&gradient);
        let dx = wanted[0].then(|| filled(x.sides, |dx| self.product(dy, matrix(&weight), None, dx)));
        let dw = wanted[1].then(|| filled(weight.sides, |dw| self.product(dy.transposed(), matrix(&x), None, dw)));
        let db = |wanted: &bool| wanted.then(|| filled(&weight.sides[..1], |db| column_sums(gradient.values, db)));
        [dx, dw].into_iter().chain(wanted.get(2).map(db)).collect()
    }
}
