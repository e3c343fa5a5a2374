//! What may help against what was found, as changes of the recipe.

use crate::postprocess::{Calibrate, DecisionPlan, ThresholdBy};
use crate::report::{Report, TargetReport, Topic, Verdict};
use cupola_task::{ModelDef, Settings, Task, Value};

/// A change to try.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// What it is, in words.
    pub name: String,
    /// What it is against.
    pub against: &'static str,
    /// Recipe keys and values.
    pub patch: Vec<(Vec<String>, Value)>,
    /// The measure that is to gain.
    pub measure: String,
    /// What is done to answers alone, for which nothing has to be learned again.
    pub decision: Option<DecisionPlan>,
    /// The column that is suspected to give the answer away, where it is left out.
    pub suspected: Option<String>,
}

/// Settings that make a model simpler, and by what they are multiplied for that.
const SIMPLER: &[(&str, f64)] =
    &[("num_leaves", 0.5), ("min_data_in_leaf", 4.0), ("min_samples_leaf", 4.0), ("C", 0.1), ("alpha", 10.0), ("learning_rate", 0.5)];
/// A column's importance counts as nothing when its best guess is below this share of the largest.
const WEAK_SHARE: f64 = 0.01;

/// Columns that say nothing: shuffling them costs nothing that could be told from 0.
pub(super) fn weak(target: &TargetReport) -> Vec<String> {
    let Some(permutation) = &target.permutation else { return vec![] };
    let largest = permutation.columns.iter().map(|column| column.drop.value).fold(0.0, f64::max);
    let is_weak = |drop: f64, low: f64| low <= 0.0 && drop <= WEAK_SHARE * largest;
    permutation.columns.iter().filter(|column| is_weak(column.drop.value, column.drop.low)).map(|column| column.column.clone()).collect()
}

/// Changes to try, the likeliest to help first.
pub(super) fn changes(report: &Report, target: &TargetReport, verdict: &Verdict, def: &ModelDef, settings: &Settings) -> Vec<Change> {
    let has = |topic: Topic| verdict.remarks.iter().any(|remark| remark.topic == topic && remark.level >= crate::report::Level::Note);
    let main = target.main.clone();
    let mut changes = Vec::new();
    if has(Topic::Perfect) {
        changes.extend(without_strongest(target));
    }
    if has(Topic::Imbalance) {
        changes.extend(balanced(report, target));
    }
    let (simpler, stronger) = (has(Topic::Overfit), has(Topic::Underfit));
    let own = SIMPLER.iter().filter(|(name, _)| def.settings.iter().any(|setting| setting.name == *name));
    for (name, factor) in own {
        if simpler || !stronger {
            let against = if simpler { "overfitting" } else { "a model that may be too large" };
            changes.extend(scaled(def, settings, name, *factor, against, &main));
        }
        if stronger {
            changes.extend(scaled(def, settings, name, 1.0 / factor, "underfitting", &main));
        }
    }
    changes.extend(dropped(report, target));
    if target.task == Task::Classify {
        let decision = DecisionPlan { calibrate: Calibrate::Auto, ..DecisionPlan::default() };
        changes.push(Change {
            name: "calibrate probabilities".into(),
            against: "probabilities that are off",
            patch: vec![(path(&["decision", "calibrate"]), Value::Text("auto".into()))],
            measure: "log_loss".into(),
            decision: Some(decision),
            suspected: None,
        });
    }
    changes
}

fn path(segments: &[&str]) -> Vec<String> {
    segments.iter().map(|&segment| segment.to_owned()).collect()
}

/// The column that says most, left out: if that costs little, nothing leaked.
fn without_strongest(target: &TargetReport) -> Option<Change> {
    let columns = &target.permutation.as_ref()?.columns;
    let column = columns.first().filter(|_| columns.len() > 1)?.column.clone();
    Some(Change {
        name: format!("without {column}, the column that says most"),
        against: "scores too good to be true",
        patch: vec![(path(&["ignore"]), Value::List(vec![Value::Text(column.clone())]))],
        measure: target.main.clone(),
        decision: None,
        suspected: Some(column),
    })
}

