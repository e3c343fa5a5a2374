//! A model as it is used: raw columns in, one answer per target out.

use super::container;
use super::golden::{self, Golden, GoldenAnswer, GoldenMode, Verified};
use super::manifest::{Manifest, PipelineRecord, Score, to_json};
use super::watched::Watched;
use crate::bounds::{range, with_range};
use crate::postprocess::Postprocess;
use crate::{Error, Made, Result};
use cupola_data::{Notation, Wanted};
use cupola_task::{Answer, Ask, Classes, Columns, Draw, Field, Fitted, ModelDef, Parts, Predictions, Predictor, Role, Schema, Settings};
use std::path::Path;
use std::sync::Arc;

/// Where the parts of pipelines are, and those of the models of losses.
pub(super) const PIPELINE: &str = "pipeline";
pub(super) const LOSSES: &str = "losses";
/// Where, among the parts of a pipeline, those of its bounds are.
pub(super) const BOUNDS: &str = "bounds";

/// What answers one target: a fitted preparation and a fitted model.
pub struct Pipeline {
    /// What it answers.
    pub target: Arc<str>,
    /// The model's entry in the registry.
    pub model: &'static ModelDef,
    /// The model's settings.
    pub settings: Settings,
    /// Makes raw columns ready for the model.
    pub fitted: Box<dyn Fitted>,
    /// Answers prepared columns.
    pub predictor: Box<dyn Predictor>,
    /// What is done to the answers before they are given.
    pub postprocess: Postprocess,
    /// Models of the lower and of the upper quantile of a number, where its intervals are made of such.
    pub bounds: Option<Box<[Pipeline; 2]>>,
}

/// What a model file is made of, beside golden rows.
pub struct Contents {
    /// All raw columns with their roles and the classes seen in training.
    pub raw: Schema,
    /// How dates and missing values are written.
    pub notation: Notation,
    /// What is made of columns before they have types.
    pub made: Made,
    /// One for each target of the schema, in its order.
    pub pipelines: Vec<Pipeline>,
    /// Measures on the test rows.
    pub scores: Vec<Score>,
    /// What the training data looked like, for drift checks. Nothing here may name a path, a time or a host.
    pub profile: serde_json::Value,
    /// What else the run wants to keep, under the same rule.
    pub extra: serde_json::Value,
    /// What its answers are watched with; none when there was nothing to compare them with later.
    pub watched: Option<Watched>,
}

/// A model that can be asked, saved and verified. It holds no path and no time: the same training gives the same bytes.
pub struct Artifact {
    pub(super) contents: Contents,
    pub(super) golden: Golden,
    pub(super) hash: String,
}

impl Artifact {
    /// A model from what training made. The first of `rows` (raw columns, as read or typed) become golden as `mode` says; `draw`
    /// shuffles them.
    ///
    /// # Errors
    /// When the pipelines do not match the schema's targets, a golden row cannot be answered or kept, or a part is too big.
    pub fn new(contents: Contents, rows: &Columns, mode: GoldenMode, draw: Draw) -> Result<Artifact> {
        let mut artifact = Artifact { contents, golden: Golden::default(), hash: String::new() };
        artifact.manifest().check("model")?;
        if mode != GoldenMode::Off {
            let inputs = golden::choose(&artifact.conform(rows, &|row| format!("golden row {}", row + 1))?, mode, draw);
            let answers = if inputs.rows() == 0 { vec![] } else { artifact.golden_answers(&inputs)? };
            artifact.golden = Golden { mode, inputs, answers };
        }
        artifact.hash = artifact.pack()?.1;
        Ok(artifact)
    }

    /// All raw columns with their roles and the classes seen in training.
    pub fn raw(&self) -> &Schema {
        &self.contents.raw
    }

    /// The pipelines, in the order of the schema's targets.
    pub fn pipelines(&self) -> &[Pipeline] {
        &self.contents.pipelines
    }

    /// A target's classes with the decision that this model answers by.
    pub(crate) fn classes(&self, target: &str, classes: &Arc<[Arc<str>]>) -> Classes {
        let pipeline = self.contents.pipelines.iter().find(|pipeline| &*pipeline.target == target);
        pipeline.map_or_else(|| classes.into(), |pipeline| pipeline.postprocess.decided(classes.into()))
    }

