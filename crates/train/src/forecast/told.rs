//! What is told of a training before it starts.

use super::choose::board;
use super::law::Expected;
use super::rehearsal::{Rehearsals, Stage, bytes, rehearse, shuffled};
use crate::journal::{Journal, heard_by};
use crate::training::{AUTO_TIME, Divided, check_measures, check_models, choice_of, divide};
use crate::tune::TuneOptions;
use crate::{Choice, Error, OutputPlan, Plan, Result, auto, folds, tune};
use cupola_task::{Event, Field, Make, ModelDef, Run, Settings, Task};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;

/// Of what one model is fitted in, an ensemble that `model=auto` ends in takes some times as much.
const MEMBERS_EXPECTED: f64 = 3.0;
/// Memory that is held back of what the machine has, for it is measured no better than this.
const MEMORY_MARGIN: f64 = 1.1;

/// How memory is measured.
pub struct Meter<'a> {
    /// Forgets the most that the process had and says what it has; none where the system does not tell.
    pub forget: &'a dyn Fn() -> Option<u64>,
    /// What the process may have at most on this machine.
    pub available: Option<u64>,
}

/// What a training will take.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// Target by target.
    pub targets: Vec<TargetForecast>,
    /// Rows that teach.
    pub rows_train: u64,
    /// Rows that choose.
    pub rows_valid: u64,
    /// Rows that measure.
    pub rows_test: u64,
    /// Inputs.
    pub columns: u64,
    /// Bytes of the table in memory.
    pub data_bytes: u64,
    /// Training rows of each rehearsal.
    pub rehearsed: Vec<u64>,
    /// Stage by stage, in order. That of `read` was measured.
    pub stages: Vec<StageForecast>,
    /// All stages.
    pub seconds: Expected,
    /// Most memory of the process; none where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// What the process may have at most on this machine.
    pub available_bytes: Option<u64>,
    /// Bytes of the run folder.
    pub disk_bytes: u64,
    /// Bytes beyond `data.max_memory`, which lie in a file while the training goes on.
    pub spilled_bytes: Option<u64>,
    /// What planning took, reading included.
    pub planned_seconds: f64,
    /// What one should know.
    pub warnings: Vec<String>,
}

/// One target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetForecast {
    /// The column.
    pub name: String,
    /// The model; `auto` where it is chosen.
    pub model: String,
    /// Numbers and categories that a row has after preparation; none where several models prepare it.
    pub prepared_columns: Option<u64>,
    /// Their bytes.
    pub prepared_bytes: Option<u64>,
    /// The candidates of `model=auto`, in the order they are tried.
    pub candidates: Vec<TriedForecast>,
}

/// One candidate.
#[derive(Clone, Debug, Serialize)]
pub struct TriedForecast {
    /// Its registry name.
    pub model: String,
    /// Settings that differ from its defaults.
    pub settings: String,
    /// All its folds; none when it is not tried.
    pub seconds: Option<Expected>,
    /// Why it is not tried.
    pub note: Option<String>,
}

/// One stage.
#[derive(Clone, Debug, Serialize)]
pub struct StageForecast {
    /// `read`, `prepare`, `leaderboard`, `tune`, `fit`, `cross_validation`, `judge` or `report`.
    pub name: &'static str,
    /// How long.
    pub seconds: Expected,
}

/// Tells what training the plan will take. Its rows are read, split and checked as they would be; parts of them are trained on in a folder below
/// `root` that is gone afterwards.
///
/// # Errors
/// As [`train`](crate::train); when a target is learned by a network, which is planned by itself.
pub fn forecast(plan: &Plan, run: &Run<'_>, meter: &Meter<'_>, root: &Path) -> Result<Forecast> {
    let plan = &plan.with_rows_that_teach()?;
    let began = (run.clock)();
    let journal = Journal::new(run);
    let listener = |event: &Event| journal.hear(event);
    let heard = heard_by(run, &listener);
    let divided = divide(plan, &heard)?;
    let read = journal.timings().iter().map(|timing| timing.seconds).sum();
    let peak_read = (run.memory)();
    check_models(plan, divided.loaded.schema())?;
    check_measures(divided.loaded.schema(), plan.metrics.as_deref(), &plan.gates)?;
    run.tell(Event::Stage { name: "plan".into() });
    let before = (meter.forget)();
    let mut told = begun(&divided, meter);
    let mut stages = Stages::default();
    stages.add("read", Expected::known(read));
    let stand_ins = stand_ins(plan, &divided)?;
    let models: Vec<(Field, &Choice)> = stand_ins.iter().map(|(field, choice)| (field.clone(), choice)).collect();
    let rehearsals = rehearse(&rehearsed_plan(plan, &stand_ins), &divided, &models, meter, run, root)?;
    told.rehearsed = rehearsals.all.iter().map(|rehearsal| rehearsal.rows).collect();
    told.targets = targets(plan, &divided, &models, &rehearsals);
    add_stages(plan, &divided, &rehearsals, &mut told, &mut stages, run)?;
    told.seconds = stages.0.iter().fold(Expected::known(0.0), |sum, stage| sum.plus(stage.seconds));
    told.stages = stages.0;
    told.disk_bytes = rehearsals.disk(told.rows_train) as u64;
    let later = rehearsals.memory(told.rows_train).zip(before).map(|(more, before)| before + more.value as u64);
    told.memory_bytes = later.map(|later| later.max(peak_read.unwrap_or(0)));
    if let (Some(ceiling), Some(memory)) = (plan.read.max_memory, told.memory_bytes) {
        told.spilled_bytes = Some(memory.saturating_sub(ceiling));
        told.memory_bytes = Some(memory.min(ceiling));
    }
    told.planned_seconds = (run.clock)().saturating_sub(began).as_secs_f64();
    Ok(told)
}

