//! `model=auto`: a leaderboard by cross-validation on the training rows, within the time given.

use crate::ensemble;
use crate::fit::{Fit, columns, fit, for_target, read_all};
use crate::folds::folds;
use crate::journal::heard_by;
use crate::models::takes;
use crate::report::{Better, Candidate, Leaderboard};
use crate::{Error, Plan, Result};
use cupola_metrics::plain;
use cupola_task::{
    Answer, Batch, Columns, Dataset, Event, Field, Flow, MetricDef, ModelDef, Run, Schema, Settings, Side, Task, TrainSplit, Value, View,
};
use std::time::Duration;

/// Above this many training rows three folds are enough.
const ROWS_FIVE_FOLDS_MAX: u64 = 10_000;
/// Of the time limit, the share for cross-validation; the rest is for the final fit and its evaluation.
const SHARE_OF_TIME: f64 = 0.7;

/// By then the final fit is to be done; the rest is for evaluation and report.
const SHARE_UNTIL_EVALUATED: f64 = 0.9;
/// Of the time that is left behind the leaderboard, what members may need by what their folds took.
const SHARE_OF_MEMBERS: f64 = 0.8;
/// Held-out rows of a fold that ensembles are chosen by, candidates that may join one, and how often one joins at most.
const JURY_MAX: usize = 4000;
const CANDIDATES_MAX: usize = 12;
const ROUNDS_MAX: usize = 16;

/// A model with one choice of settings.
#[derive(Clone)]
pub(crate) struct Entrant {
    /// The model.
    pub def: &'static ModelDef,
    /// All its settings.
    pub settings: Settings,
    /// Those that differ from the defaults.
    pub said: String,
    /// The most training rows it is tried on.
    pub rows_max: Option<u64>,
    /// Which of its model's choices it is.
    place: usize,
}