    /// Measures on the test rows.
    pub fn scores(&self) -> &[Score] {
        &self.contents.scores
    }

    /// How dates and missing values are written in rows to answer, as they were in the rows it learned from.
    pub fn notation(&self) -> &Notation {
        &self.contents.notation
    }

    /// What is made of columns before they have types, as it was in training.
    pub fn made(&self) -> &Made {
        &self.contents.made
    }

    /// What the training data looked like.
    pub fn profile(&self) -> &serde_json::Value {
        &self.contents.profile
    }

    /// What its answers are watched with.
    pub fn watched(&self) -> Option<&Watched> {
        self.contents.watched.as_ref()
    }

    /// Gives it what its answers are watched with.
    ///
    /// # Errors
    /// As [`Artifact::to_bytes`].
    pub fn watch(&mut self, watched: Watched) -> Result<()> {
        self.contents.watched = Some(watched);
        self.hash = self.pack()?.1;
        Ok(())
    }

    /// What else the run kept.
    pub fn extra(&self) -> &serde_json::Value {
        &self.contents.extra
    }

    /// The golden rows' typed raw inputs; no column when none are kept.
    pub fn golden(&self) -> &Columns {
        &self.golden.inputs
    }

    /// BLAKE3 of all that the file holds, in hexadecimal: the file's last 32 bytes.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Answers raw rows: one answer per target, in the schema's order. Columns may be typed or as read; those that are no inputs are not
    /// looked at.
    ///
    /// # Errors
    /// When an input is missing or holds something else than its kind, with column and row.
    pub fn predict(&self, raw: &Columns) -> Result<Predictions> {
        self.answer(&self.conform(raw, &|row| format!("row {}", row + 1))?)
    }

    /// The inputs among raw columns, typed as the schema says. `place` tells where a row stands.
    ///
    /// # Errors
    /// As [`Artifact::predict`].
    pub fn conform(&self, raw: &Columns, place: &(dyn Fn(usize) -> String + Sync)) -> Result<Columns> {
        let (raw, _) = self.contents.made.lagged(raw, &self.contents.notation, place)?;
        let inputs = raw.select(|name| self.contents.raw.field(name).is_none_or(|field| field.role == Role::Input));
        let conformed = cupola_data::conform(&inputs, &self.contents.raw, &self.contents.notation, place, Wanted::Inputs)?;
        Ok(conformed.columns)
    }

    /// The same for a table whose texts may name pictures by paths below `base`. No request may come here: who calls it lets the rows open
    /// files.
    ///
    /// # Errors
    /// As [`Artifact::conform`], and when a picture's path leads out of `base` or its file cannot be read.
    pub fn conform_files(&self, raw: &Columns, place: &(dyn Fn(usize) -> String + Sync), base: &Path) -> Result<Columns> {
        let (raw, _) = self.contents.made.lagged(raw, &self.contents.notation, place)?;
        let inputs = raw.select(|name| self.contents.raw.field(name).is_none_or(|field| field.role == Role::Input));
        let conformed = cupola_data::conform_files(&inputs, &self.contents.raw, &self.contents.notation, place, Wanted::Inputs, base)?;
        Ok(conformed.columns)
    }

    /// Answers rows whose columns come from [`Artifact::conform`].
    ///
    /// # Errors
    /// When a preparation or a model refuses the rows.
    pub fn answer(&self, inputs: &Columns) -> Result<Predictions> {
        let answers = self.contents.pipelines.iter().map(|pipeline| Ok((pipeline.target.clone(), pipeline.answer(inputs)?)));
        answers.collect::<Result<_>>().map(Predictions)
    }

    /// Asks all golden rows again.
    ///
    /// # Errors
    /// When an answer differs from the one in the file.
    pub fn verify(&self) -> Result<Verified> {
        let rows = self.golden.inputs.rows();
        let difference_max = if rows == 0 { 0.0 } else { self.replay(0..rows)? };
        Ok(Verified { rows, of: rows, difference_max })
    }

