//! What answers under one name: a champion, perhaps a challenger beside it, exchanged for others while requests go on.
//!
//! A request takes the line-up it finds and keeps it to its end, so an exchange never touches what is under way. A model file that does not
//! open, or does not answer its golden rows as it did, leaves the ones that serve where they are.

use crate::batcher::Batcher;
use crate::monitor::{Around, Live, LiveOptions, MONITOR_FOLDER};
use crate::rows::Inputs;
use crate::{Error, Result, ServeOptions, World, example};
use axum::http::HeaderValue;
use cupola_task::{Fault, Predictions, nearest};
use cupola_train::{Artifact, Opening, answer_columns};
use cupola_watch::log::{Encoder, LogOptions, Logger};
use cupola_watch::registry::{CHALLENGER, CHAMPION, Registry, Version};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Where a service finds its models.
pub enum Source {
    /// A model that stays.
    Fixed(Arc<Artifact>),
    /// A model file, read again when it changes.
    File(PathBuf),
    /// A name of the registry: the versions behind its aliases.
    Registry(Arc<Registry>),
}

/// A model under the name it is served by.
pub(crate) struct Model {
    pub(crate) name: Arc<str>,
    /// The version's number in the registry; 1 for a file.
    pub(crate) version: String,
    pub(crate) artifact: Arc<Artifact>,
    pub(crate) inputs: Inputs,
    /// Where requests wait to be answered together, if they are.
    pub(crate) batcher: Option<Batcher>,
    /// A row that may be shown to anybody, and its answers.
    pub(crate) example: Map<String, Value>,
    pub(crate) sample: Predictions,
    /// Its version and hash, as the headers of its answers say them.
    pub(crate) marks: [HeaderValue; 2],
    /// Writes its answers for the log.
    pub(crate) encoder: Encoder,
    /// Whether it answers a row so quickly that handing it to another thread takes longer.
    pub(crate) is_quick: bool,
}

/// The models that answer under one name at one moment.
pub(crate) struct Lineup {
    pub(crate) champion: Arc<Model>,
    pub(crate) challenger: Option<Arc<Model>>,
    /// By what the source is known to have changed since.
    stamp: Stamp,
}

/// What a look at the source says without opening a model.
#[derive(Clone, Debug, PartialEq)]
enum Stamp {
    Fixed,
    File(Option<FileStamp>),
    Registry { champion: Option<Box<Version>>, challenger: Option<Box<Version>> },
}

pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    /// The prediction log, when there is one.
    pub(crate) log: Option<Logger>,
    /// Watches the champion's answers.
    pub(crate) monitor: Option<Live>,
    source: Source,
    lineup: RwLock<Arc<Lineup>>,
    /// Held while a model is opened: one at a time.
    opening: Mutex<()>,
    reloading: Mutex<Reloading>,
}

/// How exchanges went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloads {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    /// Why the last one failed, while what failed is still what the source offers.
    pub(crate) fault: Option<String>,
}

#[derive(Default)]
struct Reloading {
    reloads: Reloads,
    /// What could not be opened is not tried again until it changes.
    refused: Option<Stamp>,
}

/// How long a request for images waits for others when nothing is said: little beside what a network takes.
const IMAGE_WINDOW: Duration = Duration::from_millis(2);

/// How often a model that may be quick is timed.
const TIMED: u32 = 10;

impl Model {
    pub(crate) fn new(name: Arc<str>, version: String, artifact: Arc<Artifact>, options: &ServeOptions) -> Result<Model> {
        let wrong = |what: String| Error::Models(format!("{name}: {what}"));
        let inputs = Inputs::new(artifact.raw(), artifact.notation(), artifact.made()).map_err(wrong)?;
        let example = example::row(&artifact);
        let window = options.batch_window.unwrap_or(if inputs.has_images() { IMAGE_WINDOW } else { Duration::ZERO });
        // Those who wait for company are answered together: a batch of them waits no longer than one.
        let queue = options.queue.unwrap_or(options.batch_rows);
        let batcher = (!window.is_zero()).then(|| Batcher::new(window, options.batch_rows, queue));
        let columns =
            inputs.read_json(Value::from(example.clone()).to_string().as_bytes(), 1).map_err(|problem| wrong(problem.to_string()))?;
        let began = Instant::now();
        let sample = artifact.predict(&columns).map_err(|error| wrong(error.to_string()))?;
        // The first answer may come from cold caches. A model that is far from quick even so is not asked again.
        let again = (0..TIMED).take_while(|_| began.elapsed() < options.inline * TIMED).map(|_| {
            let began = Instant::now();
            artifact.predict(&columns).map(|_| began.elapsed())
        });
        let is_quick = again.flatten().min().is_some_and(|took| took < options.inline);
        let encoder = Encoder::new(&name, &version, artifact.hash(), artifact.raw(), &answer_columns(&sample), &options.log.redact);
        let marks = [&*version, artifact.hash()].map(|text| HeaderValue::from_str(text).expect("numbers and hexadecimal are plain"));
        Ok(Model { name, version, artifact, inputs, batcher, example, sample, marks, encoder, is_quick })
    }
}