/// How an entrant did.
pub(crate) struct Standing {
    /// Who.
    pub entrant: Entrant,
    /// Its score on each fold that was finished.
    pub scores: Vec<f64>,
    /// What it answered there, to the rows of the fold's jury.
    answers: Vec<Answer>,
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
        for (place, tried) in def.tries().enumerate() {
            let pairs: Vec<(&str, Value)> = tried
                .settings
                .split_whitespace()
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name, Value::parse(value)))
                .collect();
            let settings = Settings::check(def.name, def.settings, pairs.iter().map(|(name, value)| (*name, value)))?;
            entrants.push(Entrant { def, settings, said: tried.settings.clone(), rows_max: tried.rows_max, place });
        }
    }
    if entrants.is_empty() {
        let able: Vec<&str> = crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)).map(|def| def.name).collect();
        let error = Error::Data("model=auto tries no model that looks at such inputs".into(), None);
        return Err(error.with_hint(format!("name one of {}", able.join(", "))));
    }
    // The first choice of every model comes before the second of any.
    entrants.sort_by_key(|entrant| entrant.place);
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
    let contest = Contest { train, folds: &sides, target, metric, plan };
    let (mut juries, mut is_cut) = (Vec::new(), false);
    let (mut failed, mut failure) = (Vec::new(), None);
    for (place, entrant) in entrants.into_iter().enumerate() {
        let is_first = board.standings.iter().all(|standing| standing.scores.is_empty());
        if !is_first && (run.clock)() >= deadline {
            let note = Some("not tried: the time was up".to_owned());
            board.standings.push(Standing { entrant, scores: vec![], answers: vec![], seconds: 0.0, note });
            continue;
        }
        if let Some(most) = entrant.rows_max.filter(|&most| train.data().len() > most) {
            let note = Some(format!("not tried: its time grows faster than the rows, and {} are more than {most}", train.data().len()));
            board.standings.push(Standing { entrant, scores: vec![], answers: vec![], seconds: 0.0, note });
            continue;
        }
        let quiet =
            |_: &Event| run.tell(Event::Progress { done: place as u64, total: Some(total), unit: "candidates".into(), score: None });
        let mut inner = heard_by(run, &quiet);
        inner.until = Some(deadline);
        let stood = standing(&contest, &entrant, is_first, &mut juries, &inner);
        let is_stopped =
            run.tell(Event::Progress { done: place as u64 + 1, total: Some(total), unit: "candidates".into(), score: None }) == Flow::Stop;
        match stood {
            // A model cut short by a signal says nothing about the model; the first one is all there is.
            Ok(standing) if is_stopped && !is_first => {
                let note = Some("not finished: the run was stopped".to_owned());
                board.standings.push(Standing { scores: vec![], answers: vec![], note, ..standing });
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
        is_cut = is_stopped;
        if is_stopped {
            break;
        }
    }
    board.standings.sort_by(|a, b| worth(b, &metric).total_cmp(&worth(a, &metric)));
    if !is_cut {
        let left = (began + time.mul_f64(SHARE_UNTIL_EVALUATED)).saturating_sub((run.clock)());
        board.add_ensemble(&juries, left, run)?;
    }
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

fn distinct_texts(rows: &Batch, target: &str) -> usize {
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

/// What every entrant is measured by.
struct Contest<'a> {
    train: &'a TrainSplit,
    folds: &'a [Vec<Side>],
    target: &'a Field,
    metric: MetricDef,
    plan: &'a Plan,
}

fn standing(contest: &Contest<'_>, entrant: &Entrant, is_first: bool, juries: &mut Vec<Jury>, run: &Run<'_>) -> Result<Standing> {
    let Contest { train, folds, target, metric, plan } = contest;
    let began = (run.clock)();
    let mut standing = Standing { entrant: entrant.clone(), scores: vec![], answers: vec![], seconds: 0.0, note: None };
    for (fold, sides) in folds.iter().enumerate() {
        let splits = train.split(sides);
        let Fit { pipeline, .. } = fit(entrant.def, &entrant.settings, target, splits.train(), &**splits.valid(), plan, run)?;
        // A model cut short by the clock says nothing about the model; the very first one is better than none.
        if run.is_late() && !(is_first && standing.scores.is_empty()) {
            standing.note = Some(format!("{} of {} folds in the time given", standing.scores.len(), folds.len()));
            break;
        }
        let all = Jury::new(read_all(&**splits.test())?, splits.test().schema(), &pipeline, target)?;
        let answer = pipeline.answer(&columns(&all.rows))?;
        standing.scores.push(all.value(&answer, metric)?);
        let few: Vec<u64> = (0..all.rows.rows.len() as u64).step_by(all.rows.rows.len().div_ceil(JURY_MAX).max(1)).collect();
        standing.answers.extend(answer.take(&few));
        if juries.len() == fold {
            juries.push(all.take(&few));
        }
    }
    standing.seconds = (run.clock)().saturating_sub(began).as_secs_f64();
    Ok(standing)
}

/// Rows that were held out, to judge answers by.
struct Jury {
    /// The target with the classes that the fold's training rows have.
    field: Field,
    rows: Batch,
    weights: Option<Vec<f64>>,
}

impl Jury {
    fn new(rows: Batch, schema: &Schema, pipeline: &crate::Pipeline, target: &Field) -> Result<Jury> {
        let field = pipeline.fitted.raw().field(&target.name).cloned();
        let field = field.ok_or_else(|| Error::Data(format!("the preparation lost target {}", target.name), None))?;
        Ok(Jury { field, weights: crate::load::weights(schema, &rows)?, rows })
    }

    fn take(&self, rows: &[u64]) -> Jury {
        let batch = Batch {
            rows: rows.iter().map(|&row| self.rows.rows[row as usize]).collect(),
            inputs: Columns::default(),
            targets: self.rows.targets.take(rows),
            keys: self.rows.keys.take(rows),
        };
        let weights = self.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row as usize]).collect());
        Jury { field: self.field.clone(), rows: batch, weights }
    }

    fn value(&self, answer: &Answer, metric: &MetricDef) -> Result<f64> {
        let truth = self.rows.targets.get(&self.field.name);
        let view = View { truth, weight: self.weights.as_deref(), inputs: &self.rows.inputs, keys: &self.rows.keys };
        let mut measure = (metric.new)(&self.field, &plain(metric))?;
        measure.update(view, answer)?;
        Ok(measure.value(None)?)
    }
}

/// How often each candidate joins: in each round the one joins that makes the mean of all who have joined best, until none does. `answers[candidate][fold]`
/// are judged on the folds that `counts`.
fn greedy(answers: &[&[Answer]], juries: &[Jury], counts: impl Fn(usize) -> bool, metric: &MetricDef) -> Result<Vec<u32>> {
    let sign = if metric.is_score { 1.0 } else { -1.0 };
    let mut joined = vec![0; answers.len()];
    let mut best = f64::NEG_INFINITY;
    for _ in 0..ROUNDS_MAX {
        let mut next = None;
        for candidate in 0..answers.len() {
            joined[candidate] += 1;
            let mut sum = 0.0;
            for fold in (0..juries.len()).filter(|&fold| counts(fold)) {
                sum += sign * judged(answers, &joined, fold, &juries[fold], metric)?;
            }
            joined[candidate] -= 1;
            if sum > best {
                (best, next) = (sum, Some(candidate));
            }
        }
        let Some(next) = next else { break };
        joined[next] += 1;
    }
    Ok(joined)
}

