//! `model=auto`: a leaderboard by cross-validation on the training rows, within the time given.
//!
//! Every model's own list is tried first. Where the recipe gives a time and some is left, a search goes on in the spaces of the models that lead. The best
//! are put together; the models that the folds left answer together, so nothing is learned twice.

mod board;
mod jury;
mod search;

pub(crate) use board::{Board, Standing};

use crate::crossval::{Fold, mean_and_variance};
use crate::fit::{Fit, columns, fit, for_target, read_all};
use crate::journal::heard_by;
use crate::models::takes;
use crate::{Error, Plan, Result, ensemble, folds};
use cupola_metrics::{Ruler, plain};
use cupola_task::{Batch, Columns, Dataset, Event, Field, Flow, Key, MetricDef, ModelDef, Run, Schema, Settings, Side, Task, TrainSplit};
use jury::Jury;
use search::Search;
use std::time::Duration;

/// Of the time limit, the share for cross-validation; the rest is for the ensemble, or the final fit, and its evaluation.
const SHARE_OF_TIME: f64 = 0.8;

/// By then the final fit is to be done; the rest is for evaluation and report.
const SHARE_UNTIL_EVALUATED: f64 = 0.9;
/// Above so many training rows three folds do; where models of folds are kept, each row that they do not see is felt for longer than where they only choose.
const ROWS_FIVE_FOLDS_MAX: u64 = 50_000;
/// Models that take much longer than their answers are better: they come last.
const SLOW: &[&str] = &["forest", "extra_trees", "tree", "knn", "svm", "naive_bayes", "mlp"];
/// Folds that are dealt where there is time for one of them.
const FOLDS_SLOW: usize = 8;
/// Held-out rows by which it is found out how long all of them take.
const PROBED: u64 = 64;
/// What the first entrant may take of the time that is left, lest there is no time for every fold.
const SHARE_OF_PROBE: f64 = 0.4;
/// Of the time that is left, what the first entrant may take, where there is time for every fold and where there is not, and what each of the others may.
const SHARES_OF_FIRST: [f64; 2] = [0.5, 0.7];
const SHARE_OF_OTHERS: f64 = 0.25;
/// Once so many entrants are through, one that is worse than half of them on its first fold is given up (Optuna's median pruner).
const THROUGH_MIN: usize = 8;
/// Held-out rows of a fold that ensembles are chosen by.
const JURY_MAX: usize = 4000;

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

/// Who takes part for a task and such inputs: every model's own list of settings to try, cheap models first so that there is always a
/// result.
///
/// # Errors
/// When no model that can look at the inputs takes part.
pub(crate) fn entrants(task: Task, schema: &Schema) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for def in crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)) {
        for (place, tried) in def.tries().enumerate() {
            let settings = ensemble::settings_of(def, &tried.settings)?;
            entrants.push(Entrant { def, settings, said: tried.settings.clone(), rows_max: tried.rows_max, place });
        }
    }
    if entrants.is_empty() {
        let able: Vec<&str> = crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)).map(|def| def.name).collect();
        let error = Error::Data("model=auto tries no model that looks at such inputs".into(), None);
        return Err(error.with_hint(format!("name one of {}", able.join(", "))));
    }
    // Boosting and lines come first; then the first choice of every model before the second of any.
    entrants.sort_by_key(|entrant| (SLOW.contains(&entrant.def.name), entrant.place));
    Ok(entrants)
}

/// The measure that decides: the first that the recipe asks for and the task takes; else that of [`usual`].
pub(crate) fn decider(plan: &Plan, field: &Field, task: Task, rows: &Batch) -> MetricDef {
    let asked = plan.metrics.iter().flatten().find(|metric| metric.tasks.contains(&task));
    asked.map_or_else(|| usual(field, task, rows), |metric| **metric)
}

/// ROC-AUC for two classes, log loss for more, since it sees every probability, and the root mean squared error for
/// numbers. The raw schema knows no classes yet, so the rows say how many there are.
fn usual(field: &Field, task: Task, rows: &Batch) -> MetricDef {
    let name = match (task, distinct_texts(rows, &field.name)) {
        (Task::Classify, 2) => "roc_auc",
        (Task::Classify, _) => "log_loss",
        _ => crate::evaluate::main_measure(field, task),
    };
    cupola_metrics::find(name).expect("the registry has it")
}

/// How long candidates are tried, of so much time in all.
pub(crate) fn deadline(time: Duration) -> Duration {
    time.mul_f64(SHARE_OF_TIME)
}

