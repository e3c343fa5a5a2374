//! The trials of a search, and the best so far.

use super::canvas::{Ink, draw};
use super::frame::{Frame, is_drawable, range};
use super::gallery::{Plot, SQUARE};
use crate::report::names::shown;
use crate::report::report::{Better, Point};
use crate::report::tuning::Tuning;

/// Trials drawn.
const TRIALS_MAX: usize = 1000;

/// The plot, when two trials or more have a value.
pub(in crate::report) fn trials(tuning: &Tuning) -> Option<Plot> {
    let points: Vec<Point> = tuning
        .trials
        .iter()
        .filter_map(|trial| Some(Point { x: trial.number as f64 + 1.0, y: trial.value? }))
        .filter(|point| is_drawable(point.y))
        .take(TRIALS_MAX)
        .collect();
    if points.len() < 2 {
        return None;
    }
    let mut best: Vec<Point> = Vec::new();
    for point in &points {
        let before = best.last().map_or(point.y, |last| last.y);
        let now = if tuning.better == Better::Higher { before.max(point.y) } else { before.min(point.y) };
        best.extend((now != before).then_some(Point { x: point.x, y: before }));
        best.push(Point { x: point.x, y: now });
    }
    // A trial far off would leave no height for the others: the scale is that of the better three quarters.
    let mut values: Vec<f64> = points.iter().map(|point| point.y).collect();
    values.sort_by(f64::total_cmp);
    let quarter = values.len() / 4;
    let shown_values = if tuning.better == Better::Higher { &values[quarter..] } else { &values[..values.len() - quarter] };
    let last = tuning.trials.len() as f64;
    let body = draw(SQUARE, |canvas| {
        let usual = Frame::new(SQUARE, [1.0, last.max(2.0)], range(shown_values.iter().copied(), 0.05));
        let frame = Frame { across: [usual.across[0] + 12.0, usual.across[1]], whole_x: true, ..usual };
        frame.axes(canvas, "trial", &shown(&tuning.measure, 30));
        points.iter().for_each(|point| canvas.dot(frame.at(*point), 3.0, Ink::Muted, 1.0));
        canvas.path(&best.iter().map(|point| frame.at(*point)).collect::<Vec<_>>(), Ink::MAIN, 2.0);
    });
    let caption = "Each complete trial, and the best so far. The worst quarter may lie on the edge.";
    Some(Plot::new("trials", "Trials", caption, SQUARE, body))
}
