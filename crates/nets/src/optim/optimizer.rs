//! One optimiser for one training: steps on an arena, and a state that a checkpoint can write and read exactly.

use super::plan::{self, Group};
use super::rules::{Move, Slices};
use crate::layout::Layout;
use cupola_task::{Result, Settings};

/// The state that counts each entry's steps, one `f32` an entry: whole numbers are exact up to 2^24, where bias corrections have long
/// become 1. Counted by entry, for one that is unfrozen late begins its averages late.
const COUNTS: &str = "step";

/// How gradients become steps. Entries that are not trained, or are frozen, stay as they are, and so does their state.
#[derive(Clone, Debug)]
pub struct Optimizer {
    groups: Vec<Group>,
    names: [&'static str; 2],
    first: Vec<f32>,
    second: Vec<f32>,
    counts: Vec<f32>,
}

/// The rate that an optimiser usually begins with, for when nothing better is known than its name.
pub fn usual_rate(settings: &Settings) -> f64 {
    match settings.text("optimizer") {
        "sgd" => 0.05,
        "muon" => 0.02,
        "lion" => 1e-4,
        _ => 1e-3,
    }
}

impl Optimizer {
    /// An optimiser at its beginning. The settings are checked against [`SETTINGS`](super::SETTINGS).
    ///
    /// # Errors
    /// When `betas` is not a pair.
    pub fn open(settings: &Settings, layout: &Layout) -> Result<Optimizer> {
        let (groups, [first, second]) = plan::groups(settings, layout)?;
        Ok(Optimizer {
            groups,
            names: plan::names(settings.text("optimizer")),
            first: vec![0.0; first],
            second: vec![0.0; second],
            counts: vec![0.0; layout.entries().len()],
        })
    }

    /// Moves the weights against the gradients. `rate` is the schedule's; `frozen` has one flag for each entry of the layout.
    /// The result is the same to the bit for any number of threads.
    pub fn step(&mut self, arena: &mut [f32], gradients: &[f32], rate: f64, frozen: &[bool]) {
        assert_eq!(arena.len(), gradients.len(), "every weight has a gradient");
        assert_eq!(frozen.len(), self.counts.len(), "every entry has a flag");
        for group in self.groups.iter().filter(|group| !frozen[group.place]) {
            let count = &mut self.counts[group.place];
            *count += 1.0;
            let by = Move { rate: rate * group.factor, decay: group.decay, count: f64::from(*count) };
            let slices = Slices {
                weights: &mut arena[group.range.clone()],
                gradients: &gradients[group.range.clone()],
                first: &mut self.first[group.first.clone()],
                second: &mut self.second[group.second.clone()],
            };
            group.rule.step(by, slices);
        }
    }

    /// All that the optimiser remembers: `PATH.NAME` for each entry, by PyTorch's names, and how often each entry was changed.
    pub fn state(&self, layout: &Layout) -> Vec<(String, &[f32])> {
        let named = |group: &Group, name: &str| format!("{}.{name}", layout.entries()[group.place].path);
        let mut state = vec![(COUNTS.to_owned(), &self.counts[..])];
        for group in &self.groups {
            state.push((named(group, self.names[0]), &self.first[group.first.clone()]));
            state.push((named(group, self.names[1]), &self.second[group.second.clone()]));
        }
        state.retain(|(_, values)| !values.is_empty());
        state
    }

    /// Puts back what [`Optimizer::state`] gave. `read` finds a tensor of that name and length.
    ///
    /// # Errors
    /// Those of `read`: the state was another optimiser's, or another network's.
    pub fn restore(&mut self, layout: &Layout, read: impl Fn(&str, usize) -> Result<Vec<f32>>) -> Result<()> {
        let Optimizer { groups, names, first, second, counts } = self;
        *counts = read(COUNTS, counts.len())?;
        for group in groups {
            let states = [(names[0], &mut first[group.first.clone()]), (names[1], &mut second[group.second.clone()])];
            for (name, values) in states.into_iter().filter(|(_, values)| !values.is_empty()) {
                let saved = read(&format!("{}.{name}", layout.entries()[group.place].path), values.len())?;
                values.copy_from_slice(&saved);
            }
        }
        Ok(())
    }

    /// How many numbers the optimiser remembers, for estimates of memory.
    pub fn state_len(&self) -> usize {
        self.first.len() + self.second.len() + self.counts.len()
    }
}
