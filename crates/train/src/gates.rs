//! `[gates]`: bounds that measures must keep, and whether they do.

use crate::plan::metric;
use crate::recipe::{Entry, Recipe};
use crate::report::{Better, GateResult, Measure, TargetReport};
use crate::{Artifact, Error, Result};
use cupola_task::{Columns, Key, Schema, Value, nearest};
use std::time::Duration;

/// What a gate looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum GateOn {
    /// A measure on all rows.
    Measure(&'static str),
    /// A measure on the worst of the slices that stand out; on all rows when none does.
    WorstSlice(&'static str),
    /// A gap between the groups of a sensitive column.
    Group {
        /// The column.
        column: String,
        /// The gap's name, as `equalized_odds_difference`.
        gap: String,
    },
    /// How often intervals or sets hold the truth.
    Coverage,
    /// The time in which 99 of 100 single rows are answered, in milliseconds.
    Latency,
}

/// A bound that something measured must keep.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityGate {
    /// What it looks at.
    pub on: GateOn,
    /// Whether the bound is a lower one.
    pub at_least: bool,
    /// The bound.
    pub bound: f64,
}

/// Single rows that are timed.
const ROWS_TIMED: usize = 300;
/// Short names of gaps.
const SHORT: [&str; 3] = ["demographic_parity", "equal_opportunity", "equalized_odds"];

/// The gates of a recipe.
///
/// # Errors
/// The first that is none.
pub(crate) fn gates(recipe: &Recipe) -> Result<Vec<QualityGate>> {
    let own = recipe.iter().filter(|(path, _)| path.len() > 1 && path[0] == "gates");
    own.map(|(path, entry)| gate(&path[1..].join("."), entry)).collect()
}

fn gate(name: &str, entry: &Entry) -> Result<QualityGate> {
    let text = match &entry.value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    };
    let wrong = || Error::recipe(&entry.place, format!("gates.{name}: found {text:?}, wanted \">= NUMBER\" or \"<= NUMBER\""));
    let (at_least, bound) = bound_of(&text).ok_or_else(wrong)?;
    Ok(QualityGate { on: subject(name, entry)?, at_least, bound })
}

/// Whether `>= NUMBER` or `<= NUMBER` is a lower bound, and the number; none for other texts.
pub(crate) fn bound_of(text: &str) -> Option<(bool, f64)> {
    let (at_least, bound) = match (text.strip_prefix(">="), text.strip_prefix("<=")) {
        (Some(bound), _) => (true, bound),
        (_, bound) => (false, bound?),
    };
    let bound = bound.trim().parse::<f64>().ok().filter(|bound| bound.is_finite())?;
    Some((at_least, bound))
}

fn subject(name: &str, entry: &Entry) -> Result<GateOn> {
    if let Some(measure) = name.strip_prefix("slice.worst.") {
        return Ok(GateOn::WorstSlice(metric(&entry.place, measure)?.name));
    }
    if let Some((column, gap)) = name.strip_prefix("group.").and_then(|rest| rest.rsplit_once('.')) {
        let gap = if SHORT.contains(&gap) { format!("{gap}_difference") } else { gap.to_owned() };
        if cupola_metrics::group_measures().any(|known| known == gap) {
            return Ok(GateOn::Group { column: column.to_owned(), gap });
        }
        let known: Vec<String> = cupola_metrics::group_measures().collect();
        let error = Error::recipe(&entry.place, format!("gates.{name}: unknown gap {gap}"));
        return Err(match nearest(&gap, known.iter().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint(format!("one of {}, or MEASURE_difference, MEASURE_ratio", SHORT.join(", "))),
        });
    }
    match name {
        "coverage" => Ok(GateOn::Coverage),
        "p99_ms" => Ok(GateOn::Latency),
        name => Ok(GateOn::Measure(metric(&entry.place, name)?.name)),
    }
}

