//! The test rows that a model was most surely wrong about, with what they held: each opens on a click, and shows what spoke for the answer.

use super::names::{plural, shown};
use super::numbers::{fixed, plain, signed};
use super::pictures::{count_wrong, rows, worst};
use super::plots::text_of;
use super::report::TargetReport;
use crate::answers::cell;
use crate::{Pipeline, Result};
use cupola_task::{Answer, Batch, Columns, Contributions, Field};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Characters of a value that are kept: a gallery is no copy of the texts.
const CHARS_MAX: usize = 200;
/// Inputs of a row that a page shows.
const INPUTS_MAX: usize = 24;
const NAME: usize = 80;

/// The mean size of what columns add to the score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanShap {
    /// The scale, in words: `log-odds`, `probability`.
    pub unit: String,
    /// How many test rows were explained.
    pub rows: u64,
    /// Columns with the mean size of their SHAP values, the most important first.
    pub columns: Vec<(String, f64)>,
}

/// The worst test rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mistakes {
    /// Test rows that were answered wrongly; for numbers, all.
    pub wrong: u64,
    /// The rows of the highest loss, the worst first.
    pub rows: Vec<Mistake>,
}

/// One test row that was answered wrongly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Where it stands.
    pub place: String,
    /// What is true.
    pub truth: String,
    /// What the model answered.
    pub answer: String,
    /// The probability of that answer; NaN for numbers.
    #[serde(with = "super::undefined")]
    pub probability: f64,
    /// Minus the natural logarithm of the truth's probability, or the squared error.
    #[serde(with = "super::undefined")]
    pub loss: f64,
    /// The inputs, those first that spoke most for or against the answer where that is known.
    pub inputs: Vec<MistakeInput>,
}

/// An input of such a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MistakeInput {
    /// The column.
    pub column: String,
    /// Its value.
    pub value: serde_json::Value,
    /// What it added to the score of the answer (SHAP), where the model can tell exactly.
    #[serde(default)]
    pub shap: Option<f64>,
}

/// The worst rows, at most so many; none where answers are neither classes nor numbers. Columns of groups that must be treated alike are no
/// inputs, so they are not shown. `place` says where a row stands.
///
/// # Errors
/// When the rows cannot be explained.
pub(crate) fn mistakes(
    pipeline: &Pipeline,
    field: &Field,
    test: &Batch,
    answer: &Answer,
    place: &dyn Fn(u64) -> String,
    most: usize,
) -> Result<Option<Mistakes>> {
    let Some(rows) = test.targets.get(&field.name).and_then(|truth| rows(truth, answer)) else { return Ok(None) };
    let worst = worst(&rows, most);
    let numbers: Vec<u64> = worst.iter().map(|shown| shown.row as u64).collect();
    let taken = test.inputs.take(&numbers);
    let told = if numbers.is_empty() { None } else { pipeline.explain(&taken, None).and_then(Result::ok) };
    let mistake = |(row, shown): (usize, &&super::pictures::Shown)| Mistake {
        place: place(test.rows[shown.row]),
        truth: shown.truth.clone(),
        answer: shown.answer.clone(),
        probability: shown.probability,
        loss: shown.loss,
        inputs: inputs(&taken, row, told.as_ref(), &shown.answer),
    };
    Ok(Some(Mistakes { wrong: count_wrong(&rows), rows: worst.iter().enumerate().map(mistake).collect() }))
}

/// The inputs of a row, those first that added most.
fn inputs(taken: &Columns, row: usize, told: Option<&Contributions>, answer: &str) -> Vec<MistakeInput> {
    let scalars = taken.iter().filter_map(|(name, column)| Some((name, column.array()?)));
    let shap = |name: &str| {
        let told = told?;
        let input = told.inputs.iter().position(|input| **input == *name)?;
        match (told.outputs.iter().position(|output| **output == *answer), told.outputs.len()) {
            (Some(output), _) => Some(told.value(row, input, output)),
            // Of two classes one score stands for both: what speaks for the other speaks against it. A number has one score.
            (None, 1) if told.unit == cupola_task::Unit::Number => Some(told.value(row, input, 0)),
            (None, 1) => Some(-told.value(row, input, 0)),
            (None, _) => None,
        }
    };
    let input = |(name, array): (&std::sync::Arc<str>, &arrow_array::ArrayRef)| MistakeInput {
        column: name.to_string(),
        value: match cell(array, row) {
            serde_json::Value::String(text) if text.chars().count() > CHARS_MAX => {
                text.chars().take(CHARS_MAX).chain(['…']).collect::<String>().into()
            }
            value => value,
        },
        shap: shap(name),
    };
    let mut inputs: Vec<MistakeInput> = scalars.map(input).collect();
    inputs.sort_by(|a, b| b.shap.unwrap_or(0.0).abs().total_cmp(&a.shap.unwrap_or(0.0).abs()));
    inputs
}

/// The gallery on a page.
pub(super) fn gallery(target: &TargetReport) -> Markup {
    html! {
        @if let Some(mistakes) = target.mistakes.as_ref().filter(|mistakes| !mistakes.rows.is_empty()) {
            section {
                h2 { "Worst mistakes about " bdi { (shown(&target.name, NAME)) } }
                p.faint.small {
                    @if target.classes.is_empty() { "Test rows of the largest error. " }
                    @else { "Of " (plural(mistakes.wrong, "wrong answer")) " on test rows, those that gave the truth the least probability. " }
                    "Each opens with its inputs. eval.mistakes=0 leaves them out."
                }
                @for mistake in &mistakes.rows { (opened(mistake)) }
            }
        }
    }
}

fn opened(mistake: &Mistake) -> Markup {
    let has_shap = mistake.inputs.iter().any(|input| input.shap.is_some());
    html! {
        details {
            summary {
                bdi { (shown(&mistake.truth, 40)) } " taken for " b { bdi { (shown(&mistake.answer, 40)) } }
                @if mistake.probability.is_finite() { " " span.range { (fixed(mistake.probability, 3)) } }
                " " span.faint.small { (shown(&mistake.place, NAME)) }
            }
            div.scroll {
                table {
                    thead { tr { th { "input" } th { "value" } @if has_shap { th.n { "added to the answer" } } } }
                    tbody {
                        @for input in mistake.inputs.iter().take(INPUTS_MAX) {
                            tr {
                                td.name { bdi { (shown(&input.column, NAME)) } } td.name { bdi { (shown(&text_of(&input.value), NAME)) } }
                                @if has_shap { td.n { @if let Some(shap) = input.shap { (signed(shap, 4)) } } }
                            }
                        }
                    }
                }
            }
            @if mistake.inputs.len() > INPUTS_MAX { p.faint.small { "and " (mistake.inputs.len() - INPUTS_MAX) " more inputs; report.json has all" } }
        }
    }
}

/// How the mean sizes of SHAP values are told beside what shuffling costs.
pub(super) fn shap_phrase(shap: &MeanShap) -> String {
    let first: Vec<String> = shap.columns.iter().take(3).map(|(name, size)| format!("{} {}", shown(name, 40), plain(*size))).collect();
    format!("Mean |SHAP| in {} over {}: {}", shap.unit, plural(shap.rows, "test row"), first.join(", "))
}
