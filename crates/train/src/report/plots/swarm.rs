//! SHAP values: of all rows as swarms, over a column's values, and of one row from base to answer.

use super::canvas::{Canvas, Fasten, Ink, draw};
use super::frame::{Frame, SMALL, is_drawable, range};
use super::gallery::{Plot, SQUARE, WIDE};
use crate::explain::{ColumnShap, RowExplanation, ShapPoint, ShapSummary};
use crate::report::names::shown;
use crate::report::numbers::{plain, signed};
use crate::report::report::Point;

/// Columns drawn.
const COLUMNS_MAX: usize = 15;
const PARTS_MAX: usize = 12;
/// Height of a swarm, and of a part.
const SWARM: f64 = 34.0;
const PART: f64 = 26.0;

/// A swarm for each of the most important columns: a dot a row, by what the column added, coloured by the column's value.
pub(in crate::report) fn swarm(shap: &ShapSummary) -> Option<Plot> {
    let columns: Vec<&ColumnShap> = shap.columns.iter().filter(|column| column.mean_abs > 0.0).take(COLUMNS_MAX).collect();
    let size = [WIDE, 60.0 + SWARM * columns.len() as f64];
    let body = draw(size, |canvas| {
        let values = columns.iter().flat_map(|column| &column.points).map(|point| point.shap);
        let x = range(values.chain([0.0]), 0.03);
        let frame = Frame { across: [190.0, size[0] - 16.0], up: [size[1] - 46.0, 8.0], x, y: [0.0, 1.0], whole_x: false };
        canvas.line([frame.x(0.0), 8.0], [frame.x(0.0), frame.up[0]], Ink::Muted, 1.0);
        for (i, column) in columns.iter().enumerate() {
            let middle = 8.0 + SWARM * (i as f64 + 0.5);
            canvas.text(&shown(&column.column, 24), [frame.across[0] - 10.0, middle], Fasten::Right, Ink::Text, SMALL);
            dots(canvas, &frame, column, middle);
        }
        frame.scale_below(canvas, &format!("what the column added, in {}", shap.unit.words()));
    });
    let caption = "A dot is a row. Blue: a low value of the column, orange: a high one, grey: between; purple: a category or a missing value. \
                   Dots on the right raised the score.";
    (!columns.is_empty()).then(|| Plot::new("swarm", "What each column adds", caption, size, body))
}

/// Dots beside each other where they would lie upon each other.
fn dots(canvas: &mut Canvas, frame: &Frame, column: &ColumnShap, middle: f64) {
    const WIDTH: f64 = 4.0;
    let mut taken: std::collections::HashMap<i64, usize> = std::collections::HashMap::new();
    let mut points: Vec<&ShapPoint> = column.points.iter().filter(|point| is_drawable(point.shap)).collect();
    points.sort_by(|a, b| a.shap.total_cmp(&b.shap));
    for point in points {
        let at = frame.x(point.shap);
        let count = taken.entry((at / WIDTH).floor() as i64).or_default();
        // 0, 1, -1, 2, -2, ... and round again once the swarm is full.
        let step = (count.div_ceil(2) % 7) as f64 * if count.is_multiple_of(2) { -2.0 } else { 2.0 };
        *count += 1;
        canvas.dot([at, middle + step], 2.2, ink(point), 0.8);
    }
}

fn ink(point: &ShapPoint) -> Ink {
    match point.rank {
        None => Ink::Line(3),
        Some(rank) if rank < 1.0 / 3.0 => Ink::Line(0),
        Some(rank) if rank > 2.0 / 3.0 => Ink::Line(1),
        Some(_) => Ink::Muted,
    }
}