/// Into how many folds so many rows are dealt.
pub(crate) fn folds_of(plan: &Plan, rows: u64) -> usize {
    plan.folds.unwrap_or(if rows > ROWS_FIVE_FOLDS_MAX { 3 } else { 5 }).min(rows.max(2) as usize)
}

/// Scores every entrant by cross-validation until the time is up, the best first. At least one entrant is finished. What is kept will be asked for about as
/// many rows as `asked` says: so many members as there is time for that.
///
/// # Errors
/// When no entrant can learn from the rows, or the run was stopped before one was scored.
pub(crate) fn leaderboard(
    train: &TrainSplit,
    (target, task): (&Field, Task),
    plan: &Plan,
    run: &Run<'_>,
    time: Duration,
    asked: u64,
) -> Result<Board> {
    let began = (run.clock)();
    let table = for_target(train.data(), &target.name)?;
    let rows = read_all(&table)?;
    let metric = decider(plan, target, task, &rows);
    // Folds in time learn from the past alone: the newest rows would teach nobody. With a ceiling of memory, one model at a time is held.
    let bags = table.schema().keys(Key::Time).next().is_none() && plan.read.max_memory.is_none();
    let k = folds_of(plan, table.len());
    let deal = |k: usize| folds::folds(table.schema(), &rows, k, run.draw(ensemble::FOLDS));
    let board = Board { metric, folds: k, standings: Vec::new(), fitted: None, bag: bags.then_some([k, k]) };
    let deadline = began + deadline(time);
    let contest = Contest { train, folds: deal(k)?, target, ruler: (metric, plain(&metric)), plan, run, deadline };
    let mut trial = Trials { contest, board, juries: Vec::new(), failed: Vec::new(), failure: None, is_cut: false };
    let entrants = entrants(task, table.schema())?;
    let total = entrants.len() as u64;
    if bags && plan.folds.is_none() && ensemble::can_join(entrants[0].def) && trial.is_slow(&entrants[0])? {
        let text = "there is no time for every fold: candidates are tried on one, and learn from the others";
        run.tell(Event::Note { text: text.into() });
        trial.contest.folds = deal(FOLDS_SLOW)?;
        trial.contest.folds.truncate(1);
        (trial.board.folds, trial.board.bag) = (1, Some([FOLDS_SLOW, 1]));
    }
    for (place, entrant) in entrants.into_iter().enumerate() {
        trial.run(entrant, place as u64, total)?;
        if trial.is_cut {
            break;
        }
    }
    if plan.time.is_some() && !trial.is_cut {
        trial.search(task, table.schema(), total)?;
    }
    trial.end([table.len(), asked], began + time.mul_f64(SHARE_UNTIL_EVALUATED), total)
}

/// A leaderboard on its way.
struct Trials<'a> {
    contest: Contest<'a>,
    board: Board,
    juries: Vec<Jury>,
    failed: Vec<String>,
    failure: Option<Error>,
    is_cut: bool,
}

