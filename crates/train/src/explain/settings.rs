//! What can be asked of an explanation.

use super::contributions::Method;
use crate::gates::bound_of;
use crate::{Error, Result};
use cupola_task::{Range, Setting, Settings, Value};

/// The keys of `explain`.
pub const EXPLAIN: &[Setting] = &[
    Setting {
        name: "target",
        alias: &[],
        default: "\"\"",
        range: Range::Text,
        doc: "the target to explain; not needed where there is only one",
    },
    Setting {
        name: "class",
        alias: &[],
        default: "\"\"",
        range: Range::Text,
        doc: "the class whose probability is explained; default: the positive one of two, of more the one that is answered (most often)",
    },
    Setting {
        name: "row",
        alias: &[],
        default: "off",
        range: Range::Any(&[Range::Choice(&["off"]), Range::Integer { min: 1, max: i64::MAX }]),
        doc: "explain this row of the table (counted from 1): what made its answer, and what would change it",
    },
    Setting {
        name: "rows",
        alias: &["nsamples"],
        default: "1000",
        range: Range::Integer { min: 1, max: 1_000_000 },
        doc: "most rows that are looked at, evenly from all",
    },
    Setting {
        name: "columns",
        alias: &["features"],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "columns whose effect is drawn; default: the most important ones",
    },
    Setting {
        name: "top",
        alias: &["max_display"],
        default: "4",
        range: Range::Integer { min: 0, max: 100 },
        doc: "how many columns that is",
    },
    Setting {
        name: "method",
        alias: &["feature_perturbation", "algorithm"],
        default: "auto",
        range: Range::Choice(&["auto", "tree_path_dependent", "interventional", "permutation"]),
        doc: "how SHAP values are found: exactly against what training saw, exactly against background rows, or by sampling orders of the columns; \
              auto: the first that the model can",
    },
    Setting {
        name: "background",
        alias: &[],
        default: "100",
        range: Range::Integer { min: 1, max: 100_000 },
        doc: "rows that stand for an unknown value, evenly from the table (interventional, permutation)",
    },
    Setting {
        name: "n_repeats",
        alias: &["repeats"],
        default: "5",
        range: Range::Integer { min: 0, max: 1000 },
        doc: "how often a column is shuffled for permutation importance; 0: not at all",
    },
    Setting {
        name: "grid_resolution",
        alias: &[],
        default: "40",
        range: Range::Integer { min: 2, max: 1000 },
        doc: "places of a partial dependence curve",
    },
    Setting {
        name: "percentiles",
        alias: &[],
        default: "[0.05, 0.95]",
        range: Range::List(&Range::Real { min: 0.0, max: 1.0 }),
        doc: "where a partial dependence curve begins and ends, as shares of the column's values",
    },
    Setting {
        name: "ice",
        alias: &[],
        default: "40",
        range: Range::Integer { min: 0, max: 1000 },
        doc: "rows whose own curve is drawn beside the mean",
    },
    Setting {
        name: "grid_size",
        alias: &["bins"],
        default: "20",
        range: Range::Integer { min: 2, max: 1000 },
        doc: "intervals of an accumulated local effect",
    },
    Setting {
        name: "interactions",
        alias: &[],
        default: "6",
        range: Range::Integer { min: 0, max: 100 },
        doc: "pairs of the columns drawn whose interaction is measured (Friedman's H)",
    },
    Setting {
        name: "shap_interactions",
        alias: &["interaction_values"],
        default: "0",
        range: Range::Integer { min: 0, max: 1000 },
        doc: "pairs of all columns told of that add most together, by SHAP interaction values (exact, trees only)",
    },
    Setting {
        name: "counterfactuals",
        alias: &["total_CFs"],
        default: "3",
        range: Range::Integer { min: 0, max: 20 },
        doc: "how many ways to another answer are looked for, with a row",
    },
    Setting {
        name: "want",
        alias: &["desired_class"],
        default: "\"\"",
        range: Range::Text,
        doc: "the answer they are to lead to: a class, or for numbers \">= 30\" or \"<= 30\"; default: any other class",
    },
    Setting {
        name: "fixed",
        alias: &["immutable"],
        default: "[]",
        range: Range::List(&Range::Text),
        doc: "columns that cannot be changed",
    },
    Setting {
        name: "changes",
        alias: &["sparsity"],
        default: "3",
        range: Range::Integer { min: 1, max: 8 },
        doc: "most columns that one of them changes",
    },
    Setting {
        name: "seed",
        alias: &["random_state"],
        default: "7",
        range: Range::Integer { min: 0, max: i64::MAX },
        doc: "everything random is a function of it",
    },
];

/// A bound that a number is to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub at_least: bool,
    pub value: f64,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct ExplainPlan {
    pub(super) settings: Settings,
    /// What a row is changed to, by column.
    pub(super) set: Vec<(String, String)>,
}

impl ExplainPlan {
    /// Checks what was typed: the keys of [`EXPLAIN`], and `set.COLUMN` for what a row is changed to.
    ///
    /// # Errors
    /// An unknown key, a value out of range, what needs a row without one.
    pub fn parse(given: &[(String, Value)]) -> Result<ExplainPlan> {
        let (set, keys): (Vec<_>, Vec<_>) = given.iter().partition(|(key, _)| key.starts_with("set."));
        let settings = Settings::check("explain", EXPLAIN, keys.iter().map(|(key, value)| (key.as_str(), value)))?;
        let set = set.into_iter().map(|(key, value)| (key["set.".len()..].to_owned(), text_of(value))).collect::<Vec<_>>();
        let plan = ExplainPlan { settings, set };
        let percentiles = plan.percentiles();
        if percentiles.is_none() {
            return Err(Error::recipe("command line", "explain.percentiles: wanted two shares, the smaller first"));
        }
        let needs_row = ["want", "fixed", "changes", "counterfactuals"];
        let typed = keys.iter().find(|(key, _)| needs_row.contains(&key.as_str())).map(|(key, _)| key.as_str());
        let typed = typed.or((!plan.set.is_empty()).then_some("set"));
        match typed.filter(|_| plan.row().is_none()) {
            Some(key) => {
                Err(Error::recipe("command line", format!("{key} is about one row, and none is named")).with_hint("add row=1, say"))
            }
            None => Ok(plan),
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.settings.integer("seed").unsigned_abs()
    }

    /// The row that is explained, counted from 0.
    pub(super) fn row(&self) -> Option<usize> {
        self.settings.try_integer("row").map(|row| row as usize - 1)
    }

    pub(super) fn count(&self, name: &str) -> usize {
        self.settings.integer(name) as usize
    }

    pub(super) fn method(&self) -> Option<Method> {
        match self.settings.text("method") {
            "tree_path_dependent" => Some(Method::Training),
            "interventional" => Some(Method::Interventional),
            "permutation" => Some(Method::Permutation),
            _ => None,
        }
    }

    pub(super) fn percentiles(&self) -> Option<[f64; 2]> {
        let real = |value: &Value| match value {
            Value::Real(number) => *number,
            Value::Integer(number) => *number as f64,
            _ => f64::NAN,
        };
        match self.settings.list("percentiles") {
            [low, high] if real(low) < real(high) => Some([real(low), real(high)]),
            _ => None,
        }
    }

    /// The bound that an answer is to keep.
    pub(super) fn bound(&self) -> Result<Bound> {
        let want = self.settings.text("want").trim();
        match bound_of(want) {
            Some((at_least, value)) => Ok(Bound { at_least, value }),
            None => Err(Error::recipe("command line", format!("explain.want: found {want:?}, wanted \">= NUMBER\" or \"<= NUMBER\""))),
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}
