//! Gradients that are too large are made smaller, one by one or all together.
//!
//! By norm as `torch.nn.utils.clip_grad_norm_`: Pascanu et al., "On the difficulty of training recurrent neural networks", 2013.

use super::settings::number;
use cupola_kernels::optimizer::{clamp, norm, scale};
use cupola_task::Settings;

/// How large gradients may be.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Clip {
    /// The largest norm of all gradients together.
    pub norm: Option<f64>,
    /// The largest absolute value of a single gradient.
    pub value: Option<f64>,
}

impl Clip {
    /// The limits of a recipe, whose settings are checked against [`SETTINGS`](super::SETTINGS).
    pub fn open(settings: &Settings) -> Clip {
        Clip { norm: number(settings, "clip_norm"), value: number(settings, "clip_value") }
    }

    /// Makes gradients smaller where they are too large, single ones first, and gives the norm that all had together before.
    /// A norm that is no finite number changes nothing: the caller sees it and must not step.
    pub fn apply(&self, gradients: &mut [f32]) -> f64 {
        let before = norm(gradients);
        if !before.is_finite() {
            return before;
        }
        if let Some(largest) = self.value {
            clamp(gradients, largest as f32);
        }
        if let Some(largest) = self.norm {
            let found = if self.value.is_some() { norm(gradients) } else { before };
            // PyTorch's guard against division by zero, kept for equal numbers.
            let share = largest / (found + 1e-6);
            if share < 1.0 {
                scale(gradients, share as f32);
            }
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_gradients_become_smaller() {
        for (norm, value, wanted) in [
            (None, None, [3.0, -4.0]),
            (Some(10.0), None, [3.0, -4.0]),
            (Some(1.0), None, [0.6, -0.8]),
            (None, Some(1.0), [1.0, -1.0]),
            (Some(1.0), Some(3.0), [0.5f32.sqrt(), -(0.5f32.sqrt())]),
        ] {
            let mut gradients = [3.0f32, -4.0];
            assert_eq!(Clip { norm, value }.apply(&mut gradients), 5.0);
            assert!(gradients.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-6), "{gradients:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_told_and_left() {
        let mut gradients = vec![1.0; 70_001];
        gradients[40_000] = f32::NAN;
        assert!(Clip { norm: Some(0.1), value: Some(0.1) }.apply(&mut gradients).is_nan());
        assert_eq!(gradients[0], 1.0);
    }
}
