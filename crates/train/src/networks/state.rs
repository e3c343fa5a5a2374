//! All that a training is between two steps. Everything that follows is a function of it, of the recipe and of the data.

use crate::{Error, Result};
use cupola_nets::optim::{Ema, Optimizer};
use cupola_nets::{Layout, weights};
use cupola_task::Parts;
use serde::{Deserialize, Serialize};

/// Weights, optimiser and place.
#[derive(Clone)]
pub(crate) struct State {
    /// The weights, with running statistics and what is fixed.
    pub arena: Vec<f32>,
    /// Its moments.
    pub optimizer: Optimizer,
    /// Averaged weights.
    pub ema: Option<Ema>,
    /// Where it stands.
    pub place: Place,
}

/// Where a training stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Optimiser steps done.
    pub step: u64,
    /// What all rates are multiplied with; halved when a training goes back.
    pub rate_scale: f64,
    /// How often it went back.
    pub retreats: u32,
    /// Sum of losses times weights in this epoch, and of weights.
    pub loss_sum: [f64; 2],
    /// Moving average of the loss, and the first loss.
    pub smooth: Option<[f64; 2]>,
    /// The best epoch on validation rows.
    pub best: Option<Best>,
    /// One an epoch.
    pub points: Vec<Point>,
    /// Time spent before this process began.
    pub seconds: f64,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// The step after it.
    pub step: u64,
    /// Its number, from 1.
    pub epoch: u64,
    /// Its score; higher is better.
    pub worth: f64,
}

/// What an epoch came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Its number, from 1.
    pub epoch: u64,
    /// Optimiser steps done.
    pub step: u64,
    /// Time since training began.
    pub seconds: f64,
    /// The rate of its last step.
    pub rate: f64,
    /// Mean loss of its steps.
    pub train_loss: f64,
    /// Mean loss on validation rows, without smoothing; none without such rows.
    pub valid_loss: Option<f64>,
    /// The watched measure on them.
    pub valid_score: Option<f64>,
}

const PLACE: &str = "place.json";
const WEIGHTS: &str = "weights.safetensors";
const EMA: &str = "ema.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";

impl State {
    /// The weights to judge and to keep.
    pub fn weights(&self) -> &[f32] {
        self.ema.as_ref().map_or(&self.arena, |ema| ema.arena())
    }

    /// Named byte strings, everything in full precision.
    pub fn to_parts(&self, layout: &Layout) -> Parts {
        let mut parts = Parts::default();
        parts.0.insert(WEIGHTS.to_owned(), weights::to_safetensors(layout, &self.arena));
        parts.0.insert(OPTIMIZER.to_owned(), weights::to_lists(self.optimizer.state(layout)));
        if let Some(ema) = &self.ema {
            parts.0.insert(EMA.to_owned(), weights::to_safetensors(layout, ema.arena()));
        }
        parts.0.insert(PLACE.to_owned(), serde_json::to_vec(&self.place).expect("a place is plain data"));
        parts
    }

    /// Takes what [`State::to_parts`] wrote; `self` is a fresh state of the same recipe.
    ///
    /// # Errors
    /// When a part is missing or of another network or optimiser.
    pub fn restore(&mut self, name: &str, parts: &Parts, layout: &Layout) -> Result<()> {
        let part =
            |part: &str| parts.0.get(part).ok_or_else(|| Error::artifact(format!("{name}: {part}"), "nothing", "a part of a checkpoint"));
        let arena = |file: &str| Ok::<_, Error>(weights::from_safetensors(&format!("{name}: {file}"), part(file)?, layout)?);
        self.arena = arena(WEIGHTS)?;
        let (place, bytes) = (format!("{name}: {OPTIMIZER}"), part(OPTIMIZER)?);
        self.optimizer.restore(layout, |name, length| weights::list(&place, bytes, name, length))?;
        if let Some(ema) = &mut self.ema {
            ema.set_arena(arena(EMA)?)?;
        }
        self.place = serde_json::from_slice(part(PLACE)?)
            .map_err(|error| Error::artifact(format!("{name}: {PLACE}"), error, "where training stood"))?;
        Ok(())
    }
}
