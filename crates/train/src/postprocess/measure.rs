//! What postprocessing brought, measured on rows that nothing was learned from.

use super::learn::{Learned, scores, truths};
use super::record::Postprocess;
use super::settings::{Calibrate, DecisionPlan, ThresholdBy};
use crate::Result;
use crate::evaluate::Judged;
use crate::report::{Bin, Calibration, CalibrationChange, ChosenRule, Coverage, Measure, NamedMeasure, Postprocessing, SetSize};
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_metrics::{Sampling, ruler, wilson};
use cupola_task::{Answer, Field, Rule, SetRule};

/// What calibration is to make smaller.
const MEASURES: [&str; 3] = ["log_loss", "brier", "calibration_error"];
/// Bins of the curve before calibration.
const BINS: usize = 10;

/// What was learned, and what it changes on test rows. `raw` holds what the model says before anything is done to it; `judged` what is answered.
///
/// # Errors
/// Those of measures.
pub(crate) fn learned_report(
    plan: &DecisionPlan,
    learned: &Learned,
    field: &Field,
    raw: Option<&Answer>,
    judged: Option<Judged<'_>>,
    sampling: Sampling,
) -> Result<Option<Postprocessing>> {
    if plan.is_none() {
        return Ok(None);
    }
    let post = &learned.postprocess;
    let calibration = match (plan.calibrate, raw, judged) {
        (Calibrate::None, _, _) | (_, None, _) | (_, _, None) => None,
        (_, Some(raw), Some(judged)) => Some(change(plan.calibrate, post, field, raw, judged, sampling)?),
    };
    let classes = field.kind.classes().map_or(0, |classes| classes.len());
    let rule = post.decision.as_ref().filter(|decision| decision.rule != Rule::Probable).map(|_| ChosenRule {
        asked: threshold_word(plan.threshold, post.costs.is_some()),
        threshold: post.threshold().unwrap_or(f64::NAN),
        costs: post.costs().unwrap_or_default().chunks(classes.max(1)).map(<[f64]>::to_vec).collect(),
    });
    let coverage = judged.map(|judged| coverage(post, field, judged, sampling.level)).transpose()?.flatten();
    let coverage = coverage.map(|found| Coverage { split_width: learned.split_reach.map(|reach| 2.0 * reach), ..found });
    Ok(Some(Postprocessing { learned_on: learned.source.to_owned(), rows: learned.rows, calibration, rule, coverage }))
}

fn threshold_word(by: ThresholdBy, has_costs: bool) -> String {
    match by {
        ThresholdBy::Default if has_costs => "least expected cost".to_owned(),
        ThresholdBy::Default => "most probable class".to_owned(),
        ThresholdBy::At(threshold) => format!("threshold {threshold}, as the recipe says"),
        ThresholdBy::BestF1 => "best f1".to_owned(),
        ThresholdBy::Balanced => "best balanced accuracy".to_owned(),
        ThresholdBy::Cost => "least cost".to_owned(),
    }
}

fn change(
    asked: Calibrate,
    post: &Postprocess,
    field: &Field,
    raw: &Answer,
    judged: Judged<'_>,
    sampling: Sampling,
) -> Result<CalibrationChange> {
    let rulers = MEASURES.map(ruler);
    let measured = |answer: &Answer| -> Result<Vec<NamedMeasure>> {
        let scores = cupola_metrics::score(field, answer, judged.view, &rulers, sampling)?;
        let named = |score: cupola_metrics::Score| NamedMeasure {
            name: score.name.to_owned(),
            measure: Measure::new(score.value, score.low, score.high),
        };
        Ok(scores.into_iter().map(named).collect())
    };
    let class = field.kind.classes().and_then(|classes| classes.last()).expect("a target of classes has one");
    let curve = cupola_metrics::calibration_curve(field, raw, judged.view, class, BINS)?;
    let bins = curve.iter().map(|bin| Bin { predicted: bin.probability, observed: bin.rate, rows: bin.weight.round() as u64 }).collect();
    Ok(CalibrationChange {
        asked: match asked {
            Calibrate::None => "none",
            Calibrate::Sigmoid => "sigmoid",
            Calibrate::Isotonic => "isotonic",
            Calibrate::Auto => "auto",
        }
        .to_owned(),
        method: post.calibration.as_ref().map_or("none", |calibration| calibration.word()).to_owned(),
        before: measured(raw)?,
        after: measured(judged.answer)?,
        curve_before: Calibration { class: class.to_string(), bins },
    })
}

/// How often intervals or sets hold the truth, and how wide they are; none where none are given.
///
/// # Errors
/// When truth or answer are of another kind than the target.
pub(crate) fn coverage(post: &Postprocess, field: &Field, judged: Judged<'_>, level: f64) -> Result<Option<Coverage>> {
    let (Some(promised), Some(truth)) = (post.level, judged.view.truth) else { return Ok(None) };
    let mut found = Coverage { promised, ..Coverage::default() };
    let mut held = Vec::new();
    match judged.answer {
        Answer::Numbers { values, range: Some(range) } => {
            found.method = if post.is_cqr { "conformalised quantiles" } else { "absolute residuals" }.to_owned();
            let truth = truth.array().and_then(|array| array.as_primitive_opt::<Float64Type>());
            let Some(truth) = truth else { return Ok(None) };
            held = truth.iter().zip(range).filter_map(|(truth, [low, high])| Some((*low..=*high).contains(&truth?))).collect();
            found.width = range.iter().map(|[low, high]| high - low).sum::<f64>() / values.len() as f64;
        }
        Answer::Scores { classes, values } => {
            let names = field.kind.classes().cloned().unwrap_or_else(|| classes.names().clone());
            let truth = truths(&names, truth)?;
            scores(&names, judged.answer)?;
            let Some(rule) = classes.decision().and_then(|decision| decision.set) else { return Ok(None) };
            found.method = if matches!(rule, SetRule::Aps(_)) { "aps" } else { "lac" }.to_owned();
            let mut sizes = vec![0u64; names.len() + 1];
            for (row, truth) in values.chunks_exact(names.len()).zip(&truth) {
                let set = rule.classes(row);
                held.push(truth.is_some_and(|truth| set.contains(&truth)));
                sizes[set.len()] += 1;
            }
            found.width = sizes.iter().enumerate().map(|(size, rows)| size as f64 * *rows as f64).sum::<f64>() / truth.len() as f64;
            let of_size = |(classes, &rows): (usize, &u64)| SetSize { classes: classes as u64, rows };
            found.sizes = sizes.iter().enumerate().map(of_size).filter(|size| size.rows > 0).collect();
        }
        _ => return Ok(None),
    }
    let rows = held.len() as f64;
    let share = held.iter().filter(|held| **held).count() as f64 / rows;
    let [low, high] = if held.is_empty() { [f64::NAN; 2] } else { wilson(share, rows, level) };
    found.share = Measure::new(share, low, high);
    Ok(Some(found))
}
