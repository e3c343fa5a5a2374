//! Rows of a table.

use super::{Host, Kept, Operation, filled, on_host, run};
use burn::tensor::{Int, Tensor, TensorData};
use burn_flex::FlexTensor;
use cupola_kernels::embedding as kernel;
use std::sync::Arc;

/// Row `places[i]` of a table `[rows, width]` as row i, `[places, width]`.
pub fn embedding(table: Tensor<2>, places: Arc<[u32]>) -> Tensor<2> {
    match on_host(&table.device()) {
        true => run(Embed { places, rows: table.dims()[0] }, vec![table.into_dispatch()]),
        false => elsewhere(table, &places),
    }
}

/// By stock operations.
pub(super) fn elsewhere(table: Tensor<2>, places: &[u32]) -> Tensor<2> {
    let count = places.len();
    let data = TensorData::new(places.iter().map(|place| *place as i32).collect::<Vec<_>>(), [count]);
    let places = Tensor::<1, Int>::from_data(data, &table.device());
    table.select(0, places)
}

#[derive(Debug)]
struct Embed {
    places: Arc<[u32]>,
    rows: usize,
}

impl Operation for Embed {
    fn keeps(&self) -> Kept {
        Kept::default()
    }

    fn forward(&self, inputs: &[Host<'_>]) -> FlexTensor {
        let [_, width] = inputs[0].dims();
        filled(&[self.places.len(), width], |y| kernel::forward(width, inputs[0].values, &self.places, y))
    }

    fn backward(&self, _inputs: &[Host<'_>], _output: Host<'_>, gradient: Host<'_>, _wanted: &[bool]) -> Vec<Option<FlexTensor>> {
        let [_, width] = gradient.dims();
        vec![Some(filled(&[self.rows, width], |dtable| kernel::backward(width, &self.places, None, gradient.values, dtable)))]
    }
}