/// What a column of numbers added over its values.
pub(in crate::report) fn scatter(shap: &ShapSummary, column: &ColumnShap, place: usize) -> Option<Plot> {
    let point = |point: &ShapPoint| Some(Point { x: point.value.as_f64()?, y: point.shap });
    let points: Vec<Point> = column.points.iter().filter_map(point).filter(|point| is_drawable(point.x) && is_drawable(point.y)).collect();
    let body = draw(SQUARE, |canvas| {
        let x = range(points.iter().map(|point| point.x), 0.03);
        let y = range(points.iter().map(|point| point.y).chain([0.0]), 0.06);
        let frame = Frame::new(SQUARE, x, y);
        frame.axes(canvas, &shown(&column.column, 40), &format!("added, in {}", shap.unit.words()));
        canvas.line([frame.across[0], frame.y(0.0)], [frame.across[1], frame.y(0.0)], Ink::Muted, 1.0);
        points.iter().for_each(|point| canvas.dot(frame.at(*point), 2.4, Ink::MAIN, 0.5));
    });
    let caption = "A dot is a row. Where dots of one value lie far apart, other columns decide what it adds.";
    (points.len() > 2)
        .then(|| Plot::new(&format!("shap-{place}"), &format!("What {} adds", shown(&column.column, 40)), caption, SQUARE, body))
}

/// One row: from the base, part by part, to the score.
pub(in crate::report) fn waterfall(row: &RowExplanation) -> Option<Plot> {
    let (shown_parts, rest) = row.parts.split_at(row.parts.len().min(PARTS_MAX));
    let mut bars: Vec<(String, f64)> =
        shown_parts.iter().map(|part| (format!("{} = {}", shown(&part.column, 18), shown(&text_of(&part.value), 14)), part.shap)).collect();
    if !rest.is_empty() {
        bars.push((format!("{} more columns", rest.len()), rest.iter().map(|part| part.shap).sum()));
    }
    // The smallest next to the base, as the sum goes up to the largest.
    bars.reverse();
    if !bars.iter().all(|(_, shap)| is_drawable(*shap)) || bars.is_empty() {
        return None;
    }
    let size = [WIDE, 64.0 + PART * bars.len() as f64];
    let body = draw(size, |canvas| {
        let ends = bars.iter().scan(row.base, |sum, (_, shap)| {
            *sum += shap;
            Some(*sum)
        });
        let ends: Vec<f64> = ends.collect();
        let x = range(ends.iter().copied().chain([row.base]), 0.08);
        let frame = Frame { across: [250.0, size[0] - 70.0], up: [size[1] - 46.0, 8.0], x, y: [0.0, 1.0], whole_x: false };
        let mut from = row.base;
        canvas.line([frame.x(row.base), 8.0], [frame.x(row.base), frame.up[0]], Ink::Grid, 1.0);
        for (i, ((name, shap), to)) in bars.iter().zip(&ends).enumerate() {
            // From below upwards.
            let middle = frame.up[0] - 6.0 - PART * (i as f64 + 0.5);
            let ink = if *shap >= 0.0 { Ink::Line(1) } else { Ink::Line(0) };
            canvas.text(name, [frame.across[0] - 10.0, middle], Fasten::Right, Ink::Text, SMALL);
            canvas.fill([frame.x(from), middle - 8.0], [frame.x(*to), middle + 8.0], ink, 0.8);
            canvas.text(&signed(*shap, 3), [size[0] - 8.0, middle], Fasten::Right, Ink::Muted, SMALL);
            from = *to;
        }
        frame.scale_below(canvas, &format!("{}, from {} to {}", row.unit.words(), plain(row.base), plain(row.sum)));
    });
    let caption = "From the score of whom nothing is known, below, to the row's, above. Orange raises it, blue lowers it.";
    Some(Plot::new("row", "What made the answer", caption, size, body))
}

/// A JSON value as people read it.
pub(in crate::report) fn text_of(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "missing".to_owned(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.as_f64().map_or_else(String::new, plain_number),
        other => other.to_string(),
    }
}

fn plain_number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 { format!("{value:.0}") } else { plain(value) }
}