fn balanced(report: &Report, target: &TargetReport) -> Vec<Change> {
    let is_weighed = |value: &str| matches!(value.trim_matches('"'), "weights" | "balanced");
    let mut changes = Vec::new();
    if !report.settings.iter().any(|setting| setting.key == "data.clean.balance" && is_weighed(&setting.value)) {
        changes.push(Change {
            name: "weigh classes alike".into(),
            against: "imbalance",
            patch: vec![(path(&["data", "clean", "balance"]), Value::Text("weights".into()))],
            measure: "balanced_accuracy".into(),
            decision: None,
            suspected: None,
        });
    }
    if target.classes.len() == 2 {
        for (word, by, measure) in [("best_f1", ThresholdBy::BestF1, "f1"), ("balanced", ThresholdBy::Balanced, "balanced_accuracy")] {
            changes.push(Change {
                name: format!("move the threshold to the best {}", measure.replace('_', " ")),
                against: "imbalance",
                patch: vec![(path(&["decision", "threshold"]), Value::Text(word.into()))],
                measure: measure.into(),
                decision: Some(DecisionPlan { threshold: by, ..DecisionPlan::default() }),
                suspected: None,
            });
        }
    }
    changes
}

/// A setting times a factor; a smaller learning rate gets more rounds.
fn scaled(def: &ModelDef, settings: &Settings, name: &str, factor: f64, against: &'static str, measure: &str) -> Option<Change> {
    let setting = def.settings.iter().find(|setting| setting.name == name)?;
    let times = |name: &str, factor: f64| match settings.value(name) {
        Value::Integer(number) => Some(Value::Integer(((*number as f64 * factor).round() as i64).max(1))),
        Value::Real(number) => Some(Value::Real(number * factor)),
        _ => None,
    };
    let value = setting.range.admit(&times(name, factor)?).filter(|value| value != settings.value(name))?;
    let mut patch = vec![(path(&["model", name]), value.clone())];
    let has_rounds = name == "learning_rate" && def.settings.iter().any(|setting| setting.name == "n_estimators");
    if has_rounds {
        patch.push((path(&["model", "n_estimators"]), times("n_estimators", 1.0 / factor)?));
    }
    let name = format!("{name} {value} in place of {}", settings.value(name));
    Some(Change { name, against, patch, measure: measure.to_owned(), decision: None, suspected: None })
}

fn dropped(report: &Report, target: &TargetReport) -> Option<Change> {
    let weak = weak(target);
    let inputs = report.data.columns.iter().filter(|column| column.role == "input").count();
    if weak.is_empty() || weak.len() >= inputs {
        return None;
    }
    let named: Vec<&str> = weak.iter().take(3).map(String::as_str).collect();
    let more = if weak.len() > 3 { format!(" and {} more", weak.len() - 3) } else { String::new() };
    Some(Change {
        name: format!("without {}{more}", named.join(", ")),
        against: "columns that say nothing",
        patch: vec![(path(&["ignore"]), Value::List(weak.iter().cloned().map(Value::Text).collect()))],
        measure: target.main.clone(),
        decision: None,
        suspected: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Origin, SettingSource};

    #[test]
    fn classes_that_are_weighed_already_are_not_weighed_again() {
        let target = TargetReport::new("y", Task::Classify);
        let named = |balance: &str| {
            let value = Value::Text(balance.into()).to_string();
            let setting = SettingSource { key: "data.clean.balance".into(), value, origin: Origin::Flag, reason: None };
            let report = Report { settings: vec![setting], ..Report::default() };
            balanced(&report, &target).into_iter().map(|change| change.name).collect::<Vec<_>>()
        };
        let none: [String; 0] = [];
        assert_eq!((named("weights"), named("balanced")), (none.to_vec(), none.to_vec()));
        assert_eq!(named("smote"), ["weigh classes alike"]);
    }
}
