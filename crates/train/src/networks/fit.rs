//! The loop: steps, epochs, checkpoints, and what happens when a training goes wrong.

use super::checkpoint::{Checkpoints, Opened};
use super::estimate::{Estimate, duration};
use super::judge::Judge;
use super::loader::{Feed, StepBatches, Steps};
use super::settings::{Every, LoopSettings};
use super::settle::{Settled, from_checkpoint, gradients, keep_freed, settle};
use super::state::{Best, Place, Point, State};
use crate::report::{History, HistoryPoint};
use crate::{Error, Result};
use cupola_data::augment::Augment;
use cupola_nets::Trainee;
use cupola_nets::optim::{Clip, Ema, Freeze, Optimizer, Schedule};
use cupola_task::{Event, Flow, Parts, Run, Settings, TrainSplit};
use std::time::Duration;

/// What is to be trained, and on what.
pub(crate) struct Job<'a> {
    pub trainee: &'a dyn Trainee,
    /// Prepared training rows.
    pub train: &'a TrainSplit,
    /// Validation rows.
    pub judge: Option<&'a Judge<'a>>,
    pub settings: &'a LoopSettings,
    /// The recipe's `[train]`.
    pub optim: &'a Settings,
    pub freeze: &'a Freeze,
    pub augment: &'a Augment,
    pub checkpoints: Option<&'a Checkpoints>,
    pub run: &'a Run<'a>,
    /// Whether the time limit says how long to train, in place of epochs or steps.
    pub fills_time: bool,
    /// What is learned, by which model.
    pub target: &'a str,
    pub model: &'a str,
}

/// A finished training.
pub(crate) struct Trained {
    /// The weights to keep.
    pub arena: Vec<f32>,
    /// One point an epoch.
    pub points: Vec<Point>,
    /// What was watched on validation rows.
    pub watched: &'static str,
    /// The epoch whose weights were kept, when it was chosen by validation rows.
    pub best: Option<u64>,
    /// What was found out or cut short: dotted key, value as recipe text, reason.
    pub resolved: Vec<[String; 3]>,
}

impl Trained {
    /// As the report shows it.
    pub fn history(&self) -> History {
        let known = |number: Option<f64>| number.unwrap_or(f64::NAN);
        let point = |point: &Point| HistoryPoint {
            epoch: point.epoch as f64,
            step: point.step,
            seconds: point.seconds,
            rate: point.rate,
            train_loss: point.train_loss,
            valid_loss: known(point.valid_loss),
            valid_score: known(point.valid_score),
        };
        let last = self.points.last().map(|point| point.epoch);
        let best_epoch = self.best.filter(|best| Some(*best) != last).map(|best| best as f64);
        History { watched: self.watched.to_owned(), points: self.points.iter().map(point).collect(), best_epoch }
    }
}

/// Weight of the newest loss in the moving average that tells divergence.
const SMOOTHING: f64 = 0.1;
/// Between two messages about progress.
const TOLD_EVERY: Duration = Duration::from_millis(100);

impl Job<'_> {
    /// Batches of that size; of the arena only what is fixed is looked at.
    pub fn feed<'f>(&'f self, arena: &'f [f32], batch: usize) -> Feed<'f> {
        Feed {
            rows: self.train.data(),
            trainee: self.trainee,
            arena,
            augment: self.augment,
            smoothing: self.optim.real("label_smoothing"),
            batch,
            accumulate: self.settings.accumulate,
            draw: self.run.draw("network"),
        }
    }

    /// Optimiser steps of an epoch.
    pub fn steps_per_epoch(&self, batch: usize) -> u64 {
        self.feed(&[], batch).steps_per_epoch()
    }
}

