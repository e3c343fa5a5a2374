//! SHAP values of raw columns: exact where the model can tell, sampled where not.

use super::sampling::sampled;
use super::subject::Subject;
use crate::{Error, Pipeline, Result};
use cupola_task::{Against, Columns, Contributions, Draw, Unit};
use serde::{Deserialize, Serialize};

/// How SHAP values are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Exactly, against what training saw.
    #[serde(rename = "tree_path_dependent")]
    Training,
    /// Exactly, against background rows.
    Interventional,
    /// By sampling orders of the columns.
    Permutation,
}

impl Method {
    /// What it does, as a phrase.
    pub fn words(self) -> &'static str {
        match self {
            Method::Training => "exact, against what training saw",
            Method::Interventional => "exact, against background rows",
            Method::Permutation => "sampled orders of the columns, against background rows",
        }
    }
}

/// SHAP values of raw columns.
pub(crate) struct Told {
    pub contributions: Contributions,
    pub method: Method,
    /// The standard error of each value, where they were sampled.
    pub errors: Option<Vec<f64>>,
    /// Which output is the subject's.
    pub output: usize,
}

impl Pipeline {
    /// What each raw input added to each score of raw rows, exactly: against what training saw, or against other raw rows. The parts that a
    /// column is prepared into are added up. None where the model cannot tell.
    ///
    /// # Errors
    /// When a column is missing or of another kind, or the model file keeps nothing to explain against.
    pub fn explain(&self, inputs: &Columns, background: Option<&Columns>) -> Option<Result<Contributions>> {
        let told = || -> Result<Option<Contributions>> {
            let (prepared, trail) = self.fitted.apply(inputs)?;
            let behind = background.map(|background| self.fitted.apply(background)).transpose()?;
            if !trail.row_of.is_empty() {
                return Ok(None);
            }
            let against = behind.as_ref().map_or(Against::Training, |(prepared, _)| Against::Rows(prepared));
            let Some(told) = self.predictor.explain(&prepared, against) else { return Ok(None) };
            let names = self.fitted.raw().inputs().map(|field| field.name.clone()).collect();
            Ok(Some(told?.brought_back(names, &self.fitted.sources())))
        };
        told().transpose()
    }
}

/// SHAP values of the subject's pipeline, by the method that is asked for, else by the first that it can. Exact ones hold all outputs of the model,
/// sampled ones the subject's score alone.
///
/// # Errors
/// When the method that is asked for cannot be used on the model.
pub(crate) fn told(subject: &Subject<'_>, inputs: &Columns, background: &Columns, method: Option<Method>, draw: Draw) -> Result<Told> {
    let exact = |method: Method, background: Option<&Columns>| -> Option<Result<Told>> {
        let told = subject.pipeline.explain(inputs, background)?;
        Some(told.and_then(|contributions| {
            let output = output_of(subject, &contributions)?;
            Ok(Told { contributions, method, errors: None, output })
        }))
    };
    let tried = match method {
        None => match exact(Method::Training, None) {
            // A file of an earlier version keeps nothing to explain against: then against rows.
            Some(Err(_)) => exact(Method::Interventional, Some(background)),
            told => told,
        },
        Some(Method::Training) => exact(Method::Training, None),
        Some(Method::Interventional) => exact(Method::Interventional, Some(background)),
        Some(Method::Permutation) => None,
    };
    match (tried, method) {
        (Some(told), _) => told,
        (None, None | Some(Method::Permutation)) => sampled(subject, inputs, background, draw),
        (None, Some(_)) => Err(cupola_task::Error::Unsupported {
            what: "an exact explanation".into(),
            by: format!("model {}", subject.pipeline.model.name),
            hint: Some("method=permutation samples; trees and linear models are explained exactly".into()),
        }
        .into()),
    }
}

/// The output that is about the subject's class.
pub(super) fn output_of(subject: &Subject<'_>, contributions: &Contributions) -> Result<usize> {
    let Some(class) = subject.class_name() else { return Ok(0) };
    match contributions.outputs.iter().position(|output| **output == *class) {
        Some(output) => Ok(output),
        None => {
            let known: Vec<&str> = contributions.outputs.iter().map(|output| &**output).collect();
            let text = match known.as_slice() {
                [] => format!("the model saw one class of {} alone, so nothing made it answer so", subject.field.name),
                known => format!("the model has a score for {}, none for {class}", known.join(", ")),
            };
            Err(Error::Data(
                text,
                known.first().map(|known| format!("explain class={known}: what speaks for it speaks against the others")),
            ))
        }
    }
}

/// Mean sizes of SHAP values.
pub(crate) struct MeanSizes {
    /// How many scores they are means over.
    pub outputs: usize,
    /// The scale.
    pub unit: Unit,
    /// Raw columns, the most important first.
    pub columns: Vec<(String, f64)>,
}

/// The mean size of SHAP values of each raw column, over all outputs; none where the model cannot tell exactly.
///
/// # Errors
/// As [`Pipeline::explain`].
pub(crate) fn mean_sizes(pipeline: &Pipeline, inputs: &Columns) -> Option<Result<MeanSizes>> {
    let told = pipeline.explain(inputs, None)?;
    Some(told.map(|told| {
        let outputs = told.outputs.len();
        let size = |input: usize| (0..outputs).map(|output| told.mean_size(input, output)).sum::<f64>() / outputs.max(1) as f64;
        let mut columns: Vec<(String, f64)> = told.inputs.iter().enumerate().map(|(input, name)| (name.to_string(), size(input))).collect();
        columns.sort_by(|a, b| b.1.total_cmp(&a.1));
        MeanSizes { outputs, unit: told.unit, columns }
    }))
}