/// The measure of the weighted mean on a fold; not a number where answers cannot be put together.
fn judged(answers: &[&[Answer]], weights: &[u32], fold: usize, jury: &Jury, metric: &MetricDef) -> Result<f64> {
    let weighted = answers.iter().zip(weights).filter(|(_, weight)| **weight > 0);
    let weighted: Vec<(&Answer, f64)> = weighted.map(|(answers, weight)| (&answers[fold], f64::from(*weight))).collect();
    ensemble::blend(&weighted).map_or(Ok(f64::NAN), |answer| jury.value(&answer, metric))
}

impl Board {
    /// Puts the weighted mean of the best in front, where it is better than any of them and its members can be fitted in the time that is left. Its score
    /// is honest: on each fold it is that of weights chosen on the others.
    fn add_ensemble(&mut self, juries: &[Jury], left: Duration, run: &Run<'_>) -> Result<()> {
        let began = (run.clock)();
        let is_whole = |standing: &&Standing| standing.answers.len() == juries.len();
        let whole: Vec<usize> = (0..self.standings.len()).filter(|&place| is_whole(&&self.standings[place])).take(CANDIDATES_MAX).collect();
        // Learning every member again takes a fold's time, and a little more: there are more rows.
        let seconds = |place: usize| self.standings[place].seconds / juries.len() as f64 * (1.0 + 1.0 / juries.len() as f64);
        let mut time = 0.0;
        let able: Vec<usize> = whole
            .into_iter()
            .filter(|&place| {
                let fits = time + seconds(place) < left.as_secs_f64() * SHARE_OF_MEMBERS;
                time += if fits { seconds(place) } else { 0.0 };
                fits
            })
            .collect();
        if able.len() < 2 || juries.len() < 2 {
            return Ok(());
        }
        let answers: Vec<&[Answer]> = able.iter().map(|&place| self.standings[place].answers.as_slice()).collect();
        let mut scores = Vec::new();
        for (fold, jury) in juries.iter().enumerate() {
            let joined = greedy(&answers, juries, |other| other != fold, &self.metric)?;
            scores.push(judged(&answers, &joined, fold, jury, &self.metric)?);
        }
        let alone = |place: usize| -> Result<f64> {
            let values = juries.iter().zip(answers[place]).map(|(jury, answer)| jury.value(answer, &self.metric));
            Ok(mean(&values.collect::<Result<Vec<f64>>>()?))
        };
        let sign = if self.metric.is_score { 1.0 } else { -1.0 };
        let best_alone =
            (0..able.len()).map(alone).collect::<Result<Vec<f64>>>()?.into_iter().map(|value| sign * value).fold(f64::NAN, f64::max);
        let joined = greedy(&answers, juries, |_| true, &self.metric)?;
        let members: Vec<(usize, u32)> = able.iter().copied().zip(joined).filter(|(_, weight)| *weight > 0).collect();
        let is_better = sign * mean(&scores) > best_alone;
        if members.len() < 2 || !is_better {
            return Ok(());
        }
        let name = |place: usize| {
            format!("{} {}", self.standings[place].entrant.def.name, self.standings[place].entrant.said).trim_end().to_owned()
        };
        let names = members.iter().map(|&(place, _)| Value::Text(name(place))).collect();
        let weights = members.iter().map(|&(_, weight)| Value::Integer(i64::from(weight))).collect();
        let given = [("members", &Value::List(names)), ("weights", &Value::List(weights))];
        let settings = Settings::check(ensemble::MODEL.name, ensemble::MODEL.settings, given)?;
        let said = members.iter().map(|&(place, weight)| format!("{weight} x {}", name(place))).collect::<Vec<_>>().join(", ");
        let took = (run.clock)().saturating_sub(began).as_secs_f64();
        let seconds = took + members.iter().map(|&(place, _)| self.standings[place].seconds).sum::<f64>();
        let entrant = Entrant { def: &ensemble::MODEL, settings, said, rows_max: None, place: 0 };
        let note = Some("weights chosen on the other folds each time".to_owned());
        self.standings.insert(0, Standing { entrant, scores, answers: vec![], seconds, note });
        Ok(())
    }

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
                settings: standing.entrant.said.clone(),
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
