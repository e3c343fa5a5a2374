//! From a prepared table to a trained network: everything the loop needs, gathered.

use super::checkpoint::Checkpoints;
use super::estimate::Estimate;
use super::fit::{Job, Trained, train};
use super::judge::Judge;
use super::settings::LoopSettings;
use super::settle::settle;
use crate::fit::Data;
use crate::{Choice, Error, Plan, Result};
use cupola_data::augment::Augment;
use cupola_nets::optim::Freeze;
use cupola_nets::trainee;
use cupola_nets::weights::Pretrained;
use cupola_task::{Event, Fitted, Make, ModelDef, Predictor, Role, Run, Settings, Start};

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
        let first = first_weights(job, plan)?;
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
        let first = first_weights(job, plan)?;
        Ok(Estimate::new(job, &settle(job, &first)?))
    })
}

/// The most that a file of weights may hold.
const WEIGHTS_MAX: u64 = 16 << 30;

/// First weights: drawn, with what is fixed learned from training rows; those of a file put over them where the recipe names one.
fn first_weights(job: &Job<'_>, plan: &Plan) -> Result<Vec<f32>> {
    let mut arena = job.trainee.initial(job.run.draw("network"), job.train)?;
    let Some(pretrained) = Pretrained::open(&plan.training)? else { return Ok(arena) };
    let bytes = read_weights(&pretrained)?;
    let warmed = pretrained.warm(&bytes, job.trainee.layout(), &mut arena)?;
    let listed = |paths: &[String]| match paths.len() {
        0 => "none".to_owned(),
        1..=6 => paths.join(", "),
        more => format!("{}, and {} more", paths[..6].join(", "), more - 6),
    };
    let text = format!(
        "{} parameters are from {}; begun anew: {}; not used: {}",
        warmed.taken,
        pretrained.path,
        listed(&warmed.fresh),
        listed(&warmed.unexpected)
    );
    job.run.tell(Event::Note { text });
    Ok(arena)
}

fn read_weights(pretrained: &Pretrained) -> Result<Vec<u8>> {
    let unreadable = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => {
            Error::Data(format!("{}: found no such file, wanted weights", pretrained.path), None).with_hint("train.weights names it")
        }
        _ => Error::io(format!("read weights {}", pretrained.path), source),
    };
    let size = std::fs::metadata(&pretrained.path).map_err(unreadable)?.len();
    if size > WEIGHTS_MAX {
        return Err(Error::Data(format!("{}: found {size} bytes, wanted at most {WEIGHTS_MAX}", pretrained.path), None));
    }
    std::fs::read(&pretrained.path).map_err(unreadable)
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
    let augment = Augment::open(&plan.augment)?;
    let identified = |folder| Ok::<_, Error>(Checkpoints::new(folder, &data.target.name, identity(settings, data, plan, run)?));
    let checkpoints = run.folder.map(identified).transpose()?;
    work(&Job {
        trainee: &*trainee,
        train: data.train,
        judge: judge.as_ref(),
        settings: &options,
        optim: &plan.training,
        freeze: &freeze,
        augment: &augment,
        checkpoints: checkpoints.as_ref(),
        run,
        fills_time: plan.time.is_some() && matches!(plan.model, Choice::Named(..)) && !options.says_how_long(),
        target: &data.target.name,
        model: def.name,
    })
}

/// Names the training that a checkpoint belongs to: all that its bytes depend on beside the code.
fn identity(settings: &Settings, data: &Data<'_>, plan: &Plan, run: &Run<'_>) -> Result<String> {
    let mut hash = blake3::Hasher::new();
    let mut add = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    for (name, value) in settings.iter().chain(plan.training.iter()).chain(plan.augment.iter()) {
        add(name);
        add(&value.to_string());
    }
    if let Some(pretrained) = Pretrained::open(&plan.training)? {
        add(blake3::hash(&read_weights(&pretrained)?).to_hex().as_str());
    }
    add(&run.seed.to_string());
    add(&data.target.name);
    add(&data.train.data().len().to_string());
    add(&serde_json::to_string(data.fitted.schema()).expect("a schema is plain data"));
    Ok(hash.finalize().to_hex().to_string())
}
