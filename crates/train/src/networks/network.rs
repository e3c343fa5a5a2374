//! From a prepared table to a trained network: everything the loop needs, gathered.

use super::checkpoint::Checkpoints;
use super::estimate::Estimate;
use super::fit::{Job, Trained, train};
use super::judge::Judge;
use super::settings::LoopSettings;
use super::settle::settle;
use crate::fit::Data;
use crate::{Error, Plan, Result};
use cupola_nets::optim::Freeze;
use cupola_nets::trainee;
use cupola_task::{Fitted, Make, ModelDef, Predictor, Role, Run, Settings, Start};

/// Trains a network on prepared rows.
///
/// # Errors
/// When data, settings and network do not suit each other, or the training fails: see [`train`].
pub(crate) fn fit(
    def: &ModelDef,
    settings: &Settings,
    data: &Data<'_>,
    plan: &Plan,
    run: &Run<'_>,
) -> Result<(Box<dyn Predictor>, Trained)> {
    with_job(def, settings, data, plan, run, |job| {
        let first = job.trainee.initial(run.draw("network"), data.train)?;
        let trained = train(job, first, matches!(run.start, Start::Resume))?;
        Ok((job.trainee.freeze(trained.arena.clone()), trained))
    })
}

/// Tells what training a network on prepared rows will take, from a few timed steps.
///
/// # Errors
/// As [`fit`], for the first steps.
pub(crate) fn estimate(def: &ModelDef, settings: &Settings, data: &Data<'_>, plan: &Plan, run: &Run<'_>) -> Result<Estimate> {
    with_job(def, settings, data, plan, run, |job| {
        let first = job.trainee.initial(run.draw("network"), data.train)?;
        Ok(Estimate::new(job, &settle(job, &first)?))
    })
}

fn with_job<T>(
    def: &ModelDef,
    settings: &Settings,
    data: &Data<'_>,
    plan: &Plan,
    run: &Run<'_>,
    work: impl FnOnce(&Job<'_>) -> Result<T>,
) -> Result<T> {
    let Make::Trainee(make) = def.make else { return Err(Error::recipe("model", format!("{} is no network", def.name))) };
    let mut trainee = trainee(make(settings, data.fitted.schema(), plan.device)?);
    trainee.adapt(&plan.training)?;
    let options = LoopSettings::open(&plan.training, &plan.saving)
        .ok_or_else(|| Error::recipe("recipe", "save.every: wanted a number of steps or a duration"))?;
    let field = data.fitted.raw().field(&data.target.name).unwrap_or(data.target).clone();
    let Role::Target(task) = field.role else {
        return Err(Error::Data(format!("{} is no target", field.name), None));
    };
    let judge = Judge::new(data.valid, data.raw_valid.clone(), field, task, &options)?;
    let freeze = Freeze::open(&plan.training, trainee.layout())?;
    let checkpoints = run.folder.map(|folder| Checkpoints::new(folder, &data.target.name, identity(settings, data, plan, run)));
    work(&Job {
        trainee: &*trainee,
        train: data.train,
        judge: judge.as_ref(),
        settings: &options,
        optim: &plan.training,
        freeze: &freeze,
        checkpoints: checkpoints.as_ref(),
        run,
        target: &data.target.name,
        model: def.name,
    })
}

/// Names the training that a checkpoint belongs to: all that its bytes depend on beside the code.
fn identity(settings: &Settings, data: &Data<'_>, plan: &Plan, run: &Run<'_>) -> String {
    let mut hash = blake3::Hasher::new();
    let mut add = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for (name, value) in settings.iter().chain(plan.training.iter()) {
        add(name);
        add(&value.to_string());
    }
    add(&run.seed.to_string());
    add(&data.target.name);
    add(&data.train.data().len().to_string());
    add(&serde_json::to_string(data.fitted.schema()).expect("a schema is plain data"));
    hash.finalize().to_hex().to_string()
}
