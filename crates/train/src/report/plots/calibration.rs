//! What probabilities promise against what happens, with the number of rows below.

use super::canvas::{Ink, draw};
use super::frame::{Frame, is_drawable};
use super::gallery::{Plot, SQUARE};
use crate::report::names::shown;
use crate::report::numbers::wilson;
use crate::report::report::{Bin, TargetReport};
use crate::report::residuals::thinned;

/// Bins drawn.
const BINS_MAX: usize = 40;

/// The plot of the first calibration, when it has bins.
pub(super) fn calibration(target: &TargetReport) -> Option<Plot> {
    let calibration = target.calibration.first()?;
    let bins: Vec<Bin> = thinned(&calibration.bins, BINS_MAX)
        .into_iter()
        .filter(|bin| is_drawable(bin.predicted) && is_drawable(bin.observed) && bin.rows > 0)
        .collect();
    let body = draw(SQUARE, |canvas| {
        let [width, height] = SQUARE;
        let frame = Frame { across: [62.0, width - 16.0], up: [height - 112.0, 14.0], x: [0.0, 1.0], y: [0.0, 1.0], whole_x: false };
        frame.axes(canvas, "", "share that came true");
        canvas.line([frame.x(0.0), frame.y(0.0)], [frame.x(1.0), frame.y(1.0)], Ink::Muted, 1.0);
        for bin in &bins {
            let [low, high] = wilson(bin.observed, bin.rows as f64);
            canvas.line([frame.x(bin.predicted), frame.y(low)], [frame.x(bin.predicted), frame.y(high)], Ink::MAIN, 1.5);
        }
        let places: Vec<[f64; 2]> = bins.iter().map(|bin| [frame.x(bin.predicted), frame.y(bin.observed)]).collect();
        canvas.path(&places, Ink::MAIN, 1.0);
        places.iter().for_each(|place| canvas.dot(*place, 3.5, Ink::MAIN, 1.0));

        let most = bins.iter().map(|bin| bin.rows).max().unwrap_or(1) as f64;
        let below = Frame { across: frame.across, up: [height - 46.0, height - 96.0], x: [0.0, 1.0], y: [0.0, most], whole_x: false };
        let half = (0.4 / bins.len() as f64).min(0.04);
        for bin in &bins {
            let (left, right) = (below.x(bin.predicted - half), below.x(bin.predicted + half));
            canvas.fill([left, below.y(bin.rows as f64)], [right, below.up[0]], Ink::MAIN, 0.45);
        }
        below.scale_below(canvas, "predicted probability");
    });
    let caption =
        format!("Probability of {}. Dots on the diagonal keep their promise; bars below count the rows.", shown(&calibration.class, 40));
    (!bins.is_empty()).then(|| Plot::new("calibration", "Calibration", caption, SQUARE, body))
}
