//! `model=auto`: a leaderboard by cross-validation on the training rows, within the time given.

use crate::fit::{Fit, columns, fit, for_target, read_all};
use crate::folds::folds;
use crate::journal::heard_by;
use crate::models::takes;
use crate::report::{Better, Candidate, Leaderboard};
use crate::{Error, Plan, Result};
use cupola_metrics::plain;
use cupola_task::{Dataset, Event, Field, Flow, MetricDef, ModelDef, Run, Schema, Settings, Side, Splits, Task, TrainSplit, Value, View};
use std::time::Duration;

/// Above this many training rows three folds are enough.
const ROWS_FIVE_FOLDS_MAX: u64 = 10_000;
/// Of the time limit, the share for cross-validation; the rest is for the final fit and its evaluation.
const SHARE_OF_TIME: f64 = 0.7;

/// A model with one choice of settings.
#[derive(Clone)]
pub(crate) struct Entrant {
    /// The model.
    pub def: &'static ModelDef,
    /// All its settings.
    pub settings: Settings,
    /// Those that differ from the defaults.
    pub said: &'static str,
}

/// How an entrant did.
pub(crate) struct Standing {
    /// Who.
    pub entrant: Entrant,
    /// Its score on each fold that was finished.
    pub scores: Vec<f64>,
    /// Time for all folds.
    pub seconds: f64,
    /// Why there are fewer scores than folds.
    pub note: Option<String>,
}

/// All standings, the best first.
pub(crate) struct Board {
    /// The measure that decided.
    pub metric: MetricDef,
    /// How many folds.
    pub folds: usize,
    /// One an entrant.
    pub standings: Vec<Standing>,
}

/// Who takes part for a task and such inputs: every model's own list of settings to try, cheap models first so that there is always a
/// result.
///
/// # Errors
/// When no model that can look at the inputs takes part.
pub(crate) fn entrants(task: Task, schema: &Schema) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for def in crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)) {
        for said in def.auto.iter().copied() {
            let pairs: Vec<(&str, Value)> =
                said.split_whitespace().filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name, Value::parse(value))).collect();
            let settings = Settings::check(def.name, def.settings, pairs.iter().map(|(name, value)| (*name, value)))?;
            entrants.push(Entrant { def, settings, said });
        }
    }
    if entrants.is_empty() {
        let able: Vec<&str> = crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)).map(|def| def.name).collect();
        let error = Error::Data("model=auto tries no model that looks at such inputs".into(), None);
        return Err(error.with_hint(format!("name one of {}", able.join(", "))));
    }
    // The first choice of every model comes before the second of any.
    entrants.sort_by_key(|entrant| entrant.def.auto.iter().position(|said| *said == entrant.said));
    Ok(entrants)
}

/// The measure that decides: log loss for classes, since it sees every probability, and the root mean squared error for numbers;
/// ROC-AUC for two classes.
fn decider(field: &Field, task: Task, classes: usize) -> MetricDef {
    let name = match (task, classes) {
        (Task::Classify, 2) => "roc_auc",
        (Task::Classify, _) => "log_loss",
        _ => crate::evaluate::main_measure(field, task),
    };
    cupola_metrics::find(name).expect("the registry has it")
}

/// Scores every entrant by cross-validation until the time is up, the best first. At least one entrant is finished.
///
/// # Errors
/// When no entrant can learn from the rows, or the run was stopped before one was scored.
pub(crate) fn leaderboard(train: &TrainSplit, target: &Field, task: Task, plan: &Plan, run: &Run<'_>, time: Duration) -> Result<Board> {
    let began = (run.clock)();
    let deadline = began + time.mul_f64(SHARE_OF_TIME);
    let table = for_target(train.data(), &target.name)?;
    let rows = read_all(&table)?;
    let k = plan.folds.unwrap_or(if train.data().len() > ROWS_FIVE_FOLDS_MAX { 3 } else { 5 }).min(rows.rows.len().max(2));
    let sides = folds(table.schema(), &rows, k, run.draw("auto"))?;
    let classes = distinct_texts(&rows, &target.name);
    let metric = decider(target, task, classes);
    let entrants = entrants(task, table.schema())?;
    let total = entrants.len() as u64;
    let mut board = Board { metric, folds: k, standings: Vec::new() };
    let (mut failed, mut failure) = (Vec::new(), None);
    for (place, entrant) in entrants.into_iter().enumerate() {
        let is_first = board.standings.iter().all(|standing| standing.scores.is_empty());
        if !is_first && (run.clock)() >= deadline {
            let note = Some("not tried: the time was up".to_owned());
            board.standings.push(Standing { entrant, scores: vec![], seconds: 0.0, note });
            continue;
        }
        let quiet =
            |_: &Event| run.tell(Event::Progress { done: place as u64, total: Some(total), unit: "candidates".into(), score: None });
        let mut inner = heard_by(run, &quiet);
        inner.until = Some(deadline);
        let stood = standing(&entrant, is_first, train, &sides, target, &metric, plan, &inner);
        let is_stopped =
            run.tell(Event::Progress { done: place as u64 + 1, total: Some(total), unit: "candidates".into(), score: None }) == Flow::Stop;
        match stood {
            // A model cut short by a signal says nothing about the model; the first one is all there is.
            Ok(standing) if is_stopped && !is_first => {
                let note = Some("not finished: the run was stopped".to_owned());
                board.standings.push(Standing { scores: vec![], note, ..standing });
            }
            Ok(standing) => {
                tell(run, &board, &standing, place as u64 + 1, total);
                board.standings.push(standing);
            }
            Err(error) => {
                failed.push(format!("{} {}", entrant.def.name, entrant.said).trim_end().to_owned());
                failure = Some(error);
            }
        }
        if is_stopped {
            break;
        }
    }
    board.standings.sort_by(|a, b| worth(b, &metric).total_cmp(&worth(a, &metric)));
    let has_best = board.standings.first().is_some_and(|best| !best.scores.is_empty());
    match failure {
        None if has_best => Ok(board),
        None => Err(cupola_task::Error::Interrupted.into()),
        Some(error) if has_best => {
            run.tell(Event::Warning {
                text: format!("not tried, since they could not learn from these rows: {} ({error})", failed.join(", ")),
            });
            Ok(board)
        }
        Some(error) => {
            let rows = train.data().len();
            let text = format!("none of {total} candidates could learn from folds of {rows} training rows; the last one said: {error}");
            Err(Error::Data(
                text,
                Some("name a model to learn from all training rows at once, such as model=tree; or give more rows".into()),
            ))
        }
    }
}