impl Forecast {
    /// That the machine has less memory than the training needs, where it has.
    ///
    /// # Errors
    /// Then.
    pub fn check(&self) -> Result<()> {
        match (self.memory_bytes, self.available_bytes, self.spilled_bytes) {
            (Some(needs), Some(has), None) if needs as f64 * MEMORY_MARGIN > has as f64 => {
                let megabytes = |bytes: u64| format!("{} MB", bytes.div_ceil(1_000_000));
                let what = "memory for this training (data.max_memory keeps what is beyond a ceiling in a file)".to_owned();
                Err(Error::from(cupola_task::Error::Budget { what, needs: format!("about {}", megabytes(needs)), has: megabytes(has) }))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
struct Stages(Vec<StageForecast>);

impl Stages {
    fn add(&mut self, name: &'static str, seconds: Expected) {
        self.0.push(StageForecast { name, seconds });
    }
}

fn begun(divided: &Divided, meter: &Meter<'_>) -> Forecast {
    let test = divided.loaded.test.as_ref().map_or(0, |table| bytes(table.columns()));
    Forecast {
        targets: vec![],
        rows_train: divided.splits.train().data().len(),
        rows_valid: divided.splits.valid().len(),
        rows_test: divided.splits.test().len(),
        columns: divided.loaded.schema().inputs().count() as u64,
        data_bytes: bytes(divided.loaded.table.columns()) + test,
        rehearsed: vec![],
        stages: vec![],
        seconds: Expected::known(0.0),
        memory_bytes: None,
        available_bytes: meter.available,
        disk_bytes: 0,
        spilled_bytes: None,
        planned_seconds: 0.0,
        warnings: vec![],
    }
}

/// The model of each target; where it is chosen, gradient boosting stands for it.
fn stand_ins(plan: &Plan, divided: &Divided) -> Result<Vec<(Field, Choice)>> {
    let one = |(field, task): (&Field, Task)| {
        let choice = match choice_of(plan, field) {
            Choice::Auto => stand_in(task, divided)?,
            named => named.clone(),
        };
        match &choice {
            Choice::Named(def, _) if matches!(def.make, Make::Trainee(_)) => {
                let error = Error::recipe(
                    "recipe",
                    format!("{} learns {} and is a network, whose steps are timed by themselves", def.name, field.name),
                );
                Err(error.with_hint("plan networks apart from other models: put the other targets into ignore=[...]"))
            }
            _ => Ok((field.clone(), choice)),
        }
    };
    divided.loaded.schema().targets().map(one).collect()
}

fn stand_in(task: Task, divided: &Divided) -> Result<Choice> {
    let entrants = auto::entrants(task, divided.loaded.schema())?;
    let boosting = entrants.iter().find(|entrant| entrant.def.name == "gbdt");
    let entrant = boosting.or(entrants.first()).expect("entrants are at least one");
    Ok(Choice::Named(entrant.def, Settings::check("model", entrant.def.settings, [])?))
}

/// The plan without limits of time, which parts of the rows would never meet, and with the models that stand for those to be chosen.
fn rehearsed_plan(plan: &Plan, stand_ins: &[(Field, Choice)]) -> Plan {
    let mut rehearsed = Plan { time: None, ..plan.clone() };
    if matches!(plan.model, Choice::Auto) {
        // Folds of a leaderboard are none of a named model's.
        rehearsed.folds = None;
    }
    for (field, choice) in stand_ins.iter().filter(|_| matches!(plan.model, Choice::Auto)) {
        let said = rehearsed.outputs.entry(field.name.to_string());
        said.or_insert_with(|| OutputPlan::unsaid(&plan.decision)).model = Some(choice.clone());
    }
    rehearsed
}

fn targets(plan: &Plan, divided: &Divided, models: &[(Field, &Choice)], rehearsals: &Rehearsals) -> Vec<TargetForecast> {
    let last = rehearsals.all.last().expect("there was a rehearsal");
    let is_told = last.prepared.len() == models.len();
    let one = |(place, (field, choice)): (usize, &(Field, &Choice))| {
        let prepared = last.prepared.get(place).filter(|_| is_told);
        let times = divided.splits.train().data().len() as f64 / last.rows.max(1) as f64;
        let def: Option<&ModelDef> = if let Choice::Named(def, _) = choice { Some(def) } else { None };
        TargetForecast {
            name: field.name.to_string(),
            model: match choice_of(plan, field) {
                Choice::Auto => "auto".to_owned(),
                Choice::Named(..) => def.map_or(String::new(), |def| def.name.to_owned()),
            },
            prepared_columns: prepared.map(|prepared| prepared.columns),
            prepared_bytes: prepared.map(|prepared| (prepared.bytes as f64 * times) as u64),
            candidates: vec![],
        }
    };
    models.iter().enumerate().map(one).collect()
}

/// All stages behind reading, in order.
fn add_stages(
    plan: &Plan,
    divided: &Divided,
    rehearsals: &Rehearsals,
    told: &mut Forecast,
    stages: &mut Stages,
    run: &Run<'_>,
) -> Result<()> {
    let rows = told.rows_train;
    let count = told.targets.len() as u32;
    let prepare = rehearsals.stage(Stage::Prepare, rows).unwrap_or(Expected::known(0.0));
    let mut fit = rehearsals.fit(rows).unwrap_or(Expected::known(0.0)).at_most(plan.time.map(|time| time.as_secs_f64()));
    let chosen: Vec<(usize, (Field, Task))> = (divided.loaded.schema().targets().enumerate())
        .filter(|(_, (field, _))| matches!(choice_of(plan, field), Choice::Auto))
        .map(|(place, (field, task))| (place, (field.clone(), task)))
        .collect();
    if !chosen.is_empty() {
        let time = plan.time.unwrap_or(AUTO_TIME) / count;
        let mut all = Expected::known(0.0);
        for (place, (field, task)) in &chosen {
            let found = board(plan, divided, (field, *task), time, run)?;
            all = all.plus(found.seconds);
            told.targets[*place].candidates = found.tried;
        }
        stages.add("leaderboard", all);
        let whole = time.as_secs_f64() * chosen.len() as f64;
        // The last fit is of one model or of an ensemble, and ends with the time or a quarter of it behind the leaderboard.
        let wide = Expected { low: fit.low, value: fit.value * MEMBERS_EXPECTED, high: fit.high * MEMBERS_EXPECTED * 2.0 };
        fit = wide.at_most(Some((whole - all.value).max(whole / 4.0)));
        told.warnings.push("the best model is not known before: gbdt stands for it where parts of the rows are fitted and judged".into());
    }
    if let Some(seconds) = search(plan, rehearsals, told)? {
        stages.add("tune", seconds);
    }
    stages.add("prepare", prepare);
    stages.add("fit", fit);
    if let Some(seconds) = rehearsals.stage(Stage::CrossValidation, rows) {
        stages.add("cross_validation", seconds);
    }
    let importance = rehearsals.importance(shuffled(told.rows_test, told.columns as usize));
    let judge = rehearsals.stage(Stage::Judge, rows).into_iter().chain(importance);
    stages.add("judge", judge.fold(Expected::known(0.0), Expected::plus));
    stages.add("report", rehearsals.stage(Stage::Report, rows).unwrap_or(Expected::known(0.0)));
    Ok(())
}

/// What the trials of `[tune]` take, where the recipe has such a table: a fit for each fold of each.
fn search(plan: &Plan, rehearsals: &Rehearsals, told: &mut Forecast) -> Result<Option<Expected>> {
    if plan.recipe.table(&["tune"]).next().is_none() && plan.recipe.table(&["tune", "search"]).next().is_none() {
        return Ok(None);
    }
    let options = TuneOptions::check(&plan.recipe)?;
    let limit = plan.time.map(tune::time_of_trials);
    let Some(trials) = options.trials.or_else(|| limit.is_none().then_some(tune::TRIALS)) else {
        return Ok(limit.map(|limit| Expected::known(limit.as_secs_f64())));
    };
    let k = folds::count(plan.folds, told.rows_train) as u64;
    let rows = told.rows_train * (k - 1) / k;
    let fold = rehearsals.stage(Stage::Prepare, rows).into_iter().chain(rehearsals.fit(rows));
    let fold = fold.fold(Expected::known(0.0), Expected::plus);
    told.warnings.push(
        "trials are taken to cost what the model with the settings of the recipe does; those that are given up early cost less".into(),
    );
    Ok(Some(fold.times((trials * k) as f64).at_most(limit.map(|limit: Duration| limit.as_secs_f64()))))
}