    /// The file's bytes. The same training gives the same bytes.
    ///
    /// # Errors
    /// When a part cannot be written or is too big to be read back.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.pack().map(|(bytes, _)| bytes)
    }

    /// Writes the file beside its place, flushes it and moves it there, so that a failure (a full disk) leaves the file that was there. Gives
    /// the model's [hash](Artifact::hash).
    ///
    /// # Errors
    /// As [`Artifact::to_bytes`], and when the operating system refuses.
    pub fn save(&self, path: &Path) -> Result<String> {
        let (bytes, hash) = self.pack()?;
        crate::runs::write_file(path, &bytes)?;
        Ok(hash)
    }

    pub(super) fn replay(&self, rows: std::ops::Range<usize>) -> Result<f64> {
        let numbers: Vec<u64> = rows.clone().map(|row| row as u64).collect();
        let found = self.answer(&self.golden.inputs.take(&numbers))?;
        let mut differences = self.contents.pipelines.iter().map(|pipeline| {
            let answer = found.get(&pipeline.target).expect("every pipeline has answered");
            self.golden.compare(&pipeline.target, rows.clone(), answer)
        });
        differences.try_fold(0.0, |largest, difference| Ok(f64::max(largest, difference?)))
    }

    fn golden_answers(&self, inputs: &Columns) -> Result<Vec<GoldenAnswer>> {
        let answers = self.answer(inputs)?.0.into_iter().zip(&self.contents.pipelines);
        Ok(answers.map(|((target, answer), pipeline)| GoldenAnswer { target, math: pipeline.model.math, answer }).collect())
    }

    fn manifest(&self) -> Manifest {
        let contents = &self.contents;
        Manifest {
            cupola: env!("CARGO_PKG_VERSION").to_owned(),
            raw: contents.raw.clone(),
            notation: contents.notation.clone(),
            made: contents.made.clone(),
            pipelines: contents.pipelines.iter().map(|pipeline| pipeline.record()).collect(),
            scores: contents.scores.clone(),
            extra: contents.extra.clone(),
            losses: contents.watched.iter().flat_map(Watched::pipelines).map(Pipeline::record).collect(),
            monitor: contents.watched.as_ref().map(|watched| watched.settings.clone()),
        }
    }

    fn pack(&self) -> Result<(Vec<u8>, String)> {
        let mut parts = Parts::default();
        let losses = self.contents.watched.iter().flat_map(Watched::pipelines);
        let numbered = self.contents.pipelines.iter().map(|pipeline| (PIPELINE, pipeline)).enumerate();
        for (number, (folder, pipeline)) in numbered.chain(losses.map(|pipeline| (LOSSES, pipeline)).enumerate()) {
            let mut own = Parts::default();
            pipeline.save(&mut own)?;
            parts.0.extend(own.0.into_iter().map(|(name, part)| (format!("{folder}/{number}/{name}"), part)));
        }
        if let Some(watched) = &self.contents.watched {
            parts.0.insert("reference.json".to_owned(), to_json("reference", &*watched.reference)?);
        }
        for (name, json) in [
            ("golden.json", to_json("golden rows", &self.golden.record()?)?),
            ("manifest.json", to_json("manifest", &self.manifest())?),
            ("profile.json", to_json("profile", &self.contents.profile)?),
        ] {
            parts.0.insert(name.to_owned(), json);
        }
        container::pack(&parts)
    }
}

impl Pipeline {
    /// The target with the classes that training saw.
    ///
    /// # Errors
    /// When the preparation does not know it.
    pub(crate) fn field(&self) -> Result<&Field> {
        let lost = || Error::Data(format!("the preparation lost target {}", self.target), None);
        self.fitted.raw().field(&self.target).ok_or_else(lost)
    }

    pub(crate) fn answer(&self, inputs: &Columns) -> Result<Answer> {
        Ok(self.postprocess.apply(self.raw_answer(inputs)?))
    }

