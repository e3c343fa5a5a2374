//! How the learning rate moves over a training: a function of step and length, without a state.
//!
//! step, cosine and one-cycle are PyTorch's `StepLR`, `CosineAnnealingLR` and `OneCycleLR` (Smith and Topin 2018) in closed form, stepped
//! once a batch; linear is `LinearLR` down to zero; noam is section 5.3 of "Attention is all you need" (Vaswani et al. 2017).
//! Differs: one-cycle moves the rate only, and leaves momentum as it is.

use super::settings::number;
use super::usual_rate;
use cupola_task::{Error, Result, Settings};
use std::f64::consts::PI;

/// How the learning rate moves.
#[derive(Clone, PartialEq, Debug)]
pub struct Schedule {
    peak: f64,
    warmup: Length,
    shape: Shape,
}

/// A number of steps.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Length {
    Steps(f64),
    Share(f64),
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Shape {
    Constant,
    Step { after: Length, factor: f64 },
    Cosine { lowest: f64 },
    OneCycle { rise: f64, start: f64, end: f64 },
    Linear,
    Noam { width: Option<f64> },
}

/// The share of a training that warms up when nothing is said.
const USUAL_WARMUP: f64 = 0.05;

impl Length {
    /// As a recipe writes it: steps, or below 1 the share of the training.
    fn new(number: f64) -> Length {
        if number < 1.0 { Length::Share(number) } else { Length::Steps(number.round()) }
    }

    fn of(self, total: f64) -> f64 {
        match self {
            Length::Steps(steps) => steps,
            Length::Share(share) => (share * total).round(),
        }
    }
}

impl Schedule {
    /// The schedule of a recipe, whose settings are checked against [`SETTINGS`](super::SETTINGS). While `lr` is `auto`, the peak is the
    /// optimiser's [usual rate](super::usual_rate); see [`Schedule::with_peak`].
    ///
    /// # Errors
    /// When `lr_min` is above `lr`.
    pub fn open(settings: &Settings) -> Result<Schedule> {
        let shape = match settings.text("schedule") {
            "constant" => Shape::Constant,
            "step" => Shape::Step { after: Length::new(settings.real("step_size")), factor: settings.real("gamma") },
            "one-cycle" => {
                let start = 1.0 / settings.real("div_factor");
                Shape::OneCycle { rise: settings.real("pct_start"), start, end: start / settings.real("final_div_factor") }
            }
            "linear" => Shape::Linear,
            "noam" => Shape::Noam { width: number(settings, "d_model") },
            _ => Shape::Cosine { lowest: settings.real("lr_min") },
        };
        if let (Some(peak), Shape::Cosine { lowest }) = (number(settings, "lr"), shape)
            && lowest > peak
        {
            return Err(Error::setting("train.lr_min", lowest, format!("at most lr, which is {peak}")));
        }
        let usual = if matches!(shape, Shape::OneCycle { .. }) { 0.0 } else { USUAL_WARMUP };
        let warmup = Length::new(number(settings, "warmup").unwrap_or(usual));
        Ok(Schedule { peak: number(settings, "lr").unwrap_or_else(|| usual_rate(settings)), warmup, shape })
    }

    /// The same schedule with another highest rate.
    #[must_use]
    pub fn with_peak(self, peak: f64) -> Schedule {
        Schedule { peak, ..self }
    }

    /// The highest rate.
    pub fn peak(&self) -> f64 {
        self.peak
    }

    /// The rate of a step, counted from 0, of a training of `total` steps. Later steps have the rate at the end.
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let (step, total) = (step.min(total) as f64, total.max(1) as f64);
        let warmup = self.warmup.of(total).min(total);
        if let Shape::Noam { width } = self.shape {
            return self.peak * noam(step, warmup.max(1.0), width);
        }
        if step < warmup {
            return self.peak * self.factor(0.0, total - warmup) * (step + 1.0) / (warmup + 1.0);
        }
        self.peak * self.factor(step - warmup, total - warmup)
    }

    /// The share of the peak at a step after the warm-up, of which `total` follow.
    fn factor(&self, step: f64, total: f64) -> f64 {
        let done = if total > 0.0 { step / total } else { 1.0 };
        match self.shape {
            Shape::Constant | Shape::Noam { .. } => 1.0,
            Shape::Step { after, factor } => factor.powf((step / after.of(total).max(1.0)).floor()),
            Shape::Cosine { lowest } if self.peak > 0.0 => cosine(1.0, lowest.min(self.peak) / self.peak, done),
            Shape::Cosine { .. } => 1.0,
            Shape::OneCycle { rise, start, end } => one_cycle(step, total, rise, start, end),
            Shape::Linear => 1.0 - done,
        }
    }
}

