//! A file becomes a model again. Nothing in it is believed before it is checked.

use super::container;
use super::golden::{Golden, Verified};
use super::manifest::{Manifest, PipelineRecord, from_json};
use super::model::{Artifact, BOUNDS, Contents, LOSSES, PIPELINE, Pipeline};
use super::watched::{self, Watched};
use crate::{Error, Result};
use cupola_task::{Fitted, ModelDef, Parts, Schema, Settings, Where};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// How much time an opening may take for golden rows, and the clock to measure it with.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Time since some moment.
    pub clock: &'a dyn Fn() -> Duration,
    /// How long golden rows are replayed; at least one is.
    pub replay: Duration,
}

impl Opening<'_> {
    /// The time given to golden rows when nothing else is said.
    pub const REPLAY: Duration = Duration::from_millis(200);
}

/// Where the names in a file are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Catalog {
    /// Models, by name.
    pub(super) model: fn(&str) -> Result<&'static ModelDef>,
    /// Opens a fitted preparation.
    pub(super) prepare: fn(&Parts) -> Result<Box<dyn Fitted>>,
}

pub(crate) const CATALOG: Catalog = Catalog { model: crate::models::model, prepare: crate::models::open_preparation };

impl Artifact {
    /// Opens a model file and replays as many of its golden rows as fit the time.
    ///
    /// # Errors
    /// When the file cannot be read, is no model file, is damaged or newer than this program, or answers otherwise than when it
    /// was written.
    pub fn open(path: &Path, opening: Opening<'_>) -> Result<Artifact> {
        let place = path.display().to_string();
        let bytes = read_file(path)?;
        Artifact::from_bytes(&place, &bytes, opening)
    }

    /// The same from bytes in memory; `place` names them in errors.
    ///
    /// # Errors
    /// As [`Artifact::open`].
    pub fn from_bytes(place: &str, bytes: &[u8], opening: Opening<'_>) -> Result<Artifact> {
        decode(place, bytes, opening, &CATALOG)
    }
}

pub(super) fn decode(place: &str, bytes: &[u8], opening: Opening<'_>, catalog: &Catalog) -> Result<Artifact> {
    let (mut parts, hash) = container::unpack(place, bytes)?;
    let mut json = |name: &str| {
        let missing = || Error::artifact(place, format!("no part {name}"), format!("a part {name}"));
        parts.0.remove(name).ok_or_else(missing).map(|part| (format!("{place}: {name}"), part))
    };
    let (at, manifest) = json("manifest.json")?;
    let manifest: Manifest = from_json(&at, &manifest)?;
    let (at, golden) = json("golden.json")?;
    let golden = Golden::read(&at, &golden)?;
    let (at, profile) = json("profile.json")?;
    let profile = from_json(&at, &profile)?;
    manifest.check(place)?;
    let reference = parts.0.remove("reference.json");
    let [own, losses] = divide(place, parts, [manifest.pipelines.len(), manifest.losses.len()])?;
    let open = |(record, parts): (PipelineRecord, &Parts)| open_pipeline(place, record, parts, &manifest.raw, catalog);
    let pipelines = manifest.pipelines.into_iter().zip(&own).map(open).collect::<Result<_>>()?;
    let losses = manifest.losses.into_iter().zip(&losses).map(open).collect::<Result<Vec<_>>>()?;
    let contents = Contents {
        pipelines,
        watched: Watched::open(place, reference.as_deref(), losses, manifest.monitor.as_ref())?,
        raw: manifest.raw,
        notation: manifest.notation,
        made: manifest.made,
        scores: manifest.scores,
        profile,
        extra: manifest.extra,
    };
    let artifact = Artifact { contents, golden, hash };
    artifact.replay_within(opening).map(|_| artifact)
}

/// Each pipeline's parts under their own names, and each loss model's.
fn divide(place: &str, parts: Parts, counts: [usize; 2]) -> Result<[Vec<Parts>; 2]> {
    let mut own = counts.map(|count| vec![Parts::default(); count]);
    for (name, part) in parts.0 {
        let mut words = name.splitn(3, '/');
        let folder = words.next().and_then(|word| [PIPELINE, LOSSES].iter().position(|folder| *folder == word));
        let number = words.next().and_then(|number| number.parse::<usize>().ok());
        let slot = folder.zip(number).and_then(|(folder, number)| own[folder].get_mut(number)).zip(words.next());
        let (slot, rest) = slot.ok_or_else(|| Error::artifact(place, format!("a part {name}"), "parts that this version knows"))?;
        slot.0.insert(rest.to_owned(), part);
    }
    Ok(own)
}

/// The pipeline that the parts hold.
///
/// # Errors
/// When they hold none that the record and the schema describe.
pub(crate) fn open_pipeline(place: &str, record: PipelineRecord, parts: &Parts, raw: &Schema, catalog: &Catalog) -> Result<Pipeline> {
    let at = format!("{place}: pipeline {}", record.target);
    let model = (catalog.model)(&record.model)?;
    let settings = Settings::check(&format!("{at}: model"), model.settings, record.settings.iter())?;
    let fitted = (catalog.prepare)(parts)?;
    let known = |name: &str| raw.inputs().any(|field| &*field.name == name) || name == watched::answer_column(&record.target);
    if let Some(field) = fitted.raw().inputs().find(|field| !known(&field.name)) {
        return Err(Error::artifact(at, format!("a preparation of the column {}", field.name), "inputs of the schema"));
    }
    let predictor = (model.open)(parts, fitted.schema(), Where::Cpu)?;
    let classes = raw.field(&record.target).and_then(|field| field.kind.classes()).map_or(0, |classes| classes.len());
    if !record.postprocess.is_sound(classes) {
        return Err(Error::artifact(at, "postprocessing that does not suit the target", "maps, costs and thresholds of its classes"));
    }
    let bounds = open_bounds(&at, &record, parts, raw, catalog)?;
    Ok(Pipeline { target: record.target, model, settings, fitted, predictor, postprocess: record.postprocess, bounds })
}

