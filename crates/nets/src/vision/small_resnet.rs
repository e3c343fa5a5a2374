//! Residual networks for small images (He, Zhang, Ren, Sun: "Deep residual learning for image recognition", CVPR 2016, section 4.2): a 3x3
//! convolution, three stages of n blocks with 16, 32 and 64 maps, the mean of each map, a dense layer: 6n + 2 layers with weights. Stages two
//! and three begin with stride 2. Shortcuts are the paper's option A: they have no parameters, and new maps begin as zeros.
//!
//! Made for 32x32 (CIFAR) there; 28x28 works as well, with maps of 28, 14 and 7. The paper's are n = 3, 5, 7, 9 (`resnet20`, `resnet32`,
//! `resnet44`, `resnet56`); `resnet8` is n = 1 by the same rule.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "resnet20").expect("resnet20 is registered");
//! assert_eq!(model.tasks.len(), 2);
//! ```
//
// Differs: pixels are scaled channel by channel; the paper subtracts the mean of each pixel.

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, BatchNorm, Bias, Conv, Dense, Init, Padding, Stack};
use cupola_task::{ImageNeeds, ModelDef, Result};

macro_rules! small_resnet {
    ($name:literal, $layers:literal, $blocks:literal) => {
        image_model!(
            $name,
            concat!("ResNet of ", $layers, " layers for small images such as CIFAR's: three stages of 16, 32 and 64 maps."),
            ImageNeeds { channels: None, size: None, size_default: 32, size_min: 1 },
            Architecture { settings: &[NORMALIZE], field: None, build: |_, stack, outputs| build(stack, outputs, $blocks) },
        )
    };
}

/// The registry's entries.
pub(crate) const RESNET8: ModelDef = small_resnet!("resnet8", "8", 1);
/// As above.
pub(crate) const RESNET20: ModelDef = small_resnet!("resnet20", "20", 3);
/// As above.
pub(crate) const RESNET32: ModelDef = small_resnet!("resnet32", "32", 5);
/// As above.
pub(crate) const RESNET44: ModelDef = small_resnet!("resnet44", "44", 7);
/// As above.
pub(crate) const RESNET56: ModelDef = small_resnet!("resnet56", "56", 9);

fn conv(out: usize, stride: usize) -> Conv {
    Conv { stride, padding: Padding::Each(1), bias: Bias::None, init: Init::FanOut, ..Conv::new(out, 3) }
}

fn build(stack: &mut Stack<'_>, outputs: usize, blocks: usize) -> Result<()> {
    stack.conv2d("conv1", conv(16, 1))?;
    stack.batch_norm("bn1", BatchNorm::default())?;
    stack.activation("relu", Activation::Relu)?;
    for (stage, out) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            add_block(stack, &format!("layer{}.{block}", stage + 1), out, stride)?;
        }
    }
    stack.adaptive_avg_pool("avgpool", 1)?;
    stack.flatten()?;
    stack.linear("fc", Dense::new(outputs))
}

fn add_block(stack: &mut Stack<'_>, name: &str, out: usize, stride: usize) -> Result<()> {
    let body = |stack: &mut Stack<'_>| {
        stack.conv2d("conv1", conv(out, stride))?;
        stack.batch_norm("bn1", BatchNorm::default())?;
        stack.activation("relu1", Activation::Relu)?;
        stack.conv2d("conv2", conv(out, 1))?;
        stack.batch_norm("bn2", BatchNorm::default())
    };
    let shortcut = |stack: &mut Stack<'_>| if stride == 1 { Ok(()) } else { stack.thin_pad("shortcut", out, stride) };
    stack.residual(name, body, shortcut, Activation::Relu)
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{schema, trainee};

    #[test]
    fn they_have_as_many_numbers_as_the_paper_counts() {
        // Table 6 of the paper, in millions.
        for (name, millions) in [("resnet20", 0.27), ("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85)] {
            let trainee = trainee(name, "", &schema([32, 32, 3], 10)).unwrap();
            let params = trainee.layout().params() as f64 / 1e6;
            assert!((params - millions).abs() < 0.01, "{name}: {params}");
            assert_eq!(
                trainee.layout().layers().iter().filter(|layer| layer.kind.starts_with("conv") || layer.kind.starts_with("dense")).count(),
                name[6..].parse::<usize>().unwrap()
            );
        }
    }
}