impl QualityGate {
    /// The measure that has to be taken for it.
    pub fn measure(&self) -> Option<&'static str> {
        match self.on {
            GateOn::Measure(name) | GateOn::WorstSlice(name) => Some(name),
            GateOn::Group { .. } | GateOn::Coverage | GateOn::Latency => None,
        }
    }

    /// As the recipe writes it.
    pub fn key(&self) -> String {
        match &self.on {
            GateOn::Measure(name) => (*name).to_owned(),
            GateOn::WorstSlice(name) => format!("slice.worst.{name}"),
            GateOn::Group { column, gap } => format!("group.{column}.{gap}"),
            GateOn::Coverage => "coverage".to_owned(),
            GateOn::Latency => "p99_ms".to_owned(),
        }
    }

    fn result(&self, target: &str, measured: Measure, of: String) -> GateResult {
        let holds = match self.at_least {
            true => measured.value >= self.bound,
            false => measured.value <= self.bound,
        };
        let wanted = format!("{} {}", if self.at_least { ">=" } else { "<=" }, self.bound);
        let is_clear = !measured.has_interval() || !(measured.low..=measured.high).contains(&self.bound);
        GateResult { key: self.key(), target: target.to_owned(), measured, of, wanted, holds, is_clear }
    }
}

/// Every group gate names a sensitive column.
///
/// # Errors
/// The first that does not.
pub(crate) fn check_columns(schema: &Schema, gates: &[QualityGate]) -> Result<()> {
    for gate in gates {
        let GateOn::Group { column, .. } = &gate.on else { continue };
        if schema.keys(Key::Sensitive).all(|field| *field.name != **column) {
            let error =
                Error::recipe("recipe", format!("gates.{}: column {column} is not sensitive, so its groups are not compared", gate.key()));
            return Err(error.with_hint(format!("sensitive=[{column}] when the model is trained")));
        }
    }
    Ok(())
}

/// Whether each gate holds, for each target that it is about. `latency_ms` is there when a gate asks for it.
pub(crate) fn judge(gates: &[QualityGate], targets: &[&TargetReport], latency_ms: Option<f64>) -> Vec<GateResult> {
    let mut results = Vec::new();
    for gate in gates {
        let before = results.len();
        if let (GateOn::Latency, Some(milliseconds)) = (&gate.on, latency_ms) {
            results.push(gate.result("", Measure::exact(milliseconds), format!("99 of 100 of {ROWS_TIMED} single rows")));
            continue;
        }
        for target in targets {
            if let Some((measured, of)) = measured(&gate.on, target) {
                results.push(gate.result(&target.name, measured, of));
            }
        }
        if results.len() == before {
            results.push(gate.result("", Measure::undefined(), "not measured".to_owned()));
        }
    }
    results
}

/// What was measured of a target, and on what.
fn measured(on: &GateOn, target: &TargetReport) -> Option<(Measure, String)> {
    match on {
        GateOn::Measure(name) => Some((target.score(name)?.test, String::new())),
        GateOn::WorstSlice(name) => {
            let whole = target.score(name)?;
            let slices = target.slices.as_ref()?.slices.iter().filter_map(|slice| Some((slice.measure(name)?, slice.phrase())));
            let badness = |measure: &Measure| if whole.better == Better::Higher { -measure.value } else { measure.value };
            let worst = slices.filter(|(measure, _)| measure.is_defined()).max_by(|a, b| badness(&a.0).total_cmp(&badness(&b.0)));
            Some(worst.unwrap_or_else(|| (whole.test, "all rows, for no slice stands out".to_owned())))
        }
        GateOn::Group { column, gap } => {
            let groups = target.groups.iter().find(|groups| groups.columns == [column.clone()])?;
            let found = groups.gaps.iter().find(|known| known.name == *gap)?;
            Some((found.measure, format!("{} groups", groups.groups.len())))
        }
        GateOn::Coverage => {
            let coverage = target.postprocessing.as_ref()?.coverage.as_ref()?;
            Some((coverage.share, format!("promised {}", coverage.promised)))
        }
        GateOn::Latency => None,
    }
}

