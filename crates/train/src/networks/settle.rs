//! What has to be found out before the first step: batch size, learning rate, and how many steps fit into the time. Everything found is
//! written into `run.toml`, so that the same training can be had again without finding it out again.

use super::fit::Job;
use super::judge::Judge;
use super::loader::{Feed, StepBatches};
use crate::{Error, Result};
use cupola_nets::Step;
use cupola_nets::optim::{Optimizer, Schedule};
use cupola_task::{Draw, Event, Run, Settings, Value};
use std::time::Duration;

/// A training with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settled {
    /// Rows of a batch.
    pub batch: usize,
    /// The peak of the schedule.
    pub rate: f64,
    /// The last step.
    pub steps: u64,
    /// The step at which the schedule ends.
    pub total: u64,
    /// Seconds of a step; none when going on from a checkpoint.
    pub step_seconds: Option<f64>,
    /// What was found: dotted key, value as recipe text, reason.
    pub resolved: Vec<[String; 3]>,
}

/// Steps that are timed behind the first one: at least, and at most. Of a training's steps it may be a fiftieth, and no new one begins
/// after the time.
const TIMED: [u64; 2] = [2, 40];
const TIMED_SHARE: u64 = 50;
const TIMED_FOR: Duration = Duration::from_millis(1500);
/// Steps that are timed for each batch size that is tried.
const TIMED_BATCH: u64 = 4;
/// Of a time limit, the share that the steps may be planned for: the rest is for measuring and for steps that take longer.
const SHARE_OF_TIME: f64 = 0.92;
/// Steps of the range test, and its ends.
const RANGE_STEPS: u64 = 100;
const RATES: [f64; 2] = [1e-6, 1.0];
/// A loss below this share of the first one has fallen.
const FALL: f64 = 0.95;
/// A rate found may be this many times the optimiser's usual one: easy rows bear more for a hundred steps than for a training.
const USUAL_MAX: f64 = 5.0;
/// Batch sizes that are tried.
const BATCHES: [usize; 7] = [16, 32, 64, 128, 256, 512, 1024];
/// A larger batch must be faster by this much a row to be worth it.
const FASTER: f64 = 0.93;
/// An epoch has at least so many steps, so that small data still gives many of them.
const STEPS_PER_EPOCH_MIN: u64 = 20;

/// Finds out what is open.
///
/// # Errors
/// When rows cannot be read, or the first steps already fail.
pub(crate) fn settle(job: &Job<'_>, arena: &[f32]) -> Result<Settled> {
    let mut resolved = Vec::new();
    let batch = match job.settings.batch {
        Some(batch) => batch,
        None => {
            let (batch, reason) = best_batch(job, arena)?;
            found(job, &mut resolved, "train.batch", batch.to_string(), reason);
            batch
        }
    };
    let feed = job.feed(arena, batch);
    let rate = match job.optim.try_real("lr") {
        Some(rate) => rate,
        None => {
            job.run.tell(Event::Stage { name: "range test".into() });
            let (rate, reason) = best_rate(job, &feed, arena)?;
            found(job, &mut resolved, "train.lr", format!("{rate:?}"), reason);
            rate
        }
    };
    let planned = job.settings.epochs(feed.steps_per_epoch()) * feed.steps_per_epoch();
    let planned = job.settings.steps.map_or(planned, |steps| steps.min(u64::MAX / 2));
    let step_seconds = time_steps(job, &feed, arena, (planned / TIMED_SHARE).clamp(TIMED[0], TIMED[1]))?;
    let steps = match job.run.until {
        Some(until) if job.settings.total_steps.is_none() => {
            let left = until.saturating_sub((job.run.clock)()).as_secs_f64() * SHARE_OF_TIME;
            let judging = job.judge.map_or(0.0, |judge| judge_seconds(judge, batch, step_seconds)) / feed.steps_per_epoch() as f64;
            let fitting = (left / (step_seconds + judging)).max(1.0) as u64;
            // A time limit that stands in place of epochs is used up; any other only cuts off.
            if job.fills_time { fitting } else { fitting.min(planned) }
        }
        _ => planned,
    };
    Ok(Settled { batch, rate, steps, total: job.settings.total_steps.unwrap_or(steps), step_seconds: Some(step_seconds), resolved })
}

/// Seconds of judging the validation rows, from those of a step: forwards is about a third of it.
pub(crate) fn judge_seconds(judge: &Judge<'_>, batch: usize, step_seconds: f64) -> f64 {
    judge.rows() as f64 * step_seconds / 3.0 / batch as f64
}

