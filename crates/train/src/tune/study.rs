//! `tune`: from a recipe to the settings that are best, and from them to a run like any other.

use super::importance::importance;
use super::objective::{Objective, Progress};
use super::options::{Judge, TuneOptions};
use super::sampler::{Sampler, suggest};
use super::space::{Point, Space, State, Trial, is_model};
use super::spaces::default_space;
use super::store::{self, Store, Study};
use crate::auto;
use crate::fit::{for_target, read_all};
use crate::folds;
use crate::journal::{Journal, heard_by};
use crate::learning_curve::class_counts;
use crate::nested::{self, Chosen};
use crate::recipe::Recipe;
use crate::report::{Better, CrossValidation, TunedParameter, TunedTrial, Tuning};
use crate::training::{Divided, check_measures, check_models, divide, in_folder};
use crate::{Choice, Error, Outcome, Plan, Result, resume as resuming, runs, summary};
use cupola_task::{Dataset, Event, Exit, Fault, Field, Flow, Kind, Make, MetricDef, Run, Side, Splits, Start, Task, Value};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Trials when nothing is said.
pub(crate) const TRIALS: u64 = 50;
/// Of the time limit, the share for trials; the rest is for the last fit, its evaluation and its report.
const SHARE_OF_TIME: f64 = 0.8;
/// Trials that may fail one after another before the search is given up.
const FAILURES: usize = 10;

/// Searches, then trains with the best settings, measures and saves, in a new folder under `root`, or in that of a search of the same recipe that
/// was cut off.
///
/// When the run is asked to stop, the best trial so far is trained.
///
/// # Errors
/// Those of [`train`](crate::train); when what is to be searched is wrong, or no trial could learn.
pub fn tune(plan: &Plan, run: &Run<'_>, root: &Path, binary: &str) -> Result<Outcome> {
    if let Some(folder) = cut_off(plan, root) {
        run.tell(Event::Note { text: format!("going on with {}, which was cut off", folder.display()) });
        return resume(plan, run, &folder, binary);
    }
    let journal = Journal::new(run);
    let listener = |event: &Event| journal.hear(event);
    let run = heard_by(run, &listener);
    let divided = divide(plan, &run)?;
    let search = Search::new(plan, &divided, &run)?;
    check_measures(divided.loaded.schema(), plan.metrics.as_deref(), &plan.gates)?;
    let folder = runs::create(root, &summary::label(plan))?;
    store::create(&folder)?;
    journal.open(&folder)?;
    resuming::note(plan, &divided, &folder, binary)?;
    let outcome = search.run(&run, &journal, &divided, &folder, binary);
    if outcome.as_ref().is_err_and(|error| matches!(error.exit(), Exit::Usage | Exit::Data)) && !folder.join(runs::MODEL_FILE).exists() {
        let _ = std::fs::remove_dir_all(&folder).and_then(|()| std::fs::remove_dir(root));
    }
    outcome
}

/// How long trials are made, of so much time in all.
pub(crate) fn time_of_trials(time: Duration) -> Duration {
    time.mul_f64(SHARE_OF_TIME)
}

/// The newest search of the same recipe that has no end, and that nobody is at.
fn cut_off(plan: &Plan, root: &Path) -> Option<PathBuf> {
    let said = |recipe: &Recipe| recipe.iter().map(|(path, entry)| (path.to_vec(), entry.value.clone())).collect::<Vec<_>>();
    let is_same = |folder: &Path| Recipe::open(&folder.join("recipe.toml")).is_ok_and(|recipe| said(&recipe) == said(&plan.recipe));
    let runs = runs::list(root).ok()?;
    let open = runs.into_iter().rev().filter(|run| run.report.is_none() && store::is_study(&run.path)).map(|run| run.path);
    open.into_iter().find(|folder| is_same(folder) && store::is_free(folder))
}

