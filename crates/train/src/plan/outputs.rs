//! What a recipe says about single targets: `[outputs.NAME]`.

use super::{Choice, choice, column_type, columns, filled, located, plain, settings};
use crate::postprocess::{self, Costs, DecisionPlan};
use crate::recipe::Recipe;
use crate::{Error, Result};
use cupola_data::ColumnType;
use cupola_data::labels::ListForm;
use cupola_data::prepare::Spelling;
use cupola_task::{Settings, Value};
use std::collections::BTreeMap;

/// What is said about one target.
#[derive(Clone)]
pub struct OutputPlan {
    /// Its type, when said.
    pub column_type: Option<ColumnType>,
    /// The class that counts as positive, when said.
    pub positive: Option<String>,
    /// A model of its own, when said.
    pub model: Option<Choice>,
    /// What is done to the answers.
    pub decision: DecisionPlan,
    /// What is said about cells that list labels.
    pub labels: LabelsPlan,
    /// Which spellings of a class are one, when said.
    pub spelling: Option<Spelling>,
}

impl OutputPlan {
    /// Nothing but what is to be done to answers.
    pub(crate) fn unsaid(decision: &DecisionPlan) -> OutputPlan {
        OutputPlan {
            column_type: None,
            positive: None,
            model: None,
            decision: decision.clone(),
            labels: LabelsPlan::default(),
            spelling: None,
        }
    }
}

/// What is said about a target whose cells list labels.
#[derive(Clone, Debug)]
pub struct LabelsPlan {
    /// Whether it is said that they do.
    pub is_said: bool,
    /// How, when that is said.
    pub form: Option<ListForm>,
    /// How many training rows a label must have to be learned.
    pub rows_min: u64,
    /// How many labels are learned at most.
    pub labels_max: usize,
}

impl Default for LabelsPlan {
    fn default() -> LabelsPlan {
        LabelsPlan { is_said: false, form: None, rows_min: 5, labels_max: 100 }
    }
}

impl LabelsPlan {
    fn from_settings(output: &Settings) -> LabelsPlan {
        let form = Some(output.text("separator")).filter(|word| *word != "auto").map(ListForm::open);
        LabelsPlan {
            is_said: form.is_some() || output.text("type") == LABELS,
            form,
            rows_min: output.integer("min_rows").unsigned_abs(),
            labels_max: output.integer("max_labels").unsigned_abs() as usize,
        }
    }
}

/// The type of a target whose cells list labels.
pub(crate) const LABELS: &str = "labels";

pub(super) fn outputs(recipe: &Recipe, targets: &[String]) -> Result<BTreeMap<String, OutputPlan>> {
    let mut plans = BTreeMap::new();
    for column in columns(recipe, "outputs") {
        let own = settings(recipe, &["outputs", column])?;
        let positive = filled(&plain(own.value("positive")));
        // What is said about a list holds for its labels where nothing else is said about them.
        let list = targets.iter().find(|list| column.strip_prefix(list.as_str()).is_some_and(|rest| rest.starts_with(':')));
        let list = list.map(String::as_str);
        let costs = match (costs(recipe, column, &own)?, list) {
            (None, Some(list)) => costs(recipe, list, &settings(recipe, &["outputs", list])?)?,
            (own, _) => own,
        };
        let decision = DecisionPlan { costs, ..DecisionPlan::from_settings(&decision(recipe, column, list)?) };
        let said = |column: &str| recipe.table(&["outputs", column, "model"]).next().is_some();
        let model = [Some(column), list].into_iter().flatten().find(|column| said(column));
        let model = model.map(|column| choice(recipe, &["outputs", column, "model"])).transpose()?;
        let settings = own;
        let (labels, spelling) = (LabelsPlan::from_settings(&settings), Spelling::open(settings.text("categories")));
        plans.insert(column.to_owned(), OutputPlan { column_type: column_type(&settings), positive, model, decision, labels, spelling });
    }
    Ok(plans)
}

/// The `[decision]` keys of a target: its own before those of all.
fn decision(recipe: &Recipe, column: &str, list: Option<&str>) -> Result<Settings> {
    let table = ["outputs", column];
    let is_decision = |name: &str| postprocess::DECISION.iter().any(|setting| setting.name == name || setting.alias.contains(&name));
    let list = ["outputs", list.unwrap_or_default()];
    let said = recipe.table(&table).chain(recipe.table(&list)).filter(|(name, _)| is_decision(name));
    let mut own: Vec<(&str, &Value)> = Vec::new();
    for (name, entry) in said {
        if own.iter().all(|(known, _)| *known != name) {
            own.push((name, &entry.value));
        }
    }
    let all = recipe.table(&["decision"]).filter(|(name, _)| own.iter().all(|(known, _)| known != name));
    let given: Vec<(&str, &Value)> = all.map(|(name, entry)| (name, &entry.value)).chain(own.iter().copied()).collect();
    Settings::check(&table.join("."), postprocess::DECISION, given).map_err(|error| located(recipe, &table, error))
}

/// What answers cost: a matrix, or numbers by the names of classes.
fn costs(recipe: &Recipe, column: &str, settings: &Settings) -> Result<Option<Costs>> {
    let table: Vec<&str> = vec!["outputs", column, "costs"];
    let named = recipe.iter().filter(|(path, _)| path.len() == 5 && path[..3].iter().map(String::as_str).eq(table.iter().copied()));
    let pairs = named.map(|(path, entry)| match &entry.value {
        Value::Integer(cost) => Ok((path[3].clone(), path[4].clone(), *cost as f64)),
        Value::Real(cost) if cost.is_finite() => Ok((path[3].clone(), path[4].clone(), *cost)),
        other => Err(Error::recipe(&entry.place, format!("{}: found {other}, wanted a number", path.join(".")))),
    });
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    let number = |value: &Value| match value {
        Value::Integer(cost) => *cost as f64,
        Value::Real(cost) => *cost,
        _ => f64::NAN,
    };
    let lines = settings.list("costs").iter().map(|line| match line {
        Value::List(costs) => costs.iter().map(number).collect(),
        single => vec![number(single)],
    });
    let lines: Vec<Vec<f64>> = lines.collect();
    Ok(match (lines.is_empty(), pairs.is_empty()) {
        (true, true) => None,
        (false, _) => Some(Costs::Matrix(lines)),
        (true, false) => Some(Costs::Named(pairs)),
    })
}