impl Lineup {
    /// The model of that alias or version; none when it does not serve.
    pub(crate) fn version(&self, version: &str) -> Option<&Arc<Model>> {
        let challenger = self.challenger.as_ref();
        match version {
            CHAMPION => Some(&self.champion),
            CHALLENGER => challenger,
            number => std::iter::once(&self.champion).chain(challenger).find(|model| model.version == number),
        }
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = (&'static str, &Arc<Model>)> {
        std::iter::once((CHAMPION, &self.champion)).chain(self.challenger.iter().map(|model| (CHALLENGER, model)))
    }
}

impl Service {
    pub(crate) fn new(name: String, source: Source, options: &ServeOptions, world: &World) -> Result<Service> {
        let name: Arc<str> = name.into();
        let stamp = source.stamp(&name)?;
        let lineup = source.open(&name, stamp, None, options)?;
        check_columns(&lineup.champion, &options.log)?;
        let folder = options.log.to.folder(&world.deploy, &name);
        let log = folder.as_ref().map(|folder| Logger::open(folder, &options.log, world.now_us.clone())).transpose()?;
        let registry = source.registry().cloned();
        let around = |options: &LiveOptions| Around {
            name: name.clone(),
            folder: registry.as_ref().map(|registry| registry.folder(&name).join(MONITOR_FOLDER)),
            log: folder,
            registry: registry.clone(),
            options: options.clone(),
            world: world.clone(),
        };
        let monitor = options.monitor.as_ref().map(|options| Live::begin(lineup.champion.clone(), around(options))).transpose()?;
        Ok(Service {
            name,
            log,
            monitor,
            source,
            lineup: RwLock::new(Arc::new(lineup)),
            opening: Mutex::default(),
            reloading: Mutex::default(),
        })
    }

    pub(crate) fn lineup(&self) -> Arc<Lineup> {
        self.lineup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn champion(&self) -> Arc<Model> {
        self.lineup().champion.clone()
    }

    pub(crate) fn reloads(&self) -> Reloads {
        self.reloading().reloads.clone()
    }

    fn reloading(&self) -> MutexGuard<'_, Reloading> {
        self.reloading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn registry(&self) -> Option<&Arc<Registry>> {
        self.source.registry()
    }

    /// Looks whether the source has changed, and if so opens what it offers and exchanges the models. Blocks; one at a time.
    pub(crate) fn refresh(&self, options: &ServeOptions) {
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.lineup();
        let opened = self.source.stamp(&self.name).and_then(|stamp| {
            if stamp == present.stamp || self.reloading().refused.as_ref() == Some(&stamp) {
                return Ok(None);
            }
            self.reloading().refused = Some(stamp.clone());
            self.source.open(&self.name, stamp, Some(&present), options).map(Some)
        });
        let mut reloading = self.reloading();
        match opened {
            Ok(None) if reloading.refused.is_none() => reloading.reloads.fault = None,
            Ok(None) => {}
            Ok(Some(lineup)) => {
                *self.lineup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(lineup);
                reloading.refused = None;
                reloading.reloads.done += 1;
                reloading.reloads.fault = None;
            }
            Err(error) => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                let fault = format!("{error}{hint}");
                // A source that stays away is one failure, not one each time it is looked at.
                if reloading.reloads.fault.as_ref() != Some(&fault) {
                    reloading.reloads.failed += 1;
                }
                reloading.reloads.fault = Some(fault);
            }
        }
    }
}

impl Source {
    fn registry(&self) -> Option<&Arc<Registry>> {
        match self {
            Source::Registry(registry) => Some(registry),
            Source::Fixed(_) | Source::File(_) => None,
        }
    }

