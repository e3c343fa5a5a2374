//! Weights in files: our own, safetensors keyed by parameter path, and those of other systems: safetensors of any float type, and PyTorch's
//! `.pt` and `.pth` files, which are read without running what is in them.

mod load;
mod part;
mod pickle;
mod tensors;
#[cfg(test)]
mod tests;
mod torch;
mod zip;

pub use load::{KeyMap, Loaded, Match, OtherShape, Pretrained, Warmed, load, warm};
pub use part::{WEIGHTS, from_part, from_safetensors, into_parts, list, settings, to_lists, to_safetensors};