/// Goes on with a search that was cut off.
///
/// # Errors
/// Those of [`tune`], and when the data are not those that the run began with.
pub(crate) fn resume(plan: &Plan, run: &Run<'_>, folder: &Path, binary: &str) -> Result<Outcome> {
    let journal = Journal::new(run);
    let listener = |event: &Event| journal.hear(event);
    let run = heard_by(run, &listener);
    let divided = divide(plan, &run)?;
    resuming::check_begin(&divided, &run, folder, binary)?;
    let search = Search::new(plan, &divided, &run)?;
    journal.open(folder)?;
    search.run(&run, &journal, &divided, folder, binary)
}

/// A search that is settled in all but its trials.
struct Search<'a> {
    plan: &'a Plan,
    options: TuneOptions,
    space: Space,
    target: Field,
    metric: MetricDef,
    folds: Vec<Splits>,
    judged: String,
    total: Option<u64>,
    /// Time for all of one search.
    time: Option<Duration>,
}

impl<'a> Search<'a> {
    fn new(plan: &'a Plan, divided: &Divided, run: &Run<'_>) -> Result<Search<'a>> {
        let options = TuneOptions::check(&plan.recipe)?;
        let schema = divided.loaded.schema();
        let targets: Vec<(&Field, Task)> = schema.targets().collect();
        let [(target, task)] = targets.as_slice() else {
            let names: Vec<&str> = targets.iter().map(|(field, _)| &*field.name).collect();
            let error =
                Error::recipe("recipe", format!("tune searches for one target, and there are {}: {}", names.len(), names.join(", ")));
            return Err(error.with_hint("tune one after another, with the other targets in ignore=[...]"));
        };
        let named = match &plan.model {
            Choice::Named(def, _) => Some(def.name),
            Choice::Auto => None,
        };
        let said = match options.search.is_empty() {
            true => default_space(named, *task, schema)?,
            false => options.search.clone(),
        };
        if named.is_none() && !said.iter().any(|(name, _, _)| is_model(name)) {
            return Err(Error::recipe("recipe", "what is searched belongs to no model")
                .with_hint("name one: model=gbdt, or search it: tune.search.model=[gbdt,forest]"));
        }
        let space = Space::read(&plan.recipe, &said)?;
        options.sampler.check(&space)?;
        let has_network = check_fits(plan, &space, divided)?;
        let metric = measure(plan, target, *task, divided)?;
        let by_folds = match options.judge {
            Judge::Folds => true,
            Judge::Valid => false,
            Judge::Auto => !has_network,
        };
        let folds = if by_folds { by_cross_validation(plan, target, divided, run)? } else { by_validation(target, divided)? };
        let judged = match by_folds {
            true => format!("{}-fold cross-validation on training rows", folds.len()),
            false => "validation rows".to_owned(),
        };
        let total = options.trials.or_else(|| plan.time.is_none().then_some(TRIALS));
        // With a nested cross-validation the search is made again in each outer fold, with as much time.
        let time = plan.time.map(|time| time / (1 + plan.nested.unwrap_or(0) as u32));
        Ok(Search { plan, options, space, target: (*target).clone(), metric, folds, judged, total, time })
    }

    fn run(&self, run: &Run<'_>, journal: &Journal<'_>, divided: &Divided, folder: &Path, binary: &str) -> Result<Outcome> {
        let began = (run.clock)();
        let study = Study { space: &self.space, measure: self.metric.name, is_score: self.metric.is_score, seed: run.seed };
        let mut store = Store::open(folder, study)?;
        run.tell(Event::Stage { name: "tune".into() });
        let mut trials = store.trials()?;
        let known = trials.len();
        if known > 0 {
            run.tell(Event::Note { text: format!("{known} trials are there already") });
        }
        let stopped = self.search(&mut trials, &mut store, began, run)?;
        drop(store);
        let Some(best) = best(&trials) else {
            return Err(match trials.last() {
                _ if stopped => cupola_task::Error::Interrupted.into(),
                Some(last) => Error::Data(format!("none of {} trials could learn; the last one said: {}", trials.len(), last.note), None),
                None => Error::Data("no trial could be made".into(), None),
            });
        };
        let text = format!(
            "best of {} trials: {} with {} {:.5}",
            trials.len(),
            self.space.phrase(&best.point),
            self.metric.name,
            self.value(best.loss)
        );
        run.tell(Event::Note { text });
        let mut plan = Plan::check(self.space.recipe(&self.plan.recipe, &best.point))?;
        let searched = (run.clock)().saturating_sub(began);
        let nested = if stopped { None } else { self.nested(divided, folder, run)? };
        plan.time = match (stopped, self.time) {
            (true, _) => Some(Duration::from_secs_f64((2.0 * best.seconds / self.folds.len() as f64).max(1.0))),
            (false, Some(time)) => Some(time.saturating_sub(searched).max(time / 10)),
            (false, None) => None,
        };
        // Who stops a search wants the best so far, not the first tree of its last fit.
        let deaf = |event: &Event| {
            run.tell(event.clone());
            Flow::Go
        };
        let mut last = heard_by(run, if stopped { &deaf } else { run.events });
        // A checkpoint of the last fit is of these settings only where no trial came after it.
        last.start = if known == trials.len() { Start::Resume } else { Start::Cold };
        if known < trials.len() {
            let _ = std::fs::remove_dir_all(folder.join("ckpt"));
        }
        let tuning = Tuning { nested, ..self.tuning(&trials, best) };
        in_folder(&plan, &last, journal, divided, folder, binary, Some(tuning))
    }

    /// The search made again in each outer fold, where the recipe says so. Its trials lie beside those of the search itself, so a run that is cut off goes on.
    fn nested(&self, divided: &Divided, folder: &Path, run: &Run<'_>) -> Result<Option<CrossValidation>> {
        let inner = Plan { nested: None, time: self.time, ..self.plan.clone() };
        let number = Cell::new(0);
        let choose = |splits: &Splits, run: &Run<'_>| {
            number.set(number.get() + 1);
            let folder = folder.join("nested").join(number.get().to_string());
            store::create(&folder)?;
            let divided = Divided { splits: splits.clone(), ..divided.clone() };
            let search = Search::new(&inner, &divided, run)?;
            let (began, mut trials) = ((run.clock)(), Vec::new());
            let study = Study { space: &search.space, measure: search.metric.name, is_score: search.metric.is_score, seed: run.seed };
            let mut store = Store::open(&folder, study)?;
            trials.extend(store.trials()?);
            search.search(&mut trials, &mut store, began, run)?;
            let best = best(&trials).ok_or_else(|| Error::Data("no trial of an outer fold could learn".into(), None))?;
            let plan = Plan::check(search.space.recipe(&inner.recipe, &best.point))?;
            let Choice::Named(def, settings) = &plan.model else { return Err(Error::recipe("recipe", "no model is named")) };
            let until = search.time.map(|time| (began + time).max((run.clock)() + time / 10));
            let (def, settings, said) = (*def, settings.clone(), search.space.phrase(&best.point));
            Ok((Chosen { def, settings, said, plan: Some(plan), fitted: None }, until))
        };
        let schema = divided.loaded.schema();
        let Some((_, task)) = schema.targets().next() else { return Ok(None) };
        let field = learned_field(divided, &self.target)?;
        nested::outer(divided.splits.train(), (&field, task), self.plan, run, &choose)
    }

    /// Runs trials until there are enough, the time is up or the run is stopped; says whether it was stopped.
    fn search(&self, trials: &mut Vec<Trial>, store: &mut Store<'_>, began: Duration, run: &Run<'_>) -> Result<bool> {
        let objective = Objective {
            plan: self.plan,
            space: &self.space,
            target: &self.target,
            metric: self.metric,
            folds: &self.folds,
            pruner: self.options.pruner,
        };
        let deadline = self.time.map(|time| began + time_of_trials(time));
        let mut inner = heard_by(run, run.events);
        inner.until = deadline;
        let draw = run.draw("tune");
        while self.total.is_none_or(|total| (trials.len() as u64) < total) {
            let best_now = best(trials).map(|trial| self.value(trial.loss));
            let progress = Progress { done: trials.len() as u64, total: self.total, best: best_now };
            if run.tell(progress.event(self.metric.name)) == Flow::Stop {
                return Ok(true);
            }
            if best_now.is_some() && inner.is_late() {
                break;
            }
            let Some(point) = self.point(trials, draw) else { break };
            let Some(trial) = objective.trial(&point, trials, &progress, best_now.is_none(), &inner)? else {
                if inner.is_late() {
                    break;
                }
                return Ok(true);
            };
            store.add(&trial)?;
            self.tell(&trial, best_now, run);
            trials.push(trial);
            if best(trials).is_none() && trials.len() >= FAILURES {
                break;
            }
        }
        Ok(false)
    }

    /// The first trial is of the defaults, as far as the space has them: what is found is never worse than what would have been there.
    fn point(&self, trials: &[Trial], draw: cupola_task::Draw) -> Option<Point> {
        let number = trials.len() as u64;
        let is_grid = matches!(self.options.sampler, Sampler::Grid { .. });
        if number == 0 && !is_grid && self.space.parameters.iter().any(|parameter| parameter.default.is_some()) {
            let value = |_: usize, parameter: &super::Parameter| parameter.default.unwrap_or_else(|| parameter.domain.at(0.5));
            return Some(self.space.point(value));
        }
        suggest(&self.space, self.options.sampler, trials, number, draw)
    }

    fn value(&self, loss: f64) -> f64 {
        if self.metric.is_score { -loss } else { loss }
    }

    fn tell(&self, trial: &Trial, best: Option<f64>, run: &Run<'_>) {
        let of = self.total.map_or(String::new(), |total| format!("/{total}"));
        let what = match trial.state {
            State::Complete => {
                let value = self.value(trial.loss);
                let is_best = best.is_none_or(|best| if self.metric.is_score { value > best } else { value < best });
                format!("{} {value:.5}{}", self.metric.name, if is_best { ", the best so far" } else { "" })
            }
            State::Pruned => "given up early".to_owned(),
            State::Failed => format!("failed: {}", trial.note),
        };
        let text = format!("trial {}{of} {}: {what}, {:.1} s", trial.number + 1, self.space.phrase(&trial.point), trial.seconds);
        run.tell(Event::Note { text });
    }

    /// As the report keeps it.
    fn tuning(&self, trials: &[Trial], best: &Trial) -> Tuning {
        let shares = importance(&self.space, trials);
        let mut parameters: Vec<TunedParameter> = (self.space.parameters.iter().zip(shares))
            .map(|(parameter, share)| TunedParameter {
                name: parameter.name.clone(),
                domain: self.domain(parameter),
                value: best.point[self.place(parameter)].map(|value| plain(&parameter.domain.value(value))),
                importance: share,
            })
            .collect();
        parameters.sort_by(|one, other| other.importance.unwrap_or(-1.0).total_cmp(&one.importance.unwrap_or(-1.0)));
        Tuning {
            measure: self.metric.name.to_owned(),
            better: if self.metric.is_score { Better::Higher } else { Better::Lower },
            judged: self.judged.clone(),
            sampler: self.options.sampler_name.clone(),
            pruner: self.options.pruner_name.clone(),
            parameters,
            trials: trials
                .iter()
                .map(|trial| TunedTrial {
                    number: trial.number,
                    state: trial.state,
                    value: Some(self.value(trial.loss)).filter(|value| value.is_finite()),
                    seconds: trial.seconds,
                    settings: self.space.phrase(&trial.point),
                    chosen: trial.number == best.number,
                    note: Some(trial.note.clone()).filter(|note| !note.is_empty()),
                })
                .collect(),
            nested: None,
        }
    }

    fn place(&self, parameter: &super::Parameter) -> usize {
        self.space.parameters.iter().position(|other| other.name == parameter.name).expect("a parameter is one of its space")
    }

    fn domain(&self, parameter: &super::Parameter) -> String {
        match &parameter.domain {
            super::Domain::Choice(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
            super::Domain::Number { low, high, is_log, is_integer, step } => {
                let word = |is: bool, word: &'static str| if is { word } else { "" };
                let step = step.filter(|step| *step != 1.0).map_or(String::new(), |step| format!(" step {step}"));
                format!("{}{}{low}..{high}{step}", word(*is_integer, "int "), word(*is_log, "log "))
            }
        }
    }
}