    fn stamp(&self, name: &str) -> Result<Stamp> {
        Ok(match self {
            Source::Fixed(_) => Stamp::Fixed,
            Source::File(path) => Stamp::File(file_stamp(path)),
            Source::Registry(registry) => {
                let behind = |alias: &str| Ok::<_, Error>(registry.behind(name, alias)?.map(Box::new));
                Stamp::Registry { champion: behind(CHAMPION)?, challenger: behind(CHALLENGER)? }
            }
        })
    }

    /// Opens what the stamp names. A version that serves already is not opened again.
    fn open(&self, name: &Arc<str>, stamp: Stamp, present: Option<&Lineup>, options: &ServeOptions) -> Result<Lineup> {
        let fresh = |version: String, artifact: Arc<Artifact>| Model::new(name.clone(), version, artifact, options).map(Arc::new);
        let (champion, challenger) = match (self, &stamp) {
            (Source::Fixed(artifact), _) => (fresh("1".to_owned(), artifact.clone())?, None),
            (Source::File(path), _) => (fresh("1".to_owned(), open_file(path)?)?, None),
            (Source::Registry(registry), Stamp::Registry { champion, challenger }) => {
                let open = |version: &Version| {
                    let number = version.number.to_string();
                    let serves = |model: &&Arc<Model>| model.version == number && model.artifact.hash() == version.hash;
                    match present.and_then(|lineup| lineup.models().map(|(_, model)| model).find(serves)) {
                        Some(model) => Ok(model.clone()),
                        None => fresh(number, open_version(registry, name, version)?),
                    }
                };
                let champion = champion.as_ref().ok_or_else(|| Error::NoChampion { name: name.to_string() })?;
                (open(champion)?, challenger.as_deref().map(open).transpose()?)
            }
            (Source::Registry(_), _) => unreachable!("a registry's stamp is a registry's"),
        };
        if let Some(challenger) = &challenger {
            check_twins(&champion, challenger)?;
        }
        Ok(Lineup { champion, challenger, stamp })
    }
}

/// A column that is to be left out of the log must be one, or it would stand there.
fn check_columns(model: &Model, log: &LogOptions) -> Result<()> {
    let named = log.redact.iter().map(|name| ("redact", name)).chain(log.retain.keys().map(|name| ("retain", name)));
    for (setting, name) in named {
        if model.inputs.input(name).is_none() {
            let names = || model.inputs.columns.iter().map(|input| &*input.name);
            let error = cupola_task::Error::setting(format!("log.{setting}"), name, "an input of the model");
            return Err(match nearest(name, names()) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error,
            }
            .into());
        }
    }
    Ok(())
}

/// A challenger is asked with the champion's rows and answers in its place, so both must take and answer the same columns.
fn check_twins(champion: &Model, challenger: &Model) -> Result<()> {
    let inputs = |model: &Model| {
        let mut inputs: Vec<(Arc<str>, &str)> = model.inputs.columns.iter().map(|input| (input.name.clone(), input.kind.word())).collect();
        inputs.sort();
        inputs
    };
    let targets = |model: &Model| model.artifact.raw().targets().map(|(field, task)| (field.name.clone(), task)).collect::<Vec<_>>();
    if inputs(champion) == inputs(challenger) && targets(champion) == targets(challenger) {
        return Ok(());
    }
    Err(Error::Models(format!(
        "{}: version {} takes or answers other columns than the champion, version {}",
        champion.name, challenger.version, champion.version
    )))
}

/// Time, size and number of a file: what changes when it is written or replaced.
pub(crate) type FileStamp = (SystemTime, u64, u64);

pub(crate) fn file_stamp(path: &Path) -> Option<FileStamp> {
    let about = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&about);
    #[cfg(not(unix))]
    let inode = 0;
    Some((about.modified().ok()?, about.len(), inode))
}

fn open_file(path: &Path) -> Result<Arc<Artifact>> {
    let began = Instant::now();
    let opening = Opening { clock: &|| began.elapsed(), replay: Opening::REPLAY };
    Ok(Arc::new(Artifact::open(path, opening)?))
}

fn open_version(registry: &Registry, name: &str, version: &Version) -> Result<Arc<Artifact>> {
    let artifact = open_file(&registry.model_file(version))?;
    if artifact.hash() != version.hash {
        let number = version.number;
        return Err(Error::Models(format!("{name}: version {number} is {}, the registry says {}", artifact.hash(), version.hash)));
    }
    Ok(artifact)
}
