//! A measure over the number of training rows, with the law through it.

use super::canvas::{Ink, draw};
use super::frame::{Frame, drawable, is_drawable, range};
use super::gallery::{Plot, SQUARE};
use crate::learning_curve::LearningCurve;
use crate::report::names::shown;
use crate::report::report::Point;

/// Points that the law is drawn through.
const STEPS: u32 = 60;

/// The plot.
pub(in crate::report) fn learning_curve(curve: &LearningCurve) -> Plot {
    let spread = |rows: u64| (rows as f64).log10();
    let means: Vec<Point> = drawable(&curve.points.iter().map(|point| Point { x: spread(point.rows), y: point.mean }).collect::<Vec<_>>());
    let ends = [curve.points.first(), curve.points.last()].map(|point| point.map_or(1.0, |point| spread(point.rows)));
    let last = curve.ahead.last().map_or(ends[1], |ahead| spread(ahead.rows));
    let values = || curve.points.iter().flat_map(|point| [point.low, point.mean, point.high, point.fitted]);
    let beyond = || curve.ahead.iter().flat_map(|ahead| [ahead.low, ahead.value, ahead.high]);
    let body = draw(SQUARE, |canvas| {
        let usual = Frame::new(SQUARE, [ends[0], last], range(values().chain(beyond()), 0.05));
        let frame = Frame { across: [usual.across[0] + 12.0, usual.across[1]], ..usual };
        frame.axes(canvas, "log10 of training rows", &shown(&curve.measure, 30));
        canvas.line([frame.x(ends[1]), frame.up[0]], [frame.x(ends[1]), frame.up[1]], Ink::Muted, 1.0);
        let step = |step: u32| ends[0] + (last - ends[0]) * f64::from(step) / f64::from(STEPS);
        let law: Vec<[f64; 2]> = (0..=STEPS).map(|at| frame.at(Point { x: step(at), y: curve.value_at(10f64.powf(step(at))) })).collect();
        canvas.path(&law, Ink::MAIN, 2.0);
        for point in &curve.points {
            let at = frame.x(spread(point.rows));
            if is_drawable(point.low) && is_drawable(point.high) {
                canvas.line([at, frame.y(point.low)], [at, frame.y(point.high)], Ink::Line(1), 2.0);
            }
        }
        means.iter().for_each(|point| canvas.dot(frame.at(*point), 4.0, Ink::Line(1), 1.0));
        for ahead in &curve.ahead {
            let at = frame.x(spread(ahead.rows));
            canvas.line([at, frame.y(ahead.low)], [at, frame.y(ahead.high)], Ink::MAIN, 2.0);
        }
    });
    let caption = "Dots are means of the repeats with their 95 % intervals, the line is the law. Right of the upright line it goes beyond the data; upright strokes there are its 95 % band.";
    Plot::new("learning-curve", "Learning curve", caption, SQUARE, body)
}
