//! Precision over recall: how pure the answers stay while more of the positives are found.

use super::canvas::{Fasten, Ink, draw};
use super::frame::Frame;
use super::gallery::{Plot, SQUARE};
use super::roc::{largest, left_out, legend, lines};
use crate::report::report::TargetReport;

/// The plot, when there is a curve.
pub(super) fn precision_recall(target: &TargetReport) -> Option<Plot> {
    let curves = largest(target, &target.precision_recall);
    let body = draw(SQUARE, |canvas| {
        let frame = Frame::new(SQUARE, [0.0, 1.0], [0.0, 1.0]);
        frame.axes(canvas, "recall: positives found", "precision: of those called so");
        if let Some(share) = positive_share(target) {
            canvas.line([frame.x(0.0), frame.y(share)], [frame.x(1.0), frame.y(share)], Ink::Muted, 1.0);
        }
        lines(canvas, &frame, &curves);
        legend(canvas, [frame.x(0.0) + 6.0, frame.y(0.0) - 14.0], Fasten::Left, &curves);
    });
    let coin = if positive_share(target).is_some() { "; the level line is a coin" } else { "" };
    let caption = format!("The further to the upper right, the better{coin}.{}", left_out(target.precision_recall.len()));
    (!curves.is_empty()).then(|| Plot::new("precision-recall", "Precision and recall", caption, SQUARE, body))
}

/// The share of positives among test rows, which is the precision of calling everything positive.
fn positive_share(target: &TargetReport) -> Option<f64> {
    let positive = target.positive.as_ref()?;
    let rows = target.per_class.iter().map(|class| class.rows).sum::<u64>();
    let found = target.per_class.iter().find(|class| class.class == *positive)?.rows;
    (rows > 0).then(|| found as f64 / rows as f64)
}
