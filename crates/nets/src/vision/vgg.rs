//! VGG (Simonyan, Zisserman: "Very deep convolutional networks for large-scale image recognition", ICLR 2015, Table 1, columns A, B, D and
//! E), with the names, shapes and first weights of torchvision's `vgg11` ... `vgg19_bn`, so that its weights open by name. Maps are pooled
//! to 7x7 in front of the dense layers, whatever their size.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "vgg16_bn").expect("vgg16_bn is registered");
//! let hidden = cupola_task::Value::Integer(256);
//! let settings = cupola_task::Settings::check("model", model.settings, [("hidden", &hidden)])?;
//! assert_eq!((settings.real("dropout"), settings.integer("hidden")), (0.5, 256));
//! # Ok::<(), cupola_task::Error>(())
//! ```
//
// Differs: `hidden` can make the two dense layers narrower than the paper's 4,096, which hold nine tenths of the network.

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, BatchNorm, Bias, Conv, Dense, Init, Padding, Pool, Stack};
use cupola_task::{ImageNeeds, ModelDef, Range, Result, Setting, Settings};

/// How many convolutions stand in front of each of the five poolings.
type Stages = [usize; 5];

const A: Stages = [1, 1, 2, 2, 2];
const B: Stages = [2, 2, 2, 2, 2];
const D: Stages = [2, 2, 3, 3, 3];
const E: Stages = [2, 2, 4, 4, 4];

/// Maps of each stage.
const MAPS: Stages = [64, 128, 256, 512, 512];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Norm {
    None,
    Batch,
}

macro_rules! vgg {
    ($name:literal, $layers:literal, $with:literal, $stages:expr, $norm:expr) => {
        image_model!(
            $name,
            concat!("VGG of ", $layers, " layers", $with, ", with torchvision's names and shapes."),
            ImageNeeds { channels: None, size: None, size_default: 224, size_min: 32 },
            Architecture {
                settings: &[DROPOUT, HIDDEN, NORMALIZE],
                field: None,
                build: |settings, stack, outputs| build(settings, stack, outputs, $stages, $norm),
            },
        )
    };
}

/// The registry's entries.
pub(crate) const VGG11: ModelDef = vgg!("vgg11", "11", "", A, Norm::None);
/// As above.
pub(crate) const VGG11_BN: ModelDef = vgg!("vgg11_bn", "11", " with batch norm", A, Norm::Batch);
/// As above.
pub(crate) const VGG13: ModelDef = vgg!("vgg13", "13", "", B, Norm::None);
/// As above.
pub(crate) const VGG13_BN: ModelDef = vgg!("vgg13_bn", "13", " with batch norm", B, Norm::Batch);
/// As above.
pub(crate) const VGG16: ModelDef = vgg!("vgg16", "16", "", D, Norm::None);
/// As above.
pub(crate) const VGG16_BN: ModelDef = vgg!("vgg16_bn", "16", " with batch norm", D, Norm::Batch);
/// As above.
pub(crate) const VGG19: ModelDef = vgg!("vgg19", "19", "", E, Norm::None);
/// As above.
pub(crate) const VGG19_BN: ModelDef = vgg!("vgg19_bn", "19", " with batch norm", E, Norm::Batch);

const DROPOUT: Setting = Setting {
    name: "dropout",
    alias: &[],
    default: "0.5",
    range: Range::Real { min: 0.0, max: 0.95 },
    doc: "The share of numbers that is dropped behind each of the two hidden dense layers while it learns.",
};

const HIDDEN: Setting = Setting {
    name: "hidden",
    alias: &[],
    default: "4096",
    range: Range::Integer { min: 1, max: 65_536 },
    doc: "How wide the two hidden dense layers are.",
};

fn build(settings: &Settings, stack: &mut Stack<'_>, outputs: usize, stages: Stages, norm: Norm) -> Result<()> {
    stack.at("features", |stack| features(stack, stages, norm))?;
    stack.adaptive_avg_pool("avgpool", 7)?;
    stack.flatten()?;
    stack.at("classifier", |stack| classifier(settings, stack, outputs))
}

/// Parameters are named by their place among convolutions, norms, activations and poolings.
fn features(stack: &mut Stack<'_>, stages: Stages, norm: Norm) -> Result<()> {
    let mut place = 0..;
    let mut name = || place.next().unwrap_or(0).to_string();
    for (convs, maps) in stages.into_iter().zip(MAPS) {
        for _ in 0..convs {
            stack.conv2d(&name(), Conv { padding: Padding::Each(1), bias: Bias::Zero, init: Init::FanOut, ..Conv::new(maps, 3) })?;
            if norm == Norm::Batch {
                stack.batch_norm(&name(), BatchNorm::default())?;
            }
            stack.activation(&name(), Activation::Relu)?;
        }
        stack.max_pool(&name(), Pool::new(2))?;
    }
    Ok(())
}

fn classifier(settings: &Settings, stack: &mut Stack<'_>, outputs: usize) -> Result<()> {
    let dense = |out| Dense { out, bias: Bias::Zero, init: Init::Normal(0.01) };
    let hidden = settings.integer("hidden") as usize;
    for [linear, relu, dropout] in [["0", "1", "2"], ["3", "4", "5"]] {
        stack.linear(linear, dense(hidden))?;
        stack.activation(relu, Activation::Relu)?;
        stack.dropout(dropout, settings.real("dropout"))?;
    }
    stack.linear("6", dense(outputs))
}