impl Trials<'_> {
    fn left(&self) -> Duration {
        self.contest.deadline.saturating_sub((self.contest.run.clock)())
    }

    /// Whether there is no time for an entrant to learn a fold to its end.
    fn is_slow(&self, entrant: &Entrant) -> Result<bool> {
        let Contest { target, plan, run, .. } = self.contest;
        let splits = self.contest.train.split(&self.contest.folds[0]);
        let quiet = |_: &Event| run.tell(Event::Progress { done: 0, total: None, unit: "candidates".into(), score: None });
        let mut timed = heard_by(run, &quiet);
        timed.until = Some((run.clock)() + self.left().mul_f64(SHARE_OF_PROBE / self.contest.folds.len() as f64));
        let fitted = fit(entrant.def, &entrant.settings, target, splits.train(), &**splits.valid(), plan, &timed);
        Ok(fitted.is_ok() && timed.is_late())
    }

    /// Tries an entrant, or says why it is not tried.
    fn run(&mut self, entrant: Entrant, place: u64, total: u64) -> Result<()> {
        let (run, rows) = (self.contest.run, self.contest.train.data().len());
        let is_first = self.board.standings.iter().all(|standing| standing.scores.is_empty());
        if !is_first && self.left().is_zero() {
            self.board.add(Standing::new(entrant, Some("not tried: the time was up".to_owned())));
            return Ok(());
        }
        let is_cut = |standing: &Standing| standing.is_short && standing.entrant.def.name == entrant.def.name;
        if entrant.place > 0 && self.board.standings.iter().any(is_cut) {
            self.board.add(Standing::new(entrant, Some("not tried: there was not the time for the model's first choice".to_owned())));
            return Ok(());
        }
        if let Some(most) = entrant.rows_max.filter(|&most| rows > most) {
            let note = format!("not tried: its time grows faster than the rows, and {rows} are more than {most}");
            self.board.add(Standing::new(entrant, Some(note)));
            return Ok(());
        }
        let progress = |done: u64| Event::Progress { done, total: Some(total), unit: "candidates".into(), score: None };
        let quiet = |_: &Event| run.tell(progress(place));
        let inner = heard_by(run, &quiet);
        let stood = self.contest.standing(&entrant, &self.board, &mut self.juries, &inner);
        let is_stopped = run.tell(progress(place + 1)) == Flow::Stop;
        match stood {
            // A model cut short by a signal says nothing about the model; the first one is all there is.
            Ok(standing) if is_stopped && !is_first => {
                let note = Some("not finished: the run was stopped".to_owned());
                self.board.add(Standing { seconds: standing.seconds, ..Standing::new(entrant, note) });
            }
            Ok(standing) => {
                tell(run, &self.board, &standing, place + 1, total);
                self.board.add(standing);
            }
            Err(error) => {
                self.failed.push(entrant.phrase());
                self.failure = Some(error);
            }
        }
        self.is_cut = is_stopped;
        Ok(())
    }

    /// Tries what a search proposes, while there is time.
    fn search(&mut self, task: Task, schema: &Schema, tried: u64) -> Result<()> {
        let run = self.contest.run;
        let mut search = Search::new(&self.board, task, schema, self.contest.plan, run.draw("search"))?;
        let mut place = tried;
        while let Some(entrant) = search.next(&self.board, self.left())? {
            self.run(entrant, place, place + 1)?;
            place += 1;
            if self.is_cut {
                break;
            }
        }
        Ok(())
    }

    /// Puts the best in front, and together.
    fn end(mut self, [rows, asked]: [u64; 2], until: Duration, total: u64) -> Result<Board> {
        let (run, metric) = (self.contest.run, self.board.metric);
        // The score of some folds is not held against that of all.
        let folds = self.board.folds;
        let is_whole = |standing: &Standing| standing.scores.len() >= folds;
        let order =
            |a: &Standing, b: &Standing| is_whole(b).cmp(&is_whole(a)).then_with(|| worth(b, &metric).total_cmp(&worth(a, &metric)));
        self.board.standings.sort_by(order);
        if !self.is_cut {
            self.board.add_ensemble(&self.juries, [rows, asked], until.saturating_sub((run.clock)()), run)?;
        }
        self.board.standings.iter_mut().for_each(Standing::forget);
        let has_best = self.board.standings.first().is_some_and(|best| !best.scores.is_empty());
        match self.failure {
            None if has_best => Ok(self.board),
            None => Err(cupola_task::Error::Interrupted.into()),
            Some(error) if has_best => {
                let failed = self.failed.join(", ");
                run.tell(Event::Warning { text: format!("not tried, since they could not learn from these rows: {failed} ({error})") });
                Ok(self.board)
            }
            Some(error) => {
                let text = format!("none of {total} candidates could learn from folds of {rows} training rows; the last one said: {error}");
                let hint = "name a model to learn from all training rows at once, such as model=tree; or give more rows";
                Err(Error::Data(text, Some(hint.into())))
            }
        }
    }
}

fn distinct_texts(rows: &Batch, target: &str) -> usize {
    use arrow_array::cast::AsArray;
    let array = rows.targets.array(target).ok().and_then(|array| array.as_string_opt::<i32>());
    array.map_or(0, |texts| texts.iter().flatten().collect::<std::collections::HashSet<_>>().len())
}

fn tell(run: &Run<'_>, board: &Board, standing: &Standing, done: u64, total: u64) {
    let (who, mean) = (standing.entrant.phrase(), mean(&standing.scores));
    let text = format!("{done}/{total} {who}: {} {mean:.5} in {:.1} s", board.metric.name, standing.seconds);
    run.tell(Event::Note { text });
}

/// Higher is better, unfinished last.
fn worth(standing: &Standing, metric: &MetricDef) -> f64 {
    let worth = upwards(metric, mean(&standing.scores));
    if worth.is_nan() { f64::NEG_INFINITY } else { worth }
}

/// The value, or its opposite where less is better.
fn upwards(metric: &MetricDef, value: f64) -> f64 {
    if metric.is_score { value } else { -value }
}

fn mean(scores: &[f64]) -> f64 {
    mean_and_variance(scores)[0]
}

/// What every entrant is measured by.
struct Contest<'a> {
    train: &'a TrainSplit,
    folds: Vec<Vec<Side>>,
    target: &'a Field,
    ruler: Ruler,
    plan: &'a Plan,
    run: &'a Run<'a>,
    deadline: Duration,
}