fn plain(value: &Value) -> String {
    if let Value::Text(text) = value { text.clone() } else { value.to_string() }
}

/// The target with the classes of the training rows.
fn learned_field(divided: &Divided, target: &Field) -> Result<Field> {
    let classes = class_counts(&read_all(divided.splits.train().data())?, target);
    Ok(match classes.is_empty() {
        true => target.clone(),
        false => Field { kind: Kind::Category { classes: classes.keys().map(|class| class.as_str().into()).collect() }, ..target.clone() },
    })
}

/// The best complete trial, of equals the first.
fn best(trials: &[Trial]) -> Option<&Trial> {
    let complete = trials.iter().filter(|trial| trial.state == State::Complete);
    complete.min_by(|one, other| one.loss.total_cmp(&other.loss).then(one.number.cmp(&other.number)))
}

/// Every model that may be tried must suit target and inputs; says whether one is a network.
fn check_fits(plan: &Plan, space: &Space, divided: &Divided) -> Result<bool> {
    let points = match space.parameters.first().filter(|first| is_model(&first.name)) {
        Some(first) => (0..first.domain.count().unwrap_or(1)).map(|place| vec![Some(place as f64)]).collect(),
        None => vec![vec![]],
    };
    let mut has_network = false;
    for point in points {
        let plan = Plan::check(space.recipe(&plan.recipe, &point))?;
        check_models(&plan, divided.loaded.schema())?;
        has_network |= matches!(&plan.model, Choice::Named(def, _) if matches!(def.make, Make::Trainee(_)));
    }
    Ok(has_network)
}