fn found(job: &Job<'_>, resolved: &mut Vec<[String; 3]>, key: &str, value: String, reason: String) {
    job.run.tell(Event::Resolved { key: key.into(), value: value.clone(), reason: reason.clone() });
    job.run.tell(Event::Note { text: format!("{key} = {value}: {reason}") });
    resolved.push([key.to_owned(), value, reason]);
}

/// Takes what a checkpoint has found out.
pub(crate) fn from_checkpoint(job: &Job<'_>, resolved: &[[String; 3]]) -> Result<Settled> {
    let value = |key: &str| resolved.iter().find(|[known, ..]| known == key).map(|[_, value, _]| Value::parse(value));
    let missing = |key: &str| Error::artifact("checkpoint", format!("no {key}"), "what was found out before the first step");
    let whole = |key: &str| match value(key) {
        Some(Value::Integer(number)) if number > 0 => Ok(number as u64),
        _ => Err(missing(key)),
    };
    let rate = match (job.optim.try_real("lr"), value("train.lr")) {
        (Some(rate), _) | (None, Some(Value::Real(rate))) => rate,
        _ => return Err(missing("train.lr")),
    };
    let batch = match job.settings.batch {
        Some(batch) => batch,
        None => whole("train.batch")? as usize,
    };
    let (steps, total) = (whole("train.steps")?, whole("train.total_steps")?);
    Ok(Settled { batch, rate, steps, total, step_seconds: None, resolved: resolved.to_vec() })
}

impl Settled {
    /// All that a checkpoint has to keep.
    pub fn kept(&self) -> Vec<[String; 3]> {
        let mut kept = self.resolved.clone();
        for (key, value) in [("train.steps", self.steps), ("train.total_steps", self.total)] {
            if kept.iter().all(|[known, ..]| known != key) {
                kept.push([key.to_owned(), value.to_string(), String::new()]);
            }
        }
        kept
    }

    /// The schedule with the rate that was found.
    ///
    /// # Errors
    /// When the schedule's settings contradict each other.
    pub fn schedule(&self, optim: &Settings) -> Result<Schedule> {
        Ok(Schedule::open(optim)?.with_peak(self.rate))
    }
}

/// Gradients of a step's batches, added up; their mean loss.
pub(crate) fn gradients(
    job: &Job<'_>,
    arena: &mut [f32],
    made: &StepBatches,
    draw: Draw,
    frozen: &[bool],
    sums: &mut [f32],
) -> Result<f64> {
    let total: f64 = made.batches.iter().map(|(_, weight)| weight).sum();
    let mut loss = 0.0;
    let (mut adds, precision) = (false, job.settings.precision);
    for (place, (packed, weight)) in made.batches.iter().enumerate() {
        if *weight <= 0.0 {
            continue;
        }
        let draw = draw.stream(&place.to_string());
        let share = weight / total;
        loss += share * job.trainee.gradients(arena, packed, &Step { draw, share, adds, frozen, precision }, sums)?;
        adds = true;
    }
    if !adds {
        sums.fill(0.0);
    }
    Ok(loss)
}

/// Freed memory stays with the process while a network learns, unless there is a ceiling to keep.
pub(super) fn keep_freed(run: &Run<'_>) {
    if run.memory_max.is_none() {
        cupola_nets::keep_freed();
    }
}

/// Seconds of a step: the mean of a few that change nothing, with the waiting for their rows.
fn time_steps(job: &Job<'_>, feed: &Feed<'_>, arena: &[f32], steps: u64) -> Result<f64> {
    job.run.tell(Event::Stage { name: "time a few steps".into() });
    // As in the training itself.
    keep_freed(job.run);
    let mut arena = arena.to_vec();
    let mut optimizer = Optimizer::open(job.optim, job.trainee.layout())?;
    let frozen = job.freeze.frozen(0);
    let mut sums = vec![0.0; arena.len()];
    // The first one pays for what later ones find ready, and does not count.
    let (mut began, mut took, mut counted) = ((job.run.clock)(), Duration::ZERO, 0);
    std::thread::scope(|scope| {
        for (place, made) in feed.spawn(scope, 1, 0..steps + 1).enumerate() {
            gradients(job, &mut arena, &made?, job.run.draw("dropout"), &frozen, &mut sums)?;
            optimizer.step(&mut arena, &sums, 0.0, &frozen);
            let now = (job.run.clock)();
            if place == 0 {
                began = now;
                continue;
            }
            (took, counted) = (now.saturating_sub(began), counted + 1);
            if took > TIMED_FOR {
                break;
            }
        }
        Ok::<_, Error>(())
    })?;
    Ok((took.as_secs_f64() / f64::from(counted.max(1))).max(1e-6))
}

