//! What the file says about itself, as JSON.

use super::exact;
use crate::postprocess::Postprocess;
use crate::{Error, Made, Result};
use cupola_data::Notation;
use cupola_task::{Field, Kind, Schema, Settings};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// Above this no JSON part is written or read: its values take some thirty times their text in memory.
const JSON_BYTES_MAX: usize = 16 << 20;

/// A measure on the test rows, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What was predicted.
    pub target: Arc<str>,
    /// The measure's name in the registry.
    pub name: String,
    /// Its value.
    #[serde(with = "exact")]
    pub value: f64,
    /// Low end of the interval.
    #[serde(with = "exact")]
    pub low: f64,
    /// High end of the interval.
    #[serde(with = "exact")]
    pub high: f64,
}

/// What the manifest says about the pipeline of one target. Its bytes are the parts under `pipeline/<number>/`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PipelineRecord {
    /// What it answers.
    pub target: Arc<str>,
    /// The model's name in the registry.
    pub model: String,
    /// The model's settings, all of them.
    pub settings: Settings,
    /// What is done to its answers.
    #[serde(default, skip_serializing_if = "Postprocess::is_none")]
    pub postprocess: Postprocess,
    /// What is said about the models of its bounds: two, or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<PipelineRecord>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) cupola: String,
    pub(super) raw: Schema,
    #[serde(default)]
    pub(super) notation: Notation,
    #[serde(default, skip_serializing_if = "Made::is_none")]
    pub(super) made: Made,
    pub(super) pipelines: Vec<PipelineRecord>,
    pub(super) scores: Vec<Score>,
    pub(super) extra: serde_json::Value,
    /// Two models of losses for each target that has any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) losses: Vec<PipelineRecord>,
    /// How answers are watched, where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) monitor: Option<Settings>,
}

impl Manifest {
    /// Checks what the rest of the program takes for granted about a schema and its targets.
    pub(super) fn check(&self, place: &str) -> Result<()> {
        check_schema(place, &self.raw)?;
        if !self.made.is_sound() {
            return Err(Error::artifact(
                format!("{place}: made"),
                "rows or labels that are not whole",
                "what this version of cupola writes",
            ));
        }
        let wanted: Vec<&str> = self.raw.targets().map(|(field, _)| &*field.name).collect();
        let found: Vec<&str> = self.pipelines.iter().map(|record| &*record.target).collect();
        if wanted.is_empty() || wanted != found {
            return Err(Error::artifact(
                format!("{place}: pipelines"),
                format!("targets {found:?}"),
                format!("one for each of {wanted:?}"),
            ));
        }
        Ok(())
    }
}

fn check_schema(place: &str, schema: &Schema) -> Result<()> {
    let mut names = HashSet::new();
    if let Some(name) = schema.names().find(|name| !names.insert(*name)) {
        return Err(Error::artifact(format!("{place}: schema"), format!("the column {name} twice"), "unique names"));
    }
    let repeats = |classes: &[Arc<str>]| classes.len() != classes.iter().collect::<HashSet<_>>().len();
    match schema.fields.iter().find(|field| field.kind.classes().is_some_and(|classes| repeats(classes))) {
        Some(field) => Err(Error::artifact(format!("{place}: column {}", field.name), "a class twice", "unique classes")),
        None => schema.fields.iter().try_for_each(|field| check_kind(place, field)),
    }
}

fn check_kind(place: &str, field: &Field) -> Result<()> {
    let wrong = |found: String, wanted: String| Err(Error::artifact(format!("{place}: column {}", field.name), found, wanted));
    match field.kind {
        Kind::Vector { width } if width > i32::MAX as usize => wrong("a vector too long".to_owned(), format!("at most {}", i32::MAX)),
        Kind::Image { channels, .. } if !matches!(channels, 1 | 3) => wrong(format!("images of {channels} channels"), "1 or 3".to_owned()),
        Kind::Image { size: Some([height, width]), .. } if height == 0 || width == 0 => {
            wrong("images without pixels".to_owned(), "a height and a width".to_owned())
        }
        _ => Ok(()),
    }
}

/// JSON bytes of a part, within the size that can be read back.
pub(crate) fn to_json(name: &str, value: &impl Serialize) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(value).map_err(|error| Error::artifact(name, error, "what JSON can hold"))?;
    check_size(name, bytes.len())?;
    Ok(bytes)
}

/// Reads a JSON part.
pub(crate) fn from_json<T: DeserializeOwned>(place: &str, bytes: &[u8]) -> Result<T> {
    check_size(place, bytes.len())?;
    serde_json::from_slice(bytes).map_err(|error| Error::artifact(place, error, "what this version of cupola writes"))
}

fn check_size(place: &str, bytes: usize) -> Result<()> {
    if bytes <= JSON_BYTES_MAX {
        return Ok(());
    }
    Err(Error::artifact(place, format!("{bytes} bytes"), format!("at most {JSON_BYTES_MAX}")))
}