/// The models of a number's bounds, where the record has such; they have none themselves.
fn open_bounds(at: &str, record: &PipelineRecord, parts: &Parts, raw: &Schema, catalog: &Catalog) -> Result<Option<Box<[Pipeline; 2]>>> {
    let is_sound = |bound: &PipelineRecord| bound.target == record.target && bound.bounds.is_empty() && bound.postprocess.is_none();
    match record.bounds.as_slice() {
        [] if !record.postprocess.is_cqr => Ok(None),
        [low, high] if record.postprocess.is_cqr && is_sound(low) && is_sound(high) => {
            let open = |number: usize, bound: &PipelineRecord| {
                let prefix = format!("{BOUNDS}/{number}/");
                let own = parts.0.range(prefix.clone()..).take_while(|(name, _)| name.starts_with(&prefix));
                let own = Parts(own.map(|(name, part)| (name[prefix.len()..].to_owned(), part.clone())).collect());
                open_pipeline(at, bound.clone(), &own, raw, catalog)
            };
            Ok(Some(Box::new([open(0, low)?, open(1, high)?])))
        }
        bounds => {
            let wanted = "two of the same target where intervals are made of quantiles, else none";
            Err(Error::artifact(at, format!("{} models of bounds", bounds.len()), wanted))
        }
    }
}

impl Artifact {
    /// Replays golden rows, one, then two, four and so on, until the time is over.
    fn replay_within(&self, opening: Opening<'_>) -> Result<Verified> {
        let of = self.golden.inputs.rows();
        let begin = (opening.clock)();
        let mut verified = Verified { rows: 0, of, difference_max: 0.0 };
        while verified.rows < of && (verified.rows == 0 || (opening.clock)().saturating_sub(begin) < opening.replay) {
            let next = (verified.rows * 2 + 1).min(of);
            verified.difference_max = verified.difference_max.max(self.replay(verified.rows..next)?);
            verified.rows = next;
        }
        Ok(verified)
    }
}

/// Preparation and model of a target in a model file, as they were saved.
///
/// # Errors
/// When the file cannot be read or is none, or another model answers the target there.
pub(crate) fn pipeline_parts(path: &Path, target: &str, model: &str) -> Result<Parts> {
    let place = path.display().to_string();
    let bytes = read_file(path)?;
    let (mut parts, _) = container::unpack(&place, &bytes)?;
    let manifest = parts.0.remove("manifest.json").unwrap_or_default();
    let manifest: Manifest = from_json(&format!("{place}: manifest.json"), &manifest)?;
    let number = manifest.pipelines.iter().position(|record| &*record.target == target && record.model == model);
    let number = number.ok_or_else(|| {
        let has = manifest.pipelines.iter().map(|record| format!("{} by {}", record.target, record.model)).collect::<Vec<_>>().join(", ");
        Error::artifact(&place, format!("a model that answers {has}"), format!("one that answers {target} by {model}"))
    })?;
    let folder = format!("{PIPELINE}/{number}/");
    let own = parts.0.into_iter().filter_map(|(name, part)| Some((name.strip_prefix(&folder)?.to_owned(), part)));
    Ok(Parts(own.collect()))
}

/// The weights of the network in a model file, as safetensors; none when its one target is not answered by a network.
///
/// # Errors
/// When the file cannot be read or is none.
pub fn network_weights(path: &Path) -> Result<Option<Vec<u8>>> {
    let place = path.display().to_string();
    let bytes = read_file(path)?;
    let (mut parts, _) = container::unpack(&place, &bytes)?;
    let has_others = parts.0.keys().any(|name| name.starts_with(&format!("{PIPELINE}/1/")));
    Ok(parts.0.remove(&format!("{PIPELINE}/0/{}", cupola_nets::weights::WEIGHTS)).filter(|_| !has_others))
}

/// Reads the first bytes alone: a foreign file is refused before it is taken into memory.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let place = path.display().to_string();
    let failed = |source| Error::io(format!("open model file {place}"), source);
    let mut file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        let hint = "give the path of the model.cupola in it";
        return Err(Error::artifact(place, "a folder or a device", "a model file").with_hint(hint));
    }
    let mut bytes = Vec::new();
    file.by_ref().take(16).read_to_end(&mut bytes).map_err(failed)?;
    container::check_head(&place, &bytes)?;
    bytes.reserve_exact(about.len() as usize);
    file.take(about.len()).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::artifact;
    use super::*;
    use std::cell::Cell;

    #[test]
    fn replay_stops_when_its_time_is_over() {
        let now = Cell::new(0);
        let clock = || {
            now.set(now.get() + 90);
            Duration::from_millis(now.get())
        };
        let rows = |replay: Duration| artifact().replay_within(Opening { clock: &clock, replay }).unwrap().rows;
        assert_eq!((rows(Opening::REPLAY), rows(Duration::ZERO), rows(Duration::MAX)), (1 + 2 + 4, 1, 64));
    }
}
