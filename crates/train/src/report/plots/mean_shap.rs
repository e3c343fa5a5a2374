//! The mean size of what each column adds to the score.

use super::canvas::{Fasten, Ink, draw};
use super::frame::{Frame, SMALL, is_drawable, range};
use super::gallery::{NARROW, Plot};
use crate::report::mistakes::shap_phrase;
use crate::report::names::shown;
use crate::report::numbers::plain;
use crate::report::report::TargetReport;

/// Columns drawn.
const COLUMNS_MAX: usize = 15;
/// Height of a bar with its gap.
const PITCH: f64 = 24.0;

/// The plot, when SHAP values were taken.
pub(super) fn mean_shap(target: &TargetReport) -> Option<Plot> {
    let shap = target.shap.as_ref()?;
    let columns: Vec<&(String, f64)> = shap.columns.iter().filter(|(_, size)| is_drawable(*size)).take(COLUMNS_MAX).collect();
    let size = [NARROW, 60.0 + PITCH * columns.len() as f64];
    let body = draw(size, |canvas| {
        let x = range(columns.iter().map(|(_, size)| *size).chain([0.0]), 0.02);
        let frame = Frame { across: [168.0, size[0] - 66.0], up: [size[1] - 46.0, 8.0], x, y: [0.0, 1.0], whole_x: false };
        for (i, (name, mean)) in columns.iter().enumerate() {
            let middle = 8.0 + PITCH * (i as f64 + 0.5);
            canvas.text(&shown(name, 20), [frame.across[0] - 8.0, middle], Fasten::Right, Ink::Text, SMALL);
            canvas.fill([frame.x(0.0), middle - 7.0], [frame.x(*mean), middle + 7.0], Ink::Line(2), 0.75);
            canvas.text(&plain(*mean), [size[0] - 8.0, middle], Fasten::Right, Ink::Muted, SMALL);
        }
        frame.scale_below(canvas, &format!("mean |SHAP|, {}", shown(&shap.unit, 40)));
    });
    let caption = format!("What each column adds to a score, up or down, on average. {}. `cupola explain` tells more.", shap_phrase(shap));
    (!columns.is_empty()).then(|| Plot::new("shap", "What each column adds", caption, size, body))
}
