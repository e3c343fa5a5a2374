//! Dropout (Srivastava et al.: "Dropout", JMLR 15, 2014), inverted: what is kept is scaled up, so that answering needs nothing.

use super::features::{Features, Shape};
use super::stack::{Stack, misfit};
use crate::ops;
use crate::pass::Pass;
use burn::tensor::Tensor;
use cupola_task::{Draw, Result};

/// Dropout. Its mask is a function of seed, step and layer, so that a resumed run drops the same numbers.
#[derive(Clone, Debug)]
pub struct Dropout {
    share: f64,
    number: usize,
}

impl Stack<'_> {
    /// Puts dropout on top; a share of 0 adds no layer.
    ///
    /// # Errors
    /// When the share is not in 0..1.
    pub fn dropout(&mut self, name: &str, share: f64) -> Result<()> {
        if share == 0.0 {
            return Ok(());
        }
        self.add(name, |builder, input: Shape| {
            let kind = format!("dropout {share}");
            if !(0.0..1.0).contains(&share) {
                return Err(misfit(builder, &kind, share, "a share from 0 to below 1"));
            }
            let number = builder.layer(kind, &input.sides(), input.len() as u64);
            Ok((Dropout { share, number }, input))
        })
    }
}

impl Dropout {
    pub(super) fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
        let Some(draw) = pass.draw(self.number) else { return input };
        pass.layer(self.number, || match input {
            Features::Flat(x) => Features::Flat(self.drop(x, draw)),
            Features::Maps(x) => Features::Maps(self.drop(x, draw)),
        })
    }

    fn drop<const D: usize>(&self, x: Tensor<D>, draw: Draw) -> Tensor<D> {
        ops::dropout(x, cupola_kernels::dropout::Dropout { key: draw.key(), share: self.share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_drops_its_share_and_keeps_the_mean() {
        let layer = Dropout { share: 0.25, number: 0 };
        let drop = |draw: Draw| crate::net::host(layer.drop(Tensor::<1>::ones([100_000], &burn::tensor::Device::flex()), draw)).unwrap();
        let values = drop(Draw::new(3));
        let kept = values.iter().filter(|&&value| value > 0.0).count() as f64 / 1e5;
        assert!((kept - 0.75).abs() < 0.005, "kept {kept}");
        assert!(values.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(values, drop(Draw::new(3)));
        assert_ne!(values[..1000], drop(Draw::new(3).at(1))[..1000]);
    }
}
