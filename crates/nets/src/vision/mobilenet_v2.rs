//! MobileNetV2 (Sandler, Howard, Zhu, Zhmoginov, Chen: "MobileNetV2: Inverted residuals and linear bottlenecks", CVPR 2018, Table 2), with
//! the names, shapes and first weights of torchvision's `mobilenet_v2`, so that its weights open by name.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "mobilenet_v2").expect("mobilenet_v2 is registered");
//! let half = cupola_task::Value::Real(0.5);
//! let settings = cupola_task::Settings::check("model", model.settings, [("width_mult", &half)])?;
//! assert_eq!((settings.real("width_mult"), settings.real("dropout")), (0.5, 0.2));
//! # Ok::<(), cupola_task::Error>(())
//! ```

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, BatchNorm, Bias, Conv, Dense, Init, Padding, Stack};
use cupola_task::{ImageNeeds, ModelDef, Range, Result, Setting, Settings};

/// The registry's entry.
pub(crate) const MOBILENET_V2: ModelDef = image_model!(
    "mobilenet_v2",
    "MobileNetV2: inverted residuals of depthwise convolutions, with torchvision's names and shapes.",
    ImageNeeds { channels: None, size: None, size_default: 224, size_min: 1 },
    Architecture { settings: &[WIDTH_MULT, DROPOUT, NORMALIZE], field: None, build },
);

const WIDTH_MULT: Setting = Setting {
    name: "width_mult",
    alias: &["alpha"],
    default: "1.0",
    range: Range::Real { min: 0.1, max: 4.0 },
    doc: "All layers have this many times the paper's maps, rounded to multiples of 8.",
};

const DROPOUT: Setting = Setting {
    name: "dropout",
    alias: &[],
    default: "0.2",
    range: Range::Real { min: 0.0, max: 0.95 },
    doc: "The share of numbers that is dropped in front of the last layer while it learns.",
};

/// The paper's Table 2: expansion, maps, blocks, stride of the first block.
const STAGES: [[usize; 4]; 7] = [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

fn build(settings: &Settings, stack: &mut Stack<'_>, outputs: usize) -> Result<()> {
    let width = settings.real("width_mult");
    let maps = |maps: usize| multiple_of_8(maps as f64 * width);
    stack.at("features.0", |stack| conv_norm(stack, conv(maps(32), 3, 2), Activation::Relu6))?;
    let mut place = 1;
    for [expansion, out, blocks, stride] in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            inverted_residual(stack, &format!("features.{place}"), expansion, maps(out), stride)?;
            place += 1;
        }
    }
    // The last convolution does not get narrower than the paper's.
    let last = multiple_of_8(1280.0 * width.max(1.0));
    stack.at(&format!("features.{place}"), |stack| conv_norm(stack, conv(last, 1, 1), Activation::Relu6))?;
    stack.adaptive_avg_pool("avgpool", 1)?;
    stack.flatten()?;
    stack.dropout("classifier.0", settings.real("dropout"))?;
    stack.linear("classifier.1", Dense { out: outputs, bias: Bias::Zero, init: Init::Normal(0.01) })
}

/// Rounds to a multiple of 8 that is not more than a tenth below (torchvision's `_make_divisible`).
fn multiple_of_8(maps: f64) -> usize {
    let rounded = ((maps + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * maps { rounded + 8 } else { rounded }
}

fn conv(out: usize, kernel: usize, stride: usize) -> Conv {
    Conv { stride, padding: Padding::Each(kernel / 2), bias: Bias::None, init: Init::FanOut, ..Conv::new(out, kernel) }
}

fn conv_norm(stack: &mut Stack<'_>, conv: Conv, activation: Activation) -> Result<()> {
    stack.conv2d("0", conv)?;
    stack.batch_norm("1", BatchNorm::default())?;
    stack.activation("2", activation)
}

/// Wider by a 1x1 convolution, a 3x3 one map by map, and narrow again without an activation; around it a shortcut where shapes are equal.
fn inverted_residual(stack: &mut Stack<'_>, name: &str, expansion: usize, out: usize, stride: usize) -> Result<()> {
    let channels = stack.shape().channels();
    let hidden = channels * expansion;
    let body = |stack: &mut Stack<'_>| {
        let mut place = 0;
        if expansion != 1 {
            stack.at("0", |stack| conv_norm(stack, conv(hidden, 1, 1), Activation::Relu6))?;
            place = 1;
        }
        let depthwise = Conv { groups: hidden, ..conv(hidden, 3, stride) };
        stack.at(&place.to_string(), |stack| conv_norm(stack, depthwise, Activation::Relu6))?;
        stack.conv2d(&(place + 1).to_string(), conv(out, 1, 1))?;
        stack.batch_norm(&(place + 2).to_string(), BatchNorm::default())
    };
    let named = |stack: &mut Stack<'_>| stack.at("conv", body);
    match stride == 1 && channels == out {
        true => stack.residual(name, named, |_| Ok(()), Activation::Identity),
        false => stack.at(name, named),
    }
}
