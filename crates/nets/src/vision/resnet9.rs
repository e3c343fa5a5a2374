//! ResNet-9, the network of David Page's "How to train your ResNet" (2018; `cifar10-fast`): wide and shallow, made to learn CIFAR-10 in little
//! time. Four 3x3 convolutions with batch norm, halved by max pooling between them, two of them with a residual branch of two more
//! convolutions, the largest number of each map, and a dense layer without bias whose logits count an eighth.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "resnet9").expect("resnet9 is registered");
//! assert_eq!(model.tasks.len(), 2);
//! ```

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, BatchNorm, Bias, Conv, Dense, Padding, Pool, Stack};
use cupola_task::{ImageNeeds, ModelDef, Result};

/// The registry's entry.
pub(crate) const RESNET9: ModelDef = image_model!(
    "resnet9",
    "ResNet-9 of Page's cifar10-fast: eight wide 3x3 convolutions for images of 32x32, made to learn in little time.",
    ImageNeeds { channels: None, size: None, size_default: 32, size_min: 32 },
    Architecture { settings: &[NORMALIZE], field: None, build: |_, stack, outputs| build(stack, outputs) },
);

fn build(stack: &mut Stack<'_>, outputs: usize) -> Result<()> {
    stack.at("prep", |stack| conv_bn(stack, 64))?;
    stack.at("layer1", |stack| {
        conv_bn(stack, 128)?;
        stack.max_pool("pool", Pool::new(2))?;
        residual(stack, 128)
    })?;
    stack.at("layer2", |stack| {
        conv_bn(stack, 256)?;
        stack.max_pool("pool", Pool::new(2))
    })?;
    stack.at("layer3", |stack| {
        conv_bn(stack, 512)?;
        stack.max_pool("pool", Pool::new(2))?;
        residual(stack, 512)
    })?;
    stack.max_pool("pool", Pool::new(4))?;
    stack.flatten()?;
    stack.linear("linear", Dense { bias: Bias::None, ..Dense::new(outputs) })?;
    stack.scale("logits", 0.125)
}

fn conv_bn(stack: &mut Stack<'_>, out: usize) -> Result<()> {
    stack.conv2d("conv", Conv { padding: Padding::Each(1), bias: Bias::None, ..Conv::new(out, 3) })?;
    stack.batch_norm("bn", BatchNorm::default())?;
    stack.activation("relu", Activation::Relu)
}

fn residual(stack: &mut Stack<'_>, maps: usize) -> Result<()> {
    let body = |stack: &mut Stack<'_>| {
        stack.at("res1", |stack| conv_bn(stack, maps))?;
        stack.at("res2", |stack| conv_bn(stack, maps))
    };
    stack.residual("residual", body, |_| Ok(()), Activation::Identity)
}
