//! A training on a part of the rows, timed stage by stage, in a folder that is thrown away.

use super::law::{Expected, Growth, ahead};
use super::told::Meter;
use crate::fit::{Prepared, read_all};
use crate::journal::{Journal, heard_by};
use crate::learning_curve::{class_counts, places};
use crate::training::{Divided, in_folder, shuffle_step};
use crate::{Choice, Plan, Result};
use cupola_task::{Column, Columns, Dataset, Event, Exit, Fault, Field, Fitted, Make, ModelDef, Run, Side, Subset};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Rows of the first rehearsal, and how many times more the next has.
pub(super) const ROWS_FIRST: u64 = 500;
pub(super) const TIMES: u64 = 3;
/// Rehearsals may take so long, one after another; the first two are made however long they take.
const PATIENCE: Duration = Duration::from_secs(6);
/// Of validation and test rows a part has at least so many.
const ROWS_JUDGED_MIN: u64 = 50;

/// What a training is told to consist of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Stage {
    Prepare,
    Fit,
    CrossValidation,
    Judge,
    Importance,
    Report,
}

/// What a rehearsal took.
pub(super) struct Rehearsal {
    pub rows: u64,
    /// Test rows that importance shuffles.
    shuffled: u64,
    stages: Vec<(Stage, f64)>,
    /// Bytes beyond those that were there before the first one.
    memory: Option<u64>,
    /// Bytes of the run folder.
    disk: u64,
    pub prepared: Vec<PreparedSize>,
}

/// A target's rows as its model takes them.
#[derive(Clone, Copy)]
pub(super) struct PreparedSize {
    pub columns: u64,
    pub bytes: u64,
    /// What the learner says fitting costs, with these rows and with all training rows; none where it does not say.
    work: Option<[f64; 2]>,
}

/// All rehearsals of a plan.
pub(super) struct Rehearsals {
    pub all: Vec<Rehearsal>,
    pub growth: Growth,
    /// All training rows.
    rows_all: u64,
}

impl Stage {
    fn of(name: &str) -> Stage {
        match name {
            "cross-validation" => Stage::CrossValidation,
            "evaluate" | "reference" => Stage::Judge,
            "importance" => Stage::Importance,
            "save" | "report" => Stage::Report,
            _ => Stage::Fit,
        }
    }
}

impl Rehearsals {
    /// What a stage takes with so many rows; none when there is no such stage.
    pub fn stage(&self, stage: Stage, rows: u64) -> Option<Expected> {
        self.expected(rows, |rehearsal| rehearsal.seconds(stage))
    }

    /// What fitting takes: by what the learners themselves say of their work, where all do, else as other stages.
    pub fn fit(&self, rows: u64) -> Option<Expected> {
        let by_rows = self.stage(Stage::Fit, rows)?;
        let points: Option<Vec<(f64, f64)>> =
            self.all.iter().map(|rehearsal| Some((rehearsal.work()?[0], rehearsal.seconds(Stage::Fit)?))).collect();
        let (Some(points), Some([_, of_all])) = (points, self.all.last().and_then(Rehearsal::work)) else { return Some(by_rows) };
        // Folds have nearly all training rows, so their work is nearly in proportion.
        let work = of_all * rows as f64 / self.rows_all.max(1) as f64;
        Some(ahead(&points, work, Growth::Work).bounded_by(by_rows))
    }

    /// What importance takes, which looks at so many test rows and no more.
    pub fn importance(&self, shuffled: u64) -> Option<Expected> {
        let points = self.all.iter().filter_map(|rehearsal| Some((rehearsal.shuffled as f64, rehearsal.seconds(Stage::Importance)?)));
        let points: Vec<(f64, f64)> = points.collect();
        (!points.is_empty()).then(|| ahead(&points, shuffled as f64, self.growth))
    }

    /// Bytes of memory beyond those before it.
    pub fn memory(&self, rows: u64) -> Option<Expected> {
        self.expected(rows, |rehearsal| rehearsal.memory.map(|bytes| bytes as f64))
    }

    /// Bytes of the run folder.
    pub fn disk(&self, rows: u64) -> f64 {
        self.expected(rows, |rehearsal| Some(rehearsal.disk as f64)).map_or(0.0, |expected| expected.value)
    }

