//! What holds for settings that are left to `auto`.
//!
//! `standard` is what the reference recipes of residual nets do: on small images a padded crop by an eighth of the side and a flip (He et
//! al., "Deep Residual Learning for Image Recognition", 2016, section 4.2: 4 pixels of 32), on larger ones a random resized crop and a flip
//! (the same, section 3.4; torchvision's classification reference).

use super::operation::Operation;
use cupola_task::{Range, Setting, Settings};

/// The registry's entry.
pub(crate) const POLICY: Operation = Operation {
    name: "policy",
    doc: "What holds where other keys are left to auto.",
    settings: &[Setting {
        name: "policy",
        alias: &[],
        default: "none",
        range: Range::Choice(&["none", "standard"]),
        doc: "none: nothing but what other keys say. standard: flips, and padded crops up to 64 pixels a side, random resized crops above (He et al., 2016). Digits and letters do not bear flips: add flip=0.",
    }],
};

/// Up to this side images are small.
pub(crate) const SMALL_MAX: u32 = 64;

/// What auto stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Policy {
    None,
    Standard,
}

impl Policy {
    pub fn open(settings: &Settings) -> Policy {
        if settings.text("policy") == "standard" { Policy::Standard } else { Policy::None }
    }
}