/// Half a cosine from one value to another.
fn cosine(from: f64, to: f64, done: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * done).cos()) / 2.0
}

fn one_cycle(step: f64, total: f64, rise: f64, start: f64, end: f64) -> f64 {
    // PyTorch reaches the end at the last step, not after it, and the peak one step before `rise`.
    let (top, last) = (rise * total - 1.0, (total - 1.0).max(1.0));
    if step <= top {
        return cosine(start, 1.0, if top > 0.0 { step / top } else { 1.0 });
    }
    cosine(1.0, end, ((step - top) / (last - top)).min(1.0))
}

fn noam(step: f64, warmup: f64, width: Option<f64>) -> f64 {
    let number = step + 1.0;
    match width {
        Some(width) => width.powf(-0.5) * number.powf(-0.5).min(number * warmup.powf(-1.5)),
        None => (number / warmup).min((warmup / number).sqrt()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::SETTINGS;
    use super::*;
    use cupola_task::Value;
    use proptest::prelude::*;

    fn open(given: &[(&str, Value)]) -> Result<Schedule> {
        Schedule::open(&Settings::check("train", SETTINGS, given.iter().map(|(name, value)| (*name, value))).unwrap())
    }

    fn schedule(given: &[(&str, Value)]) -> Schedule {
        open(given).unwrap()
    }

    #[test]
    fn rises_to_its_peak_and_ends_where_it_should() {
        for (name, peak_at, end) in
            [("constant", 10, 1.0), ("cosine", 10, 0.0), ("linear", 10, 0.0), ("step", 10, 1e-3), ("noam", 9, 0.1f64.sqrt())]
        {
            let schedule = schedule(&[("schedule", Value::parse(name)), ("lr", Value::Real(1.0)), ("warmup", Value::Real(0.1))]);
            assert!(schedule.rate(0, 100) < 0.11, "{name}");
            assert!((schedule.rate(peak_at, 100) - 1.0).abs() < 1e-12, "{name}");
            assert!((schedule.rate(100, 100) - end).abs() < 2e-3, "{name}: {}", schedule.rate(100, 100));
        }
    }

    #[test]
    fn lr_auto_takes_the_usual_rate_until_a_better_one_is_known() {
        let schedule = schedule(&[("optimizer", Value::parse("sgd")), ("warmup", Value::Integer(0))]);
        assert_eq!((schedule.rate(0, 10), schedule.with_peak(3.0).rate(0, 10)), (0.05, 3.0));
    }

    #[test]
    fn an_end_above_the_peak_is_refused() {
        let error = open(&[("lr", Value::Real(0.1)), ("lr_min", Value::Real(0.5))]).unwrap_err();
        assert_eq!(error.to_string(), "setting train.lr_min: found 0.5, wanted at most lr, which is 0.1");
    }

    proptest! {
        #[test]
        fn rates_are_never_negative_nor_above_the_peak(
            name in prop::sample::select(&["constant", "step", "cosine", "one-cycle", "linear", "noam"][..]),
            warmup in prop_oneof![0.0..1.0, 1.0..50.0f64], step in 0u64..300, total in 0u64..200,
        ) {
            let schedule = schedule(&[("schedule", Value::parse(name)), ("lr", Value::Real(2.0)), ("warmup", Value::Real(warmup))]);
            let rate = schedule.rate(step, total);
            prop_assert!((0.0..=2.0).contains(&rate), "{} at {} of {}", rate, step, total);
        }
    }
}
