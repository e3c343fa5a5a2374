//! `train`: from a plan to a run folder with a measured model.

use crate::evaluate::{self, Judged, Shuffle, rulers};
use crate::explain::mean_sizes;
use crate::finish::{Finished, decision_of, finish, fits_behind};
use crate::fit::{Fit, Prepared, columns, fit, init_model, read_all};
use crate::journal::{Journal, heard_by};
use crate::load::{self, Loaded};
use crate::networks::{self, Estimate, Trained};
use crate::report::{self, GateResult, MeanShap, Report, TargetReport};
use crate::{
    Artifact, Choice, Contents, Error, GateOn, Golden, GoldenMode, LeakGate, Pipeline, Plan, QualityGate, Result, Score, audit, auto,
    balance, gates, lists, making, models, nested, postprocess, records, resume, runs, summary, watching,
};
use cupola_data::Input;
use cupola_data::leaks::{self, Finding, Severity};
use cupola_data::prepare::contradictions;
use cupola_data::split::{self, Cut, SplitSettings};
use cupola_metrics::{Ruler, Sampling};
use cupola_task::{
    Answer, Batch, Columns, Dataset, Event, Exit, Fault, Field, Flow, Kind, Make, MetricDef, ModelDef, Parts, Predictions, Run, Schema,
    Settings, Side, Splits, Task,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The time `model=auto` takes when nothing is said.
pub(crate) const AUTO_TIME: Duration = Duration::from_secs(60);
/// However long reading takes, a leaderboard has so much time.
const TIME_MIN: Duration = Duration::from_secs(1);
/// Training rows that are scored beside the test rows, to see overfitting.
const TRAIN_ROWS_SCORED: usize = 10_000;
/// Cells that permutation importance may shuffle: rows times columns times repeats.
const CELLS_SHUFFLED: usize = 60_000;
/// Every shuffle asks for answers to whole rows, so the work grows with the square of the columns.
const COLUMNS_SHUFFLED_MAX: usize = 500;
/// Rows that permutation importance needs at least, and shuffles of each column.
const ROWS_SHUFFLED_MIN: usize = 200;
const SHUFFLES: u32 = 3;
/// Rows times bytes of the model that are explained for the report, and the fewest rows that say something.
const BYTES_EXPLAINED: usize = 1_000_000_000;
const ROWS_EXPLAINED_MIN: u64 = 20;
/// Bytes of all pictures of a report; in the page they take a third more.
const PICTURES_BYTES_MAX: usize = 600_000;

/// The check that finds training rows of equal inputs and different classes.
const CONFLICTS: &str = "conflicts";

/// What a finished run leaves.
pub struct Outcome {
    /// The run folder.
    pub folder: PathBuf,
    /// Everything measured.
    pub report: Report,
    /// BLAKE3 of the model file.
    pub hash: String,
    /// Whether the run was asked to stop and kept the best so far.
    pub interrupted: bool,
    /// Sentences about quality gates that did not hold.
    pub failed_gates: Vec<String>,
}

/// The data of a run, split and checked.
#[derive(Clone)]
pub(crate) struct Divided {
    pub loaded: Loaded,
    pub split: SplitSettings,
    pub cut: Cut,
    /// A key for each row's content, by which a later run knows the row again.
    pub keys: Vec<u128>,
    pub splits: Splits,
    pub findings: Vec<Finding>,
}

/// One target's model, its baseline, and how it was chosen.
pub(crate) struct TargetFit {
    pub field: Field,
    pub task: Task,
    pub fit: Fit,
    pub baseline: Fit,
    pub board: Option<auto::Board>,
    pub finished: Finished,
    pub measured: TargetReport,
    /// What the model answers to the test rows.
    pub answer: Option<Answer>,
}

/// Trains, measures and saves what the plan asks for, in a new folder under `root`. `binary` is the hash of the program,
/// for `run.lock`.
///
/// When the run is asked to stop, the best model so far is measured and saved, and the outcome says so.
///
/// # Errors
/// When the data does not suit the plan, the leak gate closes, a file cannot be written, or the run was stopped before
/// anything was learned.
pub fn train(plan: &Plan, run: &Run<'_>, root: &Path, binary: &str) -> Result<Outcome> {
    let plan = &plan.with_rows_that_teach()?;
    let journal = Journal::new(run);
    let listener = |event: &Event| journal.hear(event);
    let run = heard_by(run, &listener);
    let divided = divide(plan, &run)?;
    check_models(plan, divided.loaded.schema())?;
    check_measures(divided.loaded.schema(), plan.metrics.as_deref(), &plan.gates)?;
    let is_named = |(field, _): (&Field, Task)| matches!(choice_of(plan, field), Choice::Named(..));
    if plan.nested.is_some() && divided.loaded.schema().targets().all(is_named) {
        let text =
            "nested_cv: the model is named, so nothing is chosen that could be cross-validated; cv=K cross-validates the model itself";
        run.tell(Event::Note { text: text.into() });
    }
    let folder = runs::create(root, &summary::label(plan))?;
    journal.open(&folder)?;
    resume::note(plan, &divided, &folder, binary)?;
    let outcome = in_folder(plan, &run, &journal, &divided, &folder, binary, None);
    // Data or a recipe that the preparation or the model refuse leave nothing behind, as if they had been refused at the door.
    if outcome.as_ref().is_err_and(|error| matches!(error.exit(), Exit::Usage | Exit::Data)) && !folder.join(runs::MODEL_FILE).exists() {
        let _ = std::fs::remove_dir_all(&folder).and_then(|()| std::fs::remove_dir(root));
    }
    outcome
}

/// Trains, measures and saves in a run folder; `tuning` is how the settings were found, where they were searched.
pub(crate) fn in_folder(
    plan: &Plan,
    run: &Run<'_>,
    journal: &Journal<'_>,
    divided: &Divided,
    folder: &Path,
    binary: &str,
    mut tuning: Option<report::Tuning>,
) -> Result<Outcome> {
    let mut targets = Vec::new();
    let count = divided.loaded.schema().targets().count() as u32;
    for (place, target) in (0..).zip(divided.loaded.schema().targets()) {
        targets.push(train_target(plan, run, divided, target, [place, count], folder)?);
    }
    for finding in divided.findings.iter().filter(|finding| finding.check == CONFLICTS) {
        run.tell(Event::Note { text: summary::leak_sentence(finding, &divided.loaded) });
    }
    let sides = Sides::read(&divided.splits)?;
    run.tell(Event::Stage { name: "evaluate".into() });
    for target in &mut targets {
        (target.measured, target.answer) = measure(plan, run, divided, &sides, target)?;
        if let Some(nested) = tuning.as_mut().and_then(|tuning| tuning.nested.take()) {
            target.measured.nested = Some(nested);
        }
    }
    let answers = targets.iter_mut().filter_map(|target| Some((target.field.name.clone(), target.answer.take()?)));
    let answers = Predictions(answers.collect());
    let labels = labels(plan, run, divided, &sides, &targets, &answers)?;
    let (mut artifact, targets) = assemble(plan, run, divided, &sides, targets)?;
    // The model file keeps it, so a run that was stopped measures it, too: its recipe gives the same bytes again.
    let targets = match plan.importance {
        true => with_importance(plan, run, &sides, &artifact, targets)?,
        false => targets,
    };
    let targets = with_mistakes(plan, divided, &sides, &artifact, &answers, targets)?;
    let permutations = targets.iter().filter_map(|target| target.measured.permutation.as_ref());
    artifact.watch(watching::watched(plan, run, &divided.splits, &sides, &artifact, &answers, permutations)?)?;
    run.tell(Event::Stage { name: "save".into() });
    let hash = artifact.save(&folder.join(runs::MODEL_FILE))?;
    run.tell(Event::Stage { name: "report".into() });
    let is_timed = plan.gates.iter().any(|gate| gate.on == GateOn::Latency);
    let latency_ms = if is_timed { gates::latency_ms(&artifact, &sides.test.inputs, run.clock)? } else { None };
    records::write_predictions(folder, &sides.test, artifact.made(), &answers)?;
    let report = summary::write(&summary::Facts {
        plan,
        journal,
        folder,
        divided,
        artifact: &artifact,
        targets,
        labels,
        hash: &hash,
        binary,
        latency_ms,
        tuning,
    })?;
    runs::link_latest(folder);
    let failed_gates = report.gates.iter().filter(|gate| !gate.holds).map(GateResult::sentence).collect();
    Ok(Outcome { folder: folder.to_owned(), report, hash, interrupted: journal.is_stopped(), failed_gates })
}

/// The rows that a training of the plan measures on, which it never learns from: inputs, targets and keys as typed.
///
/// # Errors
/// As [`train`], up to the split.
pub fn test_rows(plan: &Plan, run: &Run<'_>) -> Result<Batch> {
    let deaf = |_: &Event| Flow::Go;
    Ok(read_all(&**divide(plan, &heard_by(run, &deaf))?.splits.test())?)
}

/// Reads, splits and looks for leaks.
pub(crate) fn divide(plan: &Plan, run: &Run<'_>) -> Result<Divided> {
    run.tell(Event::Stage { name: "read".into() });
    let mut loaded = load::load(plan)?;
    for note in &loaded.notes {
        run.tell(Event::Note { text: note.clone() });
    }
    for warning in &loaded.warnings {
        run.tell(Event::Warning { text: warning.clone() });
    }
    run.tell(Event::Stage { name: "split".into() });
    let split = loaded.split.clone();
    let mut cut = split::sides(&loaded.table, &split, run.draw("split"))?;
    let keys = split::row_keys(&loaded.table)?;
    if let Some(path) = &split.keep {
        let kept = cut.keep(&loaded.table, &keys, &split::read_record(&Input::parse(path))?)?;
        let text = format!("{kept} of {} rows keep their side from {path}", keys.len());
        run.tell(if kept == 0 { Event::Warning { text } } else { Event::Note { text } });
    }
    let (notes, warnings) = making::settle(plan, &mut loaded, &cut.sides)?;
    notes.into_iter().for_each(|text| _ = run.tell(Event::Note { text }));
    warnings.into_iter().for_each(|text| _ = run.tell(Event::Warning { text }));
    let mut splits = Splits::new(Arc::new(loaded.table.clone()), &cut.sides);
    if let Some(test) = &loaded.test {
        splits = splits.with_test(Arc::new(test.clone()));
    }
    load::check_targets(&splits)?;
    run.tell(Event::Stage { name: "leaks".into() });
    let findings = match plan.leaks {
        LeakGate::Off => vec![],
        LeakGate::Deny | LeakGate::Warn => findings(&loaded, &cut)?,
    };
    gate(plan, &findings, &loaded, run)?;
    let findings = findings.into_iter().chain(conflicts(plan, &splits, &cut, &loaded)?).collect();
    Ok(Divided { loaded, split, cut, keys, splits, findings })
}

/// What the leak checks find in split rows.
pub(crate) fn findings(loaded: &Loaded, cut: &Cut) -> Result<Vec<Finding>> {
    let findings = leaks::check(&loaded.table, &cut.sides, loaded.test.as_ref().map(|test| test as &dyn Dataset))?;
    // A split by time means the order of rows to tell something; pictures stand in folders by their class, and no model sees the order.
    let is_ordered = cut.by == split::By::Time || loaded.schema().inputs().any(|field| matches!(field.kind, Kind::Image { .. }));
    Ok(findings.into_iter().filter(|finding| !is_ordered || finding.check != "row_order").collect())
}

/// Training rows of equal inputs and different classes, for the report.
fn conflicts(plan: &Plan, splits: &Splits, cut: &Cut, loaded: &Loaded) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if plan.leaks == LeakGate::Off {
        return Ok(findings);
    }
    let trained: Vec<u64> = (0u64..).zip(&cut.sides).filter(|(_, side)| **side == Side::Train).map(|(row, _)| row).collect();
    for (field, task) in loaded.schema().targets() {
        let Some(found) = (task == Task::Classify).then(|| contradictions(splits.train(), field)).transpose()?.flatten() else { continue };
        let dropped = plan.prepare.text("conflicts") == "drop";
        findings.push(Finding {
            check: CONFLICTS.into(),
            severity: Severity::Note,
            column: Some(field.name.to_string()),
            rows: found.rows.iter().take(10).map(|&row| trained[row as usize]).collect(),
            in_test_file: false,
            value: found.rows.len() as f64,
            sentence: found.sentence,
            remedy: if dropped { "they are left out of training" } else { "data.clean.conflicts=drop leaves them out of training" }.into(),
        });
    }
    Ok(findings)
}