/// The measure that decides, as for `model=auto`.
pub(crate) fn measure(plan: &Plan, target: &Field, task: Task, divided: &Divided) -> Result<MetricDef> {
    Ok(auto::decider(plan, target, task, &read_all(divided.splits.train().data())?))
}

fn by_cross_validation(plan: &Plan, target: &Field, divided: &Divided, run: &Run<'_>) -> Result<Vec<Splits>> {
    let train = divided.splits.train();
    let table = for_target(train.data(), &target.name)?;
    let rows = read_all(&table)?;
    let k = folds::count(plan.folds, table.len());
    Ok(folds::folds(table.schema(), &rows, k, run.draw("tune"))?.iter().map(|sides| train.split(sides)).collect())
}

/// The training rows teach, and the validation rows both stop early and judge, as they do for a network that is trained once.
fn by_validation(target: &Field, divided: &Divided) -> Result<Vec<Splits>> {
    let valid = divided.splits.valid().clone();
    if valid.is_empty() {
        return Err(Error::recipe("recipe", format!("there are no validation rows to judge by for {}", target.name))
            .with_hint("tune.judge=cv judges by cross-validation; data.split.ratio=[0.8,0.1,0.1] makes some"));
    }
    let train = divided.splits.train();
    let all = vec![Side::Train; train.data().len() as usize];
    Ok(vec![train.split(&all).with_valid(valid.clone()).with_test(valid)])
}