/// The batch size whose rows take the least time, as long as memory and the number of steps allow it.
fn best_batch(job: &Job<'_>, arena: &[f32]) -> Result<(usize, String)> {
    let rows = job.train.data().len();
    let allowed = |batch: &usize| rows.div_ceil(*batch as u64) >= STEPS_PER_EPOCH_MIN;
    let mut best = (BATCHES[0], f64::INFINITY);
    for batch in BATCHES.into_iter().filter(|batch| *batch == BATCHES[0] || allowed(batch)) {
        let seconds = time_steps(job, &job.feed(arena, batch), arena, TIMED_BATCH)? / batch as f64;
        if seconds > best.1 * FASTER {
            break;
        }
        best = (batch, seconds);
        let used = (job.run.memory)();
        if let (Some(limit), Some(used)) = (job.run.memory_max, used)
            && used as f64 * 1.7 > limit as f64
        {
            break;
        }
    }
    Ok((best.0, format!("{:.0} rows/s were measured, and larger batches are not faster by much, or leave too few steps", 1.0 / best.1)))
}

/// The learning rate by a range test: rates rise step by step, and a tenth of the one at which the loss was lowest is taken.
///
/// Source: Smith, "Cyclical learning rates for training neural networks" (2017); a tenth of the lowest is fastai's rule `minimum`.
fn best_rate(job: &Job<'_>, feed: &Feed<'_>, arena: &[f32]) -> Result<(f64, String)> {
    let mut arena = arena.to_vec();
    let mut optimizer = Optimizer::open(job.optim, job.trainee.layout())?;
    let frozen = job.freeze.frozen(0);
    let mut sums = vec![0.0; arena.len()];
    let (mut rates, mut losses): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    let (mut smooth, mut lowest) = (0.0, f64::INFINITY);
    std::thread::scope(|scope| {
        for (step, made) in (0..).zip(feed.spawn(scope, 1, 0..RANGE_STEPS)) {
            let rate = RATES[0] * (RATES[1] / RATES[0]).powf(step as f64 / (RANGE_STEPS - 1) as f64);
            let loss = gradients(job, &mut arena, &made?, job.run.draw("dropout").at(step), &frozen, &mut sums)?;
            optimizer.step(&mut arena, &sums, rate, &frozen);
            smooth = 0.9 * smooth + 0.1 * loss;
            let corrected = smooth / (1.0 - 0.9f64.powi(step as i32 + 1));
            if !corrected.is_finite() || corrected > 4.0 * lowest {
                break;
            }
            lowest = lowest.min(corrected);
            rates.push(rate);
            losses.push(corrected);
        }
        Ok::<_, Error>(())
    })?;
    let usual = cupola_nets::optim::usual_rate(job.optim);
    Ok(match lowest_place(&losses).map(|place| rates[place] / 10.0) {
        Some(rate) if rate > USUAL_MAX * usual => (
            rounded(USUAL_MAX * usual),
            "the range test saw no end to rising rates: this is as much as the optimiser usually bears".to_owned(),
        ),
        Some(rate) => (rounded(rate), format!("in a range test of {} steps the loss was lowest at ten times this rate", losses.len())),
        None => (usual, "the range test found no rate at which the loss falls: this is the optimiser's usual one".to_owned()),
    })
}

/// Two digits are as much as the test can tell.
fn rounded(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

/// Where the loss is lowest, when it is clearly lower there than at the first rates.
fn lowest_place(losses: &[f64]) -> Option<usize> {
    let place = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]))?;
    let first = losses.iter().take(5).sum::<f64>() / losses.len().min(5) as f64;
    (losses[place] < FALL * first).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_loss_counts_when_it_fell() {
        let losses = |step: i32| match step {
            0..30 => 2.3,
            30..80 => 2.3 - f64::from(step - 30) * 0.04,
            _ => 0.3 + f64::from(step - 80),
        };
        assert_eq!(lowest_place(&(0..100).map(losses).collect::<Vec<_>>()), Some(80));
        assert_eq!(lowest_place(&[1.0, 2.0, 3.0, 4.0, 5.0]), Some(0).filter(|_| 1.0 < FALL * 3.0));
        assert_eq!(lowest_place(&[2.3, 2.3, 2.29, 2.3]), None);
        assert_eq!(lowest_place(&[]), None);
    }

    #[test]
    fn rates_are_told_in_two_digits() {
        assert_eq!((rounded(0.001_234), rounded(0.1)), (0.0012, 0.1));
    }
}
