//! The candidates of `model=auto` side by side.

use super::canvas::{Fasten, Ink, draw};
use super::frame::{Frame, SMALL, is_drawable, range};
use super::gallery::{NARROW, Plot};
use crate::report::names::shown;
use crate::report::report::{Better, Candidate, Leaderboard};

/// Candidates drawn.
const CANDIDATES_MAX: usize = 12;
/// Height of a line.
const PITCH: f64 = 24.0;

/// The plot, when two candidates or more have a score.
pub(super) fn leaderboard(board: &Leaderboard) -> Option<Plot> {
    let candidates: Vec<&Candidate> =
        board.candidates.iter().filter(|candidate| is_drawable(candidate.mean)).take(CANDIDATES_MAX).collect();
    let size = [NARROW, 60.0 + PITCH * candidates.len() as f64];
    let body = draw(size, |canvas| {
        let ends = candidates
            .iter()
            .flat_map(|candidate| [candidate.mean - candidate.deviation, candidate.mean, candidate.mean + candidate.deviation]);
        let frame =
            Frame { across: [150.0, size[0] - 20.0], up: [size[1] - 46.0, 8.0], x: range(ends, 0.04), y: [0.0, 1.0], whole_x: false };
        for (i, candidate) in candidates.iter().enumerate() {
            let middle = 8.0 + PITCH * (i as f64 + 0.5);
            let (ink, name) = match candidate.chosen {
                true => (Ink::MAIN, format!("{} (kept)", shown(&candidate.model, 14))),
                false => (Ink::Muted, shown(&candidate.model, 20)),
            };
            canvas.line([frame.across[0], middle], [frame.across[1], middle], Ink::Grid, 1.0);
            canvas.text(&name, [frame.across[0] - 10.0, middle], Fasten::Right, Ink::Text, SMALL);
            if is_drawable(candidate.deviation) {
                let (low, high) = (candidate.mean - candidate.deviation, candidate.mean + candidate.deviation);
                canvas.line([frame.x(low), middle], [frame.x(high), middle], ink, 2.0);
            }
            canvas.dot([frame.x(candidate.mean), middle], 5.0, ink, 1.0);
        }
        frame.scale_below(canvas, &format!("{} in {}-fold cross-validation", shown(&board.measure, 30), board.folds));
    });
    let side = if board.better == Better::Higher { "right" } else { "left" };
    let caption = format!("The further to the {side}, the better; lines span one standard deviation of the folds each way.");
    (candidates.len() > 1).then(|| Plot::new("leaderboard", "Candidates", caption, size, body))
}