fn distinct_texts(rows: &cupola_task::Batch, target: &str) -> usize {
    use arrow_array::cast::AsArray;
    let array = rows.targets.array(target).ok().and_then(|array| array.as_string_opt::<i32>());
    array.map_or(0, |texts| texts.iter().flatten().collect::<std::collections::HashSet<_>>().len())
}

fn tell(run: &Run<'_>, board: &Board, standing: &Standing, done: u64, total: u64) {
    let mean = mean(&standing.scores);
    let said = if standing.entrant.said.is_empty() { String::new() } else { format!(" {}", standing.entrant.said) };
    let text = format!("{done}/{total} {}{said}: {} {mean:.5} in {:.1} s", standing.entrant.def.name, board.metric.name, standing.seconds);
    run.tell(Event::Note { text });
}

/// Higher is better, unfinished last.
fn worth(standing: &Standing, metric: &MetricDef) -> f64 {
    let mean = mean(&standing.scores);
    match (mean.is_nan(), metric.is_score) {
        (true, _) => f64::NEG_INFINITY,
        (false, true) => mean,
        (false, false) => -mean,
    }
}

fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

fn standing(
    entrant: &Entrant,
    is_first: bool,
    train: &TrainSplit,
    sides: &[Vec<Side>],
    target: &Field,
    metric: &MetricDef,
    plan: &Plan,
    run: &Run<'_>,
) -> Result<Standing> {
    let began = (run.clock)();
    let mut standing = Standing { entrant: entrant.clone(), scores: vec![], seconds: 0.0, note: None };
    for sides in sides {
        let splits = train.split(sides);
        let Fit { pipeline, .. } = fit(entrant.def, &entrant.settings, target, splits.train(), &**splits.valid(), plan, run)?;
        // A model cut short by the clock says nothing about the model; the very first one is better than none.
        if run.is_late() && !(is_first && standing.scores.is_empty()) {
            standing.note = Some(format!("{} of {} folds in the time given", standing.scores.len(), sides.len()));
            break;
        }
        standing.scores.push(score(&pipeline, &splits, target, metric)?);
    }
    standing.seconds = (run.clock)().saturating_sub(began).as_secs_f64();
    Ok(standing)
}

fn score(pipeline: &crate::Pipeline, splits: &Splits, target: &Field, metric: &MetricDef) -> Result<f64> {
    let rows = read_all(&**splits.test())?;
    let schema = splits.test().schema();
    let learned = pipeline
        .fitted
        .raw()
        .field(&target.name)
        .ok_or_else(|| Error::Data(format!("the preparation lost target {}", target.name), None))?;
    let answer = pipeline.answer(&columns(&rows))?;
    let weights = crate::load::weights(schema, &rows)?;
    let view = View { truth: rows.targets.get(&target.name), weight: weights.as_deref(), inputs: &rows.inputs, keys: &rows.keys };
    let mut measure = (metric.new)(learned, &plain(metric))?;
    measure.update(view, &answer)?;
    Ok(measure.value(None)?)
}

impl Board {
    /// The one to keep.
    pub fn best(&self) -> &Entrant {
        &self.standings.first().expect("a board has a standing").entrant
    }

    /// How long the final fit of a stopped run may take: twice as long as a fold of the best, and at least a second.
    pub fn patience(&self) -> Duration {
        let best = self.standings.first().expect("a board has a standing");
        Duration::from_secs_f64((2.0 * best.seconds / best.scores.len().max(1) as f64).max(1.0))
    }

    /// As the report shows it.
    pub fn leaderboard(&self) -> Leaderboard {
        let candidate = |(place, standing): (usize, &Standing)| {
            let mean = mean(&standing.scores);
            let squares = standing.scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>();
            Candidate {
                model: standing.entrant.def.name.to_owned(),
                settings: standing.entrant.said.to_owned(),
                mean,
                deviation: (squares / (standing.scores.len() as f64 - 1.0)).sqrt(),
                seconds: standing.seconds,
                chosen: place == 0,
                note: standing.note.clone(),
            }
        };
        Leaderboard {
            measure: self.metric.name.to_owned(),
            better: if self.metric.is_score { Better::Higher } else { Better::Lower },
            folds: self.folds as u32,
            candidates: self.standings.iter().enumerate().map(candidate).collect(),
        }
    }
}