    fn expected(&self, rows: u64, of: impl Fn(&Rehearsal) -> Option<f64>) -> Option<Expected> {
        let points: Vec<(f64, f64)> = self.all.iter().filter_map(|rehearsal| Some((rehearsal.rows as f64, of(rehearsal)?))).collect();
        (!points.is_empty()).then(|| ahead(&points, rows as f64, self.growth))
    }
}

impl Rehearsal {
    /// The work of all targets, with these rows and with all.
    fn work(&self) -> Option<[f64; 2]> {
        let works = self.prepared.iter().map(|prepared| prepared.work).collect::<Option<Vec<_>>>().filter(|works| !works.is_empty())?;
        Some([0, 1].map(|place| works.iter().map(|work| work[place]).sum()))
    }

    fn seconds(&self, stage: Stage) -> Option<f64> {
        let of = self.stages.iter().filter(|(known, _)| *known == stage).map(|(_, seconds)| *seconds);
        of.reduce(|sum, seconds| sum + seconds)
    }
}

/// Test rows that importance shuffles, of so many.
pub(super) fn shuffled(rows: u64, columns: usize) -> u64 {
    rows.div_ceil(shuffle_step(rows as usize, columns) as u64)
}

/// Those that learn a target by models with a limit of rows in `model=auto` compare rows with each other.
pub(super) fn growth(def: &ModelDef) -> Growth {
    if def.tries().any(|tried| tried.rows_max.is_some()) { Growth::Faster } else { Growth::Rows }
}

/// A folder that goes when this does.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // The folder of runs goes as well where there is nothing else in it.
        let _ = std::fs::remove_dir_all(&self.0).and_then(|()| self.0.parent().map_or(Ok(()), std::fs::remove_dir));
    }
}

/// Trains on ever larger parts until all rows were taken, or patience ends.
///
/// # Errors
/// When even the largest part cannot be learned from, or the run was stopped.
pub(super) fn rehearse(
    plan: &Plan,
    divided: &Divided,
    models: &[(Field, &Choice)],
    meter: &Meter<'_>,
    run: &Run<'_>,
    root: &Path,
) -> Result<Rehearsals> {
    let defs = models.iter().filter_map(|(_, choice)| if let Choice::Named(def, _) = choice { Some(*def) } else { None });
    let growth = if defs.clone().any(|def| growth(def) == Growth::Faster) { Growth::Faster } else { Growth::Rows };
    let train = read_all(divided.splits.train().data())?;
    let (field, _) = &models[0];
    let places = places(divided.loaded.schema(), &train, field, run.draw("plan"));
    let all = train.rows.len() as u64;
    let mut size = (10 * class_counts(&train, field).len() as u64).max(ROWS_FIRST).min(all);
    drop(train);
    let before = (meter.forget)();
    let mut rehearsals = Rehearsals { all: vec![], growth, rows_all: all };
    let (mut spent, mut failure) = (Duration::ZERO, None);
    loop {
        let began = (run.clock)();
        run.tell(Event::Progress { done: rehearsals.all.len() as u64, total: None, unit: "rehearsals".into(), score: None });
        match one(plan, &part(divided, &places, size), models, before, meter, run, root) {
            Ok(rehearsal) => rehearsals.all.push(rehearsal),
            // A class may be too rare for a small part.
            Err(error) if error.exit() == Exit::Data && size < all => failure = Some(error),
            Err(error) => return Err(error),
        }
        let took = (run.clock)().saturating_sub(began);
        spent += took;
        let next = if all < size.saturating_mul(TIMES + 1) { all } else { size * TIMES };
        let likely = took * u32::try_from(if growth == Growth::Faster { TIMES * TIMES } else { TIMES }).unwrap_or(u32::MAX);
        if size == all || (rehearsals.all.len() >= 2 && spent + likely > PATIENCE) {
            break;
        }
        size = next;
    }
    match failure {
        Some(error) if rehearsals.all.is_empty() => Err(error),
        _ => Ok(rehearsals),
    }
}

/// A part of the training rows with as large a part of the others.
fn part(divided: &Divided, places: &[u64], rows: u64) -> Divided {
    let sides: Vec<Side> = places.iter().map(|place| if *place < rows { Side::Train } else { Side::Out }).collect();
    let few = |whole: &Arc<dyn Dataset>| -> Arc<dyn Dataset> {
        let (len, all) = (u128::from(whole.len()), places.len().max(1) as u128);
        let count = (len * u128::from(rows)).div_ceil(all).max(u128::from(ROWS_JUDGED_MIN)).min(len);
        let taken = (0..count).map(|place| (place * len / count.max(1)) as u64).collect();
        Arc::new(Subset::new(whole.clone(), taken))
    };
    let splits = divided.splits.train().split(&sides).with_valid(few(divided.splits.valid())).with_test(few(divided.splits.test()));
    Divided { splits, ..divided.clone() }
}