fn gate(plan: &Plan, findings: &[Finding], loaded: &Loaded, run: &Run<'_>) -> Result<()> {
    let stops: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Stop).collect();
    if plan.leaks == LeakGate::Deny && !stops.is_empty() {
        return Err(Error::Leaks(stops.iter().map(|finding| summary::leak_sentence(finding, loaded)).collect::<Vec<_>>().join("; ")));
    }
    for finding in findings {
        // Findings have a place of their own in the report, so they are not warnings there.
        run.tell(Event::Note { text: format!("leak check: {}", summary::leak_sentence(finding, loaded)) });
    }
    Ok(())
}

/// How many rows a model is asked for, about, between its fit and its report.
fn rows_asked(splits: &Splits) -> u64 {
    let shuffled = if splits.train().data().schema().inputs().count() <= COLUMNS_SHUFFLED_MAX { CELLS_SHUFFLED } else { 0 };
    (TRAIN_ROWS_SCORED + shuffled) as u64 + splits.valid().len() + 2 * splits.test().len()
}

fn train_target(
    plan: &Plan,
    run: &Run<'_>,
    divided: &Divided,
    (field, task): (&Field, Task),
    [place, count]: [u32; 2],
    folder: &Path,
) -> Result<TargetFit> {
    let (train, valid) = (divided.splits.train(), &**divided.splits.valid());
    let base = crate::model("baseline")?;
    let began = (run.clock)();
    let quiet = |event: &Event| match event {
        Event::Progress { .. } | Event::Resolved { .. } => Flow::Go,
        other => run.tell(other.clone()),
    };
    let plain = balance::unbalanced(plan);
    let baseline = fit(base, &Settings::check("model", base.settings, [])?, field, train, valid, &plain, &heard_by(run, &quiet))?;
    decision_of(plan, field).check(baseline.pipeline.fitted.raw().field(&field.name).unwrap_or(field))?;
    let choice = choice_of(plan, field);
    // The choice is made again in each fold of a nested cross-validation, with as much time.
    let parts = nested::parts(plan, choice);
    // What was read and looked at before is part of the time that was given.
    let time = plan.time.unwrap_or(AUTO_TIME).saturating_sub(began).max(TIME_MIN) / (count - place) / parts;
    let (def, settings, board) = match choice {
        Choice::Named(def, settings) => (*def, settings.clone(), None),
        Choice::Auto => {
            run.tell(Event::Stage { name: "leaderboard".into() });
            let board = auto::leaderboard(train, (field, task), plan, run, time, rows_asked(&divided.splits))?;
            let (def, settings) = board.best(!valid.is_empty())?;
            (def, settings, Some(board))
        }
    };
    if init_model(def, &settings).is_some() && divided.split.keep.is_none() && divided.loaded.test.is_none() {
        let text = "the model to begin from may have learned from rows that are test rows here, and the scores be too good: \
                    data.split.keep=RUN/data/sides.parquet keeps each row on the side that it had in that model's run";
        run.tell(Event::Warning { text: text.into() });
    }
    let is_stopped = run.tell(Event::Stage { name: format!("fit {}", def.name) }) == Flow::Stop;
    // Who stops a leaderboard wants the model that leads it, not that model's first tree: its fit is finished, within limits.
    let deaf = |event: &Event| {
        run.tell(event.clone());
        Flow::Go
    };
    let events: &(dyn Fn(&Event) -> Flow + Sync) = if is_stopped && board.is_some() { &deaf } else { run.events };
    let mut timed = heard_by(run, events);
    timed.folder = Some(folder);
    timed.until = match &board {
        None => plan.time.map(|time| (run.clock)() + time / count / (1 + fits_behind(plan, field, choice, valid))),
        Some(board) if is_stopped => Some((run.clock)() + board.patience()),
        // A leaderboard that took its whole time leaves the final fit a quarter of it.
        Some(_) => Some((began + time).max((run.clock)() + time / 4)),
    };
    let mut board = board;
    let mut fit = match board.as_mut().and_then(|board| board.fitted.take()) {
        Some(fit) => fit,
        None => fit(def, &settings, field, train, valid, plan, &timed)?,
    };
    for note in &fit.notes {
        let text = format!("preparation: {}", note.text);
        run.tell(if note.is_warning { Event::Warning { text } } else { Event::Note { text } });
    }
    let mut after = heard_by(run, run.events);
    after.until = plan.time.map(|time| time / count / parts).map(|time| (began + time).max((run.clock)() + time / 4));
    let mut finished = finish(plan, &after, (field, task), (train, valid), (&mut fit, choice))?;
    if !is_stopped && parts > 1 {
        finished.nested =
            nested::of_leaderboard(train, (&learned_of(&fit, field), task), plan, run, plan.time.unwrap_or(AUTO_TIME) / count / parts)?;
    }
    let measured = TargetReport::new(&*field.name, task);
    Ok(TargetFit { field: field.clone(), task, fit, baseline, board, finished, measured, answer: None })
}

