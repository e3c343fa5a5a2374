//! A convolution whose maps see some of the maps before them: layer C3 of LeCun et al. 1998, section II.B.

use super::features::{Features, Shape};
use super::init::{Bias, Init};
use super::stack::{Stack, maps, misfit};
use crate::layout::{Fill, Param};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor, TensorData};
use cupola_task::Result;

/// A convolution by a table of connections. Only kernels of the table exist; they are stored one after another, map by map.
#[derive(Clone, Debug)]
pub struct PartialConv2d {
    weight: Param,
    bias: Param,
    table: &'static [&'static [usize]],
    inputs: usize,
    kernel: usize,
    number: usize,
}

impl Stack<'_> {
    /// Puts such a convolution on top, with `weight` `[connections, kernel, kernel]` and `bias` `[maps out]`. `table` lists for each map
    /// out the maps in that it sees.
    ///
    /// # Errors
    /// When the input is no maps, they are smaller than the kernel, or the table names one that is not there.
    pub fn partial_conv2d(&mut self, name: &str, table: &'static [&'static [usize]], kernel: usize, init: Init) -> Result<()> {
        self.add(name, |builder, input| {
            let kind = format!("partialconv {} {kernel}", table.len());
            let [inputs, height, width] = maps(builder, &kind, input)?;
            let seen = 1 + table.iter().flat_map(|row| row.iter()).max().copied().unwrap_or(0);
            if inputs != seen || height.min(width) < kernel {
                return Err(misfit(builder, &kind, input, format!("{seen} maps of at least {kernel}x{kernel}")));
            }
            let connections: usize = table.iter().map(|row| row.len()).sum();
            let area = kernel * kernel;
            // Maps of this layer have different fans in; the mean one stands for all.
            let fill: Fill = init.fill(connections * area / table.len(), table.len() * area);
            let weight = builder.param("weight", &[connections, kernel, kernel], fill);
            let bias = builder.param("bias", &[table.len()], Bias::AsWeights.fill(fill).unwrap_or(fill));
            let output = Shape::Maps([table.len(), height + 1 - kernel, width + 1 - kernel]);
            let places = output.len() / table.len();
            let number = builder.layer(kind, &output.sides(), 2 * (connections * area * places) as u64);
            Ok((PartialConv2d { weight, bias, table, inputs, kernel, number }, output))
        })
    }
}

impl PartialConv2d {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        pass.layer(self.number, || {
            let [connections, height, width] = [self.table.iter().map(|row| row.len()).sum(), self.kernel, self.kernel];
            let kernels = pass.get::<3>(self.weight).reshape([connections, height * width]);
            // A matrix product spreads the kernels over [out, in] and leaves zeros where the table has no connection.
            let dense = self.spread(connections, pass.device()).matmul(kernels); // [out * in, height * width]
            let dense = dense.reshape([self.table.len(), self.inputs, height, width]);
            let options = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
            Features::Maps(ops::conv2d(input.maps(), dense, Some(pass.get(self.bias)), options))
        })
    }

    /// `[out * in, connections]`: 1 where a kernel goes to its pair of maps.
    fn spread(&self, connections: usize, device: &Device) -> Tensor<2> {
        let mut values = vec![0.0f32; self.table.len() * self.inputs * connections];
        let pairs = self.table.iter().enumerate().flat_map(|(out, row)| row.iter().map(move |&seen| out * self.inputs + seen));
        for (connection, pair) in pairs.enumerate() {
            values[pair * connections + connection] = 1.0;
        }
        Tensor::from_data(TensorData::new(values, [self.table.len() * self.inputs, connections]), device)
    }
}
