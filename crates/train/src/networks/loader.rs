//! Batches in order, made ahead of time on other threads. A batch is a function of seed, epoch and place; which thread makes it does not
//! matter.

use cupola_data::augment::{self, Augment};
use cupola_nets::{Blend, Packed, Packing, Trainee};
use cupola_task::{Batch, Column, Dataset, Draw, Result};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// The batches of one optimiser step.
pub(crate) struct StepBatches {
    /// Packed rows, and how much they weigh.
    pub batches: Vec<(Packed, f64)>,
}

/// What batches are made from.
pub(crate) struct Feed<'a> {
    /// The training rows.
    pub rows: &'a dyn Dataset,
    /// Packs them.
    pub trainee: &'a dyn Trainee,
    /// What is fixed in it is looked at.
    pub arena: &'a [f32],
    /// How images are changed at random.
    pub augment: &'a Augment,
    /// Label smoothing.
    pub smoothing: f64,
    /// Rows of a batch, and batches of a step.
    pub batch: usize,
    /// Batches of a step.
    pub accumulate: usize,
    /// The run's draw.
    pub draw: Draw,
}

/// Steps that a thread is ahead of the one that is wanted.
const AHEAD: usize = 2;

impl Feed<'_> {
    /// Optimiser steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        let batches = self.rows.len().div_ceil(self.batch as u64);
        batches.div_ceil(self.accumulate as u64).max(1)
    }

    /// The rows of a step, in the order of their epoch: a permutation that depends on the seed and the epoch's number only.
    fn rows_of(&self, order: &[u64], step: u64) -> Vec<u64> {
        let rows = self.batch * self.accumulate;
        let start = (step % self.steps_per_epoch()) as usize * rows;
        order[start..(start + rows).min(order.len())].to_vec()
    }

    fn order(&self, epoch: u64) -> Vec<u64> {
        self.draw.stream("order").at(epoch).permutation(self.rows.len())
    }

    fn step(&self, order: &[u64], step: u64) -> Result<StepBatches> {
        let draw = self.draw.stream(augment::STREAM).at(step / self.steps_per_epoch());
        let packed = self.rows_of(order, step).chunks(self.batch).map(|rows| self.pack(rows, draw)).collect::<Result<_>>()?;
        Ok(StepBatches { batches: packed })
    }

    fn pack(&self, rows: &[u64], draw: Draw) -> Result<(Packed, f64)> {
        let mut batch = self.rows.read(rows, draw)?;
        let blend = self.augment(&mut batch, draw, rows);
        let packing = Packing { blend, smoothing: self.smoothing, truth: true };
        let packed = self.trainee.collate(self.arena, &batch, &packing)?;
        let weight = self.trainee.weight(&packed);
        Ok((packed, weight))
    }

    /// Changes a batch's images at random.
    fn augment(&self, batch: &mut Batch, draw: Draw, rows: &[u64]) -> Option<Blend> {
        let (name, images) = batch.inputs.iter().find_map(|(name, column)| Some((name.clone(), column.images()?)))?;
        let [height, width, _] = images.common_shape()?;
        if self.augment.is_nothing([height, width]) {
            return None;
        }
        let augmented = self.augment.apply(images, draw, rows);
        batch.inputs.insert(name, Column::Images(augmented.images));
        augmented.blend.map(|(partner, share)| Blend { partner, share })
    }

    /// Starts `threads` threads that make the steps of a range, and gives them in order.
    pub fn spawn<'s, 'e: 's>(&'e self, scope: &'s Scope<'s, 'e>, threads: usize, steps: Range<u64>) -> Steps {
        let threads = threads.max(1);
        let spawn = |thread: usize| {
            let (send, receive) = sync_channel(AHEAD);
            let own = (steps.start + thread as u64..steps.end).step_by(threads);
            scope.spawn(move || self.make(own, &send));
            receive
        };
        Steps { threads: (0..threads).map(spawn).collect(), next: 0 }
    }

    fn make(&self, steps: impl Iterator<Item = u64>, send: &SyncSender<Result<StepBatches>>) {
        let mut order: Option<(u64, Vec<u64>)> = None;
        for step in steps {
            let epoch = step / self.steps_per_epoch();
            if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
                order = Some((epoch, self.order(epoch)));
            }
            let (_, order) = order.as_ref().expect("the order was just made");
            let made = self.step(order, step);
            let failed = made.is_err();
            // Nobody listens any more when training ended early.
            if send.send(made).is_err() || failed {
                return;
            }
        }
    }
}

/// Steps in order.
pub(crate) struct Steps {
    threads: Vec<Receiver<Result<StepBatches>>>,
    next: usize,
}

impl Iterator for Steps {
    type Item = Result<StepBatches>;

    fn next(&mut self) -> Option<Result<StepBatches>> {
        let step = self.threads[self.next].recv().ok()?;
        self.next = (self.next + 1) % self.threads.len();
        Some(step)
    }
}
