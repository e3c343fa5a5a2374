//! What a server says about its answers: exact SHAP values, quickly or not at all.

use crate::{Artifact, Result};
use cupola_task::{Answer, Columns, Contributions, Predictions, Unit};
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What made one answer of one row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswerExplained {
    /// The class whose score it is: the one that is answered, or the positive one of two; none for a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Arc<str>>,
    /// The scale on which base and contributions add up to the score.
    pub unit: Unit,
    /// The score of whom nothing is known.
    pub base: f64,
    /// The row's score.
    pub score: f64,
    /// What each input added, the largest first.
    pub contributions: Map<String, Value>,
}

/// What made the answers of one row, by target.
pub type AnswersExplained = Vec<(Arc<str>, AnswerExplained)>;

/// For each row what made its answers. Inputs come from [`Artifact::conform`], and the predictions are those to them.
///
/// # Errors
/// When a model cannot tell exactly, or the rows are refused.
pub fn explain_answers(artifact: &Artifact, inputs: &Columns, predictions: &Predictions) -> Result<Vec<AnswersExplained>> {
    let mut rows: Vec<AnswersExplained> = vec![Vec::new(); inputs.rows()];
    for pipeline in artifact.pipelines() {
        let told = pipeline.explain(inputs, None).ok_or_else(|| cupola_task::Error::Unsupported {
            what: "explain=true".into(),
            by: format!("model {}", pipeline.model.name),
            hint: Some("trees and linear models are explained exactly; `cupola explain` samples for others".into()),
        })??;
        let answers = predictions.get(&pipeline.target);
        for (row, own) in rows.iter_mut().enumerate() {
            if let Some(output) = output_of(&told, answers, row) {
                own.push((pipeline.target.clone(), explained(&told, row, output, matches!(answers, Some(Answer::Scores { .. })))));
            }
        }
    }
    Ok(rows)
}

/// The score that is told of: the answered class's where it has one.
fn output_of(told: &Contributions, answers: Option<&Answer>, row: usize) -> Option<usize> {
    let Some(Answer::Scores { classes, values }) = answers else { return (!told.outputs.is_empty()).then_some(0) };
    let scores = values.get(row * classes.len()..(row + 1) * classes.len())?;
    let best = classes.choose(scores);
    let own = told.outputs.iter().position(|output| *output == classes[best]);
    own.or((told.outputs.len() == 1).then_some(0))
}

fn explained(told: &Contributions, row: usize, output: usize, is_class: bool) -> AnswerExplained {
    let mut parts: Vec<(String, f64)> =
        told.inputs.iter().enumerate().map(|(input, name)| (name.to_string(), told.value(row, input, output))).collect();
    parts.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    AnswerExplained {
        class: is_class.then(|| told.outputs[output].clone()),
        unit: told.unit,
        base: told.base[output],
        score: told.score(row, output),
        contributions: parts.into_iter().map(|(name, value)| (name, value.into())).collect(),
    }
}
