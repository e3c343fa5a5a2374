//! What the names in recipes and model files stand for: the registries of the crates below, chained.

use crate::{Error, Result};
use cupola_task::{Fitted, ModelDef, Parts, nearest};

/// All models.
pub fn models() -> impl Iterator<Item = &'static ModelDef> {
    cupola_classic::MODELS.iter()
}

/// The model of that name.
///
/// # Errors
/// When there is none, with the nearest name there is.
pub fn model(name: &str) -> Result<&'static ModelDef> {
    models().find(|model| model.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    let error = Error::recipe("models", format!("unknown model {name}"));
    let hint = match nearest(name, models().map(|model| model.name)) {
        Some(near) => format!("did you mean {near}?"),
        None => "`cupola models` lists them; a model file may need the cupola that wrote it, or a newer one".to_owned(),
    };
    error.with_hint(hint)
}

/// Opens the fitted preparation in a model file's parts.
pub(crate) fn open_preparation(parts: &Parts) -> Result<Box<dyn Fitted>> {
    Ok(Box::new(cupola_data::prepare::open(parts)?))
}