/// Whether a network learns a target of the plan. Columns are not known before data are read, so it is the models that the recipe names.
pub fn names_network(plan: &Plan) -> bool {
    let own = plan.outputs.values().filter_map(|output| output.model.as_ref());
    own.chain([&plan.model]).any(|choice| matches!(choice, Choice::Named(def, _) if matches!(def.make, Make::Trainee(_))))
}

/// What training the plan's networks will take, from a few timed steps. Nothing is kept.
///
/// # Errors
/// As [`train`], up to the first steps; and when no target is learned by a network.
pub fn estimate(plan: &Plan, run: &Run<'_>) -> Result<Vec<Estimate>> {
    let divided = divide(plan, run)?;
    check_models(plan, divided.loaded.schema())?;
    let mut estimates = Vec::new();
    for (field, _) in divided.loaded.schema().targets() {
        let Choice::Named(def, settings) = choice_of(plan, field) else { continue };
        if let Make::Trainee(_) = def.make {
            run.tell(Event::Stage { name: format!("plan {}", def.name) });
            let prepared = Prepared::new(def, field, divided.splits.train(), &**divided.splits.valid(), plan, None, run)?;
            estimates.push(networks::estimate(def, settings, &prepared.data(field), plan, run)?);
        }
    }
    match estimates.is_empty() {
        true => {
            Err(Error::recipe("recipe", "no target is learned by a network: there is nothing to time").with_hint("name one: model=mlp"))
        }
        false => Ok(estimates),
    }
}

