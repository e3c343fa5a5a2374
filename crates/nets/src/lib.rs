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
pub mod optim;
mod pass;
#[cfg(test)]
mod penalty;
pub mod vision;
pub mod weights;

#[cfg(test)]
mod fixtures;

pub use head::{Head, Truth};
pub use layout::{Adapter, Builder, Entry, Fill, LayerRow, Layout, Param, Role};
pub use net::{Blend, Net, Packed, Packing, Step, Trainee, Training, trainee};
pub use pass::{Bound, Mode, Pass, Stopwatch};

use cupola_task::ModelDef;

/// Every network, by name.
pub const MODELS: &[ModelDef] = &[vision::lenet5::LENET5, vision::lenet5_modern::LENET5_MODERN, vision::layers::LAYERS];