/// Trains, from the newest checkpoint where there is one to go on from.
///
/// # Errors
/// When rows cannot be read, a checkpoint cannot be written, or the training diverges again and again.
pub(crate) fn train(job: &Job<'_>, first: Vec<f32>, resumes: bool) -> Result<Trained> {
    keep_freed(job.run);
    if !job.settings.precision.is_fast() {
        let text = "precision=bf16: this processor has no instructions for it, so training is slower than with f32".into();
        job.run.tell(Event::Warning { text });
    }
    let optimizer = Optimizer::open(job.optim, job.trainee.layout())?;
    let ema = Ema::open(job.optim, &first);
    let fixed = first.clone();
    let mut state = State { arena: first, optimizer, ema, place: Place { rate_scale: 1.0, ..Place::default() } };
    let opened = if resumes { newest(job) } else { None };
    let settled = match &opened {
        Some(opened) => from_checkpoint(job, &opened.head.resolved)?,
        None => settle(job, &fixed)?,
    };
    let mut kept = Kept::default();
    if let Some(opened) = opened {
        kept.open(job, &mut state, opened)?;
    }
    let estimate = Estimate::new(job, &settled);
    job.run.tell(Event::Note { text: estimate.sentence() });
    let feed = job.feed(&fixed, settled.batch);
    let schedule = settled.schedule(job.optim)?;
    let clip = Clip::open(job.optim);
    let training = Training { job, feed: &feed, settled: &settled, schedule, clip };
    let began = (job.run.clock)();
    let trained = training.run(state, kept)?;
    let took = (job.run.clock)().saturating_sub(began).as_secs_f64();
    job.run.tell(Event::Note { text: truth(&estimate, took, (job.run.memory)()) });
    Ok(trained)
}

/// What was planned beside what came.
fn truth(estimate: &Estimate, seconds: f64, memory: Option<u64>) -> String {
    let planned = estimate.train_seconds.map_or(String::new(), |planned| format!(" (planned {})", duration(planned)));
    let memory = memory.map_or(String::new(), |used| {
        let planned = estimate.memory_bytes.map_or(String::new(), |planned| format!(" (planned {})", planned / 1_000_000));
        format!(", {} MB at most{planned}", used / 1_000_000)
    });
    format!("trained in {}{planned}{memory}", duration(seconds))
}

fn newest(job: &Job<'_>) -> Option<Opened> {
    let (opened, refused) = job.checkpoints?.newest();
    for text in refused {
        job.run.tell(Event::Warning { text });
    }
    match &opened {
        Some(opened) => job.run.tell(Event::Note { text: format!("going on from checkpoint {}", opened.name) }),
        None => job.run.tell(Event::Note { text: "no checkpoint to go on from: training begins anew".into() }),
    };
    opened
}

/// States beside the present one.
#[derive(Default)]
struct Kept {
    /// The start of this epoch, to go back to.
    retreat: Option<State>,
    /// The weights of the best epoch, and the step after it.
    best: Option<(u64, Vec<f32>)>,
}

const BEST: &str = "weights.safetensors";

impl Kept {
    fn open(&mut self, job: &Job<'_>, state: &mut State, opened: Opened) -> Result<()> {
        let layout = job.trainee.layout();
        let mut retreat = state.clone();
        state.restore(&opened.name, &opened.state, layout)?;
        if let Some(parts) = &opened.retreat {
            retreat.restore(&opened.name, parts, layout)?;
            self.retreat = Some(retreat);
        }
        if let (Some(parts), Some(best)) = (&opened.best, state.place.best) {
            let bytes =
                parts.0.get(BEST).ok_or_else(|| Error::artifact(&opened.name, "no best weights", "the weights of the best epoch"))?;
            self.best = Some((best.step, cupola_nets::weights::from_safetensors(&opened.name, bytes, layout)?));
        }
        Ok(())
    }
}

struct Training<'a> {
    job: &'a Job<'a>,
    feed: &'a Feed<'a>,
    settled: &'a Settled,
    schedule: Schedule,
    clip: Clip,
}

/// Why the steps ended.
enum End {
    /// All were done.
    Done,
    /// No better epoch for too long.
    Patience,
    /// The time was up.
    Late,
    /// Somebody asked.
    Stopped,
    /// The loss or a gradient is no number any more, or far above the first one.
    Diverged(f64),
}

