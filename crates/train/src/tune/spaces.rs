//! What is searched when the recipe does not say: for each model the settings that its quality hangs on, in ranges wide enough for tables
//! of a hundred to a million rows. LightGBM's are those of Optuna's and FLAML's tuners, narrowed to what early stopping leaves open.

use crate::models::takes;
use crate::{Error, Result};
use cupola_task::{Schema, Task, Value};

/// For each model keys and domains. `MODEL.` before a setting is left out; keys of other tables are written in full.
const SPACES: &[(&str, &[(&str, &str)])] = &[
    (
        "gbdt",
        &[
            ("learning_rate", "log 0.01..0.3"),
            ("num_leaves", "int log 4..256"),
            ("min_data_in_leaf", "int log 2..128"),
            ("feature_fraction", "0.4..1"),
            ("bagging_fraction", "0.5..1"),
            ("lambda_l2", "log 1e-3..100"),
            // Early stopping settles how many of them are kept.
            ("n_estimators", "choice 1000"),
        ],
    ),
    ("forest", &[("max_features", "0.1..1"), ("min_samples_leaf", "int log 1..32"), ("n_estimators", "choice 300")]),
    ("extra_trees", &[("max_features", "0.1..1"), ("min_samples_leaf", "int log 1..32"), ("n_estimators", "choice 300")]),
    ("tree", &[("max_depth", "int 2..20"), ("min_samples_leaf", "int log 1..128"), ("max_features", "0.3..1")]),
    ("ridge", &[("alpha", "log 1e-3..1e4")]),
    ("lasso", &[("alpha", "log 1e-4..100")]),
    ("elastic_net", &[("alpha", "log 1e-4..100"), ("l1_ratio", "0.05..1")]),
    ("logistic", &[("C", "log 1e-4..1e3")]),
    ("svm", &[("C", "log 1e-2..1e3"), ("gamma", "log 1e-4..10")]),
    ("knn", &[("n_neighbors", "int log 1..64"), ("weights", "choice uniform, distance")]),
    ("naive_bayes", &[("var_smoothing", "log 1e-12..1")]),
    (
        "mlp",
        &[
            ("train.lr", "log 1e-4..1e-2"),
            ("train.weight_decay", "log 1e-5..0.3"),
            ("dropout", "0..0.5"),
            ("hidden", "choice [128], [256, 128], [512, 256], [256, 256, 128]"),
            ("activation", "choice relu, gelu, silu"),
        ],
    ),
];

/// Models that are left out when the model itself is searched: one fit of a network, or of kernels over many rows, takes as long as all trials
/// of the others.
const SLOW: &[&str] = &["mlp", "svm"];

fn of_model(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    SPACES.iter().find(|(model, _)| *model == name).map(|(_, space)| *space)
}

/// The space of a named model, or of all that suit.
///
/// # Errors
/// When the model has nothing to search.
pub(crate) fn default_space(model: Option<&str>, task: Task, schema: &Schema) -> Result<Vec<(String, Value, String)>> {
    let place = "the model's own search space";
    let parameter = |model: &str, name: &str, domain: &str| {
        let name = if name.contains('.') { name.to_owned() } else { format!("{model}.{name}") };
        (name, Value::Text(domain.to_owned()), place.to_owned())
    };
    let parameters = |model: &'static str| of_model(model).into_iter().flatten().map(move |(name, domain)| parameter(model, name, domain));
    if let Some(model) = model {
        let Some((known, _)) = SPACES.iter().find(|(name, _)| *name == model) else {
            let error = Error::recipe("recipe", format!("model {model} has no search space of its own"));
            return Err(error.with_hint("name what to search: tune.search.model.SETTING=\"log 1e-3..1e3\""));
        };
        return Ok(parameters(known).collect());
    }
    let able: Vec<&'static str> = crate::models()
        .filter(|def| def.tasks.contains(&task) && takes(def, schema) && !SLOW.contains(&def.name) && of_model(def.name).is_some())
        .map(|def| def.name)
        .collect();
    if able.is_empty() {
        return Err(Error::recipe("recipe", "no model with a search space of its own looks at such inputs")
            .with_hint("name a model and what to search: tune.search.train.lr=\"log 1e-4..1e-2\""));
    }
    let names = able.iter().map(|name| Value::Text((*name).to_owned())).collect();
    Ok(std::iter::once(("model".to_owned(), Value::List(names), place.to_owned())).chain(able.into_iter().flat_map(parameters)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::space::Space;
    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn every_space_suits_its_model() {
        for (model, parameters) in SPACES {
            let mut recipe = Recipe::parse("r.toml", "data.train = 'x.csv'\ntarget = 'y'\n").unwrap();
            recipe.argue(&format!("model={model}")).unwrap();
            let said = default_space(Some(model), Task::Classify, &Schema::default()).unwrap();
            let space = Space::read(&recipe, &said).unwrap_or_else(|error| panic!("{model}: {error}"));
            assert_eq!(space.parameters.len(), parameters.len());
        }
        for task in [Task::Classify, Task::Regress] {
            let recipe = Recipe::parse("r.toml", "data.train = 'x.csv'\ntarget = 'y'\n").unwrap();
            let said = default_space(None, task, &Schema::default()).unwrap();
            let space = Space::read(&recipe, &said).unwrap();
            assert!(space.groups().len() > 4, "each model's settings depend on the model");
        }
    }
}
