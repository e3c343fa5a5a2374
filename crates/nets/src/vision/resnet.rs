//! Residual networks for large photos (He, Zhang, Ren, Sun: "Deep residual learning for image recognition", CVPR 2016, Table 1), with the
//! names, shapes and first weights of torchvision's `resnet18` ... `resnet152`, so that its weights open by name.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "resnet50").expect("resnet50 is registered");
//! assert_eq!(model.settings[0].name, "zero_init_residual");
//! ```
//
// Differs: from the paper, as torchvision does (its "v1.5"): a bottleneck's stride is in its 3x3 convolution, not in the first 1x1.

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, BatchNorm, Bias, Conv, Dense, Init, Padding, Pool, Stack};
use cupola_task::{ImageNeeds, ModelDef, Range, Result, Setting, Settings};

/// The kind of residual block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1, the last with four times the maps.
    Bottleneck,
}

macro_rules! resnet {
    ($name:literal, $layers:literal, $block:expr, $blocks:expr) => {
        image_model!(
            $name,
            concat!("ResNet of ", $layers, " layers for large images, with torchvision's names and shapes."),
            ImageNeeds { channels: None, size: None, size_default: 224, size_min: 1 },
            Architecture {
                settings: &[ZERO_INIT_RESIDUAL, NORMALIZE],
                field: None,
                build: |settings, stack, outputs| build(settings, stack, outputs, $block, $blocks),
            },
        )
    };
}

/// The registry's entries.
pub(crate) const RESNET18: ModelDef = resnet!("resnet18", "18", Block::Basic, [2, 2, 2, 2]);
/// As above.
pub(crate) const RESNET34: ModelDef = resnet!("resnet34", "34", Block::Basic, [3, 4, 6, 3]);
/// As above.
pub(crate) const RESNET50: ModelDef = resnet!("resnet50", "50", Block::Bottleneck, [3, 4, 6, 3]);
/// As above.
pub(crate) const RESNET101: ModelDef = resnet!("resnet101", "101", Block::Bottleneck, [3, 4, 23, 3]);
/// As above.
pub(crate) const RESNET152: ModelDef = resnet!("resnet152", "152", Block::Bottleneck, [3, 8, 36, 3]);

const ZERO_INIT_RESIDUAL: Setting = Setting {
    name: "zero_init_residual",
    alias: &[],
    default: "false",
    range: Range::Flag,
    doc: "Whether each block begins as the identity: the weights of its last batch norm begin at 0 (Goyal et al. 2017).",
};

/// A convolution without bias that keeps the size when its stride is 1.
fn conv(out: usize, kernel: usize, stride: usize) -> Conv {
    Conv { stride, padding: Padding::Each(kernel / 2), bias: Bias::None, init: Init::FanOut, ..Conv::new(out, kernel) }
}

fn build(settings: &Settings, stack: &mut Stack<'_>, outputs: usize, block: Block, blocks: [usize; 4]) -> Result<()> {
    stack.conv2d("conv1", conv(64, 7, 2))?;
    stack.batch_norm("bn1", BatchNorm::default())?;
    stack.activation("relu", Activation::Relu)?;
    stack.max_pool("maxpool", Pool { kernel: 3, stride: 2, padding: 1 })?;
    for (stage, &count) in blocks.iter().enumerate() {
        for place in 0..count {
            let stride = if stage > 0 && place == 0 { 2 } else { 1 };
            add_block(stack, &format!("layer{}.{place}", stage + 1), block, 64 << stage, stride, settings.flag("zero_init_residual"))?;
        }
    }
    stack.adaptive_avg_pool("avgpool", 1)?;
    stack.flatten()?;
    stack.linear("fc", Dense::new(outputs))
}

fn add_block(stack: &mut Stack<'_>, name: &str, block: Block, width: usize, stride: usize, zero: bool) -> Result<()> {
    let convs = match block {
        Block::Basic => vec![conv(width, 3, stride), conv(width, 3, 1)],
        Block::Bottleneck => vec![conv(width, 1, 1), conv(width, 3, stride), conv(4 * width, 1, 1)],
    };
    let last = convs.len() - 1;
    let out = convs[last].out;
    let changes = stride != 1 || stack.shape().channels() != out;
    let body = |stack: &mut Stack<'_>| {
        for (place, conv) in convs.iter().enumerate() {
            stack.conv2d(&format!("conv{}", place + 1), *conv)?;
            let weight = if zero && place == last { 0.0 } else { 1.0 };
            stack.batch_norm(&format!("bn{}", place + 1), BatchNorm { weight, ..BatchNorm::default() })?;
            if place != last {
                stack.activation(&format!("relu{}", place + 1), Activation::Relu)?;
            }
        }
        Ok(())
    };
    let shortcut = |stack: &mut Stack<'_>| {
        if changes {
            stack.conv2d("downsample.0", conv(out, 1, stride))?;
            stack.batch_norm("downsample.1", BatchNorm::default())?;
        }
        Ok(())
    };
    stack.residual(name, body, shortcut, Activation::Relu)
}