impl Training<'_> {
    fn run(&self, mut state: State, mut kept: Kept) -> Result<Trained> {
        let run = self.job.run;
        run.tell(Event::Stage { name: "train".into() });
        let clock = Clock { began: (run.clock)(), before: state.place.seconds };
        let mut resolved = self.settled.resolved.clone();
        let end = loop {
            match self.steps(&mut state, &mut kept, &clock)? {
                End::Diverged(loss) => state = self.go_back(state, &kept, loss)?,
                end => break end,
            }
        };
        match &end {
            End::Patience => {
                let text = format!("{} epochs without a better {}", self.patience().unwrap_or_default(), self.watched());
                self.cut(&mut resolved, &state, &text);
            }
            End::Late => self.cut(&mut resolved, &state, "the time was up"),
            End::Stopped => self.cut(&mut resolved, &state, "the run was stopped"),
            End::Done | End::Diverged(_) => {}
        }
        self.fixed_by_time(&mut resolved);
        state.place.seconds = clock.seconds(run);
        self.save(&state, &kept)?;
        match (&end, self.job.checkpoints) {
            // Who goes on later must find the state as it was; the model of now is judged as if it ended here.
            (End::Stopped, _) if !state.place.step.is_multiple_of(self.feed.steps_per_epoch()) => {
                self.end_epoch(&mut state, &mut kept, &clock)?;
            }
            (End::Stopped, _) | (_, None) => {}
            (_, Some(checkpoints)) if !self.job.settings.keeps_files => checkpoints.remove(),
            _ => {}
        }
        let chosen = kept.best.filter(|_| self.job.settings.keeps_best);
        let best = chosen.as_ref().and(state.place.best).map(|best| best.epoch);
        let arena = chosen.map_or_else(|| state.weights().to_vec(), |(_, arena)| arena);
        Ok(Trained { arena, points: state.place.points, watched: self.watched(), best, resolved })
    }

    /// Says in `run.toml` where a training ended that was to be longer.
    fn cut(&self, resolved: &mut Vec<[String; 3]>, state: &State, reason: &str) {
        if state.place.step < self.settled.steps {
            resolved.push(["train.steps".into(), state.place.step.max(1).to_string(), reason.to_owned()]);
            resolved.push(["train.total_steps".into(), self.settled.total.to_string(), "the schedule was planned to end there".into()]);
        }
    }

    /// A time limit that was kept stands in `run.toml` as a number of steps.
    fn fixed_by_time(&self, resolved: &mut Vec<[String; 3]>) {
        if self.job.run.until.is_some() && resolved.iter().all(|[key, ..]| key != "train.steps") {
            let reason = "as many as the time allowed".to_owned();
            resolved.push(["train.steps".into(), self.settled.steps.to_string(), reason.clone()]);
            resolved.push(["train.total_steps".into(), self.settled.total.to_string(), reason]);
        }
    }

    fn watched(&self) -> &'static str {
        self.job.judge.map_or("loss", Judge::watched)
    }

    /// Steps until something ends them.
    fn steps(&self, state: &mut State, kept: &mut Kept, clock: &Clock) -> Result<End> {
        std::thread::scope(|scope| {
            let threads = (self.job.run.threads / 2).max(1);
            let mut steps = self.feed.spawn(scope, threads, state.place.step..self.settled.steps);
            self.epochs(state, kept, clock, &mut steps)
        })
    }

    fn epochs(&self, state: &mut State, kept: &mut Kept, clock: &Clock, steps: &mut Steps) -> Result<End> {
        let run = self.job.run;
        let length = self.feed.steps_per_epoch();
        let mut sums = vec![0.0; state.arena.len()];
        let mut frozen = self.job.freeze.frozen(state.place.step / length);
        let (mut told, mut saved) = (Duration::ZERO, (run.clock)());
        if state.place.step > 0 && state.place.step.is_multiple_of(length) && self.is_exhausted(state) {
            return Ok(End::Patience);
        }
        while state.place.step < self.settled.steps {
            if state.place.step.is_multiple_of(length) {
                frozen = self.job.freeze.frozen(state.place.step / length);
                kept.retreat = Some(state.clone());
            }
            let made = steps.next().ok_or_else(|| Error::Data("the loader ended before the training".into(), None))??;
            if let Some(loss) = self.step(state, &made, &frozen, &mut sums)? {
                return Ok(End::Diverged(loss));
            }
            let ends_epoch = state.place.step.is_multiple_of(length) || state.place.step == self.settled.steps;
            if ends_epoch && self.end_epoch(state, kept, clock)? {
                return Ok(End::Patience);
            }
            let now = (run.clock)();
            if (ends_epoch || now.saturating_sub(told) >= TOLD_EVERY) && self.tell(state, length) == Flow::Stop {
                return Ok(End::Stopped);
            }
            told = if now.saturating_sub(told) >= TOLD_EVERY { now } else { told };
            if self.is_due(state.place.step, now.saturating_sub(saved)) {
                state.place.seconds = clock.seconds(run);
                self.save(state, kept)?;
                saved = now;
            }
            let is_late = run.until.is_some_and(|until| now + Duration::from_secs_f64(clock.before) >= until);
            if is_late && state.place.step < self.settled.steps {
                if !ends_epoch {
                    self.end_epoch(state, kept, clock)?;
                }
                return Ok(End::Late);
            }
        }
        Ok(End::Done)
    }

    /// One optimiser step. Gives the loss when the training has diverged; then nothing was changed by it but the place.
    fn step(&self, state: &mut State, made: &StepBatches, frozen: &[bool], sums: &mut [f32]) -> Result<Option<f64>> {
        let step = state.place.step;
        let draw = self.job.run.draw("dropout").at(step);
        let loss = gradients(self.job, &mut state.arena, made, draw, frozen, sums)?;
        let norm = self.clip.apply(sums);
        let [smooth, first] = smoothed(state.place.smooth, loss);
        if !loss.is_finite() || !norm.is_finite() || smooth > diverged(first) {
            return Ok(Some(loss));
        }
        let rate = self.rate(state, step);
        state.optimizer.step(&mut state.arena, sums, rate, frozen);
        if let Some(ema) = &mut state.ema {
            ema.follow(self.job.trainee.layout(), &state.arena, step);
        }
        let weight: f64 = made.batches.iter().map(|(_, weight)| weight).sum();
        state.place.loss_sum[0] += loss * weight;
        state.place.loss_sum[1] += weight;
        state.place.smooth = Some([smooth, first]);
        state.place.step += 1;
        Ok(None)
    }

    fn rate(&self, state: &State, step: u64) -> f64 {
        self.schedule.rate(step, self.settled.total) * state.place.rate_scale
    }

    /// Judges an epoch. True when patience is at its end.
    fn end_epoch(&self, state: &mut State, kept: &mut Kept, clock: &Clock) -> Result<bool> {
        let length = self.feed.steps_per_epoch();
        let epoch = state.place.step.div_ceil(length);
        let verdict = self.job.judge.map(|judge| judge.verdict(self.job.trainee, state.weights())).transpose()?;
        let [sum, weight] = std::mem::take(&mut state.place.loss_sum);
        state.place.points.push(Point {
            epoch,
            step: state.place.step,
            seconds: clock.seconds(self.job.run),
            rate: self.rate(state, state.place.step.saturating_sub(1)),
            train_loss: sum / weight.max(f64::MIN_POSITIVE),
            valid_loss: verdict.map(|verdict| verdict.loss).filter(|loss| loss.is_finite()),
            valid_score: verdict.map(|verdict| verdict.score).filter(|score| score.is_finite()),
        });
        let Some(verdict) = verdict else { return Ok(false) };
        let worth = if verdict.worth.is_nan() { f64::MIN } else { verdict.worth.max(f64::MIN) };
        if state.place.best.is_none_or(|best| worth > best.worth) {
            state.place.best = Some(Best { step: state.place.step, epoch, worth });
            kept.best = Some((state.place.step, state.weights().to_vec()));
        }
        Ok(self.is_exhausted(state))
    }

    /// Whether there was no better epoch for too long.
    fn is_exhausted(&self, state: &State) -> bool {
        let epoch = state.place.step.div_ceil(self.feed.steps_per_epoch());
        let since = state.place.best.map_or(0, |best| epoch - best.epoch);
        self.patience().is_some_and(|patience| since >= patience)
    }

    fn patience(&self) -> Option<u64> {
        self.job.settings.patience(self.settled.steps.div_ceil(self.feed.steps_per_epoch()))
    }

    fn tell(&self, state: &State, length: u64) -> Flow {
        let last = state.place.points.last();
        let score = last.and_then(|point| point.valid_score).map(|score| (self.watched().to_owned(), score));
        let score = score.or_else(|| last.map(|point| ("loss".to_owned(), point.train_loss)));
        let ended = state.place.step.is_multiple_of(length);
        if let (true, Some(point)) = (ended, last) {
            self.job.run.tell(Event::Note { text: line(point, self.watched(), self.settled.steps.div_ceil(length)) });
        }
        self.job.run.tell(Event::Progress { done: state.place.step, total: Some(self.settled.steps), unit: "steps".into(), score })
    }

    fn is_due(&self, step: u64, since: Duration) -> bool {
        match self.job.settings.every {
            Every::Steps(steps) => step.is_multiple_of(steps),
            Every::Time(time) => since >= time,
        }
    }

    fn save(&self, state: &State, kept: &Kept) -> Result<()> {
        let Some(checkpoints) = self.job.checkpoints else { return Ok(()) };
        let layout = self.job.trainee.layout();
        // At the start of an epoch the state is its own way back.
        let retreat = kept.retreat.as_ref().filter(|_| !state.place.step.is_multiple_of(self.feed.steps_per_epoch()));
        let retreat = retreat.map(|retreat| (retreat.place.step, retreat.to_parts(layout)));
        let best = kept.best.as_ref().map(|(step, arena)| {
            let bytes = cupola_nets::weights::to_safetensors(layout, arena);
            (*step, Parts([(BEST.to_owned(), bytes)].into()))
        });
        checkpoints.write(
            state.place.step,
            &self.settled.kept(),
            state.to_parts(layout),
            retreat.as_ref().map(|(step, parts)| (*step, parts)),
            best.as_ref().map(|(step, parts)| (*step, parts)),
        )
    }

    /// The state at the start of the epoch, with half the rate.
    fn go_back(&self, state: State, kept: &Kept, loss: f64) -> Result<State> {
        let retreats = state.place.retreats + 1;
        let Some(retreat) = kept.retreat.as_ref().filter(|_| retreats <= self.job.settings.retreats) else {
            let text = format!("training diverged at step {} (loss {loss}), {} times", state.place.step, state.place.retreats);
            return Err(Error::Data(
                text,
                Some("lower train.lr, set train.clip_norm=1, or look for extreme values among the inputs".into()),
            ));
        };
        let mut back = retreat.clone();
        back.place.retreats = retreats;
        back.place.rate_scale = state.place.rate_scale * 0.5;
        self.job.run.tell(Event::Warning {
            text: format!(
                "training diverged at step {} (loss {loss}): back to step {}, with {} of the rate",
                state.place.step, back.place.step, back.place.rate_scale
            ),
        });
        Ok(back)
    }
}

