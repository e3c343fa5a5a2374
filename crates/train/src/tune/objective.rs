//! What a point is worth: the measure by cross-validation inside the training rows, or on the validation rows. Test rows are not there.

use super::pruner::{FOLD, Pruner, is_power};
use super::space::{Point, Space, State, Trial, is_model};
use crate::crossval::Fold;
use crate::fit::fit;
use crate::journal::heard_by;
use crate::{Choice, Error, Plan, Result};
use cupola_metrics::plain;
use cupola_task::{Event, Exit, Fault, Field, Flow, MetricDef, Run, Splits, Start};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Rounds of boosting that stand for a network's epoch.
const TREES_OF_ROUND: u64 = 10;
/// How often the listener is asked whether to stop.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How trials are judged.
pub(super) struct Objective<'a> {
    pub plan: &'a Plan,
    pub space: &'a Space,
    pub target: &'a Field,
    pub metric: MetricDef,
    /// Rows that teach and rows that judge, fold by fold.
    pub folds: &'a [Splits],
    pub pruner: Pruner,
}

/// How far the search is, for the listener.
pub(super) struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    /// The best value so far.
    pub best: Option<f64>,
}

/// What one fit's listener has seen.
#[derive(Default)]
struct Seen {
    rounds: u64,
    asked: Option<Duration>,
    steps: Vec<(u64, f64)>,
}

impl Objective<'_> {
    /// Runs a trial to its end; none when the run was stopped or its time was up before that, for then it tells nothing about the point.
    /// With `must`, what was done until the time was up counts.
    ///
    /// # Errors
    /// When the recipe itself is wrong. What only these settings cannot do is a failed trial.
    pub fn trial(&self, point: &Point, history: &[Trial], progress: &Progress, must: bool, run: &Run<'_>) -> Result<Option<Trial>> {
        let began = (run.clock)();
        let number = history.len() as u64;
        let mut trial = Trial {
            number,
            state: State::Complete,
            point: point.clone(),
            loss: f64::NAN,
            steps: vec![],
            seconds: 0.0,
            note: String::new(),
        };
        let plan = Plan::check(self.space.recipe(&self.plan.recipe, point))?;
        let mut losses = Vec::new();
        for (place, splits) in self.folds.iter().enumerate() {
            let fold = self.fold(&plan, splits, place == 0, &trial, history, progress, run);
            trial.steps.extend(fold.steps);
            match fold.ended {
                Ended::Stopped => return Ok(None),
                Ended::GaveUp => trial.state = State::Pruned,
                Ended::Failed(error) => {
                    trial.state = State::Failed;
                    trial.note = error.to_string();
                }
                Ended::Scored(_) if run.is_late() && !(must && losses.is_empty()) => {
                    if !must {
                        return Ok(None);
                    }
                    trial.note = format!("{} of {} folds in the time given", losses.len(), self.folds.len());
                    break;
                }
                Ended::Scored(loss) => {
                    losses.push(loss);
                    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                    trial.steps.push(((place as u64 + 1) * FOLD, mean));
                    let is_last = place + 1 == self.folds.len();
                    if !is_last && self.pruner.gives_up(&history.iter().collect::<Vec<_>>(), &trial.steps) {
                        trial.state = State::Pruned;
                    }
                }
            }
            if trial.state != State::Complete {
                break;
            }
        }
        if trial.state == State::Complete {
            trial.loss = losses.iter().sum::<f64>() / losses.len() as f64;
            if trial.loss.is_nan() {
                trial.state = State::Failed;
                trial.note = format!("{} is not defined", self.metric.name);
            }
        }
        trial.seconds = (run.clock)().saturating_sub(began).as_secs_f64();
        Ok(Some(trial))
    }

    fn turned(&self, value: f64) -> f64 {
        if self.metric.is_score { -value } else { value }
    }

    fn fold(
        &self,
        plan: &Plan,
        splits: &Splits,
        is_first: bool,
        trial: &Trial,
        history: &[Trial],
        progress: &Progress,
        run: &Run<'_>,
    ) -> Judged {
        let seen = Mutex::new(Seen::default());
        let (gave_up, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        // Losses of rounds are those of the model itself, so only trials of the same model tell something about them.
        let model = |trial: &Trial| self.space.parameters.first().filter(|first| is_model(&first.name)).and(trial.point.first().copied());
        let alike: Vec<&Trial> = history.iter().filter(|other| model(other) == model(trial)).collect();
        let listener = |event: &Event| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let Event::Progress { score: Some((name, value)), unit, .. } = event
                && is_first
                && !gave_up.load(Ordering::Relaxed)
            {
                seen.rounds += 1;
                let of_round = if unit == "trees" { TREES_OF_ROUND } else { 1 };
                if seen.rounds.is_multiple_of(of_round) && is_power(seen.rounds / of_round) {
                    let is_score = cupola_metrics::find(name).is_some_and(|metric| metric.is_score);
                    let told = (seen.rounds, if is_score { -value } else { *value });
                    seen.steps.push(told);
                    gave_up.store(self.pruner.gives_up(&alike, &seen.steps), Ordering::Relaxed);
                }
            }
            let now = (run.clock)();
            if seen.asked.is_none_or(|asked| now >= asked + ASK_EVERY) {
                seen.asked = Some(now);
                let flow = run.tell(progress.event(self.metric.name));
                stopped.fetch_or(flow == Flow::Stop, Ordering::Relaxed);
            }
            let ends = stopped.load(Ordering::Relaxed) || gave_up.load(Ordering::Relaxed);
            if ends { Flow::Stop } else { Flow::Go }
        };
        let mut inner = heard_by(run, &listener);
        inner.start = Start::Cold;
        inner.folder = None;
        let fitted = match &plan.model {
            Choice::Named(def, settings) => fit(def, settings, self.target, splits.train(), &**splits.valid(), plan, &inner),
            Choice::Auto => Err(Error::recipe("recipe", "no model is named")),
        };
        let scored = fitted.and_then(|fit| {
            Fold::answered(&fit.pipeline, &**splits.test())?.value(fit.pipeline.field()?, &(self.metric, plain(&self.metric)))
        });
        let ended = match scored {
            _ if stopped.load(Ordering::Relaxed) => Ended::Stopped,
            _ if gave_up.load(Ordering::Relaxed) => Ended::GaveUp,
            Err(error) if error.exit() == Exit::Interrupted => Ended::Stopped,
            Err(error) => Ended::Failed(error),
            Ok(value) => Ended::Scored(self.turned(value)),
        };
        Judged { steps: seen.into_inner().unwrap_or_else(PoisonError::into_inner).steps, ended }
    }
}

/// What came of one fold.
struct Judged {
    steps: Vec<(u64, f64)>,
    ended: Ended,
}

enum Ended {
    Scored(f64),
    GaveUp,
    Stopped,
    Failed(Error),
}

impl Progress {
    /// As a run's listener hears it.
    pub fn event(&self, measure: &str) -> Event {
        let score = self.best.map(|best| (measure.to_owned(), best));
        Event::Progress { done: self.done, total: self.total, unit: "trials".into(), score }
    }
}
