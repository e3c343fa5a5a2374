//! How a column acts: partial dependence with the curves of single rows, and the accumulated local effect.

use super::bars::bars;
use super::canvas::{Fasten, Ink, draw};
use super::frame::{Frame, SMALL, is_drawable, range};
use super::gallery::{Plot, SQUARE};
use super::swarm::text_of;
use crate::explain::{Ale, Dependence};
use crate::report::names::shown;

/// Partial dependence: a line over numbers and dates, a bar for each class.
pub(in crate::report) fn dependence(column: &str, score: &str, dependence: &Dependence, place: usize) -> Option<Plot> {
    let is_drawn = dependence.mean.iter().all(|value| is_drawable(*value)) && dependence.mean.len() > 1;
    match &dependence.positions {
        _ if !is_drawn => None,
        Some(positions) => Some(line(column, score, dependence, positions, place)),
        None => Some(of_classes(column, score, dependence, place)),
    }
}

fn line(column: &str, score: &str, dependence: &Dependence, positions: &[f64], place: usize) -> Plot {
    let path = |frame: &Frame, values: &[f64]| -> Vec<[f64; 2]> {
        positions.iter().zip(values).filter(|(_, value)| is_drawable(**value)).map(|(x, y)| [frame.x(*x), frame.y(*y)]).collect()
    };
    let is_date = dependence.grid.iter().any(serde_json::Value::is_string);
    let body = draw(SQUARE, |canvas| {
        let values = dependence.mean.iter().chain(dependence.ice.iter().flatten()).copied();
        let frame = Frame::new(SQUARE, range(positions.iter().copied(), 0.0), range(values, 0.05));
        match is_date {
            // Microseconds on a scale say nothing: the first and the last day do.
            true => {
                frame.axes(canvas, "", score);
                let ends = [(0, Fasten::Left, frame.across[0]), (dependence.grid.len() - 1, Fasten::Right, frame.across[1])];
                for (end, fasten, x) in ends {
                    canvas.text(&shown(&text_of(&dependence.grid[end]), 19), [x, frame.up[0] + 14.0], fasten, Ink::Muted, SMALL);
                }
                canvas.text(
                    &shown(column, 40),
                    [(frame.across[0] + frame.across[1]) / 2.0, frame.up[0] + 34.0],
                    Fasten::Middle,
                    Ink::Text,
                    SMALL,
                );
            }
            false => frame.axes(canvas, &shown(column, 40), score),
        }
        dependence.ice.iter().for_each(|own| canvas.path(&path(&frame, own), Ink::Grid, 1.0));
        canvas.path(&path(&frame, &dependence.mean), Ink::MAIN, 2.5);
    });
    let caption = "Blue: the mean over rows with this column set to each value; grey: single rows. Lines that cross mean that other columns decide what it does.";
    Plot::new(&format!("dependence-{place}"), &format!("Dependence on {}", shown(column, 40)), caption, SQUARE, body)
}

fn of_classes(column: &str, score: &str, dependence: &Dependence, place: usize) -> Plot {
    let classes: Vec<String> = dependence.grid.iter().map(text_of).collect();
    let means: Vec<(&str, f64)> = classes.iter().map(String::as_str).zip(dependence.mean.iter().copied()).collect();
    let (size, body) = bars(&means, Ink::MAIN, score);
    let caption = "The mean over rows with this column set to each class.";
    Plot::new(&format!("dependence-{place}"), &format!("Dependence on {}", shown(column, 40)), caption, size, body)
}

/// The accumulated local effect.
pub(in crate::report) fn effect(column: &str, score: &str, ale: &Ale, is_date: bool, place: usize) -> Option<Plot> {
    let places: Vec<[f64; 2]> =
        ale.edges.iter().zip(&ale.effect).map(|(x, y)| [*x, *y]).filter(|[x, y]| is_drawable(*x) && is_drawable(*y)).collect();
    if places.len() < 2 || is_date {
        return None;
    }
    let body = draw(SQUARE, |canvas| {
        let frame = Frame::new(SQUARE, range(places.iter().map(|at| at[0]), 0.0), range(places.iter().map(|at| at[1]).chain([0.0]), 0.06));
        frame.axes(canvas, &shown(column, 40), &format!("effect on {score}"));
        canvas.line([frame.across[0], frame.y(0.0)], [frame.across[1], frame.y(0.0)], Ink::Muted, 1.0);
        let path: Vec<[f64; 2]> = places.iter().map(|at| [frame.x(at[0]), frame.y(at[1])]).collect();
        canvas.path(&path, Ink::Line(2), 2.5);
        path.iter().for_each(|at| canvas.dot(*at, 2.5, Ink::Line(2), 0.9));
    });
    let caption = "What the column does among rows like those there are, against the mean: right where columns go together, too. A dot ends an interval of about equally many rows.";
    Some(Plot::new(&format!("effect-{place}"), &format!("Local effect of {}", shown(column, 40)), caption, SQUARE, body))
}
