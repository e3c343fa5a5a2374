//! Receiver operating characteristic: how many positives are found, for how many false alarms.

use super::canvas::{Canvas, Fasten, Ink, LINES, draw, text_width};
use super::frame::{Frame, SMALL, drawable};
use super::gallery::{Plot, SQUARE};
use crate::report::names::shown;
use crate::report::numbers::fixed;
use crate::report::report::{Curve, Point, TargetReport};
use crate::report::residuals::thinned;

/// Points a curve is drawn through.
const POINTS_MAX: usize = 160;

/// The plot, when there is a curve.
pub(super) fn roc(target: &TargetReport) -> Option<Plot> {
    let curves = largest(target, &target.roc);
    let body = draw(SQUARE, |canvas| {
        let frame = Frame::new(SQUARE, [0.0, 1.0], [0.0, 1.0]);
        frame.axes(canvas, "false alarms among negatives", "positives found");
        canvas.line([frame.x(0.0), frame.y(0.0)], [frame.x(1.0), frame.y(1.0)], Ink::Muted, 1.0);
        lines(canvas, &frame, &curves);
        legend(canvas, [frame.x(1.0) - 8.0, frame.y(0.0) - 14.0], Fasten::Right, &curves);
    });
    let caption = format!("The further to the upper left, the better; the diagonal is a coin.{}", left_out(target.roc.len()));
    (!curves.is_empty()).then(|| Plot::new("roc", "ROC curve", caption, SQUARE, body))
}

/// The curves of the most frequent classes, as many as there are colours.
pub(super) fn largest<'a>(target: &TargetReport, curves: &'a [Curve]) -> Vec<&'a Curve> {
    let rows =
        |curve: &Curve| target.classes.iter().position(|class| *class == curve.class).and_then(|at| target.class_rows.get(at)).copied();
    let mut order: Vec<usize> = (0..curves.len()).filter(|&i| drawable(&curves[i].points).len() > 1).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(rows(&curves[i])));
    order.truncate(LINES);
    order.sort_unstable();
    order.into_iter().map(|i| &curves[i]).collect()
}

/// Says that some curves are not shown.
pub(super) fn left_out(curves: usize) -> String {
    match curves > LINES {
        true => format!(" The {LINES} most frequent of {curves} classes."),
        false => String::new(),
    }
}

/// Draws the curves, each in its colour.
pub(super) fn lines(canvas: &mut Canvas, frame: &Frame, curves: &[&Curve]) {
    for (i, curve) in curves.iter().enumerate().rev() {
        let places: Vec<[f64; 2]> = thinned(&drawable(&curve.points), POINTS_MAX).into_iter().map(|point: Point| frame.at(point)).collect();
        canvas.path(&places, Ink::Line(i), 2.0);
    }
}

/// Names and areas, upwards from the given corner.
pub(super) fn legend(canvas: &mut Canvas, corner: [f64; 2], fasten: Fasten, curves: &[&Curve]) {
    let texts: Vec<String> = curves.iter().map(|curve| format!("{}  {}", shown(&curve.class, 18), fixed(curve.area.value, 3))).collect();
    let width = texts.iter().map(|text| text_width(text, SMALL)).fold(0.0, f64::max);
    let start = if matches!(fasten, Fasten::Right) { corner[0] - width } else { corner[0] + 24.0 };
    for (i, text) in texts.iter().enumerate() {
        let height = corner[1] - 18.0 * (texts.len() - 1 - i) as f64;
        canvas.line([start - 22.0, height], [start - 7.0, height], Ink::Line(i), 3.0);
        canvas.text(text, [start, height], Fasten::Left, Ink::Text, SMALL);
    }
}