/// The time in which 99 of 100 single rows are answered, from raw columns on, in milliseconds.
///
/// # Errors
/// When a row is not answered.
pub(crate) fn latency_ms(artifact: &Artifact, inputs: &Columns, clock: &dyn Fn() -> Duration) -> Result<Option<f64>> {
    if inputs.rows() == 0 {
        return Ok(None);
    }
    let mut times = Vec::new();
    for place in 0..ROWS_TIMED {
        let row = inputs.take(&[(place % inputs.rows()) as u64]);
        let began = clock();
        artifact.predict(&row)?;
        times.push(clock().saturating_sub(began).as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(Some(times[(times.len() * 99).div_ceil(100) - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Score, SliceReport, WorstSlice};

    fn recipe(text: &str) -> Recipe {
        Recipe::parse("r.toml", text).unwrap()
    }

    #[test]
    fn a_gate_is_read_however_its_table_is_written() {
        let quoted = gates(&recipe("[gates]\n\"slice.worst.recall\" = \">= 0.6\"\n\"group.sex.equalized_odds\" = \"<= 0.1\"")).unwrap();
        let nested = gates(&recipe("[gates.slice.worst]\nrecall = \">= 0.6\"\n[gates.group.sex]\nequalized_odds = \"<= 0.1\"")).unwrap();
        let mut sorted = [quoted, nested].map(|gates| gates.iter().map(QualityGate::key).collect::<Vec<_>>());
        sorted.iter_mut().for_each(|keys| keys.sort());
        assert_eq!(sorted[0], ["group.sex.equalized_odds_difference", "slice.worst.recall"]);
        assert_eq!(sorted[0], sorted[1]);
        for (text, wanted) in [
            ("[gates]\nf1 = \"0.7\"", "r.toml:2: gates.f1: found \"0.7\", wanted \">= NUMBER\" or \"<= NUMBER\""),
            ("[gates]\n\"slice.worst.f2\" = \">= 1\"", "r.toml:2: unknown metric f2"),
            (
                "[gates]\n\"group.a.accuracy_diference\" = \"<= 1\"",
                "r.toml:2: gates.group.a.accuracy_diference: unknown gap accuracy_diference",
            ),
        ] {
            assert_eq!(gates(&recipe(text)).unwrap_err().to_string(), wanted);
        }
    }

    #[test]
    fn the_worst_slice_decides_and_without_one_all_rows_do() {
        let mut target = TargetReport::new("y", cupola_task::Task::Classify);
        target.scores = vec![Score {
            name: "recall".into(),
            better: Better::Higher,
            best: 1.0,
            test: Measure::new(0.8, 0.75, 0.85),
            train: None,
            valid: None,
            baseline: None,
            difference: None,
        }];
        let gate = QualityGate { on: GateOn::WorstSlice("recall"), at_least: true, bound: 0.7 };
        let said = |target: &TargetReport| judge(std::slice::from_ref(&gate), &[target], None)[0].sentence();
        assert_eq!(said(&target), "slice.worst.recall was not measured, wanted >= 0.7");
        let slice = WorstSlice {
            parts: vec![["age".into(), "17 to 24".into()]],
            rows: 90,
            loss: 0.9,
            rest: 0.4,
            p_value: 0.01,
            measures: vec![crate::report::NamedMeasure { name: "recall".into(), measure: Measure::new(0.5, 0.38, 0.72) }],
        };
        let slices = |slices: Vec<WorstSlice>| SliceReport {
            loss: "log_loss".into(),
            measure: "recall".into(),
            overall: Measure::exact(0.8),
            tried: 40,
            rows_min: 30,
            level: 0.05,
            p_value: 0.01,
            slices,
        };
        target.slices = Some(slices(vec![slice]));
        assert_eq!(
            said(&target),
            "slice.worst.recall of y is 0.5000 (age 17 to 24), interval 0.3800 to 0.7200, wanted >= 0.7; the interval holds the bound, so more rows may say otherwise"
        );
        target.slices = Some(slices(vec![]));
        assert_eq!(
            said(&target),
            "slice.worst.recall of y is 0.8000 (all rows, for no slice stands out), interval 0.7500 to 0.8500, wanted >= 0.7"
        );
    }
}