pub(crate) fn choice_of<'a>(plan: &'a Plan, field: &Field) -> &'a Choice {
    plan.output(&field.name).and_then(|output| output.model.as_ref()).unwrap_or(&plan.model)
}

/// Every named model must be able to do its target's task and to look at the inputs; what is said about images needs some.
pub(crate) fn check_models(plan: &Plan, schema: &Schema) -> Result<()> {
    let has_images = schema.inputs().any(|field| matches!(field.kind, Kind::Image { .. }));
    if let Some((name, entry)) = plan.recipe.table(&["augment"]).next().filter(|_| !has_images) {
        let error = Error::recipe(&entry.place, format!("augment.{name} changes images, and no input holds any"));
        return Err(error.with_hint("leave [augment] out"));
    }
    schema.targets().try_for_each(|(field, task)| match choice_of(plan, field) {
        Choice::Named(def, _) => suits(def, task, field, schema)
            .and_then(|()| models::check_inputs(def, task, schema))
            .and_then(|()| balance::check_focal(def, plan)),
        Choice::Auto => auto::entrants(task, schema).map(|_| ()),
    })
}

/// Every measure that is asked for, or that a gate names, must suit a target.
///
/// # Errors
/// The first that suits none.
pub(crate) fn check_measures(schema: &Schema, metrics: Option<&[&'static MetricDef]>, gates: &[QualityGate]) -> Result<()> {
    let suits = |metric: &MetricDef| schema.targets().any(|(_, task)| metric.tasks.contains(&task));
    gates::check_columns(schema, gates)?;
    let gated = gates.iter().filter_map(|gate| cupola_metrics::METRICS.iter().find(|metric| Some(metric.name) == gate.measure()));
    let Some(metric) = metrics.unwrap_or_default().iter().copied().chain(gated).find(|metric| !suits(metric)) else { return Ok(()) };
    let targets: Vec<String> =
        schema.targets().map(|(field, task)| format!("target {} ({})", field.name, crate::recipe::task_word(task))).collect();
    let able: Vec<&str> = cupola_metrics::METRICS.iter().filter(|metric| suits(metric)).map(|metric| metric.name).collect();
    let error = Error::recipe("recipe", format!("metric {} does not suit {}", metric.name, targets.join(", ")));
    Err(error.with_hint(format!("metrics that suit: {}", able.join(", "))))
}

fn suits(def: &ModelDef, task: Task, field: &Field, schema: &Schema) -> Result<()> {
    if def.tasks.contains(&task) {
        return Ok(());
    }
    let able: Vec<&str> =
        models().filter(|model| model.tasks.contains(&task) && models::takes(model, schema)).map(|model| model.name).collect();
    let task = crate::recipe::task_word(task);
    Err(cupola_task::Error::Unsupported {
        what: format!("to {task} {}", field.name),
        by: format!("model {}", def.name),
        hint: Some(format!("models that {task}: {}", able.join(", "))),
    }
    .into())
}

/// The rows of each side, raw.
pub(crate) struct Sides {
    pub schema: Schema,
    pub train: Batch,
    pub valid: Batch,
    pub test: Batch,
}

impl Sides {
    fn read(splits: &Splits) -> Result<Sides> {
        let train = splits.train().data();
        let rows: Vec<u64> = (0..train.len()).step_by((train.len() as usize).div_ceil(TRAIN_ROWS_SCORED).max(1)).collect();
        Ok(Sides {
            schema: train.schema().clone(),
            train: train.read(&rows, cupola_task::Draw::default())?,
            valid: read_all(&**splits.valid())?,
            test: read_all(&**splits.test())?,
        })
    }
}

fn sampling(plan: &Plan, run: &Run<'_>) -> Sampling {
    Sampling { level: plan.level, draws: plan.draws, draw: run.draw("intervals") }
}

/// The target with the classes that training saw.
pub(crate) fn learned(target: &TargetFit) -> Field {
    learned_of(&target.fit, &target.field)
}

fn learned_of(fit: &Fit, field: &Field) -> Field {
    fit.pipeline.fitted.raw().field(&field.name).cloned().unwrap_or_else(|| field.clone())
}

fn measure(plan: &Plan, run: &Run<'_>, divided: &Divided, sides: &Sides, target: &TargetFit) -> Result<(TargetReport, Option<Answer>)> {
    let field = learned(target);
    let post = &target.fit.pipeline.postprocess;
    let rulers = rulers(&field, target.task, plan.metrics.as_deref(), post.costs());
    let batches = [&sides.train, &sides.valid, &sides.test];
    let mut answers: Vec<Option<Answer>> = batches
        .iter()
        .map(|batch| (!batch.rows.is_empty()).then(|| target.fit.pipeline.answer(&columns(batch))).transpose())
        .collect::<Result<_>>()?;
    let weights: Vec<Option<Vec<f64>>> = batches.iter().map(|batch| load::weights(&sides.schema, batch)).collect::<Result<_>>()?;
    let judged = |side: usize| {
        let view = batches[side].view(&field.name, weights[side].as_deref());
        answers[side].as_ref().map(|answer| Judged { view, answer })
    };
    let baseline = (!sides.test.rows.is_empty()).then(|| target.baseline.pipeline.answer(&columns(&sides.test))).transpose()?;
    let baseline = baseline.map(|answer| post.decide(answer));
    let mut report =
        evaluate::target_report(&field, target.task, &rulers, [judged(0), judged(1), judged(2)], baseline.as_ref(), sampling(plan, run))?;
    report.baseline = summary::baseline_phrase(baseline.as_ref());
    report.history = target.fit.trained.as_ref().map(Trained::history);
    report.cross_validation = target.finished.cross_validation.clone();
    report.nested = target.finished.nested.clone();
    let raw = post.calibrates().then(|| target.fit.pipeline.raw_answer(&columns(&sides.test))).transpose()?;
    let raw = raw.as_ref().or(answers[2].as_ref());
    let decision = decision_of(plan, &target.field);
    report.postprocessing = postprocess::learned_report(decision, &target.finished.learned, &field, raw, judged(2), sampling(plan, run))?;
    if let Some(judged) = judged(2) {
        let whole = (&field, target.task);
        let train = audit::told_apart(divided.splits.train(), &field.name)?;
        report.groups = audit::groups(&sides.schema, whole, &sides.test, train.as_ref(), judged, sampling(plan, run))?;
        report.slices = audit::slices(&plan.slices, &sides.schema, &field, &rulers, &sides.test, judged, sampling(plan, run))?;
    }
    report.class_rows = load::class_rows(divided.splits.train(), &field)?;
    report.balance = balance::effect(plan, run, divided, sides, target, &rulers, sampling(plan, run), &report)?;
    let answer = answers.pop().flatten();
    if let Some(answer) = &answer {
        let place = |row: u64| match plan.test {
            Some(_) => divided.loaded.test_place(row as usize),
            None => divided.loaded.place(row as usize),
        };
        let share = PICTURES_BYTES_MAX / divided.loaded.schema().targets().count().max(1);
        report.pictures = report::pictures(&field, &sides.test, answer, &place, share)?;
    }
    Ok((report, answer))
}

/// What the test rows tell about lists of labels.
fn labels(
    plan: &Plan,
    run: &Run<'_>,
    divided: &Divided,
    sides: &Sides,
    targets: &[TargetFit],
    answers: &Predictions,
) -> Result<Vec<report::LabelsReport>> {
    let made = &divided.loaded.making.made;
    if made.labels.is_empty() || sides.test.rows.is_empty() {
        return Ok(vec![]);
    }
    let rows = columns(&sides.test);
    let baseline = |target: &TargetFit| {
        let answer = target.fit.pipeline.postprocess.decide(target.baseline.pipeline.answer(&rows)?);
        Ok((target.field.name.clone(), answer))
    };
    let baseline = Predictions(targets.iter().map(baseline).collect::<Result<_>>()?);
    let weights = load::weights(&sides.schema, &sides.test)?;
    lists::measured(made, &sides.test.targets, weights.as_deref(), answers, Some(&baseline), sampling(plan, run))
}

fn assemble(
    plan: &Plan,
    run: &Run<'_>,
    divided: &Divided,
    sides: &Sides,
    targets: Vec<TargetFit>,
) -> Result<(Artifact, Vec<summary::Target>)> {
    let raw = raw_schema(divided.loaded.schema(), &targets);
    let scores = targets.iter().flat_map(|target| {
        target.measured.scores.iter().map(|score| Score {
            target: target.field.name.clone(),
            name: score.name.clone(),
            value: score.test.value,
            low: score.test.low,
            high: score.test.high,
        })
    });
    let contents_scores = scores.collect();
    let (pipelines, kept): (Vec<_>, Vec<_>) = targets.into_iter().map(summary::Target::take).unzip();
    let profile = cupola_data::profile::profile(divided.splits.train().data())?;
    let contents = Contents {
        raw,
        notation: divided.loaded.notation.clone(),
        made: divided.loaded.making.made.clone(),
        pipelines,
        scores: contents_scores,
        profile: serde_json::to_value(profile).expect("a profile is plain data"),
        extra: serde_json::json!({ "seed": plan.seed, "rows": { "train": divided.cut.counts[0], "valid": divided.cut.counts[1], "test": sides.test.rows.len() } }),
        watched: None,
    };
    let mode = match plan.golden {
        Golden::Real => GoldenMode::Real,
        Golden::Shuffled => GoldenMode::Shuffled,
        Golden::Off => GoldenMode::Off,
    };
    let rows = if sides.test.rows.is_empty() { &sides.train } else { &sides.test };
    Ok((Artifact::new(contents, &rows.inputs, mode, run.draw("golden"))?, kept))
}

/// All columns of the file, in its order, with the classes that training saw.
fn raw_schema(schema: &Schema, targets: &[TargetFit]) -> Schema {
    let with_classes = |field: &Field| {
        let target = targets.iter().find(|target| target.field.name == field.name);
        let input = targets.iter().find_map(|target| target.fit.pipeline.fitted.raw().field(&field.name));
        target.map(learned).or_else(|| input.cloned()).unwrap_or_else(|| field.clone())
    };
    Schema { fields: schema.fields.iter().map(with_classes).collect() }
}

/// Of so many rows with so many columns, every how many-th is shuffled.
pub(crate) fn shuffle_step(rows: usize, columns: usize) -> usize {
    let wanted = (CELLS_SHUFFLED / columns.max(1) / SHUFFLES as usize).max(ROWS_SHUFFLED_MIN);
    rows.div_ceil(wanted).max(1)
}

fn with_importance(
    plan: &Plan,
    run: &Run<'_>,
    sides: &Sides,
    artifact: &Artifact,
    mut targets: Vec<summary::Target>,
) -> Result<Vec<summary::Target>> {
    let inputs = &sides.test.inputs;
    if inputs.rows() == 0 || inputs.is_empty() {
        return Ok(targets);
    }
    if inputs.iter().all(|(_, column)| column.images().is_some()) {
        run.tell(Event::Note { text: "importance is not measured for columns of images, and there are no others".into() });
        return Ok(targets);
    }
    run.tell(Event::Stage { name: "importance".into() });
    if inputs.len() > COLUMNS_SHUFFLED_MAX {
        let text = format!("importance was not measured: {} columns are more than {COLUMNS_SHUFFLED_MAX}", inputs.len());
        run.tell(Event::Warning { text });
        return Ok(targets);
    }
    let rows: Vec<u64> = (0..inputs.rows() as u64).step_by(shuffle_step(inputs.rows(), inputs.len())).collect();
    let taken = sides.test.take(&rows);
    let weights = load::weights(&sides.schema, &taken)?;
    for (target, pipeline) in targets.iter_mut().zip(artifact.pipelines()) {
        let field = artifact.raw().field(&pipeline.target).expect("the raw schema has every target").clone();
        let main: Vec<Ruler> =
            rulers(&field, target.task, plan.metrics.as_deref(), pipeline.postprocess.costs()).into_iter().take(1).collect();
        let view = taken.view(&field.name, weights.as_deref());
        let shuffle = Shuffle { inputs: &taken.inputs, repeats: SHUFFLES, draw: run.draw("importance") };
        let answer = |inputs: &Columns| pipeline.answer(inputs);
        if let Some(ruler) = main.first() {
            target.measured.permutation = Some(evaluate::importance(&field, ruler, view, &shuffle, &answer)?);
        }
        target.measured.shap = mean_shap(pipeline, &taken.inputs)?;
    }
    Ok(targets)
}

/// The mean size of SHAP values, of as many of the rows as are explained in about a second: the work grows with rows and the size of the model.
fn mean_shap(pipeline: &Pipeline, inputs: &Columns) -> Result<Option<MeanShap>> {
    let mut parts = Parts::default();
    pipeline.predictor.save(&mut parts)?;
    let bytes: usize = parts.0.values().map(Vec::len).sum();
    let rows = (BYTES_EXPLAINED / bytes.max(1)).min(inputs.rows()) as u64;
    if rows < ROWS_EXPLAINED_MIN.min(inputs.rows() as u64) {
        return Ok(None);
    }
    let numbers: Vec<u64> = (0..rows).map(|place| place * inputs.rows() as u64 / rows).collect();
    // What cannot be explained is left out of the report, and no reason to lose the run.
    let Some(Ok(told)) = mean_sizes(pipeline, &inputs.take(&numbers)) else { return Ok(None) };
    Ok((told.outputs > 0).then(|| MeanShap { unit: told.unit.words().to_owned(), rows, columns: told.columns }))
}

/// The worst test rows of each target, where they may be shown.
fn with_mistakes(
    plan: &Plan,
    divided: &Divided,
    sides: &Sides,
    artifact: &Artifact,
    answers: &Predictions,
    mut targets: Vec<summary::Target>,
) -> Result<Vec<summary::Target>> {
    let place = |row: u64| match plan.test {
        Some(_) => divided.loaded.test_place(row as usize),
        None => divided.loaded.place(row as usize),
    };
    for (target, pipeline) in targets.iter_mut().zip(artifact.pipelines()).filter(|_| plan.mistakes > 0 && !sides.test.rows.is_empty()) {
        let field = artifact.raw().field(&pipeline.target).expect("the raw schema has every target");
        if let Some(answer) = answers.get(&field.name) {
            target.measured.mistakes = report::mistakes(pipeline, field, &sides.test, answer, &place, plan.mistakes)?;
        }
    }
    Ok(targets)
}

/// One target's answers out of all.
pub(crate) fn answer_of<'a>(predictions: &'a Predictions, target: &str) -> Result<&'a Answer> {
    predictions.get(target).ok_or_else(|| Error::Data(format!("the model does not answer {target}"), None))
}

/// How many rows are on a side.
pub(crate) fn count(sides: &[Side], wanted: Side) -> u64 {
    sides.iter().filter(|side| **side == wanted).count() as u64
}
