//! What the main measure loses when one column is shuffled.

use super::canvas::{Fasten, Ink, draw};
use super::frame::{Frame, SMALL, is_drawable, range};
use super::gallery::{NARROW, Plot};
use crate::report::names::{plural, shown};
use crate::report::numbers::{decimals, fixed};
use crate::report::report::{Importance, TargetReport};

/// Columns drawn.
const COLUMNS_MAX: usize = 15;
/// Height of a bar with its gap.
const PITCH: f64 = 24.0;

/// The plot, when importance was measured.
pub(super) fn importance(target: &TargetReport) -> Option<Plot> {
    let permutation = target.permutation.as_ref()?;
    let columns: Vec<&Importance> = permutation.columns.iter().filter(|column| is_drawable(column.drop.value)).take(COLUMNS_MAX).collect();
    let size = [NARROW, 60.0 + PITCH * columns.len() as f64];
    let body = draw(size, |canvas| {
        let values = columns.iter().flat_map(|column| [column.drop.value, column.drop.low, column.drop.high]);
        let x = range(values.chain([0.0]), 0.02);
        let frame = Frame { across: [168.0, size[0] - 66.0], up: [size[1] - 46.0, 8.0], x, y: [0.0, 1.0], whole_x: false };
        for (i, column) in columns.iter().enumerate() {
            let middle = 8.0 + PITCH * (i as f64 + 0.5);
            canvas.text(&shown(&column.column, 20), [frame.across[0] - 8.0, middle], Fasten::Right, Ink::Text, SMALL);
            canvas.fill([frame.x(0.0), middle - 7.0], [frame.x(column.drop.value), middle + 7.0], Ink::MAIN, 0.75);
            if column.drop.has_interval() {
                canvas.line([frame.x(column.drop.low), middle], [frame.x(column.drop.high), middle], Ink::Text, 1.5);
            }
            canvas.text(&fixed(column.drop.value, decimals(column.drop).min(4)), [size[0] - 8.0, middle], Fasten::Right, Ink::Muted, SMALL);
        }
        canvas.line([frame.x(0.0), 8.0], [frame.x(0.0), frame.up[0]], Ink::Muted, 1.0);
        frame.scale_below(canvas, &format!("loss of {} when shuffled", shown(&permutation.measure, 30)));
    });
    let mut caption =
        format!("Measured on {} rows, {} a column.", shown(&permutation.side, 20), plural(permutation.repeats.into(), "shuffle"));
    if permutation.columns.len() > columns.len() {
        caption.push_str(&format!(" The first {} of {}.", columns.len(), plural(permutation.columns.len() as u64, "column")));
    }
    (!columns.is_empty()).then(|| Plot::new("importance", "What the model relies on", caption, size, body))
}
