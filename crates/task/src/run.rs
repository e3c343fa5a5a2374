//! All that a library may not take from the world by itself: seed, threads, clock, folder, listeners.

use crate::{Draw, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Threads, or MPI: sums in a fixed tree, so that the result does not depend on how many ranks share the work.
pub trait Collective: Send + Sync {
    /// This rank's number, from 0.
    fn rank(&self) -> usize;
    /// How many ranks there are.
    fn size(&self) -> usize;
    /// Replaces each value by its sum over the ranks.
    ///
    /// # Errors
    /// When a rank is lost.
    fn sum(&self, values: &mut [f32]) -> Result<()>;
    /// The same for whole numbers, where the order cannot matter.
    ///
    /// # Errors
    /// When a rank is lost.
    fn sum_counts(&self, values: &mut [i64]) -> Result<()>;
    /// Every rank's bytes, by rank.
    ///
    /// # Errors
    /// When a rank is lost.
    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>>;
}

/// One rank: this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local;

impl Collective for Local {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn sum(&self, _values: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn sum_counts(&self, _values: &mut [i64]) -> Result<()> {
        Ok(())
    }

    fn gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![bytes.to_vec()])
    }
}

/// What a run tells while it goes on. Each is a line of `events.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A stage begins: read, split, leaks, prepare, fit, evaluate, report.
    Stage {
        /// Its name.
        name: String,
    },
    /// A stage goes on.
    Progress {
        /// Trees, epochs, candidates, iterations done.
        done: u64,
        /// Out of how many, when known.
        total: Option<u64>,
        /// What is counted: `trees`, `epochs`, `iterations`, `candidates`.
        unit: String,
        /// The measure watched and its present value on validation rows.
        score: Option<(String, f64)>,
    },
    /// Something the user should know; repeated at the end of the run.
    Warning {
        /// A sentence.
        text: String,
    },
    /// A value that `auto`, early stopping or a time limit has settled; it goes into `run.toml`.
    Resolved {
        /// Dotted recipe key.
        key: String,
        /// Its value as TOML text.
        value: String,
        /// Why.
        reason: String,
    },
    /// A fact of the run: rows read, candidate scored, file written.
    Note {
        /// A sentence.
        text: String,
    },
}

/// What a listener answers to an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Go on.
    Go,
    /// Finish the step, keep the best so far and return.
    Stop,
}

/// Named byte strings: what a model or a preparation saves itself into. Names are paths such as `model/trees`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub BTreeMap<String, Vec<u8>>);

/// The setting of a model that can begin from a model file, under LightGBM's name: `off`, or a path. It then fits with [`Start::Warm`].
pub const INIT_MODEL: &str = "init_model";

/// How a run begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// From nothing.
    Cold,
    /// From another model's parts.
    Warm(Parts),
    /// From the newest checkpoint in its own folder.
    Resume,
}

/// What the surrounding program lends to a library for one run. Parallel loops use the ambient rayon pool, which the
/// program has sized to `threads`.
pub struct Run<'a> {
    /// Everything random is a function of it.
    pub seed: u64,
    /// How many threads the ambient pool has.
    pub threads: usize,
    /// Where checkpoints go, when the run is kept.
    pub folder: Option<&'a Path>,
    /// Time since the run began.
    pub clock: &'a (dyn Fn() -> Duration + Sync),
    /// The moment on that clock by which fitting must return with the best so far.
    pub until: Option<Duration>,
    /// Memory ceiling in bytes.
    pub memory_max: Option<u64>,
    /// The most memory this process has used so far, in bytes, where the system tells.
    pub memory: &'a (dyn Fn() -> Option<u64> + Sync),
    /// The other ranks.
    pub collective: &'a dyn Collective,
    /// From nothing, from a model, from a checkpoint.
    pub start: Start,
    /// Hears what happens and may stop it.
    pub events: &'a (dyn Fn(&Event) -> Flow + Sync),
}

impl Run<'_> {
    /// The run's randomness for one purpose.
    pub fn draw(&self, purpose: &str) -> Draw {
        Draw::new(self.seed).stream(purpose)
    }

    /// Whether the time given is used up.
    pub fn is_late(&self) -> bool {
        self.until.is_some_and(|until| (self.clock)() >= until)
    }

    /// Tells the listener.
    pub fn tell(&self, event: Event) -> Flow {
        (self.events)(&event)
    }

    /// A run for tests and one-off fits: seed, one thread's worth of promises, no folder, a clock that stands still, nobody listening.
    pub fn quiet(seed: u64) -> Run<'static> {
        Run {
            seed,
            threads: 1,
            folder: None,
            clock: &|| Duration::ZERO,
            until: None,
            memory_max: None,
            memory: &|| None,
            collective: &Local,
            start: Start::Cold,
            events: &|_| Flow::Go,
        }
    }
}
