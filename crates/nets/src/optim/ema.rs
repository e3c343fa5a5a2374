//! A moving average of the weights, which often answers better than the last weights themselves.
//!
//! Source: Polyak and Juditsky 1992; the warm-up is that of TensorFlow's `ExponentialMovingAverage`, without it the average begins as a copy
//! of the first weights, as PyTorch's `AveragedModel` does. Running statistics are copied, as timm's and PyTorch's averages do by default.

use super::settings::number;
use crate::layout::{Layout, Role};
use cupola_kernels::optimizer;
use cupola_task::{Error, Result, Settings};

/// A moving average of an arena.
#[derive(Clone, PartialEq, Debug)]
pub struct Ema {
    decay: f64,
    warms_up: bool,
    average: Vec<f32>,
}

impl Ema {
    /// The average that a recipe asks for, whose settings are checked against [`SETTINGS`](super::SETTINGS); none when it asks for none.
    /// It begins with the first weights.
    pub fn open(settings: &Settings, arena: &[f32]) -> Option<Ema> {
        let decay = number(settings, "ema")?;
        Some(Ema { decay, warms_up: settings.flag("ema_warmup"), average: arena.to_vec() })
    }

    /// Follows the weights after a step, which is counted from 0.
    pub fn follow(&mut self, layout: &Layout, arena: &[f32], step: u64) {
        let kept = self.decay_at(step);
        let (kept, new) = (kept as f32, (1.0 - kept) as f32);
        for entry in layout.entries() {
            let (average, now) = (&mut self.average[entry.range()], &arena[entry.range()]);
            match entry.role {
                Role::Trained => optimizer::average(kept, new, now, average),
                Role::Running | Role::Fixed => average.copy_from_slice(now),
            }
        }
    }

    /// The averaged weights: all of this average's state.
    pub fn arena(&self) -> &[f32] {
        &self.average
    }

    /// Puts back what [`Ema::arena`] gave.
    ///
    /// # Errors
    /// When it is of another length: another network's.
    pub fn set_arena(&mut self, average: Vec<f32>) -> Result<()> {
        if average.len() != self.average.len() {
            let numbers = |count: usize| format!("{count} numbers");
            return Err(Error::input("averaged weights", numbers(average.len()), numbers(self.average.len())));
        }
        self.average = average;
        Ok(())
    }

    fn decay_at(&self, step: u64) -> f64 {
        // TensorFlow counts the steps done so far; the one just done is one of them.
        let done = step as f64 + 1.0;
        if self.warms_up { self.decay.min((1.0 + done) / (10.0 + done)) } else { self.decay }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SETTINGS;
    use super::*;
    use crate::layout::{Builder, Fill};
    use cupola_task::Value;

    fn layout() -> Layout {
        let mut builder = Builder::default();
        builder.param("weight", &[2], Fill::Constant(0.0));
        builder.running("running_mean", &[1], Fill::Constant(0.0));
        builder.layer("norm".into(), &[2], 0);
        builder.finish()
    }

    fn ema(decay: &str, warmup: bool, arena: &[f32]) -> Option<Ema> {
        let values = [("ema", Value::parse(decay)), ("ema_warmup", Value::Flag(warmup))];
        Ema::open(&Settings::check("train", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap(), arena)
    }

    #[test]
    fn follows_weights_and_copies_statistics() {
        assert_eq!(ema("none", true, &[0.0; 3]), None);
        for (warmup, wanted) in [(false, [0.25, 0.0, 5.0]), (true, [9.0 / 11.0, 0.0, 5.0])] {
            let mut ema = ema("0.75", warmup, &[0.0; 3]).unwrap();
            ema.follow(&layout(), &[1.0, 0.0, 5.0], 0);
            assert!(ema.arena().iter().zip(wanted).all(|(found, wanted): (&f32, f32)| (found - wanted).abs() < 1e-6), "{:?}", ema.arena());
        }
    }

    #[test]
    fn of_another_network_is_refused() {
        assert!(ema("0.9", true, &[0.0; 3]).unwrap().set_arena(vec![0.0; 2]).is_err());
    }
}