fn one(
    plan: &Plan,
    divided: &Divided,
    models: &[(Field, &Choice)],
    before: Option<u64>,
    meter: &Meter<'_>,
    run: &Run<'_>,
    root: &Path,
) -> Result<Rehearsal> {
    let scratch = Scratch(root.join(format!(".plan-{}", std::process::id())));
    std::fs::create_dir_all(&scratch.0).map_err(|source| crate::Error::io(format!("make folder {}", scratch.0.display()), source))?;
    // What a rehearsal tells is no news of the run's; but that it is to stop is heard.
    let quiet = |_: &Event| run.tell(Event::Progress { done: 0, total: None, unit: "rehearsals".into(), score: None });
    let run = heard_by(run, &quiet);
    let began = (run.clock)();
    (meter.forget)();
    let prepared = prepared_sizes(plan, divided, models, &run)?;
    let prepare = (run.clock)().saturating_sub(began).as_secs_f64();
    let journal = Journal::new(&run);
    let listener = |event: &Event| journal.hear(event);
    let heard = heard_by(&run, &listener);
    heard.tell(Event::Stage { name: "baseline".into() });
    let folder = scratch.0.join("run");
    std::fs::create_dir_all(&folder).map_err(|source| crate::Error::io(format!("make folder {}", folder.display()), source))?;
    journal.open(&folder)?;
    in_folder(plan, &heard, &journal, divided, &folder, "", None)?;
    if journal.is_stopped() {
        return Err(cupola_task::Error::Interrupted.into());
    }
    let mut stages: Vec<(Stage, f64)> = journal.timings().into_iter().map(|timing| (Stage::of(&timing.stage), timing.seconds)).collect();
    // What fitting took includes the preparation, which was timed by itself.
    stages.push((Stage::Prepare, prepare));
    stages.push((Stage::Fit, -prepare.min(stages.iter().filter(|(stage, _)| *stage == Stage::Fit).map(|(_, seconds)| seconds).sum())));
    let memory = (run.memory)().zip(before).map(|(peak, before)| peak.saturating_sub(before));
    Ok(Rehearsal {
        rows: divided.splits.train().data().len(),
        shuffled: shuffled(divided.splits.test().len(), divided.loaded.schema().inputs().count()),
        stages,
        memory,
        disk: crate::runs::size(&scratch.0),
        prepared,
    })
}

/// What preparation makes of the rows, target by target.
fn prepared_sizes(plan: &Plan, divided: &Divided, models: &[(Field, &Choice)], run: &Run<'_>) -> Result<Vec<PreparedSize>> {
    let size = |(field, choice): &(Field, &Choice)| {
        let Choice::Named(def, settings) = choice else { return Ok(None) };
        if let Make::Members = def.make {
            return Ok(None);
        }
        let prepared = Prepared::new(def, field, divided.splits.train(), &**divided.splits.valid(), plan, None, run)?;
        let data = prepared.data(field);
        let inputs = read_all(data.train.data())?.inputs;
        let learner = if let Make::Learner(make) = def.make { Some(make(settings, data.fitted.schema())?) } else { None };
        let all = divided.cut.counts[0];
        let of = |rows: u64| learner.as_ref()?.cost(data.fitted.schema(), rows).map(|cost| cost.flops);
        let work = of(data.train.data().len()).zip(of(all)).map(|(part, all)| [part, all]);
        Ok(Some(PreparedSize { columns: width(&inputs), bytes: bytes(&inputs), work }))
    };
    Ok(models.iter().map(size).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Numbers a row has: a vector has as many as it is wide.
fn width(columns: &Columns) -> u64 {
    let one = |column: &Column| match column.array().map(|array| array.data_type()) {
        Some(arrow_schema::DataType::FixedSizeList(_, width)) => u64::from(width.unsigned_abs()),
        _ => 1,
    };
    columns.iter().map(|(_, column)| one(column)).sum()
}

/// Bytes that columns of arrays take; those of pictures are not counted.
pub(super) fn bytes(columns: &Columns) -> u64 {
    columns.iter().filter_map(|(_, column)| column.array()).map(|array| arrow_array::Array::get_array_memory_size(array) as u64).sum()
}
