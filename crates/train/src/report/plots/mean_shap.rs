//! The mean size of what each column adds to the score.

use super::bars::bars;
use super::canvas::Ink;
use super::frame::is_drawable;
use super::gallery::Plot;
use crate::report::mistakes::shap_phrase;
use crate::report::names::shown;
use crate::report::report::TargetReport;

/// Columns drawn.
const COLUMNS_MAX: usize = 15;

/// The plot, when SHAP values were taken.
pub(super) fn mean_shap(target: &TargetReport) -> Option<Plot> {
    let shap = target.shap.as_ref()?;
    let sizes = shap.columns.iter().filter(|(_, size)| is_drawable(*size)).take(COLUMNS_MAX);
    let columns: Vec<(&str, f64)> = sizes.map(|(name, size)| (name.as_str(), *size)).collect();
    let (size, body) = bars(&columns, Ink::Line(2), &format!("mean |SHAP|, {}", shown(&shap.unit, 40)));
    let caption = format!("What each column adds to a score, up or down, on average. {}. `cupola explain` tells more.", shap_phrase(shap));
    (!columns.is_empty()).then(|| Plot::new("shap", "What each column adds", caption, size, body))
}
