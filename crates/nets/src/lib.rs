//! Networks: what they are made of, how they learn, and the models themselves, one file each.
//!
//! A network's weights lie in one *arena* of `f32`; its modules know places in it and hold no tensor. So a step of training is a function of
//! arena, batch and step number, without hidden state, and everything around it (optimisers, checkpoints, averaging) works on slices.

mod device;
mod head;
pub mod layers;
mod layout;
mod lora;
mod net;
mod numbers;
pub mod ops;
pub mod optim;
mod pass;
#[cfg(test)]
mod penalty;
pub mod tabular;
pub mod vision;
pub mod weights;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod fixtures;

pub use cupola_kernels::memory::{give_back_freed, keep_freed};
pub use device::has_card;
pub use head::{Head, Truth};
pub use layout::{Adapter, Builder, Entry, Fill, LayerRow, Layout, Param, Role};
pub use net::{Blend, Net, Packed, Packing, Step, Trainee, Training, trainee};
pub use numbers::Numbers;
pub use pass::{Bound, Mode, Pass, Stopwatch};

use cupola_task::ModelDef;

/// Every network, by name.
pub const MODELS: &[ModelDef] = &[
    tabular::mlp::MLP,
    vision::lenet5::LENET5,
    vision::lenet5_modern::LENET5_MODERN,
    vision::layers::LAYERS,
    vision::small_resnet::RESNET8,
    vision::small_resnet::RESNET20,
    vision::small_resnet::RESNET32,
    vision::small_resnet::RESNET44,
    vision::small_resnet::RESNET56,
    vision::resnet9::RESNET9,
    vision::resnet::RESNET18,
    vision::resnet::RESNET34,
    vision::resnet::RESNET50,
    vision::resnet::RESNET101,
    vision::resnet::RESNET152,
    vision::vgg::VGG11,
    vision::vgg::VGG11_BN,
    vision::vgg::VGG13,
    vision::vgg::VGG13_BN,
    vision::vgg::VGG16,
    vision::vgg::VGG16_BN,
    vision::vgg::VGG19,
    vision::vgg::VGG19_BN,
    vision::mobilenet_v2::MOBILENET_V2,
];
