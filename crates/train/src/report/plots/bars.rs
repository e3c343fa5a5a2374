//! Bars from 0, one below another: a name on the left, a number on the right, a scale below.

use super::canvas::{Fasten, Ink, draw};
use super::frame::{Frame, SMALL, range};
use super::gallery::NARROW;
use crate::report::names::shown;
use crate::report::numbers::plain;

/// Height of a bar with its gap.
const PITCH: f64 = 24.0;

/// Size and body of a plot of drawable numbers with their names.
pub(super) fn bars(rows: &[(&str, f64)], ink: Ink, label: &str) -> ([f64; 2], String) {
    let size = [NARROW, 60.0 + PITCH * rows.len() as f64];
    let body = draw(size, |canvas| {
        let x = range(rows.iter().map(|(_, value)| *value).chain([0.0]), 0.02);
        let frame = Frame { across: [168.0, size[0] - 66.0], up: [size[1] - 46.0, 8.0], x, y: [0.0, 1.0], whole_x: false };
        for (i, (name, value)) in rows.iter().enumerate() {
            let middle = 8.0 + PITCH * (i as f64 + 0.5);
            canvas.text(&shown(name, 20), [frame.across[0] - 8.0, middle], Fasten::Right, Ink::Text, SMALL);
            canvas.fill([frame.x(0.0), middle - 7.0], [frame.x(*value), middle + 7.0], ink, 0.75);
            canvas.text(&plain(*value), [size[0] - 8.0, middle], Fasten::Right, Ink::Muted, SMALL);
        }
        frame.scale_below(canvas, label);
    });
    (size, body)
}
