//! What the names in recipes and model files stand for: the registries of the crates below, chained.

use crate::{Error, Result};
use cupola_task::{Fitted, Kind, Make, ModelDef, Needs, Parts, Schema, Task, nearest};

/// What other systems call models of ours, for "did you mean".
const FAMILIAR: &[(&str, &str)] = &[
    ("randomforest", "forest"),
    ("extratrees", "extra_trees"),
    ("decisiontree", "tree"),
    ("cart", "tree"),
    ("boost", "gbdt"),
    ("lightgbm", "gbdt"),
    ("lgbm", "gbdt"),
    ("xgb", "gbdt"),
    ("gbm", "gbdt"),
    ("logistic", "logistic"),
    ("logit", "logistic"),
    ("linear", "linear"),
    ("elasticnet", "elastic_net"),
    ("dummy", "baseline"),
    ("svc", "svm"),
    ("svr", "svm"),
    ("supportvector", "svm"),
    ("neighbor", "knn"),
    ("neighbour", "knn"),
    ("bayes", "naive_bayes"),
    ("gaussiannb", "naive_bayes"),
];

/// Models that are made of others.
const OWN: &[ModelDef] = &[crate::ensemble::MODEL];

/// All models.
pub fn models() -> impl Iterator<Item = &'static ModelDef> {
    cupola_classic::MODELS.iter().chain(cupola_nets::MODELS).chain(OWN)
}

/// The model of that name.
///
/// # Errors
/// When there is none, with the nearest name there is.
pub fn model(name: &str) -> Result<&'static ModelDef> {
    models().find(|model| model.name == name).ok_or_else(|| unknown(name))
}

/// Whether the model can look at what the schema's inputs hold: images are for models that take them, and those want some.
pub(crate) fn takes(def: &ModelDef, schema: &Schema) -> bool {
    let has_images = schema.inputs().any(|field| matches!(field.kind, Kind::Image { .. }));
    match def.needs {
        // Members of an ensemble look at tables.
        Needs::Nothing => !has_images || !matches!(def.make, Make::Members),
        Needs::Images(_) => has_images,
        Needs::Native | Needs::Dense | Needs::Embedded => !has_images,
    }
}

/// Refuses a model that cannot look at what the inputs hold.
///
/// # Errors
/// With the models that can.
pub(crate) fn check_inputs(def: &ModelDef, task: Task, schema: &Schema) -> Result<()> {
    if takes(def, schema) {
        return Ok(());
    }
    let able: Vec<&str> = models().filter(|model| model.tasks.contains(&task) && takes(model, schema)).map(|model| model.name).collect();
    let image = schema.inputs().find(|field| matches!(field.kind, Kind::Image { .. }));
    let (what, kind) = match image {
        Some(field) => (format!("to look at images (column {})", field.name), "images"),
        None => ("to learn from columns without an image".to_owned(), "such columns"),
    };
    let hint = Some(format!("models for {kind}: {}", able.join(", ")));
    Err(cupola_task::Error::Unsupported { what, by: format!("model {}", def.name), hint }.into())
}

fn unknown(name: &str) -> Error {
    let error = Error::recipe("models", format!("unknown model {name}"));
    let plain = name.to_lowercase().replace(['_', '-', ' '], "");
    let familiar = FAMILIAR.iter().find(|(known, _)| plain.contains(known)).map(|(_, name)| *name);
    let hint = match nearest(name, models().map(|model| model.name)).or(familiar) {
        Some(near) => format!("did you mean {near}?"),
        None => "`cupola models` lists them; a model file may need the cupola that wrote it, or a newer one".to_owned(),
    };
    error.with_hint(hint)
}

/// Opens the fitted preparation in a model file's parts.
pub(crate) fn open_preparation(parts: &Parts) -> Result<Box<dyn Fitted>> {
    match crate::ensemble::open_unprepared(parts) {
        Some(unprepared) => unprepared,
        None => Ok(Box::new(cupola_data::prepare::open(parts)?)),
    }
}
