//! Two models that were cross-validated on the same folds, held against each other fold by fold: the mean difference with its interval and p-value by
//! the corrected resampled t-test. It asks another question than the test rows do: not which of these two models is better, but which of the two ways
//! of making one is.

use crate::compare::{ComparedTarget, Contender};
use crate::report::{CrossValidation, Measure, Report};
use crate::resampled;
use serde::Serialize;

/// Differences over the folds that two models share.
#[derive(Clone, Debug, Serialize)]
pub struct FoldDifferences {
    /// How many folds, of all repeats.
    pub folds: u64,
    /// Whether the choices of models and settings were cross-validated, not the models that were kept.
    pub is_nested: bool,
    /// Measure by measure.
    pub differences: Vec<FoldDifference>,
}

/// One measure.
#[derive(Clone, Debug, Serialize)]
pub struct FoldDifference {
    /// The measure.
    pub name: String,
    /// The mean of first minus second, with the corrected interval.
    pub mean: Measure,
    /// The corrected two-sided p-value; none with fewer than two folds on which both are defined.
    pub p: Option<f64>,
}

/// Adds to each pair of models what their runs' cross-validations say, where both were made on the same folds of the same files.
pub(crate) fn by_folds(targets: &mut [ComparedTarget], contenders: &[Contender], level: f64) {
    let reports: Vec<Option<Report>> = contenders.iter().map(report).collect();
    for target in targets {
        for pair in &mut target.pairs {
            let both = [pair.first, pair.second].map(|place| reports[place].as_ref());
            let [Some(first), Some(second)] = both else { continue };
            if files(first) == files(second) {
                pair.folds = differences(first, second, &target.name, level);
            }
        }
    }
}

/// A run's report; one of another version, or none, says nothing.
fn report(contender: &Contender) -> Option<Report> {
    let bytes = std::fs::read(contender.folder.as_ref()?.join("report.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn files(report: &Report) -> Vec<Option<&str>> {
    report.data.files.iter().map(|file| file.hash.as_deref()).collect()
}

fn differences(first: &Report, second: &Report, target: &str, level: f64) -> Option<FoldDifferences> {
    let of = |report: &'_ Report| report.targets.iter().find(|known| known.name == target).cloned();
    let (first, second) = (of(first)?, of(second)?);
    // A nested cross-validation of the one is not held against a plain one of the other.
    let same = |one: &Option<CrossValidation>, other: &Option<CrossValidation>, is_nested: bool| {
        let (one, other) = (one.as_ref()?, other.as_ref()?);
        (one.dealt == other.dealt && !one.dealt.is_empty()).then(|| paired(one, other, is_nested, level))
    };
    same(&first.nested, &second.nested, true).or_else(|| same(&first.cross_validation, &second.cross_validation, false))
}

fn paired(first: &CrossValidation, second: &CrossValidation, is_nested: bool, level: f64) -> FoldDifferences {
    let difference = |measure: &crate::report::FoldMeasure| {
        let other = second.measures.iter().find(|other| other.name == measure.name)?;
        let all = measure.folds.iter().zip(&other.folds).map(|(one, other)| one.value - other.value);
        let known: Vec<f64> = all.filter(|value| value.is_finite()).collect();
        let (mean, p) = (resampled::mean(&known, first.ratio, level), resampled::p_value(&known, first.ratio));
        Some(FoldDifference { name: measure.name.clone(), mean, p })
    };
    FoldDifferences { folds: first.folds, is_nested, differences: first.measures.iter().filter_map(difference).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Better, FoldMeasure, TargetReport};
    use cupola_task::Task;

    fn report(dealt: &str, values: &[f64]) -> Report {
        let folds = values.iter().map(|value| Measure::exact(*value)).collect();
        let measure = FoldMeasure { name: "accuracy".into(), better: Better::Higher, mean: 0.0, deviation: 0.0, interval: None, folds };
        let found = CrossValidation { folds: 4, repeats: 2, ratio: 1.0, dealt: dealt.into(), chosen: vec![], measures: vec![measure] };
        let target = TargetReport { cross_validation: Some(found), ..TargetReport::new("y", Task::Classify) };
        Report { targets: vec![target], ..Report::default() }
    }

    #[test]
    fn the_same_folds_are_held_against_each_other_and_no_others() {
        let (one, other) = (report("a", &[0.80, 0.82, 0.79, f64::NAN]), report("a", &[0.79, 0.80, 0.78, 0.7]));
        let found = differences(&one, &other, "y", 0.95).unwrap();
        let difference = &found.differences[0];
        // (0.01, 0.02, 0.01): variance 1/30000, t = (0.04 / 3) / sqrt((1/3 + 1) / 30000) = 2, whose tails with two degrees of freedom hold 0.1835.
        assert!((difference.mean.value - 0.04 / 3.0).abs() < 1e-12 && difference.mean.low < 0.0);
        assert!((difference.p.unwrap() - 0.183_503_419_072_274).abs() < 1e-9, "{difference:?}");
        assert!(differences(&one, &report("b", &[0.8; 4]), "y", 0.95).is_none());
        assert!(
            differences(&report("", &[0.8; 4]), &report("", &[0.7; 4]), "y", 0.95).is_none(),
            "runs of before tell nothing of their folds"
        );
    }
}
