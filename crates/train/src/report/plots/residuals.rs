//! Truth minus answer: over the answer, and how often.

use super::canvas::{Ink, draw};
use super::frame::{Frame, drawable, is_drawable, range};
use super::gallery::{Plot, SQUARE};
use crate::report::numbers::{decimals_of_spread, fixed};
use crate::report::report::{Bucket, Residuals, TargetReport};
use crate::report::residuals::thinned;

/// Dots drawn.
const POINTS_MAX: usize = 500;
/// Bars drawn.
const BUCKETS_MAX: usize = 60;

/// Residual over answer, when there are points.
pub(super) fn scatter(target: &TargetReport) -> Option<Plot> {
    let points = thinned(&drawable(&target.residuals.as_ref()?.points), POINTS_MAX);
    let body = draw(SQUARE, |canvas| {
        let (x, y) = (range(points.iter().map(|point| point.x), 0.04), range(points.iter().map(|point| point.y).chain([0.0]), 0.06));
        let frame = Frame::new(SQUARE, x, y);
        frame.axes(canvas, "answer", "truth minus answer");
        canvas.line([frame.across[0], frame.y(0.0)], [frame.across[1], frame.y(0.0)], Ink::Muted, 1.5);
        points.iter().for_each(|point| canvas.dot(frame.at(*point), 2.5, Ink::MAIN, 0.45));
    });
    let caption = "Dots above the line: the truth was higher than the answer. A pattern means something is left to learn.";
    (!points.is_empty()).then(|| Plot::new("residuals", "Residuals", caption, SQUARE, body))
}

/// How many rows are how far off, when that was counted.
pub(super) fn histogram(target: &TargetReport) -> Option<Plot> {
    let residuals = target.residuals.as_ref()?;
    let buckets: Vec<Bucket> = (residuals.histogram.iter().copied().take(BUCKETS_MAX))
        .filter(|bucket| is_drawable(bucket.low) && is_drawable(bucket.high))
        .collect();
    let most = buckets.iter().map(|bucket| bucket.rows).max().unwrap_or(0).max(1) as f64;
    let body = draw(SQUARE, |canvas| {
        let x = range(buckets.iter().flat_map(|bucket| [bucket.low, bucket.high]).chain([0.0]), 0.02);
        let frame = Frame::new(SQUARE, x, [0.0, most * 1.05]);
        frame.axes(canvas, "truth minus answer", "test rows");
        for bucket in &buckets {
            let (left, right) = (frame.x(bucket.low), frame.x(bucket.high).max(frame.x(bucket.low) + 2.0));
            canvas.fill([left + 0.5, frame.y(bucket.rows as f64)], [right - 0.5, frame.up[0]], Ink::MAIN, 0.75);
        }
        canvas.line([frame.x(0.0), frame.up[0]], [frame.x(0.0), frame.up[1]], Ink::Muted, 1.5);
    });
    (!buckets.is_empty()).then(|| Plot::new("residual-histogram", "How far off", caption(residuals), SQUARE, body))
}

fn caption(residuals: &Residuals) -> String {
    let at = |share: f64| residuals.quantiles.iter().find(|quantile| quantile.share == share).map(|quantile| quantile.value);
    match (at(0.05), at(0.95)) {
        (Some(low), Some(high)) => {
            let digits = decimals_of_spread(residuals.mean, residuals.deviation);
            format!("Nine of ten residuals lie between {} and {}.", fixed(low, digits), fixed(high, digits))
        }
        _ => "Upright line: no error.".to_owned(),
    }
}