impl Contest<'_> {
    /// Tries an entrant on each fold. One that the first fold cuts short for the time is tried further with as many rounds as it got there.
    fn standing(&self, entrant: &Entrant, board: &Board, juries: &mut Vec<Jury>, run: &Run<'_>) -> Result<Standing> {
        let began = (run.clock)();
        let is_first = board.standings.iter().all(|standing| standing.scores.is_empty());
        let share = if is_first { SHARES_OF_FIRST[usize::from(self.folds.len() == 1)] } else { SHARE_OF_OTHERS };
        let soon = began + self.deadline.saturating_sub(began).mul_f64(share / self.folds.len() as f64);
        let mut standing = Standing::new(entrant.clone(), None);
        let (mut answered, mut answering) = (0, Duration::ZERO);
        for (fold, sides) in self.folds.iter().enumerate() {
            let splits = self.train.split(sides);
            let mut timed = heard_by(run, run.events);
            timed.until = Some(if fold == 0 { soon } else { self.deadline });
            let entrant = &standing.entrant;
            let fit = fit(entrant.def, &entrant.settings, self.target, splits.train(), &**splits.valid(), self.plan, &timed)?;
            let is_late = timed.is_late();
            if is_late && fold == 0 {
                standing.entrant.shorten(&fit)?;
                standing.is_short = true;
            } else if is_late {
                // A model cut short by the clock says nothing about the model.
                standing.note = Some(format!("{fold} of {} folds in the time given", self.folds.len()));
                break;
            }
            if !is_first && self.is_slow_to_answer(&fit, &**splits.test(), soon, run)? {
                standing.note = Some("given up: its answers take too long".to_owned());
                break;
            }
            let asked = (run.clock)();
            let (all, field) = (Fold::answered(&fit.pipeline, &**splits.test())?, fit.pipeline.field()?);
            answering += (run.clock)().saturating_sub(asked);
            answered += all.answer.len();
            standing.scores.push(all.value(field, &self.ruler)?);
            let count = all.answer.len();
            let few: Vec<u64> = (0..count as u64).step_by(count.div_ceil(JURY_MAX).max(1)).collect();
            standing.answers.extend(all.answer.take(&few));
            if juries.len() == fold {
                let weights = all.weights.map(|weights| few.iter().map(|&row| weights[row as usize]).collect());
                let rows = Batch { inputs: Columns::default(), ..all.rows }.take(&few);
                juries.push(Jury { field: field.clone(), rows, weights });
            }
            standing.keep(fit, board.bag.is_some())?;
            if fold == 0 && board.is_behind(&standing) {
                standing.note = Some("given up: half of the others were better on the first fold".to_owned());
                break;
            }
        }
        standing.answering = answering.as_secs_f64() / answered.max(1) as f64;
        standing.seconds = (run.clock)().saturating_sub(began).as_secs_f64();
        Ok(standing)
    }
}

impl Contest<'_> {
    /// Whether answers to all rows that were held out would take longer than until then, by what a few of them take.
    fn is_slow_to_answer(&self, fit: &Fit, held: &dyn Dataset, until: Duration, run: &Run<'_>) -> Result<bool> {
        let few: Vec<u64> = (0..held.len().min(PROBED)).collect();
        let rows = held.read(&few, run.draw("probe"))?;
        let began = (run.clock)();
        fit.pipeline.answer(&columns(&rows))?;
        let took = (run.clock)().saturating_sub(began).mul_f64(held.len() as f64 / few.len().max(1) as f64);
        Ok(began + took > until.max(began + (self.deadline.saturating_sub(began)).mul_f64(SHARE_OF_OTHERS / self.folds.len() as f64)))
    }
}

impl Entrant {
    /// The model with the settings that differ from its defaults, as an ensemble names its members.
    pub fn phrase(&self) -> String {
        format!("{} {}", self.def.name, self.said).trim_end().to_owned()
    }

    /// From now on with as many rounds as a fit got in its time.
    fn shorten(&mut self, fit: &Fit) -> Result<()> {
        for (name, value, _) in &fit.resolved {
            let others = self.said.split_whitespace().filter(|word| word.split('=').next() != Some(name));
            self.said = others.chain([format!("{name}={value}").as_str()]).collect::<Vec<_>>().join(" ");
        }
        let settled = |name: &str| fit.resolved.iter().find(|(other, _, _)| other == name).map(|(_, value, _)| value);
        let given = self.settings.iter().map(|(name, value)| (name, settled(name).unwrap_or(value)));
        self.settings = Settings::check("model", self.def.settings, given)?;
        Ok(())
    }
}
