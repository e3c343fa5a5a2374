//! How training went, epoch by epoch: losses, the measure watched, and the learning rate.

use super::canvas::{Canvas, Fasten, Ink, draw, text_width};
use super::frame::{Frame, SMALL, drawable, is_drawable, range};
use super::gallery::{Plot, SQUARE};
use crate::report::names::shown;
use crate::report::report::{Point, TargetReport};
use crate::report::residuals::thinned;
use crate::report::{History, HistoryPoint};

/// Points a curve is drawn through.
const POINTS_MAX: usize = 240;

/// Losses on training and validation rows.
pub(super) fn losses(target: &TargetReport) -> Option<Plot> {
    let history = target.history.as_ref()?;
    let lines = [("training", series(history, |point| point.train_loss)), ("validation", series(history, |point| point.valid_loss))];
    let caption = format!("Mean loss after each epoch.{}", kept(history));
    curves("training", "Loss in training", caption, "loss", &lines, history.best_epoch)
}

/// The measure watched on validation rows.
pub(super) fn watched(target: &TargetReport) -> Option<Plot> {
    // A loss that is watched is in the plot of losses.
    let history = target.history.as_ref().filter(|history| history.watched != "loss")?;
    let name = shown(&history.watched, 30);
    let lines = [("validation", series(history, |point| point.valid_score))];
    curves("watched", "Validation in training", format!("{name} on validation rows.{}", kept(history)), &name, &lines, history.best_epoch)
}

/// The learning rate.
pub(super) fn rate(target: &TargetReport) -> Option<Plot> {
    let history = target.history.as_ref()?;
    let lines = [("rate", series(history, |point| point.rate))];
    curves("rate", "Learning rate", "The step size at the end of each epoch.".to_owned(), "learning rate", &lines, None)
}

fn kept(history: &History) -> String {
    history.best_epoch.map_or(String::new(), |epoch| format!(" The upright line marks the weights that were kept, of epoch {epoch}."))
}

fn series(history: &History, value: fn(&HistoryPoint) -> f64) -> Vec<Point> {
    let points: Vec<Point> = history.points.iter().map(|point| Point { x: point.epoch, y: value(point) }).collect();
    thinned(&drawable(&points), POINTS_MAX)
}

fn curves(name: &str, title: &str, caption: String, label: &str, lines: &[(&str, Vec<Point>)], best: Option<f64>) -> Option<Plot> {
    let lines: Vec<&(&str, Vec<Point>)> = lines.iter().filter(|(_, points)| !points.is_empty()).collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    if all().count() < 2 {
        return None;
    }
    let body = draw(SQUARE, |canvas| {
        let usual = Frame::new(SQUARE, range(all().map(|point| point.x), 0.0), range(all().map(|point| point.y), 0.05));
        // Rates have many digits.
        let frame = Frame { across: [usual.across[0] + 12.0, usual.across[1]], whole_x: true, ..usual };
        frame.axes(canvas, "epoch", label);
        if let Some(best) = best.filter(|best| is_drawable(*best)) {
            canvas.line([frame.x(best), frame.up[0]], [frame.x(best), frame.up[1]], Ink::Muted, 1.0);
        }
        for (number, (_, points)) in lines.iter().enumerate().rev() {
            let places: Vec<[f64; 2]> = points.iter().map(|point| frame.at(*point)).collect();
            canvas.path(&places, Ink::Line(number), 2.0);
            if places.len() <= 12 {
                places.iter().for_each(|place| canvas.dot(*place, 3.0, Ink::Line(number), 1.0));
            }
        }
        if lines.len() > 1 {
            legend(canvas, &frame, &lines.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    });
    Some(Plot::new(name, title, caption, SQUARE, body))
}

/// Names, downwards from the upper right, where losses seldom are.
fn legend(canvas: &mut Canvas, frame: &Frame, names: &[&str]) {
    let start = frame.across[1] - 8.0 - names.iter().map(|name| text_width(name, SMALL)).fold(0.0, f64::max);
    for (number, name) in names.iter().enumerate() {
        let height = frame.up[1] + 12.0 + 18.0 * number as f64;
        canvas.line([start - 22.0, height], [start - 7.0, height], Ink::Line(number), 3.0);
        canvas.text(name, [start, height], Fasten::Left, Ink::Text, SMALL);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixtures;
    use super::*;

    #[test]
    fn curves_are_drawn_where_there_is_something_to_draw() {
        let mut target = fixtures::pictures().targets.remove(0);
        let drawn = |target: &TargetReport| [losses(target), watched(target), rate(target)].map(|plot| plot.is_some());
        assert_eq!(drawn(&target), [true, true, true]);
        let history = target.history.as_mut().unwrap();
        history.points.iter_mut().for_each(|point| (point.valid_score, point.rate) = (f64::NAN, f64::INFINITY));
        assert_eq!(drawn(&target), [true, false, false]);
        target.history.as_mut().unwrap().points.truncate(1);
        assert_eq!(drawn(&target), [true, false, false], "two losses of one epoch are two points");
        target.history.as_mut().unwrap().points.clear();
        assert_eq!(drawn(&target), [false; 3]);
    }
}