/// Time over all processes that worked on a training.
struct Clock {
    began: Duration,
    before: f64,
}

impl Clock {
    fn seconds(&self, run: &Run<'_>) -> f64 {
        self.before + (run.clock)().saturating_sub(self.began).as_secs_f64()
    }
}

/// The moving average of the loss, and the first loss.
fn smoothed(before: Option<[f64; 2]>, loss: f64) -> [f64; 2] {
    before.map_or([loss; 2], |[smooth, first]| [(1.0 - SMOOTHING) * smooth + SMOOTHING * loss, first])
}

/// Losses are of the order of one, cross-entropies and errors of scaled numbers alike: a network that is so much worse than it was untrained
/// does not come back by itself.
fn diverged(first: f64) -> f64 {
    2.0 * first.abs() + 1.0
}

/// An epoch as a line for people.
fn line(point: &Point, watched: &str, epochs: u64) -> String {
    let valid = point.valid_loss.map_or(String::new(), |loss| format!("  valid loss {loss:.4}"));
    let score = match point.valid_score {
        Some(score) if watched != "loss" => format!("  {watched} {score:.4}"),
        _ => String::new(),
    };
    format!("epoch {}/{epochs}  loss {:.4}{valid}{score}  rate {:.2e}  {:.1} s", point.epoch, point.train_loss, point.rate, point.seconds)
}