    /// What the model says, before anything is done to it.
    pub(crate) fn raw_answer(&self, inputs: &Columns) -> Result<Answer> {
        let (prepared, trail) = self.fitted.apply(inputs)?;
        let answers = self.fitted.restore(self.predictor.predict(&prepared, &Ask::default())?, &trail)?;
        let wrong = |found: String| {
            Error::artifact(format!("answers of {}", self.target), found, format!("one for each of {} rows", inputs.rows()))
        };
        match answers.0.into_iter().find(|(target, _)| *target == self.target) {
            Some((_, answer)) if answer.len() == inputs.rows() => match &self.bounds {
                Some(bounds) => Ok(with_range(answer, range(bounds, inputs)?)),
                None => Ok(answer),
            },
            Some((_, answer)) => Err(wrong(format!("{} answers", answer.len()))),
            None => Err(wrong("no answer".to_owned())),
        }
    }

    fn record(&self) -> PipelineRecord {
        PipelineRecord {
            target: self.target.clone(),
            model: self.model.name.to_owned(),
            settings: self.settings.clone(),
            postprocess: self.postprocess.clone(),
            bounds: self.bounds.iter().flat_map(|bounds| bounds.iter()).map(Pipeline::record).collect(),
        }
    }

    fn save(&self, parts: &mut Parts) -> Result<()> {
        self.fitted.save(parts)?;
        self.predictor.save(parts)?;
        for (number, bound) in self.bounds.iter().flat_map(|bounds| bounds.iter()).enumerate() {
            let mut own = Parts::default();
            bound.save(&mut own)?;
            parts.0.extend(own.0.into_iter().map(|(name, part)| (format!("{BOUNDS}/{number}/{name}"), part)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{CATALOG, artifact, contents, rows};
    use super::super::open::{Opening, decode};
    use super::*;
    use std::time::Duration;

    const STILL: Opening<'static> = Opening { clock: &|| Duration::ZERO, replay: Opening::REPLAY };

    #[test]
    fn decode_gives_back_what_to_bytes_wrote() {
        let artifact = artifact();
        let bytes = artifact.to_bytes().unwrap();
        let back = decode("m", &bytes, STILL, &CATALOG).unwrap();
        assert_eq!((back.to_bytes().unwrap() == bytes, back.hash()), (true, artifact.hash()));
        assert_eq!(back.predict(&rows(9)).unwrap(), artifact.predict(&rows(9)).unwrap());
        assert_eq!(back.verify().unwrap(), Verified { rows: 64, of: 64, difference_max: 0.0 });
        assert!(back.scores()[0].high.is_nan() && back.profile()["rows"] == 100);
    }

    #[test]
    fn save_gives_the_hash_and_open_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.cupola");
        assert_eq!(artifact().save(&path).unwrap(), artifact().hash());
        assert_eq!(std::fs::read(&path).unwrap(), artifact().to_bytes().unwrap());
        assert!(Artifact::open(folder.path(), STILL).is_err_and(|error| error.to_string().contains("a folder")));
    }

    #[test]
    fn predict_names_the_missing_column() {
        let columns = rows(2).into_iter().map(|(name, column)| (if &*name == "colour" { "color".into() } else { name }, column)).collect();
        let error = artifact().predict(&Columns::new(columns)).unwrap_err();
        assert_eq!(error.to_string(), "columns: found no column colour, wanted a column colour (category)");
        assert_eq!(cupola_task::Fault::hint(&error).as_deref(), Some("is color the one? rename it to colour"));
    }

    #[test]
    fn a_changed_model_is_refused() {
        let mut changed = contents();
        let mut parts = Parts::default();
        parts.0.insert("model/weight".into(), 0.51f64.to_le_bytes().to_vec());
        let pipeline = &mut changed.pipelines[0];
        pipeline.predictor = (pipeline.model.open)(&parts, &changed.raw, cupola_task::Where::Cpu).unwrap();
        let lying = Artifact { contents: changed, golden: artifact().golden, hash: String::new() };
        let error = decode("m", &lying.to_bytes().unwrap(), STILL, &CATALOG).err().unwrap();
        assert!(error.to_string().starts_with("golden rows 0..1 of y: found"), "{error}");
        assert!(lying.verify().is_err());
    }

    #[test]
    fn golden_rows_can_be_left_out() {
        let artifact = Artifact::new(contents(), &rows(3), GoldenMode::Off, Draw::new(1)).unwrap();
        let back = decode("m", &artifact.to_bytes().unwrap(), STILL, &CATALOG).unwrap();
        assert_eq!((back.golden().len(), back.verify().unwrap().of), (0, 0));
    }
}
